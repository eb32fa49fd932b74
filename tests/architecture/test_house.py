"""The files around the code: locks, commands, package data, and the copy of the contract's suite."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.architecture.source import ROOT, files, read, report

LOCKS = ("requirements.lock", "requirements-dev.lock")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_by_hash_and_holds_no_address(lock: str) -> None:
    """Every locked package has an exact version and a hash; where it comes from is the installer's business."""
    text = read(lock)
    assert not re.findall(r"\w+://\S+|^--?(?:index|find|extra|trusted)\S*", text, re.MULTILINE), (
        f"{lock} holds an address: run `make lock`"
    )
    packages = re.findall(r"^([a-z0-9._-]+)==\S+(.*?)(?=^[a-z]|\Z)", text, re.MULTILINE | re.DOTALL)
    bare = [f"{lock}: {name} has no hash: run `make lock`" for name, rest in packages if "--hash=sha256:" not in rest]
    assert packages
    assert not bare, report(bare)


def test_the_locks_know_every_direct_dependency() -> None:
    """What pyproject.toml asks for is locked, and the lock of the developers holds the versions of the users."""
    project = tomllib.loads(read("pyproject.toml"))
    core, dev = (dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", read(lock), re.MULTILINE)) for lock in LOCKS)
    wanted = {re.split(r"[\[>=<~! ]", d)[0] for d in project["project"]["dependencies"]}
    tools = {re.split(r"[\[>=<~! ]", d)[0] for d in project["dependency-groups"]["dev"]}
    assert wanted <= core.keys(), f"run `make lock`: {sorted(wanted - core.keys())} not in requirements.lock"
    assert wanted | tools <= dev.keys(), (
        f"run `make lock`: {sorted((wanted | tools) - dev.keys())} not in requirements-dev.lock"
    )
    assert core.items() <= dev.items(), "run `make lock`: the two locks disagree"


def test_every_make_command_in_a_document_exists() -> None:
    """A document names only targets that the Makefile has."""
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    wrong = [
        f"{path}:{number}: there is no `make {name}`"
        for path in files(".md")
        for number, line in enumerate(read(path).splitlines(), 1)
        for name in re.findall(r"(?:`|\$ |^)make ([a-z]+)", line)
        if name not in targets
    ]
    assert not wrong, report(wrong)


def test_ci_runs_what_people_run() -> None:
    """`.ci/run` calls targets of the Makefile and no other tool, and stops pretending at the first failure."""
    text = read(".ci/run")
    assert "set -euo pipefail" in text
    assert not re.findall(r"\b(?:pip|pytest|ruff|mypy|uv|python)\b", re.sub(r"#.*", "", text)), (
        "call a make target instead"
    )


def test_everything_that_is_no_code_goes_into_the_package() -> None:
    """A wheel carries each file under `tasker/` that is no Python: the package data of pyproject.toml matches it."""
    patterns = tomllib.loads(read("pyproject.toml"))["tool"]["setuptools"]["package-data"]["*"]
    inside = [p for p in ROOT.joinpath("tasker").rglob("*") if p.is_file() and p.suffix not in {".py", ".pyc", ".so"}]
    left = [
        f"{p.relative_to(ROOT)}: add its kind to package-data in pyproject.toml"
        for p in inside
        if not any(p.match(x) for x in patterns)
    ]
    assert not left, report(left)


def test_the_copy_of_the_face_suite_is_exact() -> None:
    """The suite of the contract is copied word for word; where the original lies beside it, they are compared."""
    copy = ROOT / "tests/acceptance/face"
    original = ROOT.parent / "shared/face"
    names = sorted(p.name for p in copy.iterdir() if p.is_file())
    assert names == ["README.md", "test_face.py"]
    if original.is_dir():
        differing = [n for n in names if (copy / n).read_bytes() != (original / n).read_bytes()]
        assert not differing, f"copy {differing} again from {original}"
