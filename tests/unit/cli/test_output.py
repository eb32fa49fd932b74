"""What a command prints: JSON lines, aligned text, and nothing that steers a terminal."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from tasker.cli.logs import Lines
from tasker.cli.output import Output, as_json, safe

MOMENT = datetime(2026, 11, 21, 14, 0, 0, 123456, UTC)


def test_json_is_one_line_with_exact_times():
    """Times are RFC 3339 with microseconds, read-only mappings and tuples are objects and lists."""
    line = as_json({"time": MOMENT, "map": MappingProxyType({"a": (1, 2)}), "text": "ü\n"})
    assert line == '{"time": "2026-11-21T14:00:00.123456Z", "map": {"a": [1, 2]}, "text": "ü\\n"}'


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\r", "\x9b", "\x00"])
def test_nothing_steers_the_terminal(character):
    """Control characters in a value are shown, not sent; line ends stay."""
    assert safe(f"a{character}[31m\nb") == f"a\\x{ord(character):02x}[31m\nb"


def test_a_table_in_a_pipe_is_aligned_text(capsys):
    """In a pipe a table is plain text with its columns below each other, without any escape sequence."""
    Output(json_lines=False).table(("name", "count"), [{"name": "longer", "count": 1}, {"name": "x", "count": None}])
    assert capsys.readouterr().out == "NAME    COUNT\nlonger  1\nx\n"


def test_a_table_as_json_has_everything(capsys):
    """As JSON lines a table prints the full things, and `say` prints nothing."""
    out = Output(json_lines=True)
    out.say("for people")
    out.table(("name",), [{"name": "a"}], [{"name": "a", "more": [1]}])
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [{"name": "a", "more": [1]}]


def test_a_table_on_a_terminal_shows_markup_as_text(capsys, monkeypatch):
    """On a terminal a Rich table is printed, in which brackets of a value mean nothing."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    Output(json_lines=False).table(("name",), [{"name": "[red]not red[/red]"}])
    assert "[red]not red[/red]" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["json", "logfmt", "console"])
def test_log_lines_carry_their_fields(form):
    """Each form of a log line has level, component, message and the fields it was given."""
    record = logging.makeLogRecord({"name": "tasker.runner", "levelname": "WARNING", "msg": "slot %d", "args": (3,)})
    record.task_id = "t-1"
    line = Lines(form).format(record)
    assert "\n" not in line
    for part in ("runner", "slot 3", "t-1"):
        assert part in line
    if form == "json":
        assert json.loads(line)["level"] == "warning"
