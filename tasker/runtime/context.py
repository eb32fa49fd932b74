"""What the use cases share: one opened log, its registries, the leader, and the views handed to callers."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tasker.bus.bus import Bus
from tasker.catalog.catalog import Catalog
from tasker.clock import micros_maker
from tasker.codec.decode import id_bytes
from tasker.definitions.registry import Definitions
from tasker.handlers.connections import Connections
from tasker.handlers.publishing import Sizes, Tools
from tasker.handlers.registry import HandlerRegistry
from tasker.handlers.views import Task
from tasker.log.open import open_store
from tasker.redaction import Redactor
from tasker.runtime.commander import Commander, Office
from tasker.runtime.plans import Plans
from tasker.runtime.sources import LogSource
from tasker.runtime.streams import Known, Streams
from tasker.runtime.threads import Threads
from tasker.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasker.clock import Clock, IdSource
    from tasker.domain.definition import TaskDefinition
    from tasker.log.port import EventLog
    from tasker.projections.models import Projections
    from tasker.settings import Settings
    from tasker.subscriptions.subscriptions import Subscriptions


class Context:
    """Everything the use cases of one `Tasker` have in common. Constructing it opens nothing and starts nothing."""

    def __init__(self, url: str, settings: Settings, *, clock: Clock, ids: IdSource, follow: bool) -> None:
        """Wire the parts.

        Args:
            url: Address of the log.
            settings: All settings.
            clock: The given clock.
            ids: The given source of ids and jitter.
            follow: True if the bus carries the whole log and not only what this process appends.
        """
        self.url = url
        self.settings = settings
        self.clock = clock
        self.ids = ids
        self.threads = Threads()
        self.store = open_store(url, direct_url=settings.direct_url)
        self.definitions = Definitions()
        self.handlers = HandlerRegistry()
        self.hooks: dict[str, type] = {}
        self.folders: list[str] = []
        self.catalog = Catalog()
        self.redactor = Redactor(settings.telemetry.filter_keys, settings.telemetry.mask)
        self.plans = Plans(self.log)
        self.streams = Streams(self.log, self.plans, self.threads)
        self.telemetry = Telemetry(settings.telemetry, self.redactor, self.log, micros_maker(clock))
        self.office = Office(self.log, self.streams, self.telemetry, clock=clock, ids=ids, threads=self.threads)
        self.commander = Commander(self.office, self.threads)
        self._alone = False
        self.wake_readers: Callable[[], None] = lambda: None
        self.bus = Bus(self.log, follow=follow)

    # Read models and subscriptions need SQLAlchemy, whose import takes longer than most commands: see `tasker show`.

    @cached_property
    def projections(self) -> Projections:
        """Give the read models."""
        from tasker.projections.models import Projections  # noqa: PLC0415 - see above

        return Projections(self.store, self.streams.at_versions)

    @cached_property
    def subscriptions(self) -> Subscriptions:
        """Give the durable subscriptions."""
        from tasker.subscriptions.subscriptions import Rules, Subscriptions  # noqa: PLC0415 - see above

        settings = self.settings
        lease, wait = (int(seconds * 1_000_000) for seconds in (settings.leases.timeout, settings.max_server_delay))
        rules = Rules(self.redactor, lease, wait)
        made = Subscriptions(self.store, self.bus, self.office.now, rules, self.wake_readers)
        if self._alone:
            made.inherit()
        return made

    @property
    def subscribed(self) -> bool:
        """Say whether this process has a durable subscriber."""
        return "subscriptions" in self.__dict__ and self.subscriptions.any

    def alone(self, *, now: bool) -> None:
        """Note that every other runner of this log is dead, or that one may come again."""
        self._alone = now
        if "subscriptions" in self.__dict__:
            (self.subscriptions.inherit if now else self.subscriptions.release)()

    def log(self) -> EventLog:
        """Give the log; the first use opens it."""
        return self.store.log

    def tools(self) -> Tools:
        """Give what the handlers of one runner share."""
        sizes = self.settings.sizes
        bounds = Sizes(sizes.results, sizes.event, sizes.error_message, sizes.backtrace)
        trace = self.telemetry.headers
        return Tools(self.clock, bounds, self.catalog.check, Connections(), self.libraries, trace)

    def libraries(self, definition: TaskDefinition) -> tuple[str, ...]:
        """List where native libraries of a definition may lie: beside its file, then beside those of the others."""
        own = self.definitions.directory(definition)
        return (*self.folders,) if own is None else (str(own), *self.folders)

    def view(self, known: Known, *, created: bool = False) -> Task:
        """Show a state to a caller."""
        task = known.task
        source = LogSource(self.log, id_bytes(task.id), task.version)
        return Task(task, source, position=known.position, created=created, now=self.office.now())
