"""A classifier on the frames that a simulation was fitted to, and what that simulation forecasts of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ...simulate.config import SimulationConfig
from ...simulate.config_io import from_dict, from_json
from ...simulate.empty_shots import simulated_source
from ...simulate.file_config import FileConfig
from ...simulate.progress import Track, no_track
from ...simulate.reading.file_source import FileSource
from ...simulate.source import as_pictures
from ...train.classifier import Classifier
from ...train.loop import frame_masks, frames_at_once, score_source
from ..gap.frames import sampled
from ..metrics import rate_interval
from .labels import SIGMAS
from .record import read_calibration

_MOST = 2000
"""Frames of the file that are scored: as many tell a share to two points."""
_DRAWS = 4000


@dataclass(frozen=True)
class Simulated:
    """Of a calibration's config.json, what `onehit simulate` takes."""

    simulation: SimulationConfig = field(default_factory=SimulationConfig)


def score_unlabelled(
    classifier: Classifier, folder: Path, count: int, seed: int, track: Track = no_track
) -> dict[str, Any]:
    """Scores of the frames of a calibration, beside those of so many patterns of the simulation that it fitted.

    folder: what `onehit calibrate` wrote. Returns `file`, `frames`, `kept_share` of them at the frozen threshold with
    `kept_share_interval`; `forecast`, with `false_negative_rate`, `false_positive_rate`, `kept_share` and `purity`
    (None where nothing was to be judged), each with its `_interval` of 90 %; and the calibration's `two_sample_auc` and
    `single_share`. Raises InputError where the directory lacks something, or its frames cannot be read.
    """
    found, source = read_calibration(folder), calibrated_frames(folder)
    index, size = sampled(source, _MOST, track, dark=True).index, frames_at_once(source)
    scores, nowhere = [], np.ones(source.shape, bool)
    for first in track(range(0, len(index), size), f"scoring {source.name}", size):
        some = index[first : first + size]
        bad = frame_masks(source, some)
        nowhere &= bad.all(0) if bad.ndim == 3 else bad
        scores.append(classifier.score(source.patterns(some).counts, bad))
    kept = int((np.concatenate(scores) >= classifier.threshold).sum())
    return {
        "file": found["file"],
        "frames": len(index),
        "kept_share": kept / len(index),
        "kept_share_interval": list(rate_interval(kept, len(index))),
        "forecast": _forecast(classifier, folder, found, nowhere, count, seed, track),
        "two_sample_auc": found["two_sample_auc"],
        "single_share": found["single_share"],
    }


def calibrated_frames(folder: Path) -> FileSource:
    """The frames that a simulation was fitted to. Raises InputError where they cannot be read any more."""
    found = read_calibration(folder)
    return FileSource(tuple(map(Path, found["file"])), from_dict(found["read"], FileConfig, str(folder)), "--read")


def _forecast(
    classifier: Classifier,
    folder: Path,
    found: dict[str, Any],
    hidden: Bool[np.ndarray, "y x"],
    count: int,
    seed: int,
    track: Track,
) -> dict[str, Any]:
    """Rates of simulated frames, and what follows of them for a share of single hits that is known to an interval.

    hidden: pixels that no real frame shows; the classifier sees simulated ones without them too.

    Intervals are Jeffreys's (Brown, Cai & DasGupta 2001, Stat. Sci. 16, 101), carried on by drawing. They take the fit
    as right but for its share of single hits.
    """
    config = from_json(folder / "config.json", "simulate", Simulated).simulation
    pictures = as_pictures(simulated_source(config, seed))
    pictures.bad_pixel = pictures.bad_pixel | hidden  # photons are still those of the configuration, on all pixels
    scored = score_source(classifier, pictures, np.arange(count), track, "scoring the fitted simulation")
    kept, single = scored.score >= classifier.threshold, scored.label == 1
    rng = np.random.default_rng(seed)

    def drawn(wrong: int, right: int) -> Float[np.ndarray, " draws"]:
        return np.append(wrong / max(wrong + right, 1), rng.beta(wrong + 0.5, right + 0.5, _DRAWS))

    # The first of each is the estimate, the others are drawn.
    lost = drawn(int((single & ~kept).sum()), int((single & kept).sum()))
    let_in = drawn(int((~single & kept).sum()), int((~single & ~kept).sum()))
    low, high = found["single_share"]["interval"]
    spread = rng.normal(0, (high - low) / 2 / SIGMAS, _DRAWS)
    share = np.clip(found["single_share"]["estimate"] + np.append(0.0, spread), 0, 1)
    all_kept = share * (1 - lost) + (1 - share) * let_in
    values = {
        "false_negative_rate": lost if single.any() else None,
        "false_positive_rate": let_in if not single.all() else None,
        "kept_share": all_kept,
        "purity": share * (1 - lost) / all_kept if all_kept[0] > 0 else None,
    }
    rates: dict[str, Any] = {}
    for name, value in values.items():
        rates[name] = None if value is None else float(value[0])
        rates[f"{name}_interval"] = None if value is None else np.quantile(value[1:], [0.05, 0.95]).tolist()
    return rates
