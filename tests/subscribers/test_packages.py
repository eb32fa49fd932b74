"""What people install: wheel and source distribution are built, and work in an environment that has nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tasker_subscribers import __version__
from tests.architecture.source import ROOT

FOLDER = ROOT / "subscribers"
NAME = f"tasker_subscribers-{__version__}"
WHEEL, SOURCES = f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"
TOOL = shutil.which("uv") or (ROOT / ".uv/bin/uv")
SCRIPT = """
import sys, tasker_subscribers as t
home, names = sys.argv[1], t.__all__
assert t.__file__.startswith(home), t.__file__
assert all(getattr(t, name).__module__.startswith("tasker_subscribers.") for name in names)
t.LogSubscriber(), t.WebhookSubscriber(url="http://127.0.0.1:9", unsigned=True)
print(*names)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path(TOOL).exists() and not os.environ.get("CI"), reason="no uv on PATH: `make dev` makes one in .uv/"
    ),
]


def call(*command: object, **variables: str) -> str:
    """Run a command, which must succeed, and give what it printed."""
    line = [str(part) for part in command]
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(line, env=kept | variables, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Give the folder with both, built from a copy; the wheel comes from the source distribution.

    What builds them has been installed with this checkout, so it is in the cache; without, it is fetched.
    """
    folder = tmp_path_factory.mktemp("subscribers")
    copied = folder / "sources"
    shutil.copytree(FOLDER, copied, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__", "build"))
    line = [TOOL, "build", "--quiet", "--python", sys.executable, "--out-dir", folder / "dist", copied]
    if subprocess.run([*line, "--offline"], capture_output=True, timeout=300, check=False).returncode:
        call(*line)
    return folder / "dist"


def test_both_hold_the_whole_package(built):
    """Every module, the mark of types, README and licence are in both; what is no part of the package is in none."""
    modules = {f"tasker_subscribers/{path.name}" for path in (FOLDER / "tasker_subscribers").glob("*.py")}
    package = modules | {"tasker_subscribers/py.typed"}
    with zipfile.ZipFile(built / WHEEL) as archive:
        packed = set(archive.namelist())
    with tarfile.open(built / SOURCES) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in packed if ".dist-info/" not in name} == package
    assert any(name.endswith("licenses/LICENSE") for name in packed)
    assert package | {"LICENSE", "README.md", "pyproject.toml"} <= sources


@pytest.mark.parametrize("package", [WHEEL, SOURCES])
def test_it_works_in_an_environment_of_its_own(built, package, tmp_path):
    """Installed where nothing else is, it imports; beside Tasker it makes its subscribers."""
    home = tmp_path / "environment"
    call(TOOL, "venv", "--quiet", "--offline", "--python", sys.executable, home)
    python = home / "bin/python"
    call(TOOL, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, built / package)
    assert call(python, "-I", "-c", "import tasker_subscribers as t; print(len(t.__all__))").strip() == "5"
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    names = call(python, "-c", SCRIPT, home, PYTHONPATH=f"{ROOT}:{libraries}").split()
    assert len(names) == 5
