"""Errors as problem documents (RFC 9457): one table from the exceptions of Tasker to status, title and fields."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from tasker import errors
from tasker.instrument import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.requests import Request

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1
_LONGEST = 2_000  # characters of a text: an error may quote what the caller sent
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")
_log = logger("http")


class Refused(errors.TaskerError):
    """What only HTTP refuses: a missing key, a missing permission, a body that is no JSON.

    Attributes:
        status: The HTTP status.
        title: What kind of refusal it is, in a few words.
        fields: Further members of the problem document.
        headers: Further headers.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        title: str,
        fields: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep everything for the answer."""
        super().__init__(message)
        self.status = status
        self.title = title
        self.fields = dict(fields or {})
        self.headers = dict(headers or {})


class Kind(NamedTuple):
    """How one class of errors is answered.

    Attributes:
        status: The HTTP status.
        title: What happened, in a few words; the same for every error of the class.
        members: Which attributes of the error stand in the document, under which names.
        retry: Whether the caller is asked to try again.
    """

    status: int
    title: str
    members: Mapping[str, str] = {}
    retry: bool = False


KINDS: Mapping[type[errors.TaskerError], Kind] = {
    errors.InvalidRequest: Kind(422, "Invalid request", {"problems": "problems"}),
    errors.InvalidDefinition: Kind(500, "Invalid definition", {"where": "where"}),
    errors.UnknownTask: Kind(404, "Unknown task"),
    errors.UnknownStep: Kind(404, "Unknown step"),
    errors.UnknownDefinition: Kind(404, "Unknown definition"),
    errors.UnknownHandler: Kind(404, "Unknown handler"),
    errors.Conflict: Kind(409, "Conflict", {"field": "field"}),
    errors.NotAllowed: Kind(409, "Not allowed"),
    errors.StaleAttempt: Kind(409, "Stale attempt"),
    errors.PayloadTooLarge: Kind(413, "Payload too large"),
    errors.Overloaded: Kind(503, "Overloaded", retry=True),
    errors.LogUnavailable: Kind(503, "Log unavailable", {"outcome_unknown": "outcome_unknown"}, retry=True),
    errors.LogRewound: Kind(503, "Log rewound"),
    errors.ProjectionBehind: Kind(503, "Projection behind", retry=True),
    errors.WaitTimeout: Kind(504, "Wait timeout"),
    errors.UnsupportedEvent: Kind(501, "Unsupported event", {"position": "position", "type": "event_type"}),
    errors.ChainBroken: Kind(500, "Chain broken", {"position": "position", "expected": "expected", "found": "found"}),
    errors.RetryableError: Kind(500, "Retryable error"),
    errors.PermanentError: Kind(500, "Permanent error"),
    errors.TaskerError: Kind(500, "Error"),
}
"""Every class of the error tree; a test holds them against each other."""


def document(error: errors.TaskerError) -> tuple[dict[str, object], dict[str, str]]:
    """Give the problem document of an error, and the headers that go with it."""
    if isinstance(error, Refused):
        return problem(error.status, error.title, str(error), error.fields), error.headers
    kind = next(KINDS[cls] for cls in type(error).__mro__ if cls in KINDS)
    fields = {name: getattr(error, attribute) for attribute, name in kind.members.items()}
    headers = {"Retry-After": str(RETRY_SECONDS)} if kind.retry else {}
    return problem(kind.status, kind.title, str(error), fields), headers


def problem(status: int, title: str, detail: str, fields: Mapping[str, object]) -> dict[str, object]:
    """Put a problem document together."""
    name = _WORDS.sub("-", title).replace(" ", "-").lower()
    head: dict[str, object] = {
        "type": f"urn:tasker:problem:{name}",
        "title": title,
        "status": status,
        "detail": _clean(detail),
    }
    return head | {key: _cleaned(value) for key, value in fields.items()}


def answer(body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a problem document."""
    status = body["status"]
    code = status if isinstance(status, int) else 500
    return Response(orjson.dumps(body), code, dict(headers or {}), media_type=MEDIA_TYPE)


async def on_tasker_error(_: Request, error: Exception) -> Response:
    """Answer an error that was raised on purpose."""
    if not isinstance(error, errors.TaskerError):
        raise error
    body, headers = document(error)
    if body["status"] == KINDS[errors.TaskerError].status:
        _log.error("a request failed: %s", error)
    return answer(body, headers)


async def on_invalid(_: Request, error: Exception) -> Response:
    """Answer wrong parameters of the path or the query."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    problems = {".".join(str(part) for part in one["loc"]): str(one["msg"]) for one in found}
    told = "; ".join(f"{path}: {text}" for path, text in problems.items())
    kind = KINDS[errors.InvalidRequest]
    return answer(problem(kind.status, kind.title, told, {"problems": problems}))


async def on_http(request: Request, error: Exception) -> Response:
    """Answer what the router refuses: no such route, no such method."""
    if not isinstance(error, HTTPException):
        raise error
    title = {404: "Not found", 405: "Method not allowed"}.get(error.status_code, "Refused")
    detail = {
        404: "expected a path of this API, found another one; see /docs",
        405: "expected a method that this path has, found another one; the header Allow lists them",
    }
    text = detail.get(error.status_code, error.detail)
    headers = {**(error.headers or {})}
    if error.status_code == 405:  # noqa: PLR2004 - as above
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    return answer(problem(error.status_code, title, text, {}), headers)


def _methods(request: Request) -> set[str]:
    """Give the methods of a path; one path may be several routes."""
    found: set[str] = set()
    routes: Iterable[BaseRoute] = request.app.state.routes
    for route in routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return found


async def on_fault(request: Request, error: Exception) -> Response:
    """Answer a fault of the program, and keep what it is for the log of the process."""
    _log.error("a fault while answering %s %s", request.method, request.scope["path"], exc_info=error)
    return answer(problem(500, "Fault", "this is a fault of Tasker; its log has the details", {}))


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(str(key)): _cleaned(one) for key, one in value.items()}
    return [_cleaned(one) for one in value] if isinstance(value, list | tuple) else value


def _clean(text: str) -> str:
    """Cut a text, and write what is no Unicode as escapes."""
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return cut.encode("utf-8", "backslashreplace").decode()
