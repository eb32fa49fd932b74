"""What people install: wheels and source distribution are built, and work where nothing else is installed.

Each is installed in an environment of its own that holds the locked dependencies alone, and what it installs runs
there by itself, with and without a compiler in reach.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.architecture.source import GENERATED, ROOT

TOOL = shutil.which("uv") or str(ROOT / ".uv/bin/uv")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
NAME = f"tasker_engine-{VERSION}"
SOURCES, PURE = f"{NAME}.tar.gz", f"{NAME}-py3-none-any.whl"
COMPILERS = {"cargo", "rustc", "cc", "gcc", "clang"}
PATIENCE = 600
TASK = """
from tasker import StepTemplate, TaskDefinition, Tasker

def hello(task, sequence, step):
    return {"hello": task.context["name"]}

with Tasker("sqlite:///hello.db") as app:
    app.register(TaskDefinition(name="greet", step_templates=[StepTemplate(name="hello", handler_class=hello)]))
    task = app.run_until_complete(app.submit(name="greet", context={"name": "ann"}).id, timeout=60)
    print(task.status, task.step("hello").results["hello"], app.audit.verify().events)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path(TOOL).exists() and not os.environ.get("CI"), reason="no uv on PATH: `make dev` makes one in .uv/"
    ),
]


class Case(NamedTuple):
    """Something to install.

    Attributes:
        package: Which of the built packages.
        compiler: Whether a compiler is in reach while it is installed and used.
        wish: TASKER_NATIVE, None for not set.
        fold: The fold that it shall use.
    """

    package: str
    compiler: bool
    wish: str | None
    fold: str


CASES = [
    Case("compiled wheel", compiler=False, wish=None, fold="rust"),
    Case("pure wheel", compiler=False, wish=None, fold="python"),
    Case("sources", compiler=False, wish=None, fold="python"),
    Case("sources", compiler=True, wish="0", fold="python"),
]


