"""The lines of the table of Kafka, with the targets that the figures have."""

from __future__ import annotations

from collections.abc import Callable

from bench.report import Numbers, Row, at_least, at_most, microseconds, milliseconds, rate, times, value

_ONE, _TWO, _RELAY, _TASK_MS, _IDLE, _START = 2_000, 3_000, 10_000, 100, 0.03, 6
_PLAIN = "a plain aiokafka consumer"


def kafka_rows() -> list[Row]:
    """Give the lines: one broker, PostgreSQL and the workers on one machine."""
    one, two = value("kafka1@pg"), value("kafka2@pg")
    said = "from the first task's creation to the last one's end, 64 slots each"
    return [
        Row(
            f"steps of chains of four, one `tasker kafka worker`, {said}", rate("kafka1@pg"),
            times(value("kafka_over_plain@pg"), _PLAIN), f"≥ {_ONE:,}/s", at_least(one, _ONE),
        ),
        Row(f"the same, {_PLAIN} before the same intake, no relay", rate("kafka_plain@pg")),
        Row(
            "the same, two workers", rate("kafka2@pg"), times(value("kafka_two_over_one@pg"), "one worker"),
            f"≥ {_TWO:,}/s", at_least(two, _TWO),
        ),
        *_processors(),
        Row("a task of four steps at 100 a second, p50", milliseconds("kafka_task_p50_ms@pg")),
        Row(
            "a task of four steps at 100 a second, p99", milliseconds("kafka_task_p99_ms@pg"), None,
            f"< {_TASK_MS} ms", at_most(value("kafka_task_p99_ms@pg"), _TASK_MS),
        ),
        Row("events published by the relay, alone", rate("kafka_relay@pg"), None, f"≥ {_RELAY:,}/s",
            at_least(value("kafka_relay@pg"), _RELAY)),
        Row("start of a worker to its first task", _seconds("kafka_start_s@pg"), None, f"< {_START} s",
            at_most(value("kafka_start_s@pg"), _START)),
        Row("an idle worker: CPU time of its process", _share("kafka_idle_cpu@pg"), None, "< 3 % of a core",
            at_most(value("kafka_idle_cpu@pg"), _IDLE)),
    ]  # fmt: skip


def _processors() -> list[Row]:
    named = {"kafka1": "one worker, relay and Faust included", "kafka_plain": _PLAIN, "kafka2": "two workers, together"}
    return [Row(f"processor time for a step: {name}", microseconds(f"{key}_cpu_us@pg")) for key, name in named.items()]


def _seconds(key: str) -> Callable[[Numbers], str]:
    return lambda figures: f"{figures[key]:.1f} s"


def _share(key: str) -> Callable[[Numbers], str]:
    return lambda figures: f"{figures[key]:.1%} of a core"
