"""Sweeps whose trainings and scores are made up, so that a hundred take a second: who does what when, and what is left
of it after every kind of trouble."""

import errno
import json
import os
import random
import signal
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from made_up_sweeps import OPTIONS, lasting, rows
from onehit.evaluate import auc, protocols
from onehit.evaluate.config import EvaluateConfig
from onehit.geometries import InputError
from onehit.simulate.sets.work import alone
from onehit.workbench.cli import _parse, main
from onehit.workbench.commands import sweep
from onehit.workbench.sweep import run, tasks
from onehit.workbench.sweep.plan import plan_sweep
from onehit.workbench.sweep.report import write_report
from onehit.workbench.sweep.results import (
    Names,
    cells_of,
    differences,
    measure_lines,
    measure_map,
    read_scores,
    sentence,
)


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


def test_a_process_drops_compiled_programs_now_and_then(command, made, monkeypatch):
    """Else it grew by 0.2 GB with each training."""
    cleared = []
    monkeypatch.setattr(tasks, "_done", count(1))
    monkeypatch.setattr(tasks, "_TASKS_A_CLEARING", 3)
    monkeypatch.setattr("jax.clear_caches", lambda: cleared.append(len(made.trained)))
    sweep.run_sweep(command)
    assert len(cleared) == 2  # of four trainings and three tests


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
def test_a_training_that_is_stopped_was_not_killed(command, made, sent):
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


def test_differences_are_paired_over_patterns_and_seeds(command, made):
    command = replace(command, baseline=("simulation.geometry=icosahedron",))
    sweep.run_sweep(command)
    plan = plan_sweep(command)
    cells, names = cells_of(plan), Names(plan)
    found = {difference.test: difference for difference in differences(plan, cells, names)}
    assert set(found) == {"cube", "sphere", "torus"}
    assert {(d.what, d.training, d.seeds, d.patterns) for d in found.values()} == {
        ("torus against icosahedron", "", 2, 40)
    }
    assert found["cube"].lost is not None and found["cube"].lost[0] == 0
    assert found["cube"].auc is None and "AUC" not in sentence(found["cube"])  # both rank every pair alike
    lost, kept = found["torus"].lost, found["torus"].kept
    assert lost is not None and kept is not None
    # On tori the training on tori errs nowhere, the other one where its score of -2 to 1 (+ 0.1) is on the wrong side.
    score = np.linspace(-2, 1, 40)
    label = np.arange(40) % 2
    wrong = [np.mean([(score[label == 1] + 0.1 * seed < 0).mean() for seed in (0, 1)])]
    wrong += [np.mean([(score[label == 0] + 0.1 * seed >= 0).mean() for seed in (0, 1)])]
    assert (lost[0], kept[0]) == pytest.approx((-wrong[0], -wrong[1]))
    assert lost[1][0] < lost[0] < lost[1][1] < 0
    better = found["torus"].auc
    assert better is not None and better[0] == pytest.approx(1 - auc(label, score)) and 0 < better[1][0] < better[1][1]
    assert sentence(found["torus"]).startswith(f"torus against icosahedron, torus: {-100 * wrong[0]:+.1f} points of ")
    assert not any(difference.all_lost for difference in found.values())
    strict = [cell._replace(trained={**cell.trained, "threshold": 9.0}) for cell in cells]
    for difference in differences(plan, strict, names):
        assert difference.all_lost and sentence(difference).endswith("only AUC can tell them apart")


def test_what_one_training_cannot_judge_is_compared_for_none(command, made, monkeypatch):
    command = replace(command, baseline=("simulation.geometry=icosahedron",))
    sweep.run_sweep(command)
    plan, hidden = plan_sweep(command), [3, 4, 10]
    cells, names = cells_of(plan), Names(plan)

    def left_out(plan, cell, wanted):
        return {name: np.delete(array, hidden) for name, array in read_scores(plan, cell, wanted).items()}

    def invalid_for_one(plan, cell, wanted):
        arrays = read_scores(plan, cell, wanted)
        if cell.training.point["seed"] == "0":
            arrays["score"][hidden] = -np.inf
        return arrays

    found = []
    for read in (left_out, invalid_for_one):
        monkeypatch.setattr("onehit.workbench.sweep.results.read_scores", read)
        found.append(differences(plan, cells, names))
    assert found[0] == found[1] and {difference.patterns for difference in found[0]} == {37}


