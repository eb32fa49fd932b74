"""How the command reads values, draws graphs and loads what the settings name."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
import typer

from tasker.cli.common import parse_at, parse_json, parse_object, parse_time
from tasker.cli.doctor import masked
from tasker.cli.loading import named
from tasker.cli.picture import mermaid
from tasker.domain.graph import Graph
from tasker.errors import InvalidDefinition


def test_a_point_of_the_past_has_three_forms():
    """A number is a version, `@` and a number a position, anything else a time with its offset."""
    from tasker.runtime.position import Position

    assert parse_at(None) is None
    assert (parse_at("7"), type(parse_at("7"))) == (7, int)
    assert parse_at("@42") == Position(42)
    assert parse_at("2026-11-21T15:00:00+01:00") == datetime(2026, 11, 21, 14, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "@", "@x", "-1", "2026-11-21T14:00:00", ""])
def test_a_wrong_point_of_the_past_is_refused(text):
    """A naive time or rubbish is wrong use, and the error shows the three forms."""
    with pytest.raises(typer.BadParameter, match="position"):
        parse_at(text)


def test_json_comes_as_text_as_a_file_or_from_stdin(tmp_path, monkeypatch):
    """`{…}`, `@file` and `@-` are the same."""
    path = tmp_path / "value.json"
    path.write_text('{"a": 1}')
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": 1}'))
    assert parse_object('{"a": 1}', "x") == parse_object(f"@{path}", "x") == parse_object("@-", "x") == {"a": 1}
    assert parse_json("null", "x") is None


@pytest.mark.parametrize(
    ("text", "word"), [("{", "JSON"), ("[1]", "object"), ("@gone.json", "gone.json"), ("", "JSON")]
)
def test_wrong_json_is_refused(text, word):
    """What is no JSON object, or no file, is wrong use, and the error names the option and the trouble."""
    with pytest.raises(typer.BadParameter, match=word) as info:
        parse_object(text, "context")
    assert "context" in str(info.value)


def test_a_time_needs_its_offset():
    """A naive time is refused."""
    with pytest.raises(typer.BadParameter, match="offset"):
        parse_time("2026-11-21")


def test_a_diagram_has_every_step_and_edge():
    """A definition is drawn without colours, a task with one class for each status that occurs."""
    graph = Graph({"a": [], "b-1": ["a"], "c": ["a", "b-1"]})
    plain = mermaid(graph)
    assert plain.splitlines() == [
        "flowchart TD",
        '    s0["a"]',
        '    s1["b-1"]',
        '    s2["c"]',
        "    s0 --> s1",
        "    s0 --> s2",
        "    s1 --> s2",
    ]
    coloured = mermaid(graph, {"a": "complete", "b-1": "error", "c": "pending"})
    assert '    s1["b-1<br/>error"]:::error' in coloured.splitlines()
    assert [line.split()[1] for line in coloured.splitlines() if "classDef" in line] == ["complete", "error", "pending"]


def test_every_status_has_a_colour():
    """No status of a step is drawn without a colour."""
    from tasker.domain.status import StepStatus

    for status in StepStatus:
        assert f"classDef {status} " in mermaid(Graph({"a": []}), {"a": str(status)})


def test_a_reference_is_imported():
    """Both forms of a reference name the same thing."""
    assert named("tasker.cli.output:Output", "x") is named("tasker.cli.output.Output", "x")


@pytest.mark.parametrize(
    ("reference", "word"),
    [
        ("no_such_module:x", "no_such_module"),
        ("tasker.cli.output:Outputs", "Output"),
        ("tasker.cli.output.gone", "gone"),
    ],
)
def test_a_wrong_reference_names_the_place(reference, word):
    """A module or name that does not exist is refused with file:line, the word, and near names."""
    with pytest.raises(InvalidDefinition, match=word) as info:
        named(reference, "tasker.yaml:3")
    assert str(info.value).startswith("tasker.yaml:3: ")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:s3cr3t@host:5432/db", "postgresql+psycopg://…@host:5432/db"),
        ("postgresql://me:s3c@r3t:s3cr3t@host/db", "postgresql://…@host/db"),
        ("postgresql://host/db?user=me&password=s3cr3t&x=1", "postgresql://host/db?user=me&password=…&x=1"),
        ("me:s3cr3t@host/db", "…@host/db"),
        ("host=there password=s3cr3t dbname=db", "host=there password=… dbname=db"),
        ("postgresql://host/db?sslmode=require", "postgresql://host/db?sslmode=require"),
        ("sqlite:///shop.db", "sqlite:///shop.db"),
        ("memory://", "memory://"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url, shown):
    """User and password of a URL are hidden wherever they stand, also in one that cannot be read; the rest is shown."""
    assert masked(url) == shown
