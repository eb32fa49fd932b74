"""What a history runs: definitions and requests drawn from its seed, the same in every process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import tasker
from tasker import StepTemplate, TaskDefinition
from tests.faults.handlers import MISCHIEF, Async, Hook, Sync

SYSTEMS = ("shop", "bank", "post")
SHAPES = ("chain", "fan", "random", "alone")
POISONED = "poison"
"""What the correlation id of a task begins with whose events one subscriber never takes."""
_SHORT = 0.3
_MOST_POISONED = 3
_PLANS = 4


def limits(seed: int) -> dict[str, dict[str, int]]:
    """Draw how many attempts may run at once over all workers, in the form of the settings."""
    rng = Random(f"limits {seed}")
    found: dict[str, dict[str, int]] = {"systems": {"bank": 2}}
    if rng.random() < 0.4:
        found["tasks"] = {f"default.plan{rng.randrange(_PLANS)}": rng.choice((1, 3))}
    if rng.random() < 0.2:
        found["namespaces"] = {"default": rng.choice((4, 6))}
    return found


def scopes(seed: int) -> dict[str, int]:
    """Give the same by scope."""
    words = {"systems": "system", "tasks": "task", "namespaces": "namespace"}
    return {f"{words[kind]}:{name}": most for kind, names in limits(seed).items() for name, most in names.items()}


def _parents(shape: str, place: int, size: int, rng: Random) -> list[str]:
    if place == 0 or shape == "alone":
        return []
    if shape == "chain":
        return [f"s{place - 1}"]
    if shape == "fan":
        return [f"s{one}" for one in range(1, place)] if place == size - 1 and size > 2 else ["s0"]
    return [f"s{one}" for one in rng.sample(range(place), rng.randint(0, min(3, place)))]


def _config(rng: Random) -> dict[str, object]:
    found: dict[str, object] = {"ms": rng.choice((0, 0, 1, 5, 20, 60, 150)), "publish": rng.random() < 0.3}
    luck = rng.random()
    if luck < 0.2:
        found["fails"] = rng.choice((1, 2))
    elif luck < 0.23:
        found["permanent"] = True
    elif luck < 0.31:
        found["wait"] = rng.choice((0.1, 20, 20))
    return found


def _step(shape: str, place: int, size: int, rng: Random) -> StepTemplate:
    return StepTemplate(
        name=f"s{place}",
        handler_class=tasker.Manual if rng.random() < 0.04 else rng.choice((Sync, Sync, Async)),
        depends_on_steps=_parents(shape, place, size, rng),
        dependent_system=rng.choice(SYSTEMS),
        default_retryable=rng.random() < 0.85,
        default_retry_limit=rng.choice((2, 3, 5)),
        skippable=rng.random() < 0.3,
        retry_delay=rng.choice((0.0, 0.01, 0.05)),
        timeout_seconds=_SHORT if rng.random() < 0.3 else 60.0,
        handler_config=_config(rng),
    )


def definitions(seed: int) -> list[TaskDefinition]:
    """Give a few definitions: chains, fans, random graphs, loose steps, with and without a hook or a timeout."""
    rng = Random(seed)
    found = []
    for number in range(_PLANS):
        shape, size = rng.choice(SHAPES), rng.randint(1, 9)
        found.append(
            TaskDefinition(
                name=f"plan{number}",
                step_templates=[_step(shape, place, size, rng) for place in range(size)],
                concurrent=rng.random() < 0.75,
                task_handler_class=Hook if rng.random() < 0.5 else None,
                timeout_seconds=rng.choice((None, None, None, 4.0)),
            )
        )
    return found


def requests(seed: int, plans: list[TaskDefinition]) -> list[dict[str, object]]:
    """Give the requests of a history, each with an idempotency key."""
    rng = Random(seed + 1)
    numbers = range(rng.choice((10, 20, 30)))
    poisoned = Random(f"poison {seed}").sample(numbers, _MOST_POISONED)
    found = []
    for number in numbers:
        plan = rng.choice(plans)
        skippable = [step.name for step in plan.step_templates if step.skippable]
        found.append(
            {
                "name": plan.name,
                "context": {"number": number, "mischief": _mischief(plan, rng)},
                "idempotency_key": f"{seed}-{number}",
                "correlation_id": f"{POISONED if number in poisoned else 'good'}-{number}",
                "priority": rng.choice((0, 0, -5, 7)),
                "bypass_steps": rng.sample(skippable, rng.randint(0, len(skippable))),
            }
        )
    return found


def _mischief(plan: TaskDefinition, rng: Random) -> dict[str, object] | None:
    """Draw what one step of a request does wrong, if anything; what hangs has a timeout to hang past."""
    if rng.random() > 0.3:
        return None
    what = rng.choice(MISCHIEF)
    hangs = what in {"hang", "stubborn"}
    steps = [step for step in plan.step_templates if not hangs or step.timeout_seconds == _SHORT]
    if not steps:
        return None
    return {
        "step": rng.choice(steps).name,
        "what": what,
        "how": rng.randrange(100),
        "attempts": 1 if what == "exit" else rng.choice((1, 1, 9)),
        "seconds": _SHORT + rng.choice((0.1, 0.3, 0.9)) if hangs else 0.0,
    }


def delayed(request: dict[str, object], rng: Random) -> dict[str, object]:
    """Give the request, one in ten with a start in the near future, which is no part of its identity."""
    if rng.random() < 0.9:
        return request
    return request | {"not_before": datetime.now(UTC) + timedelta(seconds=rng.random() / 5)}
