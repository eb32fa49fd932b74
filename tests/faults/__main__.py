"""`python -m tests.faults`: play histories with real faults, check the invariants on each; exit 1 for a violation."""

from __future__ import annotations

import argparse
import math
import os
import secrets
import sys
import time

from tests import postgres
from tests.faults import report
from tests.faults.history import Outcome
from tests.faults.places import BACKENDS, SQLITE
from tests.faults.script import BOTH
from tests.faults.series import play_all

_DEFAULT_HISTORIES = 300
_DEFAULT_JOBS = 2


def main() -> int:
    """Play until the number or the time is reached."""
    asked = _parser().parse_args()
    if asked.backend != SQLITE and postgres.home() is None:
        print(postgres.ADVICE)
        if asked.backend != BOTH or os.environ.get("CI"):
            return 1
        asked.backend = SQLITE
    first = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    began = time.monotonic()
    outcomes: list[Outcome] = []
    most = asked.histories or (math.inf if asked.seconds else _DEFAULT_HISTORIES)
    limits = {"jobs": min(asked.jobs, most), "most": most, "seconds": asked.seconds or math.inf}
    for outcome in play_all(first, asked.backend, keep=asked.keep, subscribers=asked.subscribers, **limits):
        outcomes.append(outcome)
        report.tell(outcome)
        if len(outcomes) % 20 == 0:
            print(f"{len(outcomes)} histories, {time.monotonic() - began:.0f} s", flush=True)
    print(f"from seed {first}: {report.summary(outcomes, time.monotonic() - began)}")
    return 1 if any(outcome.violations for outcome in outcomes) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seconds", type=float, help="begin no further history after so many seconds")
    parser.add_argument(
        "--histories", type=int, help=f"how many histories (default {_DEFAULT_HISTORIES}, without --seconds)"
    )
    parser.add_argument("--seed", type=int, help="seed of the first history; each further one adds 1 (default: random)")
    parser.add_argument("--backend", choices=[*BACKENDS, BOTH], default=BOTH, help="where logs are (default: both)")
    parser.add_argument(
        "--jobs", type=int, default=_DEFAULT_JOBS, help=f"histories at a time (default {_DEFAULT_JOBS})"
    )
    parser.add_argument(
        "--subscribers", action="store_true", help="have subscribers in every history (default: in one of three)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the files of every history")
    return parser


if __name__ == "__main__":
    sys.exit(main())
