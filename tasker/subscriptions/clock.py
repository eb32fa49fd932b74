"""Two clocks of ownership: the store's, by which leases are compared, and this machine's, by which they are watched."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.sql.compiler import SQLCompiler

# A process that was stopped, and a machine that was asleep, must see how much time has gone by.
elapsed: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Give seconds on a clock that never goes back, and goes on while the machine sleeps."""


class StoreClock(FunctionElement[int]):
    """The present time of the database in microseconds, as an expression of SQL."""

    inherit_cache = True
    type = BigInteger()


@compiles(StoreClock)
def _on_sqlite(_element: StoreClock, _compiler: SQLCompiler, **_: object) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


@compiles(StoreClock, "postgresql")
def _on_postgres(_element: StoreClock, _compiler: SQLCompiler, **_: object) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
