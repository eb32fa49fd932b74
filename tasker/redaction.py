"""Keep secrets out of what people see: values under telling keys, and values that came from the environment."""

from __future__ import annotations

import base64
import html
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, overload
from urllib.parse import unquote

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
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
_SIGNS = re.compile(r"[A-Za-z0-9_.-]+|\\+|.", re.DOTALL)
_BACKSLASH = r"(?:\\|%(?:25){0,3}5[Cc])"
_DEEPEST = 8  # backslashes before one sign; more than that is no nesting, and would take long to search
_URL_SAFE = str.maketrans("+/", "-_")


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

    A value is found as it is, with or without the white space around it, and as JSON, HTML, URLs, Python and base64
    (the header `Authorization: Basic`) write it: a server may send back what it got.

    Args:
        value: A text, a JSON value (its keys are masked too, and a number that is the whole of a secret), or the
            canonical bytes of one.
        secrets: The value of each variable; those of fewer than 6 characters stay.

    Returns:
        The masked value; the very same object where nothing of the kind occurs.
    """
    finder = _finder(tuple(sorted(secrets.items())))
    if finder is None:
        return value
    if isinstance(value, bytes):
        return _masked_bytes(value, finder)
    return finder.masked(value)


def _masked_bytes(encoded: bytes, finder: _Finder) -> bytes:
    if not any(sign in encoded for sign in finder.signs):
        return encoded
    value = orjson.loads(encoded)
    masked = finder.masked(value)
    return encoded if masked is value else orjson.dumps(masked, option=orjson.OPT_SORT_KEYS)


@lru_cache(maxsize=64)
def _finder(secrets: tuple[tuple[str, str], ...]) -> _Finder | None:
    names = {text: name for name, text in reversed(secrets) if len(text) >= SHORTEST_SECRET}
    return _Finder(names) if names else None


class _Finder:
    """Finds the values of some variables; what it does not change keeps its identity.

    Attributes:
        signs: Of these bytes one occurs wherever a value does, however it is written.
    """

    def __init__(self, names: dict[str, str]) -> None:
        """Take the variable's name of each value; of two that fit, the longer one is found."""
        self._names = names
        longest_first = sorted(names, key=len, reverse=True)
        self._forms = [
            (re.compile(form), names[text])
            for text in longest_first
            for written in _decoded(text)
            for form in _forms(written)
        ]
        self._any = re.compile("|".join(form.pattern for form, _ in self._forms))
        decoded = [written for text in names for written in _decoded(text)]
        found = {sign for text in decoded for sign in (_longest_run(text), *_in_base64(text))}
        self._sign = re.compile("|".join(map(re.escape, found)))
        self.signs = tuple(sign.encode() for sign in found)

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
        if not self._sign.search(text):
            return text
        masked, count = self._any.subn(self._mask, text)
        return masked if count else text

    def _mask(self, found: re.Match[str]) -> str:
        return next(f"[ENV:{name}]" for form, name in self._forms if form.fullmatch(found[0]))


def _decoded(text: str) -> list[str]:
    """Give a value, and what it is once a URL that has it is taken apart: `p%40ss` is the password `p@ss`."""
    decoded = unquote(text)
    return [text] if decoded == text or len(decoded) < SHORTEST_SECRET else [text, decoded]


def _forms(text: str) -> list[str]:
    """Give expressions for everything as which a value may be written."""
    core = text.strip()
    if len(core) < SHORTEST_SECRET:
        return [_written(text)]
    before, after = text[: text.index(core)], text[text.index(core) + len(core) :]
    around = [f"(?:{_written(space)})?" if space else "" for space in (before, after)]
    return [f"{around[0]}{_written(core)}{around[1]}", *map(re.escape, _in_base64(text))]


def _written(text: str) -> str:
    return "".join(map(_spelled, _SIGNS.findall(text)))


def _spelled(sign: str) -> str:
    """Give an expression for everything as which a character may be written, once or within what is so written again.

    Args:
        sign: A character, a run of plain ones, or one of backslashes.
    """
    if _PLAIN.fullmatch(sign):
        return re.escape(sign)
    encoded = sign.encode("utf-8", "surrogatepass")
    percent = "".join(f"%(?:25){{0,3}}{byte:02X}" for byte in encoded)
    if sign[0] == "\\":
        return f"{_BACKSLASH}{{{len(sign)},{len(sign) * _DEEPEST}}}"
    if sign == " ":
        percent = rf"{percent}|%(?:25){{0,3}}2B|\+"
    entities = {sign, html.escape(sign), f"&#{ord(sign)};", f"&#x{ord(sign):x};"}
    direct = [re.escape(one).replace(r"\&", "&(?:amp;){0,3}") for one in sorted(entities, key=len, reverse=True)]
    escapes = {json.dumps(sign)[1:-1], repr(encoded)[2:-1], repr(sign)[1:-1]}
    some = f"{_BACKSLASH}{{1,{_DEEPEST}}}"
    behind = [some.join(one.split("\\")) for one in sorted(escapes) if one[-1] != sign]
    return f"(?:(?:{some})?(?:{'|'.join(direct)}|(?i:{percent}))|{'|'.join(behind) or '(?!)'})"


def _longest_run(text: str) -> str:
    """Give the longest part of a value that is written the same everywhere."""
    return max(_PLAIN.findall(text), key=len, default="")


def _in_base64(text: str) -> set[str]:
    """Give what base64 makes of a value, as far as that does not depend on what stands before and behind it."""
    encoded = text.strip().encode("utf-8", "surrogatepass")
    found = set()
    for before in range(3):
        whole = base64.b64encode(bytes(before) + encoded + bytes(2)).decode()
        found.add(whole[-(-8 * before // 6) : 8 * (before + len(encoded)) // 6])
    return found | {one.translate(_URL_SAFE) for one in found}
