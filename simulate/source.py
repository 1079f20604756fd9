"""Sources of labelled patterns: simulated on the fly or read from files, alike to whoever uses them."""

import math
from copy import copy
from dataclasses import fields
from functools import partial
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ..geometries.amplitude_grid import AmplitudeGrid, amplitude_grid, grid_bytes, look_up
from ..geometries.form_factor import Polyhedron, form_factor, from_mesh, stack
from ..geometries.shapes import geometry as load_geometry
from .config import BackgroundConfig, BadConfig, BeamConfig, OrientationConfig, SimulationConfig
from .diffraction import Pulse, ellipsoid_amplitudes, intensity, particle_amplitudes
from .fluctuations import background, envelope, smooth_field
from .hit import (
    AGGREGATE,
    DEBRIS,
    DROPLET,
    EMPTY,
    LARGEST_STRETCH,
    MULTI_HIT,
    SINGLE,
    WET_PARTICLE,
    Materials,
    Scene,
    sample_scene,
    slots_needed,
)
from .instrument import PLANCK_TIMES_C_EV_M, Instrument
from .materials import material
from .pixels import assemble
from .poisson import poisson
from .ranges import between, log_between
from .readout import ReadoutMaps, bad_pixels, readout, readout_maps
from .reciprocal import DetectorPlane, detector_plane

Array = np.ndarray | jax.Array

_CHUNK = {"cpu": 8}
_CHUNK_ELSEWHERE = 1024  # accelerators want work in large pieces, caches in small ones
_LARGEST_TABLE_BYTES = 2**29


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


class Patterns(NamedTuple):
    """A batch. counts: (B, ny, nx); label: (B,) int, 1 = good, 0 = bad; truth: None where it is not known."""

    counts: Array
    label: Array
    truth: Truth | None


class PatternSource(Protocol):
    """Labelled patterns by index.

    shape: (ny, nx); bad_pixel: (ny, nx) bool, True = do not use; name: for tables and pictures.
    """

    shape: tuple[int, int]
    bad_pixel: np.ndarray
    name: str

    def patterns(self, indices) -> Patterns:
        """The patterns of these indices, (B,) int, in their order."""
        ...


_DEBRIS = tuple(f"random-polyhedron:seed={seed},corners={8 + 4 * seed}" for seed in range(4))
_PULSE_LIMIT = 4.0  # standard deviations of the photon energy that tables and nodes reach


def _register(kind, static: tuple[str, ...] = (), dropped: tuple[str, ...] = ()):
    """A configuration as a pytree, so that changing a number in it compiles nothing anew."""
    data = [f.name for f in fields(kind) if f.name not in static + dropped]
    jax.tree_util.register_dataclass(kind, data, list(static), list(dropped))


_register(BeamConfig, ("profile",))
_register(BadConfig, (), ("droplet_material", "debris_material"))
_register(BackgroundConfig)
_register(OrientationConfig, ("kind",))
_register(SimulationConfig, ("geometry", "noise"), ("instrument", "material", "amplitude"))


class _Setup(NamedTuple):
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


class _Shape(NamedTuple):
    """What the compiled program depends on, besides the shapes of the arrays."""

    slots: int
    multi_slots: int
    kinds: tuple[int, ...]
    effects: tuple[str, ...]


