"""What tells an open page that something has changed, so that it loads itself again; it says not what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.http.stream import EventStream, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.responses import Response

    from tasker.codec.recorded import RecordedEvent
    from tasker.http.page.visit import Visit


class Changes(EventStream):
    """One open page's stream: of any number of events at once it tells only the position of the last one."""

    def _frames(self, events: Iterable[RecordedEvent]) -> list[bytes]:
        """Give at most one frame."""
        last = max((event.position for event in events), default=None)
        return [] if last is None else [b"id: %d\nevent: changed\ndata: %d\n\n" % (last, last)]


def live(visit: Visit) -> Response:
    """Tell of changes of one task or of all tasks of a namespace, after a position."""
    asked = visit.query("task", "namespace")
    task_id, namespace = asked.get("task"), asked.get("namespace")
    if namespace is not None:
        visit.call.check_namespace(namespace)
    if task_id is not None:
        task_id = visit.call.task(task_id).id
    return Changes(visit.call, Wanted(None, task_id, namespace), visit.number("after"))
