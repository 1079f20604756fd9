"""Photons that arrive to photons that are counted: detection, gain, noise, digitisation, saturation.

An integrating detector delivers a charge: the detected photons times the pixel's gain, plus noise, in steps of its
converter. What is analysed is that charge rounded to whole photons, as if every gain were 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..beamline.instrument import Instrument
from ..beamline.pixels import hidden_pixels
from .deviates import deviates
from .poisson import MOST, poisson
from .readout_config import ReadoutConfig


class ReadoutMaps(NamedTuple):
    """One detector's fixed patterns, of unit strength.

    good_pixel: (ny, nx) float32, 1 or 0; pixel_gain: (ny, nx) and panel_gain: (P,) float32, standard normal;
    hotness: (ny, nx) float32, uniform in [0, 1): the hot pixels are those below their share.
    """

    good_pixel: jax.Array
    pixel_gain: jax.Array
    panel_gain: jax.Array
    hotness: jax.Array


def bad_pixels(instrument: Instrument, config: ReadoutConfig) -> np.ndarray:
    """Pixels that the instrument hides, and dead ones: (ny, nx) bool, True = do not use."""
    dead = np.random.default_rng(config.detector_seed).random(instrument.shape) < config.dead_pixels
    return hidden_pixels(instrument) | dead


def readout_maps(instrument: Instrument, config: ReadoutConfig) -> ReadoutMaps:
    """The fixed patterns of the detector of that seed; strengths play no part, but for the dead pixels."""
    rng = np.random.default_rng([config.detector_seed, 1])
    panels = len(instrument.all_panels)
    maps = (
        ~bad_pixels(instrument, config),
        rng.standard_normal(instrument.shape),
        rng.standard_normal(panels),
        rng.random(instrument.shape),
    )
    return ReadoutMaps(*(jnp.asarray(a, jnp.float32) for a in maps))


def readout(key, expected, config: ReadoutConfig, maps: ReadoutMaps) -> jax.Array:
    """Counts of one frame, (ny, nx) int32.

    expected: (ny, nx) float32, photons that arrive on average; config: its numbers may be traced. Counts end at `MOST`,
    and are 0 where maps.good_pixel is 0. With everything off these are `poisson(key, expected)`, bit for bit, on good
    pixels. key=None: the mean response before rounding, float32: efficiency, gains, hot pixels and saturation.
    """
    hot = jnp.where(maps.hotness < config.hot_pixels, config.hot_photons, 0.0)
    # Of Poisson-distributed photons, an independent choice is Poisson-distributed again.
    mean = (expected * config.quantum_efficiency + hot) * maps.good_pixel
    panels = len(maps.panel_gain)
    rows = len(expected) // panels
    panel_gain = jnp.repeat(maps.panel_gain, rows)[:, None]
    gain = (1 + config.pixel_gain_spread * maps.pixel_gain) * (1 + config.panel_gain_spread * panel_gain)
    gain = jnp.maximum(gain, 0.0)
    limit = jnp.where(config.saturation_photons > 0, config.saturation_photons, jnp.inf)
    if key is None:
        return jnp.minimum(mean * gain, limit)

    photons = poisson(key, mean)
    # Beside the key itself, so that counts without noise are those that the Poisson sampler draws alone.
    normal, _ = deviates(jax.random.fold_in(key, 0), expected.size + len(expected) + panels, 0)
    by_pixel, by_row, by_panel = jnp.split(normal, [expected.size, expected.size + len(expected)])
    noise = config.read_noise_photons * by_pixel.reshape(expected.shape)
    noise = noise + config.row_noise_photons * by_row[:, None]
    noise = noise + config.panel_noise_photons * jnp.repeat(by_panel, rows)[:, None]
    # As a change of the photons: whole numbers stay exact beyond float32's 2^24.
    change = photons * (gain - 1) + noise
    adu = jnp.where(config.adu_per_photon > 0, config.adu_per_photon, 1.0)
    digitised = jnp.round((photons + change) * adu) / adu - photons
    change = jnp.where(config.adu_per_photon > 0, digitised, change)
    change = jnp.minimum(change, MOST - photons)  # a gain above 1 must not lead beyond int32
    counts = jnp.maximum(photons + jnp.round(change).astype(jnp.int32), 0)
    whole_limit = jnp.floor(jnp.minimum(limit, MOST)).astype(jnp.int32)
    return jnp.minimum(counts, whole_limit) * maps.good_pixel.astype(jnp.int32)
