"""The build backend: which tool it takes, and what it says where it can take none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tasker.cli import doctor
from tasker.fold import native
from tasker.fold.native import FOLD_VERSION

ROOT = Path(__file__).resolve().parents[2]
HOOKS = ("get_requires_for_build_wheel", "get_requires_for_build_editable", "get_requires_for_build_sdist")
CARGO = "cargo 1.95.0 (abc 2026-03-21)"


@pytest.fixture
def ask(tmp_path):
    """Give a function that calls a hook in a process whose PATH holds this cargo (None: no cargo at all)."""

    def run(hook: str, wish: str, cargo: str | None) -> subprocess.CompletedProcess[str]:
        tools = tmp_path / "bin"
        tools.mkdir()
        if cargo is not None:
            (tools / "cargo").write_text(f"#!/bin/sh\necho '{cargo}'\n", encoding="utf-8")
            (tools / "cargo").chmod(0o755)
        environment = {"PATH": str(tools), "PYTHONPATH": str(ROOT / "_build"), "TASKER_NATIVE": wish}
        script = f"import tasker_build; print(*tasker_build.{hook}())"
        command = [sys.executable, "-c", script]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize(
    ("wish", "cargo", "tool"),
    [
        ("", CARGO, "maturin"),
        ("1", CARGO, "maturin"),
        ("0", CARGO, "setuptools"),
        ("0", None, "setuptools"),
        ("", None, "setuptools"),
        ("", "cargo 1.63.0", "setuptools"),
        ("", "error: no default toolchain", "setuptools"),
    ],
)
@pytest.mark.parametrize("hook", HOOKS[:2])
def test_maturin_where_rust_can_be_used(ask, hook, wish, cargo, tool):
    """A build takes maturin where a fitting cargo is and nobody forbids it, else setuptools; both with bounds."""
    done = ask(hook, wish, cargo)
    assert re.fullmatch(rf"{tool}>=[\d.]+,<\d+\n", done.stdout), done.stderr


@pytest.mark.parametrize("cargo", [CARGO, None])
def test_a_source_distribution_is_the_same_everywhere(ask, cargo):
    """A source distribution is made by setuptools with and without Rust, so that it holds the same files."""
    assert ask(HOOKS[2], "", cargo).stdout.startswith("setuptools")


@pytest.mark.parametrize(
    ("wish", "cargo", "found"),
    [
        ("1", None, "found none; install Rust from https://rustup.rs"),
        ("1", "cargo 1.63.0", "found cargo 1.63; update Rust"),
        ("1", "error: no default toolchain", "found a cargo that says: error: no default toolchain; run `rustup"),
        ("yes", CARGO, "expected 0 or 1, found 'yes'"),
    ],
)
def test_what_cannot_be_built_is_refused(ask, wish, cargo, found):
    """With TASKER_NATIVE=1 a missing or old cargo ends the build with one line; so does a wrong value."""
    done = ask("get_requires_for_build_wheel", wish, cargo)
    assert done.returncode == 1
    assert found in done.stderr
    assert done.stderr.startswith("TASKER_NATIVE")
    assert done.stderr.count("\n") == 1


def test_without_cargo_a_target_for_rust_is_skipped(tmp_path):
    """`make rust`, `rust-check` and `fuzz` pass without cargo and say why, but not with TASKER_NATIVE=1."""
    command = [sys.executable, ROOT / "_build/cargo.py", "test"]
    environment = {"PATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.startswith("Skipped `cargo test`: expected cargo")
    environment["TASKER_NATIVE"] = "1"
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 1


def test_the_source_distribution_carries_the_backend_and_the_rust_sources():
    """From a source distribution both wheels can be built: MANIFEST.in names what setuptools does not know."""
    lines = (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()
    assert {"graft _build", "graft rust_ext", "prune rust_ext/target"} <= set(lines)


def test_both_backends_pack_the_same_package():
    """Maturin and setuptools are told of the same package, and maturin puts the module where the loader looks."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert tool["maturin"]["python-packages"] == tool["setuptools"]["packages"]["find"]["include"][:1] == ["tasker"]
    assert tool["maturin"]["module-name"] == "tasker.fold._native"
    assert (ROOT / tool["maturin"]["manifest-path"]).is_file()


@pytest.mark.parametrize(
    ("wish", "code", "shown"),
    [
        ("0", 0, f"python (version {FOLD_VERSION}, TASKER_NATIVE=0)"),
        ("7", 1, "unusable: variable TASKER_NATIVE: expected 0 or 1"),
    ],
)
def test_the_doctor_shows_the_fold(tmp_path, wish, code, shown):
    """`tasker doctor` names the fold in use and what decided, and fails where none can be used."""
    environment = {"PATH": str(tmp_path), "PYTHONPATH": str(ROOT), "TASKER_NATIVE": wish}
    command = [sys.executable, "-m", "tasker", "doctor", "--json", "--url", "memory://"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert json.loads(done.stdout)["versions"]["fold"].startswith(shown)


@pytest.mark.parametrize(("cargo", "hinted"), [(True, True), (False, False)])
def test_the_doctor_says_how_to_compile(monkeypatch, tmp_path, cargo, hinted):
    """Where Python folds although cargo is there, the doctor says how to get the compiled fold."""
    monkeypatch.delenv("TASKER_NATIVE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(native, "native", lambda: None)
    if cargo:
        (tmp_path / "cargo").touch(mode=0o755)
    text, folds = doctor._fold()
    assert (folds, "; cargo is there: `pip install" in text) == (True, hinted)


def test_a_command_refuses_to_start_without_the_fold_asked_for(tmp_path):
    """A command that opens a log ends at once, with one line, where TASKER_NATIVE cannot be followed."""
    environment = {"PATH": str(tmp_path), "PYTHONPATH": str(ROOT), "TASKER_NATIVE": "7"}
    command = [sys.executable, "-m", "tasker", "tasks", "--url", "memory://"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: variable TASKER_NATIVE: expected 0 or 1")
    assert done.stderr.count("\n") == 1
