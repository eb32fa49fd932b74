"""The read models: tasks, their steps and annotations as rows that can be searched, derived from the log alone."""

from __future__ import annotations

from tasker.projections.filters import DEFAULT_LIMIT, MAX_LIMIT, Page, TaskFilter
from tasker.projections.models import Projections, ProjectionStatus
from tasker.projections.rebuild import Compared, Rebuilt
from tasker.projections.rows import TaskRow

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "Compared",
    "Page",
    "ProjectionStatus",
    "Projections",
    "Rebuilt",
    "TaskFilter",
    "TaskRow",
]
