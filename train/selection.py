"""Which frames of a file to keep: the classifier's word, and what the user knows of the particles."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer, UInt8

from ..geometries.errors import InputError
from ..simulate.beamline.instrument import Instrument
from ..simulate.beamline.pixels import picture_shape
from ..simulate.progress import Track, no_track
from ..simulate.reading.facts import not_square
from ..simulate.reading.file_source import FileSource
from ..simulate.reading.invalid_frames import frame_photons
from ..simulate.source import PatternSource
from .classifier import Classifier
from .config import ExpectedConfig, TrainConfig
from .loop import frame_masks, frames_at_once
from .preprocess import binning_to
from .size import SizeEstimator

VERDICTS = ("kept", "invalid", "too faint", "wrong size", "not a single hit")
"""What becomes of a frame, by its number in `Selection.verdict`; the first reason that applies, in this order."""

_OTHER_SCALE = 0.02
_SCALE = ("photon_energy_ev", "pixel_size_m", "distance_m")


class Selection(NamedTuple):
    """Of every frame. score: log-odds of a single hit, -inf for invalid frames; photons: sum of the finite values on
    good pixels, of invalid frames too; diameter_nm: of the sphere that fits best, NaN where no size was expected, and
    of invalid frames; verdict: see `VERDICTS`."""

    score: Float[np.ndarray, " frames"]
    photons: Float[np.ndarray, " frames"]
    diameter_nm: Float[np.ndarray, " frames"]
    verdict: UInt8[np.ndarray, " frames"]


def size_estimator(training: TrainConfig, source: PatternSource, expected: ExpectedConfig) -> SizeEstimator | None:
    """What measures sizes, by the instrument that a classifier was trained on; None where no size is expected.

    Raises InputError where the source's frames have another shape than that instrument's, where the source says that
    its pixels are more than 2 % wider or narrower in reciprocal space, not square, or of impossible size, energy or
    distance, or where the expected size is out of reach.
    """
    expected.check()
    if expected.diameter_nm is None:
        return None
    instrument = training.simulation.instrument.instrument()
    if instrument.panels or instrument.shape != source.shape:
        option = source.option if isinstance(source, FileSource) else "--read"
        raise InputError(
            f"{source.name} has frames of {source.shape}, the classifier's instrument of {instrument.shape}: to "
            f"measure sizes, bin and crop the frames to that shape ({option}.binning, {option}.shape); or leave out "
            "the diameter (--diameter-nm)"
        )
    if isinstance(source, FileSource):
        for name in (*_SCALE, "pixel_size_y_m"):
            if reason := source.frames.left_out.get(name):
                raise InputError(f"{source.name}: {reason}: correct {name} in the file, or measure no sizes")
        if high := not_square(source.frames.facts):
            raise InputError(f"{source.name}: {high}; or measure no sizes")
        energy, pixel, distance = (source.scale[name] for name in _SCALE)
        if energy and pixel and distance:
            check_scale(source.name, (energy, pixel * source.config.binning, distance), instrument)
    estimator = SizeEstimator(instrument)
    low, high = estimator.diameters_nm[[0, -1]]
    if not low <= expected.diameter_nm <= high:
        raise InputError(f"diameter_nm is {expected.diameter_nm}; sizes from {low:.0f} to {high:.0f} can be measured")
    return estimator


def check_scale(name: str, scale: tuple[float, float, float], instrument: Instrument) -> None:
    """Raise InputError where pixels of that photon energy (eV), size and distance (m) are more than 2 % wider or
    narrower in reciprocal space than those of the instrument that a classifier was trained on."""
    energy, pixel, distance = scale
    ours = [getattr(instrument, name) for name in _SCALE]
    ratio = _ratio(scale, instrument)
    if abs(ratio - 1) > _OTHER_SCALE:
        raise InputError(
            f"{name} says {energy:.4g} eV, pixels of {pixel:.4g} m and a distance of {distance:.4g} m, the "
            f"classifier's instrument has {ours[0]:.4g}, {ours[1]:.4g} and {ours[2]:.4g}: sizes would come out "
            f"{ratio:.3g} times too large; train for that instrument, or measure no sizes"
        )


def _ratio(scale: tuple[float, float, float], instrument: Instrument) -> float:
    """How much wider the pixels are in reciprocal space."""
    energy, pixel, distance = scale
    return energy * pixel / distance / (instrument.photon_energy_ev * instrument.pixel_size_m / instrument.distance_m)


def scale_ratio(source: FileSource, training: TrainConfig) -> float | None:
    """How much wider a file's pixels are in reciprocal space than those of a classifier's instrument; None: unknown.

    Both as the network sees them, which bins what is larger (`to_size`). Particles look that much larger to the
    classifier than they are.
    """
    energy, pixel, distance = (source.scale[name] for name in _SCALE)
    if not (energy and pixel and distance):
        return None
    instrument, size = training.simulation.instrument.instrument(), training.network.size
    binned = binning_to(source.shape, size) / binning_to(picture_shape(instrument), size)
    return binned * _ratio((energy, pixel * source.config.binning, distance), instrument)


def select(
    classifier: Classifier,
    source: PatternSource,
    indices: Integer[np.ndarray, " frames"],
    expected: ExpectedConfig,
    track: Track = no_track,
) -> Selection:
    """Judge the frames of these indices. Those fainter or of another size than expected are discarded
    whatever their score.

    Raises InputError where sizes cannot be measured: see `size_estimator`.
    """
    estimator = size_estimator(classifier.config, source, expected)
    parts, size = [], frames_at_once(source)
    for block in track(range(-(-len(indices) // size)), f"classifying {source.name}", size):
        chosen = indices[block * size : (block + 1) * size]
        counts, bad_pixel = np.asarray(source.patterns(chosen).counts), frame_masks(source, chosen)
        score = classifier.score(counts, bad_pixel)
        judged = np.isfinite(score)
        photons = frame_photons(counts, bad_pixel)
        counts = np.where(judged[:, None, None], counts, 0)  # no size of what is invalid
        diameter = estimator.diameter_nm(counts, bad_pixel) if estimator else np.full(len(counts), np.nan)
        parts.append((score, photons, diameter))
    score, photons, diameter = (np.concatenate(part) for part in zip(*parts, strict=True))
    wrong_size = np.zeros(len(score), bool)
    if expected.diameter_nm is not None:
        wrong_size = ~(np.abs(diameter / expected.diameter_nm - 1) <= expected.diameter_tolerance)
    reasons = [~np.isfinite(score), photons < expected.minimum_photons, wrong_size, score < classifier.threshold]
    verdict = np.select(reasons, range(1, len(VERDICTS)), 0).astype(np.uint8)
    return Selection(score, photons, diameter, verdict)
