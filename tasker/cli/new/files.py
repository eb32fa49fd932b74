"""Writing what was generated: nothing that is there already is touched unless that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tasker.cli.output import Output
from tasker.errors import TaskerError

WRITTEN, REPLACED, KEPT = "written", "replaced", "kept"


@dataclass(frozen=True, slots=True)
class File:
    """A file to write.

    Attributes:
        path: Where, from the working directory.
        text: What it holds.
        shared: True if all of a project depends on it; then it is never replaced.
    """

    path: Path
    text: str
    shared: bool = False


def write(out: Output, files: Iterable[File], *, force: bool = False) -> None:
    """Write files, and say of each what became of it.

    Args:
        out: Where that is said.
        files: What to write.
        force: True to replace those that are there, but for the shared ones.

    Raises:
        TaskerError: One cannot be written; where that can be known before, nothing is.
    """
    listed = list({file.path: file for file in files}.values())
    for file in listed:
        _check(file.path)
    for file in listed:
        state = _write(file, force=force and not file.shared)
        hint = "; --force replaces it" if state == KEPT and not (file.shared or force) else ""
        text = f"{state:<8}  {file.path}" + (f" (there already{hint})" if state == KEPT else "")
        out.one({"file": file.path.as_posix(), "state": state}, text)


def _check(path: Path) -> None:
    """Refuse a path that cannot be a file, and a package that would hide a module."""
    if path.is_dir():
        msg = f"expected to write the file {path}, found a folder of that name; move it away"
        raise TaskerError(msg)
    for folder in path.parents:
        if folder.exists() and not folder.is_dir():
            msg = f"expected to write {path}, found a file at {folder}; move it away"
            raise TaskerError(msg)
    if path.name == "__init__.py" and (module := path.parent.with_suffix(".py")).exists():
        msg = f"expected to make the package {path.parent}, found the module {module}, which it would hide; rename it"
        raise TaskerError(msg)


def _write(file: File, *, force: bool) -> str:
    """Write a file and say what became of it."""
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with file.path.open("x", encoding="utf-8", newline="\n") as opened:
                opened.write(file.text)
            return WRITTEN
        except FileExistsError:
            if not force:
                return KEPT
        file.path.write_text(file.text, "utf-8", newline="\n")
    except OSError as error:
        msg = f"expected to write {file.path}, found {error.strerror or error}; choose another folder or its rights"
        raise TaskerError(msg) from error
    return REPLACED
