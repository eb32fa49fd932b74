"""`CatalogEntry`: what the catalogue tells of one event."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

TASK, STEP, CONTROL, CUSTOM = "task", "step", "control", "custom"

Json = object
JsonObject = dict[str, Json]


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """What the catalogue tells of one event.

    Attributes:
        name: Its type, such as `task.completed`.
        category: task, step, control or custom.
        description: What happened.
        schema: JSON Schema of the body, with what each field means; None for a custom event without one.
        example: A body that fits the schema, of a system event one that was recorded; None if none was given.
        emitted_by: Who records it.
        declared: False for a custom event that was published and never registered.
        when: When it is recorded; of a custom event, what every one has in common.
    """

    name: str
    category: str
    description: str
    schema: JsonObject | None
    example: Json
    emitted_by: str
    declared: bool = True
    when: str = "In the append of the outcome of the attempt that published it."

    def copy(self) -> CatalogEntry:
        """Give a copy that shares nothing changeable with this one."""
        return replace(self, schema=deepcopy(self.schema), example=deepcopy(self.example))
