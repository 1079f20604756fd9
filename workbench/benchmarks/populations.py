"""`onehit bench simulate`: drawing from populations, beside the simulation that needs it."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...simulate.beamline.instrument import InstrumentConfig
from ...simulate.config import SimulationConfig
from ...simulate.scattering.laws import quantiles
from ...simulate.scattering.ranges import Population, between, log_between, padded, whole
from ...simulate.source import SimulatedSource
from ..options import Bench
from .timing import medians_in_turn

TARGET = 0.01
"""Of the time that the simulation of as many patterns takes, at most."""

_DRAWS = 1_000_000
_ROWS = 100_000
"""Of the files."""


def measure_populations(command: Bench) -> list[dict[str, Any]]:
    """A million draws of each law, and what share that is of the time of a million patterns of one icosahedron."""
    source = SimulatedSource(SimulationConfig(instrument=InstrumentConfig("amo86615-128"), good_fraction=1.0))
    uniform = jax.random.uniform(jax.random.key(0), (_DRAWS,))
    rows = []
    with TemporaryDirectory() as folder:
        for name, draw, population in _cases(Path(folder)):
            works = [partial(jax.jit(draw), uniform, population), partial(source.patterns, range(command.batch))]
            drawn, patterns = medians_in_turn(works, command.repeats)
            share = drawn / (patterns * _DRAWS / command.batch)
            rows.append({"case": name, "ms_a_million": drawn * 1e3, "share": share, "target": TARGET})
    return rows


def _cases(folder: Path) -> list[tuple[str, Any, Population]]:
    rng = np.random.default_rng(0)
    edges = np.linspace(60, 80, _ROWS + 1)
    bins = np.stack([edges[:-1], edges[1:], rng.random(_ROWS)], 1)
    np.savetxt(folder / "bins.csv", bins, "%.6f", ",", header="low,high,weight", comments="")
    np.savetxt(folder / "rows.csv", rng.normal(70, 3, _ROWS), "%.6f", header="diameter_nm", comments="")
    texts = {
        "uniform": "uniform:low=60,high=80",
        "log-uniform": "log-uniform:low=1e4,high=1e6",
        "normal": "normal:mean=70,sd=3",
        "log-normal": "log-normal:median=1e5,sigma=0.8",
        "gamma": "gamma:mean=1,shape=2",
        f"histogram of {_ROWS:,} bins": f"histogram:{folder / 'bins.csv'}",
        f"column of {_ROWS:,} rows": f"column:{folder / 'rows.csv'}",
    }
    laws = [(name, between, _ready(text)) for name, text in texts.items()]
    numbers = [("two whole numbers", whole, (2, 5)), ("poisson", whole, _ready("poisson:mean=3,low=2,high=16"))]
    return [("two numbers", between, (60.0, 80.0)), ("two, log", log_between, (1e4, 1e6)), *laws, *numbers]


def _ready(text: str) -> Population:
    """As in the compiled simulation."""
    return jax.tree.map(jnp.asarray, padded(quantiles(text)))
