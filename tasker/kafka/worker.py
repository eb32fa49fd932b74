"""`KafkaWorker`: what a worker does with Kafka: take requests, take steps up, offer steps, publish events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tasker.errors import LogUnavailable
from tasker.instrument import logger
from tasker.kafka import steps, topics
from tasker.kafka.client import cluster_id
from tasker.kafka.consuming import Consumption
from tasker.kafka.errors import BrokerUnavailable, PublishRefused, Unsettled
from tasker.kafka.intake import Intake
from tasker.kafka.letters import Letters
from tasker.kafka.message import UNKNOWN_SINCE
from tasker.kafka.pages import PagePublisher
from tasker.kafka.publisher import Publisher
from tasker.kafka.relay import Relay, patience
from tasker.kafka.streaming import load
from tasker.log.open import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasker.kafka.intake import Application
    from tasker.kafka.message import Incoming
    from tasker.log.port import Store
    from tasker.runtime.engine import Engine

_AGAIN_SECONDS = 1.0
_LOOK_SECONDS = 0.02
_LATE_SECONDS, _LATE_EACH_SECONDS, _LATEST_SECONDS = 0.05, 0.001, 0.5
"""How long a batch waits that holds requests which come again, so that they do not go round in a busy loop."""
_SHORTEST_RELAY_LEASE = 10.0
"""The relay's lease is that of workers, but a page takes its time: if the lease ends meanwhile, it comes twice."""
_STOP_CONSUMING_SECONDS = 4.0
_STOP_PUBLISHING_SECONDS = 2.0
_log = logger("kafka")


class KafkaWorker:
    """Stands beside a runner: `prepare`, then, when the runner runs, `start`; `stop` comes before the runner stops."""

    def __init__(self, app: Application, engine: Engine) -> None:
        """Take the application and its use cases; nothing is connected."""
        self._app = app
        self._engine = engine
        self._settings = engine.context.settings
        self._kafka = self._settings.kafka
        self._store: Store | None = None
        self._relay: Relay | None = None
        self._letters: Letters | None = None
        self._intake: Intake | None = None
        self._writing = Publisher(self._kafka)
        self._relay_lease = max(self._settings.leases.timeout, _SHORTEST_RELAY_LEASE)
        self._relaying = PagePublisher(self._kafka, delivery=patience(self._relay_lease))
        names = self._kafka.topics
        self._consumption = Consumption(self._kafka, {names.requests: self._requests, names.steps: self._steps})
        self._dispatcher = steps.Dispatcher(Publisher(self._kafka), names.steps)

    @property
    def begun(self) -> bool:
        """Say whether it consumes by now."""
        return self._consumption.begun

    @property
    def lost(self) -> bool:
        """Say whether it cannot go on in this process."""
        return self._consumption.failed

    @property
    def stuck(self) -> bool:
        """Say whether something of it cannot be stopped: only the end of the process ends it."""
        return self._consumption.stuck

    def prepare(self) -> None:
        """Wait for the broker and look at the topics.

        Raises:
            BrokerUnavailable: It has not answered within `kafka.start_timeout`, or refused the credentials.
            WrongTopic: A topic is missing, or is not as the settings ask.
            InvalidDefinition: `kafka.bootstrap` is not set, or the settings do not fit together.
            TaskerError: A package is not installed, or another release of it is.
        """
        load()
        cluster = cluster_id(self._kafka)
        topics.require(self._kafka)
        self._intake = Intake(self._app, self._settings, cluster, patience=self._kafka.definition_timeout)
        self._letters = Letters(self._writing, self._kafka.topics, cluster)

    def start(self) -> None:
        """Begin; the runner runs already. A broker that has gone meanwhile is waited for."""
        context = self._engine.context
        self._engine.must_run().dispatch.listener = self._dispatcher.offer
        self._dispatcher.start()
        self._store = open_store(context.url, direct_url=self._settings.direct_url)
        self._relay = Relay(self._store, self._relaying, self._kafka.topics.events, lease=self._relay_lease)
        self._relay.start()
        self._consumption.start()

    def stop(self) -> None:
        """Take nothing more; what was taken is settled and acknowledged, or comes again."""
        _log.info("this worker takes no more requests and leaves the group")
        if not self._consumption.stop(_STOP_CONSUMING_SECONDS):
            _log.warning("Kafka does not let us leave; what is not acknowledged comes again, to be taken once")
        if self._engine.runner is not None:
            self._engine.runner.dispatch.listener = None
        self._dispatcher.stop(_STOP_PUBLISHING_SECONDS)

    def close(self) -> None:
        """Publish no more events; after the runner has stopped. What was not published waits in the log."""
        if self._relay is None or self._store is None:
            return
        relay, self._relay = self._relay, None
        self._await_last_events(relay, self._store)
        if relay.stop(_STOP_PUBLISHING_SECONDS):
            self._store.close()

    def _await_last_events(self, relay: Relay, store: Store) -> None:
        """Give the relay a moment for what the runner appended last."""
        until = time.monotonic() + _STOP_PUBLISHING_SECONDS
        try:
            head = store.log.head()
        except LogUnavailable:
            return
        while relay.state.owner and relay.state.problem is None and relay.state.position < head:
            if time.monotonic() > until:
                return
            time.sleep(_LOOK_SECONDS)

    # --- batches, each on a thread of its own ---

    def _requests(self, messages: Sequence[Incoming]) -> None:
        """Make tasks of requests; returns when all are durable and the rest stands in its topic.

        Raises:
            Unsettled: It is time to stop, and not everything is settled.
        """
        if self._intake is None or self._letters is None:
            raise Unsettled("expected a worker that was prepared")
        taken = self._intake.take(messages, lambda: self._consumption.stopping)
        again = sum(one.header(UNKNOWN_SINCE) is not None for one in taken.later)
        if again:
            time.sleep(min(_LATE_SECONDS + again * _LATE_EACH_SECONDS, _LATEST_SECONDS))
        told = False
        while True:
            try:
                self._letters.write(taken)
            except (BrokerUnavailable, PublishRefused) as error:
                if self._consumption.stopping:
                    raise Unsettled(f"{len(messages)} requests are not acknowledged: {error}") from error
                if not told:
                    _log.error("what cannot be accepted cannot be written away, and is held: %s", error)
                told = True
                time.sleep(_AGAIN_SECONDS)
            else:
                return

    def _steps(self, messages: Sequence[Incoming]) -> None:
        """Take up what others offer; what is not taken up is found by who looks for work."""
        runner = self._engine.runner
        if runner is None:
            return
        try:
            runner.dispatch.take(list(steps.read(messages)))
        except LogUnavailable as error:
            _log.debug("offers of steps are passed over: %s", error)
        except Exception:  # noqa: BLE001 - an offer is a hint: none is worth holding up those behind it
            _log.exception("offers of steps met a fault of the program and are passed over")
