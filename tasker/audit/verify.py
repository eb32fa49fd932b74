"""Read the whole log in order, recompute it, and name the first thing that is not what was appended.

What cannot be found from the database alone: a tail that was removed together with the position in `log_head` and the
seals over it, and a database that was rewritten as a whole. A seal kept elsewhere finds those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.audit.helpers import Helpers, Parts
from tasker.audit.reading import DO, PAGE, check_end, read
from tasker.audit.seals import Expected, rows_of
from tasker.codec.definition import digest
from tasker.codec.recorded import CONTROL_NAMESPACE
from tasker.codec.registry import CODES
from tasker.domain.events import TaskErased
from tasker.errors import ChainBroken
from tasker.fold import Verifier
from tasker.log.port import Shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasker.codec.rows import StoredEvent
    from tasker.log.port import Store

    Progress = Callable[[int, int], None]

_ERASED = CODES[TaskErased]


class Verified(NamedTuple):
    """What was found to be as it was appended: numbers of events, streams, definitions and seals."""

    events: int
    streams: int
    definitions: int
    seals: int = 0


class Verification:
    """Verifies one log."""

    def __init__(self, store: Store) -> None:
        """Take the log; nothing is read yet."""
        self._store = store

    def run(self, progress: Progress | None, parts: Parts, expected: Expected) -> Verified:
        """Recompute the whole log up to its present end from stored bytes.

        Args:
            progress: Called now and then with how many events are done and how many there are.
            parts: How it is cut.
            expected: What its seals are compared with.

        Raises:
            ChainBroken: The first thing in the order of the log that is not what was appended; then seals.
            TaskerError: There are seals, and the extra that can check them is not installed.
            LogUnavailable: The store failed.
        """
        store = self._store
        store.archive.forget()
        seals = rows_of(store, expected.kept)  # before the head, so that those made meanwhile are not among them
        head = store.log.head()
        verifier = Verifier(store.log.log_id)
        try:
            self._events(verifier, head, progress, parts)
        except ChainBroken as error:
            # An earlier payload that nothing explains comes first, but that is known only once the rest was read.
            self._check_gone(verifier, error.position)
            raise
        self._check_gone(verifier, None)
        definitions = self._check_definitions()
        self._check_streams(verifier, definitions, head)
        self._check_types(verifier, head)
        expected.check(store, seals, head)
        return Verified(verifier.position, verifier.streams, len(definitions), len(seals))

    def _events(self, verifier: Verifier, head: int, progress: Progress | None, parts: Parts) -> None:
        """Verify the events up to a head, this process a first part and others the rest, and check the head itself.

        Where another process does not say that its part is good and fits, this one passes over it: so what is wrong
        anywhere is found here, in the order of the log, as one pass over all of it finds it.
        """

        def tell(beside: int) -> None:
            if progress is not None:
                progress(min(head, verifier.position + beside), head)

        store = self._store
        with Helpers(store, verifier, head, parts) as helpers:
            for upto in helpers.ends:
                if verifier.join(helpers.result(upto, tell)):
                    tell(helpers.done)
                else:
                    read(store, verifier, upto, head, lambda: tell(helpers.done))
        check_end(store, verifier, head)

    def _check_gone(self, verifier: Verifier, before: int | None) -> None:
        """Check that every payload that is gone was erased."""
        for position, stream_id in verifier.gone():
            if before is not None and position > before:
                return
            later = self._store.log.stream(stream_id)
            if not any(event.code == _ERASED and event.position > position for event in later):
                message = (
                    f"position {position}: expected a payload, or task.erased later in its stream; found neither. The"
                    f" payload was removed. {DO}"
                )
                raise ChainBroken(message, position=position, expected="a payload", found="NULL")

    def _check_definitions(self) -> set[bytes]:
        """Check that the bytes of every definition have its digest."""
        known: set[bytes] = set()
        for stored, content in self._store.archive.definitions():
            found = digest(content) if isinstance(content, bytes) else b""
            if found != stored:
                shown = stored.hex() if isinstance(stored, bytes) else repr(stored)
                message = f"definition {shown}: expected bytes with this digest, found {found.hex()}. {DO}"
                raise ChainBroken(message, position=None, expected=shown, found=found.hex())
            known.add(stored)
        return known

    def _check_streams(self, verifier: Verifier, definitions: set[bytes], head: int) -> None:
        """Check that streams, definitions and events need each other, so that no row is missing and none too many."""
        if self._fit(verifier, definitions):
            return
        unused = set(definitions)
        for stream_id, header in self._store.archive.streams():
            if not verifier.knows(stream_id) and not self._began_after(stream_id, head):
                raise _superfluous("stream", stream_id.hex(), "an event of it")
            unused.discard(header.definition_digest)
            if header.definition_digest not in definitions and header.namespace != CONTROL_NAMESPACE:
                if not verifier.knows(stream_id):
                    continue  # begun while this was read, its definition as well
                missing = header.definition_digest.hex()
                message = f"definition {missing}: expected it for the stream {stream_id.hex()}, found none. {DO}"
                raise ChainBroken(message, position=None, expected=missing, found="nothing")
        for one in sorted(unused):
            raise _superfluous("definition", one.hex(), "a stream that uses it")

    def _fit(self, verifier: Verifier, definitions: set[bytes]) -> bool:
        """Say whether mere numbers show that all is well: each stream with events has a row, for it entered the chain.

        As many rows as streams are then exactly theirs.
        """
        if not isinstance(self._store, Shared):
            return False
        users = self._store.users()
        used = {digest for digest, namespace, _ in users if digest in definitions or namespace != CONTROL_NAMESPACE}
        return sum(count for *_, count in users) == verifier.streams and used == definitions

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
    while page := store.log.tail(position, limit=PAGE):
        yield from page
        position = page[-1].position


def _superfluous(kind: str, name: str, missing: str) -> ChainBroken:
    message = f"{kind} {name}: expected {missing}, found none; the row was put in, or events were removed. {DO}"
    return ChainBroken(message, position=None, expected=missing, found="nothing")
