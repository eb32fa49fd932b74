"""The example notifications with real workers: services are busy, a worker is killed, and nobody misses a thing."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tasker
from tests import postgres
from tests.acceptance.over_kafka import PATIENCE, ended, made_of, own_topics
from tests.integration.cli_kit import Process, own_environment, wait_for

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/notifications"
FEW = {"TASKER_LEASES__HEARTBEAT": "0.5", "TASKER_LEASES__TIMEOUT": "5"}
"""Seconds after which a killed worker's place is free: few."""
MAIL, SLACK, PAGERDUTY, SENTRY = ALL = ("mail", "slack", "pagerduty", "sentry")


class Shop:
    """A copy of the example's folder, its services, and commands that are called in it."""

    runs = ("worker",)
    """The command that runs tasks."""

    def __init__(self, folder: Path, services: object, variables: dict[str, str]) -> None:
        """Take the folder, the services, and settings beside those of the folder."""
        self.folder, self.services = folder, services
        path = os.pathsep.join((own_environment()["PYTHONPATH"], str(ROOT / "subscribers")))
        self.environment = own_environment() | services.variables | {"PYTHONPATH": path} | variables

    @contextmanager
    def worker(self, name: str) -> Iterator[Process]:
        """Run a worker; it is gone afterwards."""
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        with out.open("wb") as out_file, err.open("wb") as err_file:
            child = subprocess.Popen(
                [sys.executable, "-m", "tasker", *self.runs],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
            )
        process = Process(child, out, err)
        try:
            process.until(lambda: "runs on" in process.out, seconds=PATIENCE)
            yield process
        finally:
            child.kill()
            child.wait()

    def tasker(self, *arguments: str, code: int = 0) -> list[dict]:
        """Call the command for JSON lines; it must end with this code."""
        done = subprocess.run(
            [sys.executable, "-m", "tasker", *arguments, "--json"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def order(self, order_id: int, card: str = "good") -> str:
        """Sell an order, and give the id of its task once it has ended."""
        context = json.dumps({"order_id": order_id, "email": f"c{order_id}@shop.example", "card": card})
        submitted = ("submit", "fulfil_order", "--context", context, "--wait", "--timeout", "60")
        return self.tasker(*submitted, code=0 if card == "good" else 1)[0]["id"]

    def sent(self, service: str) -> list[dict]:
        """Give what a service was sent so far."""
        return list(self.services.sent[service])


class ShopOverKafka(Shop):
    """The same on PostgreSQL, with orders that come through a broker."""

    runs = ("kafka", "worker")

    def order(self, order_id: int, card: str = "good") -> str:
        """Ask for an order, and give the id of its task once it has ended."""
        context = json.dumps({"order_id": order_id, "email": f"c{order_id}@shop.example", "card": card})
        own = json.dumps({"correlation_id": f"order-{order_id}"})
        self.tasker("kafka", "publish", "fulfil_order", "--context", context, "--options", own)
        with tasker.Tasker(self.environment["TASKER_URL"], settings={}) as log:
            task = ended(log, made_of(log, f"order-{order_id}"))
            assert task.status == ("complete" if card == "good" else "error")
            return task.id


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.slow)])
def shop(request, tmp_path):
    """Give a copy of the example with its services, on one machine or behind a broker."""
    folder = tmp_path / "notifications"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "*.db*"))
    spec = importlib.util.spec_from_file_location("notifications_stubs", EXAMPLE / "stubs.py")
    stubs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stubs)
    with stubs.Services() as services:
        if request.param == "sqlite":
            yield Shop(folder, services, {})
            return
        with postgres.database() as url:
            made = ShopOverKafka(folder, services, own_topics(url) | FEW)
            made.tasker("kafka", "topics")
            yield made


def test_a_worker_tells_all_services(shop):
    """From `tasker.yaml` alone a worker delivers to all four services, and resolves an incident with its task."""
    with shop.worker("worker") as worker:
        shop.order(7)
        lost = shop.order(13, card="declined")
        wait_for(lambda: all(shop.sent(service) for service in ALL), seconds=PATIENCE)
        wait_for(lambda: len(shop.sent(PAGERDUTY)) == 2, seconds=PATIENCE)
        shop.tasker("resolve", lost, "--reason", "paid in cash", "--actor", "ann")
        wait_for(lambda: len(shop.sent(PAGERDUTY)) == 3, seconds=PATIENCE)
        assert worker.stop(seconds=PATIENCE) == 0
    assert [one["text"] for one in shop.sent(MAIL)] == [
        "your order is on its way in 2 parcels",
        "we could not take your order; please look at your card",
    ]
    assert [one["event_action"] for one in shop.sent(PAGERDUTY)] == ["trigger", "trigger", "resolve"]
    assert {one["dedup_key"] for one in shop.sent(PAGERDUTY)} == {lost}
    assert shop.sent(PAGERDUTY)[0]["payload"]["severity"] == "critical"
    assert [one["environment"] for one in shop.sent(SENTRY)] == ["shop"]
    assert "order.fulfilled" in worker.err
    assert "c7@shop.example" not in worker.err + worker.out
    listed = shop.tasker("subscriptions", "list")
    assert {one["name"] for one in listed} - {"relay"} == {
        "customer_mail",
        "team_channel",
        "pagerduty",
        "sentry",
        "log",
    }
    assert {one["state"] for one in listed} == {"active"}


def test_a_killed_worker_loses_no_message(shop):
    """What a busy service refused is delivered by the next worker after kill -9; the others hear of it at once."""
    shop.services.busy[SLACK] = 1
    with shop.worker("first") as first:
        shop.order(7)
        wait_for(lambda: shop.services.busy[SLACK] == 0, seconds=PATIENCE)
        wait_for(lambda: len(shop.sent(MAIL)) == 1, seconds=PATIENCE)
        first.stop(signal.SIGKILL)
    assert not shop.sent(SLACK)
    with shop.worker("second") as second:
        wait_for(lambda: len(shop.sent(SLACK)) == 1, seconds=60)
        second.stop(seconds=PATIENCE)
    assert [one["text"] for one in shop.sent(SLACK)] == ["order 7 is fulfilled"]
    assert len(set(shop.services.keys[MAIL])) == 1
