"""Accept requests: find the definition, check the context, make the identity, append `task.created`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.clock import micros
from tasker.codec.decode import decode, payload_of, text_id
from tasker.codec.jsonbytes import dumps
from tasker.domain.commands import CreateTask
from tasker.domain.definition import precedence
from tasker.domain.events import Parent, TaskCreated
from tasker.errors import Conflict, InvalidDefinition, TaskerError
from tasker.handlers.values import to_json
from tasker.runtime.identity import identity_digest, strict_identity
from tasker.runtime.metadata import encoded
from tasker.runtime.request import TaskRequest, request_of
from tasker.runtime.ticket import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tasker.definitions.registry import Entry
    from tasker.handlers.views import Task
    from tasker.runtime.context import Context

ALWAYS_UNIQUE, STRICT = "always_unique", "strict"
_CHUNK = 500


class Submission:
    """The use cases `submit` and `submit_many`."""

    def __init__(self, context: Context) -> None:
        """Take what use cases share."""
        self._context = context

    def submit(
        self,
        request: TaskRequest | Mapping[str, object] | None,
        values: Mapping[str, object],
        metadata: Mapping[str, str] | None = None,
    ) -> Task:
        """Accept one request; durable when it returns.

        Args:
            request: The request, or None.
            values: Its fields, where there is no request.
            metadata: Trace and request ids, recorded with `task.created`.

        Raises:
            InvalidRequest: A field, or the context by its schema, is wrong.
            UnknownDefinition: There is no such definition.
            Conflict: The identity has a task with another version, context or bypass_steps.
            PayloadTooLarge: The context is over its limit.
            Overloaded: Too many requests wait.
            LogUnavailable: The log failed; says whether the outcome is unknown.
        """
        asked = request_of(request, values)
        ticket = self._ticket(asked, metadata)
        self._context.commander.execute(ticket)
        return self._answer(asked, ticket)

    def submit_many(
        self,
        requests: Iterable[TaskRequest | Mapping[str, object]],
        metadata: Iterable[Mapping[str, str] | None] = (),
    ) -> list[Task | TaskerError]:
        """Accept many requests in few appends; gives a task or an error for each, in order.

        Args:
            requests: The requests.
            metadata: For each, in order, trace and request ids or None; those beyond its end have none.
        """
        answers: list[Task | TaskerError] = []
        ids = iter(metadata)
        for chunk in _chunks(requests):
            answers.extend(self._submit_chunk(chunk, ids))
        return answers

    def _submit_chunk(
        self, chunk: list[TaskRequest | Mapping[str, object]], metadata: Iterator[Mapping[str, str] | None]
    ) -> list[Task | TaskerError]:
        prepared: list[tuple[TaskRequest, Ticket] | TaskerError] = []
        for request in chunk:
            ids = next(metadata, None)
            try:
                asked = request_of(request, {})
                prepared.append((asked, self._ticket(asked, ids)))
            except TaskerError as error:
                prepared.append(error)
        self._context.commander.execute_all([one[1] for one in prepared if not isinstance(one, TaskerError)])
        return [one if isinstance(one, TaskerError) else self._settled(*one) for one in prepared]

    def _settled(self, asked: TaskRequest, ticket: Ticket) -> Task | TaskerError:
        try:
            if ticket.error is not None:
                raise ticket.error
            return self._answer(asked, ticket)
        except TaskerError as error:
            return error

    def _ticket(self, asked: TaskRequest, metadata: Mapping[str, str] | None) -> Ticket:
        context = self._context
        entry = context.definitions.find(asked.name, asked.namespace, asked.version)
        plain, written = to_json(asked.context, limit_bytes=context.settings.sizes.context, what="the context")
        entry.validate(plain if isinstance(plain, dict) else {})
        new_id = context.office.event_id()
        definition = entry.definition
        identity = self._identity(asked, entry, plain)
        digest = None if identity is None else identity_digest(definition.namespace, definition.name, identity)
        correlation = asked.valid_correlation_id
        command = CreateTask(
            now=context.office.now(),
            definition_digest=entry.digest.hex(),
            context=plain,
            initiator=asked.initiator,
            source_system=asked.source_system,
            reason=asked.reason,
            tags=tuple(asked.tags),
            priority=asked.priority,
            identity=None if digest is None else digest.hex(),
            bypass_steps=tuple(asked.bypass_steps),
            not_before=None if asked.not_before is None else micros(asked.not_before),
            correlation_id=correlation or text_id(new_id),
            parent=None if asked.parent is None else Parent(*asked.parent),
            requested_at=None if asked.requested_at is None else micros(asked.requested_at),
        )
        plan = context.plans.add(definition, entry.digest, entry.encoded)
        header = plan.header
        if correlation is not None or digest is not None:
            header = header._replace(correlation_id=correlation, identity=digest)
        ticket = Ticket(new_id, command, size=len(written), created=(plan, header))
        ticket.metadata = encoded(context.telemetry.inherited(metadata))
        return ticket

    def _identity(self, asked: TaskRequest, entry: Entry, plain: object) -> str | None:
        """Give the identity of a request: its key, else what the definition's strategy makes of it."""
        if asked.idempotency_key is not None:
            return f"key:{asked.idempotency_key}"
        strategy = entry.definition.identity_strategy or self._context.settings.identity.strategy
        if strategy == ALWAYS_UNIQUE:
            return None
        if strategy == STRICT:
            said = {
                "namespace": asked.namespace,
                "name": asked.name,
                "version": entry.definition.version,
                "context": plain,
                "initiator": asked.initiator,
                "source_system": asked.source_system,
                "reason": asked.reason,
                "bypass_steps": list(asked.bypass_steps),
            }
            return f"strict:{strict_identity(said)}"
        if callable(strategy) and isinstance(made := _called(strategy, asked), str):
            return f"own:{made}"
        message = (
            f"expected identity_strategy {ALWAYS_UNIQUE}, {STRICT} or a callable that gives a text, found {strategy!r}"
        )
        raise InvalidDefinition(message)

    def _answer(self, asked: TaskRequest, ticket: Ticket) -> Task:
        context = self._context
        command = ticket.command
        if ticket.known is not None:
            return context.view(ticket.known, created=True)
        if ticket.taken_by is None or not isinstance(command, CreateTask):
            raise TaskerError("a request was settled without a task; this is a fault of Tasker, please report it")
        known = context.streams.current(ticket.taken_by)
        self._compare(asked, command, ticket.taken_by)
        return context.view(known, created=False)

    def _compare(self, asked: TaskRequest, command: CreateTask, taken_by: bytes) -> None:
        """Refuse a repeated identity whose request says something else."""
        row = self._context.log().stream(taken_by, limit=1)[0]
        first = decode(row)
        if not isinstance(first, TaskCreated):
            raise TaskerError(f"expected task.created as first event of task {text_id(taken_by)}, found {row.type}")
        differing: list[tuple[str, object, object]] = []
        if asked.version is not None and precedence(asked.version) != precedence(first.version):
            differing.append(("version", first.version, asked.version))
        if row.payload is not None and dumps(command.context) != dumps(payload_of(row)):
            differing.append(("context", "another one", "this one"))
        if set(command.bypass_steps) != set(first.bypass_steps):
            differing.append(("bypass_steps", list(first.bypass_steps), list(command.bypass_steps)))
        for name, recorded, given in differing:
            message = (
                f"the identity of this request belongs to task {text_id(taken_by)}, whose {name} differs"
                f" (recorded: {recorded}, given: {given}); use another idempotency_key, or repeat the same request"
            )
            raise Conflict(message, field=name)


def _called(strategy: Callable[[TaskRequest], object], asked: TaskRequest) -> object:
    try:
        return strategy(asked)
    except Exception as error:
        message = f"expected identity_strategy to give a text, found that it raised {type(error).__qualname__}: {error}"
        raise InvalidDefinition(message) from error


def _chunks(
    requests: Iterable[TaskRequest | Mapping[str, object]],
) -> Iterator[list[TaskRequest | Mapping[str, object]]]:
    chunk: list[TaskRequest | Mapping[str, object]] = []
    for request in requests:
        chunk.append(request)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    yield chunk
