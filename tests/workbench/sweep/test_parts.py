"""Sweeps by plain job arrays."""

from collections import Counter
from dataclasses import replace

import pytest
from filelock import FileLock
from job_arrays import submitted, words
from made_up_sweeps import OPTIONS, lasting, rows
from onehit.geometries import InputError
from onehit.workbench.cli import main
from onehit.workbench.commands import sweep


def test_parts_and_a_last_command_are_the_whole_sweep(command, made, capsys):
    whole = replace(command, out=command.out.with_name("whole"))
    sweep.run_sweep(whole)
    made.trained.clear(), made.scored.clear()
    sweep.run_sweep(replace(command, part="1/3"))
    assert made.trained == {("icosahedron", 1): 1} and made.scored.total() == 3
    assert "part 1/3 is done; when all are, the command without --part completes the sweep" in capsys.readouterr().out
    assert not (command.out / "sweep.csv").exists()
    sweep.run_sweep(replace(command, part="0/3"))
    assert set(made.trained) == {("icosahedron", 0), ("icosahedron", 1), ("torus", 1)}
    sweep.run_sweep(command)  # part 2 never ran
    assert set(made.trained.values()) | set(made.scored.values()) == {1} and len(made.scored) == 12
    assert lasting(command) == lasting(whole)


def test_parts_are_of_the_cells_that_are_named(command, made):
    sweep.run_sweep(replace(command, only=("seed=1", "geometry=cube"), part="1/2"))
    assert made.trained == {("torus", 1): 1} and made.scored == {("torus 1", "cube"): 1}


def test_parts_work_side_by_side_but_none_twice(command, made):
    (command.out / "trainings").mkdir(parents=True)
    with FileLock(command.out / ".0-of-2.lock"):
        sweep.run_sweep(replace(command, part="1/2"))
        with pytest.raises(InputError, match="another sweep is at work"):
            sweep.run_sweep(replace(command, part="0/2"))
    assert len(made.trained) == 2


REFUSED = [
    ({"part": "2/2"}, "part is 2/2; write K/N"),
    ({"part": "1"}, "part is 1; write K/N"),
    ({"part": "0/5"}, "5 parts of 4 trainings"),
    ({"sbatch": 1}, "1 parts of 4 trainings: ask for 2 or more"),
    ({"sbatch": 5}, "no more than there are trainings"),
    ({"sbatch": 2, "part": "0/2"}, "both --sbatch and --part are given"),
    ({"sbatch": 2, "slurm": True}, "both --slurm and --sbatch are given"),
]


@pytest.mark.parametrize("changes, says", REFUSED, ids=[says for _, says in REFUSED])
def test_impossible_parts_are_refused(command, made, changes, says):
    with pytest.raises(InputError, match=says):
        sweep.run_sweep(replace(command, **changes))
    assert not command.out.exists() and not made.trained


def test_the_sbatch_script_does_the_sweep_by_an_array_and_a_last_job(made, tmp_path, monkeypatch, capsys):
    """A stand-in for sbatch notes how it is called; the jobs' commands are then run here."""
    monkeypatch.chdir(tmp_path)
    said = ["sweep", "--out", "a map", *OPTIONS, "--only", "geometry=cube", "geometry=torus", "--sbatch", "2"]
    assert main(said) == 0
    script = capsys.readouterr().out
    assert not made.trained and "4 trainings and 3 tests, made by 2 array tasks" in script
    array, last = submitted(script, tmp_path, monkeypatch)
    assert main(words(array, "1")) == 0
    assert len(made.trained) == 2 and made.scored.total() == 4
    assert main(words(array, "0")) == 0
    assert main(words(last)) == 0
    assert set(made.trained.values()) | set(made.scored.values()) == {1} and made.scored.total() == 8
    command = sweep.Sweep(out=tmp_path / "a map")
    assert Counter(row["state"] for row in rows(command)) == {"done": 8, "missing": 4}


def test_an_array_computes_on_as_many_devices_as_were_asked_for(command, made, monkeypatch, capsys):
    """--devices is taken before the others, and the script is run some other time."""
    monkeypatch.setenv("_ONEHIT_DEVICES", "3")
    sweep.run_sweep(replace(command, sbatch=2))
    script = capsys.readouterr().out
    assert script.count("--devices 3") == 2
    assert "--devices 3 --part" in script


def test_devices_do_not_reach_workers_that_run_already(command, made, monkeypatch):
    monkeypatch.setenv("_ONEHIT_DEVICES", "3")
    with pytest.raises(InputError, match="--devices 3 does not reach the workers of --scheduler"):
        sweep.run_sweep(replace(command, scheduler="tcp://host:1"))


def test_what_failed_is_tried_again_by_the_array(command, made, capsys):
    made.trouble = lambda what, *more: (_ for _ in ()).throw(MemoryError("no room"))
    sweep.run_sweep(command)
    made.trouble = lambda *what: None
    sweep.run_sweep(replace(command, retry=True, sbatch=2))
    assert not made.trained
    sweep.run_sweep(replace(command, part="0/2"))
    assert made.trained == {("icosahedron", 0): 1, ("torus", 0): 1}
