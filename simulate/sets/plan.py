"""What a set of simulated patterns is to be, and what each of its files then holds; writes nothing."""

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ...geometries.errors import InputError, InputWarning
from ...geometries.shapes import geometry_files, moved_geometry
from ..config import SimulationConfig
from ..config_io import from_dict, versions
from ..empty_shots import simulated_source
from ..file_config import FileConfig
from ..formats.cxi import encode_cxi
from ..formats.emc import encode_emc, encode_emc_hdf5
from ..formats.hdf5 import encode_hdf5, encode_truth
from ..formats.manifest import Entry, folder_of
from ..formats.provenance import Provenance
from ..populations import files, relocated
from ..reading.file_lists import files_of
from ..source import Patterns, SimulatedSource

Encode = Callable[[Patterns, int, Provenance], bytes]

FORMATS: dict[str, dict[str, Encode]] = {
    "cxi": {".cxi": encode_cxi},
    "hdf5": {".h5": encode_hdf5},
    "emc": {".truth.h5": encode_truth, ".emc": encode_emc},
    "emc-h5": {".truth.h5": encode_truth, ".h5": encode_emc_hdf5},
}
"""The files of a shard by ending, the one with the counts last."""

DETECTOR = "detector.h5"
_ENDINGS = {".cxi": ("cxi",), ".h5": ("hdf5", "emc-h5"), ".hdf5": ("hdf5", "emc-h5"), ".emc": ("emc",)}
_SHARD_PIXELS = 2**26
_MOST_PATTERNS_A_SHARD = 4096


@dataclass(frozen=True, eq=False)
class Plan:
    """All that decides the files of a set. Made by `plan_set`; can be sent to other processes."""

    out: Path
    format: str
    simulation: SimulationConfig
    seed: int
    count: int
    """Patterns of the set."""
    shard: int
    """Patterns of a shard; the last one may have fewer."""
    provenance: Provenance
    inputs: dict[str, str]
    """sha256 of the files that patterns depend on, by the names that `simulation` has for them."""
    amplitude: str
    """How form factors are computed: "table" or "exact"."""

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.count // self.shard)

    @property
    def folder(self) -> Path:
        """Where the files of the shards are."""
        return folder_of(self.out) if self.shards > 1 else self.out.parent

    def files(self, number: int) -> dict[Path, Encode]:
        """The files of a shard, the one with the counts last."""
        *beside, (ending, encode) = FORMATS[self.format].items()
        path = self.folder / f"{number:06d}{ending}" if self.shards > 1 else self.out
        return {path.with_suffix(ending): encode for ending, encode in beside} | {path: encode}

    def record(self, number: int) -> Path:
        """The file that acknowledges a shard of a long set."""
        return self.folder / f"{number:06d}.json"

    @property
    def detector(self) -> Path | None:
        """Dragonfly's detector file, of formats that have one."""
        if not self.format.startswith("emc"):
            return None
        return self.folder / DETECTOR if self.shards > 1 else self.out.with_suffix("." + DETECTOR)

    def manifest(self, entries: Sequence[Entry] = ()) -> dict[str, Any]:
        """What manifest.json says; without entries that of an unfinished set."""
        content = json.loads(self.provenance.config)
        return content | {"format": self.format, "shard": self.shard, "files": list(entries)}


