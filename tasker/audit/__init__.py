"""Prove that the log is what was appended: recompute every chain, seal ranges of it, prove single tasks, export."""

from __future__ import annotations

from tasker.audit.audit import Audit
from tasker.audit.keys import keygen
from tasker.audit.seals import Seal
from tasker.audit.verify import Verified

__all__ = ["Audit", "Seal", "Verified", "keygen"]
