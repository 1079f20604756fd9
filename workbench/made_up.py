"""Particles that nobody has seen, as files, for pictures and benchmarks."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

_ELEMENTS, _SHARES = ("C", "N", "O", "S"), (0.63, 0.17, 0.19, 0.01)
"""Of a protein's atoms without hydrogens."""


def particles(folder: Path) -> dict[str, str]:
    """Geometries by what they are, read from files in a folder: those that onehit can read as it is installed."""
    found = {"barrel of a density map": barrel(folder), "shell": "shell:outer=icosahedron,inner=sphere,ratio=0.8"}
    return ({"capsid of atoms": capsid(folder)} if find_spec("gemmi") else {}) | found


def capsid(folder: Path, radius_nm: float = 15.0, atoms: int = 600) -> str:
    """A PDB file of a lump of so many atoms, of which a biological assembly makes 60 in icosahedral symmetry; returns
    it as a geometry."""
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(0)
    middle = np.array([0.35, 0.15, 1.0]) / np.linalg.norm([0.35, 0.15, 1.0])
    place = 10 * radius_nm * middle + rng.normal(size=(atoms, 3)) * 10 * radius_nm * np.array([0.12, 0.12, 0.06])
    lines = ["REMARK 350 BIOMOLECULE: 1", "REMARK 350 APPLY THE FOLLOWING TO CHAINS: A"]
    for number, matrix in enumerate(Rotation.create_group("I").as_matrix(), 1):
        for row, (a, b, c) in enumerate(matrix, 1):
            lines.append(f"REMARK 350   BIOMT{row} {number:3d}{a:10.6f}{b:10.6f}{c:10.6f}{0:15.5f}")
    for number, ((x, y, z), element) in enumerate(zip(place, rng.choice(_ELEMENTS, atoms, p=_SHARES), strict=True), 1):
        residue = number % 10_000  # the format has four digits
        lines.append(
            f"ATOM  {number:5d}  {element:<3} UNL A{residue:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          "
            f"{element:>2}"
        )
    path = folder / "capsid.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    return f"{path}:hydrogens=file"


def barrel(folder: Path, voxel_nm: float = 0.5) -> str:
    """A map of two rings of seven lumps, back to back about a hollow, as chaperonins have, of a protein's density;
    returns it as a geometry."""
    n = round(24 / voxel_nm)
    z, y, x = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * voxel_nm] * 3, indexing="ij")
    angle, across = np.arctan2(y, x), np.hypot(x, y)
    wall = 4.6 + 0.6 * np.cos(7 * angle)
    height = np.abs(z)
    inside = (np.abs(across - wall) < 2.2) & (height < 7.2) & (height > 0.3)
    path = folder / "barrel.npy"
    np.save(path, np.where(inside, 0.43, 0.0).astype(np.float32))
    return f"{path}:voxel={voxel_nm},contrast=0.43"
