"""Frames of files as pictures of photons, whatever the format: training, scoring and inspection take them from here."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int, Shaped

from ...geometries.errors import InputError
from ..beamline.geom import Geom, read_geom
from ..beamline.instrument import PRESETS, Instrument, instrument_of
from ..beamline.pixels import assemble, hidden_pixels
from ..file_config import FileConfig
from ..formats.frames import ALL_DATA, Frames
from ..progress import Track, no_track
from ..source import Indices, Patterns
from .arrange import first_pixel, window
from .facts import describe_scaling, other_unit
from .file_lists import open_files
from .gaps import with_gaps
from .invalid_frames import Flags, frame_flags
from .modules.masks import frames_named, names_data_sets, with_flags, with_masks
from .modules.place import check_picture, own_instrument, panel_pixels
from .recognise import open_frames

_BLOCK_BYTES = 2**26
_MOST_LOST = 0.01
"""Share of a frame's pixels that may be NaN or Inf; they are masked in it. Of more, the frame is invalid."""
_MOST_HIDDEN = 0.01
"""Share of the panels' pixels below others in the picture: askew ones of real detectors lose a tenth of that."""
_SAMPLE = 8
_FAR_M = 1e9
_SCALE = ("distance_m", "pixel_size_m", "photon_energy_ev")
_AS_IT_IS = FileConfig()


