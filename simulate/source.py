"""Sources of labelled patterns: simulated on the fly or read from files, alike to whoever uses them."""

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
from .config import SimulationConfig
from .diffraction import intensity, particle_amplitudes
from .fluctuations import envelope, smooth_field
from .hit import Scene, sample_scene
from .instrument import Instrument
from .poisson import poisson
from .reciprocal import DetectorPlane, detector_plane

Array = np.ndarray | jax.Array

_CHUNK = 8
_LARGEST_TABLE_BYTES = 2**29


class Truth(NamedTuple):
    """What is known of each pattern; arrays with a leading axis of patterns.

    label: (B,) int32, 1 = good; particles: (B,) int32; photons: (B,) float32, expected on good pixels, background
    aside; background: (B,) float32, photons per pixel; scene: see `Scene`, each field with a leading axis.
    """

    label: Array
    particles: Array
    photons: Array
    background: Array
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


_STATIC = ("geometry", "particles", "noise", "amplitude")
# As a pytree, so that changing a number in the configuration does not compile the simulation anew.
jax.tree_util.register_dataclass(
    SimulationConfig,
    data_fields=[f.name for f in fields(SimulationConfig) if f.name not in (*_STATIC, "instrument")],
    meta_fields=list(_STATIC),
    drop_fields=["instrument"],
)


class _Setup(NamedTuple):
    """The arrays that patterns are computed from."""

    config: SimulationConfig
    plane: DetectorPlane
    amplitudes: AmplitudeGrid | Polyhedron
    circumradius: jax.Array
    good_pixel: jax.Array
    wavenumber: float
    focus_m: float


class SimulatedSource:
    """Patterns simulated on the fly: pattern i is a pure function of (configuration, seed, i).

    amplitude: how form factors are computed, "table" or "exact".

    Raises InputError for an impossible configuration, an unknown geometry, or a mesh that is not closed.
    """

    def __init__(self, config: SimulationConfig, seed: int = 0):
        self.config = config.check()
        self.seed = seed
        self.instrument = config.instrument.instrument()
        self.shape = self.instrument.shape
        self.name = " + ".join(config.geometry)
        self.bad_pixel = bad_pixels(self.instrument, config.bad_pixels)
        self._key = jax.random.key(seed)
        meshes = [load_geometry(spec) for spec in config.geometry]
        bodies = [from_mesh(mesh) for mesh in meshes]
        circumradius = np.array([mesh.circumradius for mesh in meshes])
        # Stretches beyond three standard deviations lose a little accuracy at the corners.
        largest = config.diameter_nm[1] * 1e-9 * np.exp(3 * config.stretch * np.sqrt(2 / 3))
        plane = detector_plane(self.instrument, largest * circumradius.max())
        wavenumber = self.instrument.wavenumber
        q_max = wavenumber * float(jnp.linalg.norm(plane.scattering, axis=-1).max()) * largest
        self.amplitude = config.amplitude
        if config.amplitude == "auto":
            # A look-up costs about as much as the exact sum over two edges, so a table always pays where it fits.
            fits = grid_bytes(bodies, q_max) <= _LARGEST_TABLE_BYTES
            self.amplitude = "table" if fits else "exact"
        self._setup = _Setup(
            config,
            plane,
            amplitude_grid(bodies, q_max) if self.amplitude == "table" else stack(bodies),
            jnp.asarray(circumradius, jnp.float32),
            jnp.asarray(~self.bad_pixel, jnp.float32),
            wavenumber,
            self.instrument.focus_m,
        )
        self._effects = tuple(
            name
            for name in ("fluctuation_strength", "envelope_strength")
            if getattr(config, name)[1] > 0
        )

    def reseeded(self, seed: int) -> "SimulatedSource":
        """The same simulation from another seed, its tables shared."""
        other = copy(self)
        other.seed, other._key = seed, jax.random.key(seed)
        return other

    def patterns(self, indices) -> Patterns:
        """The patterns of these indices, (B,) int >= 0, in their order; counts int32 (float32 without noise)."""
        indices = jnp.asarray(np.asarray(indices), jnp.uint32)
        counts, truth = _simulate(self._setup, self._key, indices, self._effects)
        return Patterns(counts, truth.label, truth)


def bad_pixels(instrument: Instrument, share: float) -> np.ndarray:
    """The beamstop's shadow, the gap and a share of dead pixels, (ny, nx) bool, True = do not use."""
    (ny, nx), (cy, cx) = instrument.shape, instrument.centre
    y, x = (np.arange(ny)[:, None] - cy), (np.arange(nx)[None, :] - cx)
    shadow = np.hypot(y, x) * instrument.pixel_size_m < instrument.beamstop_radius_m
    shadow |= np.abs(y) * instrument.pixel_size_m < instrument.gap_m / 2
    return shadow | (np.random.default_rng(0).random(instrument.shape) < share)


