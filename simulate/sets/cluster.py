"""Tasks done by worker processes: on this machine, or wherever a dask scheduler has some.

What a task gives depends on the work and the task alone, so it does not matter which worker does it, how often, or
when: a worker that is killed costs time, and what it had begun is begun again elsewhere. Needs the extra `cluster`.
"""

import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from ...geometries.errors import InputError
from ..cache import use_cache
from ..config_io import versions
from ..interrupt import interruptible
from .work import Crew, Done, Work, task_function

_TASKS_A_WORKER = 2  # in flight, so that a worker need not wait for its next
_FEWEST_TASKS = 32  # in flight, for the workers that join before the first is done
# Dask gives a task up after four dead workers, unless configured otherwise; also one that only waited at them.
_TRIES = 8
_SECONDS_BETWEEN_LOOKS = 1
_GONE_AFTER = "5 minutes"  # what was killed is back before, even where starting is slow

_IGNORE_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"  # a terminal sends it to workers too
# What glibc's allocator arrives at by itself, set before a worker starts. Dask would have it give back every 64 kB at
# once, and each step of a training wait for the same memory again.
MEMORY_KEPT = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**26)}
NO_DASHBOARD = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}  # without an address dask wants port 8787


def local_workers(count: int) -> Crew:
    """A crew of so many processes on this machine, which share its cores.

    Raises InputError for less than one, and where dask is missing.
    """
    if count < 1:
        raise InputError(f"{count} workers were asked for; ask for 1 or more")
    distributed = import_distributed()

    def crew(work: Work, tasks: Iterable[Any]) -> Done:
        import dask.config
        from dask.system import CPU_COUNT

        with (
            dask.config.set(
                {
                    "distributed.deploy.lost-worker-timeout": _GONE_AFTER,
                    "distributed.nanny.pre-spawn-environ": MEMORY_KEPT,
                }
            ),
            distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                memory_limit=0,  # dask would pause a worker for good where JAX keeps much memory
                scheduler_kwargs=NO_DASHBOARD,
                security=True,  # other users of this machine could have the workers run anything
                silence_logs=logging.CRITICAL,  # of workers that are stopped or die
                env=worker_environment(CPU_COUNT // count),
                preload=[_IGNORE_CTRL_C],
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            # Replaces workers that are gone for good.
            yield from do_tasks(client, work, tasks, lambda: cluster.scale(count))

    return crew


def on_scheduler(address: str) -> Crew:
    """A crew of the workers of a running dask scheduler, such as tcp://host:8786; each should have one thread.

    They need the same versions of onehit and its libraries, and the same file system. Raises InputError where nothing
    answers, and where dask is missing.
    """
    distributed = import_distributed()

    def crew(work: Work, tasks: Iterable[Any]) -> Done:
        try:
            client = distributed.Client(address)
        except (OSError, ValueError) as error:
            raise InputError(
                f"no dask scheduler answers at {address} ({error}): start `dask scheduler`, and where the work shall "
                "be done `dask worker --nthreads 1 ADDRESS`"
            ) from None
        with client:
            yield from do_tasks(client, work, tasks)

    return crew


def import_distributed() -> Any:  # its own types would make everything a coroutine, perhaps
    """The module dask.distributed. Raises InputError where it, or what else the extra has, is missing."""
    try:
        return [import_module(name) for name in ("cryptography", "dask_jobqueue", "distributed")][-1]
    except ImportError as error:
        raise InputError(f'workers need dask ({error}): pip install "onehit[cluster]"') from None


def worker_environment(cores: int) -> dict[str, str]:
    """Environment variables of a worker process that has so many cores to itself."""
    threads = str(max(1, cores))
    return {
        "NPROC": threads,  # XLA's pool
        "OMP_NUM_THREADS": threads,
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # or the first worker on a GPU takes most of its memory
    }


def do_tasks(client: Any, work: Work, tasks: Iterable[Any], look_after: Callable[[], None] = lambda: None) -> Done:
    """What each of these tasks gives, as the workers get them done.

    client: of dask; tasks: may grow while what others gave is taken; look_after: called every second while there is
    work, to look after the workers. Raises InputError where the scheduler is lost, where workers cannot do the work
    (other versions, no such folder), and where a task kills one worker after the other, unless `work.given_up` takes
    that; KeyboardInterrupt after Ctrl-C. What a task itself raises is passed on.
    """
    distributed = import_distributed()
    expected = versions()
    left = iter(tasks)
    tries = Counter[int]()
    in_flight: dict[Any, tuple[int, Any]] = {}
    count = 0

    def submit(number: int, task: Any) -> None:
        tries[number] += 1
        key = f"{work.what}-{number}-{uuid4().hex}"  # a new one for each try: dask remembers what it gave up
        in_flight[client.submit(_do, expected, tuple(work[:3]), task, key=key)] = number, task

    with interruptible() as interrupted:
        while True:
            for task in islice(left, max(0, _room(client, work) - len(in_flight))):
                submit(count := count + 1, task)
            if not in_flight:
                return
            look_after()
            for future in _first_done(list(in_flight), work):
                number, task = in_flight.pop(future)
                try:
                    found = _result(future, work)
                except distributed.KilledWorker as error:
                    if tries[number] < _TRIES:
                        submit(number, task)
                        continue
                    last = f"one worker after the other died of it, the last at {error.last_worker.address}"
                    if work.given_up is None:
                        raise InputError(
                            f"{work.what} {task} was given up: {last}: {work.remedy}; {work.kept}"
                        ) from None
                    yield work.given_up(task, f"{last}: {work.remedy}")
                    continue
                if found is None:
                    in_flight[future] = number, task
                else:
                    yield found
            if interrupted:
                raise KeyboardInterrupt(work.kept)


def _room(client: Any, work: Work) -> int:
    """How many tasks may be in flight."""
    try:
        return max(_FEWEST_TASKS, _TASKS_A_WORKER * len(client.nthreads()))
    except OSError as error:
        raise _lost(error, work) from None


def _first_done(in_flight: list[Any], work: Work) -> Iterable[Any]:
    """Those that are done, as soon as one is; none after a while."""
    distributed = import_distributed()
    try:
        return distributed.wait(in_flight, _SECONDS_BETWEEN_LOOKS, "FIRST_COMPLETED").done
    except TimeoutError:
        return ()
    except CancelledError as error:
        raise _lost(error, work) from None


def _result(future: Any, work: Work) -> Any:
    """What a task gave; None where a worker has died with it, after which dask has it made again."""
    try:
        return future.result(_SECONDS_BETWEEN_LOOKS)
    except ImportError as error:
        here = _listed(versions())
        raise InputError(f"a worker lacks something ({error}): install there what is here, {here}") from None
    except (CancelledError, OSError) as error:
        if future.status == "error":  # the task's own, such as a full disk
            raise
        if isinstance(error, TimeoutError):
            return None
        raise _lost(error, work) from None


def _lost(error: BaseException, work: Work) -> InputError:
    return InputError(f"the dask scheduler was lost ({_line(error)}): {work.kept}")


def _do(expected: dict[str, str], work: tuple[str, str, Path], task: Any) -> Any:
    """On a worker: do a task."""
    function, text, folder = work
    here = socket.gethostname()
    if versions() != expected:
        raise InputError(
            f"the worker on {here} has {_listed(versions())}, but this is made with {_listed(expected)}: "
            "install the same there, or results would differ"
        )
    if not folder.is_dir():
        raise InputError(f"the worker on {here} does not see {folder}: write to a file system that all share")
    use_cache()  # before JAX is imported
    return task_function(function)(text, task)


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
