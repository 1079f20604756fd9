"""Small files of particles and populations, as `mutations.py` has them of frames: how they are written and read."""

import gzip
import warnings
from collections.abc import Callable
from pathlib import Path

import gemmi
import h5py
import mrcfile
import numpy as np
from onehit.geometries.densities.map_file import load_map
from onehit.geometries.densities.structure_file import load_atoms
from onehit.geometries.errors import InputWarning
from onehit.simulate.scattering import columns, laws
from structures import biomt, glycines, turns

PDB = biomt(turns(3), "A") + biomt(turns(2), "A, B", 2) + glycines() + glycines(4, "B", 21, (0, 9, 5))
ROWS = np.array([[50, 1e4, 0.1, 1], [60, 3e4, 0.4, 2], [75, 2e5, 0.2, 4], [80, 9e5, 0.7, 0]])
NAMES = ("diameter_nm", "photons", "background.uniform", "weight")


def write_pdb(path: Path) -> None:
    path.write_text(PDB)


def write_packed_pdb(path: Path) -> None:
    path.write_bytes(gzip.compress(PDB.encode(), mtime=0))


def write_mmcif(path: Path) -> None:
    structure = gemmi.read_pdb_string(PDB)
    structure.setup_entities()
    path.write_text(structure.make_mmcif_document().as_string())


def density() -> np.ndarray:
    return np.random.default_rng(2).uniform(0, 1, (5, 6, 7)).astype(np.float32)


def write_map(path: Path) -> None:
    with mrcfile.new(path) as file:
        file.set_data(density())
        file.voxel_size = 3.0
        file.header.mapc, file.header.mapr, file.header.maps = 3, 1, 2


def write_density_array(path: Path) -> None:
    np.save(path, density())


def write_density_hdf5(path: Path) -> None:
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.create_dataset("model/density", data=density(), chunks=(5, 3, 7), compression="gzip")


def write_csv(path: Path) -> None:
    np.savetxt(path, ROWS, delimiter=",", header=",".join(NAMES), comments="")


def write_table(path: Path) -> None:
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        for name, values in zip(NAMES, ROWS.T, strict=True):
            file[name] = values


def write_histogram(path: Path) -> None:
    path.write_text("low,high,weight\n1,2,0.5\n2,4,2\n4,8,1\n")


def read_atoms(path: Path) -> list[np.ndarray]:
    atoms = load_atoms(str(path))
    return [atoms.position.ravel(), atoms.element, atoms.occupancy]


def read_map(path: Path) -> list[np.ndarray]:
    found = load_map(str(path))
    return [found.values.ravel(), np.asarray(found.voxel_nm)]


def read_density_array(path: Path) -> list[np.ndarray]:
    return [load_map(str(path), "voxel=0.3").values.ravel()]


def read_columns(path: Path) -> list[np.ndarray]:
    columns._read.cache_clear()  # files that follow each other may be written in one tick of the disk's clock
    return [*(columns.column(str(path), name) for name in columns.column_names(str(path))), columns.weights(str(path))]


def read_histogram(path: Path) -> list[np.ndarray]:
    columns._read.cache_clear()
    laws._read.cache_clear()
    return [*laws.quantiles(f"histogram:{path}")]


def unwarned(read: Callable[[Path], list[np.ndarray]]) -> Callable[[Path], list[np.ndarray]]:
    """What is odd about a file may be said of damaged ones, too."""

    def reading(path: Path) -> list[np.ndarray]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            return read(path)

    return reading


WRITERS = {
    "pdb": ("a.pdb", write_pdb),
    "packed-pdb": ("a.pdb.gz", write_packed_pdb),
    "mmcif": ("a.cif", write_mmcif),
    "map": ("a.mrc", write_map),
    "density-array": ("a.npy", write_density_array),
    "density-hdf5": ("a.h5", write_density_hdf5),
    "csv": ("a.csv", write_csv),
    "table": ("a.h5", write_table),
    "histogram": ("a.csv", write_histogram),
}
READERS = {
    "pdb": unwarned(read_atoms),
    "packed-pdb": unwarned(read_atoms),
    "mmcif": unwarned(read_atoms),
    "map": unwarned(read_map),
    "density-array": unwarned(read_density_array),
    "density-hdf5": unwarned(read_density_array),
    "csv": read_columns,
    "table": read_columns,
    "histogram": read_histogram,
}
