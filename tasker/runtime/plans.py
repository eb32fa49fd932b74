"""The definitions a process works with, by digest: those registered here, and those pinned in the log by others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasker.codec import definition as definition_codec
from tasker.codec.rows import StreamHeader
from tasker.errors import ChainBroken

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.domain.definition import TaskDefinition
    from tasker.log.port import EventLog


class Plan(NamedTuple):
    """A definition, its digest and the bytes that are stored, and the `streams` row that most of its tasks share."""

    definition: TaskDefinition
    digest: bytes
    encoded: bytes
    header: StreamHeader


class Plans:
    """Gives definitions by digest; those that are not registered here are read from the log once."""

    def __init__(self, log: Callable[[], EventLog]) -> None:
        """Take the log as a function, for it is opened at first use."""
        self._log = log
        self._known: dict[bytes, Plan] = {}

    def add(self, definition: TaskDefinition, digest: bytes, encoded: bytes) -> Plan:
        """Remember a registered definition."""
        plan = self._known.get(digest)
        if plan is None or plan.definition is not definition:
            header = StreamHeader(definition.namespace, definition.name, definition.version, digest, None, None)
            plan = self._known[digest] = Plan(definition, digest, encoded, header)
        return plan

    def get(self, digest: bytes) -> Plan:
        """Give a definition by digest.

        Raises:
            ChainBroken: The log pins a definition that it does not hold.
        """
        plan = self._known.get(digest)
        if plan is None:
            encoded = self._log().definition(digest)
            if encoded is None:
                message = (
                    f"expected the definition {digest.hex()} in the log, found none; restore the log from a backup"
                )
                raise ChainBroken(message, position=None, expected=digest.hex(), found="nothing")
            plan = self.add(definition_codec.decode(encoded), digest, encoded)
        return plan
