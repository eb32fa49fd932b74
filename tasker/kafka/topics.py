"""The topics: what the settings ask for, what the broker has, and making what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tasker.kafka.client import admin
from tasker.kafka.errors import BrokerUnavailable, WrongTopic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kafka import KafkaAdminClient

    from tasker.settings.sections import Kafka

READY, CREATED, MISSING, WRONG = "ready", "created", "missing", "wrong"
LARGEST_EVENT = 2 * 1024 * 1024
LARGEST_LETTER = 12 * 1024 * 1024
_LETTERS_KEPT = 30 * 24 * 3600 * 1000  # milliseconds
_THERE, _ALREADY = 0, 36  # codes of the protocol: no error, and somebody else has made the topic meanwhile


class Wanted(NamedTuple):
    """A topic as the settings ask for it: at least so many partitions; the configuration counts when it is made."""

    role: str
    name: str
    partitions: int
    config: Mapping[str, str]


class Standing(NamedTuple):
    """A topic as it is.

    Attributes:
        role: requests, dead_letters, steps or events.
        name: Its name.
        partitions: How many it has.
        state: ready, created, missing or wrong.
        problem: What is wrong and what to do, or None.
    """

    role: str
    name: str
    partitions: int
    state: str
    problem: str | None = None


def wanted(settings: Kafka) -> tuple[Wanted, ...]:
    """Give the topics that the settings ask for."""
    names, count = settings.topics, settings.partitions
    deleting = {"cleanup.policy": "delete"}
    letters = {**deleting, "max.message.bytes": str(LARGEST_LETTER), "retention.ms": str(_LETTERS_KEPT)}
    return (
        Wanted("requests", names.requests, count, deleting),
        Wanted("dead_letters", names.dead_letters, 1, letters),
        Wanted("steps", names.steps, count, deleting),
        Wanted("events", names.events, count, {**deleting, "max.message.bytes": str(LARGEST_EVENT)}),
    )


def look(settings: Kafka) -> list[Standing]:
    """Compare the broker's topics with the settings; change nothing.

    Raises:
        BrokerUnavailable: Nothing answers.
    """
    with admin(settings) as client:
        return _compared(client, wanted(settings))


def create(settings: Kafka) -> list[Standing]:
    """Make the topics that are missing; those that are there are not changed. Safe to repeat.

    Raises:
        BrokerUnavailable: Nothing answers, or a new topic has no leader in time.
        PublishRefused: The broker does not let us make topics.
    """
    topics = wanted(settings)
    with admin(settings) as client:
        before = _compared(client, topics)
        missing = {one.name for one in before if one.state == MISSING}
        if not missing:
            return before
        new = {
            one.name: {
                "num_partitions": one.partitions,
                "replication_factor": settings.replication,
                "configs": dict(one.config),
            }
            for one in topics
            if one.name in missing
        }
        _refuse(client.create_topics(new, timeout_ms=10_000, raise_errors=False)["topics"])
        client.wait_for_topics(sorted(missing))
        after = _compared(client, topics)
    return [one._replace(state=CREATED) if one.name in missing and one.state == READY else one for one in after]


def require(settings: Kafka) -> None:
    """Refuse to go on without every topic.

    Raises:
        WrongTopic: One is missing or wrong; says what to do.
        BrokerUnavailable: Nothing answers.
    """
    problems = [one.problem for one in look(settings) if one.problem is not None]
    if problems:
        raise WrongTopic("; ".join(problems))


def _compared(client: KafkaAdminClient, topics: Iterable[Wanted]) -> list[Standing]:
    listed = list(topics)
    found = {one["name"]: one for one in client.describe_topics([topic.name for topic in listed])}
    policies = _policies(client, [one.name for one in listed if found.get(one.name, {}).get("partitions")])
    return [_judged(one, found.get(one.name, {}), policies.get(one.name, "")) for one in listed]


def _judged(topic: Wanted, found: Mapping[str, Any], policy: str) -> Standing:
    count = len(found.get("partitions", ()))
    if not count:
        problem = f"topic {topic.name} is missing; `tasker kafka topics` makes it"
        return Standing(topic.role, topic.name, 0, MISSING, problem)
    if count < topic.partitions:
        problem = (
            f"topic {topic.name}: expected at least {topic.partitions} partitions (kafka.partitions), found {count};"
            f" add some with `kafka-topics.sh --alter --topic {topic.name} --partitions {topic.partitions}`,"
            f" or set kafka.partitions to {count}"
        )
        return Standing(topic.role, topic.name, count, WRONG, problem)
    if "compact" in policy:
        problem = (
            f"topic {topic.name}: expected cleanup.policy=delete, found {policy}; compaction throws messages away that"
            " share a key"
        )
        return Standing(topic.role, topic.name, count, WRONG, problem)
    return Standing(topic.role, topic.name, count, READY)


def _policies(client: KafkaAdminClient, names: list[str]) -> dict[str, str]:
    """Read how topics throw old messages away."""
    if not names:
        return {}
    from kafka.admin import ConfigResource  # noqa: PLC0415 - an extra

    asked = [ConfigResource("topic", name, ["cleanup.policy"]) for name in names]
    found = client.describe_configs(asked, config_filter="all").get("topic", {})
    return {name: str(one.get("cleanup.policy", {}).get("value", "")) for name, one in found.items()}


def _refuse(answers: Iterable[Mapping[str, Any]]) -> None:
    refused = [one for one in answers if one["error_code"] not in {_THERE, _ALREADY}]
    if refused:
        texts = ", ".join(f"{one['name']} ({one.get('error_message') or one['error_code']})" for one in refused)
        raise BrokerUnavailable(f"Kafka did not make {texts}; make them yourself, or give this user the right to")
