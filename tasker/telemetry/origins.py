"""The trace of a task: its id, the id of its root span and of each attempt's, derived from the task's id alone.

What is stored with `task.created` is the `traceparent` of whoever asked for the task; it names the trace, and the span
above the root. Without it the trace id is derived, too. So every process that meets a task knows its trace, and a span
that two processes might send (of an attempt whose worker was taken for dead) is the same span.
"""

from __future__ import annotations

from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.span import NonRecordingSpan

from tasker.codec.jsonbytes import mapping
from tasker.telemetry.routing import Routes

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace.sampling import Sampler

    from tasker.telemetry.facts import Fact

TASK_SPAN, STEP_SPAN, REPAIR_SPAN = "tasker.task", "tasker.step", "tasker.task.repair"
_MOST = 50_000
_SHARE_DROPPED = 10
_READ = TraceContextTextMapPropagator()


class Origin(NamedTuple):
    """The trace of one task.

    Attributes:
        root: The context of its root span.
        parent: The context of the span above that, if the request came with one.
        sampled: Whether anything of it is sent.
        fraction: Where the task stands between 0 and 1 for sampling.
        attributes: What every span of the task says; filled in by the first.
    """

    root: SpanContext
    parent: SpanContext | None
    sampled: bool
    fraction: float
    attributes: dict[str, Fact]

    def below(self, kind: str, stream_id: bytes, *numbers: int) -> SpanContext:
        """Give the context of a span of this task."""
        span_id = _id(kind, stream_id, *numbers)
        root = self.root
        return SpanContext(root.trace_id, span_id, is_remote=False, trace_flags=root.trace_flags)


class Origins:
    """Remembers the traces of tasks, within bounds. Thread-safe."""

    def __init__(self, sampler: Sampler, routes: Routes, metadata_of: Callable[[bytes], bytes | None]) -> None:
        """Start empty.

        Args:
            sampler: Decides for each trace; the same in every process that has the same variables.
            routes: The setting `telemetry.events`.
            metadata_of: Reads the metadata stored with the first event of a task; None if it cannot.
        """
        self._sampler = sampler
        self._routes = routes
        self._metadata_of = metadata_of
        self._born: dict[bytes, bytes | None] = {}
        self._known: dict[bytes, Origin] = {}
        self._lock = Lock()

    def born(self, stream_id: bytes, metadata: bytes | None) -> None:
        """Take the metadata of a task that was created here, to be spared reading it."""
        self._born[stream_id] = metadata
        _trim(self._born, self._lock)

    def of(self, stream_id: bytes) -> Origin:
        """Give the trace of a task."""
        known = self._known.get(stream_id)
        if known is None:
            metadata = self._born.pop(stream_id, b"")
            known = self._derived(stream_id, self._metadata_of(stream_id) if metadata == b"" else metadata)
            self._known[stream_id] = known
            _trim(self._known, self._lock)
        return known

    def _derived(self, stream_id: bytes, metadata: bytes | None) -> Origin:
        parent = parent_of(metadata)
        fraction = self._routes.fraction(stream_id)
        trace_id = _long_id(stream_id) if parent is None else parent.trace_id
        above = None if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())
        decided = self._sampler.should_sample(above, trace_id, TASK_SPAN, SpanKind.INTERNAL, {}, ())
        sampled = decided.decision is Decision.RECORD_AND_SAMPLE and self._routes.of("task.created").takes(fraction)
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        root = SpanContext(
            trace_id,
            _id(TASK_SPAN, stream_id),
            is_remote=False,
            trace_flags=flags,
            trace_state=None if parent is None else parent.trace_state,
        )
        return Origin(root, parent, sampled, fraction, {})


def parent_of(metadata: bytes | None) -> SpanContext | None:
    """Read the span above a task from what was stored with `task.created`; None if nothing was."""
    if metadata is None:
        return None
    carrier = {name: value for name, value in mapping(metadata).items() if isinstance(value, str)}
    found = get_current_span(_READ.extract(carrier, Context())).get_span_context()
    return found if found.is_valid else None


def _id(kind: str, stream_id: bytes, *numbers: int) -> int:
    """Derive the id of a span; 0 would be none."""
    place = b"".join(number.to_bytes(4, "big") for number in numbers)
    return int.from_bytes(sha256(kind.encode() + stream_id + place).digest()[:8], "big") or 1


def _long_id(stream_id: bytes) -> int:
    """Derive the id of a trace; a task's id itself is no good one: samplers want its last bits to be random."""
    return int.from_bytes(sha256(b"tasker.trace" + stream_id).digest()[:16], "big") or 1


def _trim(kept: dict[bytes, Origin] | dict[bytes, bytes | None], lock: Lock) -> None:
    """Drop the oldest tenth at once: a dict finds its oldest key slowly after many single removals."""
    if len(kept) > _MOST:
        with lock:
            for oldest in list(kept)[: _MOST // _SHARE_DROPPED]:
                kept.pop(oldest, None)
