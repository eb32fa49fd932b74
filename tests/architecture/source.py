"""The project's files as values: what the rules of this folder look at."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("_build", "tasker", "tests", "bench", "examples", "subscribers")
#: Made by tools, never committed.
GENERATED = {
    *(".git", ".hypothesis", ".import_linter_cache", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".uv", ".venv"),
    *(".bench", ".kafka", "__pycache__", "build", "dist", "htmlcov", "target"),
}
#: An exact copy of the contract's suite: its own house, its own rules.
COPIED = "tests/acceptance/face/"

type_of_function = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A parsed Python file of the project; `path` is relative to the checkout, with slashes."""

    path: str
    text: str
    tree: ast.Module

    @property
    def is_test(self) -> bool:
        """Whether the file belongs to the tests."""
        return self.path.startswith("tests/")

    @property
    def dotted(self) -> str:
        """The name under which the file is imported: `tasker.log.port`."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def definitions(self) -> Iterator[tuple[str, Function | ast.ClassDef]]:
        """Every class and function with its dotted name inside the module, outer ones first."""
        yield from _definitions(self.tree, "")

    def functions(self) -> Iterator[tuple[str, Function]]:
        """Every function and method, nested ones too."""
        return ((name, node) for name, node in self.definitions() if isinstance(node, type_of_function))

    def classes(self) -> Iterator[tuple[str, ast.ClassDef]]:
        """Every class, nested ones too."""
        return ((name, node) for name, node in self.definitions() if isinstance(node, ast.ClassDef))

    def tests(self) -> Iterator[tuple[str, Function]]:
        """Every test function, if the file is one that pytest collects, or a suite for adapters."""
        return ((n, f) for n, f in self.functions() if self.is_test and f.name.startswith("test_"))


def _definitions(parent: ast.AST, prefix: str) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, (*type_of_function, ast.ClassDef)):
            yield prefix + node.name, node
            yield from _definitions(node, f"{prefix}{node.name}.")
        else:
            yield from _definitions(node, prefix)


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """The Python files of some folders (default: of all code), in a stable order."""
    paths = [p for p in files(".py") if p.split("/")[0] in (folders or CODE) and not p.startswith(COPIED)]
    return tuple(Module(path, text, ast.parse(text, path)) for path in paths for text in [read(path)])


@cache
def files(*suffixes: str) -> tuple[str, ...]:
    """Paths of the project's own files with one of these suffixes ("" = a file without one)."""
    found: list[str] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if f not in GENERATED and not f.endswith(".egg-info"))
        here = [Path(folder, name) for name in sorted(names) if not name.startswith(".coverage")]
        found += [p.relative_to(ROOT).as_posix() for p in here if p.suffix in suffixes]
    return tuple(found)


def read(path: str) -> str:
    """The text of a file of the project."""
    return (ROOT / path).read_text(encoding="utf-8")


def imported(module: Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every absolute import; relative ones stay inside their package."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def report(violations: list[str]) -> str:
    """One violation a line, for the message of an assertion."""
    return f"{len(violations)} violation(s):\n" + "\n".join(violations)
