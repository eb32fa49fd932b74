"""The loader of the compiled fold: what TASKER_NATIVE decides, and what becomes of a module that does not fit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasker import fold
from tasker.fold.native import FOLD_VERSION, native

ROOT = Path(__file__).resolve().parents[3]
#: Lets `tasker.fold` look for its modules in another folder, in which a `_native` may stand, and loads it twice.
SCRIPT = """
import sys, warnings
import tasker.fold
import tasker.fold.native
loader = sys.modules["tasker.fold.native"]  # the package may have a function of this name
loader.native.cache_clear()
sys.modules.pop("tasker.fold._native", None)
vars(tasker.fold).pop("_native", None)
tasker.fold.__path__[:] = sys.argv[1:]
warnings.simplefilter("always")
from tasker.errors import TaskerError
try:
    found = [loader.native(), loader.native()]
    print(*(getattr(module, "__file__", None) for module in found))
except TaskerError as error:
    print(type(error).__name__, error)
print("tasker.fold._native" in sys.modules)
"""


@dataclass(frozen=True)
class Loaded:
    """What a process of its own said: what the loader gave, whether a module was imported, and what was warned."""

    found: str
    imported: bool
    warned: str


@pytest.fixture
def load(tmp_path):
    """Give a function that runs the loader in a process, with a text as the compiled module (None: there is none)."""

    def run(wish: str, module: str | None) -> Loaded:
        if module is not None:
            (tmp_path / "_native.py").write_text(module, encoding="utf-8")
        environment = {k: v for k, v in os.environ.items() if k != "TASKER_NATIVE"}
        environment |= {"PYTHONPATH": str(ROOT), "TASKER_NATIVE": wish or ""}
        command = [sys.executable, "-W", "ignore", "-c", SCRIPT, tmp_path]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found, imported = done.stdout.splitlines()
        return Loaded(found, imported == "True", done.stderr)

    return run


FITTING, STALE, BROKEN = f"FOLD_VERSION = {FOLD_VERSION}", "FOLD_VERSION = 0", "raise ImportError('no such symbol')"


def test_the_fold_asked_for_is_the_fold_in_use():
    """With TASKER_NATIVE=1 the compiled fold is in use, with 0 the Python one: a test run proves what it names."""
    possible = {"1": ["rust"], "0": ["python"]}.get(os.environ.get("TASKER_NATIVE", ""), ["python", "rust"])
    assert fold.implementation() in possible


def test_the_door_names_what_the_loader_found():
    """`implementation()` says rust where the loader gives a module, and python where it does not."""
    assert fold.implementation() == ("python" if native() is None else "rust")


@pytest.mark.skipif(native() is None, reason="no compiled fold is in use: install Rust, and unset TASKER_NATIVE=0")
def test_the_stub_describes_the_module(tmp_path):
    """`_native.pyi` names what the compiled module has, with its parameters and defaults."""
    stub = ROOT / "tasker/fold/_native.pyi"
    alone, allowed = tmp_path / "tasker/fold", tmp_path / "allowed"
    alone.mkdir(parents=True)
    for path in (alone, alone.parent):
        (path / "__init__.pyi").touch()  # so that the rest of the package need not be analysed
    shutil.copy(stub, alone)
    aliases = re.findall(r"^(\w+): TypeAlias", stub.read_text(encoding="utf-8"), re.MULTILINE)
    allowed.write_text("".join(rf"tasker\.fold\._native\.{name}" + "\n" for name in aliases), encoding="utf-8")
    command = [sys.executable, "-m", "mypy.stubtest", "--concise", "--allowlist", allowed, "tasker.fold._native"]
    environment = {**os.environ, "MYPYPATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("wish", ["", "1"])
def test_a_fitting_module_is_used(load, wish):
    """A module of this version is used unless it is forbidden, and found once."""
    loaded = load(wish, FITTING)
    assert loaded.found.count("_native.py") == 2
    assert (loaded.imported, loaded.warned) == (True, "")


@pytest.mark.parametrize("module", [FITTING, STALE, BROKEN, None])
def test_zero_never_imports_a_compiled_module(load, module):
    """With TASKER_NATIVE=0 no module is imported, whatever stands there: one that was built earlier does no harm."""
    assert load("0", module) == Loaded("None None", imported=False, warned="")


def test_without_a_module_python_folds(load):
    """Where no module was built and the variable is not set, nothing is said: Python folds."""
    assert load("", None) == Loaded("None None", imported=False, warned="")


def test_a_stale_module_is_reported_once(load):
    """A module of another version warns once, with the command that builds it again, and Python folds."""
    loaded = load("", STALE)
    assert loaded.found == "None None"
    assert loaded.warned.count("RuntimeWarning") == 1
    assert all(part in loaded.warned for part in ("stale extension", f"expected version {FOLD_VERSION}", "make core"))


def test_a_module_that_cannot_be_loaded_is_reported(load):
    """A module that does not load warns with the reason, and Python folds."""
    loaded = load("", BROKEN)
    assert loaded.found == "None None"
    assert "cannot be loaded (no such symbol)" in loaded.warned


@pytest.mark.parametrize(
    ("module", "reason"), [(None, "there is none"), (STALE, "found 0"), (BROKEN, "no such symbol")]
)
def test_one_refuses_to_do_without(load, module, reason):
    """With TASKER_NATIVE=1 a missing, stale or broken module is an error that says what is wrong and what to do."""
    found = load("1", module).found
    assert found.startswith("InvalidDefinition variable TASKER_NATIVE: ")
    assert reason in found
    assert "make core" in found


@pytest.mark.parametrize("wish", ["2", "yes", " 1"])
def test_another_value_is_refused(load, wish):
    """Any other value names the variable, what was expected, and what was found; nothing is imported."""
    loaded = load(wish, FITTING)
    assert f"variable TASKER_NATIVE: expected 0 or 1, found {wish!r}" in loaded.found
    assert not loaded.imported