def plan_set(
    out: Path, simulation: SimulationConfig, seed: int, count: int, shard: int | None = None, format: str | None = None
) -> Plan:
    """The plan of a set; writes nothing.

    shard: default, as many patterns as have 67 million pixels, at most 4096; format: one of FORMATS, default by the
    name's ending. Raises InputError for what cannot be simulated, impossible numbers, and names that do not fit.
    """
    if not 1 <= count <= 2**32:
        raise InputError(f"count is {count}; it must lie in 1 to 2^32")
    if shard is not None and shard < 1:
        raise InputError(f"shard is {shard}; it must be 1 or more patterns")
    possible = _ENDINGS.get(out.suffix)
    if possible is None:
        raise InputError(f"{out}: the name must end in .cxi, .h5 or .hdf5, or .emc: it says the format")
    if format is not None and format not in possible:
        raise InputError(
            f"{out}: the format is {format}, but files of this name are {' or '.join(possible)}: change one of them"
        )
    if "emc" in (format or possible[0]) and not simulation.noise:
        raise InputError(f"{out}: Dragonfly's files hold whole photons: turn noise on, or write CXI or plain HDF5")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent} does not exist: make that folder first")
    source = _source(simulation, seed)
    asked = {"count": count, "seed": seed, "shard": shard, "format": format, "simulation": asdict(simulation)}
    inputs = input_files(simulation)
    config = {"versions": versions(), "simulate": asked, "inputs": inputs}
    text = json.dumps(config, indent=2, default=str) + "\n"
    if shard is None:
        shard = min(max(_SHARD_PIXELS // int(np.prod(source.shape)), 1), _MOST_PATTERNS_A_SHARD)
    provenance = Provenance(text, source.instrument, source.bad_pixel, source.geometries, source.kinds)
    format = format or possible[0]
    return Plan(out.absolute(), format, simulation, seed, count, shard, provenance, inputs, source.amplitude)


def packed(plan: Plan) -> str:
    """A plan as text, for processes that may have started in another folder."""
    simulation, instrument = plan.simulation, plan.simulation.instrument
    found_at = {name: str(Path(name).expanduser().absolute()) for name in plan.inputs}
    geometry = tuple(moved_geometry(spec, found_at) for spec in simulation.geometry)
    instrument = replace(instrument, geometry_file=found_at.get(instrument.geometry_file or ""))
    simulation = replace(relocated(simulation, found_at), population=found_at.get(simulation.population or ""))
    background = simulation.background
    if background.frames is not None:
        read = background.read
        masks = None if read.mask is None else tuple(_absolute_mask(mask) for mask in _masks(read))
        paths = {name: path and path.absolute() for name, path in (("geom", read.geom), ("detector", read.detector))}
        read = replace(read, mask=masks, **paths)
        background = replace(background, frames=str(Path(background.frames).absolute()), read=read)
    content = {
        "out": str(plan.out),
        "folder": str(plan.folder),
        "simulation": asdict(replace(simulation, geometry=geometry, instrument=instrument, background=background)),
        "inputs": {found_at[name]: digest for name, digest in plan.inputs.items()},
        "config": plan.provenance.config,
        "geometries": plan.provenance.geometries,
    }
    return json.dumps(content, default=str)


def unpacked(text: str) -> Plan:
    """The plan that `packed` made the text of; its shards are the same bytes."""
    content = json.loads(text)
    asked = json.loads(content["config"])["simulate"]
    asked["simulation"] = from_dict(content["simulation"], SimulationConfig, "the plan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # who packed the plan has said it
        plan = plan_set(Path(content["out"]), **asked)
    named = {"config": content["config"], "geometries": tuple(content["geometries"])}
    return replace(plan, provenance=plan.provenance._replace(**named), inputs=content["inputs"])


def _masks(read: FileConfig) -> tuple[str, ...]:
    return (read.mask,) if isinstance(read.mask, str) else read.mask or ()


def _absolute_mask(mask: str) -> str:
    """Of data sets of a file, or of a mask of its own, with the whole path of that file."""
    path, colon, data_set = mask.partition(":")
    return f"{Path(path).absolute()}{colon}{data_set}" if Path(path).is_file() else mask


def input_files(simulation: SimulationConfig) -> dict[str, str]:
    """The files of particles, detectors, populations and empty shots that patterns depend on, and their sha256.

    Raises InputError for missing ones.
    """
    names = [name for spec in simulation.geometry for name in geometry_files(spec)]
    if simulation.instrument.geometry_file is not None:
        names.append(simulation.instrument.geometry_file)
    names += files(simulation, simulation.population)
    if simulation.background.frames is not None:
        names += map(str, frame_files(Path(simulation.background.frames), simulation.background.read))
    try:
        return {name: _digest(Path(name).expanduser()) for name in names}
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read ({error.strerror}): the patterns depend on it") from None


def frame_files(frames: Path, read: FileConfig) -> list[Path]:
    """The files of frames of that name, and those that say how they are read."""
    masks = (Path(mask.partition(":")[0]) for mask in _masks(read))
    beside = (read.geom, read.detector, *(mask for mask in masks if mask.is_file()))
    return [*files_of([frames]), *(path for path in beside if path is not None)]


def _digest(path: Path) -> str:
    path = path / "manifest.json" if path.is_dir() else path  # of a set's folder
    about = path.stat()
    return _sha256(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=256)  # every shard asks again, and empty shots may be many
def _sha256(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def check_inputs(then: dict[str, str], simulation: SimulationConfig) -> None:
    """Raises InputError where a file that the simulation depends on is not what it was."""
    for name, now in input_files(simulation).items():
        if then.get(name, now) != now:
            raise InputError(
                f"{name} has changed since the set was made from it: bring back that file, or name another"
            )


def simulated(plan: Plan, number: int) -> Patterns:
    """The patterns of a shard, as JAX computes them. The last one too has `shard` patterns: one compilation."""
    check_inputs(plan.inputs, plan.simulation)
    first, size = number * plan.shard, min(plan.shard, plan.count)
    return _source(plan.simulation, plan.seed).patterns(np.arange(first, first + size))


def encoded(plan: Plan, number: int, patterns: Patterns) -> Iterator[tuple[Path, bytes]]:
    """The files of a shard that `simulated` gave, the one with the counts last."""
    first = number * plan.shard
    count = min(plan.shard, plan.count - first)
    patterns = jax.tree.map(lambda array: np.asarray(array)[:count], patterns)
    for path, encode in plan.files(number).items():
        yield path, encode(patterns, first, plan.provenance)


@lru_cache(maxsize=1)
def _source(simulation: SimulationConfig, seed: int) -> SimulatedSource:
    return simulated_source(simulation, seed)
