"""Signing in with a key, and out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.errors import TaskerError
from tasker.http.page.frame import Frame
from tasker.http.page.visit import checked_form, known, refused

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_LONGEST_KEY = 8_192


async def sign_in_page(request: Request) -> Response:
    """Ask for a key."""
    return Frame(request).render("sign_in.html", next=request.query_params.get("next", "/"), wrong=False)


async def sign_in(request: Request) -> Response:
    """Take a key; the browser gets an id in its place."""
    frame = Frame(request)
    try:
        form = await checked_form(frame)
        key, onwards = form.get("key", "").strip(), form.get("next", "/")
        if not 0 < len(key) <= _LONGEST_KEY or await known(frame, key) is None:
            return frame.render("sign_in.html", 401, next=onwards, wrong=True)
    except TaskerError as error:
        return refused(frame, error)
    frame.sessions.sign_out(frame.session)
    frame.session = frame.sessions.sign_in(key)
    return frame.redirect(onwards)


async def sign_out(request: Request) -> Response:
    """Forget the key."""
    frame = Frame(request)
    try:
        await checked_form(frame)
    except TaskerError as error:
        return refused(frame, error)
    frame.sessions.sign_out(frame.session)
    frame.session = frame.sessions.begin()
    return frame.redirect("/sign-in")
