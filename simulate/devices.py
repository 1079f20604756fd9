"""All devices of this machine: batches are spread over them, everything else is on each."""

import os
from functools import lru_cache
from typing import Any, TypeVar

from ..geometries.errors import InputError

T = TypeVar("T")
_COUNT = "_ONEHIT_DEVICES"  # for child processes; users say --devices
_HOST = "--xla_force_host_platform_device_count"
AXIS = "devices"
"""Of the mesh."""


def ask_for(count: int) -> None:
    """Have this process and its children compute on so many devices; the CPU is made into as many.

    To be called before JAX is imported. Raises InputError for less than one.
    """
    if count < 1:
        raise InputError(f"{count} devices were asked for; ask for 1 or more")
    os.environ[_COUNT] = str(count)
    flags = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if not flag.startswith(_HOST)]
    os.environ["XLA_FLAGS"] = " ".join([*flags, f"{_HOST}={count}"])


def asked_for() -> int | None:
    """How many that were; None where nothing was asked."""
    return int(os.environ[_COUNT]) if os.environ.get(_COUNT) else None


@lru_cache(maxsize=1)
def mesh() -> Any:
    """Those that were asked for, or all, as a JAX mesh of one axis; None for a single one.

    Raises InputError where there are fewer than were asked for.
    """
    import jax
    import numpy as np

    found = jax.local_devices()
    count = asked_for() or len(found)
    if count > len(found):
        raise InputError(f"{count} devices were asked for, but JAX finds {len(found)} ({found[0].platform})")
    return None if count == 1 else jax.sharding.Mesh(np.array(found[:count]), (AXIS,))


def spread(batch: T) -> T:
    """Arrays (B, ...), each device with its part of them, where B is a multiple of their number."""
    return _placed(batch, True)


def everywhere(arrays: T) -> T:
    """Arrays, whole on each device."""
    return _placed(arrays, False)


def _placed(arrays: T, along_first: bool) -> T:
    devices = mesh()
    if devices is None:
        return arrays
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    def placed(array: Any) -> Any:
        cut = along_first and len(array) % devices.size == 0
        return jax.device_put(array, NamedSharding(devices, PartitionSpec(AXIS) if cut else PartitionSpec()))

    return jax.tree.map(placed, arrays)
