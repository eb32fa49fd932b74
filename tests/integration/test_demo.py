"""`tasker demo` does what the README says of it: a transcript, its figures, and what it leaves behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

from tests.integration.cli_kit import own_environment


def run_demo(folder, *arguments):
    """Run the demo in a folder of its own; its temporary files go there too."""
    environment = own_environment() | {"TMPDIR": str(folder), "TASKER_URL": "sqlite:///not-the-demo.db"}
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tasker", "demo", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout, time.monotonic() - begun


def test_the_demo_tells_its_story(tmp_path):
    """Twenty orders, a real kill, a take-over, a history, a why, the proof; within 30 s, and nothing is left behind."""
    shown, seconds = run_demo(tmp_path)
    for expected in (
        r"20 orders are recorded",
        r"A payment gateway answers on http://127\.0\.0\.1:\d+",
        r"Worker \d+ starts, with 4 slots",
        r"kill -9 \d+: \d+ orders had ended, [1-9]\d* steps were in flight",
        r"Worker \d+ takes over",
        r"The history of order \d+:\n +1 .*task\.created",
        r"step\.abandoned",
        r"Why order 13 did not complete:\n.*card declined",
        r"19 orders are complete, 1 is in error",
        r"the chain of hashes holds: \d+ events in 20 streams",
        r"19 charges for 19 orders: no card was charged twice",
    ):
        assert re.search(expected, shown), f"{expected}\n{shown}"
    assert "\x1b" not in shown
    assert seconds < 30
    assert list(tmp_path.iterdir()) == []


def test_the_demo_as_json_and_what_it_keeps(tmp_path):
    """`--json` gives the figures on one line; with `--keep` the log stays, and all commands read it."""
    shown, _ = run_demo(tmp_path, "--json", "--keep")
    figures = json.loads(shown)
    wanted = {"orders": 20, "complete": 19, "error": 1, "charges": 19, "charged_twice": 0, "problems": []}
    assert {key: figures[key] for key in wanted} == wanted
    assert figures["abandoned"] == figures["in_flight_at_the_kill"] >= 1
    assert figures["repeated_requests"] >= 1
    (folder,) = tmp_path.iterdir()
    verified = subprocess.run(
        [sys.executable, "-m", "tasker", "audit", "verify", "--json", "--url", f"sqlite:///{folder}/orders.db"],
        env=own_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert json.loads(verified.stdout)["events"] == figures["events"]
