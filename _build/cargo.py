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
    return subprocess.run(command, cwd=ROOT / "rust_ext", env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
