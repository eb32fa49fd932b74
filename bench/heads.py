"""The compiled fold, fed from the columns of a log, as replays and rebuilds feed it; and a part of that as a program.

`python -m bench.heads FILE AFTER LAST` folds the streams whose ids (hexadecimal) lie behind one and up to another.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from bench.setting import url_of
from tasker.domain.definition import TaskDefinition
from tasker.fold.columns import Heads, pack
from tasker.fold.compiled import plan_of
from tasker.fold.native import Native, native
from tasker.log.open import open_store
from tasker.projections.rebuild import definition_of

FIRST, LAST = b"", b"\xff" * 16
_AT_ONCE = 2_000

Stream = tuple[bytes, int]
"""Its id, and the place of its plan."""


class Tally(Protocol):
    """What the bench calls of the compiled module and the engine does not."""

    def tally(self, plans: Sequence[object], streams: Sequence[Stream], heads: Heads) -> tuple[int, ...]:
        """Count what streams fold to, and throw their states away."""


class Page(NamedTuple):
    """Some streams and all their heads, in the same order."""

    streams: list[Stream]
    heads: Heads
    events: int

    def packed(self) -> bytes:
        """Write the heads as one buffer."""
        return self.heads if isinstance(self.heads, bytes) else pack(self.heads)


class Source:
    """The heads of a log in a file, and the plans of its streams.

    Attributes:
        store: The log.
        plans: What the compiled fold needs of each definition.
        definitions: The same definitions, in the same order.
    """

    def __init__(self, file: Path, module: Native) -> None:
        """Open the file."""
        self.store = open_store(url_of(file))
        digests = [digest for digest, _ in self.store.archive.definitions()]
        self.definitions: list[TaskDefinition] = [definition_of(self.store.log, digest) for digest in digests]
        self.plans = [plan_of(module, definition) for definition in self.definitions]
        self._places = {digest: place for place, digest in enumerate(digests)}

    def pages(self, after: bytes = FIRST, last: bytes = LAST) -> Iterator[Page]:
        """Read the streams of a range of ids, page by page; the last page goes on to its own end."""
        upto = self.store.log.head()
        while after < last and (page := self.store.log.heads(after, limit=_AT_ONCE, upto=upto)).events:
            after = page.streams[-1][0]
            streams = [(stream_id, self._places[header.definition_digest]) for stream_id, header in page.streams]
            yield Page(streams, page.heads, page.events)

    def middle(self) -> bytes:
        """Give the last stream of the page in the middle of all."""
        half, seen = self.store.log.head() // 2, 0
        for page in self.pages():
            seen += page.events
            if seen >= half:
                return page.streams[-1][0]
        return LAST

    def close(self) -> None:
        """Close the file."""
        self.store.close()


def fold(module: Native, source: Source, page: Page) -> int:
    """Fold a page into states; give how many events that were.

    Raises:
        RuntimeError: A stream of the bench's own logs was left to Python.
    """
    _, returned = module.states(source.plans, page.streams, page.heads)
    if returned:
        raise RuntimeError(f"expected {len(page.streams)} states, found {len(returned)} streams left to Python")
    return page.events


def tally(module: Native, source: Source, page: Page, heads: Heads) -> None:
    """Fold heads of a page and count what comes out."""
    cast("Tally", module).tally(source.plans, page.streams, heads)


def main() -> None:
    """Fold a range of streams."""
    file, after, last = sys.argv[1:]
    module = native()
    if module is None:
        raise SystemExit("no compiled fold")
    source = Source(Path(file), module)
    for page in source.pages(bytes.fromhex(after), bytes.fromhex(last)):
        fold(module, source, page)
    source.close()


if __name__ == "__main__":
    main()