def _unit_amplitude(amplitudes: AmplitudeGrid | Polyhedron, geometry, q):
    """Transform of the unit body of that index."""
    if isinstance(amplitudes, AmplitudeGrid):
        return look_up(amplitudes, geometry, q)
    return form_factor(jax.tree.map(lambda a: a[geometry], amplitudes), q)


@partial(jax.jit, static_argnums=3)
def _simulate(setup: _Setup, key, indices, effects):
    """Counts and truth in the order of `indices`.

    Single hits are computed in chunks of their own, and so are multi-hits: every pattern runs through the same
    program whatever the batch, so its photons do not depend on the batch; and single hits do not pay for the
    other particles of multi-hits.
    """
    most = setup.config.particles[1]
    # A Weyl sequence: any run of indices holds the stated share of single hits to within a pattern or two.
    single = (indices * jnp.uint32(2654435769) >> 8).astype(jnp.float32) * 2.0**-24 < setup.config.good_fraction

    def intensities(slots, scene):
        return jax.vmap(partial(_intensity, setup))(jax.tree.map(lambda a: a[:, :slots], scene))

    def chunk(is_multi, positions):
        keys = jax.vmap(lambda i: jax.random.split(jax.random.fold_in(key, i), 5))(indices[positions])
        sample = partial(sample_scene, config=setup.config, circumradius=setup.circumradius, focus_m=setup.focus_m)
        scene = jax.vmap(partial(sample, slots=most))(keys[:, 0], single[positions])
        levels = jax.vmap(partial(_levels, setup.config))(keys[:, 1])
        relative = jax.lax.switch(is_multi, [partial(intensities, 1), partial(intensities, most)], scene)
        counts = jax.vmap(partial(_counts, setup, effects))(relative, levels, keys)
        label = single[positions].astype(jnp.int32)
        return counts, Truth(label, scene.present.sum(1), levels["photons"], levels["background"], scene)

    return _in_chunks(chunk, (~single).astype(jnp.int32), 2)


def _in_chunks(chunk, kind, kinds):
    """Results of `chunk(kind, positions (C,))` for every position, each call having positions of one kind only.

    kind: (B,) int32 in 0 ... kinds - 1. The last chunk of a kind is filled up with positions whose results are dropped.
    """
    batch = len(kind)
    order = jnp.argsort(kind, stable=True)
    count = jnp.bincount(kind, length=kinds)
    first = jnp.cumsum(count) - count
    last_chunk = jnp.cumsum(-(-count // _CHUNK))

    def run(number):
        this = jnp.minimum(jnp.searchsorted(last_chunk, number, side="right"), kinds - 1)
        within = (number - last_chunk[this]) * _CHUNK + -(-count[this] // _CHUNK) * _CHUNK + jnp.arange(_CHUNK)
        position = order[jnp.clip(first[this] + within, 0, batch - 1)]
        return chunk(this, position), jnp.where(within < count[this], position, batch)

    n_chunks = batch // _CHUNK + kinds
    result, position = jax.lax.map(run, jnp.arange(n_chunks))
    slot = jnp.zeros(batch, jnp.int32).at[position.reshape(-1)].set(jnp.arange(n_chunks * _CHUNK), mode="drop")
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[slot], result)


def _levels(config: SimulationConfig, key):
    """The random strengths of one pattern, by name."""
    uniform = jax.random.uniform(key, (5,))

    def between(u, low_high):
        return low_high[0] + (low_high[1] - low_high[0]) * u

    def log_between(u, low_high):
        return jnp.exp(between(u, (jnp.log(low_high[0]), jnp.log(low_high[1]))))

    return {
        "photons": log_between(uniform[0], config.photons),
        "background": between(uniform[1], config.background),
        "field_strength": between(uniform[2], config.fluctuation_strength),
        "field_length": log_between(uniform[3], config.fluctuation_length),
        "envelope_strength": between(uniform[4], config.envelope_strength),
    }


def _intensity(setup: _Setup, scene: Scene):
    """Photons of a scene, (ny, nx), up to a factor."""
    plane = setup.plane
    amplitude = particle_amplitudes(scene, plane, setup.wavenumber, partial(_unit_amplitude, setup.amplitudes))
    return intensity(amplitude, scene, plane, setup.wavenumber) * plane.solid_angle * plane.polarisation


def _counts(setup: _Setup, effects, relative, level, key):
    """Counts (ny, nx) of a pattern of those relative photons."""
    expected = relative
    if "fluctuation_strength" in effects:
        expected = expected * smooth_field(key[2], expected.shape, level["field_strength"], level["field_length"])
    if "envelope_strength" in effects:
        expected = expected * envelope(key[3], setup.plane.scattering, level["envelope_strength"])
    expected = expected * (level["photons"] / jnp.sum(expected * setup.good_pixel))
    expected = (expected + level["background"]) * setup.good_pixel
    return poisson(key[4], expected) if setup.config.noise else expected
