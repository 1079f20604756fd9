"""`onehit simulate`: patterns to a file."""

import json
from dataclasses import asdict

import h5py
import numpy as np

from ..geometries.errors import InputError
from ..simulate.config_io import to_json
from ..simulate.files import write_hdf5
from ..simulate.interrupt import interruptible
from ..simulate.source import SimulatedSource
from .commands import Simulate
from .progress import track

_BLOCK = 256


def run_simulation(command: Simulate) -> None:
    """Write the file; it appears under its name only when it is complete."""
    if command.count < 1 or command.seed < 0:
        raise InputError(f"count is {command.count} and seed {command.seed}; count must be 1 or more, seed 0 or more")
    if command.out.suffix not in (".h5", ".hdf5"):
        raise InputError(f"{command.out}: the name must end in .h5 or .hdf5")
    if not command.out.parent.is_dir():
        raise InputError(f"{command.out.parent} does not exist: make that folder first")
    _refuse_to_lose(command)
    source = SimulatedSource(command.simulation, command.seed)
    blocks = range(-(-command.count // _BLOCK))

    def patterns():
        for i in track(blocks, "simulating", _BLOCK):
            first = i * _BLOCK
            yield source.patterns(np.arange(first, min(first + _BLOCK, command.count)))
            if interrupted:
                raise KeyboardInterrupt

    attributes = {"config": to_json(simulate=command)}
    with interruptible() as interrupted:
        write_hdf5(command.out, patterns(), command.count, source.shape, source.bad_pixel, attributes)
    way = {"table": "looked up in a table", "exact": "summed exactly"}[source.amplitude]
    print(f"{command.out}: {command.count} patterns of {source.name}, form factors {way}")


def _refuse_to_lose(command: Simulate) -> None:
    """An existing file may be replaced only by one that begins with the same patterns."""
    if not command.out.exists():
        return
    try:
        with h5py.File(command.out) as file:
            there = json.loads(str(file.attrs["config"]))["simulate"]
    except (OSError, KeyError, ValueError):
        there = {}
    here = json.loads(json.dumps(asdict(command), default=str))
    any_length = {"out": "", "count": 0}
    if there.get("count", np.inf) <= command.count and there | any_length == here | any_length:
        return
    raise InputError(f"{command.out} exists and holds something else: choose another name, or remove it")
