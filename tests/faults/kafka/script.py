"""What a history is: messages and faults drawn from its seed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from tasker.kafka.reading import Reason
from tests.faults.kafka.shop import PARENTS

NUMBER = "number"
"""The header that says which request a message is."""
KINDS = (
    "kill", "kill_at_intake", "join", "leave", "freeze", "broker_restarts", "broker_crashes", "broker_away",
    "database_away", "database_crashes",
)  # fmt: skip
LOST = "broker_lost"
"""The fault that takes a minute: one history in so many has it, and is published slowly, so that it is under load."""
_LOST_ONE_IN, _LOST_SECONDS, _LOST_PAUSE = 12, 60.0, 0.5
_POISON: tuple[tuple[Reason, bytes | None], ...] = (
    (Reason.TOMBSTONE, None),
    (Reason.NOT_UTF8, b"\xff\xfe"),
    (Reason.NOT_JSON, b'{"name": '),
    (Reason.INVALID_REQUEST, b'{"name": "chain", "colour": "red"}'),
    (Reason.INVALID_REQUEST, b'{"name": "chain", "context": {"number": "seven"}}'),
    (Reason.UNKNOWN_DEFINITION, b'{"name": "nobody", "context": {}}'),
)
_RIVALS = 2


class Message(NamedTuple):
    """A message to publish."""

    number: int
    key: bytes | None
    value: bytes | None


class Fault(NamedTuple):
    """Something that is done when a share of all tasks has been created; `seconds` is how long it lasts, if it does."""

    kind: str
    share: float
    seconds: float


@dataclass(frozen=True)
class Script:
    """A history.

    Attributes:
        seed: Its seed.
        workers: How many there are at first.
        messages: What is published, in order; some come more than once.
        tasks: The definition of each request that becomes a task, by its number.
        rivals: Pairs of requests that have one key and ask for different things: one of each becomes a task.
        poison: Why each of the others becomes a dead letter, by its number.
        pause: Seconds between two messages.
        faults: What is done.
    """

    seed: int
    workers: int
    messages: tuple[Message, ...]
    tasks: dict[int, str]
    rivals: tuple[tuple[int, int], ...]
    poison: dict[int, Reason]
    pause: float
    faults: tuple[Fault, ...]

    @property
    def expected(self) -> int:
        """Give how many tasks there are in the end."""
        return len(self.tasks) + len(self.rivals)


def draw(seed: int) -> Script:
    """Draw a history."""
    rng = Random(f"kafka {seed}")
    number = rng.choice((20, 40, 80))
    messages: list[Message] = []
    tasks: dict[int, str] = {}
    poison: dict[int, Reason] = {}
    for one in range(number):
        luck = rng.random()
        if luck < 0.2:
            poison[one], value = rng.choice(_POISON)
            keyless = value is not None and rng.random() < 0.5  # no producer takes a message of nothing
            messages.append(Message(one, None if keyless else b"poison", value))
        else:
            tasks[one] = rng.choice(list(PARENTS))
            keyed = f"order-{one}" if luck < 0.7 else None
            messages += [_request(one, tasks[one], keyed, rng)] * (rng.choice((1, 1, 2, 3)) if keyed else 1)
    rivals = tuple((number + 2 * pair, number + 2 * pair + 1) for pair in range(_RIVALS))
    messages += [_request(one, "alone", f"rival-{pair[0]}", rng) for pair in rivals for one in pair]
    rng.shuffle(messages)
    faults = tuple(
        Fault(rng.choice(KINDS), share, rng.uniform(1, 8))
        for share in sorted(rng.random() for _ in range(rng.choice((2, 3, 4))))
    )
    pause = rng.choice((0.0, 0.02, 0.1))
    if rng.randrange(_LOST_ONE_IN) == 0:
        faults = (*faults[:1], Fault(LOST, faults[0].share, _LOST_SECONDS), *faults[2:])
        pause = _LOST_PAUSE
    return Script(seed, rng.choice((1, 2, 3)), tuple(messages), tasks, rivals, poison, pause, faults)


def _request(number: int, name: str, keyed: str | None, rng: Random) -> Message:
    context = {"number": number, "fails": rng.choice((0, 0, 0, 1)), "seconds": rng.choice((0, 0.01, 0.2))}
    fields: dict[str, object] = {"name": name, "context": context}
    if keyed is not None:
        fields["idempotency_key"] = keyed
    key = keyed.encode() if keyed is not None and rng.random() < 0.7 else None
    return Message(number, key, json.dumps(fields).encode())
