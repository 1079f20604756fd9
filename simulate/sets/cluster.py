"""Shards made by worker processes: on this machine, or wherever a dask scheduler has some.

A shard depends on the plan and its number alone, so it does not matter which worker makes it, how often, or when: a
worker that is killed costs time, and what it had begun is begun again elsewhere. Needs the extra `cluster`.
"""

import json
import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from functools import lru_cache
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ...geometries.errors import InputError
from ..cache import use_cache
from ..config_io import versions
from ..interrupt import interruptible

if TYPE_CHECKING:  # imports JAX
    from ..formats.manifest import Entry
    from .plan import Plan
    from .shards import Engine, Written

_SHARDS_A_WORKER = 2  # in flight, so that a worker need not wait for its next
_FEWEST_SHARDS = 32  # in flight, for the workers that join before the first is done
_MOST_TRIES = 8  # a try is over when dask gives a shard up, after four dead workers unless configured otherwise
_SECONDS_BETWEEN_LOOKS = 1
_GONE_AFTER = "5 minutes"  # what was killed is back before, even where starting is slow
_KEPT = "what is done is kept, --resume goes on"

_IGNORE_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"  # a terminal sends it to workers too
NO_DASHBOARD = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}  # without an address dask wants port 8787


def local_workers(count: int) -> "Engine":
    """An engine of so many processes on this machine, which share its cores.

    Raises InputError for less than one, and where dask is missing.
    """
    if count < 1:
        raise InputError(f"{count} workers were asked for; ask for 1 or more")
    distributed = import_distributed()

    def engine(plan: "Plan", numbers: Iterable[int]) -> "Written":
        import dask.config
        from dask.system import CPU_COUNT

        with (
            dask.config.set({"distributed.deploy.lost-worker-timeout": _GONE_AFTER}),
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
            yield from make_shards(client, plan, numbers, lambda: cluster.scale(count))

    return engine


def on_scheduler(address: str) -> "Engine":
    """An engine of the workers of a running dask scheduler, such as tcp://host:8786; each should have one thread.

    They need the same versions of onehit and its libraries, and the same file system. Raises InputError where nothing
    answers, and where dask is missing.
    """
    distributed = import_distributed()

    def engine(plan: "Plan", numbers: Iterable[int]) -> "Written":
        try:
            client = distributed.Client(address)
        except (OSError, ValueError) as error:
            raise InputError(
                f"no dask scheduler answers at {address} ({error}): start `dask scheduler`, and where the shards shall "
                "be made `dask worker --nthreads 1 ADDRESS`"
            ) from None
        with client:
            yield from make_shards(client, plan, numbers)

    return engine


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


def make_shards(
    client: Any, plan: "Plan", numbers: Iterable[int], look_after: Callable[[], None] = lambda: None
) -> "Written":
    """The manifest's entries of each of these shards, once each, as the workers get them done.

    client: of dask; look_after: called every second while there is work, to look after the workers. Raises InputError
    where the scheduler is lost, where workers cannot do the work (other versions, no such folder), and where a shard
    kills one worker after the other; KeyboardInterrupt after Ctrl-C. What a shard itself raises is passed on.
    """
    distributed = import_distributed()
    from .plan import packed

    work = packed(plan)
    expected = versions()
    left = iter(numbers)
    tries = Counter[int]()
    in_flight: dict[Any, int] = {}

    def submit(number: int) -> None:
        tries[number] += 1
        key = f"shard-{number}-{uuid4().hex}"  # a new one for each try: dask remembers what it gave up
        in_flight[client.submit(_make, expected, work, number, key=key)] = number

    with interruptible() as interrupted:
        while True:
            for number in islice(left, max(0, _room(client) - len(in_flight))):
                submit(number)
            if not in_flight:
                return
            look_after()
            for future in _first_done(list(in_flight)):
                number = in_flight.pop(future)
                try:
                    entries = _result(future)
                except distributed.KilledWorker as error:
                    if tries[number] == _MOST_TRIES:
                        raise InputError(
                            f"shard {number} was given up: one worker after the other died of it, the last at "
                            f"{error.last_worker.address}: give workers more memory, or shards fewer patterns; {_KEPT}"
                        ) from None
                    submit(number)
                    continue
                if entries is None:
                    in_flight[future] = number
                else:
                    yield entries
            if interrupted:
                raise KeyboardInterrupt(_KEPT)


def _room(client: Any) -> int:
    """How many shards may be in flight."""
    try:
        return max(_FEWEST_SHARDS, _SHARDS_A_WORKER * len(client.nthreads()))
    except OSError as error:
        raise _lost(error) from None


def _first_done(in_flight: list[Any]) -> Iterable[Any]:
    """Those that are done, as soon as one is; none after a while."""
    distributed = import_distributed()
    try:
        return distributed.wait(in_flight, _SECONDS_BETWEEN_LOOKS, "FIRST_COMPLETED").done
    except TimeoutError:
        return ()
    except CancelledError as error:
        raise _lost(error) from None


def _result(future: Any) -> list["Entry"] | None:
    """The entries of a shard; None where a worker has died with them, after which dask has them made again."""
    try:
        return future.result(_SECONDS_BETWEEN_LOOKS)
    except ImportError as error:
        here = _listed(versions())
        raise InputError(f"a worker lacks something ({error}): install there what is here, {here}") from None
    except (CancelledError, OSError) as error:
        if future.status == "error":  # the shard's own, such as a full disk
            raise
        if isinstance(error, TimeoutError):
            return None
        raise _lost(error) from None


def _lost(error: BaseException) -> InputError:
    return InputError(f"the dask scheduler was lost ({_line(error)}): {_KEPT}")


def _make(expected: dict[str, str], work: str, number: int) -> list["Entry"]:
    """On a worker: make a shard."""
    here = socket.gethostname()
    if versions() != expected:
        raise InputError(
            f"the worker on {here} has {_listed(versions())}, but the set is made with {_listed(expected)}: "
            "install the same there, or patterns would differ"
        )
    folder = json.loads(work)["folder"]
    if not Path(folder).is_dir():
        raise InputError(f"the worker on {here} does not see {folder}: write to a file system that all share")

    use_cache()  # before JAX is imported
    from .shards import write_shard

    return write_shard(_unpacked(work), number)


@lru_cache(maxsize=1)
def _unpacked(work: str) -> "Plan":
    from .plan import unpacked

    return unpacked(work)


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
