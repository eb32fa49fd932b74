"""Keep secrets out of what people see: values under telling keys, and values that came from the environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, overload

import orjson

from tasker.errors import InvalidDefinition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEFAULT_FILTER_KEYS = (
    "passw", "email", "secret", "token", "_key", "crypt", "salt", "certificate", "otp", "ssn", "authorization",
)  # fmt: skip
DEFAULT_MASK = "[FILTERED]"
SHORTEST_SECRET = 6  # characters; a shorter value would be found by chance in texts that have nothing to do with it
_CACHED_KEYS = 4_096
_REGEX_SIGNS = re.compile(r"[\\^$*+?()\[\]{}|]")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_USERINFO = re.compile(r"(://[^\s/:@?#]*:)[^\s/?#]*@")
_QUERY_VALUE = re.compile(r"""([?&;#])([^\s=&;#?]+)=([^\s&;#"'<>]*)""")
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")


class Redactor:
    """Mask what stands under a key that tells of a secret.

    An entry of `filter_keys` is a part of a name (`passw`), a dotted path from the root (`customer.iban`), or a regular
    expression: a text with any of its signs (`^card`), also between slashes, or a compiled one. Case never counts, and
    `apiKey`, `api-key` and `api_key` are the same name.
    """

    def __init__(self, filter_keys: Iterable[str | re.Pattern[str]] | None = None, mask: str = DEFAULT_MASK) -> None:
        """Sort the entries by kind.

        Args:
            filter_keys: What to look for; None for `DEFAULT_FILTER_KEYS`.
            mask: What stands in place of a masked value.

        Raises:
            InvalidDefinition: An entry is no regular expression though it has its signs.
        """
        self._mask = mask
        self._parts: list[str] = []
        self._paths: set[str] = set()
        self._patterns: list[re.Pattern[str]] = []
        self._known: dict[str, bool] = {}
        for entry in DEFAULT_FILTER_KEYS if filter_keys is None else filter_keys:
            self._add(entry)

    def mapping(self, value: object) -> object:
        """Return a JSON value with everything under a telling key masked, at every depth, and URLs in texts masked."""
        return self._masked(value, "")

    def url(self, text: str) -> str:
        """Mask the password and the telling query values of every URL in a text, whole or relative."""
        text = _USERINFO.sub(lambda found: f"{found[1]}{self._mask}@", text)
        return _QUERY_VALUE.sub(self._masked_query, text)

    def _add(self, entry: str | re.Pattern[str]) -> None:
        if isinstance(entry, re.Pattern):
            self._patterns.append(entry)
        elif _REGEX_SIGNS.search(entry) or (entry.startswith("/") and entry.endswith("/")):
            source = entry[1:-1] if len(entry) > 1 and entry.startswith("/") and entry.endswith("/") else entry
            try:
                self._patterns.append(re.compile(source, re.IGNORECASE))
            except re.error as error:
                msg = (
                    f"telemetry.filter_keys: expected a regular expression, found {entry!r}: {error}; escape its signs"
                )
                raise InvalidDefinition(msg) from None
        elif "." in entry:
            self._paths.add(entry.lower())
        elif entry:
            self._parts.append(entry.lower())

    def _masked(self, value: object, path: str) -> object:
        if isinstance(value, dict):
            return {key: self._below(str(key), child, path) for key, child in value.items()}
        if isinstance(value, list | tuple):
            return [self._masked(child, path) for child in value]
        if isinstance(value, str) and ("?" in value or "://" in value or "&" in value):
            return self.url(value)
        return value

    def _below(self, key: str, value: object, path: str) -> object:
        inner = f"{path}{key.lower()}"
        return self._mask if inner in self._paths or self._tells(key) else self._masked(value, f"{inner}.")

    def _tells(self, key: str) -> bool:
        known = self._known.get(key)
        if known is None:
            plain, spelled = key.lower(), _CAMEL.sub("_", key).replace("-", "_").lower()
            known = any(part in plain or part in spelled for part in self._parts) or any(
                pattern.search(key) for pattern in self._patterns
            )
            if len(self._known) < _CACHED_KEYS:
                self._known[key] = known
        return known

    def _masked_query(self, found: re.Match[str]) -> str:
        name = _PERCENT.sub(lambda code: chr(int(code[1], 16)), found[2])
        return f"{found[1]}{found[2]}={self._mask}" if self._tells(name) else found[0]


@overload
def mask_values(value: str, secrets: Mapping[str, str]) -> str: ...
@overload
def mask_values(value: bytes, secrets: Mapping[str, str]) -> bytes: ...
@overload
def mask_values(value: object, secrets: Mapping[str, str]) -> object: ...
def mask_values(value: object, secrets: Mapping[str, str]) -> object:
    """Put `[ENV:NAME]` in place of every occurrence of a value that came from the environment.

    Args:
        value: A text, a JSON value (its keys are masked too, and a number that is the whole of a secret), or the
            canonical bytes of one.
        secrets: The value of each variable; those of fewer than 6 characters stay.

    Returns:
        The masked value; the very same object where nothing of the kind occurs.
    """
    names = {text: name for name, text in sorted(secrets.items(), reverse=True) if len(text) >= SHORTEST_SECRET}
    if not names:
        return value
    if isinstance(value, bytes):
        return _masked_bytes(value, names)
    longest_first = sorted(names, key=len, reverse=True)
    return _Values(names, re.compile("|".join(map(re.escape, longest_first)))).masked(value)


def _masked_bytes(encoded: bytes, names: dict[str, str]) -> bytes:
    if not any(_escaped(text) in encoded for text in names):
        return encoded
    value = orjson.loads(encoded)
    masked = mask_values(value, {name: text for text, name in names.items()})
    return encoded if masked is value else orjson.dumps(masked, option=orjson.OPT_SORT_KEYS)


def _escaped(text: str) -> bytes:
    try:
        return orjson.dumps(text)[1:-1]
    except TypeError:
        return b"\xff"  # not Unicode, so it cannot stand in JSON: a byte that UTF-8 never has


class _Values:
    """One pass over a JSON value; what was not changed keeps its identity."""

    def __init__(self, names: dict[str, str], pattern: re.Pattern[str]) -> None:
        """Take the variable's name of each value, and what finds any of them, longest first."""
        self._names = names
        self._pattern = pattern

    def masked(self, value: object) -> object:
        """Return the value with every secret masked, or the same object."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            changed = {self._text(key): self.masked(child) for key, child in value.items()}
            same = all(a is b and c is d for (a, c), (b, d) in zip(changed.items(), value.items(), strict=False))
            return value if same and len(changed) == len(value) else changed
        if isinstance(value, list | tuple):
            children = [self.masked(child) for child in value]
            return value if all(a is b for a, b in zip(children, value, strict=True)) else children
        if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in self._names:
            return f"[ENV:{self._names[str(value)]}]"
        return value

    def _text(self, text: str) -> str:
        masked, count = self._pattern.subn(lambda found: f"[ENV:{self._names[found[0]]}]", text)
        return masked if count else text
