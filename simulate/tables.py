"""Tables of form factors kept from one run to the next: one of a body with many faces takes seconds to make."""

import hashlib
import os
from contextlib import suppress
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ..geometries import amplitude_grid as grids
from ..geometries import elementary, form_factor
from ..geometries.amplitude_grid import AmplitudeGrid, amplitude_grid
from ..geometries.form_factor import Polyhedron
from .cache import MOST_BYTES, TABLES, kept, say_once
from .config_io import versions, write_whole

_FORMAT = 1
_LARGEST_BYTES = 2**28
"""Of a table that is kept: a larger one would leave little room for others."""


def kept_grid(bodies: list[Polyhedron], q_max: float) -> AmplitudeGrid:
    """`amplitude_grid` of these, bit for bit, from the cache where it is there; else made, and kept."""
    folder = kept(TABLES)
    if folder is None:
        return amplitude_grid(bodies, q_max)
    path = folder / f"{_key(bodies, q_max)}.table"
    grid = _read(path)
    if grid is None:
        grid = amplitude_grid(bodies, q_max)
        _keep(path, grid)
    return grid


def _key(bodies, q_max) -> str:
    """Hash of all that decides a table."""
    device = jax.devices()[0]
    hashed = hashlib.sha256()
    facts = [_FORMAT, q_max, versions(), version("scipy"), device.platform, device.device_kind]
    facts += [os.environ.get("XLA_FLAGS"), getattr(jax.config, "jax_default_matmul_precision", None)]
    hashed.update(repr(facts).encode())
    for module in (grids, form_factor, elementary):
        hashed.update(Path(str(module.__file__)).read_bytes())
    for array in map(np.asarray, jax.tree.leaves(bodies)):
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
    """Drop what was not used for longest, until the rest is within bounds; what killed processes left counts, too."""
    files = []
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # another process evicts as well
            status = file.stat()
            files.append((status.st_mtime, status.st_size, file))
    left = MOST_BYTES
    for _, size, file in sorted(files, reverse=True):
        left -= size
        if left < 0:
            file.unlink(missing_ok=True)
