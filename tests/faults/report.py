"""What a run of histories says: each violation with the command that repeats it, and the figures of all."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from tests.faults.history import Outcome

_SHOWN = 12
_LONGEST = 700


def tell(outcome: Outcome) -> None:
    """Print the violations of a history, and how to repeat it, or only where its files are."""
    if outcome.kept and not outcome.violations:
        print(f"history {outcome.seed} ({outcome.backend}): {outcome.kept}", flush=True)
    for text in outcome.violations[:_SHOWN]:
        print(f"VIOLATION in history {outcome.seed} ({outcome.backend}): {text[:_LONGEST]}")
    if outcome.violations:
        more = len(outcome.violations) - _SHOWN
        print(f"  {f'and {more} more; ' if more > 0 else ''}files: {outcome.kept}")
        command = f"python -m tests.faults --histories 1 --seed {outcome.seed} --backend {outcome.backend}"
        command += " --subscribers" if outcome.subscribers else ""
        print(f"  repeat: {command}", flush=True)


def summary(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Say what all histories were and found; one in which nothing happened counts as none."""
    histories = [one for one in outcomes if one.faults or one.violations]
    by_backend = Counter(one.backend for one in histories)
    faults = sum((one.faults for one in histories), Counter())
    mischief = sum((one.mischief for one in histories), Counter())
    bad = sum(bool(one.violations) for one in histories)
    first = f"{len(histories)} histories ({_listed(by_backend)}), {faults.total()} injected faults and "
    first += f"{mischief.total()} misbehaving handlers, {sum(one.events for one in histories)} events "
    first += f"in {seconds:.0f} s: {bad} with violations"
    quiet = len(outcomes) - len(histories)
    text = [f"{first}{f' ({quiet} more in which nothing happened)' if quiet else ''}"]
    text += [f"faults: {_listed(faults)}", f"handlers: {_listed(mischief)}"]
    told = sum((one.told for one in histories), Counter())
    text += [f"subscribers, in {sum(one.subscribers for one in histories)} of them: {_listed(told)}"]
    for backend in sorted(by_backend):
        mine = [one for one in histories if one.backend == backend]
        end = "lease" if backend == "postgres" else "life"
        label = f"{backend}: from the end of a dead worker's {end} to the next start of its steps"
        text += _times(label, (value for one in mine for value in one.measured.taken_over))
        label = f"{backend}: from the request to stop to the end of the last worker"
        text += _times(label, (value for one in mine for value in one.measured.stopped))
        label = f"{backend}: from the return of the server to the first new event"
        text += _times(label, (value for one in mine for value in one.measured.returned))
    return "\n".join(text)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"


def _times(label: str, values: Iterable[float]) -> list[str]:
    found = sorted(values)
    if not found:
        return []
    late = sum(value > 2.0 for value in found)
    figures = f"median {statistics.median(found):.2f} s, max {found[-1]:.2f} s"
    return [f"{label}: {figures} ({len(found)} measured{f', {late} of them over 2 s' if late else ''})"]
