"""`onehit bench`: how fast and how right the simulation is, on this machine, in one process."""

import json
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from ...geometries.errors import InputError
from ...geometries.form_factor import form_factor, from_mesh
from ...geometries.mesh import Mesh
from ...geometries.shapes import geometry, has_own_size, torus
from ...simulate.beamline.instrument import InstrumentConfig
from ...simulate.beamline.reciprocal import q_map
from ...simulate.config import BackgroundConfig, BadConfig, BeamConfig, ReadoutConfig, SimulationConfig
from ...simulate.config_io import versions
from ...simulate.scattering.orientation import rotation_matrix, uniform_rotation
from ...simulate.scattering.poisson import poisson
from ...simulate.scattering.ranges import bounds
from ...simulate.scattering.scene import scene_of
from ...simulate.source import SimulatedSource
from ..made_up import particles
from ..options import Bench
from .diffusion_map import measure_diffusion_map
from .memory import peak_megabytes
from .network import measure_network
from .populations import measure_populations
from .tables import measure_tables
from .timing import median_seconds, medians_in_turn
from .write import measure_writing

# Patterns a second, by number of pixels along a side: on two CPU cores, and on one H200.
TARGETS = {
    256: {"icosahedron": 1000, "icosahedron pair": 500, "soccer-ball": 700, "torus": 700}
    | {"published case": 1000, "published case, pair": 500},
    128: {"icosahedron": 4000, "icosahedron pair": 2000, "soccer-ball": 2800, "torus": 2800}
    | {"icosahedron, counted": 1500, "half multi-hits, counted": 1500}
    | {"capsid of atoms": 1400, "barrel of a density map": 1400, "shell": 1400},
}
GPU_TARGETS = {256: {}, 128: {"icosahedron": 100_000}}


def run_bench(command: Bench) -> None:
    """Measure, print tables, and write the same numbers as JSON where asked.

    Raises InputError where the folder of --out does not exist.
    """
    if command.out is not None and not command.out.parent.is_dir():
        raise InputError(f"{command.out.parent} does not exist: make that folder first")
    console = Console() if Console().is_terminal else Console(width=130)
    device = f"{jax.devices()[0].device_kind} ({platform.machine()}, {jax.local_device_count()} device)"
    result: dict[str, Any] = {"device": device, "versions": versions()}
    console.print(f"{device}, jax {jax.__version__}; medians of {command.repeats} runs, batches of {command.batch}")
    parts: dict[str, dict[str, Callable[[Bench], list[dict[str, Any]]]]] = {
        # Memory first: its peak is that of the process.
        "simulate": {
            "memory": _memory,
            "patterns": _patterns,
            "tables": measure_tables,
            "populations": measure_populations,
            "poisson": _poisson,
            "growth": _growth,
        },
        "write": {"writing": measure_writing},
        "network": {"network": measure_network},
        "diffusion-map": {"diffusion map": measure_diffusion_map},
    }
    for name, measure in parts[command.what].items():
        result[name] = measure(command)
        console.print(_table(name, result[name]))
    if command.out is not None:
        command.out.write_text(json.dumps(result, indent=2) + "\n")


EVERYTHING = SimulationConfig(
    bad=BadConfig(multi_hit=1, droplet=1, wet_particle=1, debris=1, aggregate=1, empty=1),
    beam=BeamConfig(
        pulse_photons=(1e11, 1e12),
        photon_energy_jitter=0.01,
        pointing_jitter_px=1.0,
        coherence_length_m=1e-6,
        bandwidth=0.01,
    ),
    background=BackgroundConfig(uniform=(0.1, 0.2), slope=(0.1, 0.2), halo=(1.0, 2.0), streak=(1.0, 2.0)),
    fluctuation_strength=(0.1, 0.3),
    envelope_strength=(0.1, 0.3),
    readout=ReadoutConfig(quantum_efficiency=0.9, read_noise_photons=0.2, pixel_gain_spread=0.1),
)
"""Every kind of hit that has a body, and most effects: what takes longest to compile."""


PUBLISHED = SimulationConfig(
    instrument=InstrumentConfig("amo86615", photon_energy_ev=1500.0, distance_m=0.3, pixel_size_m=200e-6),
    geometry=("icosahedron",),
    diameter_nm=(100.0, 100.0),
    good_fraction=1.0,
    noise=False,
)
"""One icosahedron of 100 nm, on which other simulators were measured: see docs/explanation/simulator.md."""


