"""Placeholders in texts: `${NAME}`, `${NAME:-default}`, and `$${` for a literal `${`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import yaml

from tasker.definitions.yaml_tree import scalar_tag
from tasker.domain.declared import refused, shown

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_SIGN = re.compile(r"\$\$\{|\$\{(?:(?P<name>" + _NAME + r")(?::-(?P<default>[^}]*))?\})?")
_WHOLE = re.compile(r"\$\{(?P<name>" + _NAME + r")(?::-(?P<default>[^}]*))?\}")
_ODD_NUMBER = re.compile(r"[-+]?0[0-9]|.*[_:]")  # octal, sexagesimal and grouped numbers of YAML 1.1 stay text
_TYPES = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float")}


class Filled(NamedTuple):
    """A text after its placeholders were replaced.

    Attributes:
        value: The text, or a null, bool or number where the text was one whole placeholder.
        used: The value of each variable that was read from the environment.
    """

    value: object
    used: Mapping[str, str]


def has_sign(text: str) -> bool:
    """Tell whether a text may hold a placeholder."""
    return "${" in text


def required(text: str, *path: str | int) -> frozenset[str]:
    """Name the variables of a text that have no default.

    Raises:
        InvalidDefinition: A placeholder is not well formed; `path` leads to the text.
    """
    found = set()
    for match in _SIGN.finditer(text):
        if match[0] == "${":
            expected = "${NAME} or ${NAME:-default}, and $${ where '${' itself is meant"
            raise refused(f"expected a placeholder {expected}; found {shown(text[match.start() :])}", *path)
        if match["name"] and match["default"] is None:
            found.add(match["name"])
    return frozenset(found)


def filled(text: str, environ: Mapping[str, str], *path: str | int) -> Filled:
    """Replace the placeholders of a text.

    Args:
        text: The text.
        environ: The variables.
        path: Where the text stands, for the error.

    Raises:
        InvalidDefinition: A variable is missing or a placeholder is not well formed; `path` leads to the text.
    """
    missing = sorted(required(text, *path) - environ.keys())
    if missing:
        wanted = ", ".join(missing)
        raise refused(f"expected the environment variable {wanted}, found none; set it, or write a default", *path)
    used: dict[str, str] = {}

    def value_of(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "${"
        # As in a shell, a default also stands in for a variable that is set to nothing.
        if name in environ and (environ[name] or match["default"] is None):
            used[name] = environ[name]
            return environ[name]
        return match["default"]

    replaced = _SIGN.sub(value_of, text)
    return Filled(typed(replaced) if _WHOLE.fullmatch(text) else replaced, used)


def typed(text: str) -> object:
    """Read a text as YAML reads a plain scalar: null, bool, number, or else the text itself."""
    tag = scalar_tag(text)
    if tag not in _TYPES or not text or (tag.endswith(("int", "float")) and _ODD_NUMBER.match(text)):
        return text
    try:
        value: object = yaml.constructor.SafeConstructor().construct_object(yaml.ScalarNode(tag, text))
    except ValueError:
        return text
    return value
