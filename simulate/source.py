"""Sources of labelled patterns: simulated on the fly or read from files, alike to whoever uses them."""

from dataclasses import fields
from functools import partial
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from ..geometries.amplitude_grid import AmplitudeGrid, amplitude_grid, look_up
from ..geometries.form_factor import form_factor, from_mesh
from ..geometries.shapes import geometry as load_geometry
from .config import SimulationConfig
from .diffraction import intensity, particle_amplitudes
from .fluctuations import envelope, smooth_field
from .hit import Scene, sample_scene
from .instrument import Instrument
from .poisson import poisson
from .reciprocal import DetectorPlane, detector_plane

_CHUNK = 8


class Truth(NamedTuple):
    """What is known of each pattern; arrays with a leading axis of patterns.

    label: (B,) int32, 1 = good; particles: (B,) int32; photons: (B,) float32, expected on good pixels, background
    aside; background: (B,) float32, photons per pixel; scene: see `Scene`, each field with a leading axis.
    """

    label: np.ndarray
    particles: np.ndarray
    photons: np.ndarray
    background: np.ndarray
    scene: Scene


class Patterns(NamedTuple):
    """A batch. counts: (B, ny, nx); label: (B,) int, 1 = good, 0 = bad; truth: None where it is not known."""

    counts: np.ndarray
    label: np.ndarray
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
    amplitudes: AmplitudeGrid | tuple
    circumradius: jax.Array
    good_pixel: jax.Array
    wavenumber: float
    focus_m: float


class SimulatedSource:
    """Patterns simulated on the fly: pattern i is a pure function of (configuration, seed, i).

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
        self._setup = _Setup(
            config,
            plane,
            amplitude_grid(bodies, q_max),
            jnp.asarray(circumradius, jnp.float32),
            jnp.asarray(~self.bad_pixel, jnp.float32),
            wavenumber,
            self.instrument.focus_m,
        )
        self._effects = tuple(
            name
            for name in ("background", "fluctuation_strength", "envelope_strength")
            if getattr(config, name)[1] > 0
        )

    def patterns(self, indices) -> Patterns:
        """The patterns of these indices, (B,) int >= 0, in their order; counts int32 (float32 without noise)."""
        indices = jnp.asarray(np.asarray(indices), jnp.uint32)
        counts, truth = _simulate(self._setup, self._key, indices, self._effects)
        return Patterns(counts, truth.label, truth)


def bad_pixels(instrument: Instrument, share: float) -> np.ndarray:
    """The beamstop's shadow and a share of dead pixels, (ny, nx) bool, True = do not use."""
    (ny, nx), (cy, cx) = instrument.shape, instrument.centre
    y, x = (np.arange(ny)[:, None] - cy), (np.arange(nx)[None, :] - cx)
    shadow = np.hypot(y, x) * instrument.pixel_size_m < instrument.beamstop_radius_m
    return shadow | (np.random.default_rng(0).random(instrument.shape) < share)


@partial(jax.jit, static_argnums=3)
def _simulate(setup: _Setup, key, indices, effects):
    """Patterns in the order of `indices`: all single hits in chunks of their own, and so all multi-hits.

    A pattern runs through the same program whatever the batch, so its photons do not depend on the batch size;
    and single hits do not pay for the empty slots of multi-hits.
    """
    slots = (1, setup.config.particles[1])
    golden = (indices * jnp.uint32(2654435769) >> 8).astype(jnp.float32) * 2.0**-24
    # A Weyl sequence: any run of indices holds the stated share of single hits to within a pattern or two.
    kind = (golden >= setup.config.good_fraction).astype(jnp.int32)
    order = jnp.argsort(kind, stable=True)
    count = jnp.stack([jnp.sum(kind == 0), jnp.sum(kind == 1)])
    chunks = -(-count // _CHUNK)
    n_chunks = len(indices) // _CHUNK + 2

    def run(n_slots, chosen):
        return jax.vmap(lambda i: _pattern(setup, jax.random.fold_in(key, i), n_slots, slots[1], effects))(chosen)

    def one_chunk(number):
        is_multi = (number >= chunks[0]).astype(jnp.int32)
        first = (number - is_multi * chunks[0]) * _CHUNK
        place = is_multi * count[0] + first + jnp.arange(_CHUNK)
        within = first + jnp.arange(_CHUNK) < count[is_multi]
        position = order[jnp.minimum(place, len(indices) - 1)]
        result = jax.lax.switch(is_multi, [partial(run, s) for s in slots], indices[position])
        return result, jnp.where(within, position, len(indices))

    result, position = jax.lax.map(one_chunk, jnp.arange(n_chunks))
    slot = jnp.zeros(len(indices), jnp.int32).at[position.reshape(-1)].set(jnp.arange(n_chunks * _CHUNK), mode="drop")
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[slot], result)


def _pattern(setup: _Setup, key, slots, all_slots, effects):
    """One pattern (ny, nx) and its truth, particle slots filled up to `all_slots`."""
    k_scene, k_photons, k_noise, k_background, k_strength, k_length, k_field, k_envelope = jax.random.split(key, 8)
    config, plane = setup.config, setup.plane

    def between(key, low_high):
        return jax.random.uniform(key, minval=low_high[0], maxval=low_high[1])

    def log_between(key, low_high):
        return jnp.exp(between(key, (jnp.log(low_high[0]), jnp.log(low_high[1]))))

    scene = sample_scene(k_scene, config, setup.circumradius, setup.focus_m, slots)
    amplitude = particle_amplitudes(scene, plane, setup.wavenumber, partial(look_up, setup.amplitudes))
    expected = intensity(amplitude, scene, plane, setup.wavenumber)
    expected = expected * plane.solid_angle * plane.polarisation
    if "fluctuation_strength" in effects:
        strength = between(k_strength, config.fluctuation_strength)
        length = log_between(k_length, config.fluctuation_length)
        expected = expected * smooth_field(k_field, expected.shape, strength, length)
    if "envelope_strength" in effects:
        k_strength, k_shape = jax.random.split(k_envelope)
        expected = expected * envelope(k_shape, plane.scattering, between(k_strength, config.envelope_strength))
    photons = log_between(k_photons, config.photons)
    expected = expected * (photons / jnp.sum(expected * setup.good_pixel))
    background = between(k_background, config.background) if "background" in effects else jnp.float32(0)
    expected = (expected + background) * setup.good_pixel
    counts = poisson(k_noise, expected) if config.noise else expected

    missing = all_slots - slots
    scene = jax.tree.map(lambda a: jnp.pad(a, [(0, missing)] + [(0, 0)] * (a.ndim - 1)), scene)
    return counts, Truth(jnp.int32(slots == 1), scene.present.sum(), photons, background, scene)
