"""One request as pages see it: where the application is mounted, its session, and the answer with its headers."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tasker.http.auth import is_open
from tasker.http.health import versions
from tasker.http.page.picture import HEIGHT, WIDTH
from tasker.http.page.sessions import HOURS, Sessions
from tasker.http.page.showing import as_json, as_seconds, as_words

if TYPE_CHECKING:
    from starlette.requests import Request

    from tasker.http.call import Service

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # With no-referrer, which the API says, a browser would not tell the origin of a form.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Vary": "Cookie",
}
STATIC = {"tasker.css": "text/css", "tasker.js": "text/javascript"}
_PORT = re.compile(r":(\d{1,5})$")
_OWN_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")


class Frame:
    """One request, whoever sends it.

    Attributes:
        request: The request.
        service: What all requests share.
        base: The path under which the application is mounted; empty at the root.
        session: The id in the browser's cookie, or None.
    """

    def __init__(self, request: Request) -> None:
        """Take the request."""
        self.request = request
        self.service: Service = request.app.state.service
        self.sessions: Sessions = request.app.state.sessions
        self.base = str(request.scope.get("root_path", "")).rstrip("/")
        # Browsers send cookies to every port of a host.
        port = _PORT.search(request.headers.get("host", ""))
        self._cookie = f"tasker_session_{port[1] if port else 'default'}"
        self.session = request.cookies.get(self._cookie)
        self._given = self.session

    @property
    def open(self) -> bool:
        """Say whether nobody has to sign in."""
        return is_open(self.service.engine.context.settings)

    @property
    def signed_in(self) -> bool:
        """Say whether somebody has signed in in this session."""
        return self.sessions.key(self.session) is not None

    def render(self, template: str, status: int = 200, **values: object) -> Response:
        """Answer with a page.

        Args:
            template: Its name.
            status: The HTTP status.
            values: What it shows.
        """
        self.session = self.session or self.sessions.begin()
        common = {
            "base": self.base,
            "token": self.sessions.token(self.session),
            "asset": asset,
            "open": self.open,
            "signed_in": self.signed_in,
            "who": None,
            "here": "",
            "release": versions()["tasker"],
        }
        text = environment().get_template(template).render(common | values)
        return self._with_cookie(HTMLResponse(text, status, HEADERS))

    def again(self) -> Response:
        """Answer with a page that loads itself again, and leaves the cookies as they are."""
        return HTMLResponse(environment().get_template("again.html").render(base=self.base, asset=asset), 200, HEADERS)

    def redirect(self, path: str) -> Response:
        """Lead on to a page of this application; whatever is none leads to the first one."""
        place = path if _OWN_PATH.fullmatch(path) else "/"
        return self._with_cookie(RedirectResponse(f"{self.base}{place}", 303, HEADERS))

    def _with_cookie(self, response: Response) -> Response:
        if self.session is not None and self.session != self._given:
            secure = "https" in {self.request.url.scheme, self.request.headers.get("x-forwarded-proto")}
            response.set_cookie(
                self._cookie,
                self.session,
                max_age=HOURS * 3600,
                path=self.base or "/",
                secure=secure,
                httponly=True,
                samesite="strict",
            )
        return response


@cache
def environment() -> Environment:
    """Give the templates; whatever they show is escaped."""
    made = Environment(
        loader=PackageLoader("tasker.http.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"box_width": WIDTH, "box_height": HEIGHT}
    made.filters |= {"as_json": as_json, "as_words": as_words, "as_seconds": as_seconds}
    return made


@cache
def content(name: str) -> bytes:
    """Give the content of a file that pages load."""
    return (files("tasker.http.page") / "static" / name).read_bytes()


@cache
def asset(name: str) -> str:
    """Give the path of a file that pages load; another content has another path, so that it may be kept for long."""
    return f"/static/{sha256(content(name)).hexdigest()[:12]}/{name}"
