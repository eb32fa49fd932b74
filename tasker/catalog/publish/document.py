"""`docs/EVENTS.md`: every event with its meaning, its fields, an example and its schema; and the original's names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tasker.catalog.catalog import LONGEST_NAME, RESERVED
from tasker.catalog.entry import CONTROL, CUSTOM, STEP, TASK, CatalogEntry, Json, JsonObject
from tasker.catalog.original import ORIGINAL, Mapped
from tasker.catalog.publish.envelope import envelope
from tasker.catalog.publish.files import ENVELOPE, file_name
from tasker.catalog.publish.tables import fields, table
from tasker.catalog.story import CUSTOM_EXAMPLE, examples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TITLES = {TASK: "Events of tasks", STEP: "Events of steps", CONTROL: "Events of scopes", CUSTOM: "Custom events"}
_HEAD = """\
# Events

<!-- Written from the code by `tasker schemas`; changes belong there. -->

Every transition of a task or a step is an event in the log. This page tells of each what it means, who records it and
when, and what it carries. Inside Python an event is a value with an envelope and a `body`; outside it is a
[CloudEvent](https://cloudevents.io) whose `data` is that body. Schemas are JSON Schema 2020-12.

- A body may get more fields in later releases, and there may be more events: pass over what you do not know.
- Every event of a task has `task_id`, `name`, `namespace`, `version` (of the definition) and `status` (of the task,
  after the event); every event of a step also `step_name`, `attempt` and `retry_limit`.
- Times are RFC 3339 in UTC with microseconds. Durations are in seconds.
- Once a task is erased, what its user gave is null: context, results, error texts, annotations. The body of a custom
  event is then empty.
"""
_CUSTOM_TEXT = f"""\
A handler publishes them: `self.publish("order.charged", {{"order_id": 7}})`, a function `step.publish(…)`. They are
recorded in the task's own stream, in the append of the outcome of their attempt: with its completion, or with
`always=True` also with its failure. A fenced or abandoned attempt records none. Task, step, attempt and the event's
number within the attempt name one for ever.

- A name has two or more words of `a-z`, `0-9` and `_` with dots between, at most {LONGEST_NAME} characters, in the past
  tense. First words that are reserved: {", ".join(f"`{word}`" for word in sorted(RESERVED))}.
- Declare it under `custom_events` of a step, or with `app.catalog.register(name, description=…, schema=…)`. A body
  that breaks the schema raises `InvalidRequest` at the call. An undeclared name is recorded, listed as undeclared, and
  warned about once.
- The body is exactly what was published. What is no object stands under `value`.
- `tasker catalog [TEXT]` lists and searches all events, `tasker events --type 'order.*'` shows recorded ones; in Python
  `app.catalog.search(text)`, `app.catalog.by_namespace("order")`, `app.events(types="order.*")`.
"""
_ORIGINAL_TEXT = """\
What became of every event name of the original project. Its bus gave hints inside one process; the log records facts.
"""


def document(entries: Sequence[CatalogEntry], schemas: str = "../schemas") -> str:
    """Write the page.

    Args:
        entries: The catalogue.
        schemas: Where the schemas lie, as seen from the page.
    """
    parts = [_HEAD, *_overview(entries), *_envelope(schemas)]
    for category, title in _TITLES.items():
        parts.append(f"## {title}\n")
        if category == CUSTOM:
            parts += [_CUSTOM_TEXT, _example(dict(examples()[CUSTOM_EXAMPLE].cloudevent()))]
        for entry in entries:
            if entry.category == category and entry.declared:
                parts += _event(entry, schemas)
    parts += ["## Names of the original\n", _ORIGINAL_TEXT, _originals()]
    return "\n".join(parts)


def _overview(entries: Sequence[CatalogEntry]) -> Iterator[str]:
    yield "## All events\n"
    rows = [
        (f"[`{entry.name}`](#{_anchor(entry.name)})", entry.description.partition(". ")[0].rstrip("."))
        for category in _TITLES
        for entry in entries
        if entry.category == category and entry.declared
    ]
    yield table(("event", "means"), rows)


def _anchor(name: str) -> str:
    return name.replace(".", "")


def _envelope(schemas: str) -> Iterator[str]:
    yield "## The envelope\n"
    yield f"The same for every event, as [CloudEvents 1.0]({schemas}/{ENVELOPE}); in Python attributes of the event.\n"
    yield fields(envelope())
    yield "An example, whole:\n"
    yield _example(dict(examples()["step.failed"].cloudevent()))


def _event(entry: CatalogEntry, schemas: str) -> Iterator[str]:
    yield f"### `{entry.name}`\n"
    yield f"{entry.description}\n" if entry.description else "Nothing was written about it.\n"
    yield f"- **When:** {entry.when}"
    yield f"- **Recorded by:** {entry.emitted_by}"
    yield f"- **Schema:** [{file_name(entry.name)}]({schemas}/{file_name(entry.name)})\n"
    if entry.schema is not None:
        yield fields(entry.schema)
    if entry.example is not None:
        yield _example(entry.example)


def _example(value: Json | JsonObject) -> str:
    return f"```json\n{json.dumps(value, ensure_ascii=False, indent=2)}\n```\n"


def _originals() -> str:
    return table(("original", "here", "what is different"), [_original(one) for one in ORIGINAL])


def _original(one: Mapped) -> tuple[str, str, str]:
    if one.name == "custom.*":
        return f"`{one.name}`", "the published name", one.because
    here = ", ".join(f"`{name}`" for name in one.ours)
    return f"`{one.name}`", here or "not recorded, because:", one.because
