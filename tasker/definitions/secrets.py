"""The placeholders of a pinned `handler_config`: checked when it is declared, replaced in memory for each attempt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tasker.definitions.placeholders import filled, has_sign, required

Json = object
"""A JSON value."""
_Path = tuple[str | int, ...]


def placeholders(config: Mapping[str, Json]) -> frozenset[str]:
    """Name the variables without a default that must be set before the step can be claimed.

    Raises:
        InvalidDefinition: A placeholder is not well formed; `path` leads to it.
    """
    names: frozenset[str] = frozenset()
    for path, text in _texts(config, ()):
        names |= required(text, *path)
    return names


def resolve_config(config: Mapping[str, Json], environ: Mapping[str, str]) -> tuple[Mapping[str, Json], dict[str, str]]:
    """Replace the placeholders of a pinned configuration.

    Args:
        config: The pinned configuration; it is not changed.
        environ: The variables.

    Returns:
        The configuration for this attempt (the very same where it has no placeholder), and the value of each variable
        that was read, which must be masked in everything that the attempt reports.

    Raises:
        InvalidDefinition: A variable is missing; the text names it.
    """
    if not config:
        return config, {}
    secrets: dict[str, str] = {}
    replaced = _replaced(config, environ, secrets, ())
    return (replaced if isinstance(replaced, Mapping) else config), secrets


def _texts(value: Json, path: _Path) -> Iterator[tuple[_Path, str]]:
    if isinstance(value, str):
        if has_sign(value):
            yield path, value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from _texts(child, (*path, key))
    elif isinstance(value, list | tuple):
        for place, child in enumerate(value):
            yield from _texts(child, (*path, place))


def _replaced(value: Json, environ: Mapping[str, str], secrets: dict[str, str], path: _Path) -> Json:
    if isinstance(value, str):
        if not has_sign(value):
            return value
        found = filled(value, environ, *path)
        secrets.update(found.used)
        return found.value
    if isinstance(value, Mapping):
        children = {key: _replaced(child, environ, secrets, (*path, key)) for key, child in value.items()}
        return value if all(children[key] is child for key, child in value.items()) else children
    if isinstance(value, list | tuple):
        items = [_replaced(child, environ, secrets, (*path, place)) for place, child in enumerate(value)]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value
