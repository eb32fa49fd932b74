"""Verify a part of a log without what stands before it: on the word of the stored hashes from which it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.errors import TaskerError
from tasker.fold import native as loader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasker.fold.columns import LinkPage

    Hashes = Callable[[Sequence[tuple[bytes, int]]], Sequence[tuple[bytes, int, bytes]]]
    """Reads the stored hashes of streams at versions."""


_HASH = 32


class Part:
    """Verifies the events behind a position, page by page; see `Verifier.join` for what that is worth."""

    def __init__(self, log_id: bytes, after: int, hashes: Hashes) -> None:
        """Take the name of the log and the position.

        Raises:
            TaskerError: There is no compiled fold, which alone can do this.
        """
        module = loader.native()
        if module is None:
            message = "expected the compiled fold, found none: only that verifies a log in parts; verify it as a whole"
            raise TaskerError(message)
        self._chain = module.Chain(log_id, after)
        self._hashes = hashes

    @property
    def position(self) -> int:
        """Give the position of the last row that verified."""
        return self._chain.position

    def feed(self, page: LinkPage) -> bool:
        """Verify the next rows; False if one of them did not."""
        done = self._chain.feed(page.links, page.headers, page.types)
        if done < len(page.links):
            rest = page.links[done:]
            for stream_id, version, stored in self._hashes(self._chain.missing(rest)):
                if isinstance(stored, bytes) and len(stored) == _HASH:
                    self._chain.assume(stream_id, version, stored)
            done += self._chain.feed(rest, page.headers, page.types)
        return done == len(page.links)

    def result(self) -> bytes:
        """Give what the part came to, for `Verifier.join`."""
        return self._chain.dump()
