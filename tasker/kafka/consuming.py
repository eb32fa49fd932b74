"""`Consumption`: the Faust app in an event loop on a thread of its own: watched, begun anew, stopped within bounds."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from tasker.errors import TaskerError
from tasker.instrument import count, logger
from tasker.kafka.errors import Unsettled
from tasker.kafka.progress import Progress, lags
from tasker.kafka.streaming import build, load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from faust import App

    from tasker.kafka.message import Incoming
    from tasker.kafka.streaming import Taker
    from tasker.settings.sections import Kafka

_LOOK_SECONDS = 0.5
_AGAIN_SECONDS = 1.0
_FAULT_SECONDS = 1.0
_RESTART_SECONDS = 10.0
_log = logger("kafka")


class Consumption:
    """Gives batches of messages to functions that block, one batch of each topic at a time.

    Such a function returns when the batch may be acknowledged. It raises `Unsettled` when it shall stop before that;
    whatever else it raises is a fault of the program: it is given the batch again.

    Attributes:
        begun: True once the group has dealt this process its share of the partitions, and they are consumed.
        problem: What keeps messages from being consumed at present, or None.
        stuck: True if Faust did not stop when it was asked to: only the end of the process ends it.
        failed: True if consuming ended by itself: by a fault of the program, or because an app that advanced no longer
            did not stop.
    """

    def __init__(self, settings: Kafka, takers: Mapping[str, Callable[[Sequence[Incoming]], None]]) -> None:
        """Take for each topic what is given its messages; nothing is connected."""
        self.begun = False
        self.problem: str | None = None
        self.stuck = self.failed = False
        self._settings = settings
        self._takers = dict(takers)
        self._pool = ThreadPoolExecutor(max_workers=len(self._takers), thread_name_prefix="tasker-kafka")
        self._watch = Progress(settings.progress_timeout)
        self._asked = Event()
        self._ended = Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave = asyncio.Event()
        self._thread: Thread | None = None

    @property
    def stopping(self) -> bool:
        """Say whether nothing more shall be taken."""
        return self._asked.is_set()

    def start(self) -> None:
        """Join the group and consume until `stop`; while that is impossible, it is tried again, and `problem` says why.

        Raises:
            TaskerError: Faust is not installed, or another one is.
        """
        load()
        self._thread = Thread(target=self._run, name="tasker-kafka", daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Take nothing more, settle what was taken, acknowledge it, leave the group.

        Args:
            seconds: How long to wait.

        Returns:
            False if that took longer; then `stuck` says so too, and nothing that is unsettled is acknowledged.
        """
        self._asked.set()
        if self._thread is None:
            return True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._leave.set)
        if not self.stuck:
            self._ended.wait(seconds)
            self.stuck = not self._ended.is_set()
        if not self.stuck:
            self._pool.shutdown()
            self._thread = None
        return not self.stuck

    # --- the thread ---

    def _run(self) -> None:
        try:
            asyncio.run(self._consume())
        except BaseException:  # noqa: BLE001 - nobody joins this thread for its exception
            self.failed = True
            _log.exception("consuming from Kafka met a fault of the program and ended")
        finally:
            if not self.stuck:
                self._ended.set()

    async def _consume(self) -> None:
        """Run one app after the other: one that crashed, or advances no longer, is replaced."""
        self._loop = asyncio.get_running_loop()
        while not self.stopping:
            app = build(self._settings, {name: self._taker(name) for name in self._takers}, self._dealt)
            starting = asyncio.create_task(app.start())
            if await self._started(starting):
                await self._watched(app)
            await self._stopped(app)
            if self.stuck:
                await asyncio.Event().wait()  # what it still holds must not be acknowledged by an orderly end
            starting.cancel()  # it may be under way in an app that has been stopped
            await self._pause(_AGAIN_SECONDS)

    async def _started(self, starting: asyncio.Task[object]) -> bool:
        """Wait until an app runs, within `start_timeout`: Faust by itself waits for a mute broker for ever."""
        leaving, seconds = asyncio.create_task(self._leave.wait()), self._settings.start_timeout
        await asyncio.wait({starting, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not starting.done():
            if not self.stopping:
                where = ", ".join(self._settings.bootstrap)
                self._trouble(
                    f"expected Kafka at {where} to let Faust start within {seconds:g} s (kafka.start_timeout), found it"
                    " silent; is the broker overloaded, or something else on its port?"
                )
            return False
        error = starting.exception()
        if error is not None:
            self._trouble(f"{type(error).__name__}: {error}")
            return False
        self._watch.begin()
        if self.problem is not None:
            _log.info("messages are consumed again")
        self.problem = None
        return True

    async def _watched(self, app: App) -> None:
        """Return when the app shall be stopped."""
        while not self.stopping:
            if app.should_stop:
                self._trouble("Faust stopped by itself")
                return
            stalled = await self._stalled(app)
            if stalled is not None:
                count("tasker.kafka_stalled")
                self._trouble(stalled)
                return
            await self._pause(_LOOK_SECONDS)

    async def _stalled(self, app: App) -> str | None:
        """Say what stands still, or None; while the broker does not answer that is no fault of the consumer."""
        if not self._watch.due:
            return None
        places = [(place.topic, place.partition) for place in app.consumer.assignment()]
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(None, lags, self._settings, places, list(self._takers))
        except TaskerError as error:
            _log.debug("how far the group has come is not known: %s", error)
            found = {}
        return self._watch.judge(found)

    async def _stopped(self, app: App) -> None:
        """Stop an app without ever cancelling it: cancelled agents acknowledge what they hold."""
        stopping = asyncio.create_task(app.stop())
        await asyncio.wait({stopping}, timeout=_RESTART_SECONDS)
        if not stopping.done():
            self.stuck = True
            if not self.stopping:
                self.failed = True
                _log.error("Faust does not stop; this worker has to be started again")
            return
        error = stopping.exception()
        if error is not None:
            _log.warning("Faust stopped with an error: %s: %s", type(error).__name__, error)

    async def _pause(self, seconds: float) -> None:
        """Wait, unless it is time to leave."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._leave.wait(), seconds)

    def _trouble(self, text: str) -> None:
        if text != self.problem:
            _log.warning("nothing is consumed from Kafka, which is tried again: %s", text)
        self.problem = text

    def _dealt(self) -> None:
        self.begun = True

    def _taker(self, topic: str) -> Taker:
        take = self._takers[topic]

        async def taker(messages: Sequence[Incoming]) -> None:
            with self._watch.holding():
                await self._settled(take, messages)

        return taker

    async def _settled(self, take: Callable[[Sequence[Incoming]], None], messages: Sequence[Incoming]) -> None:
        """Return when a batch may be acknowledged, and never otherwise: Faust acknowledges what raises."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self._pool, take, messages)
            except Unsettled as unsettled:
                _log.warning("%s", unsettled)
                await asyncio.Event().wait()
            except Exception:  # noqa: BLE001 - let out, it would be an acknowledgement
                _log.exception("a batch of %s messages met a fault of the program and is tried again", len(messages))
                await asyncio.sleep(_FAULT_SECONDS)
            else:
                return
