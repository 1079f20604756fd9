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
from .config import BackgroundConfig, BadConfig, BeamConfig, OrientationConfig, SimulationConfig
from .diffraction import Pulse, ellipsoid_amplitudes, intensity, particle_amplitudes
from .fluctuations import background, envelope, smooth_field
from .hit import AGGREGATE, DEBRIS, DROPLET, EMPTY, MULTI_HIT, SINGLE, WET_PARTICLE, Materials, Scene, sample_scene
from .instrument import PLANCK_TIMES_C_EV_M
from .poisson import poisson
from .ranges import between, log_between
from .readout import ReadoutMaps, readout
from .reciprocal import DetectorPlane

Array = np.ndarray | jax.Array

PULSE_LIMIT = 4.0
"""Standard deviations of the photon energy and the pointing that pulses, and so tables and nodes, reach."""

_CHUNK = {"cpu": 8}
_CHUNK_ELSEWHERE = 1024  # accelerators want work in large pieces, caches in small ones


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
_register(OrientationConfig, ("kind",))
_register(SimulationConfig, ("geometry", "noise"), ("instrument", "material", "amplitude"))


class Setup(NamedTuple):
    """The arrays that patterns are computed from."""

    config: SimulationConfig
    plane: DetectorPlane
    amplitudes: AmplitudeGrid | Polyhedron
    circumradius: jax.Array
    materials: Materials
    maps: ReadoutMaps
    kind_limits: jax.Array
    wavenumber: float
    focus_m: float
    pixel_angle: float
    photons_per_unit: float


class Variant(NamedTuple):
    """What the compiled program depends on, besides the shapes of the arrays."""

    slots: int
    multi_slots: int
    kinds: tuple[int, ...]
    effects: tuple[str, ...]


@partial(jax.jit, static_argnums=3)
def simulate(setup: Setup, key, indices, variant: Variant):
    """Counts and truth in the order of `indices`.

    Patterns of one kind are computed in chunks of their own: every pattern runs through the same program whatever
    the batch, so its photons do not depend on the batch; and single hits do not pay for the slots of multi-hits.
    """
    # A Weyl sequence: any run of indices holds the stated share of every kind to within a pattern or two.
    place = (indices * jnp.uint32(2654435769) >> 8).astype(jnp.float32) * 2.0**-24
    which = jnp.searchsorted(setup.kind_limits[:-1], place, side="right").astype(jnp.int32)

    def chunk(number, positions):
        kind = jnp.array(variant.kinds)[number]

        def sample(i):
            keys = jax.random.split(jax.random.fold_in(key, i), 7)
            scene = sample_scene(
                keys[0],
                i,
                kind,
                setup.config,
                setup.circumradius,
                setup.materials,
                setup.focus_m,
                variant.slots,
            )
            return keys, scene, _pulse(setup, variant.effects, keys[1])

        keys, scene, pulse = jax.vmap(sample)(indices[positions])
        needed = [_bodies(kind, variant) for kind in variant.kinds]
        distinct = [slots for i, slots in enumerate(needed) if slots not in needed[:i]]
        programs = [jax.vmap(partial(photons_per_sr, setup, slots)) for slots in distinct]
        which_program = jnp.array([distinct.index(slots) for slots in needed])[number]
        scattered = jax.lax.switch(which_program, programs, scene, pulse)
        counts, photons, behind = jax.vmap(partial(_counts, setup, variant.effects))(scattered, keys)
        energy = jnp.asarray(pulse.wavenumber) * (PLANCK_TIMES_C_EV_M / (2 * math.pi))
        kinds = jnp.broadcast_to(kind, positions.shape)
        label = (kinds == SINGLE).astype(jnp.int32)
        return counts, Truth(label, kinds, scene.present.sum(1), photons, behind, energy, scene)

    return _in_chunks(chunk, which, len(variant.kinds))


