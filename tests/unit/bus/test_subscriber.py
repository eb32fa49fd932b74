"""`BaseSubscriber`: which method takes an event, and what helps in it."""

from __future__ import annotations

import logging

import pytest

from tasker.bus.receivers import Receivers
from tasker.bus.subscriber import BaseSubscriber, checked
from tasker.codec.recorded import RecordedEvent
from tasker.codec.rows import StoredEvent
from tasker.errors import InvalidRequest
from tasker.redaction import Redactor
from tests.contracts.kit import event, header


def recorded(name: str = "order.paid", payload: bytes | None = b'{"a":1,"none":null,"type":"x"}') -> RecordedEvent:
    """Give a custom event."""
    new = event((1000, name), payload)
    return RecordedEvent(StoredEvent(4, b"s" * 16, 2, *new, bytes(16), bytes(32), bytes(32), header()))


class Notes(BaseSubscriber):
    """Notes what arrives where."""

    subscribe_to = "order.*"

    def __init__(self) -> None:
        """Start empty, without calling the base."""
        self.seen = []

    def handle_order_paid(self, event):
        """Take one type."""
        self.seen.append(("paid", event.position))

    def handle(self, event):
        """Take the others."""
        self.seen.append(("other", event.type))

    def filter(self, event):
        """Leave refunds out."""
        return event.type != "order.refunded"


def test_dispatch():
    """An event goes to the method of its name, else to `handle`; the filter comes first."""
    notes = Notes()
    results = [notes.deliver(recorded(name)) for name in ("order.paid", "order.item.added", "order.refunded")]
    assert results == [True, True, False]
    assert notes.seen == [("paid", 4), ("other", "order.item.added")]


def test_a_misspelt_event_is_refused():
    """What names an event that cannot be is not subscribed, with what may have been meant."""
    notes = Notes()
    notes.subscribe_to = ("order.paid", "task.faild")
    with pytest.raises(InvalidRequest, match=r"Did you mean 'task\.failed'"):
        checked(notes)
    with pytest.raises(InvalidRequest, match=r"Did you mean 'task\.failed'"):
        Receivers().add("task.faild", print)


def test_fallback(caplog):
    """Without a method and without `handle`, the log says which method is missing."""
    with caplog.at_level(logging.WARNING, logger="tasker"):
        assert BaseSubscriber().deliver(recorded())
    assert "handle_order_paid" in caplog.text


def test_exceptions_pass():
    """What a method raises reaches who delivers."""

    class Raises(BaseSubscriber):
        def handle(self, event):
            raise KeyError("a")

    with pytest.raises(KeyError):
        Raises().deliver(recorded())


class Odd:
    """Raises whatever is asked of it."""

    def get(self, *_):
        """Fail."""
        raise RuntimeError("odd")


@pytest.mark.parametrize(
    ("source", "key", "value"),
    [
        (recorded(), "a", 1), (recorded(), "none", None), (recorded(), "type", "x"), (recorded(), "position", 4),
        (recorded(), "nope", "d"), (recorded(), "body", "d"), (recorded(), "cloudevent", "d"),
        (recorded(), "_stored", "d"),
        (recorded(payload=None), "a", "d"), (recorded(payload=b"rubbish"), "a", "d"),
        ({"a": 2}, "a", 2), ({"a": None}, "a", None), ({}, "a", "d"), (None, "a", "d"), ([], "a", "d"),
        (Odd(), "a", "d"),
        ({"a": 2}, [], "d"), (recorded(), {}, "d"),
    ],
)  # fmt: skip
def test_safe_get(source, key, value):
    """`safe_get` looks in the body, then in the envelope, takes mappings too, and never raises."""
    assert BaseSubscriber().safe_get(source, key, "d") == value


def test_redact():
    """Secrets are masked at every depth, by the redactor of the application if there is one."""
    subscriber = BaseSubscriber()
    value = {"password": "x", "deep": [{"api_key": "y", "plain": 1}], "iban": "z"}
    masked = {"password": "[FILTERED]", "deep": [{"api_key": "[FILTERED]", "plain": 1}], "iban": "z"}
    assert subscriber.redact(value) == masked
    assert subscriber.redact(recorded().body) == {"a": 1, "none": None, "type": "x"}
    subscriber.redactor = Redactor(["iban"], mask="-")
    assert subscriber.redact({"iban": "z", "password": "x"}) == {"iban": "-", "password": "x"}


class Async(BaseSubscriber):
    """Is written for an event loop."""

    subscribe_to = ("a.b",)

    async def handle_a_b(self, event):
        """Never get here."""


@pytest.mark.parametrize(
    ("subscriber", "text"),
    [
        (Notes, "found the class Notes; call the class"),
        (lambda event: None, "found a value of type function"),
        (BaseSubscriber(), "event patterns"),
        (Async(), r"Async\.handle_a_b: expected a plain method"),
    ],
    ids=["class", "function", "no events", "async"],
)
def test_refused(subscriber, text):
    """What cannot be subscribed is refused with what to do."""
    with pytest.raises(InvalidRequest, match=text):
        checked(subscriber)


def test_patterns():
    """The globs are the subscriber's own unless others are given."""
    assert checked(Notes()).globs == ("order.*",)
    assert checked(Notes(), ["task.*"]).globs == ("task.*",)
