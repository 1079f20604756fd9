"""Photons that arrive to photons that are counted: detection, gain, noise, digitisation, saturation.

An integrating detector delivers a charge: the detected photons times the pixel's gain, plus noise, in steps of its
converter. What is analysed is that charge rounded to whole photons, as if every gain were 1.
"""

# JAX tells types in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

from ..beamline.instrument import Instrument
from ..beamline.pixels import hidden_pixels
from .keys import NamedKeys, named_keys
from .poisson import poisson
from .seam import MOST_PHOTONS, Detector, ReadoutStep


def bad_pixels(instrument: Instrument, detector_seed: int, dead_share: float) -> Bool[np.ndarray, "y x"]:
    """Pixels that the instrument hides, and dead ones: True = do not use."""
    dead = np.random.default_rng(detector_seed).random(instrument.shape) < dead_share
    return hidden_pixels(instrument) | dead


def detector_of(
    instrument: Instrument, detector_seed: int, bad_pixel: Bool[np.ndarray, "y x"], scattering: Float[Array, "y x 3"]
) -> Detector:
    """The detector of that seed and its fixed patterns; no effect's strength plays a part."""
    rng = np.random.default_rng([detector_seed, 1])
    panels = len(instrument.all_panels)
    good_pixel, pixel_gain, panel_gain, hotness = (
        jax.device_put(np.float32(a))
        for a in (
            ~bad_pixel,
            rng.standard_normal(instrument.shape),
            rng.standard_normal(panels),
            rng.random(instrument.shape),
        )
    )
    keys = named_keys(jax.random.key(detector_seed % 2**32))
    return Detector(scattering, good_pixel, pixel_gain, panel_gain, hotness, keys, instrument.photon_energy_ev)


def readout(
    steps: Sequence[ReadoutStep],
    keys: NamedKeys,
    expected: Float[Array, "y x"],
    detector: Detector,
    counted: bool = True,
) -> Num[Array, "y x"]:
    """Counts of one frame, int32.

    expected: photons that arrive on average. Counts end at `MOST_PHOTONS`, and are 0 on bad pixels. Without
    steps these are the Poisson sampler's, bit for bit, on good pixels. counted=False: the mean response before
    rounding, float32: without noise, but with shadows, shared charge, gains, hot pixels and saturation.
    """
    for step in steps:
        expected = step.arriving(expected, keys, detector)
    mean = expected * detector.good_pixel
    gain = jnp.ones_like(mean)
    for step in steps:
        gain = step.gain(gain, keys, detector)
    gain = jnp.maximum(gain, 0.0)
    if not counted:
        for step in steps:
            mean = step.collect(mean, keys, detector)
        response = mean * detector.good_pixel * gain
        for step in steps:
            response = step.saturate(response)
        return response

    photons = poisson(keys.of("photons"), mean)
    if not steps:
        return photons
    noise = jnp.zeros_like(mean)
    for step in steps:
        noise = step.noise(noise, keys, detector)
    # As a change of the photons: whole numbers stay exact beyond float32's 2^24.
    change = photons * (gain - 1) + noise
    charge = photons
    for step in steps:
        charge = step.collect(charge, keys, detector)
    if charge is not photons:  # else counts are, to the bit, what they are without such a step
        change = change + (charge - photons) * gain
    for step in steps:
        change = step.convert(photons, change, keys, detector)
    change = jnp.minimum(change, MOST_PHOTONS - photons)  # a gain above 1 must not lead beyond int32
    counts = jnp.maximum(photons + jnp.round(change).astype(jnp.int32), 0)
    for step in steps:
        counts = step.saturate(counts)
    return counts * detector.good_pixel.astype(jnp.int32)
