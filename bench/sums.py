"""Medians and percentiles."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def middle(values: Sequence[float]) -> float:
    """Give the median."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that is not below a share of all."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]
