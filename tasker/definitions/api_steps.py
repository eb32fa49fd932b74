"""What is special about the declaration of an API step: its url, and its own backoff keys."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from tasker.definitions.placeholders import has_sign
from tasker.domain.declared import changed, refused, shown
from tasker.domain.definition import StepTemplate
from tasker.errors import InvalidDefinition

_CONFIG = "handler_config"
_BACKOFF = ("retry_delay", "max_delay", "jitter", "enable_exponential_backoff")
_HOME = "tasker.handlers.api"
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "params": (Mapping, "a map"),
    "headers": (Mapping, "a map"),
    "accept": (list, "a list of statuses such as [404]"),
    "ssl": ((Mapping, bool), "a map, true or false"),
}


def is_api_step(step: StepTemplate) -> bool:
    """Tell whether a step calls a service: by `handler_config.type`, or because its class is an `ApiStepHandler`."""
    if step.handler_config.get("type") == "api":
        return True
    # A subclass can only exist where its parent's module was imported; a definition without one need not load it.
    parent = getattr(sys.modules.get(_HOME), "ApiStepHandler", None)
    handler = step.handler_class
    return parent is not None and isinstance(handler, type) and issubclass(handler, parent)


def checked_api_step(step: StepTemplate) -> StepTemplate:
    """Check the configuration of an API step and let its backoff keys win over the template's.

    Raises:
        InvalidDefinition: The url is missing or not absolute, or another key has a wrong value; `path` leads to it.
    """
    config = step.handler_config
    _check_url(config)
    for key, (kind, expected) in _KINDS.items():
        value = config.get(key)
        if value is not None and not isinstance(value, kind) and not _later(value):
            raise refused(f"expected for {key} of an API step {expected}, found {shown(value)}", _CONFIG, key)
    for place, status in enumerate(_items(config.get("accept"))):
        right = isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 599  # noqa: PLR2004
        if not right and not _later(status):
            raise refused(f"expected in accept a status such as 404, found {shown(status)}", _CONFIG, "accept", place)
    seconds = config.get("timeout_seconds")
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0
    if seconds not in (None, "none") and not number and not _later(seconds):
        message = f"expected for timeout_seconds of an API step a number greater than 0 or none, found {shown(seconds)}"
        raise refused(message, _CONFIG, "timeout_seconds")
    return _merged(step)


def _check_url(config: Mapping[str, object]) -> None:
    url = config.get("url")
    if _later(url):
        return
    if url is None:
        raise refused("an API step needs the key url in its handler_config, such as https://shop.example/", _CONFIG)
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        absolute = parts is not None and parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts and parts.port
    except ValueError:
        absolute = False
    if not absolute:
        # The value may hold a password, so only what is left of it is shown.
        found = shown(url) if "@" not in str(url) else "a url with a user in it"
        raise refused(f"expected an absolute url such as https://shop.example/, found {found}", _CONFIG, "url")


def _merged(step: StepTemplate) -> StepTemplate:
    config = dict(step.handler_config)
    if "jitter_factor" in config and "jitter" not in config:
        config["jitter"] = config["jitter_factor"]
    own = {key: config[key] for key in _BACKOFF if config.get(key) is not None}
    for key, value in own.items():
        if _later(value):
            message = f"expected for {key} a value, found the placeholder {value!r}, which is filled in too late"
            raise refused(f"{message}; write {key} beside handler_config, where it is filled in at load", _CONFIG, key)
    if all(getattr(step, key) == value for key, value in own.items()):
        return step
    try:
        return changed(step, own)
    except InvalidDefinition as error:
        raise refused(error.message, _CONFIG, *error.path) from None


def _later(value: object) -> bool:
    """Tell whether a value is known only when its placeholders are filled in, at the attempt."""
    return isinstance(value, str) and has_sign(value)


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []
