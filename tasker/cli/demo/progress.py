"""How the demo shows that it goes on: a bar on a terminal, a line now and then in a pipe."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress

    from tasker.cli.output import Output

_LINES = 5  # how many lines a whole run prints into a pipe


class Bar:
    """The progress of all orders."""

    def __init__(self, out: Output, steps: int, orders: int) -> None:
        """Take how many steps and orders there are."""
        self._out, self._steps, self._orders = out, steps, orders
        self._rich: Progress | None = None
        self._shown = 0

    def __enter__(self) -> Self:
        """Show an empty bar."""
        if self._out.is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            text = TextColumn("{task.description}")
            self._rich = Progress(BarColumn(bar_width=40), text, TimeElapsedColumn(), transient=True)
            self._rich.start()
            self._rich.add_task("", total=self._steps)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the bar away."""
        if self._rich is not None:
            self._rich.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self._rich is not None:
            self._rich.console.print(text, highlight=False, markup=False, soft_wrap=True)
        else:
            self._out.say(text)

    def at(self, steps: int, orders: int) -> None:
        """Show how far it is."""
        text = f"{steps} steps done, {orders} of {self._orders} orders ended"
        if self._rich is not None:
            self._rich.update(self._rich.task_ids[0], completed=steps, description=text)
        elif steps * _LINES // self._steps > self._shown:
            self._shown = steps * _LINES // self._steps
            self._out.say(f"  … {text}")
