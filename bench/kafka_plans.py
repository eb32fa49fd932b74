"""What the workers of the Kafka bench register."""

from __future__ import annotations

from bench import handlers
from tasker import Tasker


def register(app: Tasker) -> None:
    """Register chains of four steps that do nothing."""
    app.register(handlers.chain(4))
