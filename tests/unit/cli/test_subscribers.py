"""Subscribers that the settings list: what is wrong with one is said at the start, with its line."""

from __future__ import annotations

import sys

import pytest

from tasker.cli.loading import named, prepare, subscribe
from tasker.errors import InvalidDefinition
from tasker.settings import Settings
from tasker.testing import app as in_memory

MODULE = """
from tasker import BaseSubscriber
from tasker.errors import InvalidDefinition


class Told(BaseSubscriber):
    name = "told"
    subscribe_to = ("task.failed",)

    def __init__(self, token=None, limits=None):
        if token is None:
            raise InvalidDefinition("expected a token, in the variable TOLD_TOKEN or as token=…, found neither")
        if token == "short":
            raise ValueError(f"the token {token} was refused")
        if limits is not None:
            raise InvalidDefinition("expected a number", path=("limits", "most"))


class Nameless(BaseSubscriber):
    subscribe_to = ("task.failed",)


class Silent(BaseSubscriber):
    name = "silent"


class Async(BaseSubscriber):
    name = "async"
    subscribe_to = ("task.failed",)

    async def handle(self, event):
        pass


def plain(event):
    pass
"""


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Give what reads settings that list some subscribers, one in each text, from line 2 on."""
    (tmp_path / "listing_told.py").write_text(MODULE)
    (tmp_path / "listing_broken.py").write_text("def (")
    (tmp_path / "listing_raising.py").write_text("raise ValueError('on import')")
    monkeypatch.syspath_prepend(str(tmp_path))

    def read(*texts: str) -> Settings:
        (tmp_path / "tasker.yaml").write_text("subscribers:\n" + "".join(f"- {text}\n" for text in texts))
        return Settings.load({}, tmp_path)

    yield read
    for name in [name for name in sys.modules if name.startswith("listing_")]:
        del sys.modules[name]


GOOD = "{class: 'listing_told:Told', config: {token: secret-token}}"


@pytest.mark.parametrize(
    ("text", "line", "parts"),
    [
        ("class: 'listing_told:Tod'", 2, ["has no 'Tod'", "'Told'"]),
        ("class: 'listing_nowhere:Told'", 2, ["cannot import 'listing_nowhere'", "package.module:name"]),
        ("class: Told", 2, ["cannot import ''", "package.module:name"]),
        ("class: 'listing_broken:Told'", 2, ["cannot import", "SyntaxError"]),
        ("class: 'listing_raising:Told'", 2, ["cannot import", "ValueError: on import"]),
        ("class: 'listing_told:plain'", 2, ["expected a subclass of tasker.BaseSubscriber"]),
        ("class: 'listing_told:Told'", 2, ["expected a token", "TOLD_TOKEN"]),
        ("class: 'listing_told:Told'\n  config:\n    token: abcdef\n    limits: {most: x}", 5, ["expected a number"]),
        ("class: 'listing_told:Told'\n  config: {colour: red}", 3, ["does not take it", "'colour'", "keys colour"]),
        ("class: 'listing_told:Told'\n  config: {token: short}", 3, ["ValueError: the token [FILTERED] was refused"]),
        ("class: 'listing_told:Nameless'", 2, ["needs a name", "Nameless"]),
        ("class: 'listing_told:Nameless'\n  name: ' '", 3, ["needs a name"]),
        ("class: 'listing_told:Silent'", 2, ["expected a glob"]),
        ("class: 'listing_told:Silent'\n  name: x\n  events: [task.failed, 'task failed']", 4, ["'task failed'"]),
        ("class: 'listing_told:Silent'\n  name: x\n  events: [task.faild]", 4, ["'task.faild'", "mean 'task.failed'"]),
        ("class: 'listing_told:Async'", 2, ["expected a plain method, found `async def`"]),
        ("class: 'listing_told:Nameless'\n  name: x\n  start: 7", 4, ["expected start=", "found 7"]),
    ],
)
def test_what_is_wrong(listed, text, line, parts):
    """Whatever is wrong with a subscriber is said with file:line, and with what was expected and found."""
    settings = listed(text)
    with in_memory() as app:
        with pytest.raises(InvalidDefinition) as raised:
            subscribe(app, settings)
        told = str(raised.value)
        assert told.startswith(f"tasker.yaml:{line}: ")
        assert [part for part in parts if part not in told] == []
        assert app.subscriptions.list() == []


def test_two_of_one_name(listed):
    """Two subscribers of one name are refused, with both places; those on the bus or switched off do not count."""
    twice = listed(GOOD, "class: 'listing_told:Nameless'\n  name: told")
    with in_memory() as app:
        with pytest.raises(InvalidDefinition, match=r"tasker\.yaml:4: .*'told'.*tasker\.yaml:2.*give `name: …`"):
            subscribe(app, twice)
        assert app.subscriptions.list() == []
        fine = listed(
            GOOD,
            "{class: 'listing_told:Nameless', name: told, durable: false}",
            "{class: 'listing_told:Told', enabled: false}",
            "{class: 'listing_told:Nameless', durable: false}",
        )
        assert subscribe(app, fine) == ["told", "told", "listing_told:Nameless"]
        assert [one.name for one in app.subscriptions.list()] == ["told"]


def test_nothing_is_attached_if_one_is_wrong(listed):
    """Where one is wrong, none is attached."""
    with in_memory() as app:
        with pytest.raises(InvalidDefinition, match="expected a token"):
            subscribe(app, listed(GOOD, "{class: 'listing_told:Told', name: other}"))
        assert app.subscriptions.list() == []


def test_what_the_settings_say(listed):
    """`name`, `events` and `start` of the settings win over the class."""
    settings = listed("{class: listing_told.Nameless, name: mine, events: ['step.*'], start: beginning}")
    with in_memory() as app:
        assert subscribe(app, settings) == ["mine"]
        (info,) = app.subscriptions.list()
        assert (info.name, info.patterns, info.checkpoint) == ("mine", ("step.*",), 0)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (GOOD, "told"),
        ("{class: 'listing_told:Nameless', name: mine}", "mine"),
        ("{class: 'listing_told:Nameless', name: mine, enabled: false}", "mine"),
    ],
)
def test_prepared_for_a_redelivery(listed, text, name):
    """For a redelivery alone a subscriber is made, enabled or not, and no row; any other name is not found."""
    settings = listed("{class: 'listing_told:Nameless', name: other}", text)
    with in_memory() as app:
        assert prepare(app, settings, name)
        assert app.subscriptions.has(name)
        assert app.subscriptions.list() == []
        assert app.subscriptions.redeliver(name, first=1, last=1).events == ()
        assert not prepare(app, settings, "third")


def test_a_reference_without_a_module():
    """A reference says where it was asked for."""
    with pytest.raises(InvalidDefinition, match=r"^here: app: cannot import ''"):
        named("app", "here")
