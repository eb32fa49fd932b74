"""What is recorded of an exception: its kind, and its texts without secrets and within their sizes."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tasker.domain.events import PERMANENT, RETRYABLE, TOO_LARGE, StepError
from tasker.errors import InvalidDefinition, InvalidRequest, PayloadTooLarge, PermanentError, RetryableError
from tasker.handlers.values import to_json
from tasker.redaction import mask_values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from tasker.handlers.publishing import Sizes

FRAMES = 10
_ENGINE = str(Path(__file__).with_name("attempt.py"))


class Misused(PermanentError):
    """A handler breaks the rules of handlers; no further attempt can succeed."""


class HttpRetryableError(RetryableError):
    """A server answered that it cannot now.

    Attributes:
        http_status: What it answered.
    """

    def __init__(self, message: str, *, http_status: int, retry_after: float | None = None) -> None:
        """Keep the status."""
        super().__init__(message, retry_after=retry_after)
        self.http_status = http_status


class HttpPermanentError(PermanentError):
    """A server answered that it never will.

    Attributes:
        http_status: What it answered, if it did.
    """

    def __init__(self, message: str, *, code: str, http_status: int | None) -> None:
        """Keep the status and the code."""
        super().__init__(message, code=code)
        self.http_status = http_status


def kind_of(error: BaseException) -> str:
    """Tell whether another attempt may succeed."""
    if isinstance(error, PermanentError | InvalidDefinition):  # the handler_config stays as wrong as it is
        return PERMANENT
    return TOO_LARGE if isinstance(error, PayloadTooLarge) else RETRYABLE


def retry_after(error: BaseException) -> float | None:
    """Give the delay that was asked for in seconds; what is no number asks for none."""
    seconds = error.retry_after if isinstance(error, RetryableError) else None
    right = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds == seconds  # noqa: PLR0124 - NaN
    return float(seconds) if seconds is not None and right else None


def step_error(error: BaseException, kind: str, *, secrets: Mapping[str, str], sizes: Sizes) -> StepError:
    """Write an exception down.

    Args:
        error: What was raised.
        kind: Its kind.
        secrets: Values to mask, by variable; masked before anything is cut, so that no half of one remains.
        sizes: The largest sizes of message, backtrace and context.
    """
    status = getattr(error, "http_status", None)
    code = error.code if isinstance(error, PermanentError) else None
    return StepError(
        type=_type_name(type(error)),
        message=cut(mask_values(_text(error), secrets), sizes.error_message),
        kind=kind,
        backtrace=cut(mask_values(_backtrace(error.__traceback__), secrets), sizes.backtrace),
        http_status=status if isinstance(status, int) else None,
        code=None if code is None else cut(mask_values(str(code), secrets), sizes.error_message),
        context=_context(error, secrets, sizes.results),
    )


def cut(text: str, limit: int) -> str:
    """Make a text storable and cut it to a number of UTF-8 bytes, with an ellipsis where something is missing."""
    encoded = text.replace("\0", "\ufffd").encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode("utf-8")
    return encoded[: max(limit - 3, 0)].decode("utf-8", "ignore") + "…"


def _type_name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as own:  # noqa: BLE001 - an exception that cannot print itself is still a failure to record
        return f"(its text cannot be read: {type(own).__qualname__})"


def _backtrace(trace: TracebackType | None) -> str:
    """Write the innermost frames, without the engine's own around the handler."""
    while trace is not None and trace.tb_frame.f_code.co_filename == _ENGINE:
        trace = trace.tb_next
    return "".join(traceback.format_tb(trace, limit=-FRAMES))


def _context(error: BaseException, secrets: Mapping[str, str], limit: int) -> object:
    """Give the context of the error; if it cannot be stored, why."""
    given = error.context if isinstance(error, RetryableError | PermanentError) else None
    if given is None:
        return None
    try:
        plain, _ = to_json(given, limit_bytes=limit, what="the error's context")
    except (InvalidRequest, PayloadTooLarge) as refused:
        plain = {"not_recorded": str(refused)}
    return mask_values(plain, secrets)
