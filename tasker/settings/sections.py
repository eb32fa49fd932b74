"""The groups of settings with their defaults, types and bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self, TypeGuard

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)

MASK = "[FILTERED]"


def _matching(pattern: str, expectation: str) -> Callable[[str | None], str | None]:
    def check(value: str | None) -> str | None:
        if value is not None and not re.fullmatch(pattern, value):
            raise ValueError(expectation)
        return value

    return check


def _listed(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _checked_start(value: object) -> str | int:
    if value in ("now", "beginning") or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    msg = "now, beginning or a position (a whole number from 0)"
    raise ValueError(msg)


Positive = Annotated[int, Field(strict=True, ge=1)]
Seconds = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
Reference = Annotated[
    str | None, AfterValidator(_matching(r"[\w.]+:[\w.]+", "a reference such as package.module:name"))
]
Strategy = Annotated[
    str, AfterValidator(_matching(r"always_unique|strict|[\w.]+:[\w.]+", "always_unique, strict or module:function"))
]
Glob = Annotated[
    str, AfterValidator(_matching(r"[A-Za-z0-9_.*?\[\]!$-]+", "the name of an event or a glob, such as step.*"))
]
Listed = Annotated[tuple[Text, ...], BeforeValidator(_listed)]
Limit = Annotated[Mapping[str, Positive], AfterValidator(MappingProxyType)]
Options = Annotated[Mapping[str, object], AfterValidator(MappingProxyType)]
Start = Annotated[str | int, PlainValidator(_checked_start)]
Backend = Literal["traces", "metrics", "logs"]
Permission = Literal[
    "task:create",
    "task:read",
    "task:update",
    "task:cancel",
    "task:retry",
    "step:resolve",
    "event:read",
    "context:read",
    "admin",
]


class Section(BaseModel):
    """Base of all groups of settings: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, value: object) -> object:
        return {} if value is None else value  # a heading in YAML with every line below it commented out


class Identity(Section):
    """What makes two requests the same one, where a definition does not say."""

    strategy: Strategy = "always_unique"


class Leases(Section):
    """How often a worker reports, and after how long a silent one counts as dead (seconds)."""

    heartbeat: Seconds = 5.0
    timeout: Seconds = 30.0

    @model_validator(mode="after")
    def _timeout_exceeds_heartbeat(self) -> Self:
        if self.timeout <= self.heartbeat:
            msg = "a timeout longer than the heartbeat, or every worker counts as dead between two of its reports"
            raise ValueError(msg)
        return self


class Limits(Section):
    """How many attempts may run at once over all workers; `tasks` is keyed `namespace.name`."""

    namespaces: Limit = Field(default_factory=dict, validate_default=True)
    tasks: Limit = Field(default_factory=dict, validate_default=True)
    systems: Limit = Field(default_factory=dict, validate_default=True)

    def by_scope(self) -> dict[str, int]:
        """Give every limit under the name of its scope: `namespace:x`, `task:ns.name`, `system:x`."""
        return {
            **{f"namespace:{name}": most for name, most in self.namespaces.items()},
            **{f"task:{name}": most for name, most in self.tasks.items()},
            **{f"system:{name}": most for name, most in self.systems.items()},
        }


class Sizes(Section):
    """The largest sizes in bytes; `steps` is a number of steps per definition."""

    context: Positive = 262_144
    results: Positive = 262_144
    event: Positive = 921_600
    error_message: Positive = 4_096
    backtrace: Positive = 16_384
    steps: Positive = 10_000


class Subscriber(Section):
    """A subscriber that `worker`, `serve` and `kafka worker` load."""

    class_: Text = Field(alias="class")
    name: Text | None = None
    events: tuple[Text, ...] | None = None
    config: Options = Field(default_factory=dict, validate_default=True)
    enabled: bool = True
    durable: bool = True
    start: Start = "now"


class Topics(Section):
    """Names of the Kafka topics."""

    requests: Text = "tasker.task-requests"
    dead_letters: Text = "tasker.task-requests.dlq"
    steps: Text = "tasker.steps"
    events: Text = "tasker.events"


class KafkaSecurity(Section):
    """How to prove oneself to the broker."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None


class Kafka(Section):
    """The broker; without `bootstrap` Kafka is not used.

    In seconds: a request waits `definition_timeout` for a worker that knows its definition; after `session_timeout` the
    partitions of a silent worker go to others; after `progress_timeout` a worker that acknowledges nothing although
    there is something begins anew. `compression` is that of the events that the relay publishes.
    """

    bootstrap: Listed = ()
    group: Text = "tasker"
    client_id: Text = "tasker"
    topics: Topics = Field(default_factory=Topics)
    partitions: Positive = 12
    replication: Positive = 1
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "gzip"
    start_timeout: Seconds = 30.0
    definition_timeout: SecondsOrZero = 60.0
    session_timeout: Seconds = 10.0
    progress_timeout: Seconds = 60.0
    security: KafkaSecurity = Field(default_factory=KafkaSecurity)


class ApiKey(Section):
    """A key for the HTTP API, kept as a hash; the namespace `*` means all."""

    name: Text
    hash: Text
    permissions: tuple[Permission, ...]
    namespaces: tuple[Text, ...]


class HttpAuth(Section):
    """Who may call: an authenticator of one's own in place of keys; anybody on a public address only if told so."""

    authenticator: Reference = None
    allow_anonymous: bool = False


class Http(Section):
    """Where the HTTP API listens, and for whom; port 0 takes a free one."""

    host: Text = "127.0.0.1"
    port: Annotated[int, Field(strict=True, ge=0, le=65_535)] = 8000
    auth: HttpAuth = Field(default_factory=HttpAuth)
    keys: tuple[ApiKey, ...] = ()


class EventRule(Section):
    """Which events go to which back ends; the first rule that matches counts. Metrics are never sampled."""

    match: Glob
    backends: tuple[Backend, ...] = ("traces", "metrics", "logs")
    sampling: Annotated[float, Field(strict=True, ge=0, le=1)] = 1.0


class Telemetry(Section):
    """Traces, metrics and logs; `filter_keys` replaces the built-in list of what is masked, None keeps it."""

    enabled: bool = True
    service_name: Text = "tasker"
    filter_keys: tuple[Text, ...] | None = None
    mask: str = MASK
    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lowered)] = "info"
    log_format: Literal["json", "logfmt", "console"] = "json"
    events: tuple[EventRule, ...] = ()


def is_section(kind: object) -> TypeGuard[type[Section]]:
    """Tell whether a type is a group of settings."""
    return isinstance(kind, type) and issubclass(kind, Section)


def keys_of(section: type[Section], prefix: str = "") -> Iterator[tuple[str, bool | None]]:
    """Yield each key with whether it holds plain text; None for a section."""
    for name, field in section.model_fields.items():
        key = prefix + (field.alias or name)
        kind = field.annotation
        if is_section(kind):
            yield key, None
            yield from keys_of(kind, key + ".")
        else:
            yield key, kind in (str, str | None)
