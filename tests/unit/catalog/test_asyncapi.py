"""`asyncapi.yaml` is AsyncAPI, and true: what stands on the topics fits what it says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tasker.catalog.catalog import Catalog
from tasker.catalog.publish import messages
from tasker.catalog.story import CUSTOM_EXAMPLE, story
from tasker.cli.schemas import published
from tasker.kafka import letters, message, relay, steps
from tasker.kafka.intake import Taken
from tasker.kafka.publishing import outgoing
from tasker.kafka.reading import Reason, Refusal
from tasker.runtime.dispatch import Reference
from tasker.settings import Settings
from tasker.settings.sections import Kafka, Topics
from tests.unit.kafka import kit

ROOT = Path(__file__).resolve().parents[3]
BASE = "http://schemas/"


def files(catalog: Catalog | None = None, kafka: Kafka | None = None) -> dict[str, str]:
    """Give what the command writes, by the names of the files."""
    made = published((catalog or Catalog()).all(), Path("schemas"), None, kafka)
    return {path.name: text for path, text in made.items()}


class Document:
    """The document, with the schemas beside it."""

    def __init__(self, catalog: Catalog | None = None) -> None:
        """Write it."""
        found = files(catalog)
        self.all = yaml.safe_load(found.pop("asyncapi.yaml"))
        self.messages = self.all["components"]["messages"]
        schemas = [(BASE + name, DRAFT202012.create_resource(json.loads(text))) for name, text in found.items()]
        self._registry = Registry().with_resources(schemas)

    def fits(self, name: str, part: str, value: object) -> bool:
        """Whether a value is what a part of a message may be."""
        schema = {"$id": f"{BASE}asyncapi.yaml", **self.messages[name][part]}
        return Draft202012Validator(schema, registry=self._registry).is_valid(value)

    def fitting(self, event: object) -> list[str]:
        """Name the messages that an event may be."""
        carried = list(self.all["channels"]["events"]["messages"])
        return [name for name in carried if self.fits(name, "payload", event)]


@pytest.fixture(scope="module")
def document():
    """Give the document of the system alone."""
    return Document()


def test_it_is_asyncapi():
    """The published file fits the JSON Schema of AsyncAPI 3.0, and something that is none does not."""
    official = Draft7Validator(json.loads((ROOT / "tests/asyncapi/3.0.0.json").read_text("utf-8")))
    found = yaml.safe_load((ROOT / "schemas/asyncapi.yaml").read_text("utf-8"))
    assert [f"{error.json_path}: {error.message}" for error in official.iter_errors(found)] == []
    assert not official.is_valid({**found, "asyncapi": "3"})
    assert not official.is_valid({**found, "operations": {"x": {"action": "push", "channel": {"$ref": "#/x"}}}})


def test_every_reference_leads_somewhere(document):
    """A reference is to a place of the document or to a schema beside it, and every message stands on one topic."""
    written = files()
    for reference in _references(document.all):
        if reference.startswith("#/"):
            place = document.all
            for key in reference[2:].split("/"):
                place = place[key]
        else:
            assert reference.removeprefix("./") in written, reference
    carried = [name for channel in document.all["channels"].values() for name in channel["messages"]]
    assert sorted(carried) == sorted(document.messages)


def test_every_event_is_exactly_one_message(document):
    """An event fits the message of its type alone; one that nothing declares fits `other`."""
    for event in story():
        name = "other" if event.type == CUSTOM_EXAMPLE else event.type
        assert document.fitting(dict(event.cloudevent())) == [name]


def test_declared_events_are_messages_of_their_own():
    """A custom event with a schema has its own message; one that breaks the schema is none."""
    catalog = Catalog()
    catalog.register(CUSTOM_EXAMPLE, description="Money came.", schema={"type": "object", "required": ["order_id"]})
    catalog.observe("cart.filled")
    made = Document(catalog)
    assert "cart.filled" not in made.messages
    [event] = [dict(one.cloudevent()) for one in story() if one.type == CUSTOM_EXAMPLE][:1]
    assert made.fitting(event) == [CUSTOM_EXAMPLE]
    assert made.fitting(event | {"data": {}}) == []


def test_requests_are_as_it_says(document):
    """A request as the command publishes it fits, with its headers; so does the example."""
    made = outgoing(kit.order(correlation_id="c-1", idempotency_key="k"), Topics(), Settings.of({}).sizes)
    assert document.fits("taskRequest", "payload", json.loads(made.value))
    assert document.fits("taskRequest", "headers", _headers(made.headers))
    assert not document.fits("taskRequest", "payload", {"name": "order", "colour": "red"})
    [example] = document.messages["taskRequest"]["examples"]
    assert document.fits("taskRequest", "payload", example["payload"])
    assert document.fits("taskRequest", "headers", example["headers"])


def test_dead_letters_are_as_it_says(document):
    """A dead letter has the headers that are told of, and no others of ours."""
    told = set(document.messages["deadLetter"]["headers"]["properties"])
    for reason in Reason:
        [letter] = _written(Taken([], [(kit.message(b"x"), Refusal(reason, "because"))], []))
        assert document.fits("deadLetter", "headers", _headers(letter.headers))
        assert _headers(letter.headers).keys() == told - {letters.CUT}
    assert letters.CUT in told


def test_what_comes_again_is_as_it_says(document):
    """A request that waits for its definition carries headers that are told of."""
    [again] = _written(Taken([], [], [kit.message(b"x")]))
    told = document.messages["taskRequest"]["headers"]["properties"]
    assert document.fits("taskRequest", "headers", _headers(again.headers))
    assert _headers(again.headers).keys() | {message.CORRELATION, *message.TRACE} == told.keys()


def test_steps_are_as_it_says(document):
    """What workers offer to each other fits, however many steps there are; a bound of the code is the one told of."""
    references = [Reference(bytes(range(16)), step, 1) for step in range(2 * steps.MOST_REFERENCES)]
    offered = steps.written(references, "steps")
    assert all(document.fits("readySteps", "payload", json.loads(one.value)) for one in offered)
    assert not document.fits("readySteps", "payload", {"task_id": "x", "steps": [{"number": -1}]})
    assert messages.MOST_STEPS == steps.MOST_REFERENCES


def test_its_words_are_those_of_the_code():
    """Reasons and the content type are those that are written."""
    assert set(messages.REASONS) == {reason.value for reason in Reason}
    assert ("content-type", messages.CLOUD_EVENT.encode()) in relay.CONTENT_TYPE


def test_topics_are_those_of_the_settings():
    """Names, partitions and the group come from the settings; the topics are never compacted."""
    kafka = Kafka(topics={"requests": "shop.in"}, partitions=3, replication=2, group="shop")
    made = yaml.safe_load(files(kafka=kafka)["asyncapi.yaml"])
    assert made["channels"]["requests"]["address"] == "shop.in"
    bound = made["channels"]["events"]["bindings"]["kafka"]
    assert (bound["partitions"], bound["replicas"]) == (3, 2)
    assert {
        one["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"][0] for one in made["channels"].values()
    } == {"delete"}
    assert made["operations"]["takeRequests"]["bindings"]["kafka"]["groupId"]["enum"] == ["shop"]


class _Kept:
    """Keeps what it is given to publish."""

    def __init__(self) -> None:
        self.messages: list[message.Outgoing] = []

    def publish(self, messages: list[message.Outgoing]) -> None:
        """Keep them."""
        self.messages += messages


def _written(taken: Taken) -> list[message.Outgoing]:
    kept = _Kept()
    letters.Letters(kept, Topics(), kit.CLUSTER).write(taken)
    return kept.messages


def _headers(headers: message.Headers) -> dict[str, str]:
    return {name: value.decode() for name, value in headers}


def _references(value: object):
    match value:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for inner in value.values():
                yield from _references(inner)
        case list():
            for inner in value:
                yield from _references(inner)
