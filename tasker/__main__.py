"""`python -m tasker` is the same command as `tasker`."""

from __future__ import annotations

from tasker.cli import main

if __name__ == "__main__":
    main()
