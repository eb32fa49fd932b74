"""The guide from the original is complete and true: it names all of theirs, and every name of ours in it exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple, get_args

import pytest

import tasker
import tasker_subscribers
from tasker import errors, testing
from tasker.catalog.catalog import system_entries
from tasker.catalog.original import ORIGINAL
from tasker.settings.sections import Permission
from tests.architecture.face import command, documents
from tests.architecture.face.python import HELD
from tests.architecture.source import ROOT, modules, read, report

PAGE = "docs/guides/from-the-original.md"
FEATURES = {"S0": 12, "S1": 22, "S2": 5, "S3": 29, "S4": 7}
METHOD = re.compile(r"(?:GET|POST|PUT|PATCH|DELETE) /\S+")

#: What the original had, by the section of the page that leads from it; events stand in `tasker.catalog.original`.
THEIRS = {
    "YAML": """
        name, task_handler_class, module_namespace, namespace_name, version, description, concurrent, named_steps,
        default_dependent_system, schema, environments, step_templates, handler_class, dependent_system, skippable,
        default_retryable, default_retry_limit, depends_on_step, depends_on_steps, handler_config, custom_events, type,
        url, params, headers, ssl, enable_exponential_backoff, retry_delay, jitter_factor""",
    "Settings": """
        task_handler_directory, task_config_directory, default_module_namespace, identity_strategy,
        identity_strategy_class, custom_events_directories, authentication_enabled, authenticator_class,
        current_user_method, authenticate_user_method, authorization_enabled, authorization_coordinator_class,
        user_class, strategy, name, enable_secondary_database, enabled, service_name, service_version,
        filter_parameters, filter_mask, structured_logging_enabled, correlation_id_header, log_level, log_format,
        metrics_enabled, metrics_endpoint, metrics_format, metrics_auth_required, slow_query_threshold_seconds,
        memory_threshold_mb, event_sampling_rate, filtered_events, max_stored_samples, metrics_retention_hours,
        prometheus, config, status_requires_authentication, ready_requires_authentication, readiness_timeout_seconds,
        cache_duration_seconds, default_backoff_seconds, max_backoff_seconds, backoff_multiplier, jitter_enabled,
        jitter_max_percentage, reenqueue_delays, default_reenqueue_delay, buffer_seconds, min_concurrent_steps,
        max_concurrent_steps_limit, concurrency_cache_duration, batch_timeout_base_seconds,
        batch_timeout_per_step_seconds, max_batch_timeout_seconds, connection_pressure_factors,
        health_assessment_cache_duration, default_ttl""",
    "Commands": """
        rails generate tasker:task_handler, rails generate tasker:subscriber, rails generate tasker:events,
        rails generate tasker:authenticator, rails generate tasker:authorization_coordinator,
        tasker:install:migrations, tasker:install:database_objects, tasker:setup, tasker:setup:force,
        tasker:export_metrics, tasker:export_metrics_now, tasker:sync_metrics, tasker:metrics_status,
        create_tasker_app, install-tasker-app.sh, tasker-ctl task, tasker-ctl worker, tasker-ctl system,
        tasker-ctl config, tasker-ctl dlq, tasker-ctl auth, tasker-ctl docs, tasker-ctl template, tasker-ctl plugin,
        tasker-ctl remote""",
    "HTTP": """
        GET /tasks, POST /tasks, GET /tasks/:id, PATCH /tasks/:id, DELETE /tasks/:id, GET /tasks/:id/workflow_steps,
        GET /tasks/:id/workflow_steps/:id, PATCH /tasks/:id/workflow_steps/:id, DELETE /tasks/:id/workflow_steps/:id,
        GET /tasks/:id/task_diagrams, GET /handlers, GET /handlers/:namespace, GET /handlers/:namespace/:name,
        GET /health/ready, GET /health/live, GET /health/status, GET /metrics, GET /analytics/performance,
        GET /analytics/bottlenecks, POST /graphql, tasks, tasksByStatus, tasksByAnnotation, task, step,
        annotationTypes, node, nodes, createTask, updateTask, cancelTask, updateStep, cancelStep,
        tasker.task:index, tasker.task:show, tasker.task:create, tasker.task:update, tasker.task:destroy,
        tasker.task:retry, tasker.task:cancel, tasker.workflow_step:index, tasker.workflow_step:show,
        tasker.workflow_step:update, tasker.workflow_step:destroy, tasker.workflow_step:retry,
        tasker.workflow_step:cancel, tasker.health_status:index, tasker.handler:index, tasker.handler:show,
        tasker.metrics:index, tasker.analytics:index""",
    "Events": ", ".join(one.name for one in ORIGINAL if "*" not in one.name),
}


class Row(NamedTuple):
    """A line of a table, with the section it stands in and the number of its line."""

    section: str
    line: int
    cells: tuple[str, ...]
    columns: tuple[str, ...]

    def __getitem__(self, column: object) -> str:
        """Give a cell by the name of its column; the empty text where there is none."""
        return dict(zip(self.columns, self.cells, strict=True)).get(str(column), "")


@cache
def rows() -> tuple[Row, ...]:
    """Give the lines of all tables."""
    return tuple(_rows())


def _rows() -> Iterator[Row]:
    section, columns = "", ()
    for number, line in enumerate(read(PAGE).splitlines(), 1):
        if line.startswith("#"):
            section = line.strip("# ")
        if not line.startswith("|"):
            columns = ()
        elif not columns:
            columns = _cells(line)
        elif not line.startswith("|---"):
            yield Row(section, number, _cells(line), columns)


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def ours() -> Iterator[tuple[Row, str]]:
    """Give every name that stands in a column about this project, with its row."""
    for row in rows():
        for column in ("here", "shown by"):
            yield from ((row, name) for name in re.findall(r"`([^`]+)`", row[column]))


@cache
def existing() -> frozenset[str]:
    """Give every test of the project as it is called by pytest."""
    return frozenset(
        f"{m.path}::{name.replace('.', '::')}" for m in modules("tests") for name, _ in m.tests()
    ) | frozenset(
        f"tests/acceptance/face/test_face.py::{name}"
        for name in re.findall(r"^def (test_\w+)", read("tests/acceptance/face/test_face.py"), re.MULTILINE)
    )


def wrong(names: Iterator[tuple[Row, str]], known: object, advice: str) -> list[str]:
    """Name what stands in the guide and does not exist."""
    return [f"{PAGE}:{row.line}: `{name}`: {advice}" for row, name in names if name not in known]


def test_every_feature_stands_with_its_test() -> None:
    """Each feature that a text of the original names has a row of its own, with a test that shows it."""
    features = {row[""]: row for row in rows() if re.fullmatch(r"S\d-\d+", row[""])}
    assert list(features) == [f"{text}-{n}" for text, last in FEATURES.items() for n in range(1, last + 1)]
    bare = [f"{PAGE}:{row.line}: {name} names no test" for name, row in features.items() if "::" not in row["shown by"]]
    assert not bare, report(bare)


def test_every_test_exists() -> None:
    """The tests that the page names are there."""
    missing = wrong(((r, n) for r, n in ours() if n.startswith("tests/")), existing(), "there is no such test")
    assert not missing, report(missing)


@pytest.mark.parametrize("section", THEIRS)
def test_every_name_of_the_original_has_its_row(section: str) -> None:
    """Every key, setting, event, command, endpoint, operation and permission of the original is led somewhere."""
    told = {name for row in rows() if row.section == section for name in re.findall(r"`([^`]+)`", row["original"])}
    missing = sorted(set(re.split(r",\s+", THEIRS[section].strip())) - told)
    assert not missing, f"{PAGE}: the section {section} says nothing of {missing}"


def test_every_row_leads_somewhere() -> None:
    """A row names what there is here, or says why there is nothing; what is not there has a reason or another way."""
    silent = [
        f"{PAGE}:{row.line}: say what there is in its place, or `not there, because …`"
        for row in rows()
        if "here" in row.columns
        and (not row["here"] or ("not there" in row["here"] and not re.search(r"because|;|yet|`", row["here"])))
    ]
    assert not silent, report(silent)


def test_every_command_exists() -> None:
    """The commands that the page names are there, and so are their options."""
    known = command.commands()
    missing = []
    for row, name in ours():
        if name.startswith("tasker "):
            words = [word for word in name.split()[1:] if not word.startswith("-")]
            options = {word for word in name.split() if word.startswith("-")}
            there = {option for one in known.get(" ".join(words), ()) for option in one.opts}
            if " ".join(words) not in known or options - there:
                missing.append(f"{PAGE}:{row.line}: `{name}`: there is no such command")
    assert not missing, report(missing)


def test_every_endpoint_exists() -> None:
    """The endpoints that the page names are in the OpenAPI document."""
    known = {line.partition("  needs ")[0] for line in documents.http() if METHOD.match(line)}
    missing = wrong(((r, n) for r, n in ours() if METHOD.fullmatch(n)), known, "there is no such endpoint")
    assert not missing, report(missing)


def test_every_event_exists() -> None:
    """The events to which those of the original lead are in the catalogue."""
    named = ((r, n) for r, n in ours() if r.section == "Events" and re.fullmatch(r"(task|step|control)\.\w+", n))
    missing = wrong(named, system_entries(), "there is no such event")
    assert not missing, report(missing)


def test_every_key_exists() -> None:
    """The keys to which those of the original lead are in the schema of definitions, and in the settings."""
    yaml = {line.strip().partition(":")[0] for line in documents.definition() if line.startswith("    ")}
    yaml |= {f"step_templates[].{key}" for key in yaml}
    settings = {line.strip().partition(":")[0] for line in documents.settings()}
    for section, known in (("YAML", yaml), ("Settings", settings | yaml)):
        named = ((r, n) for r, n in ours() if r.section == section and re.fullmatch(r"[a-z_]+[a-z_.\[\]]*", n))
        missing = wrong(named, known, "there is no such key")
        assert not missing, report(missing)


def test_every_metric_and_permission_exists() -> None:
    """The metrics that the page names are shown, and the permissions can be given."""
    metrics = {line.partition(" ")[0] for line in documents.metrics()} | {tasker_subscribers.__name__}
    missing = wrong(((r, n) for r, n in ours() if re.fullmatch(r"tasker_\w+", n)), metrics, "there is no such metric")
    named = ((r, n) for r, n in ours() if re.fullmatch(r"(task|step|event|context):\w+", n))
    missing += wrong(named, get_args(Permission), "there is no such permission")
    assert not missing, report(missing)


def test_every_name_of_python_exists() -> None:
    """The classes that the page names can be imported, and the methods of `app` are there."""
    public = {*tasker.__all__, *testing.__all__, *dir(errors), *(name for held in HELD.values() for name in held)}
    missing = wrong(((r, n) for r, n in ours() if re.fullmatch(r"[A-Z][a-z]\w+", n)), public, "there is no such class")
    methods = {f"app.{name}" for name in dir(tasker.Tasker)}
    missing += wrong(((r, n) for r, n in ours() if re.fullmatch(r"app\.\w+", n)), methods, "Tasker has no such method")
    assert not missing, report(missing)


def test_every_link_leads_somewhere() -> None:
    """What the page links to is there."""
    here = (ROOT / PAGE).parent
    targets = re.findall(r"\]\(([^)#]+)", read(PAGE))
    assert targets
    assert not [target for target in targets if not (here / target).exists()]
