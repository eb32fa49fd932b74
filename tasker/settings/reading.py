"""Read `tasker.yaml` and lay the TASKER_ variables over it, keeping the place of every key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from tasker.errors import InvalidDefinition, near

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_PREFIX = "TASKER_"
_NO_KEYS = {"TASKER_CONFIG", "TASKER_NATIVE"}
# What Kubernetes sets in every pod of a namespace that has a service whose name begins with "tasker".
_SERVICE_LINK = re.compile(
    r"TASKER_([A-Z0-9]+_)*(SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)"
)


def read_file(environ: Mapping[str, str], cwd: Path) -> tuple[dict[str, object], dict[str, str]]:
    """Return the file's content and the place, `file:line`, of every key in it; nothing where there is no file."""
    named = environ.get("TASKER_CONFIG")
    shown = named or "tasker.yaml"
    try:
        text = (cwd / shown).read_text(encoding="utf-8")
    except FileNotFoundError:
        if named is None:
            return {}, {}
        msg = f"expected a settings file, found nothing at {named!r}; correct the path or unset the variable"
        raise InvalidDefinition(msg, where="variable TASKER_CONFIG") from None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"expected a readable file of YAML in UTF-8, found {type(error).__name__}"
        raise InvalidDefinition(msg, where=shown) from None
    content, lines = _parse(text, shown)
    if content is not None and not isinstance(content, dict):
        msg = f"expected keys and values, found a {type(content).__name__}; write lines such as 'concurrency: 16'"
        raise InvalidDefinition(msg, where=f"{shown}:1")
    return content or {}, {path: f"{shown}:{line}" for path, line in lines.items()}


def _parse(text: str, shown: str) -> tuple[object, dict[str, int]]:
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        lines = dict(_lines(node, "", shown, set()))
        return loader.construct_document(node) if node else None, lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "a character that YAML does not allow"
        where = f"{shown}:{mark.line + 1}" if mark else shown
        msg = f"expected YAML, found an error: {problem}"
        raise InvalidDefinition(msg, where=where) from None


def _lines(node: yaml.Node | None, path: str, shown: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    """Yield the line of every key and item; each node once, however many aliases lead to it."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield f"{path}{index}", item.start_mark.line + 1
            yield from _lines(item, f"{path}{index}.", shown, seen)
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if str(key.value) in keys:
                msg = f"expected each key once, found {key.value!r} again; remove one of the two"
                raise InvalidDefinition(msg, where=f"{shown}:{key.start_mark.line + 1}")
            keys.add(str(key.value))
            yield f"{path}{key.value}", key.start_mark.line + 1
            yield from _lines(value, f"{path}{key.value}.", shown, seen)


def lay_over(
    content: dict[str, object], places: dict[str, str], environ: Mapping[str, str], keys: Mapping[str, bool | None]
) -> None:
    """Put the variables over the file's content: whole sections first, so that a deeper variable wins.

    Args:
        content: The file's content, to be changed.
        places: The place of every key in it, to be changed.
        environ: The variables.
        keys: Every key with whether it is plain text; None for a section.

    Raises:
        InvalidDefinition: A variable belongs to no key, or holds neither JSON nor YAML where its key needs it.
    """
    variables = {_PREFIX + key.upper().replace(".", "__"): key for key in keys} | {"TASKER_ENV": "environment"}
    for name in sorted(environ, key=lambda name: (name.count("__"), name == "TASKER_ENV", name)):
        if not environ[name] or not _names_a_setting(name, variables):
            continue
        key = variables.get(name)
        if key is None:
            msg = f"no setting has this variable.{near(name, variables)} Unset it, or see `tasker doctor` for the keys"
            raise InvalidDefinition(msg, where=f"variable {name}")
        value = environ[name] if keys[key] else _read_variable(name, environ[name])
        source = f"variable {name}"
        for path in _put(content, key, value, keys):
            places[path] = source
        section = key.rpartition(".")[0]
        if section:
            places.setdefault(section, source)


def _names_a_setting(name: str, variables: Mapping[str, str]) -> bool:
    if not name.startswith(_PREFIX) or name in _NO_KEYS or name.startswith("TASKER_TEST_"):
        return False
    return name in variables or not _SERVICE_LINK.fullmatch(name)


def _read_variable(name: str, text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        msg = "expected JSON or YAML, found text that is neither; quote it as one would in a file"
        raise InvalidDefinition(msg, where=f"variable {name}") from None


def _put(content: dict[str, object], key: str, value: object, keys: Mapping[str, bool | None]) -> list[str]:
    """Set a value, a section key by key, and return the paths that it sets."""
    if keys.get(key, True) is None and isinstance(value, dict):
        return [path for inner, child in value.items() for path in _put(content, f"{key}.{inner}", child, keys)]
    *sections, last = key.split(".")
    for section in sections:
        if content.get(section) is None:
            content[section] = {}
        below = content[section]
        if not isinstance(below, dict):
            return []  # the file has something else in the section's place; its error is told with file:line
        content = below
    content[last] = value
    return [key, *(f"{key}.{path}" for path in paths(value))]


def paths(value: object) -> Iterator[str]:
    """Yield the path of everything inside a value: `subscribers`, `subscribers.0`, `subscribers.0.class`."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in pairs:
        yield str(key)
        yield from (f"{key}.{path}" for path in paths(child))


def nearest(places: Mapping[str, str], key: str) -> str | None:
    """Return the place of a key, or of the nearest thing around it that has one."""
    while key and key not in places:
        key = key.rpartition(".")[0]
    return places.get(key)
