"""The compiled program that turns the indices of patterns into counts and truth.

Everything here is a pure function of arrays; `SimulatedSource` prepares them and is what users call.
"""

import math
from dataclasses import fields
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..geometries.amplitude_grid import AmplitudeGrid, look_up
from ..geometries.form_factor import Polyhedron, form_factor
from .beamline.panel import PLANCK_TIMES_C_EV_M
from .beamline.reciprocal import DetectorPlane
from .config import BackgroundConfig, BadConfig, BeamConfig, OrientationConfig, SimulationConfig
from .scattering.deviates import deviates
from .scattering.diffraction import Pulse, ellipsoid_amplitudes, intensity, particle_amplitudes
from .scattering.fluctuations import background, envelope, smooth_field
from .scattering.hit import (
    AGGREGATE,
    DEBRIS,
    DROPLET,
    EMPTY,
    MULTI_HIT,
    SINGLE,
    WET_PARTICLE,
    Materials,
    Scene,
    sample_scene,
)
from .scattering.orientation import given_rotation
from .scattering.poisson import poisson
from .scattering.ranges import between, log_between
from .scattering.readout import ReadoutMaps, readout
from .scattering.readout_config import ReadoutConfig

Array = np.ndarray | jax.Array

PULSE_LIMIT = 4.0
"""Standard deviations of the photon energy and the pointing that pulses, and so tables and nodes, reach."""


class Truth(NamedTuple):
    """What is known of each pattern; arrays with a leading axis of patterns.

    label: (B,) int32, 1 = good; kind: (B,) int32, 0 for a single hit, from 1 on as in `BAD_KINDS`; particles: (B,)
    int32, bodies in the scene; photons: (B,) float32, expected on good pixels, background aside; background: (B,)
    float32, the same of the background; photon_energy_ev: (B,) float32; scene: see `Scene`, with a leading axis.
    """

    label: Array
    kind: Array
    particles: Array
    photons: Array
    background: Array
    photon_energy_ev: Array
    scene: Scene


def _register(kind, static: tuple[str, ...] = (), dropped: tuple[str, ...] = ()):
    """A configuration as a pytree, so that changing a number in it compiles nothing anew."""
    data = [f.name for f in fields(kind) if f.name not in static + dropped]
    jax.tree_util.register_dataclass(kind, data, list(static), list(dropped))


_register(BeamConfig, ("profile",))
_register(BadConfig, (), ("droplet_material", "debris_material"))
_register(BackgroundConfig)
_register(OrientationConfig, ("kind",), ("quaternions",))  # which `Setup` has as one array
_register(ReadoutConfig, (), ("detector_seed",))
_register(SimulationConfig, ("geometry", "noise"), ("instrument", "material", "amplitude"))


class Setup(NamedTuple):
    """The arrays that patterns are computed from. quaternions: (Q, 4), the configuration's; planes: the detector's
    pixels as they are, then split where bodies are so large that their rings are finer than pixels hold; see
    `SimulatedSource`."""

    config: SimulationConfig
    quaternions: jax.Array
    planes: tuple[DetectorPlane, ...]
    amplitudes: AmplitudeGrid | Polyhedron
    circumradius: jax.Array
    materials: Materials
    maps: ReadoutMaps
    kind_limits: jax.Array
    wavenumber: float
    focus_m: float
    pixel_angle: float
    photons_per_unit: float

    @property
    def plane(self) -> DetectorPlane:
        """The detector's pixels."""
        return self.planes[0]


class Program(NamedTuple):
    """What one kind of pattern is made of: slots of a scene that hold meshes, slots that hold ellipsoids, and which of
    the planes their waves are summed on."""

    meshes: slice
    ellipsoids: slice
    plane: int


class Variant(NamedTuple):
    """What the compiled program depends on, besides the shapes of the arrays.

    slots: of a scene; kinds: of patterns that occur; multi_hit, aggregate: fewest and most bodies of one; effects:
    those that are on; particle_plane, droplet_plane: which of the planes.
    """

    slots: int
    kinds: tuple[int, ...]
    multi_hit: tuple[int, int]
    aggregate: tuple[int, int]
    effects: tuple[str, ...]
    particle_plane: int
    droplet_plane: int


def simulate(setup: Setup, key, indices: np.ndarray, variant: Variant) -> tuple[jax.Array, Truth]:
    """Counts and truth of the patterns of these indices, (B,) int >= 0, in their order."""
    # To a power of two, so that batches of other lengths meet a compiled program.
    batch, size = len(indices), _chunk_size(setup, variant.slots)
    padded = np.zeros(max(size, 1 << (batch - 1).bit_length()), np.uint32)
    padded[:batch] = indices
    results = compiled(setup, key, padded, batch, size, variant)
    return results if batch == len(padded) else jax.tree.map(lambda a: a[:batch], results)


