"""Who calls and what they may: API keys by their hashes, an authenticator of one's own, or anybody on loopback.

An API key is 256 random bits, so that SHA-256 hides it as well as a slow hash would: there is nothing to guess. A slow
hash would cost every request its tens of milliseconds, and give anybody who sends wrong keys a way to use them up.
"""

from __future__ import annotations

import hmac
import inspect
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol, get_args

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from tasker.errors import InvalidDefinition
from tasker.http.problems import Refused
from tasker.settings.sections import Permission

if TYPE_CHECKING:
    from tasker.settings import Settings

ADMIN, ALL = "admin", "*"
PERMISSIONS: frozenset[str] = frozenset(get_args(Permission))
PREFIX = "tsk_"
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls.

    Attributes:
        name: Recorded as actor of what it does.
        permissions: What it may; `admin` is all of them.
        namespaces: Where; `*` is everywhere.
    """

    name: str
    permissions: frozenset[str]
    namespaces: frozenset[str]

    def may(self, permission: str) -> bool:
        """Say whether it has a permission."""
        return permission in self.permissions or ADMIN in self.permissions

    @property
    def everywhere(self) -> bool:
        """Say whether it may look into every namespace."""
        return ALL in self.namespaces

    def sees(self, namespace: str | None) -> bool:
        """Say whether it may look into a namespace; None, for what belongs to none, needs all of them."""
        return self.everywhere or namespace in self.namespaces


Found = Principal | None


class Authenticator(Protocol):
    """Tells who calls; set as `http.auth.authenticator` in place of API keys."""

    def authenticate(self, request: Request) -> Found | Awaitable[Found]:
        """Give who calls, or None for nobody that is known. It may be `async def`."""
        ...


def new_key() -> tuple[str, str]:
    """Make an API key; give it and the hash that stands in the settings."""
    key = PREFIX + secrets.token_urlsafe(32)
    return key, hashed(key)


def hashed(key: str) -> str:
    """Give the hash of a key as the settings hold it."""
    return f"sha256:{sha256(key.encode()).hexdigest()}"


class ApiKeys:
    """The keys of the settings."""

    def __init__(self, settings: Settings) -> None:
        """Take the keys.

        Raises:
            InvalidDefinition: A hash is none; names where it stands.
        """
        self._known: list[tuple[str, Principal]] = []
        for place, key in enumerate(settings.http.keys):
            if not _HASH.fullmatch(key.hash):
                message = "expected sha256: and 64 hexadecimal digits; `tasker auth new-key` makes a key with its hash"
                raise InvalidDefinition(message, where=settings.where(f"http.keys.{place}.hash"))
            principal = Principal(key.name, frozenset(key.permissions), frozenset(key.namespaces))
            self._known.append((key.hash, principal))

    def authenticate(self, request: Request) -> Found:
        """Give whose key the request carries."""
        key = presented(request)
        if key is None:
            return None
        digest, found = hashed(key), None
        for known, principal in self._known:
            if hmac.compare_digest(known, digest):
                found = principal
        return found


def presented(request: Request) -> str | None:
    """Give the key of a request, from `Authorization: Bearer …` or `X-API-Key`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("x-api-key")


class Anybody:
    """Lets everybody in as `anonymous`: from this machine only, unless told otherwise.

    A page of another site that is open in a browser on this machine could send requests here. So what a browser says
    of the page, and the name under which it found this server, have to be this machine's, too.
    """

    def __init__(self, *, public: bool) -> None:
        """Take whether `http.auth.allow_anonymous` says so."""
        self._public = public
        self._anonymous = Principal("anonymous", PERMISSIONS, frozenset({ALL}))

    def authenticate(self, request: Request) -> Found:
        """Give `anonymous`, or None for a stranger."""
        return self._anonymous if self._public or _is_local(request) else None


def _is_local(request: Request) -> bool:
    if request.client is not None and not is_loopback(request.client.host):
        return False
    host = request.headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.removeprefix("[").removesuffix("]") not in _LOCAL_NAMES:
        return False
    origin = request.headers.get("origin")
    return request.method in _SAFE or origin is None or origin.partition("://")[2] == host


