"""How a file of frames is read: the only place that holds those defaults. Imports no JAX."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..geometries.errors import InputError

_MOST_PIXELS = 2**27


@dataclass(frozen=True)
class FileConfig:
    """What a file does not say itself, or says wrongly, and how its frames become pictures of photons."""

    data: str | None = None
    """Data set that holds the frames, where there are several or its name is unusual."""
    label: str | None = None
    """Data set, or CXI tag, that holds the labels (1 = single hit, 0 = anything else); "" for none."""
    mask: tuple[str, ...] | str | None = None
    """Masks to use instead of the file's, all of which count: names of data sets, or other files (mask.npy,
    other.h5:/name); "" for none."""
    mask_polarity: Literal["auto", "bad", "good", "cxi", "dragonfly"] = "auto"
    """What the masks' values say: non-zero is bad, non-zero is good, CXI's bits, Dragonfly's 0, 1, 2 (2 is bad). Auto:
    what names and dialects say, or else the frames."""
    mask_values: tuple[float, ...] = ()
    """Values that mark a pixel without data, in the frame that has it. NaN and Inf do so in any case, and so does what
    marks a pixel in all frames: the largest integer, and -1."""
    axes: str | None = None
    """What the axes of the frames' array are, a letter each: n frames, m modules, y rows, x columns, 1 of length one.
    Default: nyx, or nmyx with modules."""
    trusted: bool = False
    """Read also what is refused of strangers: compression by plugins, and frames that lie in other folders."""
    detector: Path | None = None
    """Dragonfly's detector file, for EMC photon files: where their pixels are, and which are bad."""
    geom: Path | None = None
    """CrystFEL geometry file (.geom): puts the modules together to a picture; its bad regions are masked."""
    adu_per_photon: float | None = None
    """Data numbers for one photon, where the file holds no photons: they are divided by it and rounded to whole
    photons, negative ones to 0. A geometry file may say it too."""
    adu_offset: float = 0.0
    """Data number of a pixel without photons, subtracted first."""
    centre: tuple[float, float] | None = None
    """Row and column where the beam meets the picture, in pixels, the first pixel's middle being 0 0: the picture is
    shifted by whole pixels to have it in the middle. Default: it is there already."""
    binning: int = 1
    """Pixels summed along rows and columns, around the middle. A bin is bad where any of its pixels is."""
    shape: tuple[int, int] | None = None
    """Rows and columns to crop to, or to pad with bad pixels, around the middle, after binning."""

    def check(self, option: str = "--read") -> "FileConfig":
        """Itself, or InputError with the first impossible value; option: what the options are called."""
        if self.adu_per_photon is not None and not 0 < self.adu_per_photon < math.inf:
            raise InputError(f"{option}.adu-per-photon is {self.adu_per_photon}; it must be positive and finite")
        if not math.isfinite(self.adu_offset):
            raise InputError(f"{option}.adu-offset is {self.adu_offset}; it must be finite")
        if self.centre is not None and not all(map(math.isfinite, self.centre)):
            raise InputError(f"{option}.centre is {self.centre}; give a row and a column in pixels")
        if self.binning < 1:
            raise InputError(f"{option}.binning is {self.binning}; it must be 1 (none) or more")
        if self.shape is not None and min(self.shape) < 1:
            raise InputError(f"{option}.shape is {self.shape}; give at least one row and one column")
        if self.shape is not None and math.prod(self.shape) * self.binning**2 > _MOST_PIXELS:
            raise InputError(f"{option}.shape {self.shape[0]} {self.shape[1]} has more than {_MOST_PIXELS} pixels")
        return self

    def resolved(self) -> "FileConfig":
        """Itself with absolute paths of the files that it names: to be read from another folder."""

        def absolute(mask: str) -> str:  # a data set's name stays
            is_file = Path(mask).is_file() or Path(mask.rpartition(":")[0]).is_file()
            return str(Path(mask).resolve()) if is_file else mask

        mask = absolute(self.mask) if isinstance(self.mask, str) else self.mask and tuple(map(absolute, self.mask))
        detector, geom = (path and path.resolve() for path in (self.detector, self.geom))
        return replace(self, mask=mask, detector=detector, geom=geom)
