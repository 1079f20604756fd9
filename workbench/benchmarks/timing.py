"""How long a call takes, compilation aside."""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import jax


def median_seconds(work: Callable[[], Any], repeats: int) -> float:
    """Median time of a call."""
    return medians_in_turn([work], repeats)[0]


def medians_in_turn(works: Sequence[Callable[[], Any]], repeats: int) -> list[float]:
    """The same of several, one after the other so that all meet the same other work of the machine."""
    times = [[] for _ in works]
    for _ in range(repeats):
        for work, own in zip(works, times, strict=True):
            jax.block_until_ready(work())  # the first compiles, the others fill the caches
            start = time.perf_counter()
            jax.block_until_ready(work())
            own.append(time.perf_counter() - start)
    return [median(own) for own in times]