class SimulatedSource:
    """Patterns simulated on the fly: pattern i is a pure function of (configuration, seed, i).

    amplitude: how form factors are computed, "table" or "exact". Raises InputError for an impossible configuration, an
    unknown geometry or material, or a mesh that is not closed.
    """

    def __init__(self, config: SimulationConfig, seed: int = 0):
        self.config = config.check()
        self.seed = seed
        self.instrument = config.instrument.instrument()
        self.shape = self.instrument.shape
        self.name = " + ".join(config.geometry)
        self.bad_pixel = bad_pixels(self.instrument, config.readout.check())
        self._key = jax.random.key(seed)

        shares = {SINGLE: config.good_fraction}
        total = sum(config.bad.shares().values())
        for kind, share in enumerate(config.bad.shares().values(), 1):
            shares[kind] = (1 - config.good_fraction) * share / total if config.good_fraction < 1 else 0.0
        kinds = tuple(kind for kind, share in shares.items() if share > 0)

        specs = config.geometry + (_DEBRIS if DEBRIS in kinds else ())
        meshes = [load_geometry(spec) for spec in specs]
        bodies = [from_mesh(mesh) for mesh in meshes]
        circumradius = np.array([mesh.circumradius for mesh in meshes])
        largest = config.diameter_nm[1] * 1e-9 * np.exp(LARGEST_STRETCH * config.stretch)
        if DEBRIS in kinds:
            debris = config.bad.debris_diameter_nm[1] * 1e-9 * np.exp(LARGEST_STRETCH * config.stretch)
            largest = max(largest, debris)
        wavenumber = self.instrument.wavenumber
        reach = 1 + _PULSE_LIMIT * config.beam.photon_energy_jitter
        plane = detector_plane(self.instrument, largest * circumradius.max() * reach)
        # Both signs of the pointing jitter, in units of the pixel's angle.
        tilt = _PULSE_LIMIT * config.beam.pointing_jitter_px * self._pixel_angle
        q_max = wavenumber * reach * largest * (float(jnp.linalg.norm(plane.scattering, axis=-1).max()) + tilt)
        self.amplitude = config.amplitude
        if config.amplitude == "auto":
            # A look-up costs about as much as the exact sum over two edges, so a table always pays where it fits.
            fits = grid_bytes(bodies, q_max) <= _LARGEST_TABLE_BYTES
            self.amplitude = "table" if fits else "exact"

        names = (config.material, config.bad.droplet_material, config.bad.debris_material)
        energy = self.instrument.photon_energy_ev
        materials = Materials(*(jnp.complex64(material(name, energy).contrast) for name in names))
        self._setup = _Setup(
            config,
            plane,
            amplitude_grid(bodies, q_max) if self.amplitude == "table" else stack(bodies),
            jnp.asarray(circumradius, jnp.float32),
            materials,
            readout_maps(self.instrument, config.readout),
            jnp.asarray(np.cumsum([shares[kind] for kind in kinds]), jnp.float32),
            wavenumber,
            self.instrument.focus_m,
            self._pixel_angle,
            _photons_per_unit(self.instrument, config.beam.profile),
        )
        self._shape = _Shape(
            slots_needed(config),
            config.particles[1],
            kinds,
            _effects(config),
        )

    @property
    def _pixel_angle(self) -> float:
        return self.instrument.pixel_size_m / self.instrument.distance_m

    @property
    def table(self) -> AmplitudeGrid | None:
        """The tabulated form factors, where there is a table."""
        return self._setup.amplitudes if isinstance(self._setup.amplitudes, AmplitudeGrid) else None

    @property
    def nodes(self) -> tuple[int, int]:
        """Rows and columns of nodes on each panel that amplitudes are computed on."""
        rows, columns = self._setup.plane.node_scattering.shape[1:3]
        return rows, columns

    @property
    def contrast(self) -> jax.Array:
        """Refractive index of the sample's material minus 1, () complex64."""
        return self._setup.materials.sample

    def reseeded(self, seed: int) -> "SimulatedSource":
        """The same simulation from another seed, its tables shared."""
        other = copy(self)
        other.seed, other._key = seed, jax.random.key(seed)
        return other

    def patterns(self, indices) -> Patterns:
        """The patterns of these indices, (B,) int >= 0, in their order; counts int32 (float32 without noise)."""
        indices = jnp.asarray(np.asarray(indices), jnp.uint32)
        counts, truth = _simulate(self._setup, self._key, indices, self._shape)
        return Patterns(counts, truth.label, truth)

    def expected_photons(self, scene: Scene, pulse_photons, ellipsoids: bool = False) -> jax.Array:
        """Photons that a scene scatters into each pixel on average, (ny, nx) float32: no background, no mask.

        A pure function of the scene, differentiable with respect to its diameters, stretches, orientations, positions
        and fluences, and to pulse_photons, the number of photons in the pulse. Bodies larger than the configuration's
        largest, stretched, are beyond its tables: their pattern is wrong. ellipsoids: whether all bodies are
        ellipsoids rather than geometries of the configuration.
        """
        pulse = Pulse(self._setup.wavenumber)
        everything, nothing = slice(0, None), slice(0, 0)
        slots = (nothing, everything) if ellipsoids else (everything, nothing)
        return _photons_per_sr(self._setup, slots, scene, pulse) * (self._setup.photons_per_unit * pulse_photons)

    def amplitudes(self, scene: Scene) -> jax.Array:
        """Amplitude of every body of a scene about its own centre, (N, ny, nx) complex64, in nm^3 times its contrast
        and the square root of its fluence; the bodies are geometries of the configuration."""
        unit = partial(_unit_amplitude, self._setup.amplitudes)
        return particle_amplitudes(scene, self._setup.plane, Pulse(self._setup.wavenumber), unit)


