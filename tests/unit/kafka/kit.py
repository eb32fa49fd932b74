"""Messages as they come from a topic, and an application that knows what they ask for."""

from __future__ import annotations

import json
from itertools import count

from tasker import StepTemplate, TaskDefinition, Tasker
from tasker.kafka.message import Incoming
from tasker.settings import Settings

TOPIC = "requests"
CLUSTER = "cluster"
SCHEMA = {"type": "object", "required": ["order_id"], "properties": {"order_id": {"type": "integer"}}}
_offsets = count()


def nothing(task, sequence, step):
    """Do nothing."""


def app(url: str = "memory://", **settings) -> Tasker:
    """An application that knows `order`, and `same` whose identity is what it says."""
    made = Tasker(url, settings=settings)
    steps = [StepTemplate(name="one", handler_class=nothing)]
    made.register(TaskDefinition(name="order", schema=SCHEMA, step_templates=steps))
    made.register(TaskDefinition(name="same", identity_strategy="strict", step_templates=steps))
    return made


def settings(**values) -> Settings:
    """Settings and nothing from the environment."""
    return Settings.of(values)


def message(value, *, offset=None, headers=(), key=None) -> Incoming:
    """A message; what is no bytes and not None is written as JSON."""
    body = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    return Incoming(TOPIC, 0, next(_offsets) if offset is None else offset, 1_763_000_000_000, key, body, headers)


def order(number=7, **more) -> dict[str, object]:
    """The fields of a request for an order."""
    return {"name": "order", "context": {"order_id": number}, **more}
