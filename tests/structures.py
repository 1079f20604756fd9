"""Small made-up structures for the tests, as text of PDB files."""

import numpy as np

GLYCINES = [
    ("N", "N", (0.0, 0.0, 0.0)),
    ("CA", "C", (1.45, 0.0, 0.0)),
    ("C", "C", (2.0, 1.42, 0.0)),
    ("O", "O", (1.25, 2.39, 0.0)),
]
"""The atoms of a residue: name, element, place in angstroms."""


def atom_line(serial, name, element, place, residue="GLY", chain="A", number=1, occupancy=1.0, alternative=" "):
    x, y, z = place
    group = "ATOM  " if residue != "HOH" else "HETATM"
    return (
        f"{group}{serial:5d}  {name:<3}{alternative}{residue:>3} {chain}{number:4d}    "
        f"{x:8.3f}{y:8.3f}{z:8.3f}{occupancy:6.2f}{0.0:6.2f}          {element:>2}\n"
    )


def glycines(residues=5, chain="A", first=1, shift=(0.0, 0.0, 0.0)):
    """A chain of glycines in a row, without hydrogens."""
    return "".join(
        atom_line(
            first + 4 * residue + i, name, element, np.add(place, shift) + [3.8 * residue, residue % 2, 0],
            chain=chain, number=residue + 1,
        )
        for residue in range(residues)
        for i, (name, element, place) in enumerate(GLYCINES)
    )  # fmt: skip


def random_atoms(count, rng, extent=(30.0, 20.0, 50.0)):
    """Atoms of several elements and occupancies, anywhere, as lines and as arrays."""
    place = np.round(rng.normal(size=(count, 3)) * extent, 3)
    occupancy = np.round(rng.uniform(0.3, 1, count), 2)
    element = rng.choice(["C", "N", "O", "S", "Fe"], count)
    lines = [
        atom_line(i + 1, str(e).upper(), str(e).upper(), p, "UNL", number=i + 1, occupancy=o)
        for i, (e, p, o) in enumerate(zip(element, place, occupancy, strict=True))
    ]
    return "".join(lines), place, element, occupancy


def biomt(operators, chains="A", number=1):
    """REMARK 350 of an assembly: matrices (3, 4)."""
    lines = [f"REMARK 350 BIOMOLECULE: {number}\n", f"REMARK 350 APPLY THE FOLLOWING TO CHAINS: {chains}\n"]
    for count, operator in enumerate(operators, 1):
        for row in range(3):
            a, b, c, t = operator[row]
            lines.append(f"REMARK 350   BIOMT{row + 1} {count:3d}{a:10.6f}{b:10.6f}{c:10.6f}{t:15.5f}\n")
    return "".join(lines)


def turns(count, step=(0.0, 0.0, 10.0)):
    """Operators of a helix about z."""
    angles = 2 * np.pi * np.arange(count) / count
    turn = [np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) for a in angles]
    return [np.c_[matrix, n * np.array(step)] for n, matrix in enumerate(turn)]
