"""Names and the handlers behind them."""

from __future__ import annotations

import logging

import pytest

from tasker.domain.definition import StepTemplate, TaskDefinition
from tasker.errors import InvalidDefinition, UnknownHandler
from tasker.handlers.native import NativeStepHandler
from tasker.handlers.registry import HandlerRegistry
from tasker.handlers.step_handler import Manual, StepHandler


class Charge(StepHandler):
    """A handler with a name and an old one."""

    name = "charge"
    aliases = ("pay",)

    def process(self, task, sequence, step):
        """Do nothing."""


class Refund(Charge):
    """Inherits everything but the names."""


def plain(task, sequence, step):
    """Do nothing."""


def test_names_and_aliases():
    """A handler is found under its name and its aliases; without a name under module:qualname; Manual is there."""
    registry = HandlerRegistry()
    assert registry.register(Charge) == "charge"
    assert registry.find("charge") is registry.find("pay") is Charge
    assert registry.register(Refund).endswith(":Refund")
    assert registry.register(plain) == f"{__name__}:plain"
    assert registry.find("tasker.Manual") is Manual
    assert registry.names() >= {"charge", "pay", "tasker.Manual"}


def test_registering_again():
    """The same object again is no error; another one under the same name is, unless it replaces."""
    registry = HandlerRegistry()
    registry.register(plain)
    registry.register(plain)

    def other(task, sequence, step):
        """Do nothing."""

    other.name = f"{__name__}:plain"
    with pytest.raises(InvalidDefinition, match="two different handlers"):
        registry.register(other)
    registry.register(other, replace=True)
    assert registry.find(f"{__name__}:plain") is other


def test_an_alias_of_another_handler_is_refused():
    """An alias takes no name that belongs to another, and nothing of the handler is registered."""
    registry = HandlerRegistry()
    registry.register(Charge)

    def other(task, sequence, step):
        """Do nothing."""

    other.aliases = ["pay"]
    with pytest.raises(InvalidDefinition, match="pay"):
        registry.register(other)
    assert not [name for name in registry.names() if "other" in name]


class Empty(StepHandler):
    """Has no process."""


class Mixed(StepHandler):
    """Cannot be run: only half of it is async."""

    def process(self, task, sequence, step):
        """Do nothing."""

    async def process_results(self, step, process_output, initial_results):
        """Do nothing."""


class Bare:
    """No handler at all."""


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (Empty, "process"),
        (Bare, "process"),
        (Mixed, "async"),
        (lambda task: None, "parameters"),
        (42, "found 42"),
    ],
)
def test_what_is_no_handler(handler, words):
    """What cannot be called as a handler is refused with what is missing."""
    with pytest.raises(InvalidDefinition, match=words):
        HandlerRegistry().register(handler)


def test_wrong_aliases():
    """Aliases are a list of names."""

    def handler(task, sequence, step):
        """Do nothing."""

    handler.aliases = "pay"
    with pytest.raises(InvalidDefinition, match="aliases"):
        HandlerRegistry().register(handler)


def test_unknown_names():
    """An unknown name offers near ones."""
    registry = HandlerRegistry()
    registry.register(Charge)
    with pytest.raises(UnknownHandler, match="'charge'"):
        registry.find("charges")


def test_main_is_no_home(caplog):
    """A name with `__main__` works here and nowhere else: one warning says so."""

    def script(task, sequence, step):
        """Do nothing."""

    script.__module__ = "__main__"
    registry = HandlerRegistry()
    with caplog.at_level(logging.WARNING):
        registry.register(script)
        registry.register(script)
        registry.register(plain)
    assert [("name" in record.getMessage(), record.name) for record in caplog.records] == [(True, "tasker.handlers")]


def test_all_of_a_definition():
    """All handlers of a definition are registered; names are left alone; an error leads to the step."""
    registry = HandlerRegistry()
    steps = [
        StepTemplate(name=str(place), handler_class=handler) for place, handler in enumerate([plain, Charge, "x:y"])
    ]
    registry.register_all(TaskDefinition(name="p", step_templates=steps))
    assert registry.find("charge") is Charge
    assert "x:y" not in registry.names()
    bad = TaskDefinition(name="p", step_templates=[steps[0], StepTemplate(name="b", handler_class=Empty)])
    with pytest.raises(InvalidDefinition, match="step 'b'") as caught:
        registry.register_all(bad)
    assert caught.value.path == ("step_templates", 1, "handler_class")


def test_objects_with_process():
    """An object that has `process` is a handler of the name of its class; it serves every attempt."""
    registry = HandlerRegistry()
    one = Charge()
    one.name = "one"
    assert registry.register(one) == "one"
    assert registry.find("one") is one


def test_native_objects():
    """An object of NativeStepHandler is a handler; an equal one is the same."""
    registry = HandlerRegistry()
    name = registry.register(NativeStepHandler("libprice", symbol="price"))
    assert name == "native:libprice:price"
    assert registry.register(NativeStepHandler("libprice", symbol="price")) == name
    with pytest.raises(InvalidDefinition, match="two different"):
        registry.register(NativeStepHandler("libprice", symbol="price", input="step"))
    assert StepTemplate(name="s", handler_class=NativeStepHandler("libprice", symbol="price")).handler == name
