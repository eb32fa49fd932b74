"""Definitions to bytes and back: what a task is pinned to.

The bytes hold everything structural of a resolved definition and nothing that depends on the process: handlers stand
there by registry name, parents as one list, numbers in one spelling. So the same plan has the same digest, whether it
was written in YAML or in Python.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import orjson

from tasker.codec.jsonbytes import mapping
from tasker.domain.declared import declared
from tasker.domain.definition import CustomEvent, StepTemplate, TaskDefinition, refused, registry_name

if TYPE_CHECKING:
    from collections.abc import Callable

Json = object
"""A JSON value."""

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_EXACT = 2**53  # beyond it floats skip whole numbers
_STEP_KEYS = (
    "name", "description", "dependent_system", "default_retryable", "default_retry_limit", "skippable",
    "enable_exponential_backoff", "handler_config",
)  # fmt: skip
_STEP_NUMBERS = ("timeout_seconds", "heartbeat_timeout_seconds", "retry_delay", "max_delay", "jitter")


def encode(definition: TaskDefinition) -> bytes:
    """Write the canonical JSON of a resolved definition.

    Raises:
        InvalidDefinition: A value in handler_config or in a schema is no JSON.
    """
    plain = {
        "name": definition.name,
        "namespace": definition.namespace,
        "version": definition.version,
        "description": definition.description,
        "task_handler_class": _named(definition.task_handler_class),
        "concurrent": definition.concurrent,
        "schema": definition.schema,
        "timeout_seconds": _number(definition.timeout_seconds),
        "identity_strategy": _named(definition.identity_strategy),
        "step_templates": [_step(step) for step in definition.step_templates],
    }
    try:
        return orjson.dumps(plain, option=_OPTIONS)
    except (TypeError, ValueError) as error:
        message = f"expected JSON values in the definition {definition.full_name}, found something else: {error}"
        raise refused(message) from None


def digest(encoded: bytes) -> bytes:
    """Give the SHA-256 (32 bytes) under which encoded bytes of a definition are stored."""
    return hashlib.sha256(encoded).digest()


def decode(encoded: bytes) -> TaskDefinition:
    """Read the bytes of a definition; handlers stay registry names. Encoding it again gives the same bytes.

    Raises:
        InvalidDefinition: The bytes hold no definition, or one with keys of a newer release.
    """
    try:
        keys = mapping(encoded)
    except (TypeError, ValueError):
        raise refused(f"expected the JSON of a definition, found {encoded[:40]!r}") from None
    return declared(TaskDefinition, keys)


def _named(handler: str | Callable[..., object] | None) -> str | None:
    return None if handler is None else registry_name(handler)


def _number(value: float | None) -> float | None:
    """Spell a whole number without a point: 5 and 5.0 are the same plan."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value


def _step(step: StepTemplate) -> dict[str, Json]:
    plain: dict[str, Json] = {key: getattr(step, key) for key in _STEP_KEYS}
    plain.update({key: _number(getattr(step, key)) for key in _STEP_NUMBERS})
    plain["handler_class"] = step.handler
    plain["depends_on_steps"] = step.parents
    plain["custom_events"] = [_custom_event(event) for event in step.custom_events if isinstance(event, CustomEvent)]
    return plain


def _custom_event(event: CustomEvent) -> dict[str, Json]:
    return {"name": event.name, "description": event.description, "schema": event.schema}
