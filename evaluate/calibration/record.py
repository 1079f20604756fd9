"""What `onehit calibrate` wrote into its directory, read again."""

import json
import shlex
from collections.abc import Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from ...geometries.errors import InputError
from ...simulate.reading.file_lists import files_of
from ..metrics import format_rate

_NEEDED = (
    *("file", "read", "calibrate", "figures", "frames", "coverage", "parameters", "shares", "unexplained", "differs"),
    *("outside_share", "effective_patterns", "patterns", "forecast", "versions"),
    *("two_sample_auc.before", "two_sample_auc.after", "single_share.estimate", "single_share.interval"),
)
"""What is read of calibration.json."""
_BY_LABELS = ("false_negative_rate", "false_positive_rate", "purity")
_FEW_PATTERNS = 100
"""In effect: with fewer, chance decides what is fitted."""


def read_calibration(folder: Path) -> dict[str, Any]:
    """What calibration.json of a directory holds. Raises InputError where it is missing or of another onehit."""
    file = folder / "calibration.json"
    try:
        found = json.loads(file.read_text())
        for name in _NEEDED:
            reduce(getitem, name.split("."), found)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}; make it with onehit calibrate") from None
    except (ValueError, LookupError, TypeError):
        raise InputError(f"{file} is not what this version of onehit writes: calibrate again") from None
    return found


def doubts(calibration: dict[str, Any], folder: Path) -> list[str]:
    """Why not to rely on a fit, and so on its forecast: a sentence each. folder: where the fit is."""
    lines = []
    if calibration["effective_patterns"] < _FEW_PATTERNS:
        lines.append(
            f"Only {calibration['effective_patterns']:.0f} of {calibration['patterns']:,} simulated patterns look like "
            "the frames, so these numbers are unsure: widen the ranges of --simulation, or give more --patterns."
        )
    if calibration["unexplained"]:
        most = " and ".join(f"the {found['group']} ({found['feature']})" for found in calibration["differs"][:2])
        command = shlex.join(["onehit", "gap", *calibration["file"], "--config", str(folder / "config.json")])
        lines.append(
            f"Something in the frames is not explained by this simulation: what differs most is {most}, and "
            f"{format_rate(calibration['outside_share'])} % of the frames look like no simulated one. `{command}` says "
            "what to change."
        )
    return lines


def is_of_files(calibration: dict[str, Any], given: Sequence[Path]) -> bool:
    """Whether a calibration is of these files, in whatever way they are named.

    Raises InputError where a list or a glob of `given` names none.
    """
    files = _named(given)
    try:
        return files == _named([Path(file) for file in calibration["file"]])
    except InputError:  # of a list or a glob that is gone
        return False


def labelled(
    calibration: dict[str, Any], classifier: str, experiment: Path | None, summary: dict[str, Any]
) -> dict[str, Any] | None:
    """What labels say of a classifier on the frames that were calibrated, to hold against a forecast.

    classifier: its identity; summary: of its scores on the labelled file `experiment`, where there is one. Returns
    `false_negative_rate`, `false_positive_rate` and `purity`, each with its `_interval`; `by`, the file or `labels`,
    those of `--labels`; `same_frames`, whether the file is the calibrated one. None where nothing is labelled.
    """
    chosen = calibration.get("labelled") if calibration.get("classifier") == classifier else None
    is_same = experiment is not None and is_of_files(calibration, [experiment])
    if chosen is not None and not is_same:
        found, by = chosen, {"by": "labels", "same_frames": True}
    elif experiment is not None:
        found, by = summary, {"by": str(experiment), "same_frames": is_same}
    else:
        return None
    return by | {name: found[name] for rate in _BY_LABELS for name in (rate, f"{rate}_interval")}


def _named(given: Sequence[Path]) -> set[Path]:
    return {file.resolve() for file in files_of(given)}
