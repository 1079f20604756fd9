"""Atoms from files of the Protein Data Bank's two formats.

Displacement (B) factors are left out: a pulse meets atoms in one place each.
"""

# gemmi's types are partial.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingImports=false

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from warnings import warn

import numpy as np
from jaxtyping import Bool, Float

from ..errors import InputError, InputWarning
from .atoms import Atoms
from .checked_structure import (
    CIF_SUFFIXES,
    FARTHEST,
    MOST_OPERATORS,
    check_numbers,
    check_operators,
    checked_structure,
    gemmi_module,
)
from .filling import PORE_NM, Filling
from .hydration import BOUND_WATER, Hydration
from .options import one_of, parse_options, plain_suffix

STRUCTURE_SUFFIXES = (".pdb", ".ent", *CIF_SUFFIXES)
_OPTIONS = {
    "assembly": str,
    "model": str,
    "hydrogens": one_of("file", "add", "none"),
    "waters": one_of("file", "none"),
    "density": float,
    "hydration_nm": float,
    "hydration_contrast": float,
    "filling_contrast": float,
    "filling_pore_nm": float,
}
_MOST_ATOMS = 10_000_000
_TO_NM = 0.1
_DEUTERIUM = 119
"""gemmi's number of it; its electron makes it hydrogen."""
_MOST_OCCUPANCY = 1.02
"""Of an atom's alternates together: they are rounded to two digits."""


@dataclass(frozen=True)
class Structure:
    """A particle of atoms, and what is known of it; facts: for people, by what they are."""

    atoms: Atoms
    facts: dict[str, str]
    notes: list[str]


def load_atoms(path: str, options: str = "") -> Atoms:
    """The atoms of a file, as `read_structure` reads it; warns (InputWarning) of what is missing."""
    structure = read_structure(path, options)
    for note in structure.notes:
        warn(f"{path}: {note}", InputWarning, stacklevel=2)
    return structure.atoms


def read_structure(path: str, options: str = "") -> Structure:
    """Atoms of a PDB or mmCIF file, gzip or not.

    options, `assembly=2,hydrogens=add`: `assembly`, the name of one of the file's biological assemblies, by default its
    first, or none for the atoms as they stand there; `model`, the number of one, by default the first, or all, together
    (as parts of an assembly, not as an ensemble); `hydrogens`, those of the `file`, `none`, or `add` for those that
    residues lack, spread over each residue's atoms; `waters`, none by default, as those of a crystal are not the
    particle's, or those of the `file`; `density`, mass over volume in g/cm^3 (1.35, a protein's); `hydration_nm`,
    thickness of a shell of bound water, and `hydration_contrast`, its electrons per nm^3 over what surrounds the
    particle (364, in vacuum); `filling_contrast`, the same of what fills its cavities, and `filling_pore_nm`, diameter
    of a ball that pores of their walls stop (2). Atoms count by their occupancy, alternates of one atom together by at
    most 1; deuterium is hydrogen. Raises InputError for what is
    unreadable, nonsense, or larger than memory should hold, and where gemmi is not installed.
    """
    given = parse_options(path, options, _OPTIONS)
    density = float(given.get("density", 1.35))  # type: ignore[arg-type]
    if not 0.1 <= density <= 30:
        raise InputError(f"{path}: density is {density}; give mass over volume in g/cm^3, a protein's is 1.35")
    hydration = _hydration(path, given.get("hydration_nm"), given.get("hydration_contrast"))
    gemmi = gemmi_module()
    filling = _filling(path, given.get("filling_contrast"), given.get("filling_pore_nm"))
    structure, content = checked_structure(gemmi, path)
    notes: list[str] = []
    one = _one_model(structure, path, given.get("model"), notes)
    flat = gemmi.FlatStructure(one)
    position, element, occupancy = np.array(flat.pos), np.array(flat.elements), np.array(flat.occ, float)
    check_numbers(path, content, np.asarray(flat.serials), position, occupancy)
    element[element == _DEUTERIUM] = 1
    chains, subchains, residue, water = _rows_of(one)
    occupancy = _with_alternates_of_one(flat, chains, occupancy, notes)

    left_out = element == 0
    if left_out.any():
        notes.append(f"{int(left_out.sum()):,} atoms of an unknown element are left out: say it in the file")
    if given.get("hydrogens") == "none":
        left_out |= element == 1
    if water.any() and "waters" not in given:
        notes.append(f"{int((water & (element > 1)).sum()):,} waters are left out: waters=file keeps them")
    if given.get("waters") != "file":
        left_out |= water
    if (unseen := int((~left_out & (occupancy == 0)).sum())) > 0:
        notes.append(f"{unseen:,} atoms of occupancy 0 or none scatter nothing: give 1 to those that are there")
    position, element, occupancy, row = _with_hydrogens(
        gemmi, one, position, element, occupancy, residue, given.get("hydrogens"), notes
    )
    kept = ~left_out[row]
    if given.get("assembly") != "none" and plain_suffix(Path(path)) not in CIF_SUFFIXES:
        check_operators(path, content)
    name, operators = _assembly(structure, path, given.get("assembly"), chains[row], subchains[row])
    total = sum(int((which & kept).sum()) * len(matrices) for which, matrices in operators)
    if not 0 < total <= _MOST_ATOMS:
        raise InputError(
            f"{path}: assembly {name} has {total:,} atoms; give one of 1 to {_MOST_ATOMS:,}: write {path}:assembly=none"
        )
    moved = [
        (position[which & kept] @ matrix[:, :3].T + matrix[:, 3], which & kept)
        for which, matrices in operators
        for matrix in matrices
    ]
    number = np.concatenate([np.flatnonzero(which) for _, which in moved])
    place = np.concatenate([at for at, _ in moved]) * _TO_NM
    if not np.abs(place).max() <= FARTHEST * _TO_NM:
        raise InputError(f"{path}: assembly {name} puts atoms beyond 10 um: its operators are wrong")
    atoms = Atoms(place, element[number], occupancy[number], path, density, hydration, filling)
    copies = sum(len(matrices) for _, matrices in operators)
    facts = {
        "title": dict(structure.info).get("_struct.title", "none"),
        "assembly": f"{name} of {', '.join(a.name for a in structure.assemblies) or 'none'}, {copies} operators",
        "chains": f"{sum(len(np.unique(chains[row][which & kept])) * len(m) for which, m in operators):,}",
    }
    return Structure(atoms, facts, notes)


