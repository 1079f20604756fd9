"""Rows of the benchmark for particles of tables, and for populations."""

import os

from onehit.geometries.densities import density_grid
from onehit.geometries.densities.structure_file import read_structure
from onehit.workbench.benchmarks import populations, tables
from onehit.workbench.made_up import barrel
from onehit.workbench.options import Bench

COMMAND = Bench("simulate", batch=4, repeats=1)


def test_each_particle_is_made_once_and_then_comes_from_the_cache(monkeypatch):
    monkeypatch.setattr(tables, "_LARGE_ATOMS", 20)
    monkeypatch.setattr(tables, "particles", lambda folder: {"capsid of atoms": tables.capsid(folder, 6.0, 30)})
    monkeypatch.setenv("ONEHIT_CACHE", "off")
    rows = tables.measure_tables(COMMAND)
    assert [row["case"] for row in rows] == ["capsid of atoms", "capsid of atoms, hydrated", "capsid of 1,200 atoms"]
    for row in rows:
        assert row["table_mb"] > 0 and row["times_torus"] > 0 and row["target"] == 0.5 and row["peak_mb"] > 50
    assert tables.LARGE_TARGETS.items() <= rows[-1].items() and not tables.LARGE_TARGETS.keys() & rows[0].keys()
    assert os.environ["ONEHIT_CACHE"] == "off"


def test_the_large_capsid_has_as_many_atoms_as_its_targets_are_for(tmp_path):
    structure = read_structure(*tables.capsid(tmp_path, tables._LARGE_NM, tables._LARGE_ATOMS).split(":"))
    assert len(structure.atoms.element) == 60 * tables._LARGE_ATOMS >= 700_000


def test_the_second_source_makes_no_table(monkeypatch):
    made = []
    make = density_grid.density_grid
    monkeypatch.setattr(density_grid, "density_grid", lambda *of: made.append(of) or make(*of))
    monkeypatch.setattr(tables, "particles", lambda folder: {"barrel": barrel(folder, 1.5)})
    tables.measure_tables(COMMAND)
    assert len(made) == 1


def test_every_law_has_a_row(monkeypatch):
    monkeypatch.setattr(populations, "_DRAWS", 1000)
    monkeypatch.setattr(populations, "_ROWS", 50)
    rows = populations.measure_populations(COMMAND)
    names = [row["case"] for row in rows]
    for law in ("two numbers", "normal", "log-normal", "gamma", "poisson", "histogram of 50 bins", "column of 50 rows"):
        assert law in names
    assert all(row["ms_a_million"] > 0 and row["share"] > 0 for row in rows)
