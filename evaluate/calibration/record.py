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
    *(("file",), ("read",), ("calibrate",), ("figures",), ("frames",), ("coverage",), ("parameters",), ("shares",)),
    *(
        ("unexplained",),
        ("effective_patterns",),
        ("patterns",),
        ("forecast",),
        ("versions",),
        ("differs",),
        ("outside_share",),
    ),
    *(("two_sample_auc", "before"), ("two_sample_auc", "after")),
    *(("single_share", "estimate"), ("single_share", "interval")),
)
"""What is read of calibration.json."""
_FEW_PATTERNS = 100
"""In effect: with fewer, chance decides what is fitted."""


def read_calibration(folder: Path) -> dict[str, Any]:
    """What calibration.json of a directory holds. Raises InputError where it is missing or of another onehit."""
    file = folder / "calibration.json"
    try:
        found = json.loads(file.read_text())
        for names in _NEEDED:
            reduce(getitem, names, found)
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


def _named(given: Sequence[Path]) -> set[Path]:
    return {file.resolve() for file in files_of(given)}
