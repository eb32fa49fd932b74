"""Pauses of whole scopes."""

from __future__ import annotations

import pytest

from tasker.domain import commands as cmd
from tasker.domain.control import Control, decide_control, evolve_control, pause_over
from tasker.errors import InvalidRequest
from tests.unit.domain.kit import START, plan, step


def told(control: Control, *commands: cmd.ControlCommand) -> tuple[Control, list[str]]:
    """Decide and evolve; give the state and the names of the events."""
    names = []
    for command in commands:
        for event in decide_control(control, command):
            control = evolve_control(control, event)
            names.append(f"{event.type} {event.scope}")
    return control, names


def pause(scope: str, now: int = START) -> cmd.PauseScope:
    """Ask for a pause."""
    return cmd.PauseScope(now=now, scope=scope, actor="ops", reason="drill")


def resume(scope: str, now: int = START) -> cmd.ResumeScope:
    """Ask for its end."""
    return cmd.ResumeScope(now=now, scope=scope)


def test_a_scope_is_paused_and_resumed_once() -> None:
    """What is so already yields nothing; the state keeps who, why and when."""
    control, names = told(Control(), resume("all"), pause("all"), pause("all"), pause("system:x"), resume("all"))
    assert names == ["control.paused all", "control.paused system:x", "control.resumed all"]
    assert (control.version, dict(control.pauses)) == (3, {"system:x": ("ops", "drill", START)})


def test_times_never_go_back_in_the_control_stream() -> None:
    """A command whose clock is behind is recorded at the time of the event before it."""
    control, _ = told(Control(), pause("all", START))
    (event,) = decide_control(control, resume("all", START - 5))
    assert event.at == START


@pytest.mark.parametrize(
    "scope", ["all", "namespace:a", "task:a.b", "task:a.b.c", "system:bank", "system:the old bank"]
)
def test_legal_scopes(scope: str) -> None:
    """The four forms are taken; names may hold dots, the name of a system blanks."""
    assert told(Control(), pause(scope))[1] == [f"control.paused {scope}"]


@pytest.mark.parametrize("scope", ["", "everything", "namespace:", "task:b", "task:a.", "system:", "system: ", "all "])
@pytest.mark.parametrize("ask", [pause, resume])
def test_illegal_scopes(scope: str, ask: object) -> None:
    """Anything else is refused, for a resume too, and the error names the forms and the field."""
    with pytest.raises(InvalidRequest, match="expected as scope all, namespace:NAME") as refusal:
        decide_control(Control(), ask(scope))
    assert list(refusal.value.problems) == ["$.scope"]


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        ("all", True),
        ("namespace:shop", True),
        ("namespace:sho", False),
        ("task:shop.plan", True),
        ("task:default.plan", False),
        ("system:bank", True),
        ("system:mail", False),
    ],
)
def test_which_pauses_lie_over_a_step(scope: str, found: bool) -> None:
    """A pause holds a step of that namespace, task or system, and no other."""
    control, _ = told(Control(), pause(scope))
    over = pause_over(control, plan(step("a", dependent_system="bank"), namespace="shop"), 0)
    assert over == ((scope, control.pauses[scope]) if found else None)


def test_the_widest_pause_is_named() -> None:
    """Where several hold, the widest is given; without any, none."""
    definition = plan(step("a", dependent_system="bank"))
    assert pause_over(Control(), definition, 0) is None
    control, _ = told(Control(), pause("system:bank"), pause("all"))
    assert pause_over(control, definition, 0)[0] == "all"
