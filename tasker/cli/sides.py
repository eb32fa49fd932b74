"""The definitions that one side of `tasker diff` means: of a file, a folder, a name in code, or a whole project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasker.errors import InvalidDefinition, TaskerError, near

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasker.app.tasker import Tasker
    from tasker.domain.definition import TaskDefinition
    from tasker.settings import Settings

LOG = "log"
"""As the old side: whatever each task is pinned to."""
_SETTINGS = "tasker.yaml"
_SEPARATE = "import sys; from tasker.cli.sides import tell; sys.exit(tell())"


class Side(NamedTuple):
    """One side.

    Attributes:
        text: How it was named.
        definitions: What it holds.
    """

    text: str
    definitions: tuple[TaskDefinition, ...]


def side(text: str, settings: Settings) -> Side:
    """Give the definitions of one side.

    Args:
        text: A YAML file, a folder of them, a folder with a `tasker.yaml`, or `package.module:name` of a definition, a
            decorated class or a function of the Tasker that registers some.
        settings: Those of the command.

    Raises:
        InvalidDefinition: There is nothing of that name, or it holds something wrong (file:line).
    """
    path = Path(text)
    if (path / _SETTINGS).is_file():
        found = _of_project(path)
    elif path.exists() or ":" not in text:
        found = _registered(settings, lambda app: app.load_definitions(path))
    else:
        found = _registered(settings, lambda app: _register(app, text))
    if not found:
        message = "expected at least one definition, found none; correct the path, or the settings of the project"
        raise InvalidDefinition(message, where=text)
    return Side(text, found)


def only(found: Side, name: str | None, namespace: str | None) -> Side:
    """Leave out definitions of other names and namespaces than those asked for; None asks for any."""
    kept = [one for one in found.definitions if name in (None, one.name) and namespace in (None, one.namespace)]
    return Side(found.text, tuple(kept))


def names(found: Sequence[Side]) -> str:
    """Say which definitions some sides hold."""
    return ", ".join(sorted({f"{one.namespace}.{one.name}" for side_ in found for one in side_.definitions})) or "none"


def near_names(name: str | None, found: Sequence[Side]) -> str:
    """Say which names of definitions resemble a wrong one."""
    return "" if name is None else near(name, {one.name for side_ in found for one in side_.definitions})


def _registered(settings: Settings, register: Callable[[Tasker], object]) -> tuple[TaskDefinition, ...]:
    """Give what is registered on an application of its own, so that both sides may have the same versions."""
    from tasker.app.tasker import Tasker

    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    with Tasker(settings=settings.model_copy(update={"url": "memory://"})) as app:
        register(app)
        return tuple(app.definitions())


def _register(app: Tasker, reference: str) -> None:
    from tasker.cli.loading import named
    from tasker.domain.definition import TaskDefinition

    found = named(reference, reference)
    if isinstance(found, TaskDefinition | type):
        app.register(found)
    elif callable(found):
        found(app)
    else:
        message = f"expected a definition, a decorated class or a function of the Tasker, found {type(found).__name__}"
        raise InvalidDefinition(message, where=reference)


def _of_project(folder: Path) -> tuple[TaskDefinition, ...]:
    """Load a project in a process of its own: two checkouts of one project have modules of the same names."""
    from tasker.codec.definition import decode

    done = subprocess.run([sys.executable, "-P", "-c", _SEPARATE], cwd=folder, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise InvalidDefinition(said or f"its process ended with {done.returncode}", where=str(folder))
    lines = done.stdout.partition(_MARK)[2].splitlines()
    return tuple(decode(line) for line in lines)


_MARK = b"\n--- definitions ---\n"
"""What stands before the definitions: the user's modules may print while they are imported."""


def tell() -> int:
    """Write the definitions of the project in the working folder to the standard output, one a line.

    Returns:
        The exit code: 0, or 1 where they cannot be loaded; then the standard error says why.
    """
    from tasker.app.tasker import Tasker
    from tasker.cli.loading import load
    from tasker.codec.definition import encode
    from tasker.settings import Settings

    try:
        settings = Settings.load()
        with Tasker(settings=settings.model_copy(update={"url": "memory://"})) as app:
            load(app, settings, ())
            lines = [encode(one) for one in app.definitions()]
    except Exception as error:  # noqa: BLE001 - whatever the project's code raises is told by the process that asks
        print(error if isinstance(error, TaskerError) else f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    sys.stdout.flush()
    sys.stdout.buffer.write(_MARK + b"\n".join(lines) + b"\n")
    return 0
