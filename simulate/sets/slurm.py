"""Tasks done by worker processes in SLURM's queue. Needs the extra `cluster`, and sbatch, squeue, scancel."""

import logging
import os
import shlex
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...geometries.errors import InputError
from .cluster import MEMORY_KEPT, NO_DASHBOARD, do_tasks, import_distributed, worker_environment
from .work import Crew, Done, Work

_SECONDS_BETWEEN_QUERIES = 30  # SLURM's controller serves many


@dataclass(frozen=True)
class SlurmConfig:
    """Jobs of worker processes. What is None here, dask-jobqueue's configuration of the site may say."""

    jobs: int = 4
    """Jobs to keep in the queue: one that reaches its wall time is followed by another until the work is done."""
    workers: int = 8
    """Worker processes of a job; 1 where a job has one GPU."""
    cores: int = 8
    """CPU cores of a job, shared by its workers."""
    memory: str = "16GB"
    """Memory of a job."""
    walltime: str = "01:00:00"
    """Longest run of a job, as sbatch takes it."""
    queue: str | None = None
    """Partition to submit the jobs to."""
    account: str | None = None
    """Account that is charged."""
    interface: str | None = None
    """Network interface by which this machine and the nodes reach each other, such as ib0."""
    directives: tuple[str, ...] = ()
    """Further options of sbatch, such as --constraint=... or --gres=gpu:1."""
    prologue: tuple[str, ...] = ()
    """Shell commands before the workers start, such as module load ..."""


def on_slurm(config: SlurmConfig) -> Crew:
    """A crew of workers in SLURM jobs; their scheduler runs here. The jobs are cancelled when the work is done.

    The nodes must see the output folder, where the jobs leave their logs (slurm-JOB.log), and this Python environment.
    Raises InputError for impossible numbers, where dask is missing, where SLURM takes no job, and for a job that ends
    before its workers answer.
    """
    for name in ("jobs", "workers", "cores"):
        if getattr(config, name) < 1:
            raise InputError(f"slurm.{name} is {getattr(config, name)}; it must be 1 or more")
    distributed = import_distributed()

    def crew(work: Work, tasks: Iterable[Any]) -> Done:
        with (
            distributed.LocalCluster(
                n_workers=0,
                host=None if config.interface else "0.0.0.0",
                interface=config.interface,
                scheduler_kwargs=NO_DASHBOARD,
                security=True,  # other users of the cluster could have the workers run anything
                silence_logs=logging.CRITICAL,
            ) as cluster,
            distributed.Client(cluster) as client,
            TemporaryDirectory(prefix=".keys-", dir=work.folder) as keys,
        ):
            script = job_script(config, cluster.scheduler_address, _written(cluster.security, Path(keys)))
            jobs = _Jobs(script, config.jobs, work.folder, cluster)
            try:
                yield from do_tasks(client, work, tasks, jobs.look_after)
            finally:
                jobs.cancel()

    return crew


def job_script(config: SlurmConfig, scheduler: str, security: Any) -> str:
    """What sbatch is given to start a job's workers. Raises InputError for values that dask-jobqueue cannot take.

    scheduler: its address; security: names the files of certificate and key.
    """
    from dask_jobqueue.slurm import SLURMJob

    environment = worker_environment(config.cores // config.workers) | MEMORY_KEPT
    try:
        job = SLURMJob(
            scheduler,
            name="$SLURM_JOB_ID",
            job_name="onehit",
            cores=config.workers,  # dask's threads: one for each process
            processes=config.workers,
            job_cpu=config.cores,
            memory=config.memory,
            walltime=config.walltime,
            queue=config.queue,
            account=config.account,
            interface=config.interface,
            protocol="tls",
            security=security,
            job_extra_directives=list(config.directives) or None,
            job_script_prologue=[*config.prologue, *(f"export {name}={value}" for name, value in environment.items())],
            worker_extra_args=["--memory-limit", "0", "--no-dashboard"],  # SLURM sees to the memory
        )
    except ValueError as error:
        raise InputError(f"slurm: {error}") from None
    return job.job_script()


def _written(security: Any, folder: Path) -> Any:
    """The worker's part of it, in files."""
    names = {}
    for name, text in security.get_tls_config_for_role("worker").items():
        if text is not None and "\n" in text:
            path = folder / name
            path.write_text(text)
            names["tls_ca_file" if name == "ca_file" else f"tls_worker_{name}"] = shlex.quote(str(path))
    return type(security)(require_encryption=True, **names)


class _Jobs:
    """As many jobs in the queue as asked for, as often as they are looked after."""

    def __init__(self, script: str, count: int, logs: Path, cluster: Any):
        self.script, self.count, self.logs, self.cluster = script, count, logs, cluster
        self.queued: set[str] = set()
        self.answered: set[str] = set()
        self.next_query = 0.0

    def look_after(self) -> None:
        workers = self.cluster.scheduler_info["workers"].values()
        self.answered.update(str(worker["name"]).partition("-")[0] for worker in workers)
        if time.monotonic() < self.next_query:
            return
        ended = self.queued - _in_queue(self.queued)
        for job in sorted(ended - self.answered):
            raise InputError(f"SLURM job {job} ended before its workers answered: see {self.logs}/slurm-{job}.log")
        self.queued -= ended
        while len(self.queued) < self.count:
            self.queued.add(_submit(self.script, self.logs))
        self.next_query = time.monotonic() + _SECONDS_BETWEEN_QUERIES

    def cancel(self) -> None:
        if self.queued:
            _run("scancel", *self.queued)


def _submit(script: str, logs: Path) -> str:
    submitted = _run("sbatch", "--parsable", f"--output={logs}/slurm-%j.log", given=script)
    if submitted.returncode:
        raise InputError(f"SLURM takes no job: {' '.join(submitted.stderr.split())}")
    return submitted.stdout.strip().partition(";")[0]


def _in_queue(jobs: set[str]) -> set[str]:
    """Which of these jobs wait or run; all of them where SLURM does not say."""
    listed = _run("squeue", "--noheader", f"--user={os.getuid()}", "--format=%A") if jobs else None
    return jobs if listed is None or listed.returncode else jobs & set(listed.stdout.split())


def _run(*command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, input=given, capture_output=True, text=True)
    except FileNotFoundError:
        raise InputError(f"there is no {command[0]} here: run this where SLURM takes jobs") from None
