"""Sweeps whose trainings and scores are made up, so that a hundred take a second: who does what when, and what is left
of it after every kind of trouble."""

import errno
import json
import os
import random
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from made_up_sweeps import OPTIONS, lasting, rows
from onehit.geometries import InputError
from onehit.simulate.sets.work import alone
from onehit.workbench.cli import _parse, main
from onehit.workbench.commands import sweep
from onehit.workbench.sweep import run, tasks
from onehit.workbench.sweep.plan import plan_sweep
from onehit.workbench.sweep.results import cells_of


def test_every_training_is_done_once_and_all_are_shown_the_same_patterns(command, made):
    sweep.run_sweep(command)
    assert made.trained == {(shape, seed): 1 for shape in ("icosahedron", "torus") for seed in (0, 1)}
    assert set(made.scored.values()) == {1} and len(made.scored) == 12
    assert made.together == [4, 4, 4]
    table = rows(command)
    assert len(table) == 12 and {row["state"] for row in table} == {"done"}
    first = table[0]
    assert (first["simulation.geometry"], first["seed"], first["geometry"]) == ("icosahedron", "0", "cube")
    assert (first["n_good"], first["n_bad"], first["threshold"], first["train_seconds"]) == ("20", "20", "0.0", "1.5")
    own = next(row for row in table if row["geometry"] == row["simulation.geometry"] == "torus")
    assert own["auc"] == "1.0" and own["false_negative_rate"] == "0.0" and own["auc_interval_high"] == "1.0"
    assert Path(own["run_directory"], "made").read_text() == "torus 0" and "jax=" in own["versions"]


def test_trainings_and_tests_that_differ_in_nothing_are_done_once(command, made):
    axes = (*command.train_axis, ("simulation.fluctuation-strength", "0 0", "0.0 0.0"))
    tests = (*command.test_axis, ("test.photons", "1e4 1e5", "10000 100000"))
    sweep.run_sweep(replace(command, train_axis=axes, test_axis=tests))
    assert len(made.trained) == 4 and set(made.trained.values()) == {1}
    assert len(rows(command)) == 12


def test_many_trainings_share_a_tests_patterns_in_groups(command, made):
    seeds = ("seed", *map(str, range(run.TRAININGS_AT_ONCE + 1)))
    sweep.run_sweep(replace(command, train_axis=(seeds,)))
    assert sorted(made.together) == [1, 1, 1, 4, 4, 4]


def test_what_is_done_is_not_done_again_and_a_new_point_is_all_that_is(command, made):
    sweep.run_sweep(command)
    sweep.run_sweep(command)
    assert set(made.trained.values()) | set(made.scored.values()) == {1}
    before = rows(command)
    made.trained.clear(), made.scored.clear()
    sweep.run_sweep(replace(command, train_axis=(command.train_axis[0], ("seed", "0", "1", "2"))))
    assert made.trained == {("icosahedron", 2): 1, ("torus", 2): 1} and made.scored.total() == 6
    made.trained.clear(), made.scored.clear()
    sweep.run_sweep(replace(command, test_axis=(("geometry", "cube", "sphere", "torus", "rod"),)))
    assert not made.trained and {test for _, test in made.scored} == {"rod"}
    assert [row for row in rows(command) if row["geometry"] != "rod"] == before


