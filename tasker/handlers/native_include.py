"""Where the C header of native handlers lies: `cc -I"$(python -m tasker.handlers.native_include)" …`."""

from __future__ import annotations

import sys
from pathlib import Path

INCLUDE = str(Path(__file__).resolve().parent)
"""The folder of `tasker_handler.h`."""

if __name__ == "__main__":
    sys.stdout.write(f"{INCLUDE}\n")
