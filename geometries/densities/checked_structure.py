"""Files of the Protein Data Bank's two formats, read by gemmi, but for what it would misread or never end with.

PDB: Protein Data Bank Contents Guide, version 3.30; mmCIF: Hall & McMahon 2005, International Tables for
Crystallography G.
"""

# gemmi's types are partial.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingImports=false

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from ..errors import InputError
from .contents import contents
from .options import plain_suffix

CIF_SUFFIXES = (".cif", ".mmcif")
FARTHEST = 1e5
"""From the origin, Å."""
MOST_OPERATORS = 100_000
_MOST_BYTES = 2**29
_MOST_WORDS = 2**26
"""In an mmCIF file; gemmi takes 32 bytes for each."""
_MOST_PARTS = 20_000
"""Runs of atoms of one chain: gemmi compares each with each."""
_OPERATOR_COLUMNS = ((19, 23), (23, 33), (33, 43), (43, 53), (58, 68))
_NEEDED = ("id", "type_symbol", "label_alt_id", "label_asym_id", "Cartn_x", "Cartn_y", "Cartn_z")
"""Columns of _atom_site without which gemmi reads no atom, in silence."""
_RANGES = ("in angstroms, at most 100,000 from the origin", "0 to 1")


def checked_structure(gemmi: Any, path: str) -> tuple[Any, str]:
    """gemmi's structure, and the file's text, unpacked. Raises InputError for what is unreadable, nonsense or larger
    than memory should hold."""
    file = Path(path).expanduser()
    content = contents(file, _MOST_BYTES, "give a smaller structure, or a part of it").decode("latin-1")
    read = _read_cif if plain_suffix(file) in CIF_SUFFIXES else _read_pdb
    return read(gemmi, path, content), content


def gemmi_module() -> Any:
    """It, or an InputError that says how to install it."""
    try:
        import gemmi
    except ImportError:
        raise InputError('atoms are read by gemmi, which is missing: pip install "onehit[structures]"') from None
    return gemmi


def _read_pdb(gemmi: Any, path: str, content: str) -> Any:
    """gemmi takes broken numbers for others, so columns are looked at first."""
    lines = content.splitlines()
    atoms = [number for number, line in enumerate(lines) if line.startswith(("ATOM  ", "HETATM"))]
    if not atoms:
        raise InputError(f"{path} has no ATOM or HETATM line: give a PDB file, or name an mmCIF file .cif")
    if (strange := next((number for number in atoms if not lines[number].isascii()), None)) is not None:
        raise InputError(f"{path}, line {strange + 1}: {lines[strange][:30]!r} is no plain text: mend that line")
    for what, first, end in (("x", 30, 38), ("y", 38, 46), ("z", 46, 54), ("occupancy", 54, 60)):
        texts = [lines[number][first:end] for number in atoms]
        wrong = _first_wrong(texts, what == "occupancy")
        if wrong is not None:
            raise InputError(
                f"{path}, line {atoms[wrong] + 1}: {what} is {texts[wrong].strip()!r}; give a number, "
                f"{_RANGES[what == 'occupancy']}"
            )
    end = content.rsplit("\n", 1)[-1]
    if end and atoms[-1] == len(lines) - 1 and len(end.rstrip()) < max(len(lines[n].rstrip()) for n in atoms):
        raise InputError(f"{path} is cut short within its last line, {end[:60]!r}: copy it again")
    parts = 1 + sum(lines[a][20:22] != lines[b][20:22] for a, b in pairwise(atoms))
    if parts > _MOST_PARTS:
        raise InputError(f"{path} has {parts:,} runs of chains; give at most {_MOST_PARTS:,}")
    plain = re.sub(r"[^\x00-\x7f]", "?", content)  # gemmi sees UTF-8, and its columns are bytes
    return _parsed(path, lambda: gemmi.read_pdb_string(plain))


