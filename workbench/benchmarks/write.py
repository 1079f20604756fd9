"""`onehit bench write`: how much of the simulation's speed is left when its patterns go to files."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import jax

from ...simulate.config import SimulationConfig
from ...simulate.sets.plan import Plan, plan_set, simulated
from ...simulate.sets.shards import write_set
from ..options import Bench

TARGET = 0.8
"""Least share of the speed in memory that files of 128 x 128 pixels must reach."""

_SHARDS = 8


def measure_writing(command: Bench) -> list[dict[str, Any]]:
    """Patterns of 128 x 128 pixels to files in the current folder, and the same patterns to memory, in turn."""
    mixture = SimulationConfig()
    rows = []
    with TemporaryDirectory(dir=".") as folder:
        for case, config, name in (
            ("half multi-hits", mixture, "a.cxi"),
            ("half multi-hits", mixture, "a.h5"),
            ("half multi-hits", mixture, "a.emc"),
            ("single hits", replace(mixture, good_fraction=1.0), "b.cxi"),
        ):
            plan = plan_set(Path(folder) / name, config, 0, _SHARDS * command.batch, shard=command.batch)
            rows.append({"case": f"{case}, {plan.format}"} | compare_writing(plan, command.repeats))
    return rows


def compare_writing(plan: Plan, repeats: int) -> dict[str, Any]:
    """Medians of a set's patterns to memory and to files beside `plan.out`, in turn; nothing is left there."""
    jax.block_until_ready(simulated(plan, 0))
    memory, files, size = [], [], 0
    for _ in range(repeats):
        memory.append(_seconds(lambda: [jax.block_until_ready(simulated(plan, n)) for n in range(plan.shards)]))
        with TemporaryDirectory(dir=plan.out.parent) as folder:
            once = replace(plan, out=Path(folder) / plan.out.name)
            files.append(_seconds(lambda once=once: write_set(once)))
            size = sum(path.stat().st_size for path in once.folder.iterdir())
    return {
        "shard": plan.shard,
        "memory_patterns_per_second": plan.count / median(memory),
        "file_patterns_per_second": plan.count / median(files),
        "ratio": median(memory) / median(files),
        "target": TARGET,
        "megabytes_per_second": size / 1e6 / median(files),
        "kilobytes_per_pattern": size / 1e3 / plan.count,
    }


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
