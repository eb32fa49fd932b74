"""Run cargo in `rust_ext` with this interpreter; where Rust cannot be used, say so and pass.

The targets of the Makefile that need Rust come through here, so that each of them works on every machine. With
TASKER_NATIVE=1, as in CI, they fail instead of passing without having looked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tasker_build import ROOT, is_native, obstacle

RELEASE = ROOT / "rust_ext/target/release"


def main(arguments: list[str]) -> int:
    """Run one command of cargo.

    Args:
        arguments: The command and what follows it.

    Returns:
        The exit code of cargo; 0 where Rust is not used.
    """
    if not is_native():
        reason = obstacle() or "TASKER_NATIVE=0"
        print(f"Skipped `cargo {arguments[0]}`: {reason}.", file=sys.stderr)
        return 0
    command = [shutil.which("cargo") or "cargo", *arguments]
    environment = {**os.environ, "PYO3_PYTHON": sys.executable}
    code = subprocess.run(command, cwd=ROOT / "rust_ext", env=environment, check=False).returncode
    name_module()
    return code


def name_module() -> None:
    """Let Python find the sample of a typed handler, once it is built: cargo names a library `lib…`."""
    module = RELEASE / "typed_handler.abi3.so"
    for built in (RELEASE / "libtyped_handler.so", RELEASE / "libtyped_handler.dylib"):
        if built.exists() and not module.exists():
            module.unlink(missing_ok=True)  # a link to what is gone
            module.symlink_to(built.name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
