"""The handler_config of an API step, read and checked."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from tasker.errors import InvalidDefinition, near

TIMEOUT_SECONDS = 30.0
JSON_HEADERS = {"Accept": "application/json", "Content-Type": "application/json"}
_SSL_KEYS = ("verify", "ca_file", "client_cert", "client_key", "client_key_password")
_NUMBERS = (int, float)
_SCALARS = (str, int, float, bool)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
Param = str | int | float | bool | list[str | int | float | bool | None] | None


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """What an API step connects to.

    Attributes:
        url: Absolute; relative paths are joined with it.
        params: Query values of every request.
        headers: Headers of every request, over `Accept` and `Content-Type`.
        timeout_seconds: For connecting, sending and receiving each; None for none.
        accept: Statuses beside 2xx that are no failure.
        tls_options: How TLS is checked: `verify`, `ca_file`, `client_cert`, `client_key`, `client_key_password`.
    """

    url: httpx2.URL
    params: Mapping[str, Param]
    headers: Mapping[str, str]
    timeout_seconds: float | None
    accept: frozenset[int]
    tls_options: Mapping[str, object]

    @classmethod
    def of(cls, config: Mapping[str, object]) -> ApiConfig:
        """Read a handler_config; keys that are not about the connection are the user's own.

        Raises:
            InvalidDefinition: The url is missing or not absolute, or another value is wrong; its text names the key.
        """
        url = check_url(config.get("url"))
        headers = {
            str(name): _header(str(name), value) for name, value in _map(config, "headers").items() if value is not None
        }
        params: dict[str, object] = {name: url.params.get_list(name) for name in url.params}
        params |= _map(config, "params")
        timeout = config.get("timeout_seconds", TIMEOUT_SECONDS)
        return cls(
            url=url.copy_with(query=None, fragment=None),
            params={name: _param(name, value) for name, value in params.items() if value is not None},
            headers=headers,
            timeout_seconds=None if timeout is None or timeout == "none" else _seconds(timeout),
            accept=_accept(config.get("accept") or ()),
            tls_options=_ssl(config.get("ssl")),
        )

    def all_headers(self) -> httpx2.Headers:
        """Merge the given headers over those of JSON; the case of names does not count."""
        merged = httpx2.Headers(JSON_HEADERS)
        merged.update(self.headers)
        return merged

    def tls(self) -> bool | ssl.SSLContext:
        """Build what checks the server's certificate.

        Raises:
            InvalidDefinition: A file cannot be read or is no certificate.
        """
        verify = self.tls_options.get("verify", True) is not False
        ca_file, certificate = self.tls_options.get("ca_file"), self.tls_options.get("client_cert")
        if ca_file is None and certificate is None:
            return verify
        try:
            context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
            if not verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if certificate is not None:
                key, password = self.tls_options.get("client_key"), self.tls_options.get("client_key_password")
                said = "" if password is None else str(password)  # without one OpenSSL would ask at the terminal
                context.load_cert_chain(str(certificate), None if key is None else str(key), said)
        except OSError as error:
            files = [
                str(file) for file in (ca_file, certificate, self.tls_options.get("client_key")) if file is not None
            ]
            raise _wrong("ssl", "readable certificate files", f"{', '.join(files)}: {error}") from None
        return context


def check_url(url: object) -> httpx2.URL:
    """Refuse what is no absolute address of a web service.

    Raises:
        InvalidDefinition: It has no scheme http or https, or no host; its text holds neither query nor userinfo.
    """
    expected = "an absolute address such as https://api.example.com/v1"
    if not isinstance(url, str) or not url:
        raise _wrong("url", expected, "none" if url is None else type(url).__name__)
    try:
        read = httpx2.URL(url)
    except httpx2.InvalidURL:  # its text may hold a part of a password that is not percent-encoded
        raise _wrong("url", expected, "something else; write special signs in it percent-encoded") from None
    if read.scheme not in {"http", "https"} or not read.host:
        raise _wrong("url", expected, repr(shown(read)))
    return read


def shown(url: httpx2.URL) -> str:
    """Write an address without what may be secret in it: query, fragment and userinfo."""
    return str(url.copy_with(query=None, fragment=None, userinfo=b""))


def _map(config: Mapping[str, object], key: str) -> dict[str, object]:
    value = config.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _wrong(key, "a map", type(value).__name__)
    return dict(value)


def _param(name: str, value: object) -> Param:
    if isinstance(value, list | tuple) and all(isinstance(one, _SCALARS) for one in value):
        return list(value)
    if isinstance(value, _SCALARS):
        return value
    raise _wrong("params", "a map of texts and numbers, or lists of them", f"{name}: {type(value).__name__}")


def _header(name: str, value: object) -> str:
    """Check a header; the line break with which a file of a secret ends is no part of it."""
    if not _HEADER_NAME.fullmatch(name):
        raise _wrong("headers", "names of letters, digits and -", repr(name))
    text = str(value).strip() if isinstance(value, _SCALARS) else ""
    if not isinstance(value, _SCALARS) or not _HEADER_VALUE.fullmatch(text):
        raise _wrong("headers", "texts of ASCII in one line", f"{name}: something else")
    return text


def _seconds(value: object) -> float:
    if not isinstance(value, _NUMBERS) or isinstance(value, bool) or not 0 < value < math.inf:
        raise _wrong("timeout_seconds", "a number above 0, or the word none", repr(value))
    return float(value)


def _accept(value: object) -> frozenset[int]:
    listed = [value] if isinstance(value, int) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(one, int) for one in listed):
        raise _wrong("accept", "a list of HTTP statuses such as [404]", repr(value))
    return frozenset(listed)


def _ssl(value: object) -> Mapping[str, object]:
    if value is None or isinstance(value, bool):
        return {} if value is None else {"verify": value}
    if not isinstance(value, Mapping):
        raise _wrong("ssl", "a map with " + ", ".join(_SSL_KEYS), type(value).__name__)
    for key in value:
        if key not in _SSL_KEYS:
            raise _wrong("ssl", "a map with " + ", ".join(_SSL_KEYS), f"the key {key!r}.{near(str(key), _SSL_KEYS)}")
    return dict(value)


def _wrong(key: str, expected: str, found: str) -> InvalidDefinition:
    message = f"expected for {key} in the handler_config of an API step {expected}; found {found}"
    return InvalidDefinition(message, path=("handler_config", key))