class _Pictures:
    """A source whose frames of several panels are put together to pictures."""

    def __init__(self, source: SimulatedSource):
        self._source, self.name = source, source.name
        counts = np.zeros((1, *source.shape), np.int32)
        picture, self.bad_pixel = assemble(counts, source.instrument, source.bad_pixel)
        self.shape = picture.shape[1:]

    def patterns(self, indices) -> Patterns:
        patterns = self._source.patterns(indices)
        return patterns._replace(counts=assemble(np.asarray(patterns.counts), self._source.instrument)[0])


def as_pictures(source: SimulatedSource) -> PatternSource:
    """The source as classifiers see it: panels where they stand, gaps marked as bad pixels."""
    return _Pictures(source) if source.instrument.panels else source


def _photons_per_unit(instrument: Instrument, profile: str) -> float:
    """Scattered photons a steradian for one photon in the pulse and one nm^6 of squared amplitude.

    Born approximation: a body of contrast n - 1 scatters |k^2 / 2 pi (n - 1) F(q)|^2 times the fluence per steradian
    (Als-Nielsen & McMorrow 2011, Elements of Modern X-ray Physics, section 3.1, with n - 1 = -2 pi r_e rho / k^2).
    """
    area = math.pi * (instrument.focus_m / 2) ** 2
    peak_fluence = math.log(2) / area if profile == "gaussian" else 1 / (area * math.gamma(1.1) / math.log(2) ** 0.1)
    return peak_fluence * (instrument.wavenumber**2 / (2 * math.pi)) ** 2 * 1e-54


def _effects(config: SimulationConfig) -> tuple[str, ...]:
    """The effects that are on, by name; the others are not compiled."""
    on = {
        "pulse_photons": config.beam.pulse_photons is not None,
        "coherence": config.beam.coherence_length_m > 0,
        "bandwidth": config.beam.bandwidth > 0,
        "background": any(getattr(config.background, name)[1] > 0 for name in ("uniform", "halo", "streak")),
        "fluctuations": config.fluctuation_strength[1] > 0,
        "envelope": config.envelope_strength[1] > 0,
        "readout": config.readout.changes_counts,
    }
    return tuple(name for name, is_on in on.items() if is_on)


