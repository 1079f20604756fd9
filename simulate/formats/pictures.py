"""Pictures that were read and judged, as new files: CXI, plain HDF5, or Dragonfly's photons; written block by block."""

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path
from tempfile import TemporaryFile

import h5py
import numpy as np
from jaxtyping import Bool, Int, Integer, Shaped
from scipy.constants import electron_volt

from ...geometries.errors import InputError
from ...geometries.guard.hdf5_values import attribute
from ...geometries.guard.safe_hdf5 import open_hdf5
from ..beamline.instrument import Instrument
from ..config_io import whole_file
from ..progress import Track, no_track
from .cxi import BAD
from .dragonfly import detector_bytes
from .emc import photon_lists, sparse_head
from .frames import Frames
from .hdf5 import frames_data_set, hdf5_bytes, put_frames, write_mask, write_per_frame
from .manifest import MANIFEST, set_folder
from .provenance import Provenance

Columns = dict[str, Shaped[np.ndarray, " frames"]]
"""What is known of every picture, by name: numbers or text."""

_MARK = "classify"
_BLOCK_BYTES = 2**26
_DETECTOR, _SOURCE = "entry_1/instrument_1/detector_1", "entry_1/instrument_1/source_1"
_IDENTIFIERS = {"experiment_identifier": "experiment_identifier", "train_id": "trainId", "pulse_id": "pulseId"}


def check_target(path: Path) -> None:
    """Raises InputError where pictures cannot be written there: an unknown ending, no such folder, or files in the way
    that `write_pictures` did not write."""
    if path.suffix not in _WRITERS:
        raise InputError(f"{path}: the name must end in .cxi, .h5 or .hdf5, or .emc: it says the format")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} does not exist: make that folder first")
    if set_folder(path) is not None or (path.parent / MANIFEST).is_file():
        raise InputError(f"{path} belongs to a set of many files: choose another name or folder")
    files = files_of(path)
    marked = files[1] if len(files) > 1 else path
    if any(file.exists() for file in files) and not _is_ours(marked):
        there = next(file for file in files if file.exists())
        raise InputError(f"{there} is there already, and was not written by --kept: choose another name, or remove it")


def write_pictures(path: Path, frames: Frames, columns: Columns, record: str, track: Track = no_track) -> list[str]:
    """Write pictures, at least one, whole or not at all; returns what is lost on the way, one line each.

    frames: of shape (y, x); columns: of them source_file and source_frame are named in messages; record: how they were
    chosen, as JSON, for whoever finds the file. Memory for a few blocks of pictures is needed, whatever their number.

    Raises InputError where `check_target` does, where the format cannot hold the pictures, and where the disk is full.
    """
    check_target(path)
    try:
        return _WRITERS[path.suffix](path, frames, columns, record, track)
    except OSError as error:
        reason = "the disk is full" if error.errno in (ENOSPC, EDQUOT) else error.strerror or error
        raise InputError(f"{path}: {reason}; it was not written: make room, or write elsewhere") from None


def files_of(path: Path) -> list[Path]:
    """All that is written under that name."""
    return [path] + [path.with_suffix(end) for end in (".truth.h5", ".detector.h5") if path.suffix == ".emc"]


def _is_ours(path: Path) -> bool:
    if not h5py.is_hdf5(path):
        return False
    with open_hdf5(path) as file:
        return attribute(file, _MARK) is not None


Block = tuple[Int[np.ndarray, " block"], Shaped[np.ndarray, "block y x"], Bool[np.ndarray, "#block y x"]]
"""Numbers of pictures that follow each other, the pictures, their masks."""


