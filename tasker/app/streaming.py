"""`Tasker`: the worker that takes requests from Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.app.declaring import Declaring
from tasker.app.running import Running

if TYPE_CHECKING:
    from tasker.kafka.worker import KafkaWorker
    from tasker.runtime.engine import Engine

_BROKER_SECONDS = 4.0
"""How long the health check waits for the broker: less than all checks together may take."""


def watch_broker(engine: Engine) -> None:
    """Add the broker to the health checks, if one is set."""
    settings = engine.context.settings.kafka

    def answers() -> None:
        from tasker.kafka.client import cluster_id

        cluster_id(settings, seconds=_BROKER_SECONDS)

    if settings.bootstrap:
        engine.health.checks["broker"] = answers


class Streaming(Running, Declaring):
    """Taking requests from Kafka and publishing events there."""

    def kafka_worker(self) -> KafkaWorker:
        """Give what stands beside the runner: `prepare()` it, then `serve(beside=…)`; nothing is connected before.

        Raises:
            InvalidDefinition: `kafka.bootstrap` is not set.
        """
        from tasker.kafka.worker import KafkaWorker

        return KafkaWorker(self, self._engine)
