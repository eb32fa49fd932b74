"""The rules of the house for Rust: sizes, safety, and what agrees with the Python side."""

from __future__ import annotations

import re
import tomllib

from tasker.fold.native import FOLD_VERSION
from tests.architecture.source import ROOT, files, read, report

FILE = 400
CORE = "rust_ext/crates/fold"
BINDING = "rust_ext/crates/python"
HANDLERS = "rust_ext/handlers"
BOUNDARY = f"{HANDLERS}/json_handler/src/boundary.rs"
SOURCES = [path for path in files(".rs") if path.startswith("rust_ext/")]


def test_no_file_of_rust_is_longer_than_its_budget() -> None:
    """A file of Rust has at most 400 lines, as one of Python."""
    sizes = {path: read(path).count("\n") for path in SOURCES}
    beyond = [f"{path}: {size} lines, at most {FILE}: split it" for path, size in sizes.items() if size > FILE]
    assert sizes
    assert not beyond, report(beyond)


def test_the_core_has_no_unsafe_code() -> None:
    """The crate that folds forbids `unsafe`, and the word stands nowhere in it."""
    assert "#![forbid(unsafe_code)]" in read(f"{CORE}/src/lib.rs")
    unsafe = [path for path in SOURCES if path.startswith(CORE) and re.search(r"\bunsafe\b", read(path))]
    assert not unsafe, report([f"{path}: holds the word unsafe: the core does without" for path in unsafe])


def test_what_is_unsafe_in_the_handlers_stands_in_one_file() -> None:
    """The samples of native handlers are safe Rust, but for the one file that is the C interface."""
    unsafe = [p for p in SOURCES if p.startswith(HANDLERS) and re.search(r"\bunsafe\b", read(p))]
    assert unsafe == [BOUNDARY]


def test_the_core_knows_no_python() -> None:
    """Only the binding depends on pyo3, so that the core is tested and fuzzed without an interpreter."""
    manifests = [path for path in files(".toml") if path.startswith("rust_ext/crates/")]
    knowing = [path for path in manifests if "pyo3" in str(tomllib.loads(read(path)).get("dependencies", {}))]
    assert knowing == [f"{BINDING}/Cargo.toml"]


def test_both_sides_speak_the_same_version() -> None:
    """The loader expects the version of the interface that the binding gives."""
    text = "".join(read(path) for path in SOURCES if path.startswith("rust_ext/crates/"))
    found = re.findall(r"\bFOLD_VERSION: \w+ = (\d+)", text)
    assert found == [str(FOLD_VERSION)], "raise both, in tasker/fold/native.py and in rust_ext"


def test_the_oldest_rust_is_the_same_everywhere() -> None:
    """The backend asks for the version of Rust that the workspace declares."""
    declared = tomllib.loads(read("rust_ext/Cargo.toml"))["workspace"]["package"]["rust-version"]
    asked = re.search(r"^CARGO = \((\d+), (\d+)\)$", read("_build/tasker_build.py"), re.MULTILINE)
    assert asked is not None
    assert f"{asked[1]}.{asked[2]}" == declared


def test_every_source_of_rust_makes_a_checkout_be_installed_again() -> None:
    """What the extension is built from is matched by a cache key of uv, else `make test` would use an old one."""
    keys = [k["file"] for k in tomllib.loads(read("pyproject.toml"))["tool"]["uv"]["cache-keys"] if "file" in k]
    matched = {path.relative_to(ROOT).as_posix() for key in keys for path in ROOT.glob(key)}
    needed = [p for p in (*SOURCES, *files(".toml", ".lock")) if p.startswith("rust_ext/") and "/tests/" not in p]
    apart = (f"{HANDLERS}/", "rust_ext/.cargo/")  # what the extension is not built from
    left = [
        f"{path}: add it to tool.uv.cache-keys in pyproject.toml"
        for path in needed
        if path not in matched and not path.startswith(apart)
    ]
    assert not left, report(left)
