"""What the command line says of atoms and density maps."""

import json

import numpy as np
import pytest
from onehit.geometries.shapes import geometry
from onehit.workbench.cli import main
from structures import biomt, glycines, turns
from trimesh import creation


@pytest.fixture
def protein(tmp_path):
    path = tmp_path / "a.pdb"
    path.write_text("TITLE     A MADE-UP PROTEIN\n" + biomt(turns(3)) + glycines(10))
    return path


def test_inspect_says_what_a_particle_of_atoms_is(protein, tmp_path, capsys):
    assert main(["inspect", str(protein), "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    for fact in (
        "A MADE-UP PROTEIN",
        "1 of 1, 3 operators",
        "120",
        "C 60, N 30, O 30",
        "1.6 kDa",
        "810",
        "nm",
        "hydrogens",
        " MB, out to |q| = 0.",
    ):
        assert fact in text
    kept = json.loads((tmp_path / "out" / "inspect.json").read_text())
    assert kept["electrons"] == "810" and "30 hydrogens are missing" in kept["notes"][0]
    assert main(["inspect", f"{protein}:assembly=none,hydrogens=add"]) == 0
    assert "300" in capsys.readouterr().out


def test_inspect_says_what_a_map_is(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.full((2, 3, 4), 0.4))
    assert main(["inspect", f"{tmp_path / 'a.npy'}:voxel=0.5"]) == 0
    text = capsys.readouterr().out
    for fact in ("4 x 3 x 2", "0.5 x 0.5 x 0.5 nm", "0.4 electrons", "1,200", "taken as electrons per cubic angstrom"):
        assert fact in text


def test_inspect_says_how_long_a_geometry_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    creation.box((1, 2, 3)).export("box.stl")
    for spec in ("shell:outer=cube,inner=sphere,ratio=0.5", "box.stl", "bent:seed=3"):
        assert main(["inspect", spec, "--out", "out"]) == 0
        assert f"{geometry(spec).longest_extent:.3f} diameters" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "inspect.json").read_text())["file"] == spec
    assert main(["inspect", "torus:radius_ratio=0.1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "command, geometry, size",
    [
        ("simulate OUT", "--geometry", "--diameter-nm"),
        ("simulate OUT", "--geometry", "--diameter_nm"),
        ("study --out OUT", "--simulation.geometry", "--simulation.diameter-nm"),
        ("study --out OUT", "--geometry", "--test.diameter-nm"),
    ],
)
def test_a_diameter_for_atoms_alone_is_refused(command, geometry, size, protein, tmp_path, capsys):
    typed = command.replace("OUT", str(tmp_path / "x.cxi")).split()
    assert main([*typed, geometry, str(protein), size, "20", "30"]) == 2
    error = capsys.readouterr().err
    assert f"{size.replace('_', '-')} is given, but {protein} has a size of its own" in error
    assert "leave the option out" in error and error.count("\n") == 1


def test_a_column_of_diameters_for_atoms_alone_is_refused(protein, tmp_path, capsys):
    (tmp_path / "rows.csv").write_text("diameter_nm,photons\n20,1e4\n")
    given = ["--population", str(tmp_path / "rows.csv"), "--geometry", str(protein)]
    assert main(["simulate", str(tmp_path / "x.cxi"), *given]) == 2
    error = capsys.readouterr().err
    assert f"rows.csv has a column 'diameter_nm', but {protein} has a size of its own" in error
    assert "leave the column out" in error and error.count("\n") == 1


def test_bad_files_are_one_line_and_exit_code_2(protein, tmp_path, capsys):
    (tmp_path / "cut.pdb").write_text(protein.read_text()[:-30])
    for spec in (str(tmp_path / "cut.pdb"), str(tmp_path / "none.map"), f"{protein}:assembly=7"):
        assert main(["inspect", spec]) == 2
        assert capsys.readouterr().err.count("\n") == 1
