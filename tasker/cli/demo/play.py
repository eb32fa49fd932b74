"""The demo's story, from the first order to the proof."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasker import Tasker
from tasker.cli import DONE, FAILED
from tasker.cli.demo import handlers
from tasker.cli.demo.crew import Crew, DemoFailed
from tasker.cli.demo.gateway import DECLINED, Gateway, Ledger
from tasker.cli.demo.progress import Bar
from tasker.cli.demo.watch import Watch
from tasker.cli.output import Output, shown
from tasker.errors import TaskerError

ORDERS = range(1, 21)
_SLOTS = 4
_SECONDS = 20.0  # for each half
_STEPS = 7


def play(folder: Path, out: Output) -> int:
    """Run the demo in an empty folder and give the exit code.

    Args:
        folder: Where the log and the workers' output go.
        out: Where it is told.
    """
    begun = time.monotonic()
    url = f"sqlite:///{folder / 'orders.db'}"
    with Gateway() as gateway, Tasker(settings={"url": url}) as app:
        handlers.register(app)
        tasks = {number: _submitted(app, number) for number in ORDERS}
        out.say(f"{len(tasks)} orders are recorded in {url}; each has {_STEPS} steps")
        out.say(f"A payment gateway answers on {gateway.url}: sometimes busy, once too slow, and it declines one card")
        watch = Watch(app)
        with Crew(folder, url, gateway.url, slots=_SLOTS) as crew, Bar(out, _STEPS * len(tasks), len(tasks)) as bar:
            try:
                in_flight = _act(crew, watch, bar, tasks)
            except DemoFailed as error:
                msg = f"{error}; the last words of the worker:\n{crew.last_words()}"
                raise DemoFailed(msg) from error
        story = Story(app, watch, gateway.ledger, tasks, in_flight)
        problems = story.problems()
        seconds = time.monotonic() - begun
        if out.json_lines:
            out.one(story.facts() | {"seconds": round(seconds, 2), "problems": problems}, "")
        else:
            story.tell(out)
            out.say(f"All of it took {seconds:.1f} s.")
    for problem in problems:
        out.say(f"NOT AS IT MUST BE: {problem}")
    return FAILED if problems else DONE


def _submitted(app: Tasker, number: int) -> str:
    """Submit an order; the first half goes before the second, so that some have ended when the worker dies."""
    return app.submit(
        name="order_process",
        context={"order_id": number},
        idempotency_key=f"order-{number}",
        priority=10 if number <= len(ORDERS) // 2 else 0,
    ).id


def _act(crew: Crew, watch: Watch, bar: Bar, tasks: Mapping[int, str]) -> int:
    """Let one worker begin, kill it, let another one finish; give how many steps were in flight at the kill."""

    def each() -> None:
        bar.at(watch.steps, len(watch.ended))
        crew.check()

    half = _STEPS * len(tasks) // 2

    def half_way() -> bool:
        paying = any(step == "process_payment" for _, step in watch.running)
        return watch.steps >= half and (paying or (watch.steps >= half * 4 // 3 and bool(watch.running)))

    bar.say(f"Worker {crew.start()} starts, with {_SLOTS} slots")
    watch.until(half_way, each, seconds=_SECONDS, what="half of the steps, and one in flight")
    pid = crew.kill()
    watch.look()
    in_flight = len(watch.running)
    bar.say(f"kill -9 {pid}: {len(watch.ended)} orders had ended, {in_flight} steps were in flight")
    bar.say(f"Worker {crew.start()} takes over")
    watch.until(lambda: len(watch.ended) >= len(tasks), each, seconds=_SECONDS, what="the end of every order")
    crew.stop()
    return in_flight


@dataclass(frozen=True)
class Story:
    """What came of it: the log on one side, the gateway's books on the other."""

    app: Tasker
    watch: Watch
    ledger: Ledger
    tasks: Mapping[int, str]
    in_flight: int

    def facts(self) -> dict[str, object]:
        """Give the figures."""
        charges = self.ledger.by_order()
        return {
            "orders": len(self.tasks),
            "complete": sum(end == "task.completed" for end in self.watch.ended.values()),
            "error": sum(end == "task.failed" for end in self.watch.ended.values()),
            "events": sum(self.watch.types.values()),
            "retries": self.watch.types["step.retry_scheduled"],
            "in_flight_at_the_kill": self.in_flight,
            "abandoned": len(self.watch.abandoned),
            "charges": sum(charges.values()),
            "charged_twice": sum(count > 1 for count in charges.values()),
            "repeated_requests": self.ledger.repeated,
        }

    def problems(self) -> list[str]:
        """Compare what came of it with what must come of it; nothing is left out."""
        facts, expected = self.facts(), len(self.tasks) - 1
        wanted = {"complete": expected, "error": 1, "charges": expected, "charged_twice": 0}
        found = [f"{key}: expected {wanted[key]}, found {facts[key]}" for key in wanted if facts[key] != wanted[key]]
        if self.in_flight != len(self.watch.abandoned):
            found.append(f"expected {self.in_flight} abandoned attempts, found {len(self.watch.abandoned)}")
        for number, task_id in self.tasks.items():
            found += self._order_problems(number, task_id)
        try:
            self.app.audit.verify()
        except TaskerError as error:
            found.append(str(error))
        return found

    def _order_problems(self, number: int, task_id: str) -> list[str]:
        task = self.app.task(task_id)
        wanted = "error" if number == DECLINED else "complete"
        if task.status != wanted:
            return [f"order {number}: expected {wanted}, found {task.status}"]
        recorded = task.step("process_payment").results
        booked = [charge["charge_id"] for charge in self.ledger.charges.values() if charge["order_id"] == number]
        named = [recorded["charge_id"]] if wanted == "complete" else []
        if named != booked or self.watch.charged[task_id] != len(named):
            return [f"order {number}: the log names the charges {named}, the gateway {booked}"]
        return []

    def tell(self, out: Output) -> None:
        """Show a history, a `why`, the chain and the count."""
        number = self._most_eventful()
        out.say(f"\nThe history of order {number}:")
        for event in self.app.events(self.tasks[number]):
            step = "" if event.step is None else f" {event.step}"
            attempt = "" if event.attempt is None else f", attempt {event.attempt}"
            note = event.body.get("error_message") if event.type == "step.failed" else event.body.get("worker_id")
            said = f"  {shown(note)}" if note else ""
            out.say(f"  {event.version:>3}  {shown(event.time)[11:]}  {event.type}{step}{attempt}{said}")
        out.say(f"\nWhy order {DECLINED} did not complete:")
        for reason in self.app.why(self.tasks[DECLINED]):
            out.say(f"  {reason.text}" if reason.step is None else f"  {reason.step}: {reason.text}")
        out.say("\nWhat is proved:")
        for line in self._proved():
            out.say(f"  {line}")

    def _most_eventful(self) -> int:
        """Choose an order that the kill interrupted, best one at its payment."""
        interrupted = {task_id for task_id, _ in self.watch.abandoned}
        paying = {task_id for task_id, step in self.watch.abandoned if step == "process_payment"}
        ranks = {n: (i in paying, i in interrupted, n != DECLINED) for n, i in self.tasks.items()}
        return max(ranks, key=ranks.__getitem__)

    def _proved(self) -> Sequence[str]:
        facts = self.facts()
        counts = self.app.audit.verify()
        return (
            f"{facts['complete']} orders are complete, {facts['error']} is in error: its card was declined",
            f"the chain of hashes holds: {counts.events} events in {counts.streams} streams",
            f"{facts['abandoned']} attempts died with the worker, and all of them were made good",
            f"{facts['retries']} retries were recorded, and each was made",
            f"{facts['charges']} charges for {facts['complete']} orders: no card was charged twice",
            f"{facts['repeated_requests']} of them had reached the gateway before, which knew the Idempotency-Key",
        )
