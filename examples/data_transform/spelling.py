"""Keys in snake case: pure functions, without a clock, a log or a network."""

import re

_SEAMS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[-\s.]+")


def snake_case(name):
    """Write a name in snake case: `homeAddress`, `HTTPStatus` and `post-code` become home_address and so on."""
    return _SEAMS.sub("_", name).lower()


def in_snake_case(value):
    """Give a JSON value with all its keys in snake case, at every depth; values stay as they are.

    Raises:
        ValueError: Two keys of one object would become the same; names both.
    """
    if isinstance(value, list):
        return [in_snake_case(one) for one in value]
    if not isinstance(value, dict):
        return value
    spelled = {}
    for key in value:
        other = spelled.setdefault(snake_case(key), key)
        if other != key:
            raise ValueError(f"the keys {other!r} and {key!r} are both {snake_case(key)!r} in snake case")
    return {name: in_snake_case(value[key]) for name, key in spelled.items()}