def test_one_seed_is_said_to_tell_nothing_about_others(command, made):
    command = replace(command, baseline=("simulation.geometry=icosahedron",))
    sweep.run_sweep(replace(command, only=("seed=0",)))
    plan = plan_sweep(command)
    said = "With one seed the intervals tell nothing about other trainings: add --train.axis seed 0 1 2."
    assert write_report(plan, command, cells_of(plan))[-1] == said
    sweep.run_sweep(command)
    assert said not in write_report(plan, command, cells_of(plan))


def test_trainings_that_lose_as_much_have_no_best_and_no_worst(command, made):
    sweep.run_sweep(command)
    plan = plan_sweep(command)
    cells = cells_of(plan)
    write_report(plan, command, cells)
    assert "lost, mean over the tests, fewest" in (command.out / "report.html").read_text()
    for cell in cells:
        cell.summary["false_negative_rate"] = 0.5
    write_report(plan, command, cells)
    assert "lost, mean over the tests, fewest" not in (command.out / "report.html").read_text()


def test_maps_and_lines_have_means_and_spreads_over_seeds(command, made):
    command = replace(command, test_axis=(*command.test_axis, ("test.photons", "1e4 1e4", "1e5 1e5")))
    sweep.run_sweep(command)
    plan = plan_sweep(command)
    cells, names = cells_of(plan), Names(plan)
    found = measure_map(cells, names, "false_negative_rate")
    assert found.trainings == ["icosahedron", "torus"]
    assert found.tests[:3] == ["cube, photons 1e4 1e4", "cube, photons 1e5 1e5", "sphere, photons 1e4 1e4"]
    table = rows(command)
    rates = [
        float(row["false_negative_rate"])
        for row in table
        if (row["simulation.geometry"], row["geometry"], row["test.photons"]) == ("torus", "cube", "1e4 1e4")
    ]
    assert len(rates) == 2
    assert found.mean[1, 0] == pytest.approx(np.mean(rates)) and found.spread[1, 0] == pytest.approx(
        np.std(rates, ddof=1)
    )
    (lines,) = measure_lines(plan, cells, names, "auc")
    assert lines.axis == "test.photons" and set(lines.curves) == {"icosahedron", "torus"}
    assert lines.curves["torus"][0] == pytest.approx([1e4, 1e5])


def test_ranges_of_one_middle_make_no_line(command, made):
    command = replace(command, test_axis=(*command.test_axis, ("test.photons", "1e4 1e4", "1e3 1e5", "1e5 1e5")))
    sweep.run_sweep(command)
    plan = plan_sweep(command)
    assert measure_lines(plan, cells_of(plan), Names(plan), "auc") == []


def test_a_report_of_what_is_half_done_says_what_is_missing_and_what_failed(command, made):
    def trouble(what, name, *more):
        if (what, name) == ("train", ("torus", 1)):
            raise MemoryError("no room")

    made.trouble = trouble
    command = replace(command, only=("seed=1", "geometry=cube"), baseline=("simulation.geometry=icosahedron",))
    sweep.run_sweep(command)
    plan = plan_sweep(command)
    first, *others = write_report(plan, command, cells_of(plan))
    assert first == "4 trainings and 3 tests: 1 of 12 cells done, 3 failed, 8 missing."
    assert len(others) == 1 and others[0].startswith("The worst: icosahedron on cube (seed 1): ")
    html = (command.out / "report.html").read_text()
    assert "the training failed: MemoryError: no room" in html and "All cells, the worst first" in html
    assert html.count("data:image/png;base64,") == 3 and "Differences from the baseline" not in html


def test_a_report_says_where_a_range_stands_along_an_axis(command, made):
    command = replace(command, test_axis=(("test.photons", "1e4 1e4", "1e4 1e5"),))
    sweep.run_sweep(command)
    plan = plan_sweep(command)
    write_report(plan, command, cells_of(plan))
    html = (command.out / "report.html").read_text()
    assert "Along test.photons" in html and "A range stands at its middle, in the logarithm" in html
    assert (command.out / "figures/along-test-photons.png").exists()


def test_no_figure_is_left_of_an_axis_that_is_there_no_more(command, made):
    for axes in ((("test.photons", "1e4 1e4", "1e4 1e5"),), command.test_axis):
        changed = replace(command, test_axis=axes)
        sweep.run_sweep(changed)
        plan = plan_sweep(changed)
        write_report(plan, changed, cells_of(plan))
    assert not list((command.out / "figures").glob("along-*"))


