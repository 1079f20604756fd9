"""Few labels, put to the best use: which frames to label, and what labels say together with a calibration."""

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ...geometries.errors import InputError
from ...simulate.config_io import write_whole

FRAMES, LABELS = "frames.csv", "labels.csv"
"""What a calibration writes: all frames that it looked at, and those that a person is to label."""
SIGMAS = 1.645
"""Half of an interval of 90 %, in standard deviations."""
_LEAST_SPREAD = 0.05
"""As unsure as a calibration is taken to be of any frame: it may be wrong where it is sure."""


class Judged(NamedTuple):
    """Frames, a row each. frame: number in the file, ascending; probability: that it is a single hit, by the
    calibration; score: a classifier's; chance: with which it was chosen to be labelled; single_hit: what a person said.
    NaN where there is none."""

    frame: Int[np.ndarray, " frames"]
    probability: Float[np.ndarray, " frames"]
    score: Float[np.ndarray, " frames"]
    chance: Float[np.ndarray, " frames"]
    single_hit: Float[np.ndarray, " frames"]


def chances(probability: Float[np.ndarray, " frames"], count: int) -> Float[np.ndarray, " frames"]:
    """With which chance to label each frame, so that labels tell most: as the standard deviation of its label is
    thought to be (Neyman 1934, J. R. Stat. Soc. 97, 558), `count` in all, none above 1."""
    spread = np.maximum(np.sqrt(probability * (1 - probability)), _LEAST_SPREAD)
    chance = np.zeros(len(spread))
    while (is_open := chance < 1).any():
        left = count - (~is_open).sum()
        if left <= 0:
            break
        scaled = spread * left / spread[is_open].sum()
        chance = np.where(is_open, np.minimum(scaled, 1.0), 1.0)
        if (scaled[is_open] <= 1).all():
            break
    return chance


def chosen(
    chance: Float[np.ndarray, " frames"], score: Float[np.ndarray, " frames"], seed: int = 0
) -> Bool[np.ndarray, " frames"]:
    """Frames drawn with these chances, spread evenly over scores: systematic sampling (Cochran 1977, Sampling
    Techniques, chapter 8)."""
    order = np.argsort(score, kind="stable")
    up_to = np.floor(np.cumsum(chance[order]) + np.random.default_rng(seed).random())
    picked = np.zeros(len(chance), bool)
    picked[order] = np.diff(up_to, prepend=0.0) > 0
    return picked


def labelled_rates(judged: Judged, threshold: float) -> dict[str, Any]:
    """What labels say of all frames, with the calibration's probabilities as a guide.

    Every sum over frames is that of the probabilities, and of the differences that labels show, each divided by its
    frame's chance (the difference estimator: Särndal, Swensson & Wretman 1992, Model Assisted Survey Sampling,
    chapter 6). It is right whatever the calibration says; the better that is, the narrower the intervals.

    Returns `labels`, `single_share`, `false_negative_rate`, `false_positive_rate` and `purity` at the threshold, each
    with its `_interval` of 90 %; None where there is nothing to take a share of, or the threshold is NaN.
    """
    known = np.isfinite(judged.single_hit)
    kept, all_of_them, none = (judged.score >= threshold).astype(float), np.ones(len(known)), np.zeros(len(known))
    off, chance = np.where(known, judged.single_hit - judged.probability, 0.0), np.where(known, judged.chance, 1.0)
    single = judged.probability + off / chance
    # By Poisson sampling (Särndal et al., equation 3.5.3): frames that were sure to be labelled are not uncertain.
    # Labels that all agree do not say that none would differ: as if half of one did (Jeffreys's prior).
    least = np.sqrt(0.5 / (known.sum() + 1))
    unsure = np.where(known, np.maximum(np.abs(off), least), 0.0) * np.sqrt(1 - chance) / chance
    found: dict[str, Any] = {"labels": int(known.sum())}
    # A share of sums of (always + by_single * single).
    for name, (always, by_single), (whole_always, whole_by_single) in (
        ("single_share", (none, all_of_them), (all_of_them, none)),
        ("false_negative_rate", (none, 1 - kept), (none, all_of_them)),
        ("false_positive_rate", (kept, -kept), (all_of_them, -all_of_them)),
        ("purity", (none, kept), (kept, none)),
    ):
        whole = (whole_always + whole_by_single * single).sum()
        found[name], found[f"{name}_interval"] = None, None
        if whole > 0 and (name == "single_share" or np.isfinite(threshold)):
            share = (always + by_single * single).sum() / whole
            # Linearised: Cochran 1977, section 6.3.
            half = SIGMAS * np.sqrt((((by_single - share * whole_by_single) * unsure) ** 2).sum()) / whole
            found[name] = float(np.clip(share, 0, 1))
            found[f"{name}_interval"] = np.clip([share - half, share + half], 0, 1).tolist()
    return found


def write_judged(path: Path, judged: Judged, picked: Bool[np.ndarray, " frames"] | None = None) -> None:
    """A CSV of frames, or of the picked ones, in their order in the file; a person fills in its column `single_hit`."""
    lines = [",".join(Judged._fields)]
    for i in range(len(judged.frame)) if picked is None else np.flatnonzero(picked):
        cells = [f"{judged.frame[i]}", *(f"{values[i]:.6g}" for values in judged[1:])]
        lines.append(",".join("" if cell == "nan" else cell for cell in cells))
    write_whole(path, "\n".join(lines) + "\n")


def read_judged(path: Path) -> Judged:
    """What `write_judged` wrote, and a person may have filled in. Raises InputError for what makes no sense."""
    try:
        rows = list(csv.DictReader(path.read_text().splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not rows or not {*Judged._fields} <= {*rows[0]}:
        raise InputError(f"{path}: columns {', '.join(Judged._fields)} are needed, as onehit calibrate writes them")
    columns = []
    for name in Judged._fields:
        cells = [(row[name] or "").strip() or "nan" for row in rows]
        try:
            columns.append(np.array(cells, float))
        except ValueError:
            raise InputError(f"{path}: column {name} holds what is no number") from None
    judged = Judged(*columns)
    label = judged.single_hit[np.isfinite(judged.single_hit)]
    if not np.isfinite(judged.frame).all() or not np.isin(label, (0, 1)).all():
        raise InputError(f"{path}: column frame must hold numbers, single_hit 1 (single hit), 0 (not) or nothing")
    return judged._replace(frame=judged.frame.astype(int))


def with_labels(judged: Judged, path: Path) -> Judged:
    """The frames of a calibration with the labels of a file. Raises InputError for labels of frames that were not
    chosen, and where there are none."""
    labelled = read_judged(path)
    known = np.isfinite(labelled.single_hit)
    place = np.searchsorted(judged.frame, labelled.frame[known])
    there = judged.frame[np.minimum(place, len(judged.frame) - 1)] == labelled.frame[known]
    if not known.any():
        raise InputError(f"{path}: no frame is labelled: write 1 (single hit) or 0 into its column single_hit")
    if not there.all() or not (judged.chance[place] > 0).all() or len(np.unique(place)) < len(place):
        raise InputError(f"{path}: labels are needed of the frames that --label chose, each once")
    single_hit = np.full(len(judged.frame), np.nan)
    single_hit[place] = labelled.single_hit[known]
    # Of the chosen ones that nobody labelled, the others speak: as if fewer had been chosen.
    asked = len(labelled.frame)
    return judged._replace(single_hit=single_hit, chance=np.minimum(judged.chance * known.sum() / asked, 1.0))
