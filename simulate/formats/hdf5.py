"""Patterns as HDF5 files: the plain layout, the truth alone, and one file over many shards.

Everything here turns a batch into the bytes of a complete file, in memory: a full disk cannot break HDF5, and who
writes the bytes can write them whole.
"""

import io
import zlib
from collections.abc import Callable, Sequence

import h5py
import numpy as np
from jaxtyping import Array, Num, Shaped
from numpy.typing import DTypeLike

from ..source import Patterns
from .provenance import Provenance

_TRUTH = {
    "index": (None, "number of the pattern: configuration, seed and index decide it"),
    "kind": (None, "what the pulse hit, as in names"),
    "particles": (None, "bodies in the scene"),
    "photons": ("photons", "expected on good pixels before read-out, background aside"),
    "background": ("photons", "expected on good pixels from the background"),
    "photon_energy_ev": ("eV", "photon energy of the pulse"),
    "present": (None, "1 where a slot holds a body; the other slots mean nothing"),
    "geometry": (None, "shape of the body, as in names; -1: ellipsoid"),
    "diameter_m": ("m", "volume-equivalent sphere diameter"),
    "stretch": (None, "factors along the body's axes, product 1"),
    "orientation": (None, "unit quaternion (w, x, y, z), body to laboratory"),
    "position_m": ("m", "(x, y, z) relative to the first body, z along the beam"),
    "fluence": (None, "relative to the centre of the focus, times brightness_spread's factor where there is one"),
    "contrast": (None, "refractive index minus that of what surrounds the body"),
}


def hdf5_bytes(fill: Callable[[h5py.File], None]) -> bytes:
    """The file that `fill` writes into, readable by HDF5 1.10 and newer."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=("v110", "v110")) as file:
        fill(file)
    return buffer.getvalue()


def encode_hdf5(patterns: Patterns, first: int, provenance: Provenance) -> bytes:
    """The plain layout, whose first pattern has the index `first`; the patterns follow each other and know their truth.

    `counts` (N, y, x) in the dtype that they have, photons; `label` (N,) uint8, 1 = single hit; `bad_pixel` (y, x)
    bool, True = do not use; `truth/*` (N, ...), see `Truth` and `Scene`, each with a description; attributes `config`
    (see `Provenance`) and `first_index`. Data sets with an axis of patterns say which in an attribute `frame_axis`.
    """

    def fill(file):
        write_frames(file, "counts", patterns.counts)
        _write_all_but_counts(file, patterns, first, provenance)

    return hdf5_bytes(fill)


def encode_truth(patterns: Patterns, first: int, provenance: Provenance) -> bytes:
    """The plain layout without `counts`, to go beside a format that cannot hold truth."""
    return hdf5_bytes(lambda file: _write_all_but_counts(file, patterns, first, provenance))


def encode_virtual(shard: bytes, paths: Sequence[str], counts: Sequence[int]) -> bytes:
    """One file over many shards of one layout: their frames in turn, as virtual data sets.

    shard: the first of them, whole; paths: of all, as seen from the folder of this file, with /; counts: their numbers
    of patterns. What has no axis of frames is copied from `shard`. A missing shard's patterns read as
    `fill_value`, never as zeros.
    """

    def fill(file):
        with h5py.File(io.BytesIO(shard)) as first:
            _overlay(first, file, paths, counts)

    return hdf5_bytes(fill)


def fill_value(dtype: DTypeLike) -> np.generic | None:
    """What stands for patterns that are not there: NaN, -1 or the largest unsigned number; text stays empty (None)."""
    dtype = np.dtype(dtype)
    if dtype.kind in "fc":
        return dtype.type(np.nan)
    return np.int64(-1).astype(dtype) if dtype.kind in "iu" else None


def write_frames(
    group: h5py.Group, name: str, counts: Num[Array, "frames ..."] | Num[np.ndarray, "frames ..."]
) -> h5py.Dataset:
    """Frames as a data set, one a chunk: gzip level 1 after shuffle.

    Compressed here, since HDF5 would let only one of the threads that encode do so at a time.
    """
    counts = np.asarray(counts)
    data_set = frames_data_set(group, name, counts.shape, counts.dtype)
    put_frames(data_set, 0, counts)
    data_set.attrs["units"] = "photons"
    return data_set


def frames_data_set(group: h5py.Group, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> h5py.Dataset:
    """What `put_frames` fills. shape: (N, ...), N counting the frames."""
    gzip = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    data_set = group.create_dataset(name, shape, dtype, chunks=(1, *shape[1:]), **gzip)
    data_set.attrs["frame_axis"] = 0
    return data_set


def put_frames(data_set: h5py.Dataset, first: int, frames: Shaped[np.ndarray, "frames ..."]) -> None:
    """Write frames of the data set's type, the first of them as its frame `first`."""
    for i, frame in enumerate(frames, first):
        bytes_of_rank = np.ascontiguousarray(frame.reshape(-1, 1).view(np.uint8).T)
        data_set.id.write_direct_chunk((i, *[0] * frame.ndim), zlib.compress(bytes_of_rank.data, 1))