@partial(jax.jit, static_argnums=3)
def _simulate(setup: _Setup, key, indices, shape: _Shape):
    """Counts and truth in the order of `indices`.

    Patterns of one kind are computed in chunks of their own: every pattern runs through the same program whatever
    the batch, so its photons do not depend on the batch; and single hits do not pay for the slots of multi-hits.
    """
    # A Weyl sequence: any run of indices holds the stated share of every kind to within a pattern or two.
    place = (indices * jnp.uint32(2654435769) >> 8).astype(jnp.float32) * 2.0**-24
    which = jnp.searchsorted(setup.kind_limits[:-1], place, side="right").astype(jnp.int32)

    def chunk(number, positions):
        kind = jnp.array(shape.kinds)[number]

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
                shape.slots,
            )
            return keys, scene, _pulse(setup, shape.effects, keys[1])

        keys, scene, pulse = jax.vmap(sample)(indices[positions])
        needed = [_bodies(kind, shape) for kind in shape.kinds]
        distinct = [slots for i, slots in enumerate(needed) if slots not in needed[:i]]
        programs = [jax.vmap(partial(_photons_per_sr, setup, slots)) for slots in distinct]
        which_program = jnp.array([distinct.index(slots) for slots in needed])[number]
        scattered = jax.lax.switch(which_program, programs, scene, pulse)
        counts, photons, behind = jax.vmap(partial(_counts, setup, shape.effects))(scattered, keys)
        energy = jnp.asarray(pulse.wavenumber) * (PLANCK_TIMES_C_EV_M / (2 * math.pi))
        kinds = jnp.broadcast_to(kind, positions.shape)
        label = (kinds == SINGLE).astype(jnp.int32)
        return counts, Truth(label, kinds, scene.present.sum(1), photons, behind, energy, scene)

    return _in_chunks(chunk, which, len(shape.kinds))


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


def _bodies(kind: int, shape: _Shape) -> tuple[slice, slice]:
    """Slots of a scene that hold meshes, and those that hold ellipsoids."""
    none, one = slice(0, 0), slice(0, 1)
    return {
        SINGLE: (one, none),
        MULTI_HIT: (slice(0, shape.multi_slots), none),
        DROPLET: (none, one),
        WET_PARTICLE: (slice(1, 2), one),
        DEBRIS: (one, none),
        AGGREGATE: (none, slice(0, shape.slots)),
        EMPTY: (none, none),
    }[kind]


def _pulse(setup: _Setup, effects, key) -> Pulse:
    """One pulse's photon energy and direction."""
    beam = setup.config.beam
    normal = jnp.clip(jax.random.normal(key, (3,)), -_PULSE_LIMIT, _PULSE_LIMIT)
    wavenumber = setup.wavenumber * (1 + beam.photon_energy_jitter * normal[0])
    across = beam.pointing_jitter_px * setup.pixel_angle * normal[1:]
    tilt = jnp.append(across, jnp.sqrt(1 - jnp.sum(across**2)) - 1)
    coherence_length_m = beam.coherence_length_m if "coherence" in effects else None
    return Pulse(wavenumber, tilt, coherence_length_m, beam.bandwidth if "bandwidth" in effects else None)


def _photons_per_sr(setup: _Setup, slots: tuple[slice, slice], scene: Scene, pulse: Pulse):
    """Squared amplitude of a scene, with solid angle and polarisation, (ny, nx)."""
    plane = setup.plane
    meshes, ellipsoids = (jax.tree.map(lambda a, part=part: a[part], scene) for part in slots)
    amplitudes = []
    if len(meshes.present):
        unit = partial(_unit_amplitude, setup.amplitudes)
        amplitudes.append(particle_amplitudes(meshes, plane, pulse, unit))
    if len(ellipsoids.present):
        amplitudes.append(ellipsoid_amplitudes(ellipsoids, plane, pulse))
    if not amplitudes:
        return jnp.zeros(plane.solid_angle.shape)
    bodies = jax.tree.map(lambda *a: jnp.concatenate(a), meshes, ellipsoids)
    return intensity(jnp.concatenate(amplitudes), bodies, plane, pulse) * plane.solid_angle * plane.polarisation


def _unit_amplitude(amplitudes: AmplitudeGrid | Polyhedron, geometry, q):
    """Transform of the unit body of that index."""
    if isinstance(amplitudes, AmplitudeGrid):
        return look_up(amplitudes, geometry, q)
    return form_factor(jax.tree.map(lambda a: a[geometry], amplitudes), q)


def _counts(setup: _Setup, effects, scattered, keys):
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
