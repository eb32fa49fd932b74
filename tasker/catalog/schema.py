"""Checks of JSON values against JSON Schema; jsonschema is slow to import, so the first schema does it."""

from __future__ import annotations

from typing import Any

from tasker.errors import InvalidDefinition

_MOST_PROBLEMS = 20
_LONGEST = 300  # characters of one problem; some quote the whole value


class Schema:
    """One JSON Schema (2020-12, or the draft that its `$schema` names), compiled; it is never fetched from anywhere."""

    __slots__ = ("_validator", "_where")

    def __init__(self, schema: object, where: str) -> None:
        """Compile a schema.

        Args:
            schema: The schema, a JSON object.
            where: What it is the schema of, for error texts.

        Raises:
            InvalidDefinition: It is no JSON Schema; names the JSON path.
        """
        self._where = where
        self._validator = _compiled(schema, where)

    def problems(self, value: object) -> dict[str, str]:
        """Give the JSON path of each wrong value and what is wrong with it; empty if the value fits.

        Raises:
            InvalidDefinition: The schema refers to something that is not in it.
        """
        from referencing.exceptions import Unresolvable  # noqa: PLC0415 - see the module

        found: dict[str, str] = {}
        try:
            for error in self._validator.iter_errors(value):
                found.setdefault(error.json_path, error.message[:_LONGEST])
                if len(found) >= _MOST_PROBLEMS:
                    break
        except Unresolvable as error:
            msg = f"{self._where}: the schema refers to {error.ref!r}, which is not in it. Write it under $defs"
            raise InvalidDefinition(msg) from None
        return found


def _compiled(schema: object, where: str) -> Any:  # noqa: ANN401 - jsonschema's validators share no public type
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415 - see the module
    from jsonschema.validators import validator_for  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415

    if not isinstance(schema, dict):
        msg = f"{where}: expected a JSON Schema (an object), found a value of type {type(schema).__name__}"
        raise InvalidDefinition(msg)
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        msg = f"{where}: this is no JSON Schema: at {error.json_path}: {error.message}"
        raise InvalidDefinition(msg) from None
    empty: Registry[Any] = Registry()
    return kind(schema, registry=empty)
