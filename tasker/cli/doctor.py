"""The command that looks whether everything is there: versions, fold, database, project, health, settings, extras."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

import typer

from tasker.cli import DONE, FAILED
from tasker.cli.common import Cli, command
from tasker.errors import TaskerError

if TYPE_CHECKING:
    from tasker.settings import Settings

_EXTRAS = {
    "postgres": ("psycopg",),
    "kafka": ("kafka", "faust"),
    "http": ("fastapi", "uvicorn", "jinja2", "prometheus_client"),
    "otel": ("opentelemetry.sdk",),
    "audit": ("cryptography",),
    "parquet": ("pyarrow",),
}
_KINDS = {"sqlite": "SQLite", "memory": "SQLite in memory", "postgresql": "PostgreSQL", "postgres": "PostgreSQL"}
WELL, READY = "ok", "ready"
_NOT_MADE = ("submit a task to make one", "no log is here yet")
_SECRETS = re.compile(r"((?:passw|secret|token|key)\w*\s*=\s*)[^&\s]*", re.IGNORECASE)
_LIBRARIES = ("SQLAlchemy", "alembic", "pydantic", "orjson", "httpx2", "blinker", "typer")


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    command(app, "doctor")(doctor)


def doctor(cli: Cli) -> int:
    """Look whether everything is there.

    Shown are versions, the fold in use, the database, what the settings load, every setting with its source, what is
    missing, and the checks of health; at the end whether all is well.
    """
    settings = cli.settings()
    fold, folds = _fold()
    report: dict[str, Mapping[str, object]] = {
        "versions": {**_versions(), "fold": fold},
        "database": _database(settings.url),
        "project": _project(cli, settings),
        "settings": _settings(cli, settings),
        "extras": dict(_extras()),
    }
    if report["database"]["state"] == READY:
        report |= {"checks": _checks(settings)}
    wrong = [] if folds else ["fold"]
    wrong += [title for title in ("database", "project") if report[title]["state"] not in {READY, "not made yet"}]
    wrong += [name for name, found in report.get("checks", {}).items() if found != WELL]
    if cli.out.json_lines:
        cli.out.one({**report, "ok": not wrong, "wrong": wrong}, "")
        return FAILED if wrong else DONE
    for title, pairs in report.items():
        cli.out.say(title)
        cli.out.facts({f"  {name}": value for name, value in pairs.items()})
    cli.out.say(f"Not well: {', '.join(wrong)}." if wrong else "All is well.")
    return FAILED if wrong else DONE


def version_of(distribution: str) -> str:
    """Give the installed version of a distribution; `unknown` where it runs without being installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


def masked(url: str) -> str:
    """Hide the user and password in a URL, wherever they stand, also in one that cannot be read."""
    return _SECRETS.sub(r"\1…", re.sub(r"^(\w[\w+.-]*://)?.*@", r"\1…@", url))


def _versions() -> dict[str, str]:
    import sqlite3

    own = {
        "tasker": version_of("tasker-engine"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    return own | {name.lower(): version_of(name) for name in _LIBRARIES}


def _fold() -> tuple[str, bool]:
    """Describe the fold in use, and say whether there is one."""
    from tasker.fold.native import FOLD_VERSION, native

    try:
        compiled = native() is not None
    except TaskerError as error:
        return f"unusable: {error}", False
    wish = os.environ.get("TASKER_NATIVE") or "not set"
    text = f"{'rust' if compiled else 'python'} (version {FOLD_VERSION}, TASKER_NATIVE={wish})"
    if not compiled and wish != "0" and shutil.which("cargo"):
        text += (
            "; cargo is there: `pip install --force-reinstall tasker-engine`, or `make core` in a checkout, compiles it"
        )
    return text, True


def _database(url: str) -> dict[str, object]:
    """Look at the log; whatever is wrong with it is a finding, no end of the looking."""
    kind = re.match(r"\w*", url)
    found: dict[str, object] = {"kind": _KINDS.get(kind[0] if kind else "", "unknown"), "url": masked(url)}
    try:
        found |= _opened(url)
    except TaskerError as error:
        found |= {"state": "not made yet" if any(mark in str(error) for mark in _NOT_MADE) else "unusable"}
        found |= {"says": str(error)}
    return found


def _opened(url: str) -> dict[str, object]:
    """Open a log that is there and give what is to be known of it."""
    from tasker.log.migrations import REVISIONS
    from tasker.log.open import open_store
    from tasker.log.workers import LIVING
    from tasker.runtime.membership import seen

    store = open_store(url, check_only=True)
    try:
        found: dict[str, object] = {}
        with store.reading() as connection:
            if connection.dialect.name == "sqlite":
                found |= {"journal mode": connection.exec_driver_sql("PRAGMA journal_mode").scalar()}
            else:
                found |= {"server": connection.exec_driver_sql("SHOW server_version").scalar()}
                found |= {"synchronous_commit": connection.exec_driver_sql("SHOW synchronous_commit").scalar()}
        alive = sum(worker.state in LIVING for worker in seen(store))
        facts = {"revision": REVISIONS[-1], "head position": store.log.head(), "workers alive": alive}
        return found | facts | {"state": READY}
    finally:
        store.close()


def _project(cli: Cli, settings: Settings) -> dict[str, object]:
    """Load what the settings name, as a worker does, without a log: handlers, definitions, subscribers."""
    from tasker.cli.loading import built
    from tasker.runtime.execution import missing_env

    try:
        with cli.described() as app:
            declared = app.definitions()
            listed = [place for place, one in enumerate(settings.subscribers) if one.enabled]
            for place in listed:
                built(settings, place)
    except TaskerError as error:
        return {"state": "unusable", "says": str(error)}
    missing = {name for one in declared for template in one.step_templates for name in missing_env(template)}
    variables = {"missing variables": ", ".join(sorted(missing))} if missing else {}
    return {"state": READY, "definitions": len(declared), "subscribers": len(listed), **variables}


def _checks(settings: Settings) -> dict[str, object]:
    """Make the health checks that a server makes, too."""
    from tasker.app.streaming import watch_broker
    from tasker.clock import SystemClock, SystemIds
    from tasker.runtime.engine import Engine

    engine = Engine(settings.url, settings, clock=SystemClock(), ids=SystemIds(), concurrency=1, follow=False)
    watch_broker(engine)
    try:
        return {name: WELL if one.ok else f"failed: {one.error}" for name, one in engine.health.ready().items()}
    finally:
        engine.close()


def _settings(cli: Cli, settings: Settings) -> dict[str, object]:
    values = settings.masked()
    sources = {**settings.sources} | ({"url": "--url"} if cli.url is not None else {})
    found: dict[str, object] = {}
    for key, source in sources.items():
        value: object = values
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        found[key] = {"value": value, "from": source} if cli.out.json_lines else f"{value}  ({source})"
    return found


def _extras() -> Iterator[tuple[str, object]]:
    for extra, modules in _EXTRAS.items():
        missing = [name for name in modules if not _there(name)]
        hint = f"missing {', '.join(missing)}: pip install 'tasker-engine[{extra}]'"
        yield extra, hint if missing else "installed"


def _there(module: str) -> bool:
    if module in sys.modules:  # Faust, once imported, has no spec any more
        return True
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