def _chunk_size(setup: Setup, slots: int) -> int:
    """Patterns computed at once, a power of two: accelerators want large pieces, caches small ones, and neither more
    than memory holds."""
    largest, most_values = (4, 2**24) if jax.default_backend() == "cpu" else (1024, 2**29)
    finest = setup.planes[-1]
    values = finest.solid_angle.size
    if isinstance(setup.amplitudes, Polyhedron):
        nodes, edges = finest.node_scattering[..., 0].size, setup.amplitudes.edge_left.shape[1]
        values = max(values, nodes * edges)
    fitting = max(most_values // (slots * values), 1)
    return min(largest, 1 << fitting.bit_length() - 1)


@partial(jax.jit, static_argnums=(4, 5))
def compiled(setup: Setup, key, indices, count, size: int, variant: Variant):
    """The same for the first `count` of the indices; what follows in the results means nothing.

    indices: (B,) uint32, B a multiple of `size`.

    Every pattern runs through the same compiled code in chunks of the same size, whatever the batch: so its photons do
    not depend on the batch. Scenes come first, since patterns of many bodies and of few have programs of their own.
    """
    kinds = jnp.array(variant.kinds)
    programs, program_of = _programs(variant)

    def sample(i):
        # A Weyl sequence: any run of indices holds the stated share of every kind to within a pattern or two.
        place = (i * jnp.uint32(2654435769) >> 8).astype(jnp.float32) * 2.0**-24
        number = jnp.searchsorted(setup.kind_limits[:-1], place, side="right").astype(jnp.int32)
        keys = jax.random.split(jax.random.fold_in(key, i), 7)
        scene = sample_scene(
            keys[0],
            given_rotation(i, setup.quaternions) if len(setup.quaternions) else None,
            kinds[number],
            setup.config,
            setup.circumradius,
            setup.materials,
            setup.focus_m,
            variant.slots,
        )
        program = jnp.asarray(program_of)[number, scene.present.sum()]
        return program, (kinds[number], keys, scene, _pulse(setup, variant.effects, keys[1]))

    @jax.jit  # to be traced once
    def measure(number, drawn):
        kind, keys, scene, pulse = drawn
        branches = [jax.vmap(partial(photons_per_pixel, setup, program)) for program in programs]
        scattered = jax.lax.switch(number, branches, scene, pulse)
        counts, photons, behind = jax.vmap(partial(_counts, setup, variant.effects))(scattered, keys)
        energy = jnp.asarray(pulse.wavenumber) * (PLANCK_TIMES_C_EV_M / (2 * math.pi))
        label = (kind == SINGLE).astype(jnp.int32)
        return counts, Truth(label, kind, scene.present.sum(1), photons, behind, energy, scene)

    batch = len(indices)
    drawn = jax.lax.map(jax.vmap(sample), indices.reshape(-1, size))
    program, drawn = jax.tree.map(lambda a: a.reshape(batch, *a.shape[2:]), drawn)
    group = jnp.where(jnp.arange(batch) < count, program, len(programs))
    return _grouped(measure, group, len(programs), drawn, size)


def _grouped(work, group, groups: int, arguments, size: int):
    """Results of `work(group, arguments)` for (B, ...) arguments, done `size` at a time, each time of one group only.

    group: (B,) int32; those of `groups` or more are left out. The last chunk of a group is filled up with others whose
    results are dropped.
    """
    batch = len(group)
    order = jnp.argsort(group, stable=True)
    count = jnp.bincount(group, length=groups)
    first = jnp.cumsum(count) - count
    chunks = -(-count // size)
    last_chunk = jnp.cumsum(chunks)

    def run(number, results):
        this = jnp.searchsorted(last_chunk, number, side="right")
        within = (number - last_chunk[this] + chunks[this]) * size + jnp.arange(size)
        position = order[jnp.minimum(first[this] + within, batch - 1)]
        chunk = work(this, jax.tree.map(lambda a: a[position], arguments))
        place = jnp.where(within < count[this], position, batch)
        return jax.tree.map(lambda all, new: all.at[place].set(new, mode="drop"), results, chunk)

    one = jax.eval_shape(work, group[0], jax.tree.map(lambda a: a[:size], arguments))
    results = jax.tree.map(lambda a: jnp.zeros((batch, *a.shape[1:]), a.dtype), one)
    return jax.lax.fori_loop(0, last_chunk[-1], run, results)


def _programs(variant: Variant) -> tuple[list[Program], np.ndarray]:
    """The programs, and which is that of each kind of pattern and number of bodies, (kinds, slots + 1)."""
    none, one = slice(0, 0), slice(0, 1)
    plane, droplet_plane = variant.particle_plane, variant.droplet_plane
    programs, program_of = [], np.zeros((len(variant.kinds), variant.slots + 1), int)
    for row, kind in zip(program_of, variant.kinds, strict=True):
        for count in range(variant.slots + 1):
            program = {
                SINGLE: Program(one, none, plane),
                MULTI_HIT: Program(slice(0, _rounded_up(count, *variant.multi_hit)), none, plane),
                DROPLET: Program(none, one, droplet_plane),
                WET_PARTICLE: Program(slice(1, 2), one, droplet_plane),
                DEBRIS: Program(one, none, plane),
                AGGREGATE: Program(none, slice(0, _rounded_up(count, *variant.aggregate)), plane),
                EMPTY: Program(none, none, 0),
            }[kind]
            if program not in programs:
                programs.append(program)
            row[count] = programs.index(program)
    return programs, program_of


def _rounded_up(count: int, fewest: int, most: int) -> int:
    """To the middle of the range or to its end: a program for every number would take seconds more to compile."""
    middle = (fewest + most) // 2
    return middle if count <= middle else most


def _pulse(setup: Setup, effects, key) -> Pulse:
    """One pulse's photon energy and direction."""
    beam = setup.config.beam
    normal = jnp.clip(deviates(key, 3, 0)[0], -PULSE_LIMIT, PULSE_LIMIT)
    wavenumber = setup.wavenumber * (1 + beam.photon_energy_jitter * normal[0])
    across = beam.pointing_jitter_px * setup.pixel_angle * normal[1:]
    tilt = jnp.append(across, jnp.sqrt(1 - jnp.sum(across**2)) - 1)
    coherence_length_m = beam.coherence_length_m if "coherence" in effects else None
    return Pulse(wavenumber, tilt, coherence_length_m, beam.bandwidth if "bandwidth" in effects else None)


def photons_per_pixel(setup: Setup, program: Program, scene: Scene, pulse: Pulse):
    """Squared amplitude of a scene times solid angle and polarisation, summed over each pixel's parts, (ny, nx)."""
    plane, (ny, nx) = setup.planes[program.plane], setup.plane.solid_angle.shape
    meshes, ellipsoids = (jax.tree.map(lambda a, part=part: a[part], scene) for part in program[:2])
    amplitudes = []
    if len(meshes.present):
        unit = partial(unit_amplitude, setup.amplitudes)
        amplitudes.append(particle_amplitudes(meshes, plane, pulse, unit))
    if len(ellipsoids.present):
        amplitudes.append(ellipsoid_amplitudes(ellipsoids, plane, pulse))
    if not amplitudes:
        return jnp.zeros((ny, nx))
    bodies = jax.tree.map(lambda *a: jnp.concatenate(a), meshes, ellipsoids)
    amplitude = jax.tree.map(lambda *a: jnp.concatenate(a), *amplitudes)
    received = intensity(amplitude, bodies, plane, pulse) * plane.solid_angle * plane.polarisation
    return received.reshape(ny, len(received) // ny, nx, -1).sum((1, 3))


def unit_amplitude(amplitudes: AmplitudeGrid | Polyhedron, geometry, q):
    """Transforms of the unit bodies of those indices, (N,), each at its own q, (N, ..., 3)."""
    if isinstance(amplitudes, AmplitudeGrid):
        return look_up(amplitudes, geometry, q)
    return jax.vmap(form_factor)(jax.tree.map(lambda a: a[geometry], amplitudes), q)


def _counts(setup: Setup, effects, scattered, keys):
    """Counts (ny, nx) of a pattern, and its photons and those of its background on good pixels."""
    config, good_pixel = setup.config, setup.maps.good_pixel
    _, _, k_levels, k_field, k_envelope, k_background, k_noise = keys
    _, uniform = deviates(k_levels, 0, 4)

    expected = scattered
    if "fluctuations" in effects:
        strength, length = (
            between(uniform[1], config.fluctuation_strength),
            log_between(uniform[2], config.fluctuation_length),
        )
        panels = len(setup.maps.panel_gain)
        expected = expected * smooth_field(k_field, setup.plane.scattering, panels, strength, length)
    if "envelope" in effects:
        expected = expected * envelope(
            k_envelope, setup.plane.scattering, between(uniform[3], config.envelope_strength)
        )
    total = jnp.sum(expected * good_pixel)
    if "pulse_photons" in effects:
        factor = log_between(uniform[0], config.beam.pulse_photons) * setup.photons_per_unit
    else:
        factor = log_between(uniform[0], config.photons) / jnp.where(total > 0, total, 1.0)
    expected = expected * factor * good_pixel
    photons, behind = total * factor, jnp.float32(0)
    if "background" in effects:
        extra = background(k_background, setup.plane.scattering, config.background) * good_pixel
        expected, behind = expected + extra, extra.sum()
    if not config.noise:
        counts = readout(None, expected, config.readout, setup.maps) if "readout" in effects else expected
    elif "readout" in effects:
        counts = readout(k_noise, expected, config.readout, setup.maps)
    else:
        counts = poisson(k_noise, expected)
    return counts, photons, behind
