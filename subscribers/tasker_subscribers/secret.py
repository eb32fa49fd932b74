"""`Secret`: a text that no log line, error or `repr` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "[FILTERED]"
_SHORTEST = 6  # characters; a shorter value would be found by chance in texts that have nothing to do with it


class Secret:
    """Holds a text; only `reveal` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Take the text."""
        self._text = text

    def reveal(self) -> str:
        """Give the text, for whoever sends it."""
        return self._text

    def __repr__(self) -> str:
        """Show that something is there."""
        return MASK


def inside(url: Secret) -> tuple[Secret, ...]:
    """Give a URL and the parts of it that a server may repeat: user, password, path and query, all but the host."""
    parts = urlsplit(url.reveal())
    values = (value for _, value in parse_qsl(parts.query))
    found = (parts.username, parts.password, *parts.path.split("/"), *values)
    return (url, *(Secret(text) for text in found if text))


def masked(text: str, secrets: Iterable[Secret]) -> str:
    """Give a text without the secrets in it: a server may send back what it was sent."""
    for secret in secrets:
        if len(secret.reveal()) >= _SHORTEST:
            text = text.replace(secret.reveal(), MASK)
    return text
