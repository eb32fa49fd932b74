"""Names that become modules, classes and steps: read in any usual form, refused where Python cannot take them."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass

import typer

LONGEST = 48  # characters: with it no line of a generated file is wider than formatters allow
SUFFIX = "subscriber"
_FORM = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[_-][A-Za-z0-9]+)*")
_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_-]")
_PROJECT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")
_TAKEN = frozenset(dir(builtins)) | {"BaseSubscriber", "StepHandler"}


@dataclass(frozen=True, slots=True)
class Name:
    """A name in the two forms that Python uses: `order_process` for modules and steps, `OrderProcess` for classes."""

    snake: str
    camel: str


def read_name(text: str, what: str) -> Name:
    """Read a name that was written as `OrderProcess`, `order_process` or `order-process`.

    Args:
        text: The name.
        what: What it names, for the error.

    Raises:
        BadParameter: No module or class can be called so.
    """
    words = [word.lower() for word in _BORDER.split(text) if word]
    name = Name("_".join(words), "".join(word.capitalize() for word in words))
    if not _FORM.fullmatch(text) or len(name.snake) > LONGEST:
        form = f"letters and digits, words joined by _ or -, a letter first, at most {LONGEST} characters"
        msg = f"{what}: expected a name such as OrderProcess or order_process ({form}), found {text!r}"
        raise typer.BadParameter(msg)
    if keyword.iskeyword(name.snake) or name.camel in _TAKEN or keyword.iskeyword(name.camel):
        taken = name.snake if keyword.iskeyword(name.snake) else name.camel
        msg = f"{what}: expected a name that Python leaves free, found {text!r}: {taken!r} has a meaning; add a word"
        raise typer.BadParameter(msg)
    return name


def read_steps(texts: Iterable[str]) -> list[Name]:
    """Read the names of steps, each text with one or several that commas part; each step comes after the one before it.

    Raises:
        BadParameter: One is wrong, or two are the same.
    """
    steps = [read_name(text, "steps") for text in parts(texts, "steps")]
    for place, step in enumerate(steps):
        if any(step.camel == earlier.camel for earlier in steps[:place]):
            msg = f"steps: expected each step once, found {step.snake!r} again; remove one of the two"
            raise typer.BadParameter(msg)
    return steps


def read_subscriber(text: str) -> Name:
    """Read the name of a subscriber, with or without the word `subscriber` at its end.

    Raises:
        BadParameter: No module or class can be called so.
    """
    name = read_name(text, "NAME")
    shorter = name.snake.removesuffix(f"_{SUFFIX}")
    short = read_name(shorter, "NAME") if shorter != name.snake else name
    if f"{short.camel}{SUFFIX.capitalize()}" in _TAKEN:
        msg = f"NAME: expected a name of your own, found {text!r}: Tasker has a class of that name; add a word"
        raise typer.BadParameter(msg)
    return short


def read_project(text: str) -> str:
    """Read the name of a project, which names its folder too.

    Raises:
        BadParameter: It is no plain name of a folder.
    """
    if _PROJECT.fullmatch(text) and len(text) <= LONGEST:
        return text
    here = " To prepare the folder you are in, run `tasker init`." if text in {".", ""} else ""
    form = f"letters, digits, _ and -, at most {LONGEST} characters"
    msg = f"NAME: expected the name of a new folder in this one ({form}), found {text!r}.{here}"
    raise typer.BadParameter(msg)


def parts(texts: Iterable[str], what: str) -> list[str]:
    """Split texts at commas.

    Raises:
        BadParameter: There is nothing between two commas, or nothing at all.
    """
    found = [part.strip() for text in texts for part in text.split(",")]
    if found and all(found):
        return found
    msg = f"{what}: expected names with commas between them, such as a,b,c; found {', '.join(texts) or 'nothing'!r}"
    raise typer.BadParameter(msg)