def test_an_axis_that_is_typed_beside_a_configuration_prevails(command, made):
    sweep.run_sweep(command)
    taken = ["--config", str(command.out / "config.json"), "--train.axis", "seed", "1", "2"]
    found = _parse("sweep", [*taken, "--test.axis", "test.photons", "1e4 1e4", "1e5 1e5"])
    assert sorted(found.train_axis) == [("seed", "1", "2"), ("simulation.geometry", "icosahedron", "torus")]
    assert found.test_axis == (*command.test_axis, ("test.photons", "1e4 1e4", "1e5 1e5"))
    with pytest.raises(InputError, match="seed is given twice"):
        plan_sweep(_parse("sweep", [*taken, "--train.axis", "seed", "3"]))


def test_a_report_of_nothing_is_one(command, made):
    command.out.mkdir()
    plan = plan_sweep(command)
    assert write_report(plan, command, cells_of(plan)) == ["4 trainings and 3 tests: 0 of 12 cells done, 12 missing."]


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


@pytest.mark.parametrize("late", ["training", "cell"])
def test_a_shared_folder_may_show_later_what_others_wrote(command, made, monkeypatch, late):
    """A crew whose files are hidden for a while from whoever looks at once."""
    hidden, looks = {}, Counter()

    def crew(work, queue):
        for task in queue:
            for done in alone(work, [task]):
                for path in tasks.records(command.out, task) if (late == "training") == ("training" in task) else ():
                    hidden[path] = path.rename(path.with_name("hidden" + path.name))
                yield done

    def sleep(seconds):
        looks[seconds] += 1
        for path in [*hidden] if seconds == tasks._LOOKS[1] else ():
            hidden.pop(path).rename(path)

    monkeypatch.setattr(tasks.time, "sleep", sleep)
    monkeypatch.setattr(sweep, "asked_crew", lambda command: crew)
    sweep.run_sweep(command)
    assert {row["state"] for row in rows(command)} == {"done"} and looks[tasks._LOOKS[1]] >= 3
    assert set(made.trained.values()) | set(made.scored.values()) == {1}


def test_what_others_wrote_elsewhere_is_not_waited_for_for_ever(command, made, monkeypatch):
    monkeypatch.setattr(tasks.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(sweep, "asked_crew", lambda command: lambda work, queue: queue)
    with pytest.raises(InputError, match=r"is not seen here 122 s later: give a folder that all share"):
        sweep.run_sweep(command)


def test_a_worker_that_never_sees_a_training_stops_the_sweep(command, made, monkeypatch):
    """That is no fault of the cell."""
    sweep.run_sweep(replace(command, only=("geometry=cube",)))
    monkeypatch.setattr(tasks.time, "sleep", lambda seconds: None)
    plan = plan_sweep(command)
    task = tasks.test_task(plan.tests[1], [plan.trainings[0].key])
    tasks.training_record(command.out, plan.trainings[0].key).unlink()
    with pytest.raises(InputError, match="is not seen here 122 s later"):
        tasks.do_task(tasks.common_text(command.out, False), task)
    assert not tasks.records(command.out, task)[0].exists()


def test_a_task_is_plain_and_keeps_its_configuration(command):
    plan = plan_sweep(command)
    task = json.loads(json.dumps(tasks.training_task(plan.trainings[0])))
    assert tasks.from_dict(task["config"], type(plan.trainings[0].config), "") == plan.trainings[0].config
    task = json.loads(json.dumps(tasks.test_task(plan.tests[0], ["a"])))
    assert tasks.from_dict(task["config"], type(plan.tests[0].config), "") == plan.tests[0].config
    assert len({one.key for one in (*plan.trainings, *plan.tests)}) == 7


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
    (
        {"train_axis": (("simulation.background.read.binning", "1", "2"),)},
        "training binning 1: --simulation.background.read.binning says nothing without --simulation.background.frames",
    ),
    ({"test_axis": (("test.readout.psf-tail-px", "1"),)}, "without --test.readout.psf-tails: give that too, or leave"),
    ({"test_file": ("real",)}, "write NAME=FILE"),
    ({"test_file": ("real=none.h5",)}, "none.h5"),
    ({"test_file": ("cube=none.h5",)}, "patterns are called cube in tables: choose another name"),
    ({"rate": 0.0}, "rate is 0.0"),
    ({"workers": 2, "slurm": True}, "both --workers and --slurm"),
    ({"train_axis": (("steps", "abc"),)}, "steps: 'abc' is no value"),
    ({"workers": -1}, "-1 workers were asked for"),
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
