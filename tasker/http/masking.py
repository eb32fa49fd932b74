"""What a reader without `context:read` sees: `writeOnly` properties and values under telling keys are masked.

Where a schema cannot be followed, everything below is masked: a secret shown is worse than a value hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasker.redaction import Redactor

Schema = Mapping[str, object]

_MOST_LEVELS = 150  # of values inside values and schemas inside schemas: a schema may refer to itself
_TOGETHER = ("allOf", "anyOf", "oneOf")
_SINGLE = ("if", "then", "else")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_HIDDEN: Schema = {"writeOnly": True}


class Mask:
    """Masks values for one reader, or leaves them as they are."""

    def __init__(self, redactor: Redactor, mask: str, *, whole: bool) -> None:
        """Take what tells secrets from the rest.

        Args:
            redactor: Masks what stands under telling keys.
            mask: What stands in place of a `writeOnly` property.
            whole: True for a reader who may see everything.
        """
        self._redactor = redactor
        self._mask = mask
        self.whole = whole

    def value(self, value: object) -> object:
        """Show a value that no schema describes."""
        return value if self.whole else self._redactor.mapping(value)

    def described(self, value: object, schema: Schema | None) -> object:
        """Show a value that a schema describes."""
        if self.whole:
            return value
        hidden = value if schema is None else _Hiding(schema, self._mask).hidden(value, schema, 0)
        return self._redactor.mapping(hidden)

    def text(self, text: str) -> str:
        """Show a sentence."""
        return text if self.whole else self._redactor.url(text)


class _Hiding:
    """Goes through a value and the schema that describes it."""

    def __init__(self, root: Schema, mask: str) -> None:
        self._root = root
        self._mask = mask

    def hidden(self, value: object, schema: object, level: int) -> object:
        """Mask in a value whatever a schema, or one inside it, marks as `writeOnly`."""
        if not isinstance(schema, Mapping):
            return value
        if schema.get("writeOnly") is True or level > _MOST_LEVELS:
            return self._mask
        for part in self._parts(schema):
            value = self.hidden(value, part, level + 1)
        if isinstance(value, dict):
            return {key: self._child(key, one, schema, level) for key, one in value.items()}
        if isinstance(value, list):
            return [self._item(place, one, schema, level) for place, one in enumerate(value)]
        return value

    def _child(self, key: str, value: object, schema: Schema, level: int) -> object:
        properties, patterns = schema.get("properties"), schema.get("patternProperties")
        found = [properties[key]] if isinstance(properties, Mapping) and key in properties else []
        if isinstance(patterns, Mapping):
            found += [one for pattern, one in patterns.items() if re.search(str(pattern), key)]
        for one in found or [schema.get("additionalProperties"), schema.get("unevaluatedProperties")]:
            value = self.hidden(value, one, level + 1)
        return value

    def _item(self, place: int, value: object, schema: Schema, level: int) -> object:
        items = schema.get("items")
        first = schema.get("prefixItems", items if isinstance(items, list | tuple) else ())
        rest = schema.get("additionalItems") if isinstance(items, list | tuple) else items
        one = first[place] if isinstance(first, list | tuple) and place < len(first) else rest
        return self.hidden(self.hidden(value, one, level + 1), schema.get("contains"), level + 1)

    def _parts(self, schema: Schema) -> Iterator[object]:
        """Give the schemas that hold for the very same value."""
        for key in _TOGETHER:
            listed = schema.get(key)
            yield from listed if isinstance(listed, list | tuple) else ()
        dependent = schema.get("dependentSchemas")
        yield from dependent.values() if isinstance(dependent, Mapping) else ()
        yield from (schema[key] for key in _SINGLE if key in schema)
        yield from (self._referred(schema[key]) for key in _REFERENCES if key in schema)

    def _referred(self, reference: object) -> object:
        """Follow a reference inside the schema."""
        found: object = self._root
        text = str(reference)
        if text != "#" and not text.startswith("#/"):
            return _HIDDEN
        for part in text.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list | tuple) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                found = found.get(name, _HIDDEN) if isinstance(found, Mapping) else _HIDDEN
        return found