def _in_chunks(chunk, kind, kinds):
    """Results of `chunk(kind, positions (C,))` for every position, each call having positions of one kind only.

    kind: (B,) int32 in 0 ... kinds - 1. The last chunk of a kind is filled up with positions whose results are dropped.
    """
    batch, size = len(kind), _CHUNK.get(jax.default_backend(), _CHUNK_ELSEWHERE)
    order = jnp.argsort(kind, stable=True)
    count = jnp.bincount(kind, length=kinds)
    first = jnp.cumsum(count) - count
    chunks = -(-count // size)
    last_chunk = jnp.cumsum(chunks)

    def run(number):
        this = jnp.minimum(jnp.searchsorted(last_chunk, number, side="right"), kinds - 1)
        within = (number - last_chunk[this] + chunks[this]) * size + jnp.arange(size)
        position = order[jnp.clip(first[this] + within, 0, batch - 1)]
        return chunk(this, position), jnp.where(within < count[this], position, batch)

    n_chunks = batch // size + kinds
    result, position = jax.lax.map(run, jnp.arange(n_chunks))
    slot = jnp.zeros(batch, jnp.int32).at[position.reshape(-1)].set(jnp.arange(n_chunks * size), mode="drop")
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[slot], result)


def _bodies(kind: int, variant: Variant) -> tuple[slice, slice]:
    """Slots of a scene that hold meshes, and those that hold ellipsoids."""
    none, one = slice(0, 0), slice(0, 1)
    return {
        SINGLE: (one, none),
        MULTI_HIT: (slice(0, variant.multi_slots), none),
        DROPLET: (none, one),
        WET_PARTICLE: (slice(1, 2), one),
        DEBRIS: (one, none),
        AGGREGATE: (none, slice(0, variant.slots)),
        EMPTY: (none, none),
    }[kind]


def _pulse(setup: Setup, effects, key) -> Pulse:
    """One pulse's photon energy and direction."""
    beam = setup.config.beam
    normal = jnp.clip(jax.random.normal(key, (3,)), -PULSE_LIMIT, PULSE_LIMIT)
    wavenumber = setup.wavenumber * (1 + beam.photon_energy_jitter * normal[0])
    across = beam.pointing_jitter_px * setup.pixel_angle * normal[1:]
    tilt = jnp.append(across, jnp.sqrt(1 - jnp.sum(across**2)) - 1)
    coherence_length_m = beam.coherence_length_m if "coherence" in effects else None
    return Pulse(wavenumber, tilt, coherence_length_m, beam.bandwidth if "bandwidth" in effects else None)


def photons_per_sr(setup: Setup, slots: tuple[slice, slice], scene: Scene, pulse: Pulse):
    """Squared amplitude of a scene, with solid angle and polarisation, (ny, nx)."""
    plane = setup.plane
    meshes, ellipsoids = (jax.tree.map(lambda a, part=part: a[part], scene) for part in slots)
    amplitudes = []
    if len(meshes.present):
        unit = partial(unit_amplitude, setup.amplitudes)
        amplitudes.append(particle_amplitudes(meshes, plane, pulse, unit))
    if len(ellipsoids.present):
        amplitudes.append(ellipsoid_amplitudes(ellipsoids, plane, pulse))
    if not amplitudes:
        return jnp.zeros(plane.solid_angle.shape)
    bodies = jax.tree.map(lambda *a: jnp.concatenate(a), meshes, ellipsoids)
    return intensity(jnp.concatenate(amplitudes), bodies, plane, pulse) * plane.solid_angle * plane.polarisation


def unit_amplitude(amplitudes: AmplitudeGrid | Polyhedron, geometry, q):
    """Transform of the unit body of that index."""
    if isinstance(amplitudes, AmplitudeGrid):
        return look_up(amplitudes, geometry, q)
    return form_factor(jax.tree.map(lambda a: a[geometry], amplitudes), q)


def _counts(setup: Setup, effects, scattered, keys):
    """Counts (ny, nx) of a pattern, and its photons and those of its background on good pixels."""
    config, good_pixel = setup.config, setup.maps.good_pixel
    _, _, k_levels, k_field, k_envelope, k_background, k_noise = keys
    uniform = jax.random.uniform(k_levels, (4,))

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
