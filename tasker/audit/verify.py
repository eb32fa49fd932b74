"""`Audit.verify`: read the whole log in order, recompute it, and name the first thing that is not what was appended.

What cannot be found here: a tail that was removed together with the position in `log_head`, and a database that was
rewritten as a whole. Only a seal kept elsewhere finds those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.codec.definition import digest
from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.codec.registry import CODES
from tasker.domain.events import TaskErased
from tasker.errors import ChainBroken, LogUnavailable
from tasker.fold import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasker.codec.rows import StoredEvent
    from tasker.log.port import Store

_PAGE = 2_000
_ERASED = CODES[TaskErased]
_DO = "Restore a backup and compare"


class Verified(NamedTuple):
    """What was found to be as it was appended: numbers of events, streams, definitions and seals."""

    events: int
    streams: int
    definitions: int
    seals: int = 0


class Audit:
    """Audits one log."""

    def __init__(self, store: Store) -> None:
        """Take the log; nothing is read yet."""
        self._store = store

    def verify(self, progress: Callable[[int, int], None] | None = None) -> Verified:
        """Recompute the whole log up to its present end from stored bytes.

        Args:
            progress: Called now and then with how many events are done and how many there are.

        Raises:
            ChainBroken: The first thing in the order of the log that is not what was appended.
            LogUnavailable: The store failed.
        """
        store = self._store
        store.archive.forget()
        head = store.log.head()
        verifier = Verifier(store.log.log_id)
        try:
            self._events(verifier, head, progress)
        except ChainBroken as error:
            # An earlier payload that nothing explains comes first, but that is known only once the rest was read.
            self._check_gone(verifier, error.position)
            raise
        self._check_gone(verifier, None)
        definitions = self._check_definitions()
        self._check_streams(verifier, definitions, head)
        self._check_types(verifier, head)
        return Verified(verifier.position, verifier.streams, len(definitions))

    def _events(self, verifier: Verifier, head: int, progress: Callable[[int, int], None] | None) -> None:
        """Feed the events up to a head, page by page, and check that the head is right."""
        while verifier.position < head:
            limit = min(_PAGE, head - verifier.position)
            if not self._linked(verifier, limit):
                page = self._page(verifier.position, 1 if verifier.takes_links else limit)
                if not page:
                    raise _ends_early(verifier.position, head)
                verifier.feed(page)
            if progress is not None:
                progress(verifier.position, head)
        beyond = self._page(verifier.position, 1)
        if beyond and self._store.log.head() < beyond[0].position:
            position = beyond[0].position
            message = (
                f"position {position}: expected no event, for log_head says {head}; found one. A row was put into the"
                f" log, or log_head was changed. {_DO}"
            )
            raise ChainBroken(message, position=position, expected=f"head {position}", found=f"head {head}")

    def _linked(self, verifier: Verifier, limit: int) -> bool:
        """Verify a page by its links; False where the next row has to be looked at as a whole."""
        if not verifier.takes_links:
            return False
        log = self._store.log
        try:
            page = log.links(verifier.position, limit=limit)
        except LogUnavailable:
            log.head()  # raises again where the store itself is away
            return False
        return bool(page.links) and verifier.feed_links(page)

    def _page(self, after: int, limit: int) -> list[StoredEvent]:
        """Read a page, or a single row where one of the page cannot be read."""
        log = self._store.log
        try:
            return log.tail(after, limit=limit)
        except (LogUnavailable, ChainBroken):
            log.head()  # raises again where the store itself is away
            return self._one(after)

    def _one(self, after: int) -> list[StoredEvent]:
        """Read one row; so what stands before a row that cannot be read is verified first."""
        try:
            return self._store.log.tail(after, limit=1)
        except LogUnavailable as error:
            position = after + 1
            message = f"position {position}: expected a row that can be read, found {error} {_DO}"
            raise ChainBroken(message, position=position, expected="a readable row", found=str(error)) from error

    def _check_gone(self, verifier: Verifier, before: int | None) -> None:
        """Check that every payload that is gone was erased."""
        for position, stream_id in verifier.gone():
            if before is not None and position > before:
                return
            later = self._store.log.stream(stream_id)
            if not any(event.code == _ERASED and event.position > position for event in later):
                message = (
                    f"position {position}: expected a payload, or task.erased later in its stream; found neither. The"
                    f" payload was removed. {_DO}"
                )
                raise ChainBroken(message, position=position, expected="a payload", found="NULL")

    def _check_definitions(self) -> set[bytes]:
        """Check that the bytes of every definition have its digest."""
        known: set[bytes] = set()
        for stored, content in self._store.archive.definitions():
            found = digest(content) if isinstance(content, bytes) else b""
            if found != stored:
                shown = stored.hex() if isinstance(stored, bytes) else repr(stored)
                message = f"definition {shown}: expected bytes with this digest, found {found.hex()}. {_DO}"
                raise ChainBroken(message, position=None, expected=shown, found=found.hex())
            known.add(stored)
        return known

    def _check_streams(self, verifier: Verifier, definitions: set[bytes], head: int) -> None:
        """Check that streams, definitions and events need each other, so that no row is missing and none too many."""
        unused = set(definitions)
        for stream_id, header in self._store.archive.streams():
            if not verifier.knows(stream_id) and not self._began_after(stream_id, head):
                raise _superfluous("stream", stream_id.hex(), "an event of it")
            unused.discard(header.definition_digest)
            if header.definition_digest not in definitions and header.namespace != CONTROL_NAMESPACE:
                if not verifier.knows(stream_id):
                    continue  # begun while this was read, its definition as well
                missing = header.definition_digest.hex()
                message = f"definition {missing}: expected it for the stream {stream_id.hex()}, found none. {_DO}"
                raise ChainBroken(message, position=None, expected=missing, found="nothing")
        for one in sorted(unused):
            raise _superfluous("definition", one.hex(), "a stream that uses it")

    def _began_after(self, stream_id: bytes, head: int) -> bool:
        first = self._store.log.stream(stream_id, limit=1)
        return bool(first) and first[0].position > head

    def _check_types(self, verifier: Verifier, head: int) -> None:
        """Check that every type that has a name also has an event; its name entered the chain there."""
        unseen = [(code, name) for code, name in self._store.archive.event_types() if code not in verifier.codes]
        if unseen:
            later = {event.code for event in _after(self._store, head)}
            for code, name in unseen:
                if code not in later:
                    raise _superfluous("event type", f"{code} {name!r}", "an event of it")


def _after(store: Store, position: int) -> Iterator[StoredEvent]:
    """Read what was appended behind a position."""
    while page := store.log.tail(position, limit=_PAGE):
        yield from page
        position = page[-1].position


def _ends_early(last: int, head: int) -> ChainBroken:
    position = last + 1
    message = (
        f"position {position}: expected an event, for log_head says {head}; found the end of the log. Rows were"
        f" removed, or log_head was changed. {_DO}"
    )
    return ChainBroken(message, position=position, expected=f"head {head}", found=f"head {last}")


def _superfluous(kind: str, name: str, missing: str) -> ChainBroken:
    message = f"{kind} {name}: expected {missing}, found none; the row was put in, or events were removed. {_DO}"
    return ChainBroken(message, position=None, expected=missing, found="nothing")