def _hydration(path: str, thickness_nm: object, contrast: object) -> Hydration | None:
    """Of what is given; None where there is no shell, or none that differs from what surrounds it."""
    if thickness_nm is None:
        if contrast is not None:
            raise InputError(f"{path} has hydration_contrast but no shell: write {path}:hydration_nm=0.3 as well")
        return None
    try:
        found = Hydration(float(thickness_nm), BOUND_WATER if contrast is None else float(contrast))  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return found if found.contrast else None


def _filling(path: str, contrast: object, pore_nm: object) -> Filling | None:
    """The same of the filling."""
    if contrast is None:
        if pore_nm is not None:
            raise InputError(f"{path} has filling_pore_nm but no filling: write {path}:filling_contrast=430 as well")
        return None
    try:
        found = Filling(float(contrast), PORE_NM if pore_nm is None else float(pore_nm))  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return found if found.contrast else None


def _one_model(structure: Any, path: str, asked: object, notes: list[str]) -> Any:
    """The structure with the models that are wanted."""
    if not len(structure) or not structure[0].count_atom_sites():
        raise InputError(f"{path} has no atoms: give a structure with coordinates")
    one = structure.clone()
    if asked == "all":
        return one
    numbers = [str(model.num) for model in structure]
    wanted = numbers[0] if asked is None else asked
    if wanted not in numbers:
        raise InputError(f"{path} has no model {wanted!r}; it has {_some(numbers)}: write {path}:model={numbers[0]}")
    if asked is None and len(numbers) > 1:
        notes.append(f"of {len(numbers)} models the first is taken; model=all takes them together")
    for number in reversed(range(len(numbers))):
        if number != numbers.index(str(wanted)):
            del one[number]
    return one


def _some(names: list[str]) -> str:
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")


