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
from pathlib import Path

import made_up_sweeps
import psutil
import pytest
from distributed import Client, LocalCluster
from made_up_sweeps import OPTIONS, lasting, rows
from onehit.simulate.sets.cluster import NO_DASHBOARD, do_tasks
from onehit.workbench.commands import sweep
from onehit.workbench.sweep.plan import plan_sweep
from onehit.workbench.sweep.report import write_report
from onehit.workbench.sweep.results import cells_of


def test_dasks_workers_do_a_sweep_as_one_process_does(command, made, monkeypatch):
    alone = replace(command, out=command.out.with_name("alone"))
    sweep.run_sweep(alone)
    made.trained.clear(), made.scored.clear()
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", scheduler_kwargs=NO_DASHBOARD
        ) as cluster,
        Client(cluster) as client,
    ):
        monkeypatch.setattr(sweep, "asked_crew", lambda command: lambda work, tasks: do_tasks(client, work, tasks))
        sweep.run_sweep(command)
    assert set(made.trained.values()) | set(made.scored.values()) == {1} and len(made.scored) == 12
    assert lasting(command) == lasting(alone)


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
