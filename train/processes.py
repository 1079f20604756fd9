"""One training by several processes, of one machine or of many: each makes its part of every batch, all hold the
whole network, and the first one writes.

Without `join` there is one process, and the functions here do what `simulate.devices` does.
"""

from functools import lru_cache
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Integer

from ..geometries.errors import InputError
from ..simulate import devices

T = TypeVar("T")


def join() -> None:
    """Make this process one of its job's, which SLURM or Open MPI has started: to be called before JAX computes.

    Where neither did, JAX's own variables say it (JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, JAX_PROCESS_ID). Raises
    InputError where nothing says it, or where the other processes do not come.
    """
    try:
        jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the other processes of this training cannot be joined ({reason}): start all at once, as with "
            "`srun --ntasks 4 onehit train RUN --distributed`"
        ) from None


def number() -> int:
    """How many processes share the training."""
    return jax.process_count()


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def check_batch(batch_size: int) -> None:
    """Raise InputError where processes cannot share a batch evenly."""
    if number() > 1 and batch_size % _mesh().size:
        raise InputError(
            f"a batch of {batch_size} cannot be shared evenly by the {_mesh().size} devices of {number()} processes: "
            "give a --batch-size that is a multiple"
        )


def part(indices: Integer[np.ndarray, " batch"]) -> Integer[np.ndarray, " part"]:
    """Those that are this process's to make; the first ones again where they cannot be shared evenly."""
    each = -(-len(indices) // number())
    return np.resize(indices, number() * each)[jax.process_index() * each :][:each]


def spread(parts: T) -> T:
    """Arrays (B, ...) whose parts each process has, over all devices of all."""
    if number() == 1:
        return devices.spread(parts)
    return _placed(parts, PartitionSpec(devices.AXIS))


def everywhere(arrays: T) -> T:
    """Arrays that all processes have alike, whole on every device of all."""
    return devices.everywhere(arrays) if number() == 1 else _placed(arrays, PartitionSpec())


def here(arrays: T) -> T:
    """Arrays that are whole everywhere, as this process's own."""
    return arrays if number() == 1 else jax.tree.map(np.asarray, arrays)


def gathered(parts: T, count: int) -> T:
    """The arrays (B, ...) whose `part`s the processes have, B = count, put together for each."""
    if number() == 1:
        return parts
    return jax.tree.map(lambda a: np.asarray(a)[:count], multihost_utils.process_allgather(parts, tiled=True))


def any_of(yes: bool) -> bool:
    """Whether it is so in any process; all have to ask at the same time."""
    return yes if number() == 1 else bool(multihost_utils.process_allgather(np.array(yes)).any())


def wait(what: str) -> None:
    """For all processes to come to the same point of the program, which `what` names."""
    if number() > 1:
        multihost_utils.sync_global_devices(what)


def _placed(arrays: T, cut: PartitionSpec) -> T:
    sharding = NamedSharding(_mesh(), cut)

    def placed(array: Any) -> Any:
        return jax.make_array_from_process_local_data(sharding, np.asarray(array))

    return jax.tree.map(placed, arrays)


@lru_cache(maxsize=1)
def _mesh() -> Mesh:
    """Of all processes' devices, as many of each as this one computes on."""
    mine = devices.mesh()
    each = 1 if mine is None else mine.size
    by_process = [[one for one in jax.devices() if one.process_index == process] for process in range(number())]
    return Mesh(np.array([one for those in by_process for one in those[:each]]), (devices.AXIS,))