def _blocks(path: Path, frames: Frames, track: Track) -> Iterator[Block]:
    size = max(1, _BLOCK_BYTES // (frames.dtype.itemsize * frames.shape[0] * frames.shape[1]))
    common = np.zeros((1, *frames.shape), bool) if frames.bad_pixel is None else frames.bad_pixel[None]
    for first in track(range(0, frames.count, size), f"writing {path.name}", size):
        some = np.arange(first, min(first + size, frames.count))
        own = frames.frame_bad_pixel
        yield some, frames.read(some), common if own is None else common | own(some)


class _Sink(io.FileIO):
    """A new file for HDF5, which breaks down where writing fails: the failure is kept for `check` to raise."""

    def __init__(self, path: Path):
        super().__init__(path, "x+")
        self._failure: OSError | None = None

    def write(self, data) -> int:
        left = memoryview(data)
        self._try(lambda: self._write_all(left))
        return len(left)

    def truncate(self, size: int | None = None) -> int:
        self._try(lambda: super(_Sink, self).truncate(size))
        return size or 0

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _write_all(self, left: memoryview) -> None:
        while left:
            left = left[super().write(left) :]

    def _try(self, change: Callable[[], object]) -> None:
        if self._failure is None:
            try:
                change()
            except OSError as error:
                self._failure = error


@contextmanager
def _hdf5_file(path: Path) -> Iterator[tuple[h5py.File, _Sink]]:
    """A new file, whole or not at all."""
    with whole_file(path) as part, _Sink(part) as sink:
        try:
            with h5py.File(sink, "w", libver=("v110", "v110")) as file:
                yield file, sink
        finally:
            sink.check()  # rather than what HDF5 makes of it


def _write_stack(
    group: h5py.Group, names: tuple[str, str], bad: np.generic, blocks: Iterator[Block], frames: Frames, sink
) -> None:
    """Pictures and masks under these names; bad: what a mask holds where a pixel is bad."""
    pictures = frames_data_set(group, names[0], (frames.count, *frames.shape), frames.dtype)
    pictures.attrs["axes"] = "experiment_identifier:y:x"
    if "units" in frames.facts:
        pictures.attrs["units"] = frames.facts["units"]
    masks = None
    if frames.frame_bad_pixel is not None:
        masks = frames_data_set(group, names[1], pictures.shape, bad.dtype)
    elif frames.bad_pixel is not None:
        write_mask(group, names[1], frames.bad_pixel * bad)
    for some, counts, hidden in blocks:
        put_frames(pictures, int(some[0]), counts)
        if masks is not None:
            put_frames(masks, int(some[0]), hidden * bad)
        sink.check()


def _write_cxi(path: Path, frames: Frames, columns: Columns, record: str, track: Track) -> list[str]:
    """The mask's bit is 0x80, bad; `score` stands beside the pictures, the other columns in entry_1."""
    with _hdf5_file(path) as (file, sink):
        file["cxi_version"], file["number_of_entries"], file.attrs[_MARK] = 160, 1, record
        detector = file.create_group(_DETECTOR)
        file["entry_1/data_1"] = h5py.SoftLink(f"/{_DETECTOR}")
        _write_facts(file, frames)
        if frames.label is not None:
            tags = write_per_frame(detector, "tags", (frames.label == 1).astype(np.uint8)[None], axis=1)
            tags.attrs["headings"] = ["single_hit"]
        for name, values in columns.items():
            _write_column(detector if name == "score" else file.require_group("entry_1"), name, values)
        _write_stack(detector, ("data", "mask"), np.uint32(BAD), _blocks(path, frames, track), frames, sink)
    return []


def _write_plain(path: Path, frames: Frames, columns: Columns, record: str, track: Track) -> list[str]:
    """`counts`, `bad_pixel`, `label` and the columns; facts stand where CXI has them."""
    with _hdf5_file(path) as (file, sink):
        _write_about(file, frames, columns, record)
        _write_stack(file, ("counts", "bad_pixel"), np.True_, _blocks(path, frames, track), frames, sink)
    return []


def _write_about(file: h5py.File, frames: Frames, columns: Columns, record: str) -> None:
    """All but pictures and masks."""
    file.attrs[_MARK] = record
    _write_facts(file, frames)
    label = {} if frames.label is None else {"label": frames.label.astype(np.uint8)}
    for name, values in (columns | label).items():
        _write_column(file, name, values)


def _write_facts(file: h5py.File, frames: Frames) -> None:
    facts = frames.facts
    if "distance_m" in facts:
        file[f"{_DETECTOR}/distance"] = facts["distance_m"]
    if "pixel_size_m" in facts:
        file[f"{_DETECTOR}/x_pixel_size"] = file[f"{_DETECTOR}/y_pixel_size"] = facts["pixel_size_m"]
    if "photon_energy_ev" in facts:
        file[f"{_SOURCE}/energy"] = facts["photon_energy_ev"] * electron_volt
    if "image_center" in facts:
        file["entry_1/image_1/image_center"] = np.asarray(facts["image_center"], float)
    for name, values in frames.facts_of_each().items():
        _write_column(file.require_group("entry_1"), _IDENTIFIERS[name], values)


def _write_column(group: h5py.Group, name: str, values: Shaped[np.ndarray, " frames"]) -> None:
    """Text of a fixed length, which needs no heap, as UTF-8."""
    stored = np.char.encode(values.astype(str), "utf-8") if values.dtype.kind in "OU" else values
    group.create_dataset(name, data=stored, compression="gzip", compression_opts=1).attrs["frame_axis"] = 0


def _write_emc(path: Path, frames: Frames, columns: Columns, record: str, track: Track) -> list[str]:
    """A sparse photon file, with its detector and all that is known of the frames beside it.

    Pixels that are bad in a frame hold no photons in it. Dragonfly has one mask for all frames.
    """
    instrument = _instrument(path, frames)
    beside, detector = files_of(path)[1:]
    about = hdf5_bytes(lambda file: _write_about(file, frames, columns, record))
    hidden = np.zeros(frames.shape, bool)
    with ExitStack() as stack:
        part = stack.enter_context(whole_file(path))
        lists = [stack.enter_context(TemporaryFile(dir=path.parent)) for _ in range(3)]
        lengths = np.zeros((2, frames.count), np.int64)
        for some, counts, bad in _blocks(path, frames, track):
            hidden |= bad.any(0)
            found = photon_lists(_whole(path, np.where(bad, 0, counts), some, columns))
            lengths[:, some] = [[len(one) for one in arrays] for arrays in found[:2]]
            for file, arrays in zip(lists, found, strict=True):
                file.write(np.concatenate(arrays).tobytes())
        if hidden.all():
            raise InputError(
                f"{path}: every pixel is bad in some frame, and EMC has one mask for all: write .cxi or .h5"
            )
        with part.open("xb") as photons:
            photons.write(sparse_head(hidden.size, *lengths))
            for file in lists:
                file.seek(0)
                shutil.copyfileobj(file, photons)
        stack.enter_context(whole_file(beside)).write_bytes(about)
        if instrument is not None:
            provenance = Provenance(record, instrument, hidden, (), ())
            stack.enter_context(whole_file(detector)).write_bytes(detector_bytes(provenance))
    if instrument is None:
        detector.unlink(missing_ok=True)  # of an earlier file
        return [f"{path}: no detector file, since distance, pixel size or photon energy are not known"]
    if frames.frame_bad_pixel is not None:
        return [f"{path}: EMC has one mask for all frames: the {hidden.mean():.1%} of the pixels that are bad in any"]
    return []


def _instrument(path: Path, frames: Frames) -> Instrument | None:
    """Of the detector file; None where it is not known and not needed."""
    rows, columns = frames.shape
    middle = ((columns - 1) / 2, (rows - 1) / 2)
    centre = np.ravel(frames.facts.get("image_center", middle))[:2]
    if np.abs(centre - middle).max() > 0.5:
        raise InputError(
            f"{path}: the beam meets row {centre[1]:g}, column {centre[0]:g}, and a photon file's detector is written "
            f"with it in the middle: give --read.centre {centre[1]:g} {centre[0]:g}, or write .cxi or .h5"
        )
    known = [frames.facts.get(name) for name in ("photon_energy_ev", "distance_m", "pixel_size_m")]
    if all(known):
        return Instrument(*known, frames.shape, focus_m=1.0)  # pyright: ignore
    masked = frames.frame_bad_pixel is not None or (frames.bad_pixel is not None and frames.bad_pixel.any())
    if masked or rows != columns:
        why = "masks" if masked else f"frames of {rows} x {columns} pixels"
        raise InputError(
            f"{path}: EMC keeps {why} in a detector file, which needs distance, pixel size and photon energy, and the "
            "files do not say them: give a --read.geom that does, or write .cxi or .h5"
        )
    return None


def _whole(path: Path, counts, some, columns: Columns) -> Integer[np.ndarray, "block y x"]:
    """Photons as whole numbers. Raises InputError with the frame that does not hold them."""
    if counts.dtype.kind == "b":
        return counts.astype(np.uint8)
    values = counts.reshape(len(counts), -1)
    with np.errstate(invalid="ignore"):
        odd = ~((values == np.rint(values)) & (values >= 0) & (values <= np.iinfo(np.int32).max))
    if not odd.any():
        return counts if counts.dtype.kind in "iu" else counts.astype(np.int32)
    frame, pixel = np.argwhere(odd)[0]
    file, number = (columns[name][some[frame]] for name in ("source_file", "source_frame"))
    raise InputError(
        f"{path}: EMC files hold whole photons, and frame {number} of {file} holds {values[frame, pixel]:g}: for data "
        "numbers give --read.adu-per-photon, or write .cxi or .h5"
    )


_WRITERS = {".cxi": _write_cxi, ".h5": _write_plain, ".hdf5": _write_plain, ".emc": _write_emc}
