"""The build backend of the package: maturin where Rust can be used, else setuptools.

With Rust, the package carries a compiled fold beside the Python one; without, it does the same work in Python alone.
TASKER_NATIVE=0 builds without Rust wherever it runs, TASKER_NATIVE=1 fails where Rust cannot be used.
Why this is a module of our own stands in docs/decisions/0009.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MATURIN = ["maturin>=1.16,<2"]
SETUPTOOLS = ["setuptools>=77,<90"]
CARGO = (1, 88)
"""The oldest cargo that builds `rust_ext`: `rust-version` of its Cargo.toml."""

Settings = Mapping[str, object] | None


def obstacle() -> str:
    """Say why Rust cannot be used here; the empty text where it can."""
    needed = "{}.{}".format(*CARGO)
    cargo = shutil.which("cargo")
    if cargo is None:
        return f"expected cargo {needed} or newer on PATH, found none; install Rust from https://rustup.rs"
    done = subprocess.run([cargo, "--version"], cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.match(r"cargo (\d+)\.(\d+)", done.stdout)
    if found is None:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[0]
        return f"expected cargo {needed} or newer, found a cargo that says: {said}; run `rustup default stable`"
    if (int(found[1]), int(found[2])) < CARGO:
        return f"expected cargo {needed} or newer, found {found[0]}; update Rust, say with `rustup update`"
    return ""


def is_native() -> bool:
    """Whether this build makes the Rust extension.

    Raises:
        SystemExit: TASKER_NATIVE is neither 0 nor 1, or asks for what cannot be done here.
    """
    wish = os.environ.get("TASKER_NATIVE", "")
    if wish not in {"", "0", "1"}:
        raise SystemExit(f"TASKER_NATIVE: expected 0 or 1, found {wish!r}; correct it, or unset it")
    reason = obstacle() if wish != "0" else ""
    if reason and wish == "1":
        raise SystemExit(f"TASKER_NATIVE=1: {reason}, or unset TASKER_NATIVE to do without the Rust extension")
    return wish != "0" and not reason


def is_missing() -> bool:
    """Whether a checkout lacks the extension that a build makes here: installers look at sources, not at results."""
    module = ROOT / "tasker/fold/_native"
    return not any(module.with_name(module.name + suffix).exists() for suffix in EXTENSION_SUFFIXES) and is_native()


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Name what a wheel needs."""
    del config_settings
    return MATURIN if is_native() else SETUPTOOLS


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """Name what an editable installation needs."""
    return get_requires_for_build_wheel(config_settings)


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    """Name what a source distribution needs: setuptools, so that its files are the same wherever it is made."""
    del config_settings
    return SETUPTOOLS


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings = None) -> str:
    """Write the metadata of a wheel, without compiling."""
    return _call("prepare_metadata_for_build_wheel", metadata_directory, config_settings)


def prepare_metadata_for_build_editable(metadata_directory: str, config_settings: Settings = None) -> str:
    """Write the metadata of an editable installation, without compiling."""
    return _call("prepare_metadata_for_build_editable", metadata_directory, config_settings)


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Build a wheel and give its name."""
    return _call("build_wheel", wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Build what an editable installation unpacks, and give its name; the extension is put into `tasker/fold`."""
    return _call("build_editable", wheel_directory, config_settings, metadata_directory)


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Build a source distribution, from which both kinds of wheel can be built, and give its name."""
    return str(import_module("setuptools.build_meta").build_sdist(sdist_directory, config_settings))


def _call(hook: str, *arguments: object) -> str:
    """Let the backend do it that this build uses."""
    if not is_native():
        _say("Building without the Rust extension: Python folds.")
        return str(getattr(import_module("setuptools.build_meta"), hook)(*arguments))
    try:
        return str(getattr(import_module("maturin"), hook)(*arguments))
    except (Exception, SystemExit):
        _say("The Rust extension did not build; the reason stands above. TASKER_NATIVE=0 does without.")
        raise


def _say(text: str) -> None:
    """Tell the person who builds; the answer to the installer goes another way."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__" and is_missing():
    # For the Makefile: what the installer has to be told on top.
    _say("Building the Rust extension; this takes about a minute, once.")
    print("--reinstall-package tasker-engine")
