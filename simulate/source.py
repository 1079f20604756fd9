"""Sources of labelled patterns: simulated on the fly or read from files, alike to whoever uses them."""

import math
from copy import copy
from functools import partial
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ..geometries.amplitude_grid import AmplitudeGrid, grid_bytes
from ..geometries.errors import InputError
from ..geometries.form_factor import from_mesh, stack
from ..geometries.shapes import geometry as load_geometry
from .beamline.instrument import Instrument
from .beamline.materials import material
from .beamline.pixels import assemble
from .beamline.reciprocal import detector_plane
from .config import SimulationConfig
from .program import PULSE_LIMIT, Array, Program, Setup, Truth, Variant, photons_per_pixel, simulate, unit_amplitude
from .scattering.diffraction import Pulse, particle_amplitudes
from .scattering.hit import (
    AGGREGATE,
    DEBRIS,
    DROPLET,
    LARGEST_STRETCH,
    SINGLE,
    WET_PARTICLE,
    Materials,
    Scene,
    slots_needed,
)
from .scattering.readout import bad_pixels, readout_maps
from .tables import kept_grid

_LARGEST_TABLE_BYTES = 2**30
_MOST_CYCLES = 0.28
_FINEST_SPLIT = 4
_MOST_PARTS = 2**23


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


class SimulatedSource:
    """Patterns simulated on the fly: pattern i is a pure function of (configuration, seed, i).

    amplitude: how form factors are computed, "table" or "exact"; geometries: names that `Scene.geometry` counts, the
    debris after the sample's. Raises InputError for an impossible configuration, an unknown geometry or material, a
    mesh that is not closed, or a seed below 0 or from 2^32 on.
    """

    def __init__(self, config: SimulationConfig, seed: int = 0):
        self.config = config.check()
        self.seed = seed
        self.instrument = config.instrument.instrument()
        self.shape = self.instrument.shape
        self.name = " + ".join(config.geometry)
        self.bad_pixel = bad_pixels(self.instrument, config.readout.check())
        self._key = _key(seed)

        shares = {SINGLE: config.good_fraction}
        total = sum(config.bad.shares().values())
        for kind, share in enumerate(config.bad.shares().values(), 1):
            shares[kind] = (1 - config.good_fraction) * share / total if config.good_fraction < 1 else 0.0
        kinds = tuple(kind for kind, share in shares.items() if share > 0)

        self.geometries = config.geometry + (_DEBRIS if DEBRIS in kinds else ())
        meshes = [load_geometry(spec) for spec in self.geometries]
        bodies = [from_mesh(mesh) for mesh in meshes]
        circumradius = np.array([mesh.circumradius for mesh in meshes])
        largest = config.diameter_nm[1] * 1e-9 * np.exp(LARGEST_STRETCH * config.stretch)
        if DEBRIS in kinds:
            debris = config.bad.debris_diameter_nm[1] * 1e-9 * np.exp(LARGEST_STRETCH * config.bad.debris_stretch)
            largest = max(largest, debris)
        wavenumber = self.instrument.wavenumber
        reach = 1 + PULSE_LIMIT * config.beam.photon_energy_jitter
        splits = [_pixel_split(self.instrument, nm) for nm in self._extents_nm(2 * circumradius, kinds)]
        distinct = sorted({1, *splits})
        planes = tuple(
            detector_plane(self.instrument, largest * circumradius.max() * reach, split) for split in distinct
        )
        # Both signs of the pointing jitter, in units of the pixel's angle.
        tilt = PULSE_LIMIT * config.beam.pointing_jitter_px * self._pixel_angle
        q_max = wavenumber * reach * largest * (float(jnp.linalg.norm(planes[0].scattering, axis=-1).max()) + tilt)
        self.amplitude = config.amplitude
        if config.amplitude == "auto":
            # On one core a table of an icosahedron takes 1 s more to prepare and saves 0.4 ms a pattern; one of sixteen
            # procedural shapes 20 s and 17 ms. So it pays from one to three thousand patterns on. How many are asked
            # for must not matter: the first patterns of a longer set are those of a shorter one.
            fits = grid_bytes(bodies, q_max) <= _LARGEST_TABLE_BYTES
            self.amplitude = "table" if fits else "exact"

        names = (config.material, config.bad.droplet_material, config.bad.debris_material)
        energy = self.instrument.photon_energy_ev
        materials = Materials(*(jnp.complex64(material(name, energy).contrast) for name in names))
        self._setup = Setup(
            config,
            jnp.asarray(config.orientation.quaternions, jnp.float32).reshape(-1, 4),
            planes,
            kept_grid(bodies, q_max) if self.amplitude == "table" else stack(bodies),
            jnp.asarray(circumradius, jnp.float32),
            materials,
            readout_maps(self.instrument, config.readout),
            jnp.asarray(np.cumsum([shares[kind] for kind in kinds]), jnp.float32),
            wavenumber,
            self.instrument.focus_m,
            self._pixel_angle,
            _photons_per_unit(self.instrument, config.beam.profile),
        )
        self._variant = Variant(
            slots_needed(config),
            kinds,
            config.particles,
            config.bad.aggregate_spheres,
            _effects(config),
            *(distinct.index(split) for split in splits),
        )

    def _extents_nm(self, unit_extent, kinds) -> tuple[float, float]:
        """Of the largest particle, piece of debris or sphere of a clump, and of the largest droplet; stretch aside."""
        bad, sample = self.config.bad, len(self.config.geometry)
        particle = unit_extent[:sample].max() * self.config.diameter_nm[1]
        sizes = {
            DEBRIS: unit_extent[sample:].max(initial=0) * bad.debris_diameter_nm[1],
            AGGREGATE: bad.aggregate_diameter_nm[1],
            DROPLET: bad.droplet_diameter_nm[1],
            WET_PARTICLE: bad.shell[1] * particle,
        }

        def largest(*among):
            return max([particle, *(sizes[kind] for kind in among if kind in kinds)])

        return largest(DEBRIS, AGGREGATE), largest(DROPLET, WET_PARTICLE)

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
        other.seed, other._key = seed, _key(seed)
        return other

    def patterns(self, indices) -> Patterns:
        """The patterns of these indices, (B,) int >= 0, in their order; counts int32 (float32 without noise)."""
        counts, truth = simulate(self._setup, self._key, np.asarray(indices), self._variant)
        return Patterns(counts, truth.label, truth)

    def expected_photons(self, scene: Scene, pulse_photons, ellipsoids: bool = False) -> jax.Array:
        """Photons that a scene scatters into each pixel on average, (ny, nx) float32: no background, no mask.

        The pulse has the configuration's coherence and bandwidth, and no jitter. A pure function of the scene,
        differentiable with respect to its diameters, stretches, orientations, positions and fluences, and to
        pulse_photons, the number of photons in the pulse. Bodies larger than the configuration's largest, stretched,
        are beyond its tables: their pattern is wrong. ellipsoids: whether all bodies are ellipsoids rather than
        geometries of the configuration.
        """
        beam = self.config.beam
        pulse = Pulse(
            self._setup.wavenumber,
            coherence_length_m=beam.coherence_length_m or None,
            bandwidth=beam.bandwidth or None,
        )
        everything, nothing = slice(0, None), slice(0, 0)
        if ellipsoids:
            program = Program(nothing, everything, max(self._variant.particle_plane, self._variant.droplet_plane))
        else:
            program = Program(everything, nothing, self._variant.particle_plane)
        return photons_per_pixel(self._setup, program, scene, pulse) * (self._setup.photons_per_unit * pulse_photons)

    def amplitudes(self, scene: Scene) -> jax.Array:
        """Amplitude of every body of a scene about its own centre at pixel centres, in nm^3: (N, ny, nx), complex64, or
        float32 for bodies with a centre of symmetry; the bodies are geometries of the configuration."""
        unit = partial(unit_amplitude, self._setup.amplitudes)
        framed = particle_amplitudes(scene, self._setup.plane, Pulse(self._setup.wavenumber), unit)
        return framed[..., 1:-1, 1:-1].reshape(-1, *self.shape)


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


def _key(seed: int) -> jax.Array:
    if not 0 <= seed < 2**32:  # JAX would cut it to 32 bits, and two seeds give the same patterns
        raise InputError(f"seed is {seed}; it must lie in 0 to 2^32, 2^32 excluded")
    return jax.random.key(seed)


def _pixel_split(instrument: Instrument, extent_nm: float) -> int:
    """Into how many parts, each way, to split pixels for bodies of that extent: the parabolas that average a body's
    own rings over a pixel are right to 2 % of the rings' contrast where a pixel spans `_MOST_CYCLES` of the finest.
    No more than memory holds of a large detector."""
    cycles = extent_nm * 1e-9 * instrument.pixel_size_m / instrument.distance_m / instrument.wavelength_m
    finest = min(_FINEST_SPLIT, math.isqrt(_MOST_PARTS // math.prod(instrument.shape)))
    return max(min(math.ceil(cycles / _MOST_CYCLES), finest), 1)


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
