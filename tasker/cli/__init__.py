"""The `tasker` command: it translates to the methods of `Tasker` and shows what they return; no rule lives here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the process: 0 done, 1 the task or the check failed, 2 wrong use, 130 Ctrl-C.

    Args:
        arguments: What follows the name of the command; default: the process's own.
    """
    code = run(sys.argv[1:] if arguments is None else list(arguments))
    if Ending.at_once:
        leave(code)
    sys.exit(code)


class Ending:
    """How the process ends: `at_once` if a library left threads behind that would keep it for ever."""

    at_once = False


def leave(code: object) -> NoReturn:
    """End the process without waiting for threads; what was printed and logged is out, all else is closed already."""
    import logging
    import os

    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else FAILED)


def run(arguments: list[str]) -> int:
    """Run the command and give its exit code; an error becomes one paragraph on stderr.

    Args:
        arguments: What follows the name of the command.
    """
    import typer

    from tasker.cli.application import build
    from tasker.errors import TaskerError

    try:
        code = build()(arguments, prog_name="tasker", standalone_mode=False)
        return code if isinstance(code, int) else DONE
    except typer.TyperException as error:
        return _misused(error)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return _unheard()
    except TaskerError as error:
        return _failed(str(error), arguments)
    except Exception as error:
        if "--debug" in arguments:
            raise
        return _failed(f"{type(error).__name__}: {error}. Run again with --debug to see where.", arguments)


def _failed(text: str, arguments: list[str]) -> int:
    """Say on stderr what went wrong."""
    if "--debug" in arguments:
        import traceback

        traceback.print_exc()
    from tasker.cli.output import safe

    print(f"Error: {safe(text)}", file=sys.stderr)
    return FAILED


def _misused(error: Exception) -> int:
    """Show how the command is used."""
    show = getattr(error, "show", None)
    if show is not None:
        show()
    else:
        print(f"Error: {error}", file=sys.stderr)
    return int(getattr(error, "exit_code", WRONG_USE))


def _unheard() -> int:
    """Let a pipe close without complaint: the reader, `head` for instance, has what it wanted."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