def test_a_training_that_fails_is_recorded_and_the_others_go_on(command, made, capsys):
    def trouble(what, name, *more):
        if (what, name) == ("train", ("torus", 0)):
            raise MemoryError("no room\nfor it")

    made.trouble = trouble
    assert sweep.run_sweep(command) == 1
    said = capsys.readouterr().err
    assert "failed: the training failed: MemoryError: no room" in said
    assert "onehit: 3 of 12 cells failed: --retry does them again" in said
    assert sweep.run_sweep(replace(command, only=("seed=1",))) == 0  # of which none failed
    assert main(["sweep", "--out", str(command.out), *OPTIONS]) == 1
    capsys.readouterr()
    sweep.run_sweep(replace(command, dry_run=True))
    assert "to do: 0 trainings of 0 patterns in all, validated on 0, and 0 cells" in capsys.readouterr().out
    sweep.run_sweep(replace(command, dry_run=True, retry=True))
    assert "to do: 1 trainings of 38,400 patterns in all, validated on 2,000, and 3 cells" in capsys.readouterr().out
    failed = [row for row in rows(command) if row["state"] == "failed"]
    assert len(failed) == 3 and {row["reason"] for row in failed} == {"the training failed: MemoryError: no room"}
    assert {(row["simulation.geometry"], row["seed"], row["auc"]) for row in failed} == {("torus", "0", "")}
    assert sum(row["state"] == "done" for row in rows(command)) == 9
    sweep.run_sweep(command)  # is not tried again
    assert made.trained.total() == 3
    made.trouble = lambda *what: None
    assert sweep.run_sweep(replace(command, retry=True)) == 0
    assert made.trained.total() == 4 and set(made.scored.values()) == {1} and len(made.scored) == 12
    assert {row["state"] for row in rows(command)} == {"done"}


def test_a_cell_that_fails_is_recorded_and_the_others_go_on(command, made):
    def trouble(what, name, names=()):
        if what == "score" and name == "cube" and "torus 1" in names:
            raise InputError("this one cannot see cubes")

    made.trouble = trouble
    sweep.run_sweep(command)
    failed = [row for row in rows(command) if row["state"] == "failed"]
    assert [(row["simulation.geometry"], row["seed"], row["geometry"], row["reason"]) for row in failed] == [
        ("torus", "1", "cube", "this one cannot see cubes")
    ]
    made.trouble = lambda *what: None
    made.scored.clear()
    sweep.run_sweep(replace(command, retry=True))
    assert made.scored == {("torus 1", "cube"): 1} and {row["state"] for row in rows(command)} == {"done"}


class Killed(BaseException):
    """As of a process: from here on it clears nothing away."""

    def __init__(self):
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(Path, "unlink", lambda path, missing_ok=False: None)


def killed(command):
    """A sweep whose process is killed."""
    with pytest.raises(Killed) as caught:
        sweep.run_sweep(command)
    caught.value.patch.undo()


@pytest.mark.parametrize("part", [None, "0/2"])
def test_a_training_that_kills_every_process_fails_at_last_and_the_others_go_on(command, made, part):
    def trouble(what, name, *more):
        if (what, name) == ("train", ("torus", 0)):
            raise Killed()

    made.trouble = trouble
    for _ in range(3):
        killed(replace(command, part=part))
    assert sweep.run_sweep(command) == 1
    failed = {row["reason"] for row in rows(command) if row["simulation.geometry"] == "torus" and row["seed"] == "0"}
    assert failed == {"the training failed: its process was killed 3 times: give it more memory, or more time"}
    assert sum(row["state"] == "done" for row in rows(command)) == 9
    made.trouble = lambda *what: None
    assert sweep.run_sweep(replace(command, retry=True)) == 0
    assert set(made.trained.values()) == {1} and not [*command.out.rglob("*.begun")]


def test_cells_that_kill_every_process_fail_at_last_and_the_others_go_on(command, made):
    def trouble(what, name, names=()):
        if (what, name) == ("score", "sphere"):
            raise Killed()

    made.trouble = trouble
    for _ in range(3):
        killed(command)
    assert sweep.run_sweep(command) == 1
    states = Counter((row["geometry"], row["state"], row["reason"]) for row in rows(command))
    reason = "its process was killed 3 times: give it more memory, or more time"
    assert states == {("cube", "done", ""): 4, ("sphere", "failed", reason): 4, ("torus", "done", ""): 4}


