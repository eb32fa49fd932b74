"""The demo's workers: real child processes, of which one is really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import tasker
from tasker.errors import TaskerError

_STOP_SECONDS = 10.0
_TAIL = 2000  # characters of a worker's output that an error shows


class DemoFailed(TaskerError):
    """The demo did not go as it must; the message says what was expected and what was found."""


class Crew:
    """Starts one worker at a time with `python -m tasker worker`, and leaves none behind."""

    def __init__(self, folder: Path, url: str, services: str, *, slots: int) -> None:
        """Take where the workers run, their log, the address of the stub services, and the number of slots."""
        self._folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if _is_foreign(name)},
            "TASKER_URL": url,
            "TASKER_APP": "tasker.cli.demo.handlers:register",
            "TASKER_CONCURRENCY": str(slots),
            "PAYMENT_URL": services,
            "SHOP_URL": services,
            "PYTHONPATH": _python_path(),
        }
        self._worker: subprocess.Popen[bytes] | None = None
        self._started = 0

    def __enter__(self) -> Self:
        """Start with nobody at work."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave no process behind."""
        if self._worker is not None:
            self.kill()

    def start(self) -> int:
        """Start a worker and give its process id."""
        self._started += 1
        with self._output().open("wb") as output:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "tasker", "worker"],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self._worker.pid

    def check(self) -> None:
        """See that the worker is alive.

        Raises:
            DemoFailed: It ended by itself.
        """
        if self._worker is not None and (code := self._worker.poll()) is not None:
            msg = f"expected the worker to go on, found that it ended by itself with exit code {code}"
            raise DemoFailed(msg)

    def kill(self) -> int:
        """End the worker with SIGKILL, which no process can answer, and give its process id."""
        worker, self._worker = self._present(), None
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        return worker.pid

    def stop(self) -> None:
        """Ask the worker to stop.

        Raises:
            DemoFailed: It did not stop in time, or not with exit code 0.
        """
        worker = self._present()
        worker.terminate()
        try:
            code = worker.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            msg = f"expected the worker to stop within {_STOP_SECONDS:g} s of SIGTERM"
            raise DemoFailed(msg) from error
        self._worker = None
        if code:
            msg = f"expected exit code 0 of a worker that was asked to stop, found {code}"
            raise DemoFailed(msg)

    def last_words(self) -> str:
        """Give the end of what the worker printed."""
        return self._output().read_text("utf-8", "replace")[-_TAIL:]

    def _output(self) -> Path:
        return self._folder / f"worker-{self._started}.log"

    def _present(self) -> subprocess.Popen[bytes]:
        if self._worker is None:
            msg = "expected a worker at work, found none"
            raise DemoFailed(msg)
        return self._worker


def _is_foreign(name: str) -> bool:
    """Tell a variable that is none of Tasker's settings; those of the caller must not reach the demo."""
    return not name.startswith("TASKER_") or name == "TASKER_NATIVE"


def _python_path() -> str:
    """Let the child import this very package, installed or not."""
    here = str(Path(tasker.__file__).parents[1])
    return os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
