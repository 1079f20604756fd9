"""What a sweep is made of, and what is refused before any work."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_up_sweeps import rows
from onehit.evaluate import protocols
from onehit.evaluate.config import EvaluateConfig
from onehit.geometries import InputError
from onehit.workbench.cli import _parse
from onehit.workbench.commands import sweep
from onehit.workbench.sweep.plan import plan_sweep

REFUSED = [
    ({"baseline": ("seed=7",)}, "seed has no such value"),
    ({"baseline": ("geometry=cube",)}, "the axes are simulation.geometry, seed"),
    ({"baseline": ("seed=0", "seed=1")}, "names 2 values of seed"),
    ({"only": ("steps=1",)}, "the axes are simulation.geometry, seed, geometry"),
    ({"train_axis": (("seed", "0", "2000003"),)}, "on test cube: test_seed 2000003 is that of the training"),
    ({"train_axis": (("simulation.geometry", "donut"),)}, "training donut: .*donut"),
    ({"train_axis": (("steps", "0"),)}, "training steps 0: steps is 0"),
    ({"train_axis": (("network.size", "256"),)}, "training size 256: .*takes at least 256"),
    ({"train_axis": (("validation-count", "100"), ("confidence", "0.95"))}, "598 .a larger --validation-count"),
    ({"test_axis": (("geometry", "cube torus"),)}, "a test has one geometry"),
    ({"test_axis": (("geometry", "donut"),)}, "test donut: .*donut"),
    ({"test_axis": (("test.photons", "5 1"),)}, "test icosahedron, photons 5 1: "),
    ({"test_axis": (("test.instrument.shape", "64 64"),)}, "on test icosahedron, shape 64 64: .*takes at least 128"),
    ({"test_axis": (("minimum-photons", "1", "2"),)}, "is about real frames: name them, --test.file"),
    ({"evaluate": EvaluateConfig(calibration=Path("runs/c"))}, "--calibration is no option of a sweep: run `onehit ev"),
    ({"evaluate": EvaluateConfig(map=(("photons", "size"),))}, "--map is no option of a sweep"),
    ({"evaluate": EvaluateConfig(no_particle=77, protocol="poster")}, "--no-particle is no option of a sweep"),
    ({"train_axis": (("data", "none.h5"),)}, "training data none.h5: .*none.h5"),
    ({"train_axis": (("simulation.geometry", "none.stl"),)}, "training none.stl: .*none.stl"),
    ({"test_axis": (("geometry", "none.stl"),)}, "test none.stl: .*none.stl"),
    (
        {"train_axis": (("read-data.binning", "1", "2"),)},
        "binning is about frames of a file, and no training has --data",
    ),
    ({"test_file": ("real",)}, "write NAME=FILE"),
    ({"test_file": ("real=none.h5",)}, "none.h5"),
    ({"test_file": ("cube=none.h5",)}, "patterns are called cube in tables: choose another name"),
    ({"rate": 0.0}, "rate is 0.0"),
    ({"workers": 2, "slurm": True}, "both --workers and --slurm"),
    ({"train_axis": (("steps", "abc"),)}, "steps: 'abc' is no value"),
    ({"workers": -1}, "-1 workers were asked for"),
    (
        {"train_axis": (("simulation.background.read.binning", "1", "2"),)},
        "training binning 1: --simulation.background.read.binning says nothing without --simulation.background.frames",
    ),
    ({"test_axis": (("test.readout.psf-tail-px", "1"),)}, "without --test.readout.psf-tails: give that too, or leave"),
]


@pytest.mark.parametrize("changes, says", REFUSED, ids=[says for _, says in REFUSED])
def test_what_is_impossible_is_refused_before_any_work(command, made, changes, says):
    with pytest.raises(InputError, match=says):
        sweep.run_sweep(replace(command, **changes))
    assert not command.out.exists() and not made.trained


def test_trainings_on_a_file_do_not_differ_in_what_is_simulated(command, made, real):
    on_file = replace(command, train=replace(command.train, data=real))
    for axis in (("simulation.photons", "1e4 1e5", "1e5 1e6"), ("validation-count", "1000", "2000")):
        with pytest.raises(InputError, match=f"{axis[0]} is about simulated patterns, and all trainings are on --data"):
            plan_sweep(replace(on_file, train_axis=(axis,)))
    measured = ("simulation.instrument.distance-m", "0.5", "0.6")
    assert len(plan_sweep(replace(on_file, train_axis=(measured,))).trainings) == 2
    both = replace(command, train_axis=(("data", "None", str(real)), command.train_axis[0]))
    points = [tuple(training.point.values()) for training in plan_sweep(both).trainings]
    assert points == [("None", "icosahedron"), ("None", "torus"), (str(real),)]


def test_a_baseline_is_found_however_its_values_were_typed(command, tmp_path):
    table = tmp_path / "points.csv"
    table.write_text("simulation.fluctuation-strength,seed\n0 0,0\n0 0.5,0\n0.0 0.0,1\n0 0.5,1\n")
    baseline = ("simulation.fluctuation-strength=0 0",)
    plan = plan_sweep(replace(command, train_axis=(), train_table=table, baseline=baseline))
    first, second, third, fourth = plan.trainings
    assert plan.counterparts() == {second.key: first, fourth.key: third}


def test_a_file_has_one_name(command, made, real, monkeypatch):
    monkeypatch.chdir(real.parent)
    with pytest.raises(InputError, match=r"b=.*: this file is called a already: name it once"):
        sweep.run_sweep(replace(command, test_file=(f"a={real.name}", f"b={real}")))
    sweep.run_sweep(replace(command, test_file=(f"a={real}", f"a={real}")))
    assert sum(row["file"] == "a" for row in rows(command)) == 4


def test_an_axis_that_is_typed_beside_a_configuration_prevails(command, made):
    sweep.run_sweep(command)
    taken = ["--config", str(command.out / "config.json"), "--train.axis", "seed", "1", "2"]
    found = _parse("sweep", [*taken, "--test.axis", "test.photons", "1e4 1e4", "1e5 1e5"])
    assert sorted(found.train_axis) == [("seed", "1", "2"), ("simulation.geometry", "icosahedron", "torus")]
    assert found.test_axis == (*command.test_axis, ("test.photons", "1e4 1e4", "1e5 1e5"))
    with pytest.raises(InputError, match="seed is given twice"):
        plan_sweep(_parse("sweep", [*taken, "--train.axis", "seed", "3"]))


def test_what_a_protocol_scores_besides_is_left_out_without_a_word(command, made):
    """It is not asked for."""
    sweep.run_sweep(replace(command, evaluate=replace(protocols.test_set("poster"), count=100, test_seed=7)))
    assert made.scored


def test_a_study_of_a_single_geometry_is_one_test_and_none_is_refused(command, made):
    no_test = replace(command, test_axis=(), evaluate=replace(command.evaluate, geometry=()))
    with pytest.raises(InputError, match="nothing to test on"):
        sweep.run_sweep(no_test)
    plan = plan_sweep(replace(command, test_axis=(), evaluate=replace(command.evaluate, masked=("half",))))
    masks = [(test.point["geometry"], test.config.masked) for test in plan.tests]
    assert masks[:2] == [("icosahedron", ()), ("icosahedron", ("half",))] and len(masks) == 6