def test_a_training_that_is_killed_after_each_checkpoint_goes_on(command, made):
    """As where it takes longer than a job may."""
    run = plan_sweep(command).run(plan_sweep(command).trainings[0])

    def trouble(what, *more):
        steps = tasks.checkpoint_step(run)
        if what == "train" and steps < 5:
            run.mkdir(exist_ok=True)
            (run / "history.json").write_text(json.dumps([{"step": steps + 1}]))
            raise Killed()

    made.trouble = trouble
    for _ in range(5):
        killed(command)
    assert sweep.run_sweep(command) == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])  # by Ctrl-C, and at the end of a job
def test_a_training_that_is_stopped_was_not_killed(command, made, sent, request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background has none
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    made.trouble = lambda *what: os.kill(os.getpid(), sent)
    for _ in range(4):
        assert main(["sweep", "--out", str(command.out), *OPTIONS]) == 130
    made.trouble = lambda *what: None
    assert sweep.run_sweep(command) == 0


def test_a_full_disk_is_no_fault_of_a_cell(command, made):
    def trouble(what, *more):
        raise OSError(errno.ENOSPC, "No space left on device")

    made.trouble = trouble
    with pytest.raises(OSError, match="No space left"):
        sweep.run_sweep(command)
    assert {row["state"] for row in rows(command)} == {"missing"}


def test_a_sweep_that_is_stopped_anywhere_ends_as_an_undisturbed_one(command, made, monkeypatch):
    undisturbed = replace(command, out=command.out.with_name("undisturbed"))
    sweep.run_sweep(undisturbed)
    expected = lasting(undisturbed)
    rng = random.Random(0)
    whole = tasks.write_whole
    for number in range(6):
        made.trained.clear(), made.scored.clear()
        stopped = replace(command, out=command.out / str(number))
        stops, left = Counter(), iter([*sorted(rng.sample(range(40), 3)), 10**9])
        due = [next(left)]

        def stop(stops=stops, left=left, due=due):
            stops["calls"] += 1
            if stops["calls"] > due[0]:
                due[0] = next(left)
                stops["stops"] += 1
                raise KeyboardInterrupt

        def write_whole(path, content, stop=stop):
            stop()
            whole(path, content)
            stop()

        monkeypatch.setattr(tasks, "write_whole", write_whole)
        stopped.out.parent.mkdir(exist_ok=True)
        for _ in range(4):
            try:
                sweep.run_sweep(stopped)
                break
            except KeyboardInterrupt:
                pass
        assert stops["stops"] and lasting(stopped) == expected
        assert made.scored.total() <= 12 * (stops["stops"] + 1)


def test_only_the_cells_that_are_named_are_worked_on(command, made):
    sweep.run_sweep(replace(command, only=("seed=1", "geometry=cube", "geometry=torus")))
    assert set(made.trained) == {("icosahedron", 1), ("torus", 1)}
    assert {test for _, test in made.scored} == {"cube", "torus"} and made.scored.total() == 4
    states = Counter(row["state"] for row in rows(command))
    assert states == {"done": 4, "missing": 8}


def test_a_dry_run_says_how_much_there_is_and_writes_nothing(command, made, capsys):
    sweep.run_sweep(replace(command, dry_run=True, rate=100.0, workers=2))
    said = capsys.readouterr().out
    # 4 trainings of 1200 steps of 32 patterns, 2000 to validate; 12 cells of 40 patterns.
    assert "4 trainings, 3 tests (geometry), 12 cells; to do: 4 trainings of 153,600 patterns in all" in said
    assert "validated on 8,000" in said
    assert "12 cells, 120 patterns made for them and 480 scored. About 13 minutes in 2 processes, at 100 " in said
    assert not command.out.exists() and not made.trained
    # Three candidates more for each pattern of the last 400 steps, made three times as fast as one is trained on.
    mined = replace(command, train_axis=(*command.train_axis, ("candidates", "4")))
    sweep.run_sweep(replace(mined, dry_run=True, rate=100.0, workers=2))
    assert "About 17 minutes" in capsys.readouterr().out
    # Networks of half the width train on four times as many: --rate is of 128 x 128 pixels.
    small = replace(command.train, network=replace(command.train.network, size=64))
    sweep.run_sweep(replace(command, train=small, dry_run=True, rate=100.0, workers=2))
    assert "About 3 minutes in 2 processes, at 400 " in capsys.readouterr().out
    sweep.run_sweep(replace(command, only=("seed=0",)))
    capsys.readouterr()
    sweep.run_sweep(replace(command, dry_run=True))
    said = capsys.readouterr().out
    assert (
        "to do: 2 trainings of 76,800 patterns" in said and "at 40 patterns trained a second (as here before)" in said
    )


def test_a_dry_run_counts_the_frames_of_files(command, made, real, capsys):
    sweep.run_sweep(replace(command, test_file=(f"real={real}",), dry_run=True))
    # 3 tests of 40 patterns, and 60 frames, each for 4 trainings.
    assert "16 cells, 180 patterns made for them and 720 scored" in capsys.readouterr().out


def test_a_file_that_has_changed_makes_another_training(command, made, tmp_path):
    law = tmp_path / "sizes.csv"
    law.write_text("low,high,weight\n60,70,1\n70,80,2\n")
    sized = (("simulation.diameter-nm", f"histogram:{law}"),)
    sweep.run_sweep(replace(command, train_axis=sized))
    law.write_text("low,high,weight\n60,70,2\n70,80,1\n")
    sweep.run_sweep(replace(command, train_axis=sized))
    assert made.trained == {("icosahedron", 0): 2}


def test_two_sweeps_do_not_work_in_one_folder(command, made):
    command.out.mkdir()
    (command.out / "trainings").mkdir()
    with FileLock(command.out / ".lock"), pytest.raises(InputError, match="another sweep is at work"):
        sweep.run_sweep(command)
    assert not made.trained


def test_a_folder_of_something_else_is_left_alone(command, made):
    command.out.mkdir()
    (command.out / "thesis.tex").touch()
    with pytest.raises(InputError, match="holds no sweep: choose another --out"):
        sweep.run_sweep(command)
    assert [path.name for path in command.out.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("config", ['{"train": {}, "versions": {}}', "[]", "{"])
def test_the_folder_of_another_command_is_left_alone(command, made, config):
    command.out.mkdir()
    (command.out / "config.json").write_text(config)
    with pytest.raises(InputError, match="holds no sweep: choose another --out"):
        sweep.run_sweep(command)
    assert (command.out / "config.json").read_text() == config


def test_who_does_a_sweep_is_no_part_of_it(command, made, monkeypatch):
    """So that the rest may be done by others."""
    monkeypatch.setattr(sweep, "asked_crew", lambda command: alone)
    for others in ({"workers": 2}, {"scheduler": "tcp://host:1"}, {"slurm": True}):
        sweep.run_sweep(replace(command, **others))
        found = _parse("sweep", ["--config", str(command.out / "config.json"), "--sbatch", "2"])
        assert (found.workers, found.scheduler, found.slurm, found.sbatch) == (0, None, False, 2)


def test_a_damaged_record_is_named(command, made):
    sweep.run_sweep(command)
    record = next((command.out / "trainings").glob("*.json"))
    record.write_text("{")
    with pytest.raises(InputError, match=f"{record.name} is damaged .*: remove it"):
        sweep.run_sweep(command)


def test_a_task_that_kills_its_workers_is_recorded(command, made):
    def crew(work, queue):
        for task in queue:
            if task.get("training") == killer:
                yield work.given_up(task, "one worker after the other died of it")
            else:
                yield from alone(work, [task])

    plan = plan_sweep(command)
    (command.out / "trainings").mkdir(parents=True)
    killer = plan.trainings[0].key
    run.work_off(plan, run.Queue(plan), crew, False, lambda: None)
    states = Counter((cell.training.key == killer, cell.state) for cell in cells_of(plan))
    assert states == {(True, "failed"): 3, (False, "done"): 9}
