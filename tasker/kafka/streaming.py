"""The Faust app: one agent for each topic that a worker consumes. Nothing else in Tasker imports Faust.

One `App` is one run. By itself Faust would acknowledge what a body took when it raises or is cancelled, and its batches
look for company two hundred times a second: so the agents acknowledge by hand, and batches are made here.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tasker.errors import TaskerError
from tasker.kafka.client import INSTALL
from tasker.kafka.message import Incoming, headers_of
from tasker.kafka.security import tls

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from faust import App

    from tasker.settings.sections import Kafka, KafkaSecurity

    Taker = Callable[[Sequence[Incoming]], Awaitable[None]]

RELEASE = "0.15.3"
"""The one release of faust-streaming whose acknowledging, stopping and rebalancing were looked into."""
MOST_MESSAGES = 500
"""How many messages a batch has at most."""
_COMMIT_SECONDS = 1.0
_LARGEST_FETCH = 16 * 1024 * 1024


@cache
def load() -> None:
    """See to it that Faust is there, in the release that Tasker works with, and keeps to errors when it logs.

    Raises:
        TaskerError: It is not installed, or it is another release or another project of the same name.
    """
    try:
        found = version("faust-streaming")
    except PackageNotFoundError:
        found = "faust, an older project of the same name" if find_spec("faust") else "none"
    if found != RELEASE:
        msg = f"`tasker kafka worker` needs faust-streaming {RELEASE}, found {found}; run {INSTALL}"
        raise TaskerError(msg)
    for name, level in (("faust", logging.ERROR), ("mode", logging.ERROR), ("aiokafka", logging.CRITICAL)):
        logging.getLogger(name).setLevel(level)  # what happens to the broker is said once, by the worker


def build(settings: Kafka, takers: Mapping[str, Taker], dealt: Callable[[], object] = lambda: None) -> App:
    """Make an app, for one run, in the event loop that will run it.

    Args:
        settings: Where the broker is, and the name of the group.
        takers: For each topic what is given its messages, batch after batch; it never raises.
        dealt: Called whenever the group has dealt this app its partitions, which may be none; it consumes them then.

    Raises:
        TaskerError: Faust is not installed, or another one is.
        InvalidDefinition: A file with certificates cannot be read.
    """
    load()
    import faust  # noqa: PLC0415 - an extra, and slow to import

    app = faust.App(
        settings.group,
        broker=[f"aiokafka://{address}" for address in settings.bootstrap],
        broker_client_id=settings.client_id,
        broker_credentials=_credentials(settings.security),
        broker_commit_interval=_COMMIT_SECONDS,
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=settings.session_timeout / 4,
        broker_request_timeout=max(40.0, settings.session_timeout + 5),
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=_LARGEST_FETCH,
        stream_wait_empty=True,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        autodiscover=False,
        store="memory://",
        datadir=tempfile.gettempdir(),  # it keeps no tables: nothing is written there
    )
    for name, taker in takers.items():
        topic = app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        app.agent(topic, name=name, concurrency=1)(_body(taker))

    async def assigned(*_: object, **__: object) -> None:
        dealt()

    app.on_partitions_assigned.connect(assigned)
    return app


def _body(taker: Taker) -> Callable[[Any], Awaitable[None]]:
    async def body(stream: Any) -> None:  # noqa: ANN401 - Faust asks for its types where it calls
        stream.enable_acks = False
        batches = Batches(stream, taker)
        working = asyncio.create_task(batches.work())
        try:
            async for event in stream.events():
                if working.done():
                    working.result()
                await batches.put(event)
        finally:
            working.cancel()

    return body


class Batches:
    """Gives a taker what has come while it was busy, as one batch, and acknowledges the batch when it comes back."""

    def __init__(self, stream: Any, taker: Taker) -> None:  # noqa: ANN401
        """Take the stream, whose events are acknowledged, and who takes them."""
        self._stream = stream
        self._taker = taker
        self._waiting: list[Any] = []
        self._filled, self._room = asyncio.Event(), asyncio.Event()

    async def put(self, event: Any) -> None:  # noqa: ANN401
        """Add an event; returns when there is room for one more."""
        self._waiting.append(event)
        self._filled.set()
        while len(self._waiting) >= MOST_MESSAGES:
            self._room.clear()
            await self._room.wait()

    async def work(self) -> None:
        """Give batch after batch."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            batch, self._waiting = self._waiting, []
            self._room.set()
            await self._taker([_incoming(event.message) for event in batch])
            for event in batch:
                await self._stream.ack(event)


def _incoming(message: Any) -> Incoming:  # noqa: ANN401
    stamp = -1 if message.timestamp is None else round(message.timestamp * 1000)
    return Incoming(
        message.topic, message.partition, message.offset, stamp, message.key, message.value, headers_of(message.headers)
    )


def _credentials(security: KafkaSecurity) -> object:
    """Give what Faust proves itself with, or None."""
    import faust  # noqa: PLC0415 - an extra

    context = tls(security)
    if security.protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=security.username, password=security.password, mechanism=security.mechanism, ssl_context=context
        )
    return None if context is None else faust.SSLCredentials(context)
