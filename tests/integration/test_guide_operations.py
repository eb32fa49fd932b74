"""The guide of operations over HTTP: its shell blocks run in their order, in one shell, beside the server it starts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import httpx2
import pytest

from tests.integration.cli_kit import own_environment
from tests.integration.test_docs import ROOT, blocks, is_file

PAGE = ROOT / "docs/guides/operations.md"
PATIENCE = 120.0


@pytest.fixture
def port() -> int:
    """Give a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def folder(tmp_path, port):
    """Give a folder with the files of the page, the `tasker` command, and another port than the page's."""
    for block in (one for one in blocks(PAGE) if is_file(one)):
        (tmp_path / block.info).write_text(block.body.replace("8000", str(port)), encoding="utf-8")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "tasker").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tasker "$@"\n')
    (tools / "tasker").chmod(0o755)
    return tmp_path


def environment(folder) -> dict[str, str]:
    """Give the environment of somebody who reads the page."""
    path = os.pathsep.join((str(folder / "bin"), os.environ["PATH"]))
    return own_environment() | {"PATH": path, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


@contextmanager
def serving(folder, port: int):
    """Run the server of the page until it is not needed any more."""
    (block,) = [one for one in blocks(PAGE) if one.language == "sh" and one.info == "server"]
    with (folder / "server.log").open("wb") as log:
        child = subprocess.Popen(
            ["sh", "-c", f"exec {block.body}"], cwd=folder, env=environment(folder), stdout=log, stderr=log
        )
    try:
        _wait(port, child, folder / "server.log")
        yield
        child.terminate()
        assert child.wait(PATIENCE) == 0, (folder / "server.log").read_text()
    finally:
        child.kill()
        child.wait()


def streamed(folder, port: int) -> list[str]:
    """Follow the stream of the page until a task is complete; gives the names of the events."""
    (block,) = [one for one in blocks(PAGE) if one.language == "sh" and one.info == "stream"]
    names = environment(folder) | {"URL": f"http://127.0.0.1:{port}"}
    with subprocess.Popen(["sh", "-c", f"exec {block.body}"], env=names, stdout=subprocess.PIPE, text=True) as curl:
        heard: list[str] = []
        late = threading.Timer(PATIENCE, curl.kill)
        late.start()
        for line in curl.stdout or ():
            heard += [line.strip()] if line.startswith("event: ") else []
            if "event: task.completed" in line:
                break
        late.cancel()
        curl.kill()
    return heard


def _wait(port: int, child: subprocess.Popen[bytes], log) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        assert child.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            httpx2.get(f"http://127.0.0.1:{port}/health/live", timeout=PATIENCE)
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return


@pytest.mark.parametrize("tool", ["curl", "jq"])
def test_what_the_page_needs_is_there(tool):
    """The commands of the page need curl and jq; where they are missing the other test says so, too."""
    if shutil.which(tool) is None and not os.environ.get("CI"):
        pytest.skip(f"no {tool}: apt install {tool}")
    assert shutil.which(tool)


def test_its_commands_run(folder, port):
    """A task is created, stuck, explained, repaired, approved and complete; each command of the page succeeds."""
    missing = [tool for tool in ("bash", "curl", "jq") if shutil.which(tool) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"no {', '.join(missing)}: apt install {' '.join(missing)}")
    found = [one for one in blocks(PAGE) if one.language == "sh" and not one.info]
    script = "".join(f"\necho '--- line {one.line}' >&2\n{one.body}" for one in found).replace("8000", str(port))
    with serving(folder, port):
        done = subprocess.run(
            [shutil.which("bash"), "-euo", "pipefail", "-c", script], cwd=folder, env=environment(folder),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * PATIENCE, check=False,
        )  # fmt: skip
        heard = streamed(folder, port)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert heard[-1] == "event: task.completed"
    for said in (
        "200\n",
        '"$.amount"',
        '"recommended_action": "retry"',
        "the bank knows no currency",
        "expected_version",
    ):
        assert said in done.stdout, done.stdout
    assert "task.retried\t\tanonymous\tticket 311: the currency is EUR" in done.stdout
    assert "step.completed\trelease\tanonymous\taddress checked" in done.stdout
    assert done.stdout.count('"status": 409') == 1
