"""What `tasker init` and `tasker new project` write beside tasks and subscribers."""

from __future__ import annotations

from pathlib import Path

from tasker.cli.new import subscriber, task
from tasker.cli.new.events import Taken
from tasker.cli.new.files import File
from tasker.cli.new.names import Name
from tasker.cli.new.rendering import scalar

URL = "sqlite:///tasker.db"
APP = "tasker_app"
FIRST_TASK = task.Plan(
    Name("order_process", "OrderProcess"),
    (
        Name("fetch_order", "FetchOrder"),
        Name("charge_card", "ChargeCard"),
        Name("send_receipt", "SendReceipt"),
    ),
    description="Charge one order",
)
FIRST_SUBSCRIBER = Name("team", "Team")
_EVENTS = ("task.completed", "task.failed")

_SETTINGS = """\
# What the commands of Tasker need to know; `tasker doctor` shows every setting and where its value came from.
url: {url}
app: {app}:register
definitions: [config/tasker/tasks]
"""
_SUBSCRIBERS = """\
subscribers:
  - class: {reference}
"""
_APP = '''\
"""What is registered from Python; `tasker.yaml` names `register`."""


def register(app):
    """Register definitions, events and receivers that are written in Python.

    Definitions in YAML need no line here, for `tasker.yaml` names their folder. Others:

        app.register(Refund)
        app.catalog.register("order.fulfilled", description="An order was delivered")

    Args:
        app: The `Tasker` of the command that runs.
    """
'''
_CONFTEST = '''\
"""The tests import the project wherever they are started."""

import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)
'''
_PYPROJECT = """\
[project]
name = "{name}"
version = "0.1.0"
description = "Tasks that run on Tasker"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["tasker-engine"]

[dependency-groups]
dev = ["pytest", "ruff"]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
addopts = ["--import-mode=importlib"]

[tool.ruff.lint]
extend-select = ["B", "I", "UP"]
"""
_GITIGNORE = """\
__pycache__/
.pytest_cache/
.ruff_cache/
.venv/
*.db
*.db-*
*.db.*
"""
_README = """\
# {name}

Tasks that run on Tasker: every step is recorded, so a worker may die at any moment and another one goes on.

```console
$ python -m venv .venv && . .venv/bin/activate
$ pip install tasker-engine pytest ruff
$ python -m pytest
$ tasker worker &
$ tasker submit order_process --context '{{"id": 7}}' --wait
$ tasker events
```

| | |
|---|---|
| `tasker.yaml` | settings: where the log is, what is loaded, who is told; `tasker doctor` shows them |
| `config/tasker/tasks/` | definitions: which steps there are, and what each waits for |
| `tasks/` | step handlers: what the steps do |
| `subscribers/` | who is told of events |
| `tasker_app.py` | what is registered from Python |
| `tests/` | what must be true |

More of each: `tasker new task Refund --steps find_order,pay_back`, `tasker new subscriber slack --events task.failed`.
A new subscriber is told of events once `tasker.yaml` lists its class.
"""


def prepared(url: str, root: Path = Path()) -> list[File]:
    """Give the files that make a folder a project of Tasker.

    Args:
        url: Where its log is.
        root: The folder.
    """
    return [
        File(root / "tasker.yaml", _SETTINGS.format(url=scalar(url), app=APP), shared=True),
        *_common(root),
        File(root / task.DEFINITIONS / ".gitkeep", "", shared=True),
    ]


def project_files(name: str, url: str) -> list[File]:
    """Give the files of a new project: a first task, a first subscriber, their tests, and what makes them run.

    Args:
        name: The name of its folder.
        url: Where its log is, from the folder.
    """
    root = Path(name)
    listed = _SUBSCRIBERS.format(reference=subscriber.reference(FIRST_SUBSCRIBER))
    return [
        File(root / "pyproject.toml", _PYPROJECT.format(name=name)),
        File(root / "README.md", _README.format(name=name)),
        File(root / ".gitignore", _GITIGNORE),
        File(root / "tasker.yaml", _SETTINGS.format(url=scalar(url), app=APP) + listed),
        *task.task_files(FIRST_TASK, root),
        *subscriber.subscriber_files(FIRST_SUBSCRIBER, Taken(_EVENTS, ()), root),
        *_common(root),
    ]


def conftest(root: Path = Path()) -> File:
    """Give the file that lets tests import the project.

    Args:
        root: The folder of the project.
    """
    return File(root / "tests" / "conftest.py", _CONFTEST, shared=True)


def _common(root: Path) -> list[File]:
    return [
        File(root / f"{APP}.py", _APP, shared=True),
        File(root / task.HANDLERS / "__init__.py", task.PACKAGE, shared=True),
        File(root / subscriber.FOLDER / "__init__.py", subscriber.PACKAGE, shared=True),
        conftest(root),
    ]
