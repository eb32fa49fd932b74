"""Load definitions from YAML files; whatever is wrong is told with the file and the line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tasker.definitions.environments import applied
from tasker.definitions.marked import Marked, MarkedList, line_of
from tasker.definitions.placeholders import filled, has_sign
from tasker.definitions.resolve import resolve
from tasker.definitions.yaml_tree import MAX_BYTES, read
from tasker.domain.declared import declared, refused, shown
from tasker.domain.definition import TaskDefinition
from tasker.errors import InvalidDefinition

_SUFFIXES = {".yaml", ".yml"}
_STEPS = "step_templates"
_PINNED = "handler_config"


def find_files(path: str | Path) -> list[Path]:
    """List the definition files that a path means, in a stable order.

    Args:
        path: A file, or a directory: then its *.yaml and *.yml, in sub-directories too; hidden ones are left out.

    Raises:
        InvalidDefinition: There is nothing at the path.
    """
    root = Path(path)
    if root.is_file():
        return [root]
    if not root.is_dir():
        message = "expected a file or a directory of definitions (*.yaml, *.yml), found nothing; correct the path"
        raise InvalidDefinition(message, where=str(path))
    files = (file for file in root.rglob("*") if file.suffix in _SUFFIXES and file.is_file())
    return sorted(file for file in files if not any(part.startswith(".") for part in file.relative_to(root).parts))


def load_file(path: str | Path, *, environ: Mapping[str, str], environment: str | None) -> TaskDefinition:
    """Load and resolve the definition of a file.

    Args:
        path: The file.
        environ: The variables for placeholders outside `handler_config`.
        environment: Which of its `environments` counts, or None for none.

    Raises:
        InvalidDefinition: Something is wrong; `where` is `file:line`, with the path as it was given.
    """
    text = _text(path)
    tree: object = None
    try:
        tree = read(text)
        if not isinstance(tree, Marked):
            expected = "the keys of a definition, such as 'name: order_process'"
            raise refused(f"expected {expected}; found {'nothing' if tree is None else shown(tree)}")
        tree = applied(tree, environment)
        tree = _written(_filled(tree, environ, ()))
        return resolve(declared(TaskDefinition, tree), environment=None)
    except InvalidDefinition as error:
        line = error.where or line_of(tree, error.path)
        raise InvalidDefinition(error.message, where=f"{path}:{line}", path=error.path) from error.__cause__


def _text(path: str | Path) -> str:
    try:
        encoded = Path(path).read_bytes()
        if len(encoded) > MAX_BYTES:
            message = f"expected a file of at most {MAX_BYTES} bytes, found {len(encoded)}; split it"
            raise InvalidDefinition(message, where=f"{path}:1")
        return encoded.decode("utf-8-sig")
    except OSError as error:
        message = f"expected a readable file of YAML, found {type(error).__name__}: {error.strerror}"
        raise InvalidDefinition(message, where=str(path)) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"expected UTF-8, found the byte {error.object[error.start]:#04x}; save the file as UTF-8"
        raise InvalidDefinition(message, where=f"{path}:{line}") from None


def _filled(value: object, environ: Mapping[str, str], path: tuple[str | int, ...]) -> object:
    """Replace placeholders; a `handler_config` is pinned with its placeholders in it."""
    if isinstance(value, str):
        return filled(value, environ, *path).value if has_sign(value) else value
    if isinstance(value, Marked):
        pinned = _PINNED if len(path) == 2 and path[0] == _STEPS else None  # noqa: PLR2004 - path of a step
        children = {
            key: child if key == pinned else _filled(child, environ, (*path, key)) for key, child in value.items()
        }
        return Marked(children, value.lines, line=value.line)
    if isinstance(value, MarkedList):
        items = [_filled(child, environ, (*path, place)) for place, child in enumerate(value)]
        return MarkedList(items, value.lines, line=value.line)
    return value


def _written(tree: object) -> Marked:
    """Leave out the keys of the task and of its steps that have no value: they mean their defaults."""
    kept = _without_nulls(tree)
    steps = kept.get(_STEPS)
    if isinstance(steps, MarkedList):
        kept[_STEPS] = MarkedList(
            (_without_nulls(step) if isinstance(step, Marked) else step for step in steps), steps.lines, line=steps.line
        )
    return kept


def _without_nulls(tree: object) -> Marked:
    if not isinstance(tree, Marked):
        return Marked({}, {}, line=1)
    return Marked({key: value for key, value in tree.items() if value is not None}, tree.lines, line=tree.line)
