"""Tables of form factors kept from one run to the next: one of a body with many faces takes seconds to make."""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from ..geometries import amplitude_grid as grids
from ..geometries import elementary, extent, form_factor
from ..geometries.amplitude_grid import AmplitudeGrid, amplitude_grid
from ..geometries.densities import (
    atoms,
    density_grid,
    density_map,
    displaced,
    filling,
    hydration,
    scattering_factors,
    surface,
)
from ..geometries.densities.atoms import Atoms
from ..geometries.densities.density_map import DensityMap
from ..geometries.form_factor import Polyhedron
from .cache import MOST_BYTES, TABLES, kept, say_once
from .config_io import versions, write_whole

_FORMAT = 1
_LARGEST_BYTES = 2**28
"""Of a table that is kept: a larger one would leave little room for others."""


def kept_grid(bodies: list[Polyhedron], q_max: float) -> AmplitudeGrid:
    """`amplitude_grid` of these, bit for bit, from the cache where it is there; else made, and kept."""
    arrays = jax.tree.leaves(bodies)
    return _kept(lambda: amplitude_grid(bodies, q_max), arrays, [q_max], (grids, form_factor, elementary))


def kept_density_grid(densities: list[Atoms | DensityMap], q_max: float, energy_ev: float) -> AmplitudeGrid:
    """`density_grid` of these in the same way."""
    arrays, facts, modules = _of_densities(densities, q_max)
    facts = [*facts, energy_ev, version("periodictable")]
    return _kept(lambda: density_grid.density_grid(densities, q_max, energy_ev), arrays, facts, modules)


def kept_displaced_grid(densities: list[Atoms | DensityMap], q_max: float) -> AmplitudeGrid:
    """`displaced_grid` of these in the same way."""
    arrays, facts, modules = _of_densities(densities, q_max)
    facts = [*facts, "displaced", version("periodictable")]  # whose masses say the volumes
    return _kept(lambda: density_grid.displaced_grid(densities, q_max), arrays, facts, modules)


def _of_densities(
    densities: list[Atoms | DensityMap], q_max: float
) -> tuple[list[np.ndarray], list[object], tuple[ModuleType, ...]]:
    """Arrays, facts and modules that decide tables of them."""
    arrays: list[np.ndarray] = []
    regions: list[object] = []
    for one in densities:
        if isinstance(one, Atoms):
            arrays += [one.position, one.element, one.occupancy, np.array(one.mass_density)]
            regions.append((one.hydration, one.filling))
        else:
            arrays += [one.values, one.voxel_nm]
    modules = (grids, elementary, extent, density_grid, atoms, density_map, displaced, filling, hydration, surface)
    return arrays, [q_max, regions], (*modules, scattering_factors)


def _kept(
    make: Callable[[], AmplitudeGrid],
    arrays: Sequence[jax.Array | np.ndarray],
    facts: list[object],
    modules: Sequence[ModuleType],
) -> AmplitudeGrid:
    """arrays, facts, modules: all that decides a table, besides the machine."""
    folder = kept(TABLES)
    if folder is None:
        return make()
    path = folder / f"{_key(arrays, facts, modules)}.table"
    grid = _read(path)
    if grid is None:
        grid = make()
        _keep(path, grid)
    return grid


def _key(arrays, decisive, modules) -> str:
    """Hash of all that decides a table."""
    device = jax.devices()[0]
    hashed = hashlib.sha256()
    facts = [_FORMAT, *decisive, versions(), version("scipy"), device.platform, device.device_kind]
    facts += [os.environ.get("XLA_FLAGS"), getattr(jax.config, "jax_default_matmul_precision", None)]
    hashed.update(repr(facts).encode())
    for module in modules:
        hashed.update(Path(str(module.__file__)).read_bytes())
    for array in map(np.asarray, arrays):
        hashed.update(f"{array.dtype} {array.shape}".encode())
        hashed.update(array.tobytes())
    return hashed.hexdigest()


def _read(path: Path) -> AmplitudeGrid | None:
    """None where there is none, or a damaged one."""
    try:
        content = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        say_once(f"{path} cannot be read ({error.strerror}): the table is made again")
        return None
    digest, packed = content[:32], content[32:]
    if hashlib.sha256(packed).digest() != digest:
        say_once(f"{path} is damaged: the table is made again")
        return None
    with suppress(OSError):
        os.utime(path)  # so that it is not the oldest
    with np.load(BytesIO(packed), allow_pickle=False) as arrays:
        centroid = jnp.asarray(arrays["centroid"]) if "centroid" in arrays else None
        return AmplitudeGrid(jnp.asarray(arrays["coefficients"]), jnp.asarray(arrays["step"]), centroid)


def _keep(path: Path, grid: AmplitudeGrid) -> None:
    if grid.coefficients.nbytes > _LARGEST_BYTES:
        return
    packed = BytesIO()
    np.savez(packed, **{name: array for name, array in grid._asdict().items() if array is not None})
    try:
        write_whole(path, hashlib.sha256(packed.getbuffer()).digest() + packed.getbuffer())
        _evict(path.parent)
    except OSError as error:
        say_once(f"{path.parent} keeps no more tables ({error.strerror})")


def _evict(folder: Path) -> None:
    """Drop what was not used for longest, until the rest is within bounds; what killed processes left counts, too, and
    so do tables of other kinds of machine."""
    files = []
    for file in folder.parent.glob(f"{TABLES}-*/*"):
        with suppress(FileNotFoundError):  # another process evicts as well
            status = file.stat()
            files.append((status.st_mtime, status.st_size, file))
    left = MOST_BYTES
    for _, size, file in sorted(files, reverse=True):
        left -= size
        if left < 0:
            file.unlink(missing_ok=True)
