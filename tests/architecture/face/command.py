"""The side of the face that is typed: every command with its arguments and options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from tasker.cli.application import build

EVERYWHERE = {"--url", "--json", "--debug"}


def commands() -> dict[str, list]:
    """Give the parameters of every command by its words, `kafka dlq list`, in the order of their names."""
    found: dict[str, list] = {}

    def walk(group: object, words: str) -> None:
        for name, part in group.commands.items():
            if hasattr(part, "commands"):
                walk(part, f"{words}{name} ")
            if not hasattr(part, "commands") or part.invoke_without_command:
                found[words + name] = part.params

    root = build()
    walk(root, "")
    found[""] = root.params
    return dict(sorted(found.items()))


def lines() -> Iterator[str]:
    """Describe every command; the options that each of them has are written as `…`."""
    for words, parameters in commands().items():
        yield f"tasker {words}".rstrip()
        names = {name for one in parameters for name in one.opts}
        if names >= EVERYWHERE:
            yield "    …"
        yield from sorted(
            f"    {_shown(one)}" for one in parameters if not (names >= EVERYWHERE and {*one.opts} <= EVERYWHERE)
        )


def _shown(one: object) -> str:
    is_option = any(name.startswith("-") for name in one.opts)
    name = "/".join([*one.opts, *one.secondary_opts]) if is_option else (one.metavar or one.name.upper())
    kind = one.type_descriptor.annotation
    bounds = "" if one.min is None and one.max is None else f" {one.min}…{'' if one.max is None else one.max}"
    default = str(one.default) if isinstance(one.default, PurePath) else one.default
    needed = " required" if one.required else f" = {default!r}"
    many = " repeated" if one.multiple or one.nargs != 1 else ""
    named = kind.__name__ if isinstance(kind, type) else kind
    return f"{name}: {named}{bounds}{many}{needed}"
