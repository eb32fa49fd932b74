"""The command that looks whether everything is there: versions, fold, database, settings, missing parts."""

from __future__ import annotations

import os
import platform
import re
import shutil
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
_LIBRARIES = ("SQLAlchemy", "alembic", "pydantic", "orjson", "httpx2", "blinker", "typer")


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    command(app, "doctor")(doctor)


def doctor(cli: Cli) -> int:
    """Look whether everything is there.

    Shown are versions, the fold in use, the database, every setting with its source, and what is missing.
    """
    settings = cli.settings()
    fold, folds = _fold()
    report: dict[str, Mapping[str, object]] = {
        "versions": {**_versions(), "fold": fold},
        "database": dict(_database(settings.url)),
        "settings": _settings(cli, settings),
        "extras": dict(_extras()),
    }
    healthy = folds and report["database"]["state"] in {"ready", "not made yet"}
    if cli.out.json_lines:
        cli.out.one({**report, "ok": healthy}, "")
        return DONE if healthy else FAILED
    for title, pairs in report.items():
        cli.out.say(title)
        cli.out.facts({f"  {name}": value for name, value in pairs.items()})
    return DONE if healthy else FAILED


def version_of(distribution: str) -> str:
    """Give the installed version of a distribution; `unknown` where it runs without being installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


def masked(url: str) -> str:
    """Hide the user and password in a URL."""
    return re.sub(r"//.*@", "//…@", url)


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


def _database(url: str) -> Iterator[tuple[str, object]]:
    from tasker.log.open import open_store

    yield "url", masked(url)
    try:
        store = open_store(url, check_only=True)
    except TaskerError as error:
        missing = ("submit a task to make one", "no log is here yet")
        yield "state", "not made yet" if any(words in str(error) for words in missing) else "unusable"
        yield "says", str(error)
        return
    try:
        from tasker.log.migrations import REVISIONS

        with store.reading() as connection:
            if connection.dialect.name == "sqlite":
                yield "journal mode", connection.exec_driver_sql("PRAGMA journal_mode").scalar()
            else:
                yield "server", connection.exec_driver_sql("SHOW server_version").scalar()
                yield "synchronous_commit", connection.exec_driver_sql("SHOW synchronous_commit").scalar()
        yield "revision", REVISIONS[-1]
        yield "head position", store.log.head()
        yield "state", "ready"
    finally:
        store.close()


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
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
