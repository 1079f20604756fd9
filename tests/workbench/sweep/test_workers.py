"""Sweeps on dask's workers, and what kills leave of them."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import made_up_sweeps
import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster
from job_arrays import submitted, words
from made_up_sweeps import OPTIONS, lasting, rows
from onehit.simulate.sets.cluster import NO_DASHBOARD, do_tasks
from onehit.workbench.cli import main
from onehit.workbench.commands import sweep
from onehit.workbench.options import Sweep
from onehit.workbench.sweep import run
from onehit.workbench.sweep.plan import plan_sweep
from onehit.workbench.sweep.report import write_report
from onehit.workbench.sweep.results import cells_of


@pytest.fixture
def on_dask(monkeypatch):
    """Sweeps are done by the worker of a local cluster, in this process, where there is what the test has changed."""
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", scheduler_kwargs=NO_DASHBOARD
        ) as cluster,
        Client(cluster) as client,
    ):
        crew = partial(do_tasks, client)
        monkeypatch.setattr(sweep, "asked_crew", lambda command: crew if command.workers else None)
        yield


def test_dasks_workers_do_a_sweep_as_one_process_does(command, made, on_dask):
    alone = replace(command, out=command.out.with_name("alone"))
    sweep.run_sweep(alone)
    made.trained.clear(), made.scored.clear()
    sweep.run_sweep(replace(command, workers=1))
    assert set(made.trained.values()) | set(made.scored.values()) == {1} and len(made.scored) == 12
    assert lasting(command) == lasting(alone)


def test_dask_and_a_job_array_train_and_score_alike(tmp_path, on_dask, monkeypatch, capsys):
    """For once nothing is made up. Frames of a file need no simulation, which takes long to compile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep, "write_report", lambda plan, command, cells: [])  # seconds of drawing
    with h5py.File("real.h5", "w") as file:
        file["counts"] = np.random.default_rng(0).poisson(1.0, (60, 32, 32)).astype(np.int32)
        file["label"], file["bad_pixel"] = np.arange(60) % 2, np.zeros((32, 32), bool)
    command = "sweep --data real.h5 --test.file real=real.h5 --geometry --network.size 32 --network.n 1 --network.m 1"
    command += " --network.views log --network.unsure 0 --steps 2 --batch-size 8 --confidence 0 --train.axis seed 0 1"
    assert main([*command.split(), "--out", "dask", "--workers", "1"]) == 0
    capsys.readouterr()
    assert main([*command.split(), "--out", "array", "--sbatch", "2"]) == 0
    array, last = submitted(capsys.readouterr().out, tmp_path, monkeypatch)
    for job in (words(array, "0"), words(array, "1"), words(last)):
        assert main(job) == 0
    by_dask, by_array = (lasting(Sweep(out=Path(name))) for name in ("dask", "array"))
    assert len(by_dask) == 2 and {row["state"] for row in by_dask} == {"done"}
    assert by_dask == by_array and by_dask[0]["auc"] != by_dask[1]["auc"]


def test_a_training_that_loses_its_worker_goes_on_and_one_that_kills_all_fails_alone(command, monkeypatch):
    """The third one waits at the worker meanwhile, which dask counts as if it had killed it too."""
    monkeypatch.setattr(sweep, "write_report", lambda plan, command, cells: [])
    monkeypatch.setattr(run, "DO_TASK", "made_up_sweeps:do_deadly_task")
    path = os.pathsep.join([str(Path(made_up_sweeps.__file__).parent), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    axes = (("simulation.geometry", "torus"), ("seed", "0", "1", "2"))
    command = replace(command, train_axis=axes, test_axis=(("geometry", "cube"),), workers=1)
    assert sweep.run_sweep(command) == 1
    states = {row["seed"]: (row["state"], row["reason"]) for row in rows(command)}
    reason = "the training failed: its process was killed 3 times: give it more memory, or more time"
    assert states == {"0": ("failed", reason), "1": ("done", ""), "2": ("done", "")}
    assert (command.out / "killed").exists()


def start(folder, *options):
    """A process of its own, in a session of its own, and with workers of its own."""
    path = os.pathsep.join([str(Path(made_up_sweeps.__file__).parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "made_up_sweeps", "--out", str(folder), *options],
        env=os.environ | {"PYTHONPATH": path},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def workers(driver):
    found = []
    for child in psutil.Process(driver.pid).children():
        with suppress(psutil.Error):  # it has just died
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def records(folder):
    return sum(1 for place in ("trainings", "cells") for _ in (folder / place).rglob("*.json"))


@pytest.mark.slow
def test_twenty_kills_change_nothing(command, made, tmp_path):
    """Of workers, of the process that hands out the work, and of all at once, at random moments."""
    seeds = ("seed", *map(str, range(30)))
    command = replace(command, train_axis=(command.train_axis[0], seeds))
    undisturbed = replace(command, out=tmp_path / "undisturbed")
    sweep.run_sweep(undisturbed)

    options = [*OPTIONS[:5], *seeds, *OPTIONS[8:], "--workers", "2"]
    rng = random.Random(0)
    killed = {"worker": 0, "driver": 0, "both": 0}
    driver = start(command.out, *options)
    try:
        for number in range(20):
            due = records(command.out) + rng.randint(1, 3)
            while records(command.out) < due:
                assert driver.poll() is None, driver.stderr and driver.stderr.read().decode()
                time.sleep(0.02)
            time.sleep(rng.random() / 2)
            what = ("worker", "driver", "both")[number % 3]
            if what == "worker" and not (found := workers(driver)):
                what = "driver"  # the last one that was killed is not back yet
            if what == "worker":
                rng.choice(found).kill()
            elif what == "driver":
                driver.kill()
            else:
                os.killpg(driver.pid, signal.SIGKILL)
            killed[what] += 1
            if what != "worker":
                driver.wait()
                driver.stderr.close()
                driver = start(command.out, *options)
        _, said = driver.communicate(timeout=600)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
    assert driver.returncode == 0, said.decode()
    assert min(killed.values()) >= 5
    assert lasting(command) == lasting(undisturbed)


@pytest.mark.slow
def test_a_thousand_cells_make_a_report_in_a_gigabyte(command, made):
    seeds = ("seed", *map(str, range(10)))
    photons = ("test.photons", *(f"{n}e4 1e6" for n in range(1, 6)))
    shapes = ("simulation.geometry", "icosahedron", "torus", "cube", "sphere", "rod")
    tests = ("geometry", "torus", "cube", "sphere", "rod")
    command = replace(command, train_axis=(shapes, seeds), test_axis=(tests, photons))
    command = replace(command, baseline=("simulation.geometry=icosahedron",))
    command = replace(command, evaluate=replace(command.evaluate, count=2000))
    sweep.run_sweep(command)
    assert len(rows(command)) == 1000
    plan = plan_sweep(command)
    start = time.monotonic()
    write_report(plan, command, cells_of(plan))
    print(f"{time.monotonic() - start:.1f} s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2**20  # KiB, of the whole process
    html = (command.out / "report.html").read_text()
    assert "Worst cells" in html and "50 trainings and 20 tests: 1,000 of 1,000 cells done" in html
