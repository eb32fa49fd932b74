"""What the answer of a web service, or the lack of one, means for an attempt."""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx2

from tasker.clock import Clock, SystemClock
from tasker.errors import RetryableError
from tasker.handlers.api_body import read
from tasker.handlers.api_client import chain_of
from tasker.handlers.api_config import shown
from tasker.handlers.failure import HttpPermanentError, HttpRetryableError
from tasker.redaction import mask_values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

BODY_SHOWN = 500
"""Characters of the body in an error's message."""
_LOOKED_AT = 20_000
_TOO_MANY, _UNAVAILABLE = 429, 503
_RETRYABLE = frozenset({408, 425, _TOO_MANY})
_HONOURED = frozenset({_TOO_MANY, _UNAVAILABLE})
_SERVER_ERRORS = range(500, 600)
_LONGEST = 1e9  # seconds; the engine's own limit is far below, and a float must hold it
_PAST = 1.0
_NOWHERE = (httpx2.UnsupportedProtocol, httpx2.RemoteProtocolError)


class HttpTransportError(RetryableError):
    """A request got no answer: no connection, bad TLS, a timeout, a broken answer."""


def classify(
    response: httpx2.Response,
    accept: frozenset[int],
    clock: Clock | None = None,
    secrets: Mapping[str, str] | None = None,
) -> None:
    """Let a success pass.

    Args:
        response: The answer.
        accept: Statuses beside 2xx that are no failure.
        clock: The present time, for a Retry-After that is a date.
        secrets: Values to mask, by variable; in the body before it is cut, so that no half of one remains.

    Raises:
        HttpRetryableError: 408, 425, 429 and 5xx; Retry-After counts on 429 and 503.
        HttpPermanentError: Every other status, with the code `HTTP_<status>`.
    """
    status = response.status_code
    if response.is_success or status in accept:
        return
    body = mask_values(_text(response)[:_LOOKED_AT], secrets or {})
    message = f"{status} from {_request_line(response)}: {body[:BODY_SHOWN]}"
    if status in _RETRYABLE or status in _SERVER_ERRORS:
        told = response.headers.get("retry-after") if status in _HONOURED else None
        delay = None if told is None else retry_after(told, (clock or SystemClock()).now())
        raise HttpRetryableError(message, http_status=status, retry_after=delay)
    raise HttpPermanentError(message, code=f"HTTP_{status}", http_status=status)


def retry_after(text: str, now: datetime) -> float | None:
    """Read a Retry-After header.

    Args:
        text: Seconds, or an HTTP date.
        now: The present time (aware).

    Returns:
        Seconds; 1 for a date in the past; None for what is neither.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST)
    try:
        date = parsedate_to_datetime(text)
        moment = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return seconds if seconds > 0 and math.isfinite(seconds) else _PAST


def explained(error: httpx2.RequestError) -> Exception:
    """Give what is recorded of a request without an answer: it names the request, and its kind."""
    if isinstance(error, httpx2.TooManyRedirects):
        message = f"too many redirects, the last to {_request_of(error)}; point the step's url at where they end"
        permanent = HttpPermanentError(message, code="TOO_MANY_REDIRECTS", http_status=_redirect_of(error))
        return permanent.with_traceback(error.__traceback__)
    if not isinstance(error, httpx2.TransportError | httpx2.DecodingError):
        return error
    status = _redirect_of(error) if isinstance(error, _NOWHERE) else None
    if status is not None:
        message = f"{status} leads to what is no address with http or https, told at {_request_of(error)}"
        permanent = HttpPermanentError(message, code=f"HTTP_{status}", http_status=status)
        return permanent.with_traceback(error.__traceback__)
    message = f"{type(error).__name__} in {_request_of(error)}: {error}"
    return HttpTransportError(message).with_traceback(error.__traceback__)


def refused(error: httpx2.HTTPStatusError) -> Exception:
    """Give what is recorded where a handler calls `raise_for_status` on an accepted status."""
    response = error.response
    message = f"{response.status_code} from {_request_line(response)}, which the handler did not take"
    told = httpx2.HTTPStatusError(message, request=error.request, response=response)
    return told.with_traceback(error.__traceback__)


def _redirect_of(error: httpx2.RequestError) -> int | None:
    """Give the status of the redirect that an error is about, if it is about one and not about the server behind."""
    try:
        chain = chain_of(error.request)
    except RuntimeError:
        return None
    if chain is None:
        return None
    return chain.answered if isinstance(error, httpx2.RemoteProtocolError) else chain.answered or chain.followed


def _request_of(error: httpx2.RequestError) -> str:
    try:
        request = error.request
    except RuntimeError:  # raised outside a client, where no request is attached
        return "a request"
    return f"{request.method} {shown(request.url)}"


def _request_line(response: httpx2.Response) -> str:
    try:
        request = response.request
    except RuntimeError:  # a response that the handler made itself
        return "a response without a request"
    return f"{request.method} {shown(request.url)}"


def _text(response: httpx2.Response) -> str:
    try:
        if not response.is_stream_consumed:
            read(response)
        return response.text
    except (httpx2.StreamError, httpx2.TransportError, httpx2.DecodingError, RuntimeError):
        return "(the body cannot be read)"
