"""Custom events on their way out of a handler, and what all attempts of one worker share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tasker.catalog.catalog import RESERVED
from tasker.clock import Clock, SystemClock
from tasker.domain.commands import Publication
from tasker.errors import InvalidRequest
from tasker.handlers.connections import Connections
from tasker.handlers.values import to_json
from tasker.redaction import mask_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasker.domain.definition import TaskDefinition

_NAME = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)+")
_LONGEST = 128


class Sizes(NamedTuple):
    """The largest sizes of what an attempt hands over, in bytes."""

    results: int = 262_144
    event: int = 921_600
    error_message: int = 4_096
    backtrace: int = 16_384


DEFAULT_SIZES = Sizes()


def _accept(_name: str, _body: object) -> None:
    """Accept every event: no schema is registered."""


def _nowhere(_definition: TaskDefinition) -> tuple[str, ...]:
    """Name no folder."""
    return ()


@dataclass(frozen=True, slots=True)
class Tools:
    """What all attempts of one worker share.

    Attributes:
        clock: The present time, for dates that servers send.
        sizes: The largest sizes.
        check_event: Called with name and body of a custom event; raises InvalidRequest if its schema is broken.
        connections: The HTTP clients.
        directories: Gives where the native libraries of a definition are looked up, besides the working directory.
        trace: Gives the trace of the running attempt as headers of W3C Trace Context; {} without one.
    """

    clock: Clock = field(default_factory=SystemClock)
    sizes: Sizes = DEFAULT_SIZES
    check_event: Callable[[str, object], None] = _accept
    connections: Connections = field(default_factory=Connections)
    directories: Callable[[TaskDefinition], tuple[str, ...]] = _nowhere
    trace: Callable[[], Mapping[str, str]] = dict


DEFAULT_TOOLS = Tools()


def check_event_name(name: object) -> None:
    """Refuse a name that no custom event may have.

    Raises:
        InvalidRequest: It is malformed, or its first word belongs to the engine.
    """
    if not isinstance(name, str) or len(name) > _LONGEST or not _NAME.fullmatch(name):
        msg = (
            "expected the name of a custom event as namespace.past_participle in lower case, such as order.fulfilled, "
            f"of at most {_LONGEST} characters; found {name!r}"
        )
        raise InvalidRequest(msg)
    first = name.partition(".")[0]
    if first in RESERVED:
        msg = f"expected a custom event's name with a first word of your own, found {name!r}: {first!r} is reserved"
        raise InvalidRequest(msg)


def publication(name: str, body: object, *, always: bool, secrets: Mapping[str, str], tools: Tools) -> Publication:
    """Check a custom event and turn it into what is recorded.

    Args:
        name: Its name.
        body: What the handler gave.
        always: Record it also with a failure.
        secrets: Values to mask in it.
        tools: Sizes and the check against its schema.

    Raises:
        InvalidRequest: See `check_event_name`; or the body is no JSON or breaks the schema.
        PayloadTooLarge: The body is larger than one event may be.
    """
    check_event_name(name)
    plain, _ = to_json(body, limit_bytes=tools.sizes.event, what=f"the body of {name}")
    tools.check_event(name, plain)
    return Publication(name, mask_values(plain, secrets), bool(always))
