"""There is no SLURM to test with: a script stands in for its commands, which runs the jobs on this machine."""

import os
import signal
import sys
import time
from itertools import count

import dask
import pytest
from distributed import Security
from onehit.geometries import InputError
from onehit.simulate.sets import slurm
from onehit.simulate.sets.shards import by, missing, write_set
from onehit.simulate.sets.slurm import SlurmConfig, job_script, on_slurm
from small_sets import compile_once, differences, small_plan

STAND_IN = f"""#!{sys.executable}
import os, signal, subprocess, sys
from pathlib import Path

import psutil

here, name, arguments = Path(__file__).resolve().parent, Path(sys.argv[0]).name, sys.argv[1:]
jobs = {{path.name.removeprefix("job."): int(path.read_text()) for path in here.glob("job.*")}}
with (here / name).with_suffix(".calls").open("a") as calls:
    print(*arguments, file=calls)
if name == "sbatch":
    job = str(101 + len(jobs))
    script = here / f"script.{{job}}"
    script.write_text(sys.stdin.read())
    output = next(a.partition("=")[2] for a in arguments if a.startswith("--output=")).replace("%j", job)
    with open(output, "w") as log:
        environment = {{**os.environ, "SLURM_JOB_ID": job}}
        process = subprocess.Popen(
            ["bash", script], stdout=log, stderr=log, env=environment, start_new_session=True
        )
    (here / f"job.{{job}}").write_text(str(process.pid))
    print(f"{{job}};here")
elif name == "squeue":
    alive = {{process.pid for process in psutil.process_iter() if process.status() != "zombie"}}
    print(*(job for job, pid in jobs.items() if pid in alive), sep="\\n")
else:
    for job in arguments:
        os.killpg(jobs[job], signal.SIGKILL)
"""


@pytest.fixture
def queue(tmp_path_factory, monkeypatch):
    """The folder of what stands in for SLURM: job.101 holds the process id of the first job, and so on."""
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("sbatch", "squeue", "scancel"):
        (folder / name).write_text(STAND_IN)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(slurm, "_SECONDS_BETWEEN_QUERIES", 0.5)
    return folder


@pytest.fixture
def plan(tmp_path_factory):
    """Of a set whose folder is there."""
    plan = small_plan(tmp_path_factory.mktemp("set"))
    plan.folder.mkdir()
    return plan


def directives(config):
    script = job_script(config, "tls://10.0.0.1:8786", Security())
    return script, [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")]


def test_a_set_is_completed_though_its_job_reaches_the_wall_time(queue, tmp_path, monkeypatch):
    expected = small_plan(tmp_path / "one")
    write_set(expected)
    plan = small_plan(tmp_path / "many")

    def end_the_first_job(written, total):
        for done, entries in zip(count(1), written, strict=False):
            if done == 4:
                time.sleep(2)  # for other shards to be done, whose entries die with the job
                os.killpg(int((queue / "job.101").read_text()), signal.SIGKILL)
            yield entries

    compile_once(monkeypatch)
    write_set(plan, by(on_slurm(SlurmConfig(jobs=1, workers=2, cores=2))), track=end_the_first_job)

    assert missing(plan) == []
    assert not differences(plan, expected)
    assert len((queue / "sbatch.calls").read_text().splitlines()) == 2
    assert (queue / "scancel.calls").read_text() == "102\n"
    assert not list(plan.folder.glob(".keys-*"))
    assert (plan.folder / "slurm-101.log").exists()


def test_a_job_that_ends_before_its_workers_answer_stops_the_run(queue, plan):
    broken = SlurmConfig(jobs=1, prologue=("echo no module python; exit 1",))
    with pytest.raises(InputError, match=r"job 101 ended before its workers answered: see .*slurm-101\.log"):
        list(by(on_slurm(broken))(plan, [0]))
    assert (plan.folder / "slurm-101.log").read_text() == "no module python\n"


def test_what_slurm_says_of_a_job_that_it_refuses_is_passed_on(queue, plan):
    (queue / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: invalid partition: upex' >&2; exit 1\n")
    with pytest.raises(InputError, match=r"^SLURM takes no job: sbatch: error: invalid partition: upex$"):
        list(by(on_slurm(SlurmConfig()))(plan, [0]))


def test_a_machine_without_slurm_is_named(plan, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="there is no sbatch here: run this where SLURM takes jobs"):
        list(by(on_slurm(SlurmConfig()))(plan, [0]))


def test_jobs_wait_as_long_as_the_queue_does_not_answer(queue, monkeypatch):
    (queue / "squeue").write_text("#!/bin/sh\nexit 1\n")
    assert slurm._in_queue({"101"}) == {"101"}


def test_a_job_asks_for_what_is_configured():
    config = SlurmConfig(
        workers=4,
        cores=16,
        memory="32GB",
        walltime="02:00:00",
        queue="psana",
        account="lcls:xpp",
        interface="lo",
        directives=("--constraint=epyc",),
        prologue=("module load python",),
    )
    script, asked = directives(config)
    assert asked == [
        "-J onehit",
        "-p psana",
        "-A lcls:xpp",
        "-n 1",
        "--cpus-per-task=16",
        "--mem=30G",
        "-t 02:00:00",
        "--constraint=epyc",
    ]
    *_, load, threads, _, _, mmap, trim, start = script.strip().splitlines()
    assert load == "module load python"
    assert threads == "export NPROC=4"
    assert (mmap, trim) == ("export MALLOC_MMAP_THRESHOLD_=33554432", "export MALLOC_TRIM_THRESHOLD_=67108864")
    assert start.startswith(f"{sys.executable} -m distributed.cli.dask_worker tls://10.0.0.1:8786 --name $SLURM_JOB_ID")
    assert "--nthreads 1 " in start and "--nworkers 4 " in start and "--interface lo" in start


def test_the_configuration_of_the_site_says_what_is_not_given():
    with dask.config.set({"jobqueue.slurm.queue": "upex", "jobqueue.slurm.job-extra-directives": ["--reservation=x"]}):
        _, asked = directives(SlurmConfig())
    assert "-p upex" in asked and "--reservation=x" in asked


@pytest.mark.parametrize(
    "config, message",
    [
        (SlurmConfig(jobs=0), r"slurm\.jobs is 0; it must be 1 or more"),
        (SlurmConfig(workers=0), r"slurm\.workers is 0"),
        (SlurmConfig(cores=-1), r"slurm\.cores is -1"),
    ],
)
def test_impossible_numbers_are_refused(config, message):
    with pytest.raises(InputError, match=message):
        on_slurm(config)


def test_a_memory_that_is_none_is_refused():
    with pytest.raises(InputError, match=r"slurm: .*'much'"):
        directives(SlurmConfig(memory="much"))
