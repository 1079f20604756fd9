"""Frames of files as pictures of photons, whatever the format: training, scoring and inspection take them from here."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, Shaped

from ...geometries.errors import InputError
from ..beamline.geom import Geom, read_geom
from ..beamline.instrument import PRESETS, instrument_of
from ..beamline.pixels import assemble, hidden_pixels
from ..progress import Track, no_track
from ..source import Indices, Patterns
from .arrange import first_pixel, panel_pixels, window
from .config import FileConfig
from .invalid_frames import Flags, frame_flags
from .recognise import open_frames

_BLOCK_BYTES = 2**26
_AS_IT_IS = FileConfig()


class FileSource:
    """A file's frames as pictures of photons, by index: a `PatternSource`.

    In this order, as `config` says: data numbers become photons, modules a picture, the beam comes to its middle, which
    is cropped or padded, and pixels are summed. Frames that cannot be judged are passed on, and counted by `flags`.

    frames: the file as it was opened; shape: (ny, nx) of the pictures; bad_pixel: not to use in any frame; label:
    1 = single hit, or None where the file has none; notes: what was done on the way, one line
    each. option: what the options of `config` are called on the command line, for messages. Raises InputError for a
    file that cannot be read, and where the options do not fit it.
    """

    def __init__(self, path: str | Path, config: FileConfig = _AS_IT_IS, option: str = "--read"):
        self.config, self._option = config.check(), option
        self.frames = frames = open_frames(
            path, config.data, config.label, config.mask, mask_polarity=config.mask_polarity,
            detector=config.detector, trusted=config.trusted,
        )  # fmt: skip
        self.name, self.label = frames.path.stem, frames.label
        self.notes: list[str] = []
        self._adu_per_photon = config.adu_per_photon
        self._common_bad = np.zeros(frames.shape, bool) if frames.bad_pixel is None else frames.bad_pixel.copy()
        pixels = np.arange(math.prod(frames.shape)).reshape(frames.shape)
        if config.geom is not None:
            pixels = self._assembled(read_geom(config.geom))
        elif pixels.ndim != 2:
            raise InputError(
                f"{path}: the frames are modules, {frames.shape}: say where they stand with {option}.geom FILE.geom"
            )
        if self._adu_per_photon is None and config.adu_offset:
            raise InputError(f"{option}.adu-offset means nothing without {option}.adu-per-photon: give both")
        self._whole = pixels.shape
        self._pixels = window(pixels, config, option)
        """Which pixel of the file's frame each pixel of the picture shows, before binning; -1: none."""
        self._unchanged = np.array_equal(self._pixels.reshape(-1), np.arange(math.prod(frames.shape)))
        self.bad_pixel = self._picture_mask(self._common_bad[None])[0]
        self.shape: tuple[int, int] = self.bad_pixel.shape
        self.block = max(1, min(256, _BLOCK_BYTES // (frames.dtype.itemsize * math.prod(frames.shape))))
        """How many frames are best read at a time."""
        self._flags: Flags | None = None

    def __len__(self) -> int:
        return self.frames.count

    def patterns(self, indices: Indices) -> Patterns:
        """The frames of these indices, in their order; labels are -1 where the file has none.

        What bad pixels hold means nothing. Raises InputError where the file is damaged.
        """
        indices = np.asarray(indices)
        unique, place = np.unique(indices, return_inverse=True)
        counts = self._in_blocks(lambda some: self._picture(self._photons(self.frames.read(some))), unique)
        if not np.array_equal(unique, indices):
            counts = counts[place]
        label = np.full(len(indices), -1, np.int32) if self.label is None else self.label[indices]
        return Patterns(counts, label, None)

    def masks(self, indices: Indices) -> Bool[np.ndarray, "y x"] | Bool[np.ndarray, "batch y x"]:
        """`bad_pixel`, or one for each where every frame has a mask of its own."""
        read = self.frames.frame_bad_pixel
        if read is None:
            return self.bad_pixel
        unique, place = np.unique(np.asarray(indices), return_inverse=True)
        return self._in_blocks(lambda some: self._picture_mask(read(some) | self._common_bad), unique)[place]

    def in_file(self, bad: Bool[np.ndarray, "y x"]) -> Bool[np.ndarray, "*frame"]:
        """The pixels of the file's frames that these pixels of the pictures show."""
        factor = self.config.binning
        shown = self._pixels[bad.repeat(factor, 0).repeat(factor, 1)]
        marked = np.zeros(self.frames.shape, bool)
        marked.reshape(-1)[shown[shown >= 0]] = True
        return marked

    def as_centre(self, row: float, column: float) -> tuple[float, float]:
        """What `FileConfig.centre` is to be for the beam to be at this place of the pictures."""
        factor, middle = self.config.binning, self.config.centre or tuple((size - 1) / 2 for size in self._whole)
        row, column = (
            (place + 0.5) * factor - 0.5 + first_pixel(size, beam)
            for place, size, beam in zip((row, column), self._pixels.shape, middle, strict=True)
        )
        return row, column

    def labels(self) -> Int[np.ndarray, " frames"]:
        """The labels; raises InputError where the file has none."""
        if self.label is None:
            raise InputError(
                f"{self.frames.path} has no labels, which are needed here: a data set with 1 for single hits and 0 for "
                f"anything else; name it with {self._option}.label"
            )
        return self.label

    def flags(self, track: Track = no_track) -> Flags:
        """Which frames cannot be judged and why, and all frames' photons. Reads every frame the first time."""
        if self._flags is None:
            blocks = range(0, len(self), self.block)
            found = []
            for first in track(blocks, f"checking {self.name}", self.block):
                some = np.arange(first, min(first + self.block, len(self)))
                found.append(frame_flags(np.asarray(self.patterns(some).counts), self.masks(some)))
            self._flags = Flags(*map(np.concatenate, zip(*found, strict=True)))
        return self._flags

    def _in_blocks(
        self, read: Callable[[np.ndarray], np.ndarray], indices: Int[np.ndarray, " batch"]
    ) -> Shaped[np.ndarray, "batch ..."]:
        """`read` of sorted, unique indices, in blocks that need little memory besides the result."""
        if len(indices) <= self.block:
            return read(indices)
        result = None
        for first in range(0, len(indices), self.block):
            part = read(indices[first : first + self.block])
            if result is None:
                result = np.empty((len(indices), *part.shape[1:]), part.dtype)
            result[first : first + len(part)] = part
        assert result is not None
        return result

    def _photons(self, values: Shaped[np.ndarray, " batch *frame"]) -> Shaped[np.ndarray, " batch *frame"]:
        """Whole photons if asked for."""
        if self._adu_per_photon is None:
            return values
        photons = values.astype(np.float32)
        photons -= self.config.adu_offset
        photons /= self._adu_per_photon
        np.rint(photons, out=photons)
        return np.maximum(photons, 0, out=photons, where=np.isfinite(photons))

    def _picture(self, values: Shaped[np.ndarray, " batch *frame"]) -> Shaped[np.ndarray, "batch y x"]:
        """Frames as pictures, 0 where the picture has no pixel of the file."""
        pictures = self._gather(values, 0)
        factor, (count, height, width) = self.config.binning, pictures.shape
        if factor == 1:
            return pictures
        rows = pictures.reshape(count, height // factor, factor, width).sum(2)
        return rows.reshape(count, height // factor, width // factor, factor).sum(3)

    def _picture_mask(self, bad: Bool[np.ndarray, " batch *frame"]) -> Bool[np.ndarray, "batch y x"]:
        """The same for masks: True where there is no pixel of the file, or any of a bin's is bad."""
        pictures = self._gather(bad, True)
        factor, (count, height, width) = self.config.binning, pictures.shape
        return np.asarray(pictures.reshape(count, height // factor, factor, width // factor, factor).any((2, 4)))

    def _gather(self, values: Shaped[np.ndarray, " batch *frame"], outside: int) -> Shaped[np.ndarray, "batch y x"]:
        if self._unchanged:
            return values.reshape(len(values), *self._pixels.shape)
        pictures = values.reshape(len(values), -1).take(self._pixels, axis=1, mode="wrap")
        pictures[:, self._pixels < 0] = outside
        return pictures

    def _assembled(self, geom: Geom) -> Int[np.ndarray, "y x"]:
        """The pixels of the file's frame, counted along its rows, where they stand in the picture; -1 in gaps."""
        slab = panel_pixels(geom, self.frames.shape, str(self.frames.path))
        # Only where pixels lie across the beam matters here, which neither of the two changes.
        instrument = instrument_of(geom, PRESETS["amo86615"], geom.distance_m or 1.0, geom.photon_energy_ev or 1e3)
        self._common_bad.reshape(-1)[slab[hidden_pixels(instrument)]] = True
        if self._adu_per_photon is None and geom.adu_per_photon is not None:
            self._adu_per_photon = geom.adu_per_photon
            self.notes.append(f"data numbers a photon: {geom.adu_per_photon:g}, by {geom.path}")
        if geom.ignored:
            self.notes.append(f"of {geom.path}, {', '.join(geom.ignored)} are not used")
        return assemble(slab[None] + 1, instrument)[0][0] - 1
