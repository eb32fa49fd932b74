"""The guard at every page: who looks, with which permission; and for forms, that they come from a page of this server.

A browser sends its cookies also with what other sites make it send. So a form counts only if the browser says that it
comes from here, and if it carries the token of its session, which other sites cannot read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from tasker.errors import InvalidRequest, TaskerError
from tasker.http import problems
from tasker.http.auth import Principal, forbidden, unauthorized
from tasker.http.body import received
from tasker.http.call import Call
from tasker.http.page.frame import Frame
from tasker.http.page.showing import PageMask
from tasker.http.problems import Refused

if TYPE_CHECKING:
    from tasker.http.masking import Mask

FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 20
_DIGITS = 9
Page = Callable[["Visit"], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


class Visit:
    """A request of somebody who may.

    Attributes:
        frame: The request.
        call: Who calls, as the API knows it.
        form: What was sent, without the token.
    """

    def __init__(self, frame: Frame, call: Call, form: dict[str, str]) -> None:
        """Take what was checked."""
        self.frame = frame
        self.call = call
        self.form = form

    @property
    def mask(self) -> Mask:
        """Give what hides values on pages."""
        return PageMask(self.call)

    def may(self, permission: str) -> bool:
        """Say whether who looks has a permission."""
        return self.call.principal.may(permission)

    def parameter(self, name: str) -> str:
        """Give a parameter of the path."""
        return str(self.frame.request.path_params[name])

    def query(self, *names: str) -> dict[str, str]:
        """Give those parameters of the query that are not empty, as a form sends what was left out."""
        given = self.frame.request.query_params
        return {name: given[name] for name in names if given.get(name)}

    def number(self, name: str) -> int | None:
        """Give a whole number of the query, or None."""
        text = self.query(name).get(name)
        if text is None:
            return None
        if text.isascii() and text.isdecimal() and len(text) <= _DIGITS:
            return int(text)
        message = f"expected for {name} a whole number, found {text[:64]!r}"
        raise InvalidRequest(message, problems={f"query.{name}": message})

    def render(self, template: str, status: int = 200, **values: object) -> Response:
        """Answer with a page."""
        return self.frame.render(template, status, **{"who": self.call.principal, "may": self.may} | values)


def guarded(permission: str, page: Page) -> Endpoint:
    """Make a page that needs a permission; it is made in a thread."""

    async def endpoint(request: Request) -> Response:
        frame = Frame(request)
        try:
            if _comes_from_elsewhere(frame):
                return frame.again()
            form = await checked_form(frame) if request.method == "POST" else {}
            principal = await known(frame)
            if principal is None:
                return _stranger(frame, permission)
            if not principal.may(permission):
                raise forbidden(principal, permission)
            call = Call(frame.service, principal, permission, request.headers)
            return await run_in_threadpool(page, Visit(frame, call, form))
        except TaskerError as error:
            return refused(frame, error)

    return endpoint


async def known(frame: Frame, key: str | None = None) -> Principal | None:
    """Give who looks: by the request itself, or by a key, that of the session if none is given."""
    found = None if key else await frame.service.authenticate(frame.request)
    key = key or frame.sessions.key(frame.session)
    if found is not None or key is None:
        return found
    hidden = {b"authorization", b"x-api-key"}
    kept = [pair for pair in frame.request.scope["headers"] if pair[0].lower() not in hidden]
    headers = [*kept, (b"authorization", b"Bearer " + key.encode("latin-1", "replace"))]
    return await frame.service.authenticate(Request({**frame.request.scope, "headers": headers}))


async def checked_form(frame: Frame) -> dict[str, str]:
    """Read a form that a page of this server sent.

    Raises:
        Refused: It comes from elsewhere, has not the token of the session, or is no form.
        InvalidRequest: It has too many fields.
    """
    request = frame.request
    if not _is_own(request):
        message = "expected a form of this server, found one of another site; open the page here and send it again"
        raise Refused(message, status=403, title="Forbidden")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        message = f"expected a form ({FORM}), found {kind or 'none'}"
        raise Refused(message, status=415, title="Unsupported media type")
    raw = await received(request, frame.service.most)
    try:
        form = dict(parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        message = f"expected a form in UTF-8 of at most {_MOST_FIELDS} fields, found another one: {error}"
        raise InvalidRequest(message, problems={"form": message}) from None
    if not frame.sessions.accepts(frame.session, form.pop("token", "")):
        message = "expected the token of this session, found none or an old one; load the page again and send it anew"
        raise Refused(message, status=403, title="Forbidden")
    return form


def refused(frame: Frame, error: TaskerError) -> Response:
    """Answer an error with a page that says what to do."""
    body, headers = problems.document(error)
    status = body["status"]
    code = status if isinstance(status, int) else 500
    response = frame.render("refused.html", code, problem=body)
    response.headers.update({name: value for name, value in headers.items() if name != "WWW-Authenticate"})
    return response


def _stranger(frame: Frame, permission: str) -> Response:
    """Ask somebody unknown to sign in, where that is possible."""
    request = frame.request
    if frame.open or request.method != "GET":
        raise unauthorized(permission)
    path = request.url.path.removeprefix(frame.base)
    query = f"?{request.url.query}" if request.url.query else ""
    return frame.redirect(f"/sign-in?next={quote(path + query, safe='')}")


def _is_own(request: Request) -> bool:
    """Say whether the browser says that a form is of this server; by Origin where it does not say it plainly."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("origin", "").partition("://")[2] == request.headers.get("host")


def _comes_from_elsewhere(frame: Frame) -> bool:
    """Say whether a link of another site led here, so that the browser has kept the cookie back."""
    request = frame.request
    site = request.headers.get("sec-fetch-site")
    return request.method == "GET" and site == "cross-site" and frame.session is None and not frame.open
