"""Who imports what.

The layers stand in pyproject.toml (`make imports`); here stands what a graph of modules cannot say.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, Module, imported, modules, report

#: Library -> the only packages that may know it.
HOMES = {
    "alembic": ("tasker.log",),
    "blinker": ("tasker.bus",),
    "fastapi": ("tasker.http",),
    "faust": ("tasker.kafka",),
    "kafka": ("tasker.kafka",),
    "opentelemetry": ("tasker.telemetry",),
    "rich": ("tasker.cli",),
    "sqlalchemy": ("tasker.log", "tasker.projections", "tasker.subscriptions"),
    "tasker.fold._native": ("tasker.fold",),
    "tasker_subscribers": (),
    "typer": ("tasker.cli",),
}
#: Third-party modules that `import tasker` may load.
EAGER: frozenset[str] = frozenset()
NAMES = 30
#: Imports each module as if it were the first one of the package.
ALONE = """
import importlib, sys
for name in sys.argv[1:]:
    for known in [k for k in sys.modules if k.partition(".")[0] == "tasker"]:
        del sys.modules[known]
    importlib.import_module(name)
"""


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_used_in_its_home_only(library: str) -> None:
    """A library is imported by the packages that own its subject, lazily or not, and by no other."""
    strangers = [
        f"{m.path}:{line}: imports {name}: only {' and '.join(HOMES[library]) or 'others'} may know {library}"
        for m in modules("tasker")
        for line, name in imported(m)
        if within(name, library) and not any(within(m.dotted, home) for home in HOMES[library])
    ]
    assert not strangers, report(strangers)


def test_the_domain_needs_the_standard_library_only() -> None:
    """`domain` imports the standard library and `errors`, and nothing that reads clock, disk, network or chance."""
    effects = {
        "asyncio",
        "datetime.now",
        "io",
        "logging",
        "os",
        "pathlib",
        "random",
        "secrets",
        "socket",
        "subprocess",
        "threading",
        "time",
    }
    foreign = [
        f"{m.path}:{line}: imports {name}: the domain is values and functions of the standard library"
        for m in modules("tasker")
        for line, name in imported(m)
        if within(m.dotted, "tasker.domain")
        and (
            name.split(".")[0] in effects
            or not (within(name, "tasker.domain") or within(name, "tasker.errors") or is_standard(name))
        )
    ]
    assert not foreign, report(foreign)


def test_importing_tasker_does_nothing_else(tmp_path: Path) -> None:
    """`import tasker` loads no third-party module, starts no thread, writes no file: every command starts quickly."""
    loaded, threads = fresh_import("tasker", tmp_path)
    heavy = {"alembic", "fastapi", "httpx2", "jsonschema", "pydantic", "rich", "sqlalchemy", "typer", "yaml"}
    assert not loaded & heavy, (
        f"`import tasker` loads {sorted(loaded & heavy)}: import them where they are used (find who with -X importtime)"
    )
    assert loaded <= EAGER, f"`import tasker` loads {sorted(loaded - EAGER)}: import it later, or list it in EAGER"
    assert threads == 1
    assert not list(tmp_path.iterdir())


def test_the_face_is_small_and_sorted() -> None:
    """`tasker.__all__` holds at most 30 names, sorted, and each of them is there."""
    import tasker

    names = list(tasker.__all__)
    assert names == sorted(names), "sort __all__"
    assert len(names) <= NAMES, f"{len(names)} names, at most {NAMES}: leave what few people need in its module"
    missing = [name for name in names if not hasattr(tasker, name)]
    assert not missing, f"__all__ promises {missing}"


def test_the_face_holds_no_code() -> None:
    """`tasker/__init__.py` has names and one lazy `__getattr__` (and `__dir__`), nothing that runs."""
    [face] = [m for m in modules("tasker") if m.path == "tasker/__init__.py"]
    functions = {name for name, _ in face.functions()}
    assert functions <= {"__getattr__", "__dir__"}, f"move {sorted(functions)} into a module of its own"
    assert not list(face.classes()), "move the classes into a module of their own"
    assert not [n for n in ast.walk(face.tree) if isinstance(n, ast.For | ast.While | ast.With)], (
        "move the code into a module of its own"
    )


def test_every_module_of_the_package_can_be_imported_first() -> None:
    """No module depends on another having been imported before it: there is no hidden knot."""
    names = [m.dotted for m in modules("tasker") if is_importable(m)]
    done = subprocess.run([sys.executable, "-c", ALONE, *names], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def fresh_import(name: str, folder: Path) -> tuple[set[str], int]:
    """Import a module in a new interpreter; return the third-party modules it loaded and the threads that run then."""
    script = (
        "import sys, threading\nold = set(sys.modules)\n"
        f"sys.path.insert(0, {str(ROOT)!r})\nimport {name}\n"
        "print(threading.active_count(), *{m.split('.')[0] for m in set(sys.modules) - old})"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    threads, *loaded = done.stdout.split()
    return {m for m in loaded if not is_standard(m) and m != name}, int(threads)


def within(name: str, package: str) -> bool:
    """Whether a dotted name is a package or lies in it."""
    return name == package or name.startswith(f"{package}.")


def is_standard(name: str) -> bool:
    """Whether a module comes with Python."""
    return name.partition(".")[0] in sys.stdlib_module_names


def is_importable(module: Module) -> bool:
    """Whether a file is a module, and no script that Alembic loads or that ends the process."""
    return "migrations" not in module.dotted.split(".") and not module.dotted.endswith("__main__")
