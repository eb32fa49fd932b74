"""The registry of system event types: fixed codes, names, versions, what their body carries, and upcasters.

A code, once released, never changes its meaning. Where a status depends on a variant (a final failure, a lost or a
stopped worker) the variant has a code of its own, so that a fold reads columns and never JSON. Codes from 1000 on are
the log's, for custom types.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from tasker.domain import events as ev
from tasker.errors import UnsupportedEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasker.codec.jsonbytes import Json

    Upcaster = Callable[[Mapping[str, Json]], Mapping[str, Json]]

FIRST_CUSTOM_CODE = 1000


class SystemType(NamedTuple):
    """One code: the name of its type, the newest schema version of its data, and the event it becomes."""

    code: int
    name: str
    schema_version: int
    event: type[ev.Event]


def _types() -> dict[int, SystemType]:
    kinds: dict[int, type[ev.Event]] = {
        1: ev.TaskCreated,
        2: ev.TaskStarted,
        3: ev.TaskCompleted,
        4: ev.TaskFailed,
        5: ev.TaskCancelled,
        6: ev.TaskPaused,
        7: ev.TaskResumed,
        8: ev.TaskRetried,
        9: ev.TaskResolvedManually,
        10: ev.TaskUpdated,
        11: ev.TaskAnnotated,
        12: ev.TaskErased,
        20: ev.StepStarted,
        21: ev.StepCompleted,
        22: ev.StepFailed,
        23: ev.StepFailed,
        24: ev.StepRetryScheduled,
        25: ev.StepAbandoned,
        26: ev.StepAbandoned,
        27: ev.StepWaiting,
        28: ev.StepSkipped,
        29: ev.StepCancelled,
        30: ev.StepReset,
        31: ev.StepResolvedManually,
        32: ev.StepUpdated,
        40: ev.ControlPaused,
        41: ev.ControlResumed,
    }
    return {code: SystemType(code, kind.type, 1, kind) for code, kind in kinds.items()}


SYSTEM_TYPES: Mapping[int, SystemType] = MappingProxyType(_types())
STEP_FAILED_FINAL = 23
STEP_ABANDONED_LOST = 25
CODES: Mapping[type[ev.Event], int] = MappingProxyType(
    {kind.event: kind.code for kind in reversed(list(SYSTEM_TYPES.values()))}
)
"""The code of each event class; of a class with variants, the lowest."""

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""For (name, schema version) a pure function from the data of that version to the data of the next."""


def upcast(name: str, schema_version: int, data: Mapping[str, Json]) -> Mapping[str, Json]:
    """Bring the data of an old schema version to the newest, one version at a time."""
    while (name, schema_version) in UPCASTERS:
        data = UPCASTERS[name, schema_version](data)
        schema_version += 1
    return data


def supported(code: int, name: str, schema_version: int, position: int) -> SystemType | None:
    """Give the system type of a stored event; None for a custom one.

    Raises:
        UnsupportedEvent: The code or the schema version is of a newer release.
    """
    if code >= FIRST_CUSTOM_CODE:
        return None
    kind = SYSTEM_TYPES.get(code)
    if kind is None or schema_version > kind.schema_version:
        known = f"version {kind.schema_version} of {kind.name}" if kind else "no such type"
        message = (
            f"the event at position {position} is {name or code!r} in schema version {schema_version};"
            f" this release reads {known}. A newer release wrote it: upgrade Tasker here"
        )
        raise UnsupportedEvent(message, position=position, type=name or str(code))
    return kind