def _config(geometry: str, pixels: int, **changes) -> SimulationConfig:
    instrument = InstrumentConfig("amo86615" if pixels == 256 else "amo86615-128")
    return SimulationConfig(instrument=instrument, geometry=(geometry,), good_fraction=1.0, noise=False, **changes)


def _patterns(command: Bench) -> list[dict[str, Any]]:
    """Whole patterns through the public source, at both detector sizes."""
    with TemporaryDirectory() as folder:
        return _rows(command, Path(folder))


def _rows(command: Bench, folder: Path) -> list[dict[str, Any]]:
    rows = []
    pair = {"good_fraction": 0.0, "particles": (2, 2)}
    for pixels in (256, 128):
        shapes = ("icosahedron", "soccer-ball", "torus", "random-polyhedron")  # the last without a centre of symmetry
        cases = {name: _config(name, pixels) for name in shapes}
        cases["icosahedron pair"] = replace(cases["icosahedron"], **pair)
        if pixels == 256:
            cases["published case"] = PUBLISHED
            cases["published case, pair"] = replace(PUBLISHED, **pair)
        else:
            cases |= {name: _config(geometry, pixels) for name, geometry in particles(folder).items()}
        cases["icosahedron, counted"] = replace(cases["icosahedron"], noise=True)
        cases["half multi-hits, counted"] = replace(cases["icosahedron"], noise=True, good_fraction=0.5)
        cases["everything, counted"] = replace(EVERYTHING, instrument=cases["icosahedron"].instrument)
        for name, config in cases.items():
            start = time.perf_counter()
            source = SimulatedSource(config)
            prepared = time.perf_counter()
            jax.block_until_ready(source.patterns(range(command.batch)))
            first = time.perf_counter()
            seconds = median_seconds(partial(source.patterns, range(command.batch)), command.repeats)
            target = (GPU_TARGETS if jax.default_backend() == "gpu" else TARGETS)[pixels].get(name)
            row = {"case": name, "pixels": pixels, "patterns_per_second": command.batch / seconds, "target": target}
            row["amplitudes"] = source.amplitude
            row |= {"table_s": prepared - start, "first_batch_s": first - prepared}
            if config.good_fraction == 1 and not config.noise:
                row |= _work(source, command.batch / seconds)
            if "counted" not in name and "pair" not in name and not has_own_size(config.geometry[0]):
                row["amplitude_error"], row["ring_error"] = errors(source)
            rows.append(row)
    return rows


def _work(source: SimulatedSource, rate: float) -> dict[str, float]:
    """What single hits ask of the machine, counted by hand for the roofline: arithmetic, and memory traffic if nothing
    but the table's taps and the final pixels left the caches."""
    plane, grid = source.instrument, source.table
    if grid is None:
        return {}
    ny, nx = plane.shape
    my, mx = source.nodes
    parts = grid.coefficients.shape[-1]
    look_up = my * mx * (3 * 20 + 16 * 3 + parts * 64 * 2)
    interpolation = parts * 2 * (ny * my * mx + ny * mx * nx)
    flops = look_up + interpolation + 8 * ny * nx
    memory = my * mx * 64 * 4 * parts + ny * nx * 4
    return {"gflop_per_s": flops * rate / 1e9, "gbyte_per_s": memory * rate / 1e9}


