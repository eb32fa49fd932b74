"""`python -m bench [--quick | --large] [subscriptions]`: measure Tasker beside the disk and a peer, print the table."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from bench import postgres
from bench.measures import MEASURES
from bench.plan import (
    AUDIT,
    EVENTS,
    HTTP,
    KAFKA,
    PEER,
    PG,
    SECTIONS,
    SUBSCRIPTIONS,
    TELEMETRY,
    One,
    Plan,
    announce,
    plan,
    space,
)
from bench.report import DOCUMENT, Report, put
from bench.rows import large_rows, rows
from bench.rows_audit import audit_rows
from bench.rows_http import http_rows
from bench.rows_kafka import kafka_rows
from bench.rows_postgres import postgres_rows
from bench.rows_subscriptions import subscription_rows
from bench.rows_telemetry import telemetry_rows
from bench.run import Found, run
from bench.server import Server, durability
from bench.setting import CACHE, FULL, LARGE, QUICK, ROOT, Size, head_of

_ROUNDS = {"quick": 1, "full": 3, "large": 3}
_DAY = 86_400
_ROWS = {
    SUBSCRIPTIONS: subscription_rows,
    HTTP: http_rows,
    TELEMETRY: telemetry_rows,
    KAFKA: kafka_rows,
    AUDIT: audit_rows,
}


def main() -> int:
    """Measure."""
    asked = _parser().parse_args()
    size = QUICK if asked.quick else LARGE if asked.large else FULL
    if full := space(size):
        print(f"bench: {full}", file=sys.stderr)
        return 1
    CACHE.joinpath(".gitignore").write_text("*\n")
    _sweep()
    with Server() as server, tempfile.TemporaryDirectory(prefix="logs-", dir=CACHE) as folder:
        planned = plan(size, SECTIONS.get(asked.section) or asked.only, Path(folder), server)
        announce(planned)
        told = durability(server.url) if server.url else ""
        found = run(planned, _rounds(asked, size))
        for samples in found:
            samples.notes["floor"] = _spread(samples.values.get("commit_ms", []))
            samples.notes["large"] = _many(EVENTS[size.name])
        for name, url in planned.logs.items():
            found.of(One("", name)).notes[One("", name).log] = _many(head_of(url))
        if server.url:
            postgres.drop(server.url, *postgres.leftovers(server.url))
    _show(asked, planned, found, told)
    return 0


def _show(asked: argparse.Namespace, planned: Plan, found: Found, told: str) -> None:
    """Write the figures, and print them; those of PostgreSQL in a section of their own."""
    rounds = _rounds(asked, planned.size)
    main = Report(found.files.medians(), found.files.notes, _without(planned, pg=False), _command(planned.size), rounds)
    also = Report(
        found.postgres.medians(), found.postgres.notes, _without(planned, pg=True), _command(planned.size), rounds, told
    )
    kept: dict[str, object] = {**main.kept(), "samples": found.files.values}
    if planned.server or PG in planned.missing:
        kept["postgres"] = {**also.kept(), "samples": found.postgres.values}
    file: Path = asked.json or CACHE / f"figures{asked.section and '-'}{asked.section}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept, indent=1) + "\n")
    if asked.section:
        _show_section(asked, main, also)
        return
    if asked.only:
        print("\n".join(f"{key} {value:.6g}" for key, value in main.figures.items()))
        print("\n".join(f"{key}@{PG} {value:.6g}" for key, value in also.figures.items()))
        return
    large = planned.size is LARGE
    name = "large: make bench-large" if large else "figures: make bench"
    _told(asked, f"{name} ARGS=--docs", main.table(large_rows() if large else rows()))
    if planned.server:
        _told(asked, "postgres: make bench ARGS=--docs", also.table(postgres_rows()))


def _show_section(asked: argparse.Namespace, main: Report, also: Report) -> None:
    """Print a section of its own, SQLite and PostgreSQL in one table."""
    figures = {**main.figures, **{f"{key}@{PG}": value for key, value in also.figures.items()}}
    durability = "; ".join(filter(None, (main.durability, also.durability)))
    missing, command = {**main.missing, **also.missing}, f'make bench ARGS="{asked.section}"'
    found = main._replace(figures=figures, durability=durability, missing=missing, command=command)
    _told(asked, f'{asked.section}: make bench ARGS="{asked.section} --docs"', found.table(_ROWS[asked.section]()))


def _told(asked: argparse.Namespace, mark: str, shown: str) -> None:
    print(shown)
    if asked.docs:
        put(mark, shown)


def _without(planned: Plan, *, pg: bool) -> dict[str, str]:
    """Give what was left out of a section, and why; without the peer, of both."""
    return {name: why for name, why in planned.missing.items() if name == PEER or name.startswith(PG) == pg}


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


def _rounds(asked: argparse.Namespace, size: Size) -> int:
    """Give how often the round is repeated; a section takes its turns within a measure."""
    return asked.rounds or (1 if asked.section else _ROUNDS[size.name])


def _command(size: Size) -> str:
    return "make bench" if size is FULL else f"make bench-{size.name}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="one round of smaller sizes, under a minute")
    sizes.add_argument("--large", action="store_true", help="logs of 5 and 10 million events")
    parser.add_argument(
        "section",
        nargs="?",
        default="",
        choices=["", *SECTIONS],
        metavar="SECTION",
        help=f"only {', '.join(SECTIONS)}, in a table of its own",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds, if not 3 (quick, and of a section: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where every sample goes, if not into the cache")
    parser.add_argument("--docs", action="store_true", help=f"also put the table into {DOCUMENT.relative_to(ROOT)}")
    names = sorted({*MEASURES, PEER})
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help=f"take these measures, print the bare figures: {', '.join(names)}; "
        "NAME@large takes one on the large log, NAME@pg and NAME@pg-large on PostgreSQL"
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
