"""What is left to do after files were written, as far as the settings show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasker.errors import TaskerError

if TYPE_CHECKING:
    from tasker.settings import Settings

_NO_SETTINGS = "There is no tasker.yaml here: `tasker init` writes one."


def about_definitions(folder: Path) -> list[str]:
    """Say how the definitions of a folder are found, unless they are."""
    settings = _settings()
    if not isinstance(settings, list):
        wanted = folder.resolve()
        listed = [Path(one).resolve() for one in settings.definitions]
        known = any(one == wanted or one in wanted.parents for one in listed)
        return [] if known else [f"No command finds it yet. Add to tasker.yaml:  definitions: [{folder}]"]
    return settings


def about_subscriber(reference: str) -> list[str]:
    """Say how a class is told of events, unless it is.

    Args:
        reference: The class, as `tasker.yaml` names it.
    """
    settings = _settings()
    if not isinstance(settings, list):
        if any(one.class_ == reference for one in settings.subscribers):
            return []
        return ["Nothing is delivered to it yet. Add to tasker.yaml:", "subscribers:", f"  - class: {reference}"]
    return settings


def _settings() -> Settings | list[str]:
    """Read the settings, or give what to say where that cannot be done."""
    from tasker.settings import Settings

    try:
        settings = Settings.load()
    except TaskerError as error:
        return [f"The settings cannot be read: {error}"]
    return settings if any(place != "default" for place in settings.sources.values()) else [_NO_SETTINGS]
