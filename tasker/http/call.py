"""One call: who calls, with which permission, what was sent; and the guard at every route that makes it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tasker.errors import Conflict, InvalidRequest, UnknownDefinition, UnknownTask
from tasker.http import body
from tasker.http.auth import Found, Principal, authenticator, forbidden, unauthorized
from tasker.http.masking import Mask
from tasker.runtime.operations import By

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pydantic import BaseModel
    from starlette.datastructures import Headers

    from tasker.handlers.views import Task
    from tasker.http.feed import Feed
    from tasker.http.health import Remembered
    from tasker.http.models import Command
    from tasker.runtime.engine import Engine
    from tasker.runtime.reading import At

    _Model = TypeVar("_Model", bound=BaseModel)

POSITION = "Tasker-Position"
MANY = "type"
"""The one parameter of the query that may be repeated."""
HIGHEST = 2**63 - 1
"""The highest position or version that any store holds."""


@dataclass(frozen=True, slots=True)
class Service:
    """What all calls share.

    Attributes:
        engine: The use cases.
        authenticate: Tells who calls.
        feed: The events as they come, for server-sent events.
        status: How everything stands.
        most: Bytes of a body at most.
    """

    engine: Engine
    feed: Feed
    status: Remembered
    authenticate: Callable[[Request], Awaitable[Found]]
    most: int

    @classmethod
    def of(cls, engine: Engine, feed: Feed, status: Remembered) -> Service:
        """Put it together from the settings.

        Raises:
            InvalidDefinition: A key's hash is none, or the authenticator does not exist.
        """
        settings = engine.context.settings
        return cls(engine, feed, status, authenticator(settings), settings.sizes.event)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of somebody who may.

    Attributes:
        service: What all calls share.
        principal: Who calls.
        permission: By which permission.
        headers: What was sent with it.
        raw: The bytes of its body.
    """

    service: Service
    principal: Principal
    permission: str
    headers: Headers
    raw: bytes = field(default=b"", repr=False)

    @property
    def engine(self) -> Engine:
        """Give the use cases."""
        return self.service.engine

    @property
    def mask(self) -> Mask:
        """Give what hides values from this caller."""
        context = self.engine.context
        whole = self.principal.may("context:read")
        return Mask(context.redactor, context.settings.telemetry.mask, whole=whole)

    def fields(self, model: type[_Model]) -> _Model:
        """Give the checked body."""
        return body.checked(model, self.raw)

    def task(self, task_id: str, at: At = None) -> Task:
        """Give a task that the caller may know of.

        Raises:
            UnknownTask: There is none, or it lies in a namespace of others, which reads alike.
        """
        task = self.engine.reading.task(task_id, None)
        if not self.principal.sees(task.namespace):
            raise UnknownTask(f"expected the id of a task of this log, found {task.id}, which it does not hold")
        if at is None:
            return task
        if isinstance(at, int) and at > task.stream_version:
            message = f"expected as version at most {task.stream_version}, which task {task.id} has reached, found {at}"
            raise UnknownTask(message)
        return self.engine.reading.task(task_id, at)

    def check_namespace(self, namespace: str) -> None:
        """Refuse a namespace that the caller names and may not look into."""
        if not self.principal.sees(namespace):
            raise forbidden(self.principal, self.permission, namespace)

    def check_definition(self, namespace: str, name: str) -> None:
        """Refuse a definition of a namespace of others; it reads as if there were none."""
        if not self.principal.sees(namespace):
            raise UnknownDefinition(f"no definition {name!r} is registered in the namespace {namespace!r}.")

    def by(self, reason: str | None) -> By:
        """Say who asks for a command, and why."""
        return By(self.principal.name, reason)

    def asks(self, sent: Command) -> By:
        """Say who asks for a command on a task, why, and which version of it they have seen."""
        return By(self.principal.name, sent.reason, sent.expected_version)

    def check_reached(self, position: int | None) -> None:
        """Refuse to read as of a position that the log has not: a write has told of it, so another log is meant.

        Raises:
            Conflict: The log has not come so far.
        """
        if position is not None and (head := self.engine.context.log().head()) < position:
            message = (
                f"expected a position that a write of this log has told, found at_least={position}, but its last event "
                f"stands at {head}; ask without at_least, or ask the server that answered the write"
            )
            raise Conflict(message, field="at_least")


class Needs:
    """The guard of a route: tells who calls, refuses who may not, and reads the body only then."""

    def __init__(self, permission: str, *, sends: bool = False) -> None:
        """Take the permission, and whether the route takes a body."""
        self.permission = permission
        self._sends = sends

    async def __call__(self, request: Request) -> Call:
        """Let a request in.

        Raises:
            Refused: Nobody known calls, or somebody who may not.
        """
        service: Service = request.app.state.service
        principal = await service.authenticate(request)
        if principal is None:
            raise unauthorized(self.permission)
        if not principal.may(self.permission):
            raise forbidden(principal, self.permission)
        _check_query(request)
        raw = await body.read(request, service.most) if self._sends else b""
        return Call(service, principal, self.permission, request.headers, raw)


def _check_query(request: Request) -> None:
    """Refuse a parameter that is given twice and means one thing: which of the two counts is anybody's guess.

    Raises:
        InvalidRequest: There is one.
    """
    counts = Counter(name for name, _ in request.query_params.multi_items())
    wrong = {f"query.{name}": "expected once, found again" for name in counts if counts[name] > 1 and name != MANY}
    if wrong:
        raise InvalidRequest("; ".join(f"{path}: {text}" for path, text in wrong.items()), problems=wrong)


def reply(
    content: object, *, status: int = 200, position: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with JSON.

    Args:
        content: What is shown.
        status: The HTTP status.
        position: Of the last event of what was written.
        headers: Further headers.
    """
    more = {} if position is None else {POSITION: str(position)}
    return Response(orjson.dumps(content), status, more | dict(headers or {}), media_type="application/json")
