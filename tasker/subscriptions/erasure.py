"""What subscriptions keep of a task that was erased: that its events failed, but not what was said about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, inspect, select, update

from tasker.subscriptions.tables import held, subscriptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_GONE = "(erased)"
_AT_ONCE = 500


def forget(connection: Connection, streams: Sequence[bytes]) -> None:
    """Forget the error texts of events of some streams: subscribers put into them what they were given.

    Args:
        connection: Inside a transaction.
        streams: The tasks that were erased.
    """
    if not inspect(connection).has_table(held.name):
        return
    for start in range(0, len(streams), _AT_ONCE):
        mine = held.c.stream_id.in_(streams[start : start + _AT_ONCE])
        said = select(held.c.subscription, held.c.error).where(mine, held.c.error.is_not(None)).distinct()
        for name, error in connection.execute(said).all():
            # The last failure also stands, as such or in a sentence about it, with the subscription itself.
            text = func.replace(subscriptions.c.error, error, _GONE)
            connection.execute(update(subscriptions).where(subscriptions.c.name == name).values(error=text))
        connection.execute(update(held).where(mine).values(error=None))
