"""`python -m tests.faults`: play histories with real kills, check the invariants on each; exit 1 for a violation."""

from __future__ import annotations

import argparse
import secrets
import statistics
import sys
import time

from tests.faults.history import Outcome, play


def main() -> int:
    """Play until the number or the time is reached."""
    asked = _parser().parse_args()
    first = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    most = asked.histories or (sys.maxsize if asked.seconds else 500)
    until = time.monotonic() + (asked.seconds or float("inf"))
    outcomes: list[Outcome] = []
    began = time.monotonic()
    while len(outcomes) < most and time.monotonic() < until:
        outcome = play(first + len(outcomes))
        outcomes.append(outcome)
        _tell(outcome)
        if len(outcomes) % 20 == 0:
            print(f"{len(outcomes)} histories, {time.monotonic() - began:.0f} s", flush=True)
    print(_summary(outcomes, first, time.monotonic() - began))
    return 1 if any(outcome.violations for outcome in outcomes) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seconds", type=float, help="begin no further history after so many seconds")
    parser.add_argument("--histories", type=int, help="how many histories (default 500, without --seconds)")
    parser.add_argument("--seed", type=int, help="seed of the first history; each further one adds 1 (default: random)")
    return parser


def _tell(outcome: Outcome) -> None:
    if outcome.violations:
        for text in outcome.violations[:20]:
            print(f"VIOLATION in history {outcome.seed}: {text}")
        more = len(outcome.violations) - 20
        print(f"  {f'and {more} more; ' if more > 0 else ''}files: {outcome.kept}")
        print(f"  repeat: python -m tests.faults --histories 1 --seed {outcome.seed}", flush=True)


def _summary(outcomes: list[Outcome], first: int, seconds: float) -> str:
    kills, events = sum(one.kills for one in outcomes), sum(one.events for one in outcomes)
    bad = sum(bool(one.violations) for one in outcomes)
    resumed = sorted(value for one in outcomes for value in one.resumed)
    text = f"{len(outcomes)} histories from seed {first} in {seconds:.0f} s: {kills} kills, {events} events, "
    text += f"{bad} with violations"
    if not resumed:
        return text
    middle, most = statistics.median(resumed) * 1000, resumed[-1] * 1000
    text += f"\nfrom a kill to the first step after the restart: median {middle:.0f} ms, max {most:.0f} ms"
    return f"{text} ({len(resumed)} kills with a step due; the worker is forked from a warm process)"


if __name__ == "__main__":
    sys.exit(main())
