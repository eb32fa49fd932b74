"""The schema of the envelope: CloudEvents 1.0 in JSON, with Tasker's extensions."""

from __future__ import annotations

from tasker.catalog.entry import JsonObject
from tasker.catalog.shapes import DIALECT, body, field, optional, text, whole

_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"
_ID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"

ATTRIBUTES = {
    "specversion": field("Version of CloudEvents.", const="1.0"),
    "id": text("Id of the event: the same at every delivery.", pattern=_ID),
    "source": text(
        "The log and the namespace: `/tasker/<log id>/<namespace>`; `$control` for pauses of scopes.",
        pattern=r"^/tasker/[0-9a-f]*/[^/]+$",
    ),
    "type": text("`tasker.` and the name of the event.", pattern=r"^tasker\.[^.]+(\.[^.]+)+$"),
    "subject": text("The task id; `$control` for pauses of scopes."),
    "time": text("When it was recorded: UTC with microseconds.", format="date-time", pattern=_TIME),
    "datacontenttype": field("Always JSON.", const="application/json"),
    "dataschema": text(
        "The schema of `data`: `/schemas/<event>.v<version>.json`.", pattern=r"^/schemas/.+\.v[1-9][0-9]*\.json$"
    ),
    "data": field("What the event carries; see the schema of its type.", type="object"),
    "position": whole("Place in the whole log, from 1, without gaps.", 1),
    "streamversion": whole("Place among the events of its task, from 1, without gaps.", 1),
    "taskname": optional(text("Name of the task's definition.")),
    "step": optional(text("The step that it is about.")),
    "attempt": optional(whole("The attempt that it is about.")),
    "correlationid": optional(text("Joins logs, traces and events of several systems.")),
    "causationid": optional(text("Id of the event that caused it, if that stands in the same append.", pattern=_ID)),
    "actor": optional(text("Who asked for it.")),
    "traceparent": optional(text("W3C trace context.")),
}
"""Its attributes, those that every event has first."""


def envelope() -> JsonObject:
    """Give the schema; more attributes may follow in later releases."""
    schema = body(ATTRIBUTES)
    described = "An event as it leaves the process: over HTTP, Kafka and webhooks, and in exports. CloudEvents 1.0."
    return {"$schema": DIALECT, "title": "Event", "description": described, **schema}
