"""The samples of native handlers, compiled: `make test` does it wherever Rust is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "rust_ext/target/release"
"""Where `make rust` puts them."""


def needed() -> Path:
    """Give the folder of the samples; where they are not compiled, skip the test, and in CI fail it."""
    if (FOLDER / "typed_handler.abi3.so").exists() and list(FOLDER.glob("libjson_handler.[sd]*")):
        return FOLDER
    text = f"no compiled handlers in {FOLDER}: `make rust` compiles them, where Rust is installed"
    if os.environ.get("CI"):
        pytest.fail(f"CI may not skip native handlers; {text}")
    pytest.skip(text)
