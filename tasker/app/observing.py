"""`Tasker`: its telemetry beyond itself."""

from __future__ import annotations

from tasker.app.base import Base


class Observing(Base):
    """Being traced together with what runs around it."""

    def publish_telemetry(self) -> None:
        """Send the spans of the whole process, those of handlers' own tracers too, where this application's go.

        For a program that is Tasker's own, as `tasker worker` is. A host with telemetry of its own sets the provider of
        its process itself, and Tasker sends there.
        """
        self._engine.context.telemetry.publish()
