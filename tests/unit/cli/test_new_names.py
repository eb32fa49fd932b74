"""Names for new tasks and subscribers: what is taken in which form, and what is refused with which words."""

from __future__ import annotations

import pytest
import typer

from tasker.cli.new.events import read_events
from tasker.cli.new.names import LONGEST, read_name, read_project, read_steps, read_subscriber


@pytest.mark.parametrize(
    ("given", "snake", "camel"),
    [
        ("OrderProcess", "order_process", "OrderProcess"),
        ("order_process", "order_process", "OrderProcess"),
        ("order-process", "order_process", "OrderProcess"),
        ("orderProcess", "order_process", "OrderProcess"),
        ("HTTPFetch", "http_fetch", "HttpFetch"),
        ("fetch2", "fetch2", "Fetch2"),
        ("a", "a", "A"),
        ("match", "match", "Match"),
    ],
)
def test_a_name_is_read_in_any_usual_form(given, snake, camel):
    """A module gets the name with underscores, a class the same words with capitals."""
    name = read_name(given, "NAME")
    assert (name.snake, name.camel) == (snake, camel)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ("", "expected a name such as"),
        ("7up", "a letter first"),
        ("order process", "found 'order process'"),
        ("../etc/passwd", "letters and digits"),
        ("a__b", "letters and digits"),
        ("_a", "letters and digits"),
        ("größe", "letters and digits"),
        ("a.b", "letters and digits"),
        ("x" * (LONGEST + 1), f"at most {LONGEST} characters"),
        ("class", "'class' has a meaning"),
        ("Import", "'import' has a meaning"),
        ("none", "'None' has a meaning"),
        ("exception", "'Exception' has a meaning"),
        ("step_handler", "'StepHandler' has a meaning"),
    ],
)
def test_a_name_that_python_cannot_take_is_refused(given, word):
    """A name that is no name of a module and a class is refused, with what was expected and what was found."""
    with pytest.raises(typer.BadParameter, match="NAME: ") as refused:
        read_name(given, "NAME")
    assert word in str(refused.value)


def test_steps_are_read_from_texts_with_commas():
    """Steps are given in one text, in several, or both, and keep their order."""
    assert [step.snake for step in read_steps(["a, b", "FetchOrder"])] == ["a", "b", "fetch_order"]


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (["a,,b"], "with commas between them"),
        ([""], "with commas between them"),
        (["a,b,a"], "found 'a' again"),
        (["fetch_order", "FetchOrder"], "found 'fetch_order' again"),
        (["a1", "a_1"], "found 'a_1' again"),
        (["a,b c"], "found 'b c'"),
        (["a,def"], "'def' has a meaning"),
    ],
)
def test_wrong_steps_are_refused(given, word):
    """A gap, a repeated step, or a name that Python cannot take is refused."""
    with pytest.raises(typer.BadParameter, match="steps: ") as refused:
        read_steps(given)
    assert word in str(refused.value)


@pytest.mark.parametrize("given", ["pager_duty", "PagerDuty", "pager_duty_subscriber", "PagerDutySubscriber"])
def test_the_word_subscriber_is_not_said_twice(given):
    """A subscriber may be named with or without the word at its end."""
    assert read_subscriber(given).snake == "pager_duty"


@pytest.mark.parametrize("given", ["base", "BaseSubscriber", "base_subscriber", "lambda", "a/b"])
def test_a_subscriber_has_a_name_of_its_own(given):
    """A subscriber cannot be called like the class it derives from, nor like a word of Python."""
    with pytest.raises(typer.BadParameter, match="NAME: "):
        read_subscriber(given)


@pytest.mark.parametrize("given", ["shop", "my-shop", "my_shop2", "Shop"])
def test_a_project_is_called_as_its_folder(given):
    """The name of a project is kept as it is."""
    assert read_project(given) == given


@pytest.mark.parametrize(("given", "word"), [(".", "tasker init"), ("", "tasker init"), ("a/b", "a/b"), ("-a", "-a")])
def test_a_project_is_a_new_folder_here(given, word):
    """A path is no name of a project; for the present folder there is another command."""
    with pytest.raises(typer.BadParameter, match="NAME: ") as refused:
        read_project(given)
    assert word in str(refused.value)


def test_events_are_read_with_what_takes_them():
    """Events of the system, events of one's own and globs are told apart; a repeated one counts once."""
    taken = read_events(["task.failed,order.paid", "order.*", "task.failed"])
    assert taken.all == ("task.failed", "order.paid", "order.*")
    assert taken.globs == ("order.*",)
    assert taken.methods == {"handle_task_failed": ["task.failed"], "handle_order_paid": ["order.paid"]}


def test_two_events_may_share_a_method():
    """Names that differ in dots and underscores alone are taken by one method."""
    assert read_events(["a.b_c,a.b.c"]).methods == {"handle_a_b_c": ["a.b_c", "a.b.c"]}


@pytest.mark.parametrize(
    ("given", "samples"),
    [
        ("task.failed,order.paid", ("task.failed", "order.paid")),
        ("step.*,step.abandoned", ("step.abandoned",)),
        ("order.*,a?b.[xy]z", ("order.happened", "axb.xz")),
        ("*.failed", ("step.failed",)),
        ("order.[!a]", ()),
        ("A*", ()),
    ],
)
def test_an_event_is_at_hand_for_the_tests(given, samples):
    """Generated tests hand over each event that is named, and of each glob one that it selects, if that is clear."""
    assert read_events([given]).samples == samples


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("task.failde", ("the system's own", "'task.failed'", "tasker catalog")),
        ("workflow.ended", ("the system's own",)),
        ("task.fial*", ("the system's own",)),
        ("failed", ("order.fulfilled", "found 'failed'")),
        ("Order.Paid", ("lower case", "found 'Order.Paid'")),
        ("order paid", ("found 'order paid'",)),
        ("task.failed,", ("commas between them",)),
        ("a." + "b" * 127, ("at most 128 characters",)),
    ],
)
def test_an_event_that_can_never_be_is_refused(given, words):
    """A misspelt or reserved name, a name without a dot, or no name at all is refused; near names are offered."""
    with pytest.raises(typer.BadParameter, match="events: ") as refused:
        read_events([given])
    assert all(word in str(refused.value) for word in words)
