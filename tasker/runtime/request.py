"""`TaskRequest`: what somebody asks for, checked before anything is appended, whichever way it came."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tasker.domain.definition import NAME, SEMANTIC_VERSION
from tasker.domain.events import UNKNOWN
from tasker.errors import InvalidRequest, near
from tasker.handlers.values import to_json

if TYPE_CHECKING:
    from typing import NoReturn

    _T = TypeVar("_T")

Json = object
"""A JSON value."""

LONGEST_WORD = 128
LONGEST_KEY = 1024
HIGHEST_PRIORITY = 100
_CORRELATION_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


def wrong(path: str, expected: str, found: object) -> NoReturn:
    """Refuse a value of a request.

    Raises:
        InvalidRequest: Always; it names the JSON path.
    """
    problem = f"expected {expected}, found {found!r}"
    raise InvalidRequest(f"{path}: {problem}", problems={path: problem})


class _Checked(type):
    """Make a dataclass refuse unknown, missing and positional fields with `InvalidRequest` instead of a TypeError."""

    def __call__(cls: type[_T], *places: object, **values: object) -> _T:
        """Check the names of the fields and build."""
        if places:
            wrong("$", "fields by name, such as TaskRequest(name=...)", places)
        for name in values:
            if name not in cls.__annotations__:
                problem = f"unknown field {name!r}.{near(name, cls.__annotations__)}"
                raise InvalidRequest(f"$.{name}: {problem}", problems={f"$.{name}": problem})
        if "name" not in values:
            raise InvalidRequest(
                "$.name: expected the name of a definition, found none", problems={"$.name": "required"}
            )
        built: _T = type.__call__(cls, **values)
        return built


class RequestParent(NamedTuple):
    """The step of another task that asks for this one."""

    task_id: str
    step: str


@dataclass(frozen=True, kw_only=True)
class TaskRequest(metaclass=_Checked):
    """A request for one task.

    Attributes:
        name: Name of a definition.
        context: JSON object that its steps read; may be empty.
        namespace: Namespace of the definition.
        version: Its semantic version; None for the highest that is registered.
        initiator: Who asks; at most 128 characters, as source_system and reason.
        source_system: Where the request comes from.
        reason: Why.
        tags: Names by which the task is found.
        bypass_steps: Skippable steps that shall not run.
        priority: From -100 to 100, higher first.
        not_before: Aware time before which nothing starts.
        idempotency_key: The same key asks for the same task.
        correlation_id: Joins logs, traces and events; an invalid one is replaced by the task id.
        requested_at: Aware time of the request, if not now.
        parent: Mapping or pair of task_id and step of the task that asks.

    Raises:
        InvalidRequest: A field is unknown, missing or wrong; names JSON paths.
    """

    name: str
    context: Mapping[str, Json] = field(default_factory=dict)
    namespace: str = "default"
    version: str | None = None
    initiator: str = UNKNOWN
    source_system: str = UNKNOWN
    reason: str = UNKNOWN
    tags: Sequence[str] = ()
    bypass_steps: Sequence[str] = ()
    priority: int = 0
    not_before: datetime | None = None
    idempotency_key: str | None = None
    correlation_id: str | None = None
    requested_at: datetime | None = None
    parent: RequestParent | Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        """Check every field that can be checked without a definition."""
        for key in ("name", "namespace"):
            if not isinstance(value := getattr(self, key), str) or not NAME.fullmatch(value):
                wrong(f"$.{key}", "a name (letter or digit, then at most 127 letters, digits, '_', '.', '-')", value)
        version = self.version
        if version is not None and not (isinstance(version, str) and SEMANTIC_VERSION.fullmatch(version)):
            wrong("$.version", "a semantic version such as 1.2.0", version)
        if type(self.context) is not dict and not isinstance(self.context, Mapping):
            wrong("$.context", "a JSON object", self.context)
        for key in ("initiator", "source_system", "reason"):
            word(f"$.{key}", getattr(self, key))
        for key in ("tags", "bypass_steps"):
            object.__setattr__(self, key, words(f"$.{key}", getattr(self, key)))
        self._check_numbers()
        if self.parent is not None:
            object.__setattr__(self, "parent", _parent(self.parent))

    def _check_numbers(self) -> None:
        priority = self.priority
        if not isinstance(priority, int) or isinstance(priority, bool) or abs(priority) > HIGHEST_PRIORITY:
            wrong("$.priority", "a whole number from -100 to 100", priority)
        for key in ("not_before", "requested_at"):
            moment = getattr(self, key)
            if moment is not None and not (isinstance(moment, datetime) and moment.utcoffset() is not None):
                wrong(f"$.{key}", "an aware datetime (with a time zone)", moment)
        given = self.idempotency_key
        if given is not None and not (isinstance(given, str) and 0 < len(given) <= LONGEST_KEY):
            wrong("$.idempotency_key", f"a text of 1 to {LONGEST_KEY} characters", given)
        if given is not None:
            to_json(given, what="$.idempotency_key")

    @property
    def valid_correlation_id(self) -> str | None:
        """Give the correlation id if it is one (letters, digits, - and _, at most 100)."""
        given = self.correlation_id
        return given if isinstance(given, str) and _CORRELATION_ID.fullmatch(given) else None


def word(path: str, value: object) -> str:
    """Give a short text back.

    Raises:
        InvalidRequest: It is no text, too long, or holds what cannot be stored.
    """
    if not isinstance(value, str) or len(value) > LONGEST_WORD:
        wrong(path, f"a text of at most {LONGEST_WORD} characters", value)
    if not value.isprintable():
        to_json(value, what=path)
    return value


def words(path: str, value: object) -> tuple[str, ...]:
    """Give a list of short texts as a tuple, without repeats.

    Raises:
        InvalidRequest: It is no list of them.
    """
    if value == ():
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence | set | frozenset):
        wrong(path, "a list of names", value)
    return tuple(dict.fromkeys(word(f"{path}[{place}]", one) for place, one in enumerate(value)))


def _parent(value: object) -> RequestParent:
    if isinstance(value, RequestParent):
        return value
    if not isinstance(value, Mapping) or set(value) != {"task_id", "step"}:
        wrong("$.parent", "an object with task_id and step", value)
    return RequestParent(word("$.parent.task_id", value["task_id"]), word("$.parent.step", value["step"]))


def request_of(request: TaskRequest | Mapping[str, Json] | None, values: Mapping[str, Json]) -> TaskRequest:
    """Give a request from a value or from its fields.

    Raises:
        InvalidRequest: Both or neither were given, or a field is wrong.
    """
    if request is None:
        return _built(values)
    if isinstance(request, TaskRequest) and not values:
        return request
    if isinstance(request, Mapping) and not values:
        if not all(isinstance(name, str) for name in request):
            wrong("$", "a mapping whose keys are texts", list(request))
        return _built(request)
    wrong("$", "one TaskRequest, or the fields of one by name", request)


def _built(values: Mapping[str, Json]) -> TaskRequest:
    return _Checked.__call__(TaskRequest, **values)
