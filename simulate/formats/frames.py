"""A stack of frames as a file holds it, whatever the format: what every format's reader returns."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Shaped

OF_EACH_FRAME = ("experiment_identifier", "train_id", "pulse_id")
"""Facts that every frame has for itself."""


class NoData(NamedTuple):
    """Which of the numbers that frames hold are no data: these, those below the least, and those above the most."""

    values: tuple[float, ...] = ()
    least: float = -math.inf
    most: float = math.inf

    def __str__(self) -> str:
        said = [*map(_spelled, self.values)]
        said += [f"less than {_spelled(self.least)}"] if self.least > -math.inf else []
        said += [f"more than {_spelled(self.most)}"] if self.most < math.inf else []
        return ", ".join(said)

    def where(self, frames: Shaped[np.ndarray, "*any"]) -> Bool[np.ndarray, "*any"]:
        """Pixels that hold one of them."""
        named = np.isin(frames, np.asarray(self.values).astype(frames.dtype))
        return named | (frames < self.least) | (frames > self.most)


ALL_DATA = NoData()


def _spelled(number: float) -> str:
    """With all digits, if it is a whole number that an integer of 32 bits holds."""
    return f"{number:.0f}" if number.is_integer() and abs(number) < 2**32 else f"{number:.7g}"


@dataclass(frozen=True)
class Frames:
    """An opened stack. Nothing is converted yet but the masks, which are True where a pixel must not be used."""

    path: Path
    format: str
    """What the file is, for people: "CXI 1.6", "Condor", "EMC (sparse)", ..."""
    count: int
    """Number of frames."""
    shape: tuple[int, ...]
    """Of one frame: (y, x), or (modules, y, x) where modules are not assembled."""
    dtype: np.dtype
    read: Callable[[Int[np.ndarray, " batch"]], Shaped[np.ndarray, " batch *shape"]]
    """Frames of sorted, unique indices. Raises InputError where they are damaged."""
    bad_pixel: Bool[np.ndarray, "*shape"] | None = None
    """Pixels not to use in any frame."""
    frame_bad_pixel: Callable[[Int[np.ndarray, " batch"]], Bool[np.ndarray, " batch *shape"]] | None = None
    """The same where every frame has a mask of its own, of sorted, unique indices."""
    mask_meaning: str = "none"
    """Where the mask came from and how its values were taken, for people."""
    label: Int[np.ndarray, " count"] | None = None
    """1 = single hit, 0 = anything else."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else the file says, for people and for checks: distance_m, pixel_size_m, pixel_size_y_m,
    photon_energy_ev (medians), image_center, cxi_version; experiment_identifier, train_id, pulse_id, one for each
    frame; ..."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Facts that the file says, but that make no sense: why."""
    no_data: NoData = ALL_DATA
    """What else must not be used, in the frame that holds it, as the file says."""
    notes: tuple[str, ...] = ()
    """How it was read, where that is not plain, one line each."""
    oddities: tuple[str, ...] = ()
    """What is strange about the file, one line each."""

    def facts_of_each(self) -> dict[str, Shaped[np.ndarray, " frames"]]:
        """Those facts that every frame has for itself, as far as there is one for each."""
        found = {name: np.asarray(self.facts[name]) for name in OF_EACH_FRAME if name in self.facts}
        return {name: values for name, values in found.items() if values.shape == (self.count,)}
