"""Prove that the log is what was appended: recompute every chain from the stored bytes."""

from __future__ import annotations

from tasker.audit.verify import Audit, Verified

__all__ = ["Audit", "Verified"]
