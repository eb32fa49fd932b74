"""A token is believed if it is signed, fresh, and meant for us; whatever else it says."""

from __future__ import annotations

import time

import jwt
import pytest
from starlette.requests import Request

from tasker.errors import InvalidDefinition
from tasker.http.auth import Principal
from tasker.http.bearer import JwtAuthenticator

SECRET = "s" * 64
NOW = time.time()
GOOD = {
    "sub": "ann", "aud": "tasker", "iss": "https://id.example", "exp": NOW + 86_400,
    "permissions": ["task:read", "made:up"], "namespaces": "default other",
}  # fmt: skip
AUTHENTICATOR = JwtAuthenticator(SECRET, algorithms=["HS256"], audience="tasker", issuer="https://id.example")


def asked(token: str | None) -> Principal | None:
    """Ask with a token."""
    headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    return AUTHENTICATOR.authenticate(Request({"type": "http", "headers": headers}))


def signed(key: str = SECRET, algorithm: str = "HS256", **changes: object) -> str:
    """Give a token."""
    claims = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return jwt.encode(claims, key, algorithm)


def test_a_good_token_tells_who_calls():
    """Name, the permissions that there are, and namespaces, as a list or as words."""
    assert asked(signed()) == Principal("ann", frozenset({"task:read"}), frozenset({"default", "other"}))
    assert asked(signed(permissions=None, namespaces=7)) == Principal("ann", frozenset(), frozenset())


@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        "a.b.c",
        signed(key="x" * 64),
        signed(algorithm="HS512"),
        jwt.encode(GOOD, None, "none"),
        signed(exp=NOW - 60),
        signed(exp=None),
        signed(aud="others"),
        signed(aud=None),
        signed(iss="https://evil.example"),
        signed(sub=None),
        signed(sub=""),
    ],
)
def test_any_other_is_nobody(token):
    """Unsigned, over, without end, by others or for others: nobody calls."""
    assert asked(token) is None


def test_an_unsigned_token_can_never_be_allowed():
    """`none` is no algorithm, and neither is nothing."""
    for algorithms in ([], ["none"], ["HS256", "None"]):
        with pytest.raises(InvalidDefinition, match="RS256"):
            JwtAuthenticator(SECRET, algorithms=algorithms, audience="a", issuer="b")
