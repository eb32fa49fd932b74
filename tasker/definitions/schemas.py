"""JSON Schemas of contexts and events: checked when they are declared, applied without touching the network.

jsonschema is slow to import, so the first schema does it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tasker.domain.declared import refused, shown
from tasker.errors import InvalidRequest

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

_MOST_PROBLEMS = 10
_NO_SCHEMAS = {"const", "default", "enum", "examples"}  # keywords whose values are data
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_Path = tuple[str | int, ...]


def compiled(schema: Mapping[str, object], *path: str | int) -> Validator:
    """Check a schema and make it ready for use.

    Args:
        schema: A JSON Schema of the draft that `$schema` names, else 2020-12.
        path: Where the schema stands, for the error.

    Raises:
        InvalidDefinition: It is no schema, or has a pattern or a reference that cannot work; `path` leads to the place.
    """
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415 - see the module
    from jsonschema.validators import validator_for  # noqa: PLC0415
    from referencing.jsonschema import EMPTY_REGISTRY  # noqa: PLC0415

    schema = dict(schema)
    named = schema.get("$schema", _DRAFT)
    cls = validator_for(schema, default=Draft202012Validator)
    if not isinstance(named, str) or (cls is Draft202012Validator and named.rstrip("#") != _DRAFT):
        raise refused(f"expected as $schema a known draft such as {_DRAFT}, found {shown(named)}", *path, "$schema")
    try:
        cls.check_schema(schema)
    except SchemaError as error:
        raise refused(f"expected a JSON Schema: {error.message}", *path, *error.absolute_path) from None
    except RecursionError:
        raise refused("expected a JSON Schema, found one that is nested too deeply", *path) from None
    _check_inside(schema, schema, path)
    # With an empty registry a reference out of the schema is an error, never a download.
    return cls(schema, registry=EMPTY_REGISTRY)


def problems(validator: Validator, value: object) -> dict[str, str]:
    """Tell what in a value breaks a schema, by JSON path; at most ten things. Values are never shown."""
    from referencing.exceptions import Unresolvable  # noqa: PLC0415 - see the module

    found: dict[str, str] = {}
    json: Any = value
    try:
        for error in validator.iter_errors(json):
            for path, text in _told(error):
                found.setdefault(path, text)
            if len(found) >= _MOST_PROBLEMS:
                break
    except RecursionError:
        found.setdefault("$", "is nested too deeply to be checked")
    except Unresolvable as error:
        found.setdefault("$", f"cannot be checked: the schema refers to {error.ref!r}, which is not in it")
    return dict(sorted(found.items())[:_MOST_PROBLEMS])


def check(validator: Validator, value: object, what: str) -> None:
    """Refuse a value that breaks a schema.

    Args:
        validator: From `compiled`.
        value: The JSON value.
        what: What the value is, for the error's text.

    Raises:
        InvalidRequest: `problems` has the JSON paths.
    """
    found = problems(validator, value)
    if found:
        text = "; ".join(f"{path} {problem}" for path, problem in found.items())
        raise InvalidRequest(f"{what} breaks its schema: {text}", problems=found)


def _told(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Word an error by keyword and expectation: the library's own text would show the value, which may be a secret."""
    path = _json_path(error.absolute_path)
    instance = error.instance
    match error.validator:
        case "required" if isinstance(instance, Mapping) and isinstance(error.validator_value, list):
            for name in error.validator_value:
                if name not in instance:
                    yield f"{path}{_key(name)}", "is required"
        case "type":
            yield path, f"expected {_either(error.validator_value)}, found {_kind(instance)}"
        case "enum" | "const":
            expected = error.validator_value
            one_of = "one of " if error.validator == "enum" else ""
            yield path, f"expected {one_of}{shown(expected)}, found another {_kind(instance)}"
        case "additionalProperties" | "unevaluatedProperties":
            yield path, error.message  # it names keys only
        case _:
            yield path, f"breaks {error.validator}: {shown(error.validator_value)}"


def _either(types: object) -> str:
    return " or ".join(map(str, types)) if isinstance(types, list) else str(types)


def _kind(value: object) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null" if value is None else type(value).__name__)


def _json_path(path: Iterable[str | int]) -> str:
    return "$" + "".join(_key(part) for part in path)


def _key(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", part) else f"[{part!r}]"


def _check_inside(node: object, root: Mapping[str, object], path: _Path) -> None:
    if isinstance(node, Mapping):
        _check_node(node, root, path)
        for key, child in node.items():
            if key not in _NO_SCHEMAS:
                _check_inside(child, root, (*path, str(key)))
    elif isinstance(node, list):
        for place, child in enumerate(node):
            _check_inside(child, root, (*path, place))


def _check_node(node: Mapping[str, object], root: Mapping[str, object], path: _Path) -> None:
    reference = node.get("$ref")
    if isinstance(reference, str) and not _leads_somewhere(reference, root):
        message = f"expected as $ref a place in this schema such as '#/$defs/item', found {reference!r}"
        raise refused(message, *path, "$ref")


def _leads_somewhere(reference: str, root: Mapping[str, object]) -> bool:
    """Follow a pointer; names and addresses can only be anchors and ids inside the schema."""
    if reference == "#":
        return True
    if reference.startswith("#/"):
        node: object = root
        for part in reference[2:].split("/"):
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            node = node.get(key) if isinstance(node, Mapping) else _item(node, key)
            if node is None:
                return "$id" in str(root)  # a pointer below another base: it is looked up when a value is checked
        return True
    return "$id" in str(root) or (reference.startswith("#") and "nchor" in str(root))


def _item(node: object, key: str) -> object:
    return node[int(key)] if isinstance(node, list) and key.isdigit() and int(key) < len(node) else None
