"""What a particle of atoms or of a density map is, for people."""

import warnings

from ..errors import InputError, InputWarning
from .atoms import Atoms
from .density_grid import density_bytes
from .density_map import DensityMap
from .map_file import ARRAY_SUFFIXES, MAP_SUFFIXES, load_map
from .options import split_spec
from .scattering_factors import symbol
from .structure_file import STRUCTURE_SUFFIXES, read_structure


def is_particle(spec: str) -> bool:
    """Whether a file is one of atoms or of a density map; an array is one where its voxel is given."""
    array = split_spec(spec, ARRAY_SUFFIXES)
    return bool(array and array[1]) or split_spec(spec, (*STRUCTURE_SUFFIXES, *MAP_SUFFIXES)) is not None


def describe(spec: str, q_max: float) -> tuple[dict[str, str], list[str]]:
    """Facts by what they are, and what had better be known. q_max: 1/nm, to where a table of it would reach. Raises
    InputError as the readers do."""
    found = split_spec(spec, STRUCTURE_SUFFIXES)
    if found:
        structure = read_structure(*found)
        atoms = structure.atoms
        added = _of_shell(atoms) | _of_cavity(atoms)
        facts = structure.facts | _of_atoms(atoms) | _of_any(atoms) | added | _of_table(atoms, q_max)
        return facts, structure.notes
    found = split_spec(spec, (*MAP_SUFFIXES, *ARRAY_SUFFIXES))
    if not found:
        raise InputError(f"{spec} is no file of atoms or of a density map")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        density = load_map(*found)
    facts = _of_map(density) | _of_any(density) | _of_table(density, q_max)
    return facts, [str(one.message).removeprefix(f"{found[0]}: ") for one in caught]


def _of_table(density: Atoms | DensityMap, q_max: float) -> dict[str, str]:
    return {"table": f"{density_bytes([density], q_max) / 1e6:.3g} MB, out to |q| = {q_max:.2g} / nm"}


def _of_shell(atoms: Atoms) -> dict[str, str]:
    hydration, shell = atoms.hydration, atoms.shell
    if hydration is None or shell is None:
        return {}
    return {
        "hydration shell": f"{hydration.thickness_nm:g} nm, {hydration.contrast:g} electrons / nm^3 over what surrounds"
        f" it, {shell.electrons:,.0f} electrons in all",
        "extent with it": f"{shell.longest_extent_nm:.2f} nm",
    }


def _of_cavity(atoms: Atoms) -> dict[str, str]:
    cavity = atoms.cavity
    if cavity is None:
        return {}
    return {
        "cavity": f"{cavity.volume_nm3:,.0f} nm^3, {cavity.longest_extent_nm:.2f} nm long",
        "filling": f"{cavity.contrast:g} electrons / nm^3 over what surrounds the particle, {cavity.electrons:,.0f} "
        "electrons in all",
    }


def _of_atoms(atoms: Atoms) -> dict[str, str]:
    elements = [f"{symbol(number)} {count:,.0f}" for number, count in sorted(atoms.composition.items())]
    return {
        "atoms": f"{len(atoms.element):,}",
        "elements": ", ".join(elements),
        "mass": f"{atoms.mass_da / 1e3:,.1f} kDa",
    }


def _of_map(density: DensityMap) -> dict[str, str]:
    return {
        "voxels": " x ".join(f"{n}" for n in density.values.shape) + " along x, y, z, where there is anything",
        "voxel": " x ".join(f"{size:.4g}" for size in density.voxel_nm) + " nm",
        "mean density": f"{density.mean_density:.3g} electrons per cubic angstrom",
        "holds": f"|q| up to {density.q_nyquist:.3g} / nm",
    }


def _of_any(one: Atoms | DensityMap) -> dict[str, str]:
    return {
        "electrons": f"{one.electrons:,.0f}",
        "diameter": f"{one.diameter_nm:.2f} nm, of a sphere of its volume",
        "longest extent": f"{one.longest_extent_nm:.2f} nm",
    }
