"""Sessions of browsers: an opaque id in a cookie, the key that was signed in with on this side only, tokens for forms.

A session that has not signed in needs no memory: its token is derived from its id. A key is kept, and not what it may,
so that a token that expires ends the session with it.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HOURS = 12
"""For which somebody stays signed in."""
MOST = 10_000
"""Sessions that are kept; beyond, the oldest ends."""


class Sessions:
    """The sessions of one process; they end with it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take what tells the time, in seconds."""
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._signed: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self) -> str:
        """Give the id of a new session."""
        return secrets.token_urlsafe(32)

    def token(self, session: str) -> str:
        """Give what every form of a session carries."""
        return hmac.new(self._secret, session.encode(), sha256).hexdigest()

    def accepts(self, session: str | None, token: str) -> bool:
        """Say whether a form with this token is of this session."""
        expected = "" if session is None else self.token(session)
        return bool(expected) and hmac.compare_digest(expected.encode(), token.encode())

    def sign_in(self, key: str) -> str:
        """Keep a key; gives the id of its session, which is a new one, so that nobody can have known it before."""
        session = self.begin()
        with self._lock:
            self._signed[_kept(session)] = (self._clock() + HOURS * 3600, key)
            while len(self._signed) > MOST:
                self._signed.popitem(last=False)
        return session

    def key(self, session: str | None) -> str | None:
        """Give the key of a session that has signed in and is not over."""
        if session is None:
            return None
        with self._lock:
            until, key = self._signed.get(_kept(session), (0.0, ""))
            if until > self._clock():
                return key
            self._signed.pop(_kept(session), None)
        return None

    def sign_out(self, session: str | None) -> None:
        """Forget the key of a session; safe to repeat."""
        with self._lock:
            self._signed.pop(_kept(session or ""), None)


def _kept(session: str) -> bytes:
    """Hash an id, so that what this process holds is nothing that a browser could send."""
    return sha256(session.encode()).digest()