def is_loopback(host: str) -> bool:
    """Say whether an address or name is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in _LOCAL_NAMES


def is_open(settings: Settings) -> bool:
    """Say whether there is neither a key nor an authenticator."""
    return not settings.http.keys and settings.http.auth.authenticator is None


def check_address(settings: Settings, host: str) -> None:
    """Refuse to listen on a public address without any authentication.

    Raises:
        InvalidDefinition: Nobody would have to say who they are, and the settings do not say that this is meant.
    """
    if is_open(settings) and not settings.http.auth.allow_anonymous and not is_loopback(host):
        message = (
            f"expected keys or an authenticator to listen on {host}, found none, so that anybody could do anything; "
            "make a key with `tasker auth new-key`, listen on 127.0.0.1, or set http.auth.allow_anonymous: true"
        )
        raise InvalidDefinition(message, where=settings.where("http.keys"))


def authenticator(settings: Settings) -> Callable[[Request], Awaitable[Found]]:
    """Give what tells who calls, by the settings.

    Raises:
        InvalidDefinition: The authenticator does not exist, or a key's hash is none.
    """
    reference = settings.http.auth.authenticator
    if reference is not None:
        return _async(_own(reference, settings.where("http.auth.authenticator")))
    chosen = Anybody(public=settings.http.auth.allow_anonymous) if is_open(settings) else ApiKeys(settings)
    return _async(chosen.authenticate, quick=True)


def _own(reference: str, where: str) -> Callable[[Request], Found | Awaitable[Found]]:
    module, _, name = reference.partition(":")
    try:
        value: object = import_module(module)
        for part in name.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError) as error:
        message = f"expected an authenticator at {reference}, found {error}"
        raise InvalidDefinition(message, where=where) from error
    if isinstance(value, type):
        value = value()
    found = getattr(value, "authenticate", value)
    if not callable(found):
        message = f"expected {reference} to be a function of a request or to have a method authenticate"
        raise InvalidDefinition(message, where=where)
    call: Callable[[Request], Found | Awaitable[Found]] = found
    return call


def _async(
    authenticate: Callable[[Request], Found | Awaitable[Found]], *, quick: bool = False
) -> Callable[[Request], Awaitable[Found]]:
    """Make an authenticator awaitable; one that may block runs in a thread."""
    in_place = quick or inspect.iscoroutinefunction(authenticate)

    async def call(request: Request) -> Found:
        given = authenticate(request) if in_place else await run_in_threadpool(authenticate, request)
        found = await given if inspect.isawaitable(given) else given
        if found is not None and not isinstance(found, Principal):
            message = f"expected the authenticator to give a Principal or None, found {type(found).__qualname__}"
            raise InvalidDefinition(message)
        return found

    return call


def unauthorized(permission: str) -> Refused:
    """Give the refusal of somebody unknown."""
    message = (
        f"expected a valid key with the permission {permission} (Authorization: Bearer …, or X-API-Key), found none; "
        "without keys in the settings only this machine may call, by the name localhost"
    )
    headers = {"WWW-Authenticate": 'Bearer realm="tasker"'}
    return Refused(message, status=401, title="Unauthorized", fields={"permission": permission}, headers=headers)


def forbidden(principal: Principal, permission: str, namespace: str | None = None) -> Refused:
    """Give the refusal of somebody who may not."""
    place = "" if namespace is None else f" in the namespace {namespace!r}"
    held = ", ".join(sorted(principal.permissions)) or "none"
    spaces = ", ".join(sorted(principal.namespaces)) or "none"
    message = (
        f"expected the permission {permission}{place}, found that {principal.name!r} has {held} in {spaces}; "
        "ask for it, or use another key"
    )
    fields: dict[str, object] = {"permission": permission}
    return Refused(
        message, status=403, title="Forbidden", fields=fields | ({} if namespace is None else {"namespace": namespace})
    )
