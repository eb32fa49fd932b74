"""Where the time of a step goes: `python -m bench.profile [--tasks N] [--slots N] [--docs]` prints it by part.

Method. Tasks of four steps are submitted in one call and run, as in the measure `linear`. Meanwhile a timer of real
time fires a thousand times a second, and a signal handler looks at the frame in which it finds the main thread. It adds
the CPU time that this thread has used since the look before, and the time that has elapsed, to the part to which the
innermost known frame belongs. So the sums are exact, and only their division among the parts is a sample. Nothing in
the code is wrapped, and nothing slowed down but by the looks, whose own time is taken off.

Why the main thread. Python runs signal handlers there only, and the other way, a thread that looks at the frames of
the others, misleads: it is let in when they give up the interpreter's lock, and so finds them in SQLite and in waits
(with the switch interval as it is, a commit looked twice as expensive), or, with a short interval, it makes the threads
that work together fight for that lock. Therefore the main thread does the work here: it submits, and it lends itself to
the engine as its one thread for handlers, which for handlers that return at once does nearly everything anyway. What
that leaves out stands in a line of its own, by difference to the CPU time of the same run as it is, in all its threads.
The line of the read models is the CPU time of the calling thread in that run, for there they are served.

What a C function uses (SHA-256, JSON, SQLite) counts for the Python function that called it: the handler runs when the
C function has returned. Only CPU time is divided; a commit that waits for the disk uses little of it, so how long
commits hold the thread is told below the table.
"""

from __future__ import annotations

import argparse
import queue
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

from bench import handlers
from bench.report import Report, put
from bench.setting import CACHE, FULL, PATIENCE, Bench
from tasker import Tasker
from tasker.runtime.threads import Threads

_INTERVAL = 0.001
_STEPS = 4
_SLOT_THREAD = "tasker-slot"
_HASHING, _READING, _READERS, _COMMIT = "hashing, rows of events", "reading events", "read models", "commit"
_REST, _IDLE, _THREADS = "rest", "idle", "more threads: hand-offs, waits (by difference)"
_PARTS = (
    ("ids and clock", "tasker.clock", ()),
    (_HASHING, "tasker.codec.chain", ()),
    (_HASHING, "tasker.fold.link", ()),
    (_HASHING, "tasker.log.group", ("Group._take",)),
    ("encoding", "tasker.codec", ()),
    ("encoding", "tasker.handlers.values", ()),
    ("live work", "tasker.domain.work", ()),
    ("live work", "tasker.log.sqlite_group", ("Group._write_work",)),
    ("live work", "tasker.runtime.agenda", ()),
    ("decide and evolve", "tasker.domain", ()),
    ("SQLite insert", "tasker.log.sqlite_group", ("Group.write",)),
    (_COMMIT, "tasker.log.sqlite_connect", ()),
    (_READING, "tasker.log.sqlite_read", ()),
    (_READING, "tasker.log.sqlite_columns", ()),
    ("append: the rest", "tasker.log", ()),
    ("submission", "tasker.runtime.submission", ()),
    ("submission", "tasker.runtime.request", ()),
    ("submission", "tasker.runtime.identity", ()),
    ("claim", "tasker.runtime.claiming", ()),
    ("claim", "tasker.runtime.slots", ()),
    ("claim", "tasker.runtime.roster", ()),
    ("handler side", "tasker.handlers", ()),
    ("handler side", "tasker.runtime.execution", ()),
    ("handler side", "bench.handlers", ()),
    ("settle and wake-ups", "tasker.runtime.commander", ()),
    ("settle and wake-ups", "tasker.runtime.crew", ()),
    ("settle and wake-ups", "tasker.runtime.inbox", ()),
    ("settle and wake-ups", "tasker.runtime.runner", ()),
    ("settle and wake-ups", "tasker.runtime.ticket", ()),
    ("settle and wake-ups", "tasker.runtime.watch", ()),
    ("settle and wake-ups", "tasker.bus", ()),
    ("the turn: batches, staging, states", "tasker.runtime", ()),
    (_READERS, "tasker.projections", ()),
    (_READERS, "tasker.subscriptions", ()),
)
"""Part, module (with those below it), functions (none: all); the first that fits counts, so the special come first."""

