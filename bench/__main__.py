"""`python -m bench [--quick | --large]`: measure Tasker, the disk and a peer, print the table, write the figures."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from bench.measures import MEASURES
from bench.plan import EVENTS, PEER, Plan, announce, plan, space
from bench.report import DOCUMENT, Report, put
from bench.rows import large_rows, rows
from bench.run import Samples, run
from bench.setting import CACHE, FULL, LARGE, QUICK, ROOT, Size, head_of, url_of

_ROUNDS = {"quick": 1, "full": 3, "large": 3}
_DAY = 86_400
_FIGURES = CACHE / "figures.json"


def main() -> int:
    """Measure."""
    asked = _parser().parse_args()
    size = QUICK if asked.quick else LARGE if asked.large else FULL
    if full := space(size):
        print(f"bench: {full}", file=sys.stderr)
        return 1
    CACHE.joinpath(".gitignore").write_text("*\n")
    _sweep()
    with tempfile.TemporaryDirectory(prefix="logs-", dir=CACHE) as folder:
        planned = plan(size, asked.only, Path(folder))
        announce(planned)
        samples = run(planned, asked.rounds or _ROUNDS[size.name])
        samples.notes["floor"] = _spread(samples.values.get("commit_ms", []))
        samples.notes["large"] = _many(EVENTS[size.name])
        samples.notes |= {name: _many(head_of(url_of(file))) for name, file in planned.files.items()}
    _show(asked, planned, samples)
    return 0


def _show(asked: argparse.Namespace, planned: Plan, samples: Samples) -> None:
    size = planned.size
    figures = samples.medians()
    report = Report(figures, samples.notes, planned.missing, _command(size), asked.rounds or _ROUNDS[size.name])
    kept = {**report.about(), "missing": planned.missing, "notes": samples.notes, "figures": figures}
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps({**kept, "samples": samples.values}, indent=1) + "\n")
    if asked.only:
        print("\n".join(f"{key} {value:.6g}" for key, value in figures.items()))
        return
    shown = report.table(large_rows() if size is LARGE else rows())
    print(shown)
    if asked.docs:
        put("large: make bench-large ARGS=--docs" if size is LARGE else "figures: make bench ARGS=--docs", shown)


def _sweep() -> None:
    """Remove what runs have left behind that were interrupted a day ago or earlier."""
    for pattern in ("run-*", "logs-*"):
        for old in CACHE.glob(pattern):
            if time.time() - old.stat().st_mtime > _DAY:
                shutil.rmtree(old, ignore_errors=True)


def _spread(values: list[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f} ms" if values else "not measured"


def _many(events: int) -> str:
    return f"{events / 1e6:.1f} M"


def _command(size: Size) -> str:
    return "make bench" if size is FULL else f"make bench-{size.name}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="one round of smaller sizes, under a minute")
    sizes.add_argument("--large", action="store_true", help="logs of 5 and 10 million events")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds, if not 3 (quick: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", default=_FIGURES, help="where every sample goes")
    parser.add_argument("--docs", action="store_true", help=f"also put the table into {DOCUMENT.relative_to(ROOT)}")
    names = sorted({*MEASURES, PEER})
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help=f"take these measures, print the bare figures: {', '.join(names)}; "
        "NAME@large takes one on the large log"
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
