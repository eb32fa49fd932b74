"""`python -m tests.faults.kafka`: play histories with a broker, check the invariants; exit 1 for a violation."""

from __future__ import annotations

import argparse
import math
import secrets
import signal
import sys
import time
from collections import Counter
from contextlib import closing

from tests.faults.kafka.history import Outcome
from tests.faults.kafka.series import play_all

_DEFAULT_HISTORIES = 100
_DEFAULT_JOBS = 2


def main() -> int:
    """Play until the number or the time is reached."""
    asked = _parser().parse_args()
    first = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    began = time.monotonic()
    most = asked.histories or (math.inf if asked.seconds else _DEFAULT_HISTORIES)
    outcomes: list[Outcome] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started has to be ended
    limits = {"jobs": min(asked.jobs, most), "most": most, "seconds": asked.seconds or math.inf}
    with closing(play_all(first, keep=asked.keep, **limits)) as playing:
        for outcome in playing:
            outcomes.append(outcome)
            _tell(outcome)
            if len(outcomes) % 10 == 0:
                print(f"{len(outcomes)} histories, {time.monotonic() - began:.0f} s", flush=True)
    print(_summary(first, outcomes, time.monotonic() - began))
    return 1 if any(outcome.violations for outcome in outcomes) else 0


def _tell(outcome: Outcome) -> None:
    for text in outcome.violations[:12]:
        print(f"VIOLATION in history {outcome.seed}: {text[:2000]}")
    if outcome.kept:
        print(f"  files: {outcome.kept}; repeat: python -m tests.faults.kafka --histories 1 --seed {outcome.seed}")
    sys.stdout.flush()


def _summary(first: int, outcomes: list[Outcome], seconds: float) -> str:
    faults = sum((one.faults for one in outcomes), Counter[str]())
    listed = ", ".join(f"{number} {kind}" for kind, number in sorted(faults.items())) or "none"
    events, published = sum(one.events for one in outcomes), sum(one.published for one in outcomes)
    bad = sum(bool(one.violations) for one in outcomes)
    return (
        f"from seed {first}: {len(outcomes)} histories, {sum(one.tasks for one in outcomes)} tasks, {events} events,"
        f" {published - events} of them published again, {sum(one.letters for one in outcomes)} dead letters"
        f" in {seconds:.0f} s: {bad} with violations\nfaults: {listed}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kafka", description=__doc__)
    parser.add_argument("--seconds", type=float, help="begin no further history after so many seconds")
    parser.add_argument("--histories", type=int, help=f"how many (default {_DEFAULT_HISTORIES}, without --seconds)")
    parser.add_argument("--seed", type=int, help="seed of the first; each further one adds 1 (default: random)")
    parser.add_argument(
        "--jobs", type=int, default=_DEFAULT_JOBS, help=f"histories at a time (default {_DEFAULT_JOBS})"
    )
    parser.add_argument("--keep", action="store_true", help="keep the files of every history")
    return parser


if __name__ == "__main__":
    sys.exit(main())
