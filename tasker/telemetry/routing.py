"""Which events go to which back ends, and of how many tasks: the setting `telemetry.events`."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from tasker.catalog.patterns import Patterns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasker.settings.sections import EventRule

TRACES, METRICS, LOGS = "traces", "metrics", "logs"
_REMEMBERED = 4_096
_WHOLE = 1 << 64


class Route(NamedTuple):
    """Where events of one type go.

    Attributes:
        traces: Whether they become spans or span events.
        metrics: Whether they are counted.
        logs: Whether they become log lines.
        share: Of how many tasks (0 to 1) the back ends other than metrics get them.
    """

    traces: bool = True
    metrics: bool = True
    logs: bool = True
    share: float = 1.0

    def takes(self, fraction: float) -> bool:
        """Say whether the task with this fraction is among those that are sampled."""
        return self.share >= 1.0 or fraction < self.share


class Routes:
    """The routes by type of event: the first rule that matches counts, what matches none goes everywhere."""

    def __init__(self, rules: Iterable[EventRule] = ()) -> None:
        """Take the rules in order."""
        self._rules = [(Patterns(rule.match), _route(rule)) for rule in rules]
        self._known: dict[str, Route] = {}
        self.everything = not self._rules
        self.sampled = any(route.share < 1.0 for _, route in self._rules)

    def of(self, name: str) -> Route:
        """Give the route of a type of event."""
        known = self._known.get(name)
        if known is None:
            known = next((route for patterns, route in self._rules if patterns.matches(name)), Route())
            if len(self._known) < _REMEMBERED:
                self._known[name] = known
        return known

    def fraction(self, stream_id: bytes) -> float:
        """Give where a task stands between 0 and 1 for sampling: by its id alone, so that all processes agree."""
        return fraction_of(stream_id) if self.sampled else 0.0


def _route(rule: EventRule) -> Route:
    traces, metrics, logs = (one in rule.backends for one in (TRACES, METRICS, LOGS))
    return Route(traces, metrics, logs, rule.sampling)


def fraction_of(stream_id: bytes) -> float:
    """Spread tasks evenly from 0 (included) to 1 (excluded) by a hash of their ids."""
    return int.from_bytes(sha256(b"tasker.sample" + stream_id).digest()[:8]) / _WHOLE
