"""Halves of a folder of structures, and how right a classifier is on molecules that it never saw."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onehit.evaluate import protocols
from onehit.evaluate.metrics import auc
from onehit.evaluate.molecules import score_molecules
from onehit.evaluate.protocols import check_protocol, protocol
from onehit.evaluate.robustness import Scored
from onehit.geometries import InputError
from onehit.workbench.cli import main
from onehit.workbench.reports.run_tables import run_lines, run_tables, side_by_side
from schemas import check
from structures import random_atoms

NAMES = ("b.pdb", "A.pdb", "d.ent", "c.pdb")


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(1)
    for number, name in enumerate(NAMES):
        (tmp_path / name).write_text(random_atoms(30 + 10 * number, rng)[0])
    (tmp_path / "README.md").write_text("not a structure")
    return tmp_path


def test_every_other_structure_is_trained_on_and_the_halves_can_be_swapped(folder):
    odd = protocol("molecules", structures=str(folder))
    even = protocol("molecules", structures=str(folder), half="even")
    shares = [found.train.simulation.geometry[:2] for found in (odd, even)]
    assert [Path(name).name for name in shares[0]] == ["A.pdb:0.250000", "c.pdb:0.250000"]
    assert [Path(name).name for name in odd.evaluate.geometry] == ["b.pdb", "d.ent"]
    for share, found in zip(shares, (even, odd), strict=True):
        assert share == tuple(f"{name}:0.250000" for name in found.evaluate.geometry)
        # The other half are solids of many sizes.
        assert len(found.train.simulation.geometry) > 10 and found.train.simulation.diameter_nm == (8, 45)
    for found in (odd, even):
        found.train.check(), found.evaluate.check()
        check_protocol("molecules", found.train, found.evaluate.geometry)
        # Nothing but what a molecule looks like tells one from several.
        assert replace(found.train.simulation, geometry=("icosahedron",)) == found.evaluate.test
        assert found.evaluate.test.photons == (1e3, 1e5) and found.evaluate.test.particles == (2, 4)
    four_times = protocol("molecules", True, str(folder)).train
    assert four_times.steps == 4 * odd.train.steps and four_times.simulation == odd.train.simulation


def test_a_molecule_of_the_training_is_refused_in_the_test(folder):
    odd = protocol("molecules", structures=str(folder))
    even = protocol("molecules", structures=str(folder), half="even")
    with pytest.raises(InputError, match=r"b\.pdb was trained on.*say the same --half again"):
        check_protocol("molecules", even.train, odd.evaluate.geometry)
    same = (str(folder / ".." / folder.name / "A.pdb"),)
    with pytest.raises(InputError, match=r"A\.pdb was trained on"):
        check_protocol("molecules", odd.train, same)
    mixed = replace(odd.train, simulation=replace(odd.train.simulation, one_species=False))
    with pytest.raises(InputError, match=r"molecules does not train on simulation\.one_species = False"):
        check_protocol("molecules", mixed, odd.evaluate.geometry)


@pytest.mark.parametrize(
    ("change", "command", "says"),
    [
        ("", "--protocol molecules", "give --structures FOLDER"),
        ("", "--structures {}", "--structures is for --protocol molecules"),
        ("", "--protocol poster --structures {}", "--structures is for --protocol molecules"),
        ("", "--half even", "--half is for --protocol molecules"),
        ("", "--protocol molecules --structures {} --half both", "say odd"),
        ("", "--protocol molecules --structures {}/none", "there is no such folder"),
        ("rm A.pdb", "--protocol molecules --structures {}", "holds 3 structures: give a folder of at least 4"),
        ("twice b.pdb B.ENT", "--protocol molecules --structures {}", "are one structure twice: keep one"),
        ("spoil c.pdb d.ent", "--protocol molecules --structures {}", "2 of 4 cannot be read"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(folder, change, command, says, capsys):
    what, *names = change.split() or [""]
    if what == "rm":
        (folder / names[0]).unlink()
    elif what == "twice":
        (folder / names[1]).write_text((folder / names[0]).read_text())
    elif what == "spoil":
        for name in names:
            (folder / name).write_text("TITLE     NO ATOMS\n")
    assert main(["study", *command.format(folder).split()]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    error = [line for line in error if "hydrogens" not in line]
    assert len(error) == 1 and says in error[0]
    assert what != "spoil" or ("c.pdb" in error[0] and "d.ent" in error[0] and "A.pdb" not in error[0])


def scored(label, score, photons):
    nothing = np.zeros((0, 4, 4))
    label, score, photons = np.asarray(label), np.asarray(score, float), np.asarray(photons, float)
    return Scored(label, score, photons, {}, nothing, nothing, nothing, [], np.zeros((4, 4), bool))


def test_accuracy_is_of_the_sign_of_the_score_and_the_worst_is_named():
    rng = np.random.default_rng(0)
    some = {}
    for name, offset in (("one", 2.0), ("two", 0.3)):
        label = np.arange(400) % 2
        score = rng.normal(size=400) + offset * (2 * label - 1)
        some[name] = scored(label, score, 10 ** rng.uniform(3.001, 4.999, 400))
    found = score_molecules(some)
    check("metrics", found, "/properties/molecules")
    right = {name: np.mean((one.score > 0) == one.label) for name, one in some.items()}
    assert right["two"] < right["one"]
    assert {name: one["accuracy"] for name, one in found["by_molecule"].items()} == pytest.approx(right)
    everything = found["all"]
    assert everything["accuracy"] == pytest.approx(np.mean(list(right.values())))
    assert everything["worst"] == "two" and everything["worst_accuracy"] == pytest.approx(right["two"])
    label, score = (np.concatenate([getattr(one, part) for one in some.values()]) for part in ("label", "score"))
    assert everything["auc"] == pytest.approx(auc(label, score))
    bins = found["by_photons"]
    assert [bin["low"] for bin in bins] == pytest.approx(10 ** np.array([3, 3.5, 4, 4.5]))
    assert [bin["high"] for bin in bins] == pytest.approx(10 ** np.array([3.5, 4, 4.5, 5]))
    photons = np.concatenate([one.photons for one in some.values()])
    second = (photons >= 10**3.5) & (photons < 1e4)
    assert bins[1]["accuracy"] == pytest.approx(np.mean((score[second] > 0) == label[second]))
    assert sum(bin["n_good"] + bin["n_bad"] for bin in bins) == 800


def test_the_report_names_the_worst_molecule_by_photons():
    right, wrong = scored([1, 0], [2.0, -2.0], [1500.0, 2e4]), scored([1, 0], [2.0, 2.0], [1500.0, 2e4])
    metrics = {"molecules": score_molecules({"a/right.pdb": right, "a/wrong.pdb": wrong}), "robustness": {}}
    everything, faint, bright = run_lines(metrics)
    assert everything.startswith("unseen molecules: 75") and "worst wrong.pdb, 50" in everything
    assert faint.startswith("1,000 to 3,162 photons: 100") and "AUC" in faint
    assert bright.startswith("10,000 to 31,623 photons: 50") and "worst wrong.pdb, 0" in bright
    (table,) = run_tables(metrics)
    assert [row[0] for row in table.rows][3:] == ["right.pdb", "wrong.pdb"] and table.rows[0][-1][1] == "wrong.pdb"
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert "unseen molecules, worst: right | 50" in side_by_side({"run": metrics})


def test_counting_noise_makes_no_bins_and_a_bin_of_one_label_has_no_auc():
    found = score_molecules({"one": scored([1, 0, 1], [1.0, -1.0, 0.0], [930.0, 3000.0, 3300.0])})
    check("metrics", found, "/properties/molecules")
    (only,) = found["by_photons"]
    assert (only["low"], only["high"]) == pytest.approx((1e3, 10**3.5))
    assert only["accuracy"] == pytest.approx(2 / 3)
    one_label = score_molecules({"one": scored([1, 0], [1.0, 1.0], [1500.0, 20_000.0])})["by_photons"]
    assert [bin["auc"] for bin in one_label] == [None, None]
    assert [bin["accuracy"] for bin in one_label] == [1.0, 0.0]


@pytest.mark.slow
def test_a_study_of_molecules_from_the_command_to_the_report(folder, tmp_path, capsys, monkeypatch):
    small = replace(protocols.molecule_patterns().instrument, shape=(32, 32), pixel_size_m=2.4e-3)
    patterns = replace(protocols.molecule_patterns(), instrument=small)
    monkeypatch.setattr(protocols, "molecule_patterns", lambda: patterns)
    run = tmp_path / "run"
    command = ["study", "--protocol", "molecules", "--structures", str(folder), "--out", str(run)]
    command += ["--network.stride", "2", "--network.size", "32", "--network.n", "1", "--network.m", "1"]
    command += ["--network.views", "log", "--network.unsure", "0", "--steps", "4", "--batch-size", "8"]
    command += ["--validation-count", "40", "--confidence", "0", "--count", "30"]
    assert main(command) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    check("metrics", metrics)
    unseen = {str(folder / "b.pdb"), str(folder / "d.ent")}
    assert set(metrics["molecules"]["by_molecule"]) == set(metrics["robustness"]) == unseen
    assert metrics["molecules"]["all"]["worst"] in unseen
    out = capsys.readouterr().out
    assert "unseen molecules: " in out and "photons: " in out
    assert "Unseen molecules" in (run / "report.html").read_text()
