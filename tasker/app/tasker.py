"""`Tasker`: one application over one log. The only place that picks the parts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, Self

from tasker.app.looking import Looking
from tasker.app.observing import Observing
from tasker.app.operating import Operating
from tasker.app.streaming import Streaming, watch_broker
from tasker.app.subscribing import Subscribing
from tasker.app.web import Web
from tasker.app.workers import Crewing
from tasker.clock import SystemClock, SystemIds
from tasker.errors import InvalidRequest
from tasker.runtime.engine import Engine
from tasker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from tasker.clock import Clock, IdSource

DEFAULT_URL = "sqlite:///tasker.db"
DEFAULT_CONCURRENCY = 16


class Tasker(Streaming, Looking, Operating, Subscribing, Crewing, Web, Observing):
    """An application: definitions, handlers and subscribers over one event log.

    It is synchronous and thread-safe and belongs to the process that made it. Constructing it opens no connection and
    starts no thread; `with` or `close()` stops everything that it started.

        with Tasker("sqlite:///orders.db") as app:
            app.register(OrderProcess)
            task = app.submit(name="order_process", context={"order_id": 7})
            app.run_until_complete(task.id, timeout=30)
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        settings: Mapping[str, object] | Settings | None = None,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        bus: Literal["own", "all"] = "own",
    ) -> None:
        """Compose an application.

        Args:
            url: Address of the log: `sqlite:///file`, `memory://`; counts where it differs from the default, else the
                setting `url` counts.
            settings: Keys of `tasker.yaml` as a mapping, or `Settings`; None reads `tasker.yaml` and TASKER_ variables.
            clock: An object with `now()` (aware UTC).
            ids: An object with `uuid()` (UUIDv7, increasing) and `jitter()` (0 to 1).
            concurrency: Slots of this worker; as `url`, else the setting.
            bus: `own` for the events that this process appends, `all` for the whole log.

        Raises:
            InvalidDefinition: `tasker.yaml` or a TASKER_ variable is wrong; names file:line or the variable.
            InvalidRequest: An argument is wrong.
        """
        self._closed = True
        chosen = Settings.of(settings)
        self.settings = chosen
        address = url if url != DEFAULT_URL else chosen.url
        slots = concurrency if concurrency != DEFAULT_CONCURRENCY else chosen.concurrency
        if isinstance(slots, bool) or not isinstance(slots, int) or slots < 1:
            raise InvalidRequest(f"expected for concurrency a whole number of at least 1, found {slots!r}")
        if bus not in {"own", "all"}:
            raise InvalidRequest(f"expected for bus 'own' or 'all', found {bus!r}")
        self._pid = os.getpid()
        self._built = Engine(
            address,
            chosen,
            clock=clock or SystemClock(),
            ids=ids or SystemIds(),
            concurrency=slots,
            follow=bus == "all",
        )
        watch_broker(self._built)
        self._closed = False

    @property
    def url(self) -> str:
        """Give the address of the log."""
        return self._engine.context.url

    def close(self) -> None:
        """Stop what was started and close what was opened; safe to repeat."""
        if not self._closed and os.getpid() == self._pid:
            self._built.close()
        self._closed = True

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close."""
        self.close()
