"""A form factor tabulated once, then looked up: for meshes with so many faces that the exact sums are slow.

The gridding of a non-uniform FFT (Fessler & Sutton 2003, IEEE Trans. Signal Process. 51, 560), without the FFT: F is
band-limited by the body's extent, so samples closer than the Nyquist step pi / radius hold all of it. A look-up is a
weighted sum of the nearest samples; the weights, a Kaiser-Bessel window (Jackson et al. 1991, IEEE Trans. Med. Imaging
10, 473), dim the body's rim, which is corrected in the table. What is left is aliasing: over a whole body 5e-4 of the
amplitude, and half a percent of its gradient.
"""

# JAX and SciPy tell types in part only.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float, Int
from scipy import ndimage

from .elementary import cos_sin, polynomial
from .form_factor import Polyhedron, form_factor

OVERSAMPLING = 2.0
_CORRECTION = 5  # samples on either side that the correction reaches


class Window:
    """A Kaiser-Bessel window over an even number of samples; shape: less blurs the bulk of a body, more its rim.

    offsets: of the samples used, from the last one before the place; weights: for each of them, the window as a
    polynomial in how far the place is past the middle of two samples, to 1e-5.
    """

    def __init__(self, taps: int, shape: float, degree: int):
        self.taps, self.shape = taps, shape
        self.offsets = np.arange(taps) - taps // 2 + 1
        t = np.cos(np.linspace(0, np.pi, 100)) / 2
        self.weights = [np.polynomial.polynomial.polyfit(t, self(t + 0.5 - o), degree) for o in self.offsets]

    def __call__(self, x: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
        """Its value x samples from the middle. Its foot is taken off, so that what is looked up is continuous."""
        return np.i0(self.shape * np.sqrt(np.maximum(1 - (2 * x / self.taps) ** 2, 0))) - 1

    def transform(self, place: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
        """Its Fourier transform at places up to a quarter, in periods of the samples."""
        root = np.sqrt(self.shape**2 - (np.pi * self.taps * place) ** 2)
        return self.taps * (np.sinh(root) / root - np.sinc(self.taps * place))


MESH_WINDOW = Window(4, 9.4, 6)
_MARGIN = _CORRECTION + MESH_WINDOW.taps // 2


def _rim_correction() -> Float[np.ndarray, " taps"]:
    """Symmetric filter along one axis whose transform is one over the window's wherever there is body."""
    place = np.linspace(0, 0.5 / OVERSAMPLING, 100)[:, None]
    cosines = np.cos(2 * np.pi * place * np.arange(-_CORRECTION, _CORRECTION + 1))
    return np.linalg.lstsq(cosines, 1 / MESH_WINDOW.transform(place)[:, 0])[0]


_FILTER = _rim_correction()


class AmplitudeGrid(NamedTuple):
    """Coefficients of F(q) about the centroids of some bodies, on one cubic grid around q = 0.

    coefficients: real and imaginary parts, float32, or the real alone where every body has a centre of symmetry and F
    is real; step: grid spacing in inverse length, of all bodies or of each; centroid: None where all are the origin.
    """

    coefficients: Float[Array, "bodies n n n parts"]
    step: Float[Array, "*bodies"]
    centroid: Float[Array, "bodies 3"] | None


def amplitude_grid(bodies: list[Polyhedron], q_max: float) -> AmplitudeGrid:
    """Tabulate the form factors of some bodies for |q| <= q_max (inverse length)."""
    step, half = grid_extent(_largest(bodies), q_max, _MARGIN)
    axis = np.arange(-half, half + 1) * step
    # F(-q) = conj F(q): the upper half suffices.
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis[half:] ** 2)
    inside = np.flatnonzero(distance <= q_max + _MARGIN * step)
    del distance  # as large as half of a body's table
    tables = np.zeros((len(bodies), *3 * (len(axis),)), np.complex64)
    for body, table in zip(bodies, tables, strict=True):
        _fill(table, body, axis, inside)
    parts = tables.view(np.float32).reshape(*tables.shape, 2)
    if all(np.abs(t.imag).max() < 1e-5 * np.abs(t.real).max() for t in tables):
        parts = parts[..., :1]
    centroid = np.stack([body.centroid for body in bodies])
    centred = np.abs(centroid).max() < 1e-6 * _largest(bodies)
    return AmplitudeGrid(jax.device_put(parts), jnp.float32(step), None if centred else jax.device_put(centroid))


def grid_bytes(bodies: list[Polyhedron], q_max: float) -> int:
    """Memory that `amplitude_grid` would fill at most."""
    _, half = grid_extent(_largest(bodies), q_max, _MARGIN)
    return len(bodies) * (2 * half + 1) ** 3 * np.dtype(np.complex64).itemsize


def look_up(
    grid: AmplitudeGrid,
    geometry: int | Int[Array, "..."] | Int[np.ndarray, "..."],
    q: Float[Array | np.ndarray, "*any 3"],
    window: Window = MESH_WINDOW,
) -> Float[Array, "*any"] | Complex[Array, "*any"]:
    """F(q) of the bodies with those indices; real for bodies with a centre of symmetry at the origin.

    geometry: one, or one for each of q's first axis; q: inverse length, |q| <= the table's q_max; window: the one that
    the table was made for.
    """
    bodies, n, *_, parts = grid.coefficients.shape
    taps = window.taps
    index = jnp.expand_dims(jnp.asarray(geometry), tuple(range(jnp.ndim(geometry), q.ndim - 1)))
    step = grid.step if grid.step.ndim == 0 else grid.step[index][..., None]
    place = jnp.asarray(q / step + (n - 1) / 2)
    base = jnp.floor(place)
    weight = [polynomial(place - base - 0.5, of_tap) for of_tap in window.weights]
    # Within the table whatever q is. Unsigned, which reaches twice as far.
    first = jnp.clip(base.astype(jnp.int32) + int(window.offsets[0]), 0, n - taps).astype(jnp.uint32)
    body = jnp.clip(index, 0, bodies - 1).astype(jnp.uint32)
    corner = ((body * n + first[..., 0]) * n + first[..., 1]) * n + first[..., 2]
    flat = grid.coefficients.reshape(-1)
    # Taps that lie side by side come as one slice: a gather for each compiles and runs longer.
    rows = lax.GatherDimensionNumbers(offset_dims=(corner.ndim,), collapsed_slice_dims=(), start_index_map=(0,))
    side_by_side = jnp.zeros((*corner.shape, taps * parts))
    for i in range(taps):
        for j in range(taps):
            start = (corner + np.uint32((i * n + j) * n)) * parts
            row = lax.gather(flat, start[..., None], rows, (taps * parts,), mode="promise_in_bounds")
            side_by_side += row * (weight[i][..., 0] * weight[j][..., 1])[..., None]

    def interpolate(part: int) -> Float[Array, "*any"]:
        terms: list[Array] = [side_by_side[..., k * parts + part] * weight[k][..., 2] for k in range(taps)]
        return sum(terms[1:], terms[0])

    value = interpolate(0) if parts == 1 else lax.complex(interpolate(0), interpolate(1))
    if grid.centroid is None:
        return value
    cosine, sine = cos_sin(jnp.sum(q * grid.centroid[index], -1))
    return value * lax.complex(cosine, -sine)


def grid_extent(reach: float, q_max: float, margin: int) -> tuple[float, int]:
    """Grid step for bodies that reach so far from their centres, and samples on either side of q = 0."""
    step = math.pi / (reach * OVERSAMPLING)
    half = math.ceil(q_max / step) + margin
    return step, half + -half % 4  # few distinct shapes, so that another q_max may meet a compiled program


def _largest(bodies: list[Polyhedron]) -> float:
    return max(_reach(body) for body in bodies)


def _reach(body: Polyhedron) -> float:
    """Largest distance of a vertex from the centroid."""
    # In NumPy: JAX would compile every operation for every number of edges.
    middle, half = np.subtract(body.edge_midpoint, body.centroid), np.divide(body.edge_vector, 2)
    return max(float(np.linalg.norm(end, axis=-1).max()) for end in (middle - half, middle + half))


_form_factor = jax.jit(form_factor)


def _fill(
    table: Complex[np.ndarray, "n n n"],
    body: Polyhedron,
    axis: Float[np.ndarray, " n"],
    inside: Int[np.ndarray, " points"],
) -> None:
    """Coefficients into `table`, complex64 zeros, from the exact form factor at those grid points of the upper half,
    (n, n, n // 2 + 1), whose flat indices are `inside`; in place, as tables may take much of the memory."""
    half = len(axis) // 2
    centred = body._replace(
        edge_midpoint=np.subtract(body.edge_midpoint, body.centroid),
        face_centroid=np.subtract(body.face_centroid, body.centroid),
        centroid=np.zeros_like(body.centroid),
    )
    upper = table[..., half:]
    block = min(max(256, 4_000_000 // len(body.edge_left)), len(inside))
    for first in range(0, len(inside), block):
        # Filled up with points from its start: one shape, one compilation.
        x, y, z = np.unravel_index(np.resize(inside[first : first + block], block), upper.shape)
        q = np.stack([axis[x], axis[y], axis[z + half]], -1)
        upper[x, y, z] = _form_factor(centred, q.astype(np.float32))
    np.conj(upper[::-1, ::-1, :0:-1], out=table[..., :half])
    for along in range(3):
        ndimage.correlate1d(table, _FILTER, along, output=table, mode="constant")
