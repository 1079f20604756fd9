"""How fast a system scores frames: throughput over batch size, and latency of a single frame."""

import os
import platform
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Real

from .systems import System

_SECONDS = 4.0
_FEWEST, _MOST = 5, 200


def speed(system: System, counts: Real[np.ndarray, "frames y x"], batch_sizes: tuple[int, ...]) -> dict[str, Any]:
    """Frames a second for each batch size, and the latency at batch size 1 in milliseconds (p50, p99).

    system: one that has learned; counts: repeated to each batch size. A batch size is timed for about four
    seconds, at least 5 times, after one call that compiles; its throughput is that of the median call.
    """
    throughput, latency = {}, None
    for size in batch_sizes:
        seconds = _timed(system, np.resize(counts, (size, *counts.shape[1:])))
        throughput[str(size)] = size / float(np.median(seconds))
        if size == 1:
            p50, p99 = (float(p) for p in 1000 * np.percentile(seconds, [50, 99]))
            latency = {"p50_ms": p50, "p99_ms": p99, "calls": len(seconds)}
    return {"frames_per_second": throughput, "latency": latency}


def hardware() -> str:
    """The machine that a speed is of."""
    cpu, listed = platform.machine(), Path("/proc/cpuinfo")
    if listed.exists():
        named = (line.partition(":")[2].strip() for line in listed.read_text().splitlines() if "model name" in line)
        cpu = next(named, cpu)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = jax.devices()[0]
    return f"{cpu}, {cores} cores" + ("" if device.platform == "cpu" else f", {device.device_kind}")


def _timed(system: System, batch: Real[np.ndarray, "frames y x"]) -> list[float]:
    system.score(batch)
    seconds: list[float] = []
    while len(seconds) < _FEWEST or (sum(seconds) < _SECONDS and len(seconds) < _MOST):
        start = time.perf_counter()
        system.score(batch)
        seconds.append(time.perf_counter() - start)
    return seconds
