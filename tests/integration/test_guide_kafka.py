"""The guide about Kafka runs: its commands with a worker on a real broker, its Python and Java, kcat where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tasker import Tasker
from tasker.kafka import topics
from tasker.kafka.dead import DeadLetters
from tasker.kafka.reading import read
from tasker.runtime.request import TaskRequest
from tasker.settings.sections import Kafka
from tests import broker
from tests.integration.cli_kit import ROOT, Process, own_environment, wait_for
from tests.integration.kafka_kit import everything
from tests.integration.test_docs import Block, blocks, is_file

PAGE = ROOT / "docs/guides/kafka.md"
FOREVER, KCAT, JAVA = "worker", "kcat", "java"
BASH = shutil.which("bash")
PATIENCE = 120.0
ASKED = ["cup 1", "cup 2", "cup 3", "tea", "tea"]


@pytest.fixture
def folder(tmp_path):
    """Give a folder with the files of the page, in which `tasker` and `python` are these."""
    for block in blocks(PAGE):
        if is_file(block):
            (tmp_path / block.info).write_text(block.body, encoding="utf-8")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, arguments in (("tasker", "-m tasker"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (tools / name).chmod(0o755)
    return tmp_path


def shell(info: str | None = None) -> list[Block]:
    """Give the shell blocks of the page; those with a word behind the language only if it is asked for."""
    return [one for one in blocks(PAGE) if one.language == "sh" and (info is None or one.info == info)]


@pytest.mark.slow
def test_its_commands_run(folder, bare_url):
    """Its blocks run in the order of the page; what they publish is run, and what they follow is told."""
    with ExitStack() as stack:
        kafka = stack.enter_context(broker.own())
        environment = _environment(folder, kafka.bootstrap) | {"TASKER_URL": bare_url}
        running: list[Process] = []
        for block in shell():
            if block.info == FOREVER:
                running.append(stack.enter_context(_started(block, folder, environment)))
            elif not block.info:
                _run(block, folder, environment)
        worker, follower = running
        with Tasker(bare_url, settings={}) as log:
            wait_for(lambda: len(_completed(log)) == len(ASKED), seconds=PATIENCE)
            done = _completed(log)
            wait_for(lambda: all(f"tasker.task.completed {one}" in follower.out for one in done), seconds=PATIENCE)
            assert sorted(log.task(one).context["item"] for one in done) == ASKED
        letters = DeadLetters(Kafka(bootstrap=(kafka.bootstrap,)))
        wait_for(lambda: letters.letters(everything=True), seconds=PATIENCE)
        assert {one.reason for one in letters.letters(everything=True)} == {"invalid_request"}
        assert worker.stop(seconds=PATIENCE) == 0


def test_its_kcat_publishes_requests(folder):
    """What kcat publishes is a request, with key and header; without kcat at least the shell understands the line."""
    [block] = shell(KCAT)
    subprocess.run([BASH, "-n", "-c", block.body], check=True, timeout=PATIENCE)
    if shutil.which("kcat") is None:
        pytest.skip("no kcat: install it with `apt install kcat`")
    _publishes(block, folder, b"order-2", "checkout-2")


@pytest.mark.slow
def test_its_java_publishes_requests(folder):
    """The Java of the page compiles against the clients of the broker, and what it publishes is a request."""
    if shutil.which("javac") is None and not os.environ.get("CI"):
        pytest.skip("no Java compiler: install a JDK 17 or newer")
    [block] = shell(JAVA)
    _publishes(block, folder, b"order-4", "checkout-4")


def test_its_blocks_are_known():
    """A word behind `sh` is one of those that say how the block is run."""
    assert {block.info for block in shell()} == {"", FOREVER, KCAT, JAVA}
    assert len(shell(FOREVER)) == 2


def _publishes(block: Block, folder: Path, key: bytes, correlation: str) -> None:
    """Run a block on the broker of all tests; one request of that key must be there then."""
    settings = Kafka(bootstrap=(broker.shared(),), partitions=1)
    topics.create(settings)
    _run(block, folder, _environment(folder, broker.shared()) | {"KAFKA_CLIENTS": f"{broker.jars()}/*"})
    found = [one for one in everything(broker.shared(), settings.topics.requests) if one.key == key]
    assert found
    request = read(found[-1], largest=100_000)
    assert isinstance(request, TaskRequest)
    assert (request.name, request.context, request.idempotency_key) == ("purchase", {"item": "tea"}, key.decode())
    assert request.correlation_id == correlation


def _completed(log: Tasker) -> list[str]:
    return [one.stream_id for one in log.events(types="task.completed")]


def _environment(folder: Path, bootstrap: str) -> dict[str, str]:
    path = os.pathsep.join((str(folder / "bin"), os.environ["PATH"]))
    return own_environment() | {"PATH": path, "TASKER_KAFKA__BOOTSTRAP": bootstrap}


def _run(block: Block, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [BASH, "-euo", "pipefail", "-c", block.body], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=2 * PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{PAGE.name}:{block.line}:\n{done.stdout}{done.stderr}"


@contextmanager
def _started(block: Block, folder: Path, environment: dict[str, str]) -> Iterator[Process]:
    """Start a program that goes on; a worker runs when this returns, and everything is gone afterwards."""
    out, err = folder / f"{block.line}.out", folder / f"{block.line}.err"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        child = subprocess.Popen(
            [BASH, "-c", f"exec {block.body}"], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=out_file, stderr=err_file,
        )  # fmt: skip
    process = Process(child, out, err)
    try:
        if "tasker" in block.body:
            process.until(lambda: "runs on" in process.out, seconds=PATIENCE)
        yield process
    finally:
        child.kill()
        child.wait()
