"""How long a step waits before its next attempt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tasker.domain.definition import StepTemplate

EXPONENTIAL = "exponential"
CONSTANT = "constant"
SERVER_REQUESTED = "server_requested"
_HIGHEST_EXPONENT = 60


class Backoff(NamedTuple):
    """A delay in seconds, after jitter, and where it comes from."""

    seconds: float
    type: str


def backoff(
    template: StepTemplate, *, failures: int, jitter: float, retry_after: float | None, max_server_delay: float
) -> Backoff:
    """Compute the delay before the next attempt.

    Without a request of the server: `min(max_delay, retry_delay * 2 ** (failures - 1))`, or `retry_delay` where
    exponential backoff is off, then spread by plus or minus `template.jitter` (capped exponential backoff with jitter,
    as in Brooker, "Exponential Backoff And Jitter", 2015, with a bounded share instead of the full one).
    A server's request replaces it, capped, and is only ever lengthened by jitter; 0 and less mean at once, and what is
    no number is ignored.

    Args:
        template: The step's retry policy.
        failures: Counted attempts of this budget, from 1.
        jitter: A random number from 0 to 1.
        retry_after: Seconds that the other side asked for, or None.
        max_server_delay: Upper bound of such a request, in seconds.

    Returns:
        The delay and its type.
    """
    if retry_after is not None and not math.isnan(retry_after):
        asked = min(max(retry_after, 0.0), max_server_delay)
        return Backoff(asked * (1 + template.jitter * jitter), SERVER_REQUESTED)
    spread = 1 + template.jitter * (2 * jitter - 1)
    if not template.enable_exponential_backoff:
        return Backoff(template.retry_delay * spread, CONSTANT)
    grown = template.retry_delay * 2.0 ** min(failures - 1, _HIGHEST_EXPONENT)
    return Backoff(min(template.max_delay, grown) * spread, EXPONENTIAL)