def call(*command: object, cwd: Path | None = None, wish: str | None = None, **variables: str) -> str:
    """Run a command without this checkout in its environment; it must succeed. Give what it printed."""
    own = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    kept = {name: value for name, value in os.environ.items() if name not in own and not name.startswith("TASKER_")}
    asked = {"TASKER_NATIVE": wish} if wish is not None else {}
    done = subprocess.run(
        [str(part) for part in command],
        env=kept | asked | variables,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def offline(*command: object, **variables: str | None) -> None:
    """Run uv with what is in its cache, where the checkout's own installation left it; else with the registry."""
    try:
        call(TOOL, *command, "--offline", **variables)
    except AssertionError:
        call(TOOL, *command, **variables)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Give a PATH with all of this one but compilers."""
    folder = tmp_path_factory.mktemp("bare")
    for place in os.environ["PATH"].split(os.pathsep):
        for tool in Path(place).iterdir() if Path(place).is_dir() else ():
            link = folder / tool.name
            if tool.name not in COMPILERS and not link.is_symlink():
                link.symlink_to(tool)
    assert not any(shutil.which(name, path=str(folder)) for name in COMPILERS)
    return str(folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory, bare):
    """Give the packages by what they are; the processes of one run of the tests build them once."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "packages"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            build(folder, bare)
            (folder / "done").touch()
    found = {"sources": folder / "dist" / SOURCES, "pure wheel": folder / "dist" / PURE}
    compiled = list((folder / "dist").glob(f"{NAME}-*-abi3-*.whl"))
    return found | ({"compiled wheel": compiled[0]} if compiled else {})


def build(folder: Path, bare: str) -> None:
    """Build from a copy of the checkout: the source distribution, then from it one wheel with and one without Rust."""
    ignored = shutil.ignore_patterns(*GENERATED, "*.egg-info", "*.so", "*.db*")
    shutil.copytree(ROOT, folder / "checkout", ignore=ignored, dirs_exist_ok=True)
    target = folder / "target"
    if (ROOT / "rust_ext/target/release").is_dir():  # the crates of others need not be compiled again
        shutil.copytree(ROOT / "rust_ext/target/release", target / "release", dirs_exist_ok=True)
    call_uv = ("build", "--quiet", "--python", sys.executable, "--out-dir", folder / "dist")
    offline(*call_uv, "--sdist", folder / "checkout")
    sources = folder / "dist" / SOURCES
    offline(*call_uv, "--wheel", sources, PATH=bare)
    if os.environ.get("CI") or shutil.which("cargo"):
        offline(*call_uv, "--wheel", sources, wish="1", CARGO_TARGET_DIR=str(target))
    shutil.rmtree(target, ignore_errors=True)


def members(package: Path) -> set[str]:
    """Name the files of a package."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            return {name for name in archive.namelist() if not name.endswith("/")}
    with tarfile.open(package) as archive:
        return {one.name.partition("/")[2] for one in archive.getmembers() if one.isfile()}


def test_every_package_holds_the_whole_package(built):
    """Each holds every file of `tasker`; a wheel adds its metadata, a compiled one the module; nothing else is in."""
    folder = ROOT / "tasker"
    left = (".pyc", ".so")
    own = {path.relative_to(ROOT).as_posix() for path in folder.rglob("*") if path.is_file()}
    own = {name for name in own if not name.endswith(left)}
    for name, package in built.items():
        packed = members(package)
        assert {one for one in packed if one.startswith("tasker/") and not one.endswith(".so")} == own, name
        modules = [one for one in packed if one.endswith(".so")]
        assert modules == (["tasker/fold/_native.abi3.so"] if name == "compiled wheel" else []), name
        if package.suffix == ".whl":
            others = {one.partition("/")[0] for one in packed} - {"tasker"}
            assert others == {f"{NAME}.dist-info"}, name
            assert any(one.endswith("licenses/LICENSE") for one in packed), name


def test_the_sources_hold_what_a_build_needs(built):
    """Beside the package: backend, Rust sources with their lock, README, licence, changes; no tests, nothing built."""
    beside = {name for name in members(built["sources"]) if not name.startswith(("tasker/", "tasker_engine.egg-info/"))}
    rust = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "rust_ext").rglob("*")
        if path.is_file() and "target" not in path.relative_to(ROOT).parts and "__pycache__" not in path.parts
    }
    top = {"CHANGELOG.md", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "PKG-INFO", "setup.cfg"}
    assert beside == rust | top | {"_build/cargo.py", "_build/tasker_build.py"}
    assert "rust_ext/Cargo.lock" in rust


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.package}, compiler {case.compiler}, {case.wish}")
def test_it_works_in_an_environment_of_its_own(case, built, bare, tmp_path):
    """Installed where nothing else is, it imports, tells its version, finds itself in order, and completes a task."""
    if case.package not in built:
        pytest.skip("no cargo on PATH: the compiled wheel cannot be built here")
    home, path = tmp_path / "environment", os.environ["PATH"] if case.compiler else bare
    offline("venv", "--quiet", "--python", sys.executable, home)
    install = ("pip", "install", "--quiet", "--python", home / "bin/python")
    offline(*install, "--require-hashes", "-r", ROOT / "requirements.lock")
    package = shutil.copy(built[case.package], tmp_path)  # what uv has built of a path before, it installs again
    offline(*install, "--no-deps", package, PATH=path, wish=case.wish)
    around = {"cwd": tmp_path, "PATH": path, "wish": case.wish}
    where = call(home / "bin/python", "-I", "-c", "import tasker; print(tasker.__file__)", **around)
    assert Path(where.strip()).is_relative_to(home)
    assert call(home / "bin/tasker", "--version", **around) == f"tasker {VERSION}\n"
    assert call(home / "bin/python", "-c", TASK, **around) == "complete ann 5\n"
    found = json.loads(call(home / "bin/tasker", "doctor", "--json", "--url", "sqlite:///hello.db", **around))
    assert found["ok"]
    assert found["versions"]["fold"].startswith(case.fold)
