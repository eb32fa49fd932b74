"""Every exception that Tasker raises on purpose, in one tree.

TaskerError
├── InvalidRequest          a call or a request breaks a rule; names JSON paths
├── InvalidDefinition       a declaration breaks a rule; names file:line where there is a file
├── UnknownTask             no task has this id (or had, at that point of the past)
├── UnknownStep             the task has no step of this name; offers near names
├── UnknownDefinition       no definition of this namespace, name and version; offers near names
├── UnknownHandler          no handler is registered under this name; offers near names
├── Conflict                the same identity was used with another request
├── NotAllowed              a command is not legal in the present status
│   └── StaleAttempt        a report of an attempt that is no longer the running one
├── PayloadTooLarge         a value is over its size limit
├── Overloaded              the queue of appends stayed full
├── LogUnavailable          the log could not be read or written; says whether the outcome is unknown
├── LogRewound              a checkpoint is ahead of the log
├── ProjectionBehind        a read model did not reach the position asked for
├── WaitTimeout             a wait ran out (also a TimeoutError)
├── UnsupportedEvent        an event was written by a newer release
├── ChainBroken             the hash chain does not verify
├── RetryableError          raised by handlers: try again
└── PermanentError          raised by handlers: do not try again
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def near(name: str, known: Iterable[str]) -> str:
    """Say which known names resemble a wrong one.

    Args:
        name: The name that was given.
        known: The names that exist.

    Returns:
        A sentence that begins with a blank, or the empty text where nothing resembles it.
    """
    matches = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""


class TaskerError(Exception):
    """Root of everything that Tasker raises on purpose."""


class InvalidRequest(TaskerError):
    """A call or a request breaks a rule.

    Attributes:
        problems: JSON path of each wrong value and what is wrong with it.
    """

    def __init__(self, message: str, *, problems: Mapping[str, str] | None = None) -> None:
        """Take the sentence for people and the paths for programs."""
        super().__init__(message)
        self.problems = dict(problems or {})


class InvalidDefinition(TaskerError):
    """A declaration breaks a rule, in a file or in code.

    Attributes:
        where: `file:line`, or None for a declaration in code.
        message: The sentence without the place.
        path: Keys and list places that lead to the wrong value, from the outside in; a loader turns them into a line.
    """

    def __init__(self, message: str, *, where: str | None = None, path: tuple[str | int, ...] = ()) -> None:
        """Put the place, if there is one, in front of the sentence."""
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
        self.message = message
        self.path = path


class UnknownTask(TaskerError):
    """No task has this id, or it did not exist yet at the point of the past that was asked for."""


class UnknownStep(TaskerError):
    """The task has no step of this name."""


class UnknownDefinition(TaskerError):
    """No definition of this namespace, name and version is registered."""


class UnknownHandler(TaskerError):
    """No handler is registered under this name."""


class Conflict(TaskerError):
    """What was asked for does not fit what is recorded: an identity that has another request, a version that is past.

    Attributes:
        field: What differs: a field of the request, `expected_version` of a command, `at_least` of a read.
    """

    def __init__(self, message: str, *, field: str) -> None:
        """Keep the name of the field that differs."""
        super().__init__(message)
        self.field = field


class NotAllowed(TaskerError):
    """A command is not legal in the present status."""


class StaleAttempt(NotAllowed):
    """A report of an attempt that is not, or no longer, the running one."""


class PayloadTooLarge(TaskerError):
    """A value is over its size limit."""


class Overloaded(TaskerError):
    """The bounded queue of appends stayed full; try again later."""


class LogUnavailable(TaskerError):
    """The log could not be read or written.

    Attributes:
        outcome_unknown: True if the append may have become durable; repeat it with the same idempotency key.
    """

    def __init__(self, message: str, *, outcome_unknown: bool = False) -> None:
        """Keep whether the outcome is unknown."""
        super().__init__(message)
        self.outcome_unknown = outcome_unknown


class LogRewound(TaskerError):
    """A checkpoint is ahead of the log: the log lost its tail, for instance because a replica was promoted."""


class ProjectionBehind(TaskerError):
    """A read model did not reach the position asked for in time."""


class WaitTimeout(TaskerError, TimeoutError):
    """A wait ran out before what it waited for happened."""


class UnsupportedEvent(TaskerError):
    """An event has a type or schema version that only a newer release can read.

    Attributes:
        position: Where in the log.
        type: The name or the code of its type.
    """

    def __init__(self, message: str, *, position: int, type: str) -> None:
        """Keep where it stands and what it is."""
        super().__init__(message)
        self.position = position
        self.type = type


class ChainBroken(TaskerError):
    """Stored bytes are not what was appended.

    Attributes:
        position: The first changed position; None for a definition or a seal.
        expected: What the chain says, as hex or text.
        found: What is stored.
    """

    def __init__(self, message: str, *, position: int | None, expected: str, found: str) -> None:
        """Keep the place and both values."""
        super().__init__(message)
        self.position = position
        self.expected = expected
        self.found = found


class RetryableError(TaskerError):
    """Raised by a handler: this attempt failed, another may succeed.

    Attributes:
        retry_after: Seconds that the other side asked for, or None for the step's own backoff.
        context: JSON values that help a person to understand.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, context: Mapping[str, object] | None = None
    ) -> None:
        """Keep the delay asked for and the context."""
        super().__init__(message)
        self.retry_after = retry_after
        self.context = context


class PermanentError(TaskerError):
    """Raised by a handler: no further attempt can succeed.

    Attributes:
        code: A short name for programs, such as `DECLINED`.
        context: JSON values that help a person to understand.
    """

    def __init__(self, message: str, *, code: str | None = None, context: Mapping[str, object] | None = None) -> None:
        """Keep the code and the context."""
        super().__init__(message)
        self.code = code
        self.context = context