_WAITS = ("Condition.wait", "Thread._wait_for_tstate_lock", "Lent.run")
_MARK = "profile: python -m bench.profile --docs"


class Spent(NamedTuple):
    """What a part has used: seconds of CPU time, and seconds in which the thread was in it."""

    cpu: float
    within: float


class Sampler:
    """Looks at the main thread.

    Attributes:
        looks: How many it has taken.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.looks = 0
        self._cpu: dict[str, int] = defaultdict(int)
        self._within: dict[str, int] = defaultdict(int)
        self._parts: dict[CodeType, str | None] = {}
        self._last = (0, 0)

    def watch(self, work: Callable[[], object]) -> None:
        """Do something in the main thread and look at it."""
        signal.signal(signal.SIGALRM, self._look)
        signal.siginterrupt(signal.SIGALRM, False)  # noqa: FBT003 - it takes no name
        self._last = (time.thread_time_ns(), time.perf_counter_ns())
        signal.setitimer(signal.ITIMER_REAL, _INTERVAL, _INTERVAL)
        try:
            work()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def spent(self) -> dict[str, Spent]:
        """Give what each part has used."""
        return {part: Spent(self._cpu[part] / 1e9, self._within[part] / 1e9) for part in self._within}

    def _look(self, _number: int, frame: FrameType | None) -> None:
        cpu, elapsed = time.thread_time_ns(), time.perf_counter_ns()
        part = self._part_of(frame)
        self._cpu[part] += cpu - self._last[0]
        self._within[part] += elapsed - self._last[1]
        self.looks += 1
        self._last = (time.thread_time_ns(), time.perf_counter_ns())

    def _part_of(self, frame: FrameType | None) -> str:
        """Give the part of the innermost frame that belongs to one."""
        if frame is not None and frame.f_code.co_qualname in _WAITS:
            return _IDLE
        while frame is not None:
            code = frame.f_code
            if code not in self._parts:
                self._parts[code] = _part(str(frame.f_globals.get("__name__")), code.co_qualname)
            found = self._parts[code]
            if found is not None:
                return found
            frame = frame.f_back
        return _REST


def _part(module: str, function: str) -> str | None:
    for part, name, functions in _PARTS:
        if (module == name or module.startswith(name + ".")) and (not functions or function in functions):
            return part
    return None


class Lent:
    """Lends the main thread to a runner as its only thread for handlers."""

    def __init__(self) -> None:
        """Take nothing yet."""
        self._loops: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._given = False

    def run(self, work: Callable[[], None]) -> None:
        """Do something in another thread, and in this one what its thread for handlers would do."""
        start, lent = Threads.start, self

        def started(self: Threads, name: str, target: Callable[[], None]) -> threading.Thread:
            if not name.startswith(_SLOT_THREAD):
                return start(self, name, target)
            if not lent._given:
                lent._given = True
                lent._loops.put(target)
            return threading.main_thread()

        Threads.start = started  # type: ignore[method-assign]  # the engine takes its threads from nowhere else
        try:
            caller = threading.Thread(target=work)
            caller.start()
            self._loops.get(timeout=PATIENCE)()
            caller.join(PATIENCE)
        finally:
            Threads.start = start  # type: ignore[method-assign]  # as it was


class Alone(NamedTuple):
    """A run at which nobody looks.

    Attributes:
        whole: CPU seconds of the process, submitting and running.
        caller: CPU seconds of the calling thread while tasks run: it serves the read models.
        seconds: How long submitting and running took.
    """

    whole: tuple[float, float]
    caller: float
    seconds: float


class Profile(NamedTuple):
    """What was found.

    Attributes:
        submitting: What each part used while tasks were submitted.
        running: What each part used while they ran.
        alone: The same without looking.
        looks: How often it was looked.
        steps: How many steps ran.
    """

    submitting: dict[str, Spent]
    running: dict[str, Spent]
    alone: Alone
    looks: int
    steps: int

    def table(self) -> str:
        """Write the parts, the largest first, in microseconds for each step."""
        parts, nothing = {*self.submitting, *self.running} - {_IDLE}, Spent(0, 0)
        rows = [(part, self.submitting.get(part, nothing).cpu, self.running.get(part, nothing).cpu) for part in parts]
        rows.sort(key=lambda row: (row[0] == _REST, -row[1] - row[2]))
        submit, run = self.alone.whole
        rows.append((_THREADS, submit - sum(row[1] for row in rows), run - sum(row[2] for row in rows)))
        lines = ["| part | submit: CPU µs | run: CPU µs | together | share |", "|---|---:|---:|---:|---:|"]
        lines += [self._line(part, submit, run) for part, submit, run in (*rows, ("**all**", *self.alone.whole))]
        held = sum(one[_COMMIT].within for one in (self.submitting, self.running) if _COMMIT in one)
        below = (
            f"Microseconds for each of {self.steps:,} steps, from {self.looks:,} looks. Commits held the thread for "
            f"{held / self.steps * 1e6:.1f} µs of each step, waiting for the disk included. Without looks a step took "
            f"{self.alone.seconds / self.steps * 1e6:.1f} µs on the clock, with the read models."
        )
        return "\n".join(lines) + f"\n\n{below}\n"

    def _line(self, part: str, submit: float, run: float) -> str:
        each = " | ".join(f"{value / self.steps * 1e6:.1f}" for value in (submit, run, submit + run))
        return f"| {part} | {each} | {(submit + run) / sum(self.alone.whole):.0%} |"


def profile(bench: Bench, tasks: int, slots: int) -> Profile:
    """Submit tasks and run them, look where the time goes, and do it again without looking."""
    first, second, url = Sampler(), Sampler(), bench.url()
    with _app(bench, slots, url) as app:
        first.watch(lambda: app.submit_many(_requests(tasks)))
    second.watch(lambda: Lent().run(lambda: _run(_app(bench, slots, url))))
    with _app(bench, slots, url) as again:
        ended = sum(1 for _ in again.events(types="task.completed"))
    if ended != tasks:
        raise RuntimeError(f"expected {tasks} completed tasks, found {ended}")
    alone = _alone(bench, tasks, slots)
    running = {**second.spent(), _READERS: Spent(alone.caller, 0)}
    return Profile(first.spent(), running, alone, first.looks + second.looks, tasks * _STEPS)


def _app(bench: Bench, slots: int, url: str) -> Tasker:
    return bench.app(handlers.chain(_STEPS), concurrency=slots, url=url)


def _requests(tasks: int) -> list[dict[str, object]]:
    return [{"name": "chain", "context": {"n": number}} for number in range(tasks)]


def _run(app: Tasker) -> None:
    """Run everything, then let the lent thread go."""
    app.run_until_idle()
    app.close()


def _alone(bench: Bench, tasks: int, slots: int) -> Alone:
    """Submit and run while nobody looks."""
    with _app(bench, slots, bench.url()) as app:
        clock, first = time.perf_counter(), time.process_time()
        app.submit_many(_requests(tasks))
        second, caller = time.process_time(), time.thread_time()
        app.run_until_idle()
        used = (second - first, time.process_time() - second)
        return Alone(used, time.thread_time() - caller, time.perf_counter() - clock)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile")
    parser.add_argument("--tasks", type=int, default=5000, help="how many tasks of four steps")
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--docs", action="store_true", help="also put the table into docs/PERFORMANCE.md")
    asked = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        found = profile(Bench(Path(folder), FULL), asked.tasks, asked.slots)
    about = Report({}, {}, {}, "python -m bench.profile", 1).about()
    head = "{machine}. {durability}; {slots} slots. Made by `{command}` on {date}."
    shown = head.format_map({**about, "slots": asked.slots}) + "\n\n" + found.table()
    print(shown)
    if asked.docs:
        put(_MARK, shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
