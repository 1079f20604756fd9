import os
import re
from dataclasses import replace
from io import StringIO

import pytest
from made_up_sweeps import OPTIONS
from onehit.geometries import InputError
from onehit.workbench.cli import main
from onehit.workbench.commands import sweep
from onehit.workbench.options import Sweep
from onehit.workbench.sweep import watch as watching
from onehit.workbench.sweep.plan import plan_sweep
from onehit.workbench.sweep.watch import PLAN, read_plan, watch
from rich.console import Console


def seen(folder, **options):
    text = StringIO()
    watch(folder, Console(file=text, width=1000), **options)
    return text.getvalue()


def test_it_shows_what_is_done_and_failed_and_writes_nothing(command, made):
    def trouble(what, name, *more):
        if (what, name) == ("train", ("torus", 1)):
            raise MemoryError("no room")

    made.trouble = trouble
    sweep.run_sweep(replace(command, only=("geometry=cube", "geometry=torus")))
    before = {path: path.stat().st_mtime_ns for path in command.out.rglob("*")}
    said = seen(command.out)
    assert {path: path.stat().st_mtime_ns for path in command.out.rglob("*")} == before
    first, *others = said.splitlines()
    assert first.endswith("sweep: 4 of 4 trainings and 6 of 12 cells done, 3 failed, 3 missing")
    assert "failed: the training failed: MemoryError: no room" in others
    # The icosahedra of seed 0 lose the lower two thirds of 20 single hits, those of seed 1 one fewer or as many.
    assert others[-5:-3] == ["", "single hits lost at the frozen threshold, %"]
    table = [re.split(r"\s{2,}", line) for line in others[-3:]]
    assert table[0] == ["trained on", "cube", "sphere", "torus"]
    assert table[1][0] == "icosahedron" and table[1][2] == "–" and " ± " in table[1][1] and table[1][1] == table[1][3]
    assert table[2][0] == "torus" and table[2][3] == "0"


def test_it_goes_on_until_what_was_asked_for_is_done(command, made):
    sweep.run_sweep(replace(command, only=("seed=0",)))
    assert "minutes left" not in seen(command.out)
    pauses = []

    def go_on(seconds):
        pauses.append(seconds)
        sweep.run_sweep(command)

    read_plan(command.out)
    content = (command.out / PLAN).read_text()
    (command.out / PLAN).write_text(content.replace('"only": {"seed": ["0"]}', '"only": {}'))
    text = StringIO()
    watch(command.out, Console(file=text, width=1000, force_terminal=True), pause=go_on)
    assert len(pauses) == 1 and pauses[0] >= 5
    assert "6 of 12 cells done, 6 missing" in text.getvalue() and "12 of 12 cells done" in text.getvalue()


def test_the_time_left_is_told_by_the_speed_since_the_start(command, made):
    sweep.run_sweep(replace(command, only=("seed=0",)))
    content = (command.out / PLAN).read_text()
    (command.out / PLAN).write_text(content.replace('"only": {"seed": ["0"]}', '"only": {}'))
    start = 1e9
    for path in command.out.rglob("*"):
        os.utime(path, (start + 3600, start + 3600))
    os.utime(command.out / PLAN, (start, start))
    assert "about 60 minutes left" in seen(command.out)  # half of it took an hour
    os.utime(command.out / PLAN, (start + 7200, start + 7200))
    assert "minutes left" not in seen(command.out)  # nothing has been done since


def test_it_shows_how_far_trainings_are(command, made):
    plan = plan_sweep(command)
    (command.out / "trainings").mkdir(parents=True)
    sweep.write_plan(plan)
    for training, history in zip(plan.trainings, ("[]", '[{"step": 300, "loss": 1.0}]', None, None), strict=True):
        plan.run(training).mkdir()
        if training is not plan.trainings[3]:
            (plan.run(training) / "config.json").touch()
        if history:
            (plan.run(training) / "history.json").write_text(history)
    said = seen(command.out)
    assert "0 of 4 trainings and 0 of 12 cells done, 12 missing" in said
    assert "training icosahedron, seed 0: step 0 of 1,200, 0 min ago" in said
    assert "training icosahedron, seed 1: step 300 of 1,200, 0 min ago" in said
    assert "training torus, seed 0: step 0 of 1,200" in said and "torus, seed 1" not in said


def test_many_tests_are_shown_by_their_mean_and_worst_and_many_trainings_cut(command, made, monkeypatch):
    monkeypatch.setattr(watching, "_MOST_ROWS", 1)
    monkeypatch.setattr(watching, "_MOST_TESTS", 2)
    sweep.run_sweep(command)
    title, head, only = seen(command.out).splitlines()[-3:]
    assert title.strip() == "single hits lost at the frozen threshold, %: the 1 worst of 2"
    assert re.split(r"\s{2,}", head.strip()) == ["trained on", "mean", "worst"]
    assert only.split()[0] == "icosahedron" and only.split()[-1] in ("cube", "sphere", "torus")


def test_what_is_no_sweep_and_what_is_beside_it_is_refused(tmp_path, capsys):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="holds no sweep that was begun"):
            watch(folder)
    (tmp_path / PLAN).write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        watch(tmp_path)
    with pytest.raises(InputError, match="leave all other options out"):
        sweep.run_sweep(Sweep(watch=tmp_path, retry=True))
    assert main(["sweep", "--watch", str(tmp_path / "none"), *OPTIONS]) == 2
    assert "leave all other options out" in capsys.readouterr().err
