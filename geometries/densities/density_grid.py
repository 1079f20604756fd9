"""Amplitudes of atoms and density maps in one table, as those of meshes are (`amplitude_grid.py`).

Points between the table's own are a window's weighted sum of the nearest ones, which dims what is far from the centre:
so every atom, or voxel, is divided by the window's transform at its place, exactly. A map goes to the table by three
products with matrices, one an axis. Atoms are first spread, element by element, on a grid of that kind (the gridding of
a non-uniform FFT: Dutt & Rokhlin 1993, SIAM J. Sci. Comput. 14, 1368; Fessler & Sutton 2003, IEEE Trans. Signal
Process. 51, 560), and their scattering factors multiplied in reciprocal space. Amplitudes are right to 1e-4 of that at
q = 0 (tests).
"""

# JAX tells types in part only.
# pyright: reportUnknownMemberType=false

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex64, Float, Float32

from ..amplitude_grid import AmplitudeGrid, Window, grid_extent
from .atoms import Atoms
from .density_map import DensityMap
from .surface import Region

DENSITY_WINDOW = Window(6, 13.75, 9)
_MARGIN = DENSITY_WINDOW.taps // 2 + 1
_LEAST_REACH_NM = 5.0
"""Of a table: on the scale of its points scattering factors must change little."""

Axes = Sequence[Float[np.ndarray, " _"]]
Complex3D = Complex64[np.ndarray, "n n upper"]


def density_grid(densities: list[Atoms | DensityMap], q_max: float, energy_ev: float) -> AmplitudeGrid:
    """Tabulate unit amplitudes of some densities for |q| <= q_max (1/nm); q in inverse diameters.

    They are pi / 6 at q = 0, and more or less where there is a hydration shell or a filling: those add to what the
    atoms are.
    """
    axis, table = _empty(densities, q_max)
    for one, density in zip(table, densities, strict=True):
        scale = np.complex64(math.pi / 6 / density.forward(energy_ev))
        refraction, absorption = (
            _atoms(density, axis, energy_ev) if isinstance(density, Atoms) else (_map(density, axis), None)
        )
        _add(one, refraction)
        if absorption is not None:
            _add(one, absorption, np.complex64(-1j))
        one *= scale
    return _grid(densities, axis, table)


def displaced_grid(densities: list[Atoms | DensityMap], q_max: float) -> AmplitudeGrid:
    """The same of the volumes that a liquid is kept out of by atoms: pi / 6 at q = 0, and more where there is a
    hydration shell or a filling. 0 for maps."""
    axis, table = _empty(densities, q_max)
    for one, density in zip(table, densities, strict=True):
        if isinstance(density, Atoms):
            for region in density.displaced:
                _add(one, _map(region, axis))
            one *= np.complex64(density.diameter_nm**-3)
    return _grid(densities, axis, table)


def _empty(
    densities: list[Atoms | DensityMap], q_max: float
) -> tuple[Float[np.ndarray, " n"], Complex64[np.ndarray, "densities n n n"]]:
    """The points along each axis, and a table of zeros."""
    step, half = _extent(densities, q_max)
    axis = np.arange(-half, half + 1) * step
    return axis, np.zeros((len(densities), *3 * (len(axis),)), np.complex64)


def _add(one: Complex64[np.ndarray, "n n n"], upper: Complex3D, times: np.complex64 | None = None) -> None:
    """Add a real density's transform, or that times a factor. F(-q) = conj F(q), so the upper half suffices."""
    half = one.shape[2] // 2
    for there, part in ((one[..., half:], upper), (one[..., :half], upper[::-1, ::-1, :0:-1].conj())):
        there += part if times is None else times * part


def _grid(
    densities: list[Atoms | DensityMap], axis: Float[np.ndarray, " n"], table: Complex64[np.ndarray, "densities n n n"]
) -> AmplitudeGrid:
    parts = table.view(np.float32).reshape(*table.shape, 2)
    diameters = np.array([density.diameter_nm for density in densities])
    return AmplitudeGrid(jnp.asarray(parts), jnp.asarray((axis[1] - axis[0]) * diameters, jnp.float32), None)


def density_bytes(densities: list[Atoms | DensityMap], q_max: float) -> int:
    """Memory that `density_grid` fills."""
    _, half = _extent(densities, q_max)
    return len(densities) * (2 * half + 1) ** 3 * np.dtype(np.complex64).itemsize


def _extent(densities: list[Atoms | DensityMap], q_max: float) -> tuple[float, int]:
    return grid_extent(max(_LEAST_REACH_NM, *(density.reach_nm for density in densities)), q_max, _MARGIN)


