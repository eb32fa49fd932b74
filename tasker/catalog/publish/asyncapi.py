"""`asyncapi.yaml`: the topics of Kafka, with their keys, headers and messages, as AsyncAPI 3.0 describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import yaml

from tasker.catalog.entry import CUSTOM, CatalogEntry, Json, JsonObject
from tasker.catalog.publish import messages
from tasker.catalog.publish.files import NOTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ASYNCAPI = "asyncapi.yaml"
_VERSION = "1.0.0"  # of what stands on the topics, not of a release
_BINDING: JsonObject = {"bindingVersion": "0.5.0"}
_NUMBERS = ("retention.ms", "max.message.bytes")
_ABOUT = """\
Requests for tasks come in from one topic, and every event of the log goes out to another. Kafka is transport and never
the truth: what was accepted stands in the log, and state is never read from a topic.

- **Requests** are delivered at least once, and each becomes exactly one task: a request with an `idempotency_key` by
  that key, any other by where and when it was published. Publish with `acks=all`.
- **Events** are published at least once, after they are durable, in order per task. Consumers drop an `id` that they
  have seen; it is enough to drop a `streamversion` that is not above the last seen of the same `subject`.
- More fields, headers and events may follow in later releases: pass over what you do not know.
"""
_CHANNELS: dict[str, tuple[str, str]] = {
    "requests": (
        "Requests for tasks",
        (
            "Anybody publishes, workers consume. The key decides the partition and nothing else. What cannot be"
            " accepted goes to the dead letters, and what stands behind it goes on."
        ),
    ),
    "dead_letters": (
        "Dead letters",
        (
            "Requests that could not be accepted, each with its own bytes, key and headers, and with the reason."
            " Written at least once, before the request is acknowledged. `tasker kafka dlq list` shows them,"
            " `tasker kafka dlq replay` publishes them again."
        ),
    ),
    "steps": (
        "Steps to start",
        (
            "From workers to workers, of no use to anybody else, and free to change with any release. A message is a"
            " hint: who starts a step is decided in the log, so one that is lost or comes twice does no harm."
        ),
    ),
    "events": (
        "Events",
        (
            "Every event of the log as a CloudEvent, in order per task, at least once. Never compacted: the events of"
            " a task share a key."
        ),
    ),
}
_OPERATIONS: dict[str, tuple[str, str, str]] = {
    "takeRequests": ("receive", "requests", "Make tasks of requests; acknowledge them when the tasks are durable."),
    "writeDeadLetters": ("send", "dead_letters", "Keep what could not be accepted, before it is acknowledged."),
    "offerSteps": ("send", "steps", "Offer steps that are ready and for which this worker has no room."),
    "takeSteps": ("receive", "steps", "Start offered steps; the log decides who may."),
    "publishEvents": ("send", "events", "Publish the log: one worker at a time, in its order."),
}


class Topic(NamedTuple):
    """A topic as the settings ask for it.

    Attributes:
        role: requests, dead_letters, steps or events.
        name: Its name.
        partitions: How many it has at least.
        replicas: How many it has.
        config: What it is made with.
    """

    role: str
    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]


def asyncapi(entries: Iterable[CatalogEntry], topics: Sequence[Topic], group: str) -> str:
    """Write the document.

    Args:
        entries: The catalogue; of custom events those that are declared.
        topics: The topics, one for each role.
        group: The consumer group of the workers.
    """
    declared = [entry for entry in entries if entry.category != CUSTOM or entry.declared]
    carried: dict[str, dict[str, JsonObject]] = {
        "requests": {"taskRequest": messages.request()},
        "dead_letters": {"deadLetter": messages.dead_letter()},
        "steps": {"readySteps": messages.steps()},
        "events": messages.events(declared),
    }
    document: JsonObject = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tasker on Kafka",
            "version": _VERSION,
            "description": _ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": messages.JSON,
        "servers": {"kafka": _server()},
        "channels": {one.role: _channel(one, sorted(carried[one.role])) for one in topics},
        "operations": {name: _operation(*told, group) for name, told in _OPERATIONS.items()},
        "components": {"messages": {name: one for each in carried.values() for name, one in sorted(each.items())}},
    }
    text: str = yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
    return f"# {NOTE}\n{text}"


class _Plain(yaml.SafeDumper):
    """Writes values that stand in several places out in full, and texts of several lines as such."""

    def ignore_aliases(self, _: object) -> bool:
        """Name nothing."""
        return True


def _lines(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Plain.add_representer(str, _lines)


def _server() -> JsonObject:
    return {
        "host": "{bootstrap}",
        "protocol": "kafka",
        "description": "The cluster that `kafka.bootstrap` of the settings names.",
        "variables": {"bootstrap": {"description": "HOST:PORT of a broker.", "default": "localhost:9092"}},
    }


def _channel(topic: Topic, carried: Sequence[str]) -> JsonObject:
    title, means = _CHANNELS[topic.role]
    config: JsonObject = {key: int(value) if key in _NUMBERS else [value] for key, value in topic.config.items()}
    bound: JsonObject = {"partitions": topic.partitions, "replicas": topic.replicas, "topicConfiguration": config}
    return {
        "address": topic.name,
        "title": title,
        "description": means,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in carried},
        "bindings": {"kafka": {**bound, **_BINDING}},
    }


def _operation(action: str, role: str, means: str, group: str) -> JsonObject:
    told: JsonObject = {"action": action, "channel": {"$ref": f"#/channels/{role}"}, "summary": means}
    if action == "send":
        return told
    named: Json = {"type": "string", "enum": [group]}
    return {**told, "bindings": {"kafka": {"groupId": named, **_BINDING}}}