def _first_wrong(texts: list[str], occupancy: bool) -> int | None:
    """Which of these is no such number; an occupancy may be left out."""
    least, most = (0.0, 1.0) if occupancy else (-FARTHEST, FARTHEST)

    def fits(text: str) -> bool:
        text = text or "1" if occupancy else text
        return _is_decimal(text) and least <= float(text) <= most

    valid = {text: fits(text.strip()) for text in set(texts)}
    return next((number for number, text in enumerate(texts) if not valid[text]), None)


def _is_decimal(text: str) -> bool:
    """Whether it is a number as gemmi reads them: without an exponent."""
    return re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)", text) is not None


def _read_cif(gemmi: Any, path: str, content: str) -> Any:
    words = sum(1 for _ in re.finditer(r"\S+", content)) if len(content) > 2 * _MOST_WORDS else 0
    if words > _MOST_WORDS:
        raise InputError(f"{path} has {words:,} values; give at most {_MOST_WORDS:,}: leave out what is no atom")
    document = _parsed(path, lambda: gemmi.cif.read_string(content))
    block = next((b for b in document if len(b.find_loop("_atom_site.Cartn_x"))), None)
    if block is None:
        raise InputError(f"{path} has no _atom_site: give coordinates, not structure factors or a dictionary")
    if missing := [name for name in _NEEDED if not len(block.find_loop(f"_atom_site.{name}"))]:
        raise InputError(
            f"{path}: _atom_site has no {' and no '.join(missing)}; gemmi needs {', '.join(_NEEDED)}: add what is "
            "missing"
        )
    occupancies = block.find_loop("_atom_site.occupancy")
    for text in {*occupancies} - {"?", "."}:
        if not 0 <= gemmi.cif.as_number(text) <= 1:
            rows = zip(occupancies, block.find_loop("_atom_site.id"), strict=False)
            serial = next((serial for other, serial in rows if other == text), "unknown")
            raise InputError(
                f"{path}, {_place_of(serial, content)}: occupancy is {text!r}; give a number, {_RANGES[1]}"
            )
    parts = 1 + sum(a != b for a, b in pairwise(block.find_loop("_atom_site.auth_asym_id")))
    if parts > _MOST_PARTS:
        raise InputError(f"{path} has {parts:,} runs of chains; give at most {_MOST_PARTS:,}")
    total = 0.0
    for text in block.find_loop("_pdbx_struct_assembly_gen.oper_expression"):
        total += _operators(text)
        if total > MOST_OPERATORS:
            raise InputError(
                f"{path}: the operators {text[:60]!r} are too many: give at most {MOST_OPERATORS:,} in all"
            )
    structure = _parsed(path, lambda: gemmi.make_structure_from_block(block))
    _build_operators(gemmi, path, block, structure)
    return structure


def _build_operators(gemmi: Any, path: str, block: Any, structure: Any) -> None:
    """Those of each assembly's expression: (X0)(1-60) is X0 after each of the 60 (the mmCIF dictionary on
    _pdbx_struct_assembly_gen.oper_expression). gemmi takes the first factor for the whole, and leaves out what it does
    not know."""
    generators = {assembly.name: iter(assembly.generators) for assembly in structure.assemblies}
    text = gemmi.cif.as_string
    numbers = [name for i in "123" for name in (*(f"matrix[{i}][{j}]" for j in "123"), f"vector[{i}]")]
    known = {
        text(row[0]): np.array([gemmi.cif.as_number(row[k]) for k in range(1, 13)]).reshape(3, 4)
        for row in block.find("_pdbx_struct_oper_list.", ["id", *numbers])
    }
    for row in block.find("_pdbx_struct_assembly_gen.", ["assembly_id", "oper_expression"]):
        expression = text(row[1])
        product = [np.eye(3, 4)]
        for factor in re.findall(r"[^()]+", expression):
            try:
                product = [_after(last, known[name]) for last in product for name in _names(factor)]
            except KeyError as error:
                raise InputError(
                    f"{path}: {expression[:60]!r} has an operator {error}, which no row of _pdbx_struct_oper_list says"
                ) from None
        generator = next(generators.get(text(row[0]), iter(())), None)
        if generator is None:
            continue
        while len(generator.operators):
            del generator.operators[0]
        for matrix in product:
            operator = gemmi.Assembly.Operator()
            operator.transform.mat.fromlist(matrix[:, :3].tolist())
            operator.transform.vec.fromlist(matrix[:, 3].tolist())
            generator.operators.append(operator)


