"""Small files of every format, and what becomes of damaged copies of them; run in a process of its own, that may crash.

`python mutations.py FORMAT FIRST LAST FOLDER` prints a line for each seed: its number and the outcome.
"""

import json
import resource
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import particle_mutations
from onehit.geometries.errors import InputError
from onehit.geometries.guard import hdf5_process
from onehit.simulate.reading.recognise import open_frames
from scipy.io import savemat
from tifffile import imwrite

COUNT, SHAPE = 12, (16, 16)
BLOW_UP_BYTES = 2**28
GZIP = {"compression": "gzip", "compression_opts": 1, "shuffle": True, "chunks": (1, *SHAPE)}


def counts() -> np.ndarray:
    return np.random.default_rng(1).poisson(2.0, (COUNT, *SHAPE)).astype(np.uint16)


def write_plain(path: Path) -> None:
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.create_dataset("counts", data=counts(), **GZIP)
        file["label"] = np.arange(COUNT) % 2
        file["bad_pixel"] = np.eye(*SHAPE, dtype=bool)
        file.attrs["config"] = '{"seed": 1}'


def write_cxi(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 160
        detector = file.create_group("entry_1/instrument_1/detector_1")
        detector.create_dataset("data", data=counts(), **GZIP)
        detector["mask"] = np.eye(*SHAPE, dtype=np.uint32)
        detector["distance"], detector["x_pixel_size"] = 0.5, 1e-4
        detector["tags"] = (np.arange(2 * COUNT) % 2).reshape(2, COUNT).astype(np.int8)
        detector["tags"].attrs["headings"] = ["single", "multi"]
        file["entry_1/instrument_1/source_1/energy"] = np.full(COUNT, 2.4e-16)
        file["entry_1/experiment_identifier"] = [f"100:{i}" for i in range(COUNT)]
        file["entry_1/data_1"] = h5py.SoftLink("/entry_1/instrument_1/detector_1")


def write_npy(path: Path) -> None:
    np.save(path, counts())


def write_mat(path: Path) -> None:
    """As MATLAB does: (y, x, frames), packed."""
    savemat(path, {"frames": counts().transpose(1, 2, 0)}, do_compression=True)


def write_tiff(path: Path) -> None:
    imwrite(path, counts(), photometric="minisblack")


def write_emc(path: Path) -> None:
    """Dragonfly's sparse photon file: ones, multi, then the places and counts of all frames in turn."""
    frames = counts().reshape(COUNT, -1)
    ones, multi = [np.flatnonzero(f == 1) for f in frames], [np.flatnonzero(f > 1) for f in frames]
    body = [[len(o) for o in ones], [len(m) for m in multi], *ones, *multi]
    body += [f[m] for f, m in zip(frames, multi, strict=True)]
    header = np.zeros(256, "<i4")
    header[:2] = COUNT, frames.shape[1]
    path.write_bytes(header.tobytes() + np.concatenate(body).astype("<i4").tobytes())


def write_emc_hdf5(path: Path) -> None:
    frames = counts().reshape(COUNT, -1)
    with h5py.File(path, "w") as file:
        file["num_pix"] = np.array([frames.shape[1]], np.int32)
        vlen = h5py.vlen_dtype(np.int32)
        for name in ("place_ones", "place_multi", "count_multi"):
            file.create_dataset(name, (COUNT,), vlen, maxshape=(None,), chunks=(1,))
        for i, frame in enumerate(frames):
            file["place_ones"][i] = np.flatnonzero(frame == 1)
            file["place_multi"][i] = np.flatnonzero(frame > 1)
            file["count_multi"][i] = frame[frame > 1]


def write_virtual(path: Path) -> None:
    """European XFEL's: a virtual file over one file a module; this is the virtual one."""
    layout = h5py.VirtualLayout((COUNT, 2, *SHAPE), "u2")
    for module in range(2):
        with h5py.File(path.with_name(f"module{module}.h5"), "w") as file:
            file["data"] = counts()
            layout[:, module] = h5py.VirtualSource(file["data"])
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file["cxi_version"], file["entry_1/trainId"] = [150], np.arange(COUNT)
        file["entry_1/experiment_identifier"] = [f"100:{i}" for i in range(COUNT)]
        file.create_virtual_dataset("entry_1/instrument_1/detector_1/data", layout)
        file["entry_1/data_1"] = h5py.SoftLink("/entry_1/instrument_1/detector_1")


def write_nexus(path: Path) -> None:
    """A master over two files; this is the master."""
    with h5py.File(path, "w") as file:
        file.create_group("entry/data")
        for number in range(2):
            with h5py.File(path.with_name(f"data{number}.h5"), "w") as part:
                part["entry/data/data"] = counts()[number * COUNT // 2 :][: COUNT // 2]
            file[f"entry/data/data_{number + 1:06}"] = h5py.ExternalLink(f"data{number}.h5", "/entry/data/data")
        detector = file.create_group("entry/instrument/detector")
        detector.attrs["NX_class"] = np.bytes_("NXdetector")
        detector["pixel_mask"] = np.eye(*SHAPE, dtype=np.uint32)
        detector["detector_distance"] = 0.5
        detector["detector_distance"].attrs["units"] = np.bytes_("m")


def write_shard(path: Path) -> None:
    """The only shard of a set with a manifest, which knows its sha256."""
    write_plain(path)
    content = path.read_bytes()
    entry = {"file": "a.h5", "first": 0, "count": COUNT, "bytes": len(content), "label": "01" * (COUNT // 2)}
    entry["sha256"] = sha256(content).hexdigest()
    manifest = {"simulate": {"count": COUNT}, "files": [entry]}
    (path.parent / "manifest.json").write_text(json.dumps(manifest))


WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "plain": ("a.h5", write_plain),
    "cxi": ("a.cxi", write_cxi),
    "npy": ("a.npy", write_npy),
    "mat": ("a.mat", write_mat),
    "tiff": ("a.tif", write_tiff),
    "emc": ("a.emc", write_emc),
    "emc-hdf5": ("a.h5", write_emc_hdf5),
    "virtual": ("a.cxi", write_virtual),
    "nexus": ("a_master.h5", write_nexus),
    "set": ("a.h5", write_shard),
    **particle_mutations.WRITERS,
}


def mutate(content: bytes, seed: int) -> bytes:
    """Truncated, bits flipped, or a stretch replaced, zeroed, dropped or doubled; half of it near the beginning."""
    rng = np.random.default_rng(seed)
    damaged = bytearray(content)
    reach = min(len(damaged), 4096) if rng.random() < 0.5 else len(damaged)
    start, length = int(rng.integers(reach)), int(2 ** rng.uniform(0, 9))
    match seed % 6:
        case 0:
            del damaged[int(rng.integers(len(damaged))) :]
        case 1:
            for bit in rng.integers(8 * reach, size=int(2 ** rng.uniform(0, 6))):
                damaged[bit // 8] ^= 1 << int(bit % 8)
        case 2:
            damaged[start : start + length] = rng.bytes(length)
        case 3:
            damaged[start : start + length] = bytes(length)
        case 4:
            del damaged[start : start + length]
        case 5:
            damaged[start:start] = damaged[start : start + length]
    return bytes(damaged)


def read_everything(format: str, path: Path) -> list[np.ndarray]:
    if format in particle_mutations.READERS:
        return particle_mutations.READERS[format](path)
    frames = open_frames(path, trusted=path.name == "a_master.h5")
    everything = np.arange(frames.count)
    found = []
    for block in np.array_split(everything, max(1, len(everything) // 8)):
        found.append(frames.read(block))
        if frames.frame_bad_pixel is not None:
            frames.frame_bad_pixel(block)
    return found


def outcome(format: str, path: Path, expected: np.ndarray) -> str:
    """ "refused" (with one line), "right" (read as written) or "wrong" (read otherwise)."""
    try:
        found = np.concatenate(read_everything(format, path.parent if format == "set" else path))
    except InputError as error:
        return "refused" if "\n" not in str(error) else "not one line"
    same = found.size == expected.size and np.array_equal(found.reshape(expected.shape), expected)
    return "right" if same else "wrong"


def outcomes(format: str, seeds: range, folder: Path) -> Iterator[tuple[int, str]]:
    """The outcome of each seed, or "blow-up" where it took much memory."""
    name, write = WRITERS[format]
    hdf5_process.SECONDS_TO_ANSWER = 2.0
    path = folder / name
    write(path)
    content = path.read_bytes()
    expected = np.concatenate(read_everything(format, folder if format == "set" else path))
    for seed in seeds:
        path.write_bytes(mutate(content, seed))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = outcome(format, path, expected)
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        yield seed, found if grown < BLOW_UP_BYTES else "blow-up"


if __name__ == "__main__":
    for seed, found in outcomes(sys.argv[1], range(int(sys.argv[2]), int(sys.argv[3])), Path(sys.argv[4])):
        print(seed, found, flush=True)
