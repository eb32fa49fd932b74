"""Budgets: the largest module, function, class and signature decide how hard a house is to change, not the average."""

from __future__ import annotations

import ast

from tests.architecture.source import Function, Module, modules, report

MODULE, CLASS, FUNCTION, TEST, PARAMETERS, COMPLEXITY, PROTOCOL = 400, 300, 50, 60, 6, 8, 8

#: What may exceed a budget, as "path::name" or "path" -> the reason.
#: What is too complex also needs ruff's C901 switched off on its line.
EXCEPTIONS: dict[str, str] = {}

#: Keyword-only parameters that the public face names do not count.
FACE_KEYWORDS = {
    *("actor", "after", "aliases", "annotation", "at", "at_least", "bus", "clock", "code", "concurrency", "context"),
    *("created_after", "cursor", "dependent_system", "durable", "full", "ids", "inputs", "limit", "name", "namespace"),
    *("older_than", "reason", "replace", "rerun", "results", "retry_after", "retry_limit", "scope", "start"),
    *("settings", "status", "tag", "tags", "timeout", "timeout_seconds", "types", "until", "version"),
}


def test_no_module_is_longer_than_its_budget() -> None:
    """A file of Python has at most 400 lines."""
    sizes = [(m.path, 1, m.text.count("\n")) for m in modules()]
    check("lines", MODULE, "split it by the ideas it holds", sizes)


def test_no_class_is_longer_than_its_budget() -> None:
    """A class has at most 300 lines."""
    sizes = [(f"{m.path}::{n}", c.lineno, c.end_lineno - c.lineno + 1) for m in modules() for n, c in m.classes()]
    check("lines", CLASS, "give a part of it a name of its own", sizes)


def test_no_function_is_longer_than_its_budget() -> None:
    """A function has at most 50 lines, a test 60, without its docstring."""
    for tests, limit in ((False, FUNCTION), (True, TEST)):
        mine = [m for m in modules() if m.is_test is tests]
        sizes = [(f"{m.path}::{n}", f.lineno, lines(f)) for m in mine for n, f in m.functions()]
        check("lines", limit, "let it read as the table of contents of smaller ones", sizes)


def test_no_signature_is_wider_than_its_budget() -> None:
    """A function takes at most 6 parameters, without self, cls and the keyword-only ones that the public face names."""
    sizes = [(f"{m.path}::{n}", f.lineno, parameters(f)) for m in modules("tasker", "bench") for n, f in m.functions()]
    check("parameters", PARAMETERS, "put them into a frozen dataclass", sizes)


def test_no_function_is_more_complex_than_its_budget() -> None:
    """The cyclomatic complexity of a function is at most 8."""
    sizes = [(f"{m.path}::{n}", f.lineno, complexity(f)) for m in modules() for n, f in m.functions()]
    check("independent paths", COMPLEXITY, "split it, or make it a table", sizes)


def test_no_port_is_wider_than_its_budget() -> None:
    """A Protocol has at most 8 methods."""
    ports = [(m, n, c) for m in modules("tasker") for n, c in m.classes() if is_protocol(c)]
    sizes = [(f"{m.path}::{n}", c.lineno, methods(c)) for m, n, c in ports]
    check("methods", PROTOCOL, "a port with many operations is two ports", sizes)


def test_every_exception_is_needed() -> None:
    """An exception names something that exists, so that the table shrinks with the code."""
    known = {f"{m.path}::{n}" for m in modules() for n, _ in m.definitions()} | {m.path for m in modules()}
    assert not set(EXCEPTIONS) - known, "these exceptions name nothing: remove them from EXCEPTIONS"
    assert all(EXCEPTIONS.values()), "an exception needs a reason"


def check(unit: str, limit: int, advice: str, sizes: list[tuple[str, int, int]]) -> None:
    """Fail with one line for each thing beyond the limit that is no listed exception."""
    beyond = [
        f"{where.partition('::')[0]}:{line}: {where.partition('::')[2] or 'module'} has {size} {unit}, "
        f"at most {limit}: {advice}"
        for where, line, size in sizes
        if size > limit and where not in EXCEPTIONS
    ]
    assert not beyond, report(beyond)


def lines(function: Function) -> int:
    """Lines of a function from `def` to its end, without the docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    return function.end_lineno - function.lineno + 1 - (first.end_lineno - first.lineno + 1 if documented else 0)


def parameters(function: Function) -> int:
    """Parameters that a caller has to think about."""
    a = function.args
    positional = [p.arg for p in a.posonlyargs + a.args if p.arg not in {"self", "cls"}]
    return len(positional) + sum(p.arg not in FACE_KEYWORDS for p in a.kwonlyargs) + bool(a.vararg) + bool(a.kwarg)


def complexity(function: Function) -> int:
    """Independent paths through a function: one, and one for each branch, loop, handler and refutable case."""
    branches = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler)
    return 1 + sum(isinstance(n, branches) or is_refutable(n) for n in own_nodes(function))


def own_nodes(function: Function) -> list[ast.AST]:
    """The nodes of a function without those of functions and classes inside it, which are counted for themselves."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append(node)
            waiting.extend(ast.iter_child_nodes(node))
    return found


def is_refutable(node: ast.AST) -> bool:
    """Whether a node is a case that does not match everything."""
    if not isinstance(node, ast.match_case):
        return False
    return node.guard is not None or not (isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None)


def is_protocol(node: ast.ClassDef) -> bool:
    """Whether a class is a port."""
    names = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
    return any(getattr(n, "id", getattr(n, "attr", "")) == "Protocol" for n in names)


def methods(node: ast.ClassDef) -> int:
    """How many operations a class has of its own."""
    return sum(isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) for child in node.body)


def test_the_counters_count() -> None:
    """The counters of this file find what they are for."""
    text = '''
def wide(self, a, b, /, c, *d, limit, odd, **e):
    """Not counted.

    Nor this.
    """
    match a:
        case 1 if b: return 1
        case 2: return [x for x in d if x]
        case _: pass
    for x in d:
        try:
            if x: pass
        except ValueError:
            def inner(): return 1 if x else 2
'''
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert (parameters(function), complexity(function), lines(function)) == (6, 6, 10)
    nested = Module("tests/x.py", text, ast.parse(text))
    assert [name for name, _ in nested.functions()] == ["wide", "wide.inner"]
