"""How a file had better be read: what mends its oddities, tried out until nothing is left that options can mend."""

import io
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config_io import write_whole
from ..file_config import FileConfig
from ..progress import Track, no_track
from ..reading.facts import other_unit
from ..reading.file_source import FileSource
from .inspection import Inspection, inspect_frames
from .oddities import oddities

_MOST_ROUNDS = 6


class Suggestion(NamedTuple):
    """odd: everything that was odd on the way, one line each; config: the options; usable: whether the frames are
    photons by them, without which no classifier can judge them; masked: whether the mask was written."""

    odd: tuple[str, ...]
    config: FileConfig
    usable: bool
    masked: bool


def suggest(
    source: FileSource, seen: Inspection, mask: Path, size: int | None = None, track: Track = no_track
) -> Suggestion:
    """Apply what the oddities ask for, look again, and so on.

    mask: file to write, .npy, 1 = do not use, in the layout of the file's frames: all that is masked already and all
    that should be, so that it is the only one needed. Not for files in which every frame has a mask of its own. size:
    rows and columns that the classifier takes.
    """
    said: dict[str, None] = {}
    masked = False
    for _ in range(_MOST_ROUNDS):
        found = oddities(source, seen, size=size)
        # Of the mask that was written here nothing is to be said: what it hides has been.
        said |= dict.fromkeys(oddity.says for oddity in found if str(mask) not in oddity.says)
        config, options = source.config, [oddity.options for oddity in found]
        for some in options:
            config = replace(config, **some)
        bad = [oddity.bad_pixel for oddity in found if oddity.bad_pixel is not None]
        if bad and source.frames.frame_bad_pixel is None and not any("mask_polarity" in some for some in options):
            known = source.frames.bad_pixel
            whole = np.logical_or.reduce(bad if known is None else [known, *bad])
            axes = config.axes or "yx"
            lying = np.swapaxes(whole, -1, -2) if axes.index("x") < axes.index("y") else whole
            _write_mask(mask, lying.astype(np.uint8))
            config, masked = replace(config, mask=(str(mask),), mask_polarity="bad"), True
        elif config == source.config:
            break
        source = FileSource(source.given, config)
        seen = inspect_frames(source, seen.indices, track)
    usable = seen.photons and (source.knows_gain or other_unit(source.frames.facts) is None)
    return Suggestion(tuple(said), source.config, usable, masked)


def _write_mask(path: Path, mask: np.ndarray) -> None:
    file = io.BytesIO()
    np.save(file, mask)
    write_whole(path, file.getvalue())
