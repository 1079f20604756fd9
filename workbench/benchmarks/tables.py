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
from .timing import medians_in_turn

TARGET = 0.5
"""Least share of the torus's speed."""

_LARGE_NM, _LARGE_ATOMS = 19.0, 9999
"""Radius of a large capsid, and atoms of a sixtieth of it: as many as a PDB file numbers."""


def measure_tables(command: Bench) -> list[dict[str, Any]]:
    """How long a source takes to be made, first and when its table is kept, and how fast it then is."""
    config = SimulationConfig(instrument=InstrumentConfig("amo86615-128"), good_fraction=1.0, noise=False)
    torus = SimulatedSource(replace(config, geometry=("torus",)))
    with TemporaryDirectory() as folder, _cache_in(Path(folder) / "cache"):
        cases = particles(Path(folder))
        if "capsid of atoms" in cases:
            (Path(folder) / "large").mkdir()
            large = capsid(Path(folder) / "large", _LARGE_NM, _LARGE_ATOMS)
            cases |= {
                "capsid of atoms, hydrated": f"{cases['capsid of atoms']},hydration_nm=0.3",
                f"capsid of {60 * _LARGE_ATOMS:,} atoms": large,
            }
        return [
            {"case": name} | _of_particle(replace(config, geometry=(geometry,)), torus, command)
            for name, geometry in cases.items()
        ]


def _of_particle(config: SimulationConfig, torus: SimulatedSource, command: Bench) -> dict[str, Any]:
    _, first_s = _made(config)
    source, from_cache_s = _made(config)
    batch = range(command.batch)
    own, other = medians_in_turn([partial(one.patterns, batch) for one in (source, torus)], command.repeats)
    table = source.table
    return {
        "first_s": first_s,
        "from_cache_s": from_cache_s,
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
