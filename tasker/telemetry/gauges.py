"""How things stand at a scrape, as values; who can ask the log and the runner fills them in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Gauges(NamedTuple):
    """How things stand at a scrape; None where it could not be read.

    Attributes:
        live_tasks: Tasks that have not ended, in the whole log.
        ready_steps: Steps that could start now, in the whole log.
        lags: Events that each durable subscription has yet to deliver.
        stuck_slots: Slots of this process held by handlers whose time has run out.
    """

    live_tasks: int | None
    ready_steps: int | None
    lags: Mapping[str, int] | None
    stuck_slots: int
