"""`python -m bench [--quick] [--json FILE] [--docs]`: measure, print the table, compare it with its targets."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from bench.measures import MEASURES, ORDER
from bench.report import table
from bench.sums import middle

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "PERFORMANCE.md"
BEGIN, END = "<!-- figures: make bench ARGS=--docs -->\n", "<!-- end of figures -->"
_ROUNDS = 3
_MEASURE_SECONDS = 300


def main() -> int:
    """Measure."""
    asked = _parser().parse_args()
    rounds = 1 if asked.quick else _ROUNDS
    samples = _measured(rounds, asked.only or ORDER, "quick" if asked.quick else "full")
    figures = {key: middle(values) for key, values in samples.items()}
    if asked.json:
        asked.json.write_text(json.dumps({"figures": figures, "samples": samples}, indent=1))
    if asked.only:
        print("\n".join(f"{key} {value:.6g}" for key, value in figures.items()))
        return 0
    shown = table(figures, "python -m bench" + (" --quick" if asked.quick else ""), rounds)
    print(shown)
    if asked.docs:
        before, _, rest = DOCUMENT.read_text().partition(BEGIN)
        DOCUMENT.write_text(before + BEGIN + "\n" + shown + "\n" + END + rest.partition(END)[2])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of smaller sizes, under 40 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample there")
    parser.add_argument("--docs", action="store_true", help=f"also put the table into {DOCUMENT.relative_to(ROOT)}")
    parser.add_argument("--only", nargs="+", choices=sorted(MEASURES), help="measure these, print the bare figures")
    return parser


def _measured(rounds: int, names: Iterable[str], size: str) -> dict[str, list[float]]:
    """Measure round by round, so that what the machine does meanwhile hits everything alike."""
    samples: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        for name in names:
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            for key, value in _one(name, size).items():
                samples[key].append(value)
    return samples


def _one(name: str, size: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.measures", name, size],
        check=False, capture_output=True, text=True, timeout=_MEASURE_SECONDS, cwd=ROOT,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"bench {name} failed:\n{done.stderr}")
    if done.stderr:
        print(done.stderr, file=sys.stderr)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    sys.exit(main())
