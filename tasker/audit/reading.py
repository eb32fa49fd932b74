"""Pass over the events of a log in one process: whatever is wrong is found here, and named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.errors import ChainBroken, LogUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.codec.rows import StoredEvent
    from tasker.fold import Verifier
    from tasker.log.port import EventLog, Store

PAGE = 500  # larger pages leave the processor's cache
DO = "Restore a backup and compare"


def read(store: Store, verifier: Verifier, upto: int, head: int, tell: Callable[[], None]) -> None:
    """Feed the events up to a position, page by page.

    Args:
        store: The log.
        verifier: What has verified all events before them.
        upto: The last position.
        head: What `log_head` says.
        tell: Called after each page.

    Raises:
        ChainBroken: The first event that is not what was appended.
        LogUnavailable: The store failed.
    """
    log = store.log
    while verifier.position < upto:
        limit = min(PAGE, upto - verifier.position)
        if not _linked(log, verifier, limit):
            page = _page(log, verifier.position, 1 if verifier.takes_links else limit)
            if not page:
                raise _ends_early(verifier.position, head)
            verifier.feed(page)
        tell()


def check_end(store: Store, verifier: Verifier, head: int) -> None:
    """Check that no event stands behind the head, but those that were appended since it was read."""
    beyond = _page(store.log, verifier.position, 1)
    if beyond and store.log.head() < beyond[0].position:
        position = beyond[0].position
        message = (
            f"position {position}: expected no event, for log_head says {head}; found one. A row was put into the"
            f" log, or log_head was changed. {DO}"
        )
        raise ChainBroken(message, position=position, expected=f"head {position}", found=f"head {head}")


def _linked(log: EventLog, verifier: Verifier, limit: int) -> bool:
    """Verify a page by its links; False where the next row has to be looked at as a whole."""
    if not verifier.takes_links:
        return False
    try:
        page = log.links(verifier.position, limit=limit)
    except LogUnavailable:
        log.head()  # raises again where the store itself is away
        return False
    return bool(page.links) and verifier.feed_links(page)


def _page(log: EventLog, after: int, limit: int) -> list[StoredEvent]:
    """Read a page, or a single row where one of the page cannot be read; then what stands before it comes first."""
    try:
        return log.tail(after, limit=limit)
    except (LogUnavailable, ChainBroken):
        log.head()  # raises again where the store itself is away
        return _one(log, after)


def _one(log: EventLog, after: int) -> list[StoredEvent]:
    """Read one row."""
    try:
        return log.tail(after, limit=1)
    except LogUnavailable as error:
        position = after + 1
        message = f"position {position}: expected a row that can be read, found {error} {DO}"
        raise ChainBroken(message, position=position, expected="a readable row", found=str(error)) from error


def _ends_early(last: int, head: int) -> ChainBroken:
    position = last + 1
    message = (
        f"position {position}: expected an event, for log_head says {head}; found the end of the log. Rows were"
        f" removed, or log_head was changed. {DO}"
    )
    return ChainBroken(message, position=position, expected=f"head {head}", found=f"head {last}")
