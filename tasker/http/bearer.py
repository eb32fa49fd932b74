"""An authenticator for JSON Web Tokens: a sample that works, and the place to start from.

    # myproject/auth.py
    from tasker.http.bearer import JwtAuthenticator
    authenticator = JwtAuthenticator(public_key, algorithms=["RS256"], audience="tasker", issuer="https://id.example")

    # tasker.yaml
    http:
      auth:
        authenticator: myproject.auth:authenticator

A token names who calls in `sub`, what they may in `permissions`, where in `namespaces`; what it leaves out it has not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jwt

from tasker.errors import InvalidDefinition
from tasker.http.auth import PERMISSIONS, Principal, presented

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

_LEEWAY_SECONDS = 10


class Claims(NamedTuple):
    """Which claims of a token tell what."""

    name: str = "sub"
    permissions: str = "permissions"
    namespaces: str = "namespaces"


class JwtAuthenticator:
    """Knows who carries a valid token as `Authorization: Bearer …`; it must expire, and be meant for this audience."""

    def __init__(
        self, key: str | bytes, *, algorithms: Sequence[str], audience: str, issuer: str, claims: Claims | None = None
    ) -> None:
        """Take what a token is checked by.

        Args:
            key: The public key (PEM), or the shared secret of an HMAC.
            algorithms: Those that are accepted; never what a token says of itself.
            audience: What `aud` must hold.
            issuer: What `iss` must be.
            claims: Which claims tell what.

        Raises:
            InvalidDefinition: No algorithm, or `none`, is to be accepted.
        """
        if not algorithms or any(one.lower() == "none" for one in algorithms):
            raise InvalidDefinition(f"expected algorithms such as RS256, found {list(algorithms)}")
        self._key = key
        self._algorithms = list(algorithms)
        self._audience = audience
        self._issuer = issuer
        self._claims = claims or Claims()

    def authenticate(self, request: Request) -> Principal | None:
        """Give who carries the token, or None if it is none, is not valid, or is over."""
        token = presented(request)
        if token is None:
            return None
        try:
            told = jwt.decode(
                token,
                self._key,
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "aud", "iss", self._claims.name]},
            )
        except jwt.InvalidTokenError:
            return None
        return self._principal(told)

    def _principal(self, told: Mapping[str, object]) -> Principal | None:
        name = told.get(self._claims.name)
        if not isinstance(name, str) or not name:
            return None
        permissions = _texts(told.get(self._claims.permissions)) & PERMISSIONS
        return Principal(name[:128], permissions, _texts(told.get(self._claims.namespaces)))


def _texts(claim: object) -> frozenset[str]:
    """Read a list of texts, or a text of words."""
    given = claim.split() if isinstance(claim, str) else claim
    return frozenset(one for one in given if isinstance(one, str)) if isinstance(given, list) else frozenset()
