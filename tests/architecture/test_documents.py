"""What every object and every test says about itself, and what no file may say."""

from __future__ import annotations

import ast
import io
import re
import tokenize

from tests.architecture.source import Function, Module, files, modules, read, report

IGNORES = 5
TEXTS = (".py", ".md", ".toml", ".yaml", ".yml", ".lock", ".json", ".mako", ".ini", ".cfg", ".rs", "")
STRICT = ("tasker.domain", "tasker.codec", "tasker.log.port")
#: The brackets keep these patterns from finding themselves.
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")
ADDRESSES = re.compile(
    r"pypi\.[o]rg|python[h]osted\.org|index[-]url *[=:]|npmjs\.[oc]|static\.[c]rates\.io", re.IGNORECASE
)
MACHINES = re.compile(r"(?<![\w.$}>-])/(?:wor[k]|roo[t]|hom[e]|User[s])/\w")
ASSERTING = ("assert", "check", "expect", "then", "raises", "warns", "fail", "verify")


def test_every_public_object_has_a_docstring() -> None:
    """Every public module, class, function and method of the package has a docstring."""
    bare = [
        f"{m.path}:1: the module has no docstring: say what it is for"
        for m in modules("tasker")
        if m.text.strip() and not ast.get_docstring(m.tree)
    ]
    for module in modules("tasker"):
        for name, node in module.definitions():
            if is_public(name, node, module) and not ast.get_docstring(node):
                bare.append(f"{module.path}:{node.lineno}: {name} has no docstring: say what it does, and why")
    assert not bare, report(bare)


def test_every_test_states_its_rule() -> None:
    """Every test has a docstring, which is the rule it proves."""
    bare = [
        f"{m.path}:{f.lineno}: {n} has no docstring: state the rule"
        for m in modules("tests")
        for n, f in m.tests()
        if not ast.get_docstring(f)
    ]
    assert not bare, report(bare)


def test_every_test_asserts_something() -> None:
    """A test asserts, expects an exception, or calls a function that does."""
    idle = [
        f"{m.path}:{f.lineno}: {n} asserts nothing: assert what its docstring says"
        for m in modules("tests")
        for n, f in m.tests()
        if not asserts(f, {g.name: g for _, g in m.functions()}, set())
    ]
    assert not idle, report(idle)


def test_the_core_has_no_untyped_corner() -> None:
    """`Any` and `cast` do not occur in the domain, the codec and the port of the log."""
    found = []
    for module in modules("tasker"):
        if module.dotted.startswith(STRICT):
            names = [(n, getattr(n, "id", getattr(n, "attr", getattr(n, "name", "")))) for n in ast.walk(module.tree)]
            found += [
                f"{module.path}:{n.lineno}: {name}: write the type it has"
                for n, name in names
                if name in {"Any", "cast"}
            ]
    assert not found, report(found)


def test_a_type_error_is_ignored_for_a_reason() -> None:
    """At most five `type: ignore` stand in the package, each with its code and the reason."""
    marks = [
        (m.path, line, text)
        for m in modules("tasker")
        for line, text in comments(m)
        if re.match(r"# *type: *ignore", text)
    ]
    bare = [
        f"{p}:{n}: {t}: write `type: ignore[code]  # reason`"
        for p, n, t in marks
        if not re.match(r"# type: ignore\[[\w, -]+\] +# \w", t)
    ]
    assert not bare, report(bare)
    assert len(marks) <= IGNORES, report([f"{p}:{n}: {t}: type it, {IGNORES} at most" for p, n, t in marks])


def test_nothing_is_left_for_later() -> None:
    """No file carries a note of unfinished work: it is done, or it is in the tracker."""
    found = search(UNFINISHED, "do it, or write it into the tracker")
    assert not found, report(found)


def test_no_file_knows_where_it_was_made() -> None:
    """Locks, documents and code hold no address of a package registry and no path of a machine."""
    found = search(ADDRESSES, "the installer's own settings know the registry") + search(
        MACHINES, "write a path that every machine has"
    )
    assert not found, report(found)


def is_public(name: str, node: Function | ast.ClassDef, module: Module) -> bool:
    """Whether an object has to explain itself: nothing private, nested in a function, overloaded or overriding."""
    if any(part.startswith("_") for part in name.split(".")):
        return False
    if any(n != name and name.startswith(f"{n}.") for n, _ in module.functions()):
        return False
    return not any(re.search(r"overload|override|\.setter|\.deleter", ast.unparse(d)) for d in node.decorator_list)


def asserts(function: Function, known: dict[str, Function], seen: set[str]) -> bool:
    """Whether a function asserts by itself or through a helper of the same file."""
    seen.add(function.name)
    nodes = list(ast.walk(function))
    called = {getattr(n.func, "id", getattr(n.func, "attr", "")) for n in nodes if isinstance(n, ast.Call)}
    if any(isinstance(n, ast.Assert) for n in nodes) or any(c.lstrip("_").startswith(ASSERTING) for c in called):
        return True
    return any(asserts(known[c], known, seen) for c in called & known.keys() - seen)


def comments(module: Module) -> list[tuple[int, str]]:
    """Line and text of every comment of a module."""
    tokens = tokenize.generate_tokens(io.StringIO(module.text).readline)
    return [(t.start[0], t.string) for t in tokens if t.type == tokenize.COMMENT]


def search(pattern: re.Pattern[str], advice: str) -> list[str]:
    """Every line of the project's texts in which a pattern occurs."""
    return [
        f"{path}:{number}: {match[0]!r} may not stand here: {advice}"
        for path in files(*TEXTS)
        for number, line in enumerate(read(path).splitlines(), 1)
        if (match := pattern.search(line))
    ]
