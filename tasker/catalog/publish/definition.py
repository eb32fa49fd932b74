"""The schema of a task definition in YAML: what an editor needs to complete and check a file.

Whether names lead somewhere (parents, classes, variables), cycles and repeated names are checked when it is loaded.
"""

from __future__ import annotations

from tasker.catalog.entry import Json, JsonObject
from tasker.catalog.publish.request import anchored
from tasker.catalog.shapes import DIALECT
from tasker.domain.declared import MAX_ATTEMPTS, MAX_SECONDS, RESERVED_WORDS
from tasker.domain.definition import MAX_STEPS, NAME, SEMANTIC_VERSION

_EVENT_NAME = "^[a-z0-9_]+(\\.[a-z0-9_]+)+$"
_LONGEST = 128  # characters of a version, or of the name of an event
_SECONDS: JsonObject = {"type": "number", "minimum": 0, "maximum": MAX_SECONDS}
_TIMEOUT: JsonObject = {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SECONDS}, {"const": "none"}]}
_TEXT: JsonObject = {"type": "string"}
_SPOKEN: JsonObject = {"type": "string", "minLength": 1}
_FLAG: JsonObject = {"type": "boolean"}
_SHARE: JsonObject = {"type": "number", "minimum": 0, "maximum": 1}
_MAP: JsonObject = {"type": "object"}
_FILLED_IN = {"$ref": "#/$defs/placeholder"}


def _key(means: str, shape: JsonObject, *, filled: bool = True) -> JsonObject:
    """Give a key: it may be left empty, which means its default, and may be a placeholder."""
    options: list[Json] = [shape, {"type": "null"}]
    return {"description": means, "anyOf": [*options, _FILLED_IN] if filled else options}


def _pattern(pattern: str, **more: Json) -> JsonObject:
    return {"type": "string", "pattern": pattern, **more}


_NAME = _pattern(anchored(NAME.pattern))
_NAMES: JsonObject = {"type": "array", "items": _TEXT}


def _event() -> JsonObject:
    reserved = "|".join(sorted(RESERVED_WORDS))
    name: JsonObject = {
        "description": "Two or more words with dots between, in the past tense, such as order.fulfilled.",
        "anyOf": [
            {**_pattern(_EVENT_NAME, maxLength=_LONGEST), "not": _pattern(f"^({reserved})\\.")},
            _FILLED_IN,
        ],
    }
    return {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": name,
            "description": {"description": "What happened, for people.", **_TEXT},
            "schema": _key("JSON Schema of the body; what breaks it cannot be published.", _MAP, filled=False),
        },
        "additionalProperties": False,
    }


def _step_keys() -> JsonObject:
    return {
        "name": {"description": "Name of the step.", "anyOf": [_NAME, _FILLED_IN]},
        "description": _key("What it does; default: its name.", _TEXT),
        "handler_class": {
            "description": "pkg.module:Class, pkg.module.Class, or relative to module_namespace; tasker.Manual waits "
            "for a person.",
            **_SPOKEN,
        },
        "dependent_system": _key("The system it calls; default unknown.", _TEXT),
        "depends_on_step": _key("The step before it.", _TEXT),
        "depends_on_steps": _key("The steps before it.", _NAMES),
        "default_retryable": _key("Whether a failed attempt may be repeated; default true.", _FLAG),
        "default_retry_limit": _key(
            "All attempts of one budget; default 3.", {"type": "integer", "minimum": 1, "maximum": MAX_ATTEMPTS}
        ),
        "skippable": _key("Whether a request may bypass it; default false.", _FLAG),
        "timeout_seconds": _key("Seconds of an attempt; default 3600, or none.", _TIMEOUT),
        "heartbeat_timeout_seconds": _key("Seconds between two heartbeats at most; default none.", _TIMEOUT),
        "retry_delay": _key("Seconds before the second attempt; default 1.", _SECONDS),
        "max_delay": _key("Seconds of a delay at most; default 300.", _SECONDS),
        "jitter": _key("How much delays are spread, from 0 to 1; default 0.1.", _SHARE),
        "jitter_factor": _key("Another name of jitter.", _SHARE),
        "enable_exponential_backoff": _key("Whether delays double; default true.", _FLAG),
        "handler_config": _key(
            "What the handler reads; placeholders in it are filled in for each attempt. `type`: api or native.",
            _MAP, filled=False,
        ),
        "custom_events": _key("What it announces.", {"type": "array", "items": {"$ref": "#/$defs/event"}}),
    }  # fmt: skip


def _task_keys(step: str) -> JsonObject:
    version = _pattern(anchored(SEMANTIC_VERSION.pattern), maxLength=_LONGEST)
    return {
        "name": {"description": "Name of the definition.", "anyOf": [_NAME, _FILLED_IN]},
        "namespace": _key("Its namespace; default: default.", _NAME),
        "namespace_name": _key("Another name of namespace.", _NAME),
        "version": _key("Semantic version, in quotes; default 0.1.0.", version),
        "description": _key("What the task is for.", _TEXT),
        "task_handler_class": _key("The class with the hooks.", _SPOKEN),
        "module_namespace": _key("The package against which class names resolve.", _TEXT),
        "concurrent": _key("Whether steps may run at once; default true.", _FLAG),
        "schema": _key("JSON Schema of the context.", _MAP, filled=False),
        "default_dependent_system": _key("The system of steps that name none; default unknown.", _TEXT),
        "named_steps": _key("The names of all steps, to find a wrong one.", _NAMES),
        "timeout_seconds": _key("Seconds of the task from its first attempt; default none.", _TIMEOUT),
        "identity_strategy": _key("always_unique (default), strict, or a function as pkg.module:function.", _SPOKEN),
        "step_templates": _key(
            "The steps.",
            {"type": "array", "maxItems": MAX_STEPS, "items": {"$ref": f"#/$defs/{step}"}}, filled=False,
        ),
    }  # fmt: skip


def _object(keys: JsonObject, required: list[str], *either: tuple[str, str]) -> JsonObject:
    """Give an object of known keys; of each pair only one may stand there."""
    return {
        "type": "object",
        **({"required": required} if required else {}),
        "properties": keys,
        "additionalProperties": False,
        "allOf": [{"not": {"required": list(pair)}} for pair in either],
    }


def task_definition() -> JsonObject:
    """Give the schema."""
    spaces, jitters = ("namespace", "namespace_name"), ("jitter", "jitter_factor")
    environments = _key(
        "Overrides by the value of TASKER_ENV: maps merge, lists replace, steps merge by name.",
        {"type": "object", "additionalProperties": {"anyOf": [{"$ref": "#/$defs/override"}, {"type": "null"}]}},
        filled=False,
    )
    return {
        "$schema": DIALECT,
        "title": "TaskDefinition",
        "description": "A task definition in YAML. An empty key means its default.",
        **_object({**_task_keys("step"), "environments": environments}, ["name"], spaces),
        "$defs": {
            "placeholder": {
                "description": "${NAME} or ${NAME:-default}, filled in from the environment at load.",
                **_pattern(r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"),
            },
            "step": _object(_step_keys(), ["name", "handler_class"], jitters),
            "changed_step": _object(_step_keys(), ["name"], jitters),
            "override": _object(_task_keys("changed_step"), [], spaces),
            "event": _event(),
        },
    }
