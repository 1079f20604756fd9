"""Which frames of a file to keep: the classifier's word, and what the user knows of the particles."""

from typing import NamedTuple

import numpy as np

from ..geometries.errors import InputError
from ..simulate.progress import Track, no_track
from ..simulate.source import PatternSource
from .classifier import Classifier
from .config import ExpectedConfig
from .loop import frame_masks
from .size import SizeEstimator

VERDICTS = ("kept", "invalid", "too faint", "wrong size", "not a single hit")
"""What becomes of a frame, by its number in `Selection.verdict`; the first reason that applies, in this order."""

_BLOCK = 256


class Selection(NamedTuple):
    """Of every frame, (N,). score: log-odds of a single hit, -inf for invalid frames; photons: on good pixels;
    diameter_nm: of the sphere that fits best, NaN where no size was expected; verdict: uint8, see `VERDICTS`."""

    score: np.ndarray
    photons: np.ndarray
    diameter_nm: np.ndarray
    verdict: np.ndarray


def select(
    classifier: Classifier,
    source: PatternSource,
    indices: np.ndarray,
    expected: ExpectedConfig,
    track: Track = no_track,
) -> Selection:
    """Judge the frames of these indices, (N,) int. Those fainter or of another size than expected are discarded
    whatever their score.

    Sizes are measured with the instrument that the classifier was trained on: raises InputError where its frames
    have another shape than the file's.
    """
    expected.check()
    estimator = None
    if expected.diameter_nm is not None:
        instrument = classifier.config.simulation.instrument.instrument()
        if instrument.panels or instrument.shape != source.shape:
            raise InputError(
                f"{source.name} has frames of {source.shape}, the classifier's instrument of {instrument.shape}: to "
                "measure sizes, bin and crop the frames to that shape; or leave out the diameter"
            )
        estimator = SizeEstimator(instrument)
    parts = []
    for block in track(range(-(-len(indices) // _BLOCK)), f"classifying {source.name}", _BLOCK):
        chosen = indices[block * _BLOCK : (block + 1) * _BLOCK]
        counts, bad_pixel = np.asarray(source.patterns(chosen).counts), frame_masks(source, chosen)
        score = classifier.score(counts, bad_pixel)
        judged = np.isfinite(score)
        counts = np.where(bad_pixel | ~judged[:, None, None], 0, counts)
        diameter = estimator.diameter_nm(counts, bad_pixel) if estimator else np.full(len(counts), np.nan)
        parts.append((score, counts.sum((1, 2), dtype=float), diameter))
    score, photons, diameter = (np.concatenate(part) for part in zip(*parts, strict=True))
    wrong_size = np.zeros(len(score), bool)
    if expected.diameter_nm is not None:
        wrong_size = ~(np.abs(diameter / expected.diameter_nm - 1) <= expected.diameter_tolerance)
    reasons = [~np.isfinite(score), photons < expected.minimum_photons, wrong_size, score < classifier.threshold]
    verdict = np.select(reasons, range(1, len(VERDICTS)), 0).astype(np.uint8)
    return Selection(score, photons, diameter, verdict)
