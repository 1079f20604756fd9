"""`onehit bench simulate`: particles that are tabulated once, from files, beside the torus."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...simulate.beamline.instrument import InstrumentConfig
from ...simulate.config import SimulationConfig
from ...simulate.source import SimulatedSource
from ..made_up import capsid, particles
from ..options import Bench
from .memory import peak_megabytes
from .timing import medians_in_turn

TARGET = 0.5
"""Least share of the torus's speed."""

LARGE_TARGETS = {"first_target_s": 180, "from_cache_target_s": 2, "peak_target_mb": 4000}
"""Of a capsid of 700,000 atoms."""

_LARGE_NM, _LARGE_ATOMS = 20.0, 11_700
"""Radius of a large capsid, and atoms of a sixtieth of it."""


def measure_tables(command: Bench) -> list[dict[str, Any]]:
    """How long a source takes to be made, first and when its table is kept, the most memory that this process has held
    until then, and how fast it then is."""
    config = SimulationConfig(instrument=InstrumentConfig("amo86615-128"), good_fraction=1.0, noise=False)
    torus = SimulatedSource(replace(config, geometry=("torus",)))
    with TemporaryDirectory() as folder, _cache_in(Path(folder) / "cache"):
        cases, targets = particles(Path(folder)), {}
        if "capsid of atoms" in cases:
            (Path(folder) / "large").mkdir()
            large = capsid(Path(folder) / "large", _LARGE_NM, _LARGE_ATOMS)
            cases |= {
                "capsid of atoms, hydrated": f"{cases['capsid of atoms']},hydration_nm=0.3",
                (name := f"capsid of {60 * _LARGE_ATOMS:,} atoms"): large,
            }
            targets = {name: LARGE_TARGETS}
        return [
            {"case": name} | _of_particle(replace(config, geometry=(geometry,)), torus, command) | targets.get(name, {})
            for name, geometry in cases.items()
        ]


def _of_particle(config: SimulationConfig, torus: SimulatedSource, command: Bench) -> dict[str, Any]:
    _, first_s = _made(config)
    source, from_cache_s = _made(config)
    peak_mb = peak_megabytes()
    batch = range(command.batch)
    own, other = medians_in_turn([partial(one.patterns, batch) for one in (source, torus)], command.repeats)
    table = source.table
    return {
        "first_s": first_s,
        "from_cache_s": from_cache_s,
        "peak_mb": peak_mb,
        "table_mb": 0.0 if table is None else table.coefficients.nbytes / 1e6,
        "patterns_per_second": command.batch / own,
        "times_torus": other / own,
        "target": TARGET,
    }


def _made(config: SimulationConfig) -> tuple[SimulatedSource, float]:
    """A source, and how many seconds that took."""
    start = time.perf_counter()
    source = SimulatedSource(config)
    return source, time.perf_counter() - start


@contextmanager
def _cache_in(folder: Path) -> Iterator[None]:
    """An empty cache for a while."""
    before = os.environ.get("ONEHIT_CACHE")
    os.environ["ONEHIT_CACHE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["ONEHIT_CACHE"]
        else:
            os.environ["ONEHIT_CACHE"] = before