def errors(source: SimulatedSource, orientations: int = 4) -> tuple[float, float]:
    """What a source computes against the exact form factor at every pixel, for the largest particle in some
    orientations: relative L2 error in amplitude over the detector, and the largest relative error of a ring's
    intensity out to the corner, rings being a pixel wide."""
    shape = geometry(source.config.geometry[0])
    assert isinstance(shape, Mesh)
    body = from_mesh(shape)
    _, diameter_nm = bounds(source.config.diameter_nm)
    q = jnp.asarray(q_map(source.instrument) * diameter_nm * 1e-9, jnp.float32)
    quaternions = jax.vmap(uniform_rotation)(jax.random.split(jax.random.key(0), orientations))
    got = np.asarray(source.amplitudes(scene_of(diameter_nm * 1e-9, quaternions)))
    turned = [[_exact(body, rows @ rotation_matrix(turn)) for rows in jnp.split(q, 16)] for turn in quaternions]
    exact = np.stack([np.concatenate([np.asarray(rows) for rows in rows16]) for rows16 in turned]) * diameter_nm**3
    amplitude = float(np.linalg.norm(got - exact) / np.linalg.norm(exact))

    y, x = np.mgrid[: q.shape[0], : q.shape[1]]
    middle_y, middle_x = source.instrument.centre
    ring = np.hypot(y - middle_y, x - middle_x).astype(int).ravel()
    got_rings, exact_rings = (
        np.stack([np.bincount(ring, np.abs(image.ravel()) ** 2) for image in images]) for images in (got, exact)
    )
    some = np.bincount(ring) > 0
    return amplitude, float(np.abs(got_rings[:, some] / exact_rings[:, some] - 1).max())


_exact = jax.jit(form_factor)


def _poisson(command: Bench) -> list[dict[str, Any]]:
    """The photon counter against JAX's and NumPy's on the same frames."""
    source = SimulatedSource(_config("icosahedron", 128, photons=(1e5, 1e5)))
    rows = []
    for name, rate in (
        ("patterns of 100,000 photons", source.patterns(range(64)).counts),
        ("0.05 photons a pixel", jnp.full((64, 128, 128), 0.05)),
        ("50 photons a pixel", jnp.full((64, 128, 128), 50.0)),
    ):
        host, key, rng = np.asarray(rate, np.float64), jax.random.key(0), np.random.default_rng(0)
        sample, peer = jax.jit(poisson), jax.jit(jax.random.poisson)
        works = (partial(sample, key, rate), partial(peer, key, rate), partial(rng.poisson, host))
        ours, theirs, numpy = medians_in_turn(works, command.repeats)
        rows.append({"case": name, "ours_s": ours, "times_jax": theirs / ours, "times_numpy": numpy / ours})
        rows[-1] |= {"target_jax": 40, "target_numpy": 2}
    return rows


def _growth(command: Bench) -> list[dict[str, Any]]:
    """Cost against pixels, particles and (exact path) edges: time a pattern, and over that of the first of each."""
    rows = []

    def add(axis: str, values: dict[int, SimulationConfig]) -> None:
        for value, config in values.items():
            source = SimulatedSource(config)
            seconds = median_seconds(partial(source.patterns, range(64)), command.repeats) / 64
            base = rows[-1]["base"] if rows and rows[-1]["axis"] == axis else (value, seconds)
            rows.append({"axis": axis, "value": value, "ms": seconds * 1e3, "base": base})
            rows[-1] |= {"size_ratio": value / base[0], "time_ratio": seconds / base[1]}

    plain = _config("icosahedron", 128)
    sizes = {n: InstrumentConfig("amo86615", shape=(n, n), pixel_size_m=0.0768 / n) for n in (128, 256, 512)}
    add("pixels", {n * n: replace(plain, instrument=instrument) for n, instrument in sizes.items()})
    multi_hits = {n: replace(plain, good_fraction=0.0, particles=(n, n)) for n in (2, 3, 4, 5, 8)}
    add("particles", {1: plain} | multi_hits)
    tori = {n: replace(plain, geometry=(f"torus:resolution={n}",), amplitude="exact") for n in (8, 16, 32)}
    add("edges, exact", {len(from_mesh(torus(resolution=n)).edge_left): c for n, c in tori.items()})
    return [{k: v for k, v in row.items() if k != "base"} for row in rows]


def _memory(command: Bench) -> list[dict[str, Any]]:
    """The largest memory that this process has held after some batches, streamed, and after all patterns asked for."""
    source = SimulatedSource(_config("icosahedron", 128))
    rows = []
    for patterns in (16 * command.batch, command.stream):
        done = rows[-1]["patterns"] if rows else 0
        for first in range(done, patterns, command.batch):
            jax.block_until_ready(source.patterns(range(first, first + command.batch)))
        rows.append({"patterns": patterns, "peak_mb": peak_megabytes()})
    jax.clear_caches()  # what is measured next compiles its own
    return rows


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for column in columns:
        table.add_column(column.replace("_", " "), justify="left" if column in ("case", "axis") else "right")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