class FileSource:
    """Frames of files as pictures of photons, by index: a `PatternSource`.

    In this order, as `config` says: data numbers become photons, modules a picture, the beam comes to its middle, which
    is cropped or padded, and pixels are summed. Frames that cannot be judged are passed on, and counted by `flags`.

    path: a file, several, a glob, or a list of files: see `open_files`. option: what the options of `config` are called
    on the command line, for messages.

    given: the paths; frames: what they hold, as it was opened; origin: where each frame lies; shape: (ny, nx) of the
    pictures; bad_pixel: not to use in any frame; label: 1 = single hit, or None where a file has none; notes: what was
    done on the way, one line each. Raises InputError for a file that cannot be read, and where the options do not fit.
    """

    def __init__(self, path: str | Path | Sequence[str | Path], config: FileConfig = _AS_IT_IS, option: str = "--read"):
        self.config, self.option = config.check(option), option
        self.notes: list[str] = []
        self._geom = geom = None if config.geom is None else read_geom(config.geom, option)
        self._own: dict[Path, Instrument | None] = {}
        given = [Path(path)] if isinstance(path, str | Path) else [*map(Path, path)]
        frames, self.origin = open_files(given, partial(self._opened, geom=geom))
        if len(self.origin.files) > 1 and not any(self._own.values()):
            frames = with_gaps(frames)  # files of a frame each show their gaps together
        self.frames = frames
        self.notes = [*dict.fromkeys([*self.notes, *frames.notes])]
        own = self._own_instrument()
        if own is not None and math.prod(own.shape) != math.prod(frames.shape):
            own = None  # the user names another data set
        self.given, self.name, self.label = given, frames.path.stem, frames.label
        self._adu_per_photon = config.adu_per_photon
        self._common_bad = np.zeros(frames.shape, bool) if frames.bad_pixel is None else frames.bad_pixel.copy()
        self._masked_by_value = frames.dtype.kind == "f" or bool(config.mask_values) or frames.no_data != ALL_DATA
        self._masks_are_common = frames.frame_bad_pixel is None and not self._masked_by_value
        self._latest: tuple[np.ndarray, np.ndarray] = (np.arange(0), np.empty(0))
        pixels = np.arange(math.prod(frames.shape)).reshape(frames.shape)
        if geom is not None:
            pixels = self._assembled(geom, own)
            placed = math.prod(geom.shape if own is None else own.shape)
            if (hidden := 1 - np.unique(pixels[pixels >= 0]).size / placed) > _MOST_HIDDEN:
                said = f"panels of {geom.path} lie on each other, {hidden:.1%} of their pixels"
                self.frames = replace(frames, oddities=(*frames.oddities, f"{said}: give {option}.geom that fits"))
        elif own is None:
            check_picture(frames.count, frames.shape, frames.path, config, option)
        elif own.panels:
            pixels = assemble(pixels.reshape(1, *own.shape) + 1, own)[0][0] - 1
            self.notes.append("the panels stand where the file says that onehit simulated them")
        if frames.facts.get("is_fft_shifted"):
            pixels = np.fft.fftshift(pixels)
            self.notes.append("the file has the beam in the corner of its frames: it was brought to the middle")
        if self._adu_per_photon is None and (scaling := frames.facts.get("scaling")):
            raise InputError(f"{frames.path}: {describe_scaling(scaling, option)}")
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
        indices = self._within(indices)
        label = np.full(len(indices), -1, np.int32) if self.label is None else self.label[indices]
        return Patterns(self._pictures_of(indices, self._photons), label, None)

    def charge(self, indices: Indices) -> Float32[np.ndarray, "batch y x"]:
        """The same pictures before photons are rounded and negative ones cut off: read-out noise as it was."""
        return self._pictures_of(self._within(indices), self._charge)

    @property
    def knows_gain(self) -> bool:
        """Whether data numbers become photons, by the configuration or a geometry file."""
        return self._adu_per_photon is not None

    @property
    def scale(self) -> dict[str, float | None]:
        """distance_m, pixel_size_m (before binning) and photon_energy_ev: the file's, or where it does not state one,
        the geometry file's, whose panels say how wide pixels are; None where neither does."""
        known = {name: self.frames.facts.get(name) or getattr(self._geom, name, None) for name in _SCALE}
        return known if self._geom is None else known | {"pixel_size_m": self._geom.pixel_size_m}

    def _pictures_of(
        self, indices: Int[np.ndarray, " batch"], converted: Callable[[np.ndarray], np.ndarray]
    ) -> Shaped[np.ndarray, "batch y x"]:
        unique, place = np.unique(indices, return_inverse=True)
        pictures = self._in_blocks(lambda some: self._picture(converted(self._read(some))), unique)
        return pictures if np.array_equal(unique, indices) else pictures[place]

    def masks(self, indices: Indices) -> Bool[np.ndarray, "y x"] | Bool[np.ndarray, "batch y x"]:
        """`bad_pixel`, or one for each where some of these frames have a mask of their own, or pixels without data."""
        if self._masks_are_common:
            return self.bad_pixel
        unique, place = np.unique(self._within(indices), return_inverse=True)
        bad = self._in_blocks(lambda some: self._picture_mask(self._bad(some)), unique)
        return self.bad_pixel if (bad == self.bad_pixel).all() else bad[place]

    def _within(self, indices: Indices) -> Int[np.ndarray, " batch"]:
        """Raises IndexError for frames that are not there; they are counted from 0."""
        found = np.asarray(indices)
        if found.size and not 0 <= found.min() <= found.max() < len(self):
            raise IndexError(f"{self.frames.path} has frames 0 to {len(self) - 1}, not {found.min()} to {found.max()}")
        return found

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
                f"anything else; name it with {self.option}.label"
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

    def pictures(self, indices: Int[np.ndarray, " frames"]) -> Frames:
        """The pictures of these indices as a stack that can be written: masks, labels and facts are the pictures'.

        Facts are distance_m, pixel_size_m and photon_energy_ev as far as they are known; image_center where it is known
        of the pictures; units where data numbers became photons; and what every frame has for itself.
        """
        frames, geom = self.frames, self._geom
        known: dict[str, Any] = {**self.scale}
        if known["pixel_size_m"] is not None:
            known["pixel_size_m"] *= self.config.binning
        if geom is not None or self.config.centre is not None:
            known["image_center"] = [(size - 1) / 2 for size in reversed(self.shape)]
        elif self._unchanged and self.config.binning == 1:
            known["image_center"] = frames.facts.get("image_center")
        if self._adu_per_photon is not None:
            known["units"] = "photons"
        each = {name: values[indices] for name, values in frames.facts_of_each().items()}
        blocks = range(0, len(indices), self.block)
        own_masks = any(self.masks(indices[first : first + self.block]).ndim == 3 for first in blocks)
        return Frames(
            frames.path,
            frames.format,
            len(indices),
            self.shape,
            np.asarray(self.patterns(indices[:1]).counts).dtype,
            lambda some: np.asarray(self.patterns(indices[some]).counts),
            self.bad_pixel,
            (lambda some: np.broadcast_to(self.masks(indices[some]), (len(some), *self.shape))) if own_masks else None,
            frames.mask_meaning,
            None if self.label is None else self.label[indices],
            {name: value for name, value in known.items() if value is not None} | each,
        )

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

    def _read(self, indices: Int[np.ndarray, " batch"]) -> Shaped[np.ndarray, " batch *frame"]:
        """Frames as they lie in the file; the last ones are kept, as masks are asked for beside patterns."""
        kept, values = self._latest
        if not np.array_equal(kept, indices):
            values = self.frames.read(indices)
            self._latest = (indices, values)
        return values

    def _bad(self, indices: Int[np.ndarray, " batch"]) -> Bool[np.ndarray, " batch *frame"]:
        """Pixels not to use of the file's frames: those of all, each frame's own, and those without data.

        Frames that lost many pixels to NaN or Inf keep them, and are flagged for it.
        """
        bad = np.broadcast_to(self._common_bad, (len(indices), *self.frames.shape))
        if self.frames.frame_bad_pixel is not None:
            bad = bad | self.frames.frame_bad_pixel(indices)
        if self._masked_by_value:
            values = self._read(indices)
            bad = bad | self.frames.no_data.where(values)
            named = np.asarray(self.config.mask_values, float)
            # A number of float32 is not quite the one that was typed.
            bad = bad | np.isin(values, named.astype(values.dtype) if values.dtype.kind == "f" else named)
            if np.isnan(named).any():
                bad = bad | np.isnan(values)
            lost = ~np.isfinite(values) & ~bad
            few = lost.sum(tuple(range(1, lost.ndim))) <= _MOST_LOST * lost[0].size
            bad = bad | (lost & few.reshape(-1, *[1] * (lost.ndim - 1)))
        return bad

    def _photons(self, values: Shaped[np.ndarray, " batch *frame"]) -> Shaped[np.ndarray, " batch *frame"]:
        """Whole photons if asked for; float16 as float32, or sums of bins would overflow."""
        if self._adu_per_photon is None:
            return values.astype(np.float32) if values.dtype == np.float16 else values
        photons = self._charge(values)
        np.rint(photons, out=photons)
        return np.maximum(photons, 0, out=photons, where=np.isfinite(photons))

    def _charge(self, values: Shaped[np.ndarray, " batch *frame"]) -> Float32[np.ndarray, " batch *frame"]:
        """In photons."""
        charge = values.astype(np.float32)
        if self._adu_per_photon is not None:
            charge -= self.config.adu_offset
            charge /= self._adu_per_photon
        return charge

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

    def _opened(self, path: Path, geom: Geom | None) -> Frames:
        """A file, with the data set and the masks that the geometry file names where the user names none."""
        self._own[path] = own_instrument(path, self.config, self.option)
        geom = geom if self._own[path] is None else None
        config, data, masked = self.config, self.config.data, False
        if geom is not None:
            named = names_data_sets(path)
            data = data or (frames_named(geom, path, self.option) if named else None)
            masked = config.mask is None and bool(geom.masks) and (named or all(mask.file for mask in geom.masks))
        try:
            frames = open_frames(
                path, data, config.label, "" if masked else config.mask, mask_polarity=config.mask_polarity,
                axes=config.axes, has_geometry=geom is not None, detector=config.detector, trusted=config.trusted,
                option=self.option,
            )  # fmt: skip
        except InputError as error:  # the guards below do not know what the options are called
            raise InputError(str(error).replace("--read.", f"{self.option}.")) from None
        if geom is None:
            # onehit's own files say what is masked; and looking all over a set would check every shard's sum first.
            return frames if self._own[path] is not None else with_gaps(frames)
        if masked:
            frames = with_masks(frames, geom, self.option, config.trusted)
        elif geom.masks:
            self.notes.append(f"masks of {geom.path} are not used: {', '.join(mask.data for mask in geom.masks)}")
        return with_gaps(with_flags(frames, geom))

    def _own_instrument(self) -> Instrument | None:
        """The one that onehit simulated the files with; see `own_instrument`."""
        first, *others = (self._own[path] for path in self.origin.files)
        if any(one != first for one in others):
            raise InputError(f"{self.frames.path}: its files were simulated with different instruments: give one kind")
        return first

    def _assembled(self, geom: Geom, own: Instrument | None) -> Int[np.ndarray, "y x"]:
        """The pixels of the file's frame, counted along its rows, where they stand in the picture; -1 in gaps."""
        size = math.prod(self.frames.shape)
        if own is None:
            slab = panel_pixels(geom, self.frames.shape, str(self.frames.path))
            # Only where pixels lie across the beam matters here, which none of the three changes.
            sized = replace(geom, pixel_size_m=geom.pixel_size_m or 1.0)
            instrument = instrument_of(sized, PRESETS["amo86615"], _FAR_M, 1e3)
        else:
            slab, instrument = np.arange(size).reshape(own.shape), own
        self._common_bad.reshape(-1)[slab[hidden_pixels(instrument)]] = True
        if slab.size < size:
            share = 100 * slab.size / size
            self.notes.append(f"the panels of {geom.path} are {share:.3g} % of each frame; the rest is left out")
        if geom.adu is not None:
            self.notes.append(self._data_numbers(geom))
        if geom.ignored:
            self.notes.append(f"of {geom.path}, {', '.join(geom.ignored)} are not used")
        return assemble(slab[None] + 1, instrument)[0][0] - 1

    def _data_numbers(self, geom: Geom) -> str:
        """Takes the geometry file's data numbers a photon where the file's values are no photons yet; what it took."""
        if self._adu_per_photon is not None:
            return f"data numbers a photon: {self._adu_per_photon:g}, as you say; {geom.adu} of {geom.path} is not used"
        why = None
        if self.frames.facts.get("units") == "photons":
            why = "the file says that its values are photons"
        elif other_unit(self.frames.facts) is None and self._holds_whole_numbers():
            why = "the file's values are whole numbers: taken for photons"
        if why is not None:
            return f"{why}; {geom.adu} of {geom.path} is not used: {self.option}.adu-per-photon N to divide"
        self._adu_per_photon = geom.adu_per_photon
        return f"data numbers a photon: {geom.adu_per_photon:g}, by {geom.adu} of {geom.path}"

    def _holds_whole_numbers(self) -> bool:
        """Whether all finite values on good pixels are whole, of some frames from first to last."""
        if self.frames.dtype.kind != "f":
            return True
        some = np.unique(np.linspace(0, len(self) - 1, _SAMPLE).astype(int))
        seen = self.frames.read(some)[:, ~self._common_bad]
        seen = seen[np.isfinite(seen)]
        return bool((seen == np.rint(seen)).all())
