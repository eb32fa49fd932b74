"""approval over HTTP: `python app.py` asks for four expenses, and answers three of them."""

import socket
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import httpx2
import uvicorn

from tasker import Tasker


def register(app):
    app.load_definitions(Path(__file__).with_name("approval.yaml"))


@contextmanager
def served(api):
    """Answer over HTTP on loopback, as `tasker serve` does in a process of its own; give the address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(api, lifespan="off", log_config=None))
        thread = Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1/tasks"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def office(url="memory://"):
    """Give an application whose worker runs, and somebody at a desk who has nothing but its HTTP API."""
    with Tasker(url, settings={}) as app:
        register(app)
        app.start()
        with served(app.asgi) as address, httpx2.Client(timeout=60) as client:
            yield app, Desk(client, address)


class Desk:
    """Looks at approvals and decides about them."""

    def __init__(self, client, address):
        self._client, self._address = client, address

    def asked(self, task_id):
        """Wait until somebody is asked; say who, and about what."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            reasons = self._client.get(f"{self._address}/{task_id}/why", params={"step": "approve"}).json()["items"]
            for reason in reasons:
                if reason["code"] == "outside":
                    return reason["details"]["reason"]
            time.sleep(0.02)
        raise TimeoutError(f"nobody was asked about {task_id} within two minutes")

    def decide(self, task_id, *, approved, by="ann", command="complete"):
        """Say yes or no; give the status of the answer."""
        decision = {"results": {"approved": approved, "by": by}, "reason": "checked against the budget"}
        return self._client.post(f"{self._address}/{task_id}/steps/approve/{command}", json=decision).status_code


def expense(app, amount, **more):
    """Hand in an expense; give its task."""
    return app.submit(name="approval", context={"employee": "eve", "amount": amount, **more})


def ended(app, task):
    """Give a task at its end."""
    return app.run_until_complete(task.id, timeout=60)


if __name__ == "__main__":
    with office() as (app, desk):
        small, large, refused = expense(app, 20), expense(app, 1200), expense(app, 3000)
        for task, approved in ((large, True), (refused, False)):
            print(desk.asked(task.id))
            desk.decide(task.id, approved=approved)
        for task in (ended(app, task) for task in (small, large, refused)):
            print(f"{task.context['amount']} EUR: {task.status}, {task.step('pay_out').results}")
        forgotten = ended(app, expense(app, 1500, decide_within_seconds=0.2))
        print(f"1500 EUR: {forgotten.status}, {forgotten.step('approve').error.kind}")
        desk.decide(forgotten.id, approved=True, command="resolve")
        print(f"1500 EUR: {ended(app, forgotten).status} after an operator has helped")