def _map(density: DensityMap | Region, axis: Float[np.ndarray, " n"]) -> Complex3D:
    voxel = float(density.voxel_nm.prod()) * 1000
    # Beyond what voxels hold there is nothing but repetitions of what is within.
    held = [np.abs(axis) <= math.pi / size for size in density.voxel_nm]
    dimmed = [_dimming(place, axis) for place in density.axes_nm]
    return _transform(density.values * np.float32(voxel), density.axes_nm, axis, dimmed, held)


def _atoms(density: Atoms, axis: Float[np.ndarray, " n"], energy_ev: float) -> tuple[Complex3D, Complex3D]:
    """Sum over atoms of f0 + f', and of f'', times their phases."""
    half = len(axis) // 2
    spacing = math.pi / (2 * axis[-1])  # twice as fine as the largest q needs
    low = np.floor(density.position.min(0) / spacing) - DENSITY_WINDOW.taps // 2 + 1
    high = np.floor(density.position.max(0) / spacing) + DENSITY_WINDOW.taps // 2
    shape = tuple(int(n) + 1 for n in high - low)
    places = [(first + np.arange(n)) * spacing for first, n in zip(low, shape, strict=True)]
    sharpened = 1 / DENSITY_WINDOW.transform(axis * spacing / (2 * np.pi))
    weight = density.occupancy * _dimming(density.position, axis).prod(1)
    q = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis[half:] ** 2, dtype=np.float32)

    refraction: np.ndarray = np.zeros(q.shape, np.complex64)
    absorption: np.ndarray = np.zeros(q.shape, np.complex64)
    for number in density.composition:
        which = density.element == number
        spread = _spread(density.position[which] / spacing - low, weight[which], shape)
        sums = _transform(spread, places, axis, None, [sharpened] * 3)
        factor = density.factor(number, q, energy_ev)
        refraction += sums * np.real(factor).astype(np.float32)
        absorption -= sums * np.float32(np.imag(factor).flat[0])  # the same at every q
    for region in (density.shell, density.cavity):
        if region is not None:
            refraction += _map(region, axis)
    return refraction, absorption


def _dimming(place: Float[np.ndarray, "*any"], axis: Float[np.ndarray, " n"]) -> Float[np.ndarray, "*any"]:
    """What takes back how much a look-up in the table dims what is at that place, along one axis."""
    return 1 / DENSITY_WINDOW.transform(place * (axis[1] - axis[0]) / (2 * np.pi))


def _transform(
    values: Float32[np.ndarray, "x y z"],
    places: Axes,
    axis: Float[np.ndarray, " n"],
    weights: Axes | None,
    factors: Sequence[np.ndarray],
) -> Complex3D:
    """Sum of values exp(-i q.r) over a grid of points, for q on another grid, z from 0 on.

    weights: of the points along each axis; factors: of the results along each.
    """
    upper = len(axis) // 2
    matrices: list[np.ndarray] = []
    for along, place in enumerate(places):
        q, factor = (axis, factors[along]) if along < 2 else (axis[upper:], factors[along][upper:])
        weight = 1.0 if weights is None else weights[along]
        matrices.append((np.exp(-1j * q[:, None] * place) * factor[:, None] * weight).astype(np.complex64))
    x, y, z = matrices
    # The values are real: two real products are half of a complex one.
    over_z = np.empty((*values.shape[:2], len(z)), np.complex64)
    over_z.real, over_z.imag = values @ np.real(z).T.copy(), values @ np.imag(z).T.copy()
    over_y = y @ over_z
    return np.tensordot(x, over_y, 1)


def _spread(
    place: Float[np.ndarray, "atoms 3"], weight: Float[np.ndarray, " atoms"], shape: tuple[int, ...]
) -> Float32[np.ndarray, "x y z"]:
    """Weights at places between the points of a grid, shared among the nearest points by the window."""
    taps = DENSITY_WINDOW.taps
    base = np.floor(place).astype(np.int64)
    first = base + int(DENSITY_WINDOW.offsets[0])
    flat = (first[:, 0] * shape[1] + first[:, 1]) * shape[2] + first[:, 2]
    order = np.argsort(flat, kind="stable")
    flat = flat[order]
    # Of the atoms between the same points all shares are summed before they are added.
    start = np.flatnonzero(np.diff(flat, prepend=-1))
    cell = flat[start]
    beyond = (place - base)[order, :, None] - DENSITY_WINDOW.offsets
    share = DENSITY_WINDOW(beyond).astype(np.float32).transpose(1, 2, 0).copy()
    share[2] *= weight[order].astype(np.float32)
    grid = np.zeros(math.prod(shape), np.float32)
    for i in range(taps):
        for j in range(taps):
            both = share[0, i] * share[1, j]
            for k in range(taps):
                grid[cell + ((i * shape[1] + j) * shape[2] + k)] += np.add.reduceat(both * share[2, k], start)
    return grid.reshape(shape)
