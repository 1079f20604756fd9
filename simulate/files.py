"""Labelled patterns from files."""

from pathlib import Path

import h5py
import numpy as np

from ..geometries.errors import InputError
from .source import Patterns, Truth

_BLOCK = 256


class FileSource:
    """Patterns of a plain HDF5 file with named data sets.

    `counts` (N, ny, nx), any numeric type, photons; `label` (N,), 1 = good, 0 = bad; `bad_pixel` (ny, nx), non-zero =
    do not use, optional. Raises InputError for a file that cannot be read, lacks a data set, or holds another shape.
    """

    def __init__(self, path: str | Path, counts="counts", label="label", bad_pixel="bad_pixel"):
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{path} does not exist: give a labelled HDF5 file")
        try:
            self._file = h5py.File(self.path)
        except OSError as error:
            raise InputError(f"{path} cannot be read as HDF5 ({error}): is it complete?") from None
        self._counts, labels = self._data_set(counts, 3), self._data_set(label, 1)
        self.name = self.path.stem
        self.shape = self._counts.shape[1:]
        given = np.asarray(labels[:])
        if len(given) != len(self._counts):
            raise InputError(f"{path} has {len(self._counts)} frames but {len(given)} labels")
        if not np.isin(given, (0, 1)).all():
            raise InputError(f"{path}: {label} holds {sorted(set(given.tolist()))[:5]}; say 1 = good, 0 = bad")
        self.label = given.astype(np.int32)
        self.bad_pixel = np.zeros(self.shape, bool)
        if bad_pixel in self._file:
            self.bad_pixel = np.asarray(self._data_set(bad_pixel, 2)[:], bool)
            if self.bad_pixel.shape != self.shape:
                raise InputError(f"{path}: {bad_pixel} has shape {self.bad_pixel.shape}, the frames {self.shape}")

    def __len__(self) -> int:
        return len(self._counts)

    def patterns(self, indices) -> Patterns:
        """The frames of these indices, (B,) int, in their order. Raises InputError for a frame that is not finite."""
        indices = np.asarray(indices)
        unique, place = np.unique(indices, return_inverse=True)
        counts = self._counts[unique][place]
        if counts.dtype.kind == "f":
            broken = indices[~np.isfinite(counts[:, ~self.bad_pixel]).all(1)]
            if len(broken):
                raise InputError(
                    f"{self.path}: frame {broken[0]} ({len(broken)} in all) holds NaN or Inf: "
                    "mask those pixels in bad_pixel and set them to 0, or remove the frames"
                )
        return Patterns(counts, self.label[indices], None)

    def check(self, negative: bool = True) -> None:
        """Read every frame once; raises InputError for the first not finite, or, unless `negative`, negative."""
        for first in range(0, len(self), _BLOCK):
            counts = self.patterns(np.arange(first, min(first + _BLOCK, len(self)))).counts
            below = np.flatnonzero((np.asarray(counts)[:, ~self.bad_pixel] < 0).any(1))
            if len(below) and not negative:
                raise InputError(
                    f"{self.path}: frame {first + below[0]} holds negative counts: round them to whole photons first"
                )

    def _data_set(self, name, dimensions) -> h5py.Dataset:
        found = self._file.get(name)
        if not isinstance(found, h5py.Dataset):
            names = []
            self._file.visititems(lambda path, item: names.append(path) if isinstance(item, h5py.Dataset) else None)
            has = ", ".join(names) or "none"
            raise InputError(f"{self.path} has no data set {name!r}; it has {has}")
        if found.ndim != dimensions or found.dtype.kind not in "uifb" or len(found) == 0:
            axes = {1: "(frames,)", 2: "(rows, columns)", 3: "(frames, rows, columns)"}[dimensions]
            raise InputError(
                f"{self.path}: {name} has shape {found.shape} and type {found.dtype}; numbers {axes} are needed"
            )
        return found


def write_hdf5(path: Path, blocks, count: int, shape: tuple[int, int], bad_pixel, attributes: dict[str, str]) -> None:
    """Write patterns as `FileSource` reads them, with their truth beside them under `truth/`.

    blocks: iterable of `Patterns` that hold `count` patterns in all. One frame a chunk, gzip level 1. The file
    appears under its name only when it is complete.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        with h5py.File(temporary, "w", libver=("v110", "v110")) as file:
            file.attrs.update(attributes)
            file["bad_pixel"] = bad_pixel
            first = 0
            for patterns in blocks:
                values = {"counts": _unsigned(patterns.counts), "label": np.asarray(patterns.label, np.uint8)}
                values |= {f"truth/{name}": value for name, value in _flatten(patterns.truth).items()}
                for name, value in values.items():
                    if first == 0:
                        _create(file, name, count, value)
                    data_set = file[name]
                    assert isinstance(data_set, h5py.Dataset)
                    data_set[first : first + len(value)] = value
                first += len(patterns.label)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _create(file, name, count, value):
    if value.ndim == 3:
        options = {"chunks": (1, *value.shape[1:]), "compression": "gzip", "compression_opts": 1, "shuffle": True}
        file.create_dataset(name, (count, *value.shape[1:]), value.dtype, **options)
    else:
        file.create_dataset(name, (count, *value.shape[1:]), value.dtype)


def _unsigned(counts):
    counts = np.asarray(counts)
    return counts.astype(np.uint32) if counts.dtype.kind == "i" else counts


def _flatten(truth: Truth) -> dict[str, np.ndarray]:
    fields = {**truth._asdict(), **truth.scene._asdict()}
    del fields["scene"], fields["label"]
    return {name: np.asarray(value) for name, value in fields.items()}
