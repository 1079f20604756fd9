"""Atoms from files: what they are read as, and what is refused."""

import gzip
from string import ascii_letters

import gemmi
import numpy as np
import pytest
from onehit.geometries.densities import checked_structure, contents, structure_file
from onehit.geometries.densities.structure_file import load_atoms, read_structure
from onehit.geometries.errors import InputError, InputWarning
from onehit.geometries.shapes import geometry, geometry_files, has_own_size
from structures import atom_line, biomt, glycines, random_atoms, turns

CARBON, NITROGEN, OXYGEN = 6, 7, 8
GLYCINE = 2 * CARBON + NITROGEN + OXYGEN
TWO_CHAINS = biomt(turns(3), "A") + biomt(turns(2), "A, B", 2) + glycines() + glycines(4, "B", 21, (0, 9, 5))


def written(tmp_path, text, name="a.pdb"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(path)


def as_cif(text):
    structure = gemmi.read_pdb_string(text)
    structure.setup_entities()
    return structure.make_mmcif_document().as_string()


def assembled(text, number):
    """gemmi's own atoms of an assembly, about the centre of their electrons, sorted."""
    structure = gemmi.read_pdb_string(text)
    model = gemmi.make_assembly(structure.assemblies[number], structure[0], gemmi.HowToNameCopiedChain.Dup)
    rows = [(*row.atom.pos.tolist(), row.atom.element.atomic_number) for row in model.all()]
    place, weight = np.array(rows)[:, :3], np.array(rows)[:, 3]
    return sorted(np.c_[place - weight @ place / weight.sum(), weight].round(3).tolist())


def rows_of(atoms):
    return sorted(np.c_[10 * atoms.position, atoms.element].round(3).tolist())


@pytest.mark.parametrize("name", ["a.pdb", "a.pdb.gz", "a.ent", "a.cif", "a.mmcif.gz"])
@pytest.mark.parametrize("assembly, number", [("", 0), ("assembly=2,", 1)])
def test_assemblies_are_those_that_gemmi_makes(tmp_path, name, assembly, number):
    text = as_cif(TWO_CHAINS) if "cif" in name else TWO_CHAINS
    path = written(tmp_path, text, name)
    atoms = load_atoms(path, assembly + "hydrogens=file")
    assert np.abs(np.array(rows_of(atoms)) - assembled(TWO_CHAINS, number)).max() < 2e-3
    assert atoms.electrons == pytest.approx(GLYCINE * (3 * 5 if number == 0 else 2 * 9))


def test_without_an_assembly_the_atoms_are_those_of_the_file(tmp_path):
    path = written(tmp_path, TWO_CHAINS)
    assert load_atoms(path, "assembly=none,hydrogens=file").electrons == 9 * GLYCINE
    alone = written(tmp_path, glycines(), "b.pdb")
    assert load_atoms(alone, "hydrogens=file").electrons == 5 * GLYCINE


def test_missing_hydrogens_are_said_or_added_where_their_residues_are(tmp_path):
    path = written(tmp_path, biomt(turns(2)) + glycines(5))
    with pytest.warns(
        InputWarning, match=r"about 15 hydrogens are missing in the file, 10% of its.*FILE:hydrogens=add"
    ):
        bare = load_atoms(path)
    full = load_atoms(path, "hydrogens=add")  # C2H3NO each
    assert full.electrons == pytest.approx(bare.electrons + 2 * 15)
    assert full.composition[1] == pytest.approx(30)
    assert load_atoms(path, "hydrogens=none").electrons == bare.electrons
    # No hydrogen is farther from the middle than the atoms that carry it.
    assert full.reach_nm == pytest.approx(bare.reach_nm, rel=0.05)


def test_hydrogens_that_are_there_are_not_added_again_and_can_be_left_out(tmp_path):
    there = "".join(atom_line(5 + i, f"H{i}", "H", (i, 1, 1)) for i in range(3))
    path = written(tmp_path, glycines(1) + there)
    assert load_atoms(path).electrons == GLYCINE + 3
    assert load_atoms(path, "hydrogens=add").electrons == GLYCINE + 3
    assert load_atoms(path, "hydrogens=none").electrons == GLYCINE


def test_waters_are_left_out_and_said_or_kept(tmp_path):
    water = "".join(atom_line(90 + i, "O", "O", (i, 5, 5), "HOH", "W", 90 + i) for i in range(7))
    path = written(tmp_path, glycines(2) + water)
    with pytest.warns(InputWarning, match="7 waters are left out: waters=file keeps them"):
        assert load_atoms(path, "hydrogens=file").electrons == 2 * GLYCINE
    assert load_atoms(path, "hydrogens=file,waters=file").electrons == 2 * GLYCINE + 7 * OXYGEN


def test_alternative_places_count_by_occupancy(tmp_path):
    both = atom_line(5, "CB", "C", (1, 1, 1), occupancy=0.7, alternative="A") + atom_line(
        6, "CB", "C", (1, 1, 2), occupancy=0.3, alternative="B"
    )
    atoms = load_atoms(written(tmp_path, glycines(1) + both), "hydrogens=file")
    assert atoms.electrons == pytest.approx(GLYCINE + CARBON)
    assert sorted(atoms.occupancy.round(3)) == [0.3, 0.7, 1, 1, 1, 1]


@pytest.mark.parametrize("name", ["a.pdb", "a.cif"])
def test_alternates_that_are_each_counted_in_full_share_one_atom(tmp_path, name):
    """Of one residue, or of two kinds of residue at one number; in other chains the same number is another atom."""
    text = glycines(1) + "".join(
        atom_line(5 + i, "CB", "C", (1, i, 1), residue, chain, number, occupancy, alternative)
        for i, (residue, chain, number, occupancy, alternative) in enumerate(
            [
                *[("GLY", "A", 1, 1.0, "A"), ("GLY", "A", 1, 1.0, "B")],
                *[("SER", "A", 2, 1.0, "A"), ("ALA", "A", 2, 0.5, "B")],
                *[("ALA", "B", 2, 0.7, "A"), ("ALA", "B", 2, 0.31, "B")],
            ]
        )
    )
    path = written(tmp_path, as_cif(text) if name == "a.cif" else text, name)
    with pytest.warns(InputWarning, match="2 atoms have alternates whose occupancies sum to more than 1: they are"):
        atoms = load_atoms(path, "hydrogens=file")
    assert sorted(atoms.occupancy[atoms.occupancy < 1].round(3)) == [0.31, 0.333, 0.5, 0.5, 0.667, 0.7]


def test_atoms_of_no_occupancy_are_said(tmp_path):
    lines = glycines(3).splitlines(keepends=True)
    lines[3] = lines[3].replace("  1.00  0.00", "  0.00  0.00")
    lines[7] = lines[7].replace("  1.00  0.00", "        0.00")
    with pytest.warns(InputWarning, match="2 atoms of occupancy 0 or none scatter nothing"):
        atoms = load_atoms(written(tmp_path, "".join(lines)), "hydrogens=file")
    assert atoms.electrons == 3 * GLYCINE - 2 * OXYGEN


def test_deuterium_is_hydrogen(tmp_path):
    heavy = "".join(atom_line(5 + i, f"D{i}", "D", (i, 1, 1)) for i in range(3))
    path = written(tmp_path, glycines(1) + heavy)
    atoms = load_atoms(path, "hydrogens=add")  # which finds none missing
    assert atoms.composition[1] == 3 and atoms.forward(8000.0).real == pytest.approx(GLYCINE + 3, rel=0.01)
    assert load_atoms(path, "hydrogens=none").electrons == GLYCINE


def test_one_model_or_all(tmp_path):
    models = "".join(f"MODEL {n:8d}\n{glycines(n)}ENDMDL\n" for n in (1, 2, 3))
    path = written(tmp_path, models)
    with pytest.warns(InputWarning, match="of 3 models the first is taken; model=all"):
        assert load_atoms(path, "hydrogens=file").electrons == GLYCINE
    assert load_atoms(path, "hydrogens=file,model=2").electrons == 2 * GLYCINE
    assert load_atoms(path, "hydrogens=file,model=all").electrons == 6 * GLYCINE
    with pytest.raises(InputError, match=r"no model '7'; it has 1, 2, 3: write .*model=1"):
        load_atoms(path, "model=7")


def test_unknown_elements_are_left_out_and_said(tmp_path):
    path = written(tmp_path, glycines(2) + atom_line(9, "UNK", "X", (5, 5, 5), "UNX", "Z"))
    with pytest.warns(InputWarning, match="1 atoms of an unknown element are left out"):
        assert load_atoms(path, "hydrogens=file").electrons == 2 * GLYCINE


def test_size_mass_and_facts(tmp_path):
    structure = read_structure(written(tmp_path, TWO_CHAINS), "hydrogens=add")
    atoms = structure.atoms
    assert atoms.mass_da == pytest.approx(15 * 57.05, rel=1e-3)  # g/mol of a residue of glycine
    assert atoms.diameter_nm == pytest.approx(
        (6 / np.pi * atoms.mass_da * 1.66054e-24 / 1.35 * 1e21) ** (1 / 3), rel=1e-5
    )
    apart = np.linalg.norm(atoms.position[:, None] - atoms.position, axis=-1).max()
    assert atoms.longest_extent_nm == pytest.approx(apart, rel=1e-12)
    assert structure.facts["assembly"] == "1 of 1, 2, 3 operators" and structure.facts["chains"] == "3"
    heavier = load_atoms(written(tmp_path, glycines()), "hydrogens=file,density=10.8")
    lighter = load_atoms(written(tmp_path, glycines()), "hydrogens=file,density=1.35")
    assert heavier.diameter_nm == pytest.approx(lighter.diameter_nm / 2)


GOOD = glycines(3)
SECOND = GOOD.splitlines()[1]
MOVED = biomt([np.eye(3, 4) + [[0, 0, 0, 9999.5]]]) + GOOD
ROWS = MOVED.splitlines(keepends=True)
TOO_LONG = MOVED.replace("     9999.50000", "    10000.00000", 1)
BAD = {
    "far operator": (TOO_LONG, "", r"line 3: 'BIOMT1 .* 10000.00000' is no row of an operator.*:assembly=none"),
    "very far operator": (MOVED.replace("     9999.50000", "   123456.50000", 1), "", "at most 10 characters"),
    "operator to the left": (MOVED.replace("     9999.50000", "9999.50000", 1), "", "line 3: .*no row of an operator"),
    "exponent in an operator": (MOVED.replace(" 9999.50000", "  9.995e+03", 1), "", "line 3: .*no row of an operator"),
    "word in an operator": (MOVED.replace("  1.000000", "  1.0x0000", 1), "", "line 3: .*no row of an operator"),
    "empty row": (MOVED.replace(ROWS[3], "REMARK 350   BIOMT2\n"), "", "line 4: .*no row of an operator"),
    "missing row": (MOVED.replace(ROWS[3], ""), "", "line 4: BIOMT3 1 stands where BIOMT2 1 belongs"),
    "rows of two operators": (MOVED.replace("BIOMT2   1", "BIOMT2   2"), "", "line 4: BIOMT2 2 stands where BIOMT2 1"),
    "missing last row": (MOVED.replace(ROWS[4], ""), "", "line 4: the operator 1 ends here"),
    "no plain text": (GOOD.replace(" CA  GLY", " C\u00e9  GLY", 1), "", "line 2: .* is no plain text: mend that line"),
    "exponent": (GOOD.replace(SECOND[30:38], "  1.45e2", 1), "", r"line 2: x is '1\.45e2'"),
    "underscore": (GOOD.replace(SECOND[30:38], "   1_450", 1), "", r"line 2: x is '1_450'"),
    "nan": (GOOD.replace(SECOND[30:38], "     nan", 1), "", r"line 2: x is 'nan'; give a number, in angstroms"),
    "letters": (GOOD.replace(SECOND[30:38], "   1.4x5", 1), "", r"line 2: x is '1\.4x5'"),
    "far": (GOOD.replace(SECOND[30:38], "9.999e25", 1), "", "line 2: x is '9.999e25'"),
    "occupancy": (GOOD.replace("  1.00  0.00", " -1.00  0.00", 1), "", "line 1: occupancy is '-1.00'.* 0 to 1"),
    "cut number": (GOOD[:-40], "", "line 12: y is ''"),
    "cut element": (GOOD[:-3], "", "cut short within its last line"),
    "nothing": ("HEADER\nEND\n", "", "no ATOM or HETATM line"),
    "empty": ("", "", "no ATOM or HETATM line"),
    "no occupancy": (GOOD.replace("  1.00  0.00", "  0.00  0.00"), "hydrogens=file", "no atom of any occupancy"),
    "option": (GOOD, "asembly=2", "no option 'asembly'; it takes assembly, model, hydrogens"),
    "twice": (GOOD, "model=1,model=1", "model twice"),
    "choice": (GOOD, "hydrogens=yes", r"hydrogens cannot be 'yes' \(it is file or add or none\)"),
    "number": (GOOD, "density=heavy", "density cannot be 'heavy'"),
    "density": (GOOD, "density=0", "density is 0.0; give mass over volume"),
    "assembly": (TWO_CHAINS, "assembly=9", "no assembly '9'; it has 1, 2: write .*assembly=none"),
    "no assembly": (GOOD, "assembly=1", "no assembly '1'; it has none: write .*assembly=none"),
    "nobody": (biomt(turns(2), "Q") + GOOD, "hydrogens=file", "assembly 1 has 0 atoms"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pdb_files_are_refused_with_what_is_wrong(tmp_path, name):
    text, options, says = BAD[name]
    with pytest.raises(InputError, match=says):
        load_atoms(written(tmp_path, text), options)


def test_operators_that_are_not_refused_are_read_as_they_are_written(tmp_path):
    rng = np.random.default_rng(0)
    longest = np.array([-999.99999, 9999.99999, 0.00001])
    written_as = [np.c_[rng.uniform(-1, 1, (3, 3)).round(6), column] for column in (longest, -0.05 * longest)]
    structure, _ = checked_structure.checked_structure(gemmi, written(tmp_path, biomt(written_as) + GOOD))
    (generator,) = structure.assemblies[0].generators
    read = [np.c_[np.array(o.transform.mat.tolist()), o.transform.vec.tolist()] for o in generator.operators]
    assert np.allclose(read, written_as, rtol=0, atol=1e-6)
    # Where they are not built, they may be anything.
    assert load_atoms(written(tmp_path, TOO_LONG), "assembly=none,hydrogens=file").electrons == 3 * GLYCINE


@pytest.mark.parametrize(
    "expression, products",
    [
        ("(1,2)(3,4)", [(1, 3), (1, 4), (2, 3), (2, 4)]),
        ("(4)(1-2)", [(4, 1), (4, 2)]),
        ("4, 2-3", [(4,), (2,), (3,)]),
        ("(1-2)(2,3)(4)", [(1, 2, 4), (1, 3, 4), (2, 2, 4), (2, 3, 4)]),
    ],
)
def test_products_of_operators_are_each_of_the_first_after_each_of_the_next(tmp_path, expression, products):
    """gemmi takes the first factor for the whole. Turns and shifts, whose order matters."""
    moves = [*turns(3), np.c_[turns(4)[1][:, :3], [5.0, 0, 9]]]

    def written_out(numbers):
        whole = np.eye(4)
        for number in numbers:
            whole = whole @ np.r_[moves[number - 1], [[0, 0, 0, 1]]]
        return whole[:3]

    text = as_cif(biomt(moves) + GOOD)
    found = load_atoms(written(tmp_path, text.replace("1 1,2,3,4 ", f"1 '{expression}' "), "a.cif"), "hydrogens=file")
    wanted = load_atoms(
        written(tmp_path, as_cif(biomt([*map(written_out, products)]) + GOOD), "b.cif"), "hydrogens=file"
    )
    assert np.abs(np.array(rows_of(found)) - rows_of(wanted)).max() < 2e-3


CIF = as_cif(GOOD)
FAR = as_cif(biomt([np.eye(3, 4) + [[0, 0, 0, 9e3]]]) + GOOD).replace(" 9000", " 9e6")
BAD_CIF = {
    "far operator": (FAR, "assembly 1 puts atoms beyond 10 um"),
    "nan": (CIF.replace(" 1.45 ", " nan ", 1), r"line \d+: coordinates \[nan"),
    "unknown": (CIF.replace(" 1.45 ", " ? ", 1), r"line \d+: coordinates \[nan"),
    "cut": (CIF[: CIF.index("ATOM 12") + 20], "cannot be read .*: download it again"),
    "no atoms": ("data_x\n_cell.length_a 5\n", "has no _atom_site"),
    "words": ("never a CIF\n", "cannot be read"),
    "occupancy": (CIF.replace(" 1 0 ", " 3 0 ", 1), r"line \d+: occupancy is '3'; give a number, 0 to 1"),
    "columns": (
        "data_x\nloop_\n_atom_site.id\n_atom_site.type_symbol\n_atom_site.Cartn_x\n_atom_site.Cartn_y\n"
        "_atom_site.Cartn_z\n1 C 0 0 0\n",
        "_atom_site has no label_alt_id and no label_asym_id; gemmi needs id, type_symbol",
    ),
    "operators": (
        CIF + "loop_\n_pdbx_struct_assembly_gen.assembly_id\n_pdbx_struct_assembly_gen.oper_expression\n"
        "_pdbx_struct_assembly_gen.asym_id_list\n1 '(1-1000000)(1-1000000)' Axp\n",
        "operators .* are too many",
    ),
    "operator": (as_cif(biomt(turns(3)) + GOOD).replace("1 1,2,3 ", "1 '(1,2)(7)' "), "operator '7', which no row"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_CIF)
def test_bad_mmcif_files_are_refused_with_what_is_wrong(tmp_path, name):
    text, says = BAD_CIF[name]
    assert text != CIF
    with pytest.raises(InputError, match=says):
        load_atoms(written(tmp_path, text, "a.cif"))


DIFFERENT = "".join(glycines(1, chain) for chain in ascii_letters)


def test_what_would_fill_memory_or_time_is_refused_first(tmp_path, monkeypatch):
    for limit, text, name, says in (
        ("_MOST_BYTES", GOOD, "a.pdb.gz", "holds more than 0 MB: give a smaller structure"),
        ("_MOST_ATOMS", TWO_CHAINS, "a.pdb", "assembly 1 has 60 atoms; give one of 1 to 50"),
        ("_MOST_PARTS", "".join(glycines(1, c) for c in "ABAB" * 20), "a.pdb", "80 runs of chains; give at most 50"),
        ("_MOST_PARTS", as_cif(DIFFERENT), "a.cif", "52 runs of chains"),
        ("_MOST_WORDS", as_cif(GOOD), "a.cif", "values; give at most 50"),
        ("MOST_OPERATORS", biomt(turns(60)) + GOOD, "a.pdb", "too many operators"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(structure_file if hasattr(structure_file, limit) else checked_structure, limit, 50)
            with pytest.raises(InputError, match=says):
                load_atoms(written(tmp_path, text, name), "hydrogens=file")


def test_damaged_and_missing_files(tmp_path):
    packed = gzip.compress(GOOD.encode())
    (tmp_path / "cut.pdb.gz").write_bytes(packed[:-20])
    (tmp_path / "bad.pdb.gz").write_bytes(packed[:20] + b"xxxxxxxxxxxx" + packed[32:])
    for name, says in (
        ("cut.pdb.gz", "cut short"),
        ("bad.pdb.gz", "damaged"),
        ("none.pdb", "no file .*check the path"),
    ):
        with pytest.raises(InputError, match=says):
            load_atoms(str(tmp_path / name))
    with pytest.raises(InputError, match="more than 0 MB: take less"):
        contents.contents(tmp_path / "cut.pdb.gz", 10, "take less")


def test_gemmi_that_is_missing_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gemmi", None)
    with pytest.raises(InputError, match=r'pip install "onehit\[structures\]"'):
        load_atoms(written(tmp_path, GOOD))


def test_specs_of_files_are_told_from_names(tmp_path):
    text, *_ = random_atoms(20, np.random.default_rng(0))
    path = written(tmp_path, biomt(turns(2)) + text, "my:virus.PDB.gz")
    assert len(geometry(path).element) == 40 and len(geometry(f"{path}:assembly=none").element) == 20
    assert geometry_files(f"{path}:assembly=none") == [path] and geometry_files("torus:radius_ratio=3") == []
    assert geometry_files("a.stl") == ["a.stl"] and not has_own_size("a.stl") and not has_own_size("torus")
    assert has_own_size("a.pdb") and has_own_size("x.map:threshold=1") and has_own_size("x.npy:voxel=1")