def _after(
    second: Float[np.ndarray, "three=3 four=4"], first: Float[np.ndarray, "three=3 four=4"]
) -> Float[np.ndarray, "three=3 four=4"]:
    """One operator that does what two do."""
    return np.c_[second[:, :3] @ first[:, :3], second[:, :3] @ first[:, 3] + second[:, 3]]


def _names(factor: str) -> Iterator[str]:
    """Those of operators in a factor such as 1-60,P."""
    for item in factor.split(","):
        ends = re.fullmatch(r"\s*(\d{1,15})-(\d{1,15})\s*", item)
        yield from map(str, range(int(ends[1]), int(ends[2]) + 1)) if ends else [item.strip()]


def _operators(expression: str) -> float:
    """At most how many an expression such as (1-60)(61,62) means."""
    total = 1.0
    for group in re.findall(r"[^()'\"]+", expression):
        ranges = [re.fullmatch(r"\s*(\d{1,15})-(\d{1,15})\s*", item) for item in group.split(",")]
        total *= sum(1 if found is None else 1 + abs(float(found[2]) - float(found[1])) for found in ranges)
    return total


def _parsed(path: str, parse: Any) -> Any:
    try:
        return parse()
    except (RuntimeError, ValueError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} cannot be read ({reason}): download it again") from None


def check_operators(path: str, content: str) -> None:
    """Raises InputError for the first line of a PDB file's operators that gemmi takes for another: it reads columns,
    the last 10 of a translation's 15, and puts together what three rows are there."""
    lines = enumerate(content.splitlines(), 1)
    rows = [(number, line) for number, line in lines if re.match("REMARK 350 +BIOMT", line)]
    serial, instead = None, f"write {path}:assembly=none, or give mmCIF"
    for count, (number, line) in enumerate(rows):
        name, *words = line[10:].split() or [""]
        columns = [line[first:end].strip() for first, end in _OPERATOR_COLUMNS]
        if words != columns or not all(map(_is_decimal, words)):
            raise InputError(
                f"{path}, line {number}: {line[10:].strip()!r} is no row of an operator, a number and four decimals of "
                f"at most 10 characters in the format's columns; {instead}"
            )
        row = count % 3
        serial = words[0] if row == 0 else serial
        if (name, words[0]) != (f"BIOMT{row + 1}", serial):
            raise InputError(
                f"{path}, line {number}: {name} {words[0]} stands where BIOMT{row + 1} {serial or words[0]} belongs; "
                f"{instead}"
            )
    if len(rows) % 3:
        raise InputError(
            f"{path}, line {rows[-1][0]}: the operator {serial} ends here, and needs three rows; {instead}"
        )


def check_numbers(
    path: str,
    content: str,
    serial: Integer[np.ndarray, " atoms"],
    position: Float[np.ndarray, "atoms 3"],
    occupancy: Float[np.ndarray, " atoms"],
) -> None:
    """Raises InputError for the first atom whose numbers are not possible, with its line."""
    wrong = ~((np.abs(position) <= FARTHEST).all(1) & (occupancy >= 0) & (occupancy <= 1))
    if not wrong.any():
        return
    first = int(wrong.argmax())
    where = _place_of(serial[first], content)
    raise InputError(
        f"{path}, {where}: coordinates {position[first].tolist()}, occupancy {occupancy[first]:g}; give numbers, "
        f"{_RANGES[0]}, and an occupancy of {_RANGES[1]}"
    )


def _place_of(serial: object, content: str) -> str:
    """The line of the atom of that number, where lines begin with it as usual."""
    lines = enumerate(content.splitlines(), 1)
    starts = (f"ATOM {serial} ", f"HETATM {serial} ")
    at = next((number for number, line in lines if " ".join(line.split()[:3]).startswith(starts)), None)
    return f"atom {serial}" if at is None else f"line {at}"