def _rows_of(structure: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Chain, subchain (mmCIF's label_asym_id), number of the residue, and whether that is water, of every atom."""
    rows = [
        (chain.name, residue.subchain, residue.is_water(), len(residue))
        for model in structure
        for chain in model
        for residue in chain
    ]
    chain, subchain, water, count = (np.array(column) for column in zip(*rows, strict=True))
    return (
        np.repeat(chain, count),
        np.repeat(subchain, count),
        np.repeat(np.arange(len(count)), count),
        np.repeat(water, count),
    )


def _with_alternates_of_one(
    flat: Any, chains: np.ndarray, occupancy: Float[np.ndarray, " atoms"], notes: list[str]
) -> Float[np.ndarray, " atoms"]:
    """Occupancies whose sum over the alternates of an atom (those of one name and residue number) is 1 at most."""
    some = np.flatnonzero(np.asarray(flat.altlocs) != 0)
    if not len(some):
        return occupancy
    chain = np.unique(chains[some], return_inverse=True)[1]
    numbers = [np.asarray(column)[some] for column in (flat.model_num, flat.resnums, flat.icodes, flat.atom_names)]
    _, atom = np.unique(np.column_stack([chain, *numbers]), axis=0, return_inverse=True)
    total = np.bincount(atom, occupancy[some])
    over = total > _MOST_OCCUPANCY
    if not over.any():
        return occupancy
    notes.append(
        f"{int(over.sum()):,} atoms have alternates whose occupancies sum to more than 1: they are scaled to sum to 1"
    )
    scaled = occupancy.copy()
    scaled[some] /= np.where(over, total, 1)[atom]
    return scaled


def _with_hydrogens(
    gemmi: Any,
    structure: Any,
    position: np.ndarray,
    element: np.ndarray,
    occupancy: np.ndarray,
    residue: np.ndarray,
    asked: object,
    notes: list[str],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """With hydrogens where asked, else says how many are missing; and which atom each of the atoms comes from.

    Free residues have the hydrogens of gemmi's table; in a chain they lose two of them.
    """
    row = np.arange(len(element))
    names = [one.name for model in structure for chain in model for one in chain]
    known = {name: gemmi.find_tabulated_residue(name) for name in set(names)}
    table = {
        name: max(info.hydrogen_count - 2 * (info.is_amino_acid() or info.is_nucleic_acid()), 0)
        for name, info in known.items()
    }
    hydrogen = np.bincount(residue, occupancy * (element == 1), len(names))
    heavy = np.bincount(residue, occupancy * (element > 1), len(names))
    missing = np.maximum(np.array([table[name] for name in names], float) * (heavy > 0) - hydrogen, 0)
    if asked != "add":
        electrons = float((element * occupancy).sum())
        if asked is None and missing.sum() > 0.02 * electrons:
            share = missing.sum() / (electrons + missing.sum())
            notes.append(
                f"about {missing.sum():,.0f} hydrogens are missing in the file, {share:.0%} of its electrons: "
                "FILE:hydrogens=add adds them, FILE:hydrogens=file is content"
            )
        return position, element, occupancy, row
    carriers = np.flatnonzero((element > 1) & (missing[residue] > 0) & (occupancy > 0))
    share = missing[residue[carriers]] * occupancy[carriers] / heavy[residue[carriers]]
    return (
        np.concatenate([position, position[carriers]]),
        np.concatenate([element, np.ones(len(carriers), element.dtype)]),
        np.concatenate([occupancy, share]),
        np.concatenate([row, carriers]),
    )


def _assembly(
    structure: Any, path: str, asked: object, chains: np.ndarray, subchains: np.ndarray
) -> tuple[str, list[tuple[Bool[np.ndarray, " atoms"], list[Float[np.ndarray, "three=3 four=4"]]]]]:
    """Its name, and which atoms it is made of, each with the operators that place them (Å)."""
    everything = [(np.ones(len(chains), bool), [np.eye(3, 4)])]
    names = [assembly.name for assembly in structure.assemblies]
    if asked == "none" or (asked is None and not names):
        return "none", everything
    wanted = names[0] if asked is None else asked
    if wanted not in names:
        known = f"it has {_some(names)}" if names else "it has none"
        raise InputError(f"{path} has no assembly {wanted!r}; {known}: write {path}:assembly=none for its atoms alone")
    parts: list[tuple[np.ndarray, list[np.ndarray]]] = []
    for generator in structure.assemblies[names.index(str(wanted))].generators:
        of = np.isin(chains, generator.chains) if generator.chains else np.isin(subchains, generator.subchains)
        transforms = [operator.transform for operator in generator.operators]
        parts.append((of, [np.c_[np.array(t.mat.tolist()), t.vec.tolist()] for t in transforms]))
    if sum(len(matrices) for _, matrices in parts) > MOST_OPERATORS:
        raise InputError(f"{path}: assembly {wanted} has too many operators: write {path}:assembly=none")
    return str(wanted), parts
