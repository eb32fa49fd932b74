"""`Intake`: a batch of messages becomes tasks, in one append where it can; what cannot become one is given a reason.

What decides whether a message may be acknowledged stands here; who consumed it, and how, does not matter.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tasker.errors import LogUnavailable, Overloaded, TaskerError, UnknownDefinition
from tasker.instrument import count, logger
from tasker.kafka.errors import Unsettled
from tasker.kafka.message import UNKNOWN_SINCE
from tasker.kafka.reading import Reason, Refusal, read, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tasker.domain.definition import TaskDefinition
    from tasker.handlers.views import Task
    from tasker.kafka.message import Incoming
    from tasker.runtime.request import TaskRequest
    from tasker.settings import Settings

PATIENCE_SECONDS = 60.0
"""How long a request waits for a worker that knows its definition: a newer release may be on its way."""
_AGAIN_SECONDS = 0.2
_ALWAYS_UNIQUE = "always_unique"
_ROOM = 65_536  # bytes of a request around its context
_ESCAPED = 6  # bytes that JSON may take for one byte of the context as it is stored
_log = logger("kafka")

Pending = list[tuple["Incoming", "TaskRequest"]]


class Application(Protocol):
    """What intake needs of a `Tasker`."""

    def submit_many(
        self,
        requests: Iterable[TaskRequest | Mapping[str, object]],
        *,
        metadata: Iterable[Mapping[str, str] | None] = (),
    ) -> list[Task | TaskerError]:
        """Accept requests with their trace ids; durable when it returns, with a task or an error for each."""

    def definition(self, name: str, namespace: str = "default", version: str | None = None) -> TaskDefinition:
        """Give a registered definition, or raise `UnknownDefinition`."""


class Taken(NamedTuple):
    """What became of a batch; every message is in exactly one of these.

    Attributes:
        accepted: Messages with their durable tasks.
        dead: Messages with the reason why they are none: to be written to the dead letters.
        later: Messages whose definition nobody here knows yet: to be published again.
    """

    accepted: list[tuple[Incoming, Task]]
    dead: list[tuple[Incoming, Refusal]]
    later: list[Incoming]


class Intake:
    """Takes batches of messages. A message taken twice becomes one task."""

    def __init__(
        self,
        app: Application,
        settings: Settings,
        cluster_id: str,
        *,
        patience: float = PATIENCE_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Take the application.

        Args:
            app: Where tasks are made.
            settings: Sizes and the default of identities count.
            cluster_id: The id of the broker's cluster, part of the identity of a request without a key.
            patience: Seconds for which an unknown definition is waited for.
            now: The time of the day in seconds.
        """
        self._app = app
        self._cluster = cluster_id
        self._strategy = settings.identity.strategy
        self._largest = settings.sizes.context * _ESCAPED + _ROOM
        self._patience = patience
        self._now = now

    def take(self, messages: Sequence[Incoming], stopping: Callable[[], bool] = lambda: False) -> Taken:
        """Make tasks of messages; they may be acknowledged when the dead and the late ones were written too.

        While the log fails or is overloaded this tries again, and does not return.

        Raises:
            Unsettled: `stopping` said so before everything was settled: acknowledge nothing of the batch.
        """
        taken = Taken([], [], [])
        pending: Pending = []
        for message in messages:
            found = self._read(message)
            if isinstance(found, Refusal):
                self._refuse(message, found, taken)
            else:
                pending.append((message, found))
        while pending:
            pending = self._submit(pending, taken)
            if pending:
                if stopping():
                    raise Unsettled(
                        f"{len(pending)} requests were not accepted before the stop; Kafka brings them again"
                    )
                time.sleep(_AGAIN_SECONDS)
        return taken

    def _read(self, message: Incoming) -> TaskRequest | Refusal:
        """Read a request, and see to it that one which comes twice is one task."""
        request = read(message, largest=self._largest)
        if isinstance(request, Refusal) or request.idempotency_key is not None:
            return request
        try:
            definition = self._app.definition(request.name, request.namespace, request.version)
        except UnknownDefinition as error:
            return refusal(error)
        if (definition.identity_strategy or self._strategy) != _ALWAYS_UNIQUE:
            return request  # what it says is its identity, wherever it was published
        return replace(request, idempotency_key=message.source(self._cluster))

    def _submit(self, pending: Pending, taken: Taken) -> Pending:
        """Submit requests together; give those that have to be submitted again."""
        again: Pending = []
        for (message, request), answer in zip(pending, self._answers(pending), strict=True):
            if isinstance(answer, LogUnavailable | Overloaded):
                again.append((message, request))
            elif isinstance(answer, Exception):
                self._refuse(message, refusal(answer), taken)
            else:
                taken.accepted.append((message, answer))
        if again:
            _log.warning("%s requests wait: the log fails or is overloaded; nothing is acknowledged", len(again))
        return again

    def _answers(self, pending: Pending) -> Sequence[Task | Exception]:
        try:
            requests = [request for _, request in pending]
            return self._app.submit_many(requests, metadata=[message.trace for message, _ in pending])
        except Exception as error:  # noqa: BLE001 - one request must not hold up those behind it
            if len(pending) == 1:
                _log.exception("a request met a fault of the program")
                return [error]
            return [answer for one in pending for answer in self._answers([one])]

    def _refuse(self, message: Incoming, why: Refusal, taken: Taken) -> None:
        if why.reason is Reason.UNKNOWN_DEFINITION and self._may_wait(message):
            taken.later.append(message)
            return
        count("tasker.kafka_dead", reason=why.reason.value)
        place = f"{message.topic}/{message.partition}/{message.offset}"
        _log.warning("message %s is no task and goes to the dead letters (%s): %s", place, why.reason.value, why.text)
        taken.dead.append((message, why))

    def _may_wait(self, message: Incoming) -> bool:
        since = message.header(UNKNOWN_SINCE)
        return since is None or not since.isdecimal() or self._now() - int(since) / 1000 < self._patience
