"""`Tasker`: the HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.app.base import Base
from tasker.errors import TaskerError

if TYPE_CHECKING:
    from tasker.http.application import Api


class Web(Base):
    """Being looked at and steered over HTTP."""

    _asgi: Api | None = None

    @property
    def asgi(self) -> Api:
        """Give the HTTP API as an ASGI application: `host.mount("/tasker", app.asgi)`; the same one each time.

        Raises:
            TaskerError: The extra `http` is not installed.
            InvalidDefinition: The settings of `http` are wrong.
        """
        engine = self._engine
        if self._asgi is None:
            try:
                from tasker.http.application import build
            except ModuleNotFoundError as error:
                message = f"the HTTP API needs {error.name}, which is not installed; pip install 'tasker-engine[http]'"
                raise TaskerError(message) from error
            self._asgi = build(engine)
        return self._asgi
