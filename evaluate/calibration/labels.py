"""Few labels, put to the best use: which frames to label, and what labels say together with a calibration."""

import csv
import io
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
_FRAME, _NUMBERS = ("file", "frame"), ("probability", "score", "chance")
_LEAST_SPREAD = 0.05
"""As unsure as a calibration is taken to be of any frame: it may be wrong where it is sure."""


class Judged(NamedTuple):
    """Frames, a row each. file: which holds it, an absolute path; frame: its number there, from 0; probability: that it
    is a single hit, by the calibration; score: a classifier's; chance: with which it could be chosen to be labelled;
    chosen: whether it was; single_hit: what a person said. NaN where there is none."""

    file: tuple[str, ...]
    frame: Int[np.ndarray, " frames"]
    probability: Float[np.ndarray, " frames"]
    score: Float[np.ndarray, " frames"]
    chance: Float[np.ndarray, " frames"]
    chosen: Bool[np.ndarray, " frames"]
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


def write_frames(path: Path, judged: Judged) -> None:
    """A CSV of all frames: everything that is known of them but labels."""
    numbers = (judged.probability, judged.score, judged.chance)
    rows = [
        (file, frame, *("" if np.isnan(one) else f"{one:.6g}" for one in values), int(is_chosen))
        for file, frame, is_chosen, *values in zip(judged.file, judged.frame, judged.chosen, *numbers, strict=True)
    ]
    _write(path, (*_FRAME, *_NUMBERS, "chosen"), rows)


def write_labels(path: Path, judged: Judged) -> None:
    """A CSV of the chosen frames, whose column `single_hit` a person fills in. What the calibration thinks of them is
    left out: it would sway the person."""
    rows = [(judged.file[i], judged.frame[i], "") for i in np.flatnonzero(judged.chosen)]
    _write(path, (*_FRAME, "single_hit"), rows)


def read_frames(path: Path) -> Judged:
    """What `write_frames` wrote. Raises InputError for anything else."""
    file, frame, columns = _read(path, (*_NUMBERS, "chosen"))
    probability, score, chance, is_chosen = columns
    return Judged(file, frame, probability, score, chance, is_chosen == 1, np.full(len(frame), np.nan))


def with_labels(judged: Judged, path: Path) -> Judged:
    """The frames of a calibration with the labels of a file that `write_labels` wrote and a person filled in.

    Raises InputError for labels of frames that were not chosen: only of chosen ones is it known how many others they
    speak for. Also where there are none.
    """
    file, frame, (label,) = _read(path, ("single_hit",))
    known = np.isfinite(label)
    if not np.isin(label[known], (0, 1)).all():
        raise InputError(f"{path}: column single_hit must hold 1 (single hit), 0 (not) or nothing")
    if not known.any():
        raise InputError(f"{path}: no frame is labelled: write 1 (single hit) or 0 into its column single_hit")
    place = {(judged.file[i], judged.frame[i]): i for i in np.flatnonzero(judged.chosen)}
    if not place:
        raise InputError(f"{path}: this calibration chose no frames: calibrate with --label N, and label those")
    single_hit = np.full(len(judged.frame), np.nan)
    for i in np.flatnonzero(known):
        here = place.get((file[i], frame[i]))
        if here is None:
            raise InputError(
                f"{path}: frame {frame[i]} of {file[i]} is none that this calibration chose: label those of its "
                f"{LABELS} alone"
            )
        if np.isfinite(single_hit[here]):
            raise InputError(f"{path}: frame {frame[i]} of {file[i]} is labelled twice: keep one of the rows")
        single_hit[here] = label[i]
    # For the chosen ones that nobody labelled, whether blank or gone, the others speak: as if fewer had been chosen.
    share = known.sum() / len(place)
    return judged._replace(single_hit=single_hit, chance=judged.chance * share)


def _write(path: Path, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_whole(path, text.getvalue())


def _read(
    path: Path, numbers: tuple[str, ...]
) -> tuple[tuple[str, ...], Int[np.ndarray, " rows"], list[Float[np.ndarray, " rows"]]]:
    """File, frame and these columns of a CSV; NaN where a cell is empty."""
    try:
        # Excel begins a file with a byte order mark, and separates by semicolons where numbers have decimal commas.
        text = path.read_text("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text), delimiter=";" if text.startswith("file;") else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not rows or not {*_FRAME, *numbers} <= {*rows[0]}:
        columns = ", ".join((*_FRAME, *numbers))
        raise InputError(f"{path}: columns {columns} are needed, as onehit calibrate of this version writes them")
    columns = []
    for name in ("frame", *numbers):
        cells = [(row[name] or "").strip() or "nan" for row in rows]
        try:
            columns.append(np.array(cells, float))
        except ValueError:
            raise InputError(f"{path}: column {name} holds what is no number") from None
    frame = columns[0]
    if not (np.isfinite(frame) & (frame == np.rint(frame)) & (frame >= 0)).all():
        raise InputError(f"{path}: column frame must hold whole numbers from 0, as onehit calibrate wrote them")
    return tuple(row["file"] or "" for row in rows), frame.astype(int), columns[1:]
