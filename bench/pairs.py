"""The same measure on an empty log and on a large one, in turns: what a history costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from bench import engine
from bench.setting import Bench, Figures
from bench.sums import middle

PAIRED: dict[str, Callable[[Bench], Figures]] = {
    one.__name__: one for one in (engine.linear, engine.idle_caller, engine.submit, engine.fan_out)
}
"""What is measured so; each goes on an empty log and on the large one, turn by turn, in sizes of a quick run."""

_ENDING = "_large"


def pair(bench: Bench, measure: Callable[[Bench], Figures]) -> Figures:
    """Measure in turns; give the medians on the large log, and the medians of how much of its speed is kept.

    Of two neighbours each comes first in every second turn, for the disk is not the same from second to second.
    """
    values: dict[str, list[float]] = defaultdict(list)
    for turn in range(bench.pick(1, 4)):
        order = (bench.large, None) if turn % 2 else (None, bench.large)
        taken = {log: measure(bench.pair(log)) for log in order}
        small, large = taken[None], taken[bench.large]
        for key, value in large.items():
            values[key + _ENDING].append(value)
            kept = small[key] / value if key.endswith("_ms") else value / small[key]
            values[f"{key}{_ENDING}_ratio"].append(kept)
    return {key: middle(some) for key, some in values.items()}
