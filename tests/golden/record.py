"""Record a golden log: a few tasks that use every event, with fixed ids, times and salts.

Run once for each release that changes what is written, into a folder that does not exist yet:

    python -m tests.golden.record v0.2.0

A recorded folder is never recorded anew; today's code must fold it to the states that stand beside it.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path

from tasker.codec import definition as plans
from tasker.codec.chain import event_hash, header_bytes, payload_hash, stream_root
from tasker.codec.decode import text_id
from tasker.codec.encode import encode
from tasker.codec.rows import NewEvent, StoredEvent, StreamHeader
from tasker.domain import commands as cmd
from tasker.domain import events as ev
from tasker.domain.decide import react
from tasker.domain.definition import StepTemplate, TaskDefinition
from tasker.domain.status import TaskStatus
from tasker.domain.task import SECOND, Task, blank, evolve
from tests.golden.portable import row_json, state_json

LOG_ID = bytes(range(16))
START = 1_795_269_600 * SECOND
CUSTOM = 1000
CONTROL = bytes.fromhex("00000000000080008000000000000001")
WHO = {"actor": "ann", "reason": "on request"}


def fixed(*parts: object) -> bytes:
    """Give 16 bytes that depend on nothing but the names."""
    return sha256(repr(parts).encode()).digest()[:16]


class Teller:
    """Tells what happens to one task."""

    def __init__(
        self, name: str, *steps: StepTemplate, request: dict[str, object] | None = None, **keys: object
    ) -> None:
        """Create the task."""
        self.name = name
        self.definition = TaskDefinition(**{"name": name, "namespace": "golden", "step_templates": steps, **keys})
        self.plan = plans.encode(self.definition)
        self.now = START
        self.stream_id = fixed("stream", name)
        self.task = blank(text_id(self.stream_id), self.definition)
        self.events: list[ev.TaskStreamEvent] = []
        self.identity = sha256(name.encode()).digest() if request and request.get("identity") else None
        self.header = StreamHeader(
            "golden", name, self.definition.version, plans.digest(self.plan), "correlation-7", self.identity
        )
        fields = {
            "definition_digest": self.header.definition_digest.hex(),
            "context": {"order_id": 7, "name": "Zoë", "nested": {"list": [1, 2.5, None, True]}},
            "initiator": "api",
            "source_system": "shop",
            "reason": "first order",
            "tags": ("blue", "vip"),
            "priority": 5,
            "bypass_steps": (),
            "not_before": None,
            "correlation_id": "correlation-7",
            "parent": None,
            "requested_at": START - SECOND,
        }
        given = {**fields, **(request or {}), "identity": None if self.identity is None else self.identity.hex()}
        self.do(cmd.CreateTask, **given)

    def do(self, command: type[cmd.Command], **fields: object) -> Teller:
        """Give a command, a second after the last."""
        self.now += SECOND
        events, self.task = react(self.task, command(now=self.now, **fields))
        assert events, f"{command.__name__} did nothing"
        self.events += events
        return self

    def start(self, step: str) -> Teller:
        """Start a step."""
        return self.do(cmd.StartStep, step=step, worker_id="worker-1")

    def report(self, kind: type[cmd.ReportStep], step: str, **fields: object) -> Teller:
        """Report on the running attempt."""
        return self.do(kind, step=step, attempt=self.task.step(step).attempt, **fields)

    def complete(self, *steps: str, **fields: object) -> Teller:
        """Start and complete steps."""
        for step in steps:
            self.start(step).report(
                cmd.ReportStepCompleted, step, results={"step": step, "value": [1, "zwei"]}, duration=0.25, **fields
            )
        return self

    def fail(self, step: str, kind: str = ev.RETRYABLE, **fields: object) -> Teller:
        """Start and fail a step."""
        error = ev.StepError("shop.Error", "kaputt: ä", kind, "line 1\nline 2", 503, "E1", {"at": 3})
        return self.start(step).report(cmd.ReportStepFailed, step, error=error, jitter=0.5, duration=0.5, **fields)


def step(name: str, *parents: str, **keys: object) -> StepTemplate:
    """Declare a step."""
    return StepTemplate(**{"name": name, "handler_class": f"shop:{name}", "depends_on_steps": parents, **keys})


def tellers() -> list[Teller]:
    """Tell all tasks; together they use every event and each of its variants."""
    waiting = {"reason": "approval", "timeout_seconds": 60.0}
    plain = Teller("plain", step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"), request={"identity": True})
    plain.complete("a", "b", "c").complete("d", annotations=(cmd.Annotation("summary", {"steps": 4}),))
    custom = Teller("custom", step("a"), concurrent=False, request={"parent": ev.Parent(plain.task.id, "d")})
    published = (cmd.Publication("order.paid", {"n": 1}), cmd.Publication("order.seen", {}, always=True))
    custom.fail("a", published=published)
    custom.now += 10 * SECOND
    custom.complete("a", published=published)
    skipped = Teller("skipped", step("a", skippable=True), step("b", "a"), request={"bypass_steps": ("a",)})
    skipped.complete("b")
    return [plain, custom, skipped, Teller("empty"), *_operated(waiting), *_lost(), *_ended(waiting)]


def _operated(waiting: dict[str, object]) -> list[Teller]:
    operated = Teller("operated", step("a"), step("b", "a"), step("c", "b"), request={"not_before": START})
    operated.do(cmd.PauseTask, **WHO).do(cmd.ResumeTask, **WHO)
    operated.do(cmd.UpdateTask, actor="ann", reason="second thoughts", tags=("green",))
    operated.do(cmd.UpdateStep, step="b", inputs={"x": 1}, sets_inputs=True, retry_limit=5, **WHO)
    operated.fail("a", ev.PERMANENT).do(cmd.RetryTask, **WHO).complete("a")
    operated.start("b").report(cmd.ReportStepWaiting, "b", **waiting)
    operated.do(cmd.CompleteStep, step="b", results={"approved": True}, **WHO)
    operated.start("c").do(cmd.ResolveStep, step="c", results="by hand", **WHO)
    operated.do(cmd.AnnotateTask, annotation_type="note", annotation={"text": "ok"}, **WHO)
    reset = Teller("reset", step("a", default_retry_limit=2))
    reset.fail("a", retry_after=7.0).do(cmd.ResetStep, step="a", rerun=True, **WHO).complete("a")
    return [operated, reset]


def _lost() -> list[Teller]:
    lost = Teller("lost", step("a"), step("once", default_retryable=False))
    lost.start("a").do(cmd.AbandonStep, step="a", attempt=1, reason=ev.WORKER_LOST, jitter=0.25)
    lost.now += 10 * SECOND
    lost.start("a").do(cmd.AbandonStep, step="a", attempt=2, reason=ev.WORKER_STOPPED, jitter=0.25)
    lost.start("once").do(cmd.AbandonStep, step="once", attempt=1, reason=ev.WORKER_LOST, jitter=0.25)
    lost.complete("a")
    lost.do(cmd.ResolveTask, **WHO)
    return [lost]


def _ended(waiting: dict[str, object]) -> list[Teller]:
    cancelled = Teller("cancelled", step("a"), step("b", "a"), step("c"), request={"tags": ()})
    cancelled.start("a").do(cmd.CancelStep, step="c", **WHO).do(cmd.CancelTask, **WHO)
    expired = Teller("expired", step("a"), step("b", "a"), timeout_seconds=30)
    expired.start("a").report(cmd.ReportStepWaiting, "a", **{**waiting, "timeout_seconds": None})
    expired.now += 60 * SECOND
    expired.do(cmd.ExpireTask)
    erased = Teller("erased", step("a", default_retry_limit=1), step("b", "a"))
    erased.do(cmd.AnnotateTask, annotation_type="person", annotation={"name": "Zoë"}, **WHO)
    erased.fail("a").do(cmd.EraseTask, **WHO)
    erased.do(cmd.AnnotateTask, annotation_type="note", annotation={"kept": True}, **WHO)
    return [cancelled, expired, erased]


class Recorder:
    """Puts events into a log: places, salts, hashes."""

    def __init__(self) -> None:
        """Begin with an empty log."""
        self.rows: list[StoredEvent] = []
        self._codes: dict[str, int] = {}
        self._ends: dict[bytes, tuple[int, bytes]] = {}

    def append(self, stream_id: bytes, header: StreamHeader, new: NewEvent) -> None:
        """Append one event."""
        position = len(self.rows) + 1
        root = stream_root(LOG_ID, stream_id, header_bytes(*header))
        version, previous = self._ends.get(stream_id, (0, root))
        code = new.code or self._codes.setdefault(new.type, CUSTOM + len(self._codes))
        event = new._replace(code=code)
        salt = None if event.payload is None else fixed("salt", position)
        digest = None if event.payload is None else payload_hash(fixed("salt", position), event.payload)
        found = event_hash(previous, position, stream_id, version + 1, event[:12], digest)
        self._ends[stream_id] = (version + 1, found)
        self.rows.append(StoredEvent(position, stream_id, version + 1, *event, salt, digest, found, header))

    def erase(self, stream_id: bytes) -> None:
        """Drop the payloads of a stream, as the log does with `task.erased`."""
        self.rows = [row._replace(payload=None, salt=None) if row.stream_id == stream_id else row for row in self.rows]


def recorded(told: list[Teller]) -> tuple[list[StoredEvent], dict[str, Task]]:
    """Put all that was told into one log, in the order of time; give its rows and the states by task name."""
    recorder = Recorder()
    states = {one.name: blank(one.task.id, one.definition) for one in told}
    places = [(event.at, number, place) for place, one in enumerate(told) for number, event in enumerate(one.events)]
    for at, number, place in sorted(places):
        teller, event = told[place], told[place].events[number]
        if isinstance(event, ev.TaskErased):
            recorder.erase(teller.stream_id)
        state = states[teller.name] = evolve(states[teller.name], event)
        name = getattr(event, "step", None)
        ordinal = None if name is None else teller.definition.graph.ordinal[name]
        ids = {"event_id": fixed("event", teller.name, number), "causation_id": fixed("cause", at) if number else None}
        metadata = b'{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}' if number % 2 else None
        row = encode(event, number=ordinal, status=state.status, metadata=metadata, **ids)
        recorder.append(teller.stream_id, teller.header, row)
    _control(recorder)
    return recorder.rows, states


def _control(recorder: Recorder) -> None:
    header = StreamHeader("$control", "$control", "1", bytes(32), None, None)
    for number, kind in enumerate((ev.ControlPaused, ev.ControlResumed)):
        event = kind(at=START, scope="namespace:golden", **WHO)
        row = encode(event, event_id=fixed("control", number), number=None, status=TaskStatus.PENDING)
        recorder.append(CONTROL, header, row)


def record(folder: Path) -> None:
    """Write a golden log into a new folder."""
    folder.mkdir()
    told = tellers()
    rows, states = recorded(told)
    lines = [{"log_id": LOG_ID.hex(), "head": len(rows)}, *(row_json(row) for row in rows)]
    definitions = [{"digest": one.header.definition_digest.hex(), "bytes": one.plan.decode()} for one in told]
    _write(folder / "log.jsonl", lines)
    _write(folder / "definitions.jsonl", definitions)
    shown = {state.id: state_json(state) for state in states.values()}
    text = json.dumps(shown, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / "states.json").write_text(f"{text}\n", "utf-8")


def _write(path: Path, lines: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n" for line in lines), "utf-8")


if __name__ == "__main__":
    record(Path(__file__).parent / sys.argv[1])