def write_per_frame(
    group: h5py.Group, name: str, values: Shaped[Array, "*any"] | Shaped[np.ndarray, "*any"], axis: int = 0
) -> h5py.Dataset:
    """An array whose axis `axis` counts the patterns."""
    data_set = group.create_dataset(name, data=values)
    data_set.attrs["frame_axis"] = axis
    return data_set


def write_mask(group: h5py.Group, name: str, mask: Shaped[np.ndarray, "*any"]) -> h5py.Dataset:
    """A mask of all frames, compressed."""
    return group.create_dataset(name, data=mask, compression="gzip", compression_opts=1, shuffle=True)


def write_provenance(file: h5py.File, first: int, provenance: Provenance) -> None:
    """The attributes `config` and `first_index`."""
    file.attrs["config"] = provenance.config
    file.attrs["first_index"] = first


def write_truth(group: h5py.Group, patterns: Patterns, first: int, provenance: Provenance) -> h5py.Group:
    """The group `truth`: `Truth` without its label, `Scene`, and the patterns' indices."""
    assert patterns.truth is not None, "only patterns whose truth is known can be written with it"
    values = {
        "index": first + np.arange(len(patterns.label)),
        **patterns.truth._asdict(),
        **patterns.truth.scene._asdict(),
    }
    truth = group.create_group("truth")
    for name, (units, description) in _TRUTH.items():
        value = np.asarray(values[name])
        # HDF5's boolean has no third value for patterns that are not there.
        data_set = write_per_frame(truth, name, value.astype(np.uint8) if value.dtype == bool else value)
        data_set.attrs["description"] = description
        if units:
            data_set.attrs["units"] = units
    for name, value in patterns.truth.drawn.items():
        write_per_frame(truth, name, np.asarray(value)).attrs["description"] = "drawn by the effect of that name"
    truth["kind"].attrs["names"] = provenance.kinds
    truth["geometry"].attrs["names"] = provenance.geometries
    return truth


def _write_all_but_counts(file, patterns, first, provenance):
    write_provenance(file, first, provenance)
    write_per_frame(file, "label", np.asarray(patterns.label, np.uint8))
    write_mask(file, "bad_pixel", provenance.bad_pixel)
    write_truth(file, patterns, first, provenance)


def _overlay(source: h5py.Group, target: h5py.Group, paths, counts) -> None:
    """A group's content: links and constants copied, the others made virtual."""
    _copy_attributes(source, target)
    for name in source:
        link = source.get(name, getlink=True)
        if isinstance(link, h5py.SoftLink):
            target[name] = h5py.SoftLink(link.path)
            continue
        item = source[name]
        if isinstance(item, h5py.Group):
            _overlay(item, target.create_group(name), paths, counts)
        elif "frame_axis" in item.attrs:
            layout = _layout(item, paths, counts)
            data_set = target.create_virtual_dataset(name, layout, fill_value(item.dtype))
            _copy_attributes(item, data_set)
        else:
            source.copy(item, target, name)


def _layout(data_set, paths, counts) -> h5py.VirtualLayout:
    axis = int(data_set.attrs["frame_axis"])
    before, after = data_set.shape[:axis], data_set.shape[axis + 1 :]
    layout = h5py.VirtualLayout((*before, sum(counts), *after), data_set.dtype)
    start = 0
    for path, count in zip(paths, counts, strict=True):
        # HDF5 takes %b in a name for a number of a block.
        shard = h5py.VirtualSource(path.replace("%", "%%"), data_set.name, (*before, count, *after), data_set.dtype)
        layout[(*[slice(None)] * axis, slice(start, start + count))] = shard
        start += count
    return layout


def _copy_attributes(source, target) -> None:
    for name, value in source.attrs.items():
        target.attrs[name] = value
