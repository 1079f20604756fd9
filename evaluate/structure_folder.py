"""A folder of structures in two halves: one to train on, one that is not seen before it is scored. Imports no JAX."""

import warnings
from pathlib import Path

from ..geometries.densities.description import is_particle
from ..geometries.densities.options import plain_suffix
from ..geometries.errors import InputError, InputWarning
from ..geometries.shapes import geometry

FEWEST = 4
"""Structures that a folder must hold: two to train on, and two to score."""


def halves(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The structures of a folder, atoms and density maps, by name: the 1st, 3rd ... and the 2nd, 4th ...

    Raises InputError where there is no such folder, where it holds fewer than FEWEST, one of them twice, or any that
    cannot be read: all of these are named.
    """
    if not folder.is_dir():
        raise InputError(f"--structures {folder}: there is no such folder; name one that holds files of structures")
    files = [file for file in folder.iterdir() if file.is_file() and is_particle(str(file))]
    files.sort(key=lambda file: file.name.lower())
    if len(files) < FEWEST:
        raise InputError(
            f"--structures {folder} holds {len(files)} structures: give a folder of at least {FEWEST} (PDB, mmCIF, MRC "
            "or CCP4, gzip or not)"
        )
    unreadable: list[str] = []
    by_name: dict[str, Path] = {}
    for file in files:
        first = by_name.setdefault(file.name.lower().partition(plain_suffix(file))[0], file)
        if first != file:
            raise InputError(f"--structures {folder}: {first.name} and {file.name} are one structure twice: keep one")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", InputWarning)  # said where a structure is used
                geometry(str(file))
        except InputError as error:
            unreadable.append(str(error).removeprefix(f"{folder}/"))
    if unreadable:
        raise InputError(
            f"--structures {folder}: {len(unreadable)} of {len(files)} cannot be read, mend them or take them away: "
            + "; ".join(unreadable)
        )
    names = tuple(map(str, files))
    return names[::2], names[1::2]
