"""URLs of PostgreSQL: what the driver gets, and what people may see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tasker.errors import TaskerError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEMES = {"postgresql", "postgresql+psycopg", "postgres"}
_FORM = "Expected postgresql+psycopg://user:password@host:5432/database, with %40 for an @ in the password"
_POOLER = "pooler"
_SWITCH = {"true": True, "false": False}


class Address(NamedTuple):
    """Where a database is.

    Attributes:
        parameters: What the driver connects with, the password among it.
        where: The database, for people: without the password.
        pooled: True if a transaction pooler stands in front of it, through which LISTEN does not work.
    """

    parameters: Mapping[str, str]
    where: str
    pooled: bool


def address(url: str) -> Address:
    """Read a URL.

    Args:
        url: `postgresql+psycopg://user:password@host:port/database`; parameters of libpq may follow, and
            `pooler=true` says that a transaction pooler stands there.

    Raises:
        TaskerError: It is no such URL; the password is in no text.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _SCHEMES:
        msg = f"log URL with the scheme {scheme!r}: {_FORM}."
        raise TaskerError(msg)
    try:
        pooled, plain = _without_pooler(f"postgresql://{rest}")
        parameters = {key: str(value) for key, value in conninfo_to_dict(plain).items()}
    except (psycopg.Error, ValueError):
        parameters, pooled = {}, False
    if _is_torn(parameters):
        # The driver's own words may show the password.
        msg = f"log URL: cannot be read, or names no database. {_FORM}."
        raise TaskerError(msg)
    return Address(parameters, _shown(parameters), pooled)


def _is_torn(parameters: Mapping[str, str]) -> bool:
    """Tell whether a part is missing, or is a piece of a password in which an @, a slash or a colon stands as it is."""
    misplaced = "@" in parameters.get("host", "") + parameters.get("dbname", "") + parameters.get("user", "")
    numbered = re.fullmatch(r"[\d,]*", parameters.get("port", ""))
    return misplaced or numbered is None or not parameters.get("dbname")


def _without_pooler(url: str) -> tuple[bool, str]:
    """Take the parameter out that is Tasker's own."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    pooled = [value for key, value in query if key == _POOLER]
    others = urlencode([pair for pair in query if pair[0] != _POOLER], quote_via=quote)
    if pooled and pooled[-1] not in _SWITCH:
        raise ValueError(_POOLER)
    return bool(pooled) and _SWITCH[pooled[-1]], parts._replace(query=others).geturl()


def _shown(parameters: Mapping[str, str]) -> str:
    """Write an address for people."""
    user = f"{parameters['user']}@" if "user" in parameters else ""
    host = parameters.get("host", "localhost")
    port = f":{parameters['port']}" if "port" in parameters else ""
    return f"postgresql://{user}{host}{port}/{parameters['dbname']}"
