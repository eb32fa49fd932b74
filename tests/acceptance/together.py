"""Several examples in one process, though each calls its modules `app`, `stub` and `handlers`.

A plugin of pytest for their tests, and a function for a worker that runs the handlers of all.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tasker import Tasker

VARIABLE = "TOGETHER"
"""The variable with the folders of a worker, as in PATH."""

_entered: list[Path] = []
_modules: dict[Path, dict[str, ModuleType]] = {}


def enter(folder: Path) -> None:
    """Let the modules of an example be those that are imported by their names; those of another one are put aside."""
    while _entered:
        other = _entered.pop()
        sys.path.remove(str(other))
        names = {path.stem for path in other.glob("*.py")} & sys.modules.keys()
        _modules[other] = {name: sys.modules.pop(name) for name in names}
    sys.path.insert(0, str(folder))
    sys.modules.update(_modules.get(folder, {}))
    _entered.append(folder)


def register(app: Tasker) -> None:
    """Register what all examples in `VARIABLE` register; the settings of a worker name this function as `app`."""
    for folder in os.environ[VARIABLE].split(os.pathsep):
        enter(Path(folder))
        importlib.import_module("app").register(app)


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Import the tests of an example beside its own modules."""
    if isinstance(collector, pytest.Module):
        enter(collector.path.parent)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Run them there, too: a definition names its handlers by their modules."""
    enter(item.path.parent)
