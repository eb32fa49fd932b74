"""The HTTP clients of API steps: what they add to requests, what they keep from other hosts, tasks and log lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2

from tasker.handlers.api_body import aread, read, too_large
from tasker.handlers.api_config import ApiConfig, shown
from tasker.redaction import mask_values

if TYPE_CHECKING:
    from tasker.handlers.attempt_step import AttemptStep

MAX_REDIRECTS = 5
LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=20)
"""Connections of one client; a request that finds none free within the timeout is retried."""
_WITH_KEY = frozenset({"POST", "PATCH"})
_CHAIN = "tasker_chain"
_FOR_ANYBODY = frozenset({
    "host", "accept", "accept-encoding", "accept-language", "connection", "user-agent", "content-type",
    "content-length", "transfer-encoding", "idempotency-key", "traceparent", "tracestate",
})  # fmt: skip
_Hooks = Mapping[str, list[Callable[..., Any]]]
_LOGGERS = ("httpx2", *(f"httpcore2.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")))


@dataclass(slots=True)
class Use:
    """An attempt that uses a client; clients outlive attempts, and many share one.

    Attributes:
        step: The step.
        cookies: What servers set during this attempt: those of one task are not for another one.
    """

    step: AttemptStep
    cookies: httpx2.Cookies


@dataclass(slots=True)
class Chain:
    """A request and the redirects that it led to.

    Attributes:
        first: Where it went first.
        answered: Status of the redirect that has just come.
        followed: Status of the redirect that led to the present request.
    """

    first: httpx2.URL
    answered: int | None = None
    followed: int | None = None

    def at_home(self, url: httpx2.URL) -> bool:
        """Say whether an address is on the server that was meant, or the same host's secure one."""
        first = self.first
        secured = (first.scheme, first.port, url.scheme, url.port) == ("http", None, "https", None)
        return url.origin == first.origin or (secured and url.host == first.host)


_USE: ContextVar[Use | None] = ContextVar("tasker_api_use", default=None)
_MASK: ContextVar[Callable[[str], str] | None] = ContextVar("tasker_api_mask", default=None)


def begin(use: Use) -> None:
    """Note whose requests this thread or coroutine sends from now on."""
    _USE.set(use)


def chain_of(request: httpx2.Request) -> Chain | None:
    """Give the redirects that led to a request of these clients."""
    found = request.extensions.get(_CHAIN)
    return found if isinstance(found, Chain) else None


class _OfAttempt:
    """What sync and async clients have in common."""

    @property
    def cookies(self) -> httpx2.Cookies:
        """Give the cookies of the running attempt."""
        use = _running()
        return httpx2.Cookies() if use is None else use.cookies

    @cookies.setter
    def cookies(self, cookies: Any) -> None:  # noqa: ANN401 - whatever httpx2 takes
        """Set the cookies of the running attempt."""
        use = _running()
        if use is not None:
            use.cookies = httpx2.Cookies(cookies)


class Client(_OfAttempt, httpx2.Client):
    """The client of sync handlers."""

    def __init__(self, config: ApiConfig, secrets: Mapping[str, str], transport: Any) -> None:  # noqa: ANN401 - given by tests
        """Take what it connects to.

        Raises:
            InvalidDefinition: A certificate file cannot be read.
        """
        hooks: _Hooks = {"request": [_prepare], "response": [_answered]}
        super().__init__(transport=transport, event_hooks=hooks, **_options(config))
        self._accepted = config.accept
        self._masked: Callable[[str], str] = partial(mask_values, secrets=dict(secrets))

    def send(self, request: httpx2.Request, *, stream: bool = False, **keys: Any) -> httpx2.Response:  # noqa: ANN401 - of httpx2
        """Send a request; its body is read no further than memory allows."""
        with _discreet(self._masked):
            response = super().send(request, stream=True, **keys)
            if not stream and not read(response) and _taken(response, self._accepted):
                raise too_large(response)
        return response


class AsyncClient(_OfAttempt, httpx2.AsyncClient):
    """The client of async handlers."""

    def __init__(self, config: ApiConfig, secrets: Mapping[str, str], transport: Any) -> None:  # noqa: ANN401 - given by tests
        """Take what it connects to.

        Raises:
            InvalidDefinition: A certificate file cannot be read.
        """
        hooks: _Hooks = {"request": [_prepare_async], "response": [_answered_async]}
        super().__init__(transport=transport, event_hooks=hooks, **_options(config))
        self._accepted = config.accept
        self._masked: Callable[[str], str] = partial(mask_values, secrets=dict(secrets))

    async def send(self, request: httpx2.Request, *, stream: bool = False, **keys: Any) -> httpx2.Response:  # noqa: ANN401 - of httpx2
        """Send a request; its body is read no further than memory allows."""
        with _discreet(self._masked):
            response = await super().send(request, stream=True, **keys)
            if not stream and not await aread(response) and _taken(response, self._accepted):
                raise too_large(response)
        return response


def _options(config: ApiConfig) -> dict[str, Any]:
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_without_secrets)
    return {
        "base_url": config.url,
        "params": config.params,
        "headers": config.all_headers(),
        "timeout": config.timeout_seconds,
        "verify": config.tls(),
        "limits": LIMITS,
        "follow_redirects": True,
        "max_redirects": MAX_REDIRECTS,
    }


def _taken(response: httpx2.Response, accepted: frozenset[int]) -> bool:
    """Say whether the handler takes an answer for a success; of a failure the beginning is enough."""
    return response.is_success or response.status_code in accepted


def _running() -> Use | None:
    use = _USE.get()
    return None if use is None or use.step.finished else use


def _prepare(request: httpx2.Request) -> None:
    """Take from a redirected request what is not for its new server; add the step's idempotency key and the trace."""
    chain = chain_of(request)
    if chain is None:
        chain = request.extensions[_CHAIN] = Chain(request.url)
    chain.followed, chain.answered = chain.answered, None
    if not chain.at_home(request.url):
        for name in [name for name in request.headers if name not in _FOR_ANYBODY]:
            del request.headers[name]
    use = _running()
    if use is None:  # the key of an attempt that is over is never sent
        return
    if request.method in _WITH_KEY:
        request.headers.setdefault("Idempotency-Key", use.step.idempotency_key)
    for name, value in use.step.tools.trace().items():
        request.headers.setdefault(name, value)


async def _prepare_async(request: httpx2.Request) -> None:
    _prepare(request)


def _answered(response: httpx2.Response) -> None:
    """Read the body of a redirect, which nobody wants, no further than memory allows."""
    if response.has_redirect_location:
        read(response)
        _note(response)


async def _answered_async(response: httpx2.Response) -> None:
    if response.has_redirect_location:
        await aread(response)
        _note(response)


def _note(response: httpx2.Response) -> None:
    chain = chain_of(response.request)
    if chain is not None:
        chain.answered = response.status_code


@contextmanager
def _discreet(mask: Callable[[str], str]) -> Iterator[None]:
    """Have the lines that the libraries log about a request masked."""
    token = _MASK.set(mask)
    try:
        yield
    finally:
        _MASK.reset(token)


def _without_secrets(record: logging.LogRecord) -> bool:
    """Rewrite a line about a request of these clients: addresses as everywhere, values from the environment masked."""
    mask = _MASK.get()
    if mask is not None:
        if isinstance(record.args, tuple):
            record.args = tuple(shown(one) if isinstance(one, httpx2.URL) else one for one in record.args)
        record.msg, record.args = mask(record.getMessage()), ()
    return True
