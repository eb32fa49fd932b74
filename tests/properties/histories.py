"""Random graphs and histories of them: each move of a history is one number, read as a command on the present state.

Lists that are drawn element by element stay short, so a length and a seed are drawn instead: histories are long, and a
failing one still shrinks to few steps and few moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain.decide import react
from tasker.domain.definition import StepTemplate, TaskDefinition
from tasker.domain.status import LIVE, StepStatus
from tasker.domain.task import SECOND, Task, blank
from tasker.domain.work import WorkKind, work
from tasker.errors import InvalidRequest, NotAllowed
from tests.unit.domain.kit import START, create, error

if TYPE_CHECKING:
    from collections.abc import Callable

S = StepStatus


def _template(number: int, code: int, parents: list[int]) -> StepTemplate:
    return StepTemplate(
        name=f"s{number}",
        handler_class="h",
        depends_on_steps=[f"s{parent}" for parent in parents],
        default_retry_limit=1 + code % 3,
        default_retryable=code // 3 % 4 != 0,
        skippable=code // 12 % 3 == 0,
        enable_exponential_backoff=code // 36 % 2 == 0,
        jitter=(0, 0.1, 1)[code // 72 % 3],
    )


@st.composite
def definitions(draw: st.DrawFn, most: int = 60) -> TaskDefinition:
    """Draw a definition: any acyclic graph, declared forwards or backwards."""
    seed = Random(draw(st.integers(0, 2**32)))
    codes = [seed.getrandbits(32) for _ in range(min(most, draw(st.sampled_from((1, 2, 3, 0, 5, 8, 13, 24, 40, 60)))))]
    steps = []
    for number, code in enumerate(codes):
        picks = [code >> 8, code >> 16, code >> 24][: code % 4]
        parents = sorted({pick % number for pick in picks}) if number else []
        steps.append(_template(number, code, parents))
    shape = draw(st.integers(0, 31))
    return TaskDefinition(
        name="random",
        step_templates=steps[::-1] if shape & 1 else steps,
        concurrent=bool(shape & 6),
        timeout_seconds=60 if shape & 24 == 24 else None,
    )


@dataclass
class Run:
    """A task under way and what has been recorded and decided for it; it is shown by what leads there again."""

    definition: TaskDefinition
    bypass: tuple[str, ...] = ()
    not_before: int | None = None
    task: Task = field(init=False, repr=False)
    now: int = START
    history: list[ev.TaskStreamEvent] = field(default_factory=list, repr=False)
    seen: list[tuple[Task, cmd.TaskCommand, tuple[ev.TaskStreamEvent, ...], Task]] = field(
        default_factory=list, repr=False
    )
    refused: int = 0

    def __post_init__(self) -> None:
        """Create the task."""
        self.task = blank("t", self.definition)
        self.give(create(bypass_steps=self.bypass, not_before=self.not_before))

    def give(self, command: cmd.TaskCommand) -> None:
        """Decide on a command; a refusal is an answer, too."""
        before = self.task
        try:
            events, self.task = react(before, command)
        except (NotAllowed, InvalidRequest):
            self.refused += 1
            return
        self.history.extend(events)
        self.seen.append((before, command, events, self.task))

    def move(self, code: int) -> None:
        """Read a number as: how much time passes, which command, on which step."""
        self.now += (0, 1, SECOND // 2, 20 * SECOND)[code & 3]
        kind, pick, rest = code >> 2 & 63, code >> 8 & 0xFFFF, code >> 24
        if self.definition.step_templates:
            self.give((_FREQUENT[kind] if kind < len(_FREQUENT) else _RARE[code % len(_RARE)])(self, pick, rest))

    def pick(self, pick: int, *statuses: StepStatus) -> str:
        """Choose a step, of the statuses where there is one, and else any: refusals are to be tried as well."""
        fitting = [number for number, state in enumerate(self.task.steps) if state.status in statuses]
        names = self.definition.graph.names
        return names[fitting[pick % len(fitting)] if fitting else pick % len(names)]

    def ready(self, pick: int) -> str:
        """Choose a step that has an item of ready work, and else any."""
        fitting = [number for number, item in work(self.task).items() if item.kind is WorkKind.READY]
        names = self.definition.graph.names
        return names[fitting[pick % len(fitting)] if fitting else pick % len(names)]


def _start(run: Run, pick: int, _: int) -> cmd.TaskCommand:
    return cmd.StartStep(now=run.now, step=run.ready(pick), worker_id="w")


def _at(run: Run, pick: int, *statuses: StepStatus) -> dict[str, object]:
    name = run.pick(pick, *statuses)
    return {"now": run.now, "step": name, "attempt": run.task.step(name).attempt}


def _done(run: Run, pick: int, rest: int) -> cmd.TaskCommand:
    published = (cmd.Publication("a.b", {}), cmd.Publication("c.d", {}, always=True))[: rest % 3]
    notes = (cmd.Annotation("note", {}),) if rest & 4 else None
    fields = {**_at(run, pick, S.IN_PROGRESS), "published": published, "annotations": notes}
    return cmd.ReportStepCompleted(**fields, results={"x": rest}, duration=0.1)


def _fail(run: Run, pick: int, rest: int) -> cmd.TaskCommand:
    kind = (ev.RETRYABLE, ev.RETRYABLE, ev.TIMEOUT, ev.PERMANENT, ev.TOO_LARGE)[rest % 5]
    after = (None, None, 0.0, 5.0, 1e9)[rest // 5 % 5]
    fields = _at(run, pick, S.IN_PROGRESS)
    return cmd.ReportStepFailed(**fields, error=error(kind), jitter=rest % 101 / 100, retry_after=after)


def _wait(run: Run, pick: int, rest: int) -> cmd.TaskCommand:
    return cmd.ReportStepWaiting(
        **_at(run, pick, S.IN_PROGRESS), reason="r", timeout_seconds=(None, 1.0, 30.0)[rest % 3]
    )


def _abandon(run: Run, pick: int, rest: int) -> cmd.TaskCommand:
    reason = (ev.WORKER_LOST, ev.WORKER_STOPPED)[rest % 2]
    return cmd.AbandonStep(**_at(run, pick, S.IN_PROGRESS), reason=reason, jitter=0.25)


def _expire_wait(run: Run, pick: int, _: int) -> cmd.TaskCommand:
    return cmd.ExpireWait(**_at(run, pick, S.WAITING), jitter=0.5)


def _expire_task(run: Run, _: int, __: int) -> cmd.TaskCommand:
    return cmd.ExpireTask(now=run.now)


def _complete_step(run: Run, pick: int, _: int) -> cmd.TaskCommand:
    return cmd.CompleteStep(now=run.now, step=run.pick(pick, S.WAITING), results={})


def _reset_step(run: Run, pick: int, rest: int) -> cmd.TaskCommand:
    name = run.pick(pick, S.ERROR, S.WAITING_FOR_RETRY)
    return cmd.ResetStep(now=run.now, step=name, rerun=bool(rest & 1))


def _on_step(kind: type[cmd.StepCommand], **keys: object) -> Callable[[Run, int, int], cmd.TaskCommand]:
    return lambda run, pick, _: kind(now=run.now, step=run.pick(pick), **keys)


def _on_task(kind: type[cmd.OperatorCommand], **keys: object) -> Callable[[Run, int, int], cmd.TaskCommand]:
    return lambda run, _, __: kind(now=run.now, actor="ann", reason="r", **keys)


def _seldom(make: Callable[[Run, int, int], cmd.TaskCommand]) -> Callable[[Run, int, int], cmd.TaskCommand]:
    """Let a command that ends much come one time in six."""
    return lambda run, pick, rest: (_start if rest % 6 else make)(run, pick, rest)


def _repeat(run: Run, pick: int, _: int) -> cmd.TaskCommand:
    """Give an earlier command once more, late."""
    return run.seen[pick % len(run.seen)][1]


_FREQUENT = (
    *[_start] * 16, *[_done] * 14, *[_fail] * 8, *[_wait] * 3, *[_abandon] * 4, *[_complete_step] * 3, _expire_wait,
    *[_reset_step] * 2, _repeat, _on_task(cmd.ResumeTask), _on_task(cmd.RetryTask),
)  # fmt: skip
_RARE = (
    _expire_wait, _seldom(_expire_task), _reset_step, _reset_step, _repeat, _repeat, _repeat,
    _seldom(_on_task(cmd.CancelTask)), _on_task(cmd.PauseTask), _on_task(cmd.ResumeTask), _on_task(cmd.ResumeTask),
    _on_task(cmd.RetryTask), _on_task(cmd.RetryTask),
    _seldom(_on_task(cmd.ResolveTask)), _seldom(_on_task(cmd.EraseTask)),
    _on_task(cmd.UpdateTask, tags=("t",)), _on_task(cmd.AnnotateTask, annotation_type="n", annotation={}),
    _on_step(cmd.ResolveStep, results={}), _seldom(_on_step(cmd.CancelStep)), _on_step(cmd.UpdateStep, retry_limit=4),
    _on_step(cmd.UpdateStep, inputs={"y": 1}, sets_inputs=True),
)  # fmt: skip


@st.composite
def runs(draw: st.DrawFn, most: int = 60) -> Run:
    """Draw a history of a random graph."""
    definition = draw(definitions(most))
    extra = draw(st.integers(0, 7))
    skippable = tuple(step.name for step in definition.step_templates if step.skippable)
    bypass = skippable if extra & 1 else ()
    run = Run(definition, bypass, START + 5 * SECOND if extra & 6 == 6 else None)
    seed = Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.sampled_from((3, 10, 25, 60, 120, 250)))):
        run.move(seed.getrandbits(40))
    return run


def finish(run: Run, code: int) -> None:
    """Go on until the task ends, with no operator left asleep: pauses end, waits end, what may start starts.

    Bounded by what is left: each step has at most its budget of attempts, and each of them at most three commands.
    """
    bound = 10 + sum(4 * (run.task.limit(number) + 1) for number in range(len(run.task.steps)))
    for _ in range(bound):
        if run.task.status not in LIVE:
            return
        code = code * 6364136223846793005 + 1442695040888963407 & 2**64 - 1
        _push(run, code >> 33)
    message = f"the task did not end within {bound} commands: {run.task}"
    raise AssertionError(message)


def _push(run: Run, code: int) -> None:
    """Do one thing that is due, or move the clock to the next one."""
    if run.task.pause is not None:
        run.give(cmd.ResumeTask(now=run.now))
        return
    items = sorted(item for number, item in work(run.task).items() if number >= 0)
    assert items, "a live task has something to do"
    acting = [item for item in items if item.kind is not WorkKind.READY]
    item = acting[code % len(acting)] if acting else min(items, key=lambda one: (one.due or 0, one.rank))
    run.now = max(run.now, item.due or 0)
    name = run.definition.graph.names[item.step]
    if item.kind is WorkKind.RUNNING:
        outcome = (_done, _done, _fail, _wait)[code % 4]
        run.give(outcome(run, run_place(run, name), code))
    elif item.kind is WorkKind.WAITING:
        ending = _expire_wait if item.due is not None and code & 1 else _complete_step
        run.give(ending(run, run_place(run, name), code))
    else:
        startable = [number for number in run.definition.graph.order if number in {one.step for one in items}]
        for number in [item.step, *startable]:
            before = run.task
            run.give(cmd.StartStep(now=run.now, step=run.definition.graph.names[number], worker_id="w"))
            if run.task is not before:
                return


def run_place(run: Run, name: str) -> int:
    """Give the place of a step among those of its status, which `Run.pick` takes."""
    status = run.task.step(name).status
    same = [number for number, state in enumerate(run.task.steps) if state.status is status]
    return same.index(run.task.number(name))
