"""A form factor tabulated once, then looked up: for meshes with so many faces that the exact sums are slow."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.ndimage import spline_filter

from .form_factor import Polyhedron, form_factor

_ORDER = 3
_TAPS = _ORDER + 1
_MARGIN = 5  # samples: the spline prefilter forgets an edge by a factor 0.27 a sample


class AmplitudeGrid(NamedTuple):
    """Cubic B-spline coefficients of F(q) about the centroids of G bodies, on one cubic grid around q = 0.

    coefficients: (G, n, n, n) complex64, or float32 where every body has a centre of symmetry and F is real;
    step: (), grid spacing in inverse length; centroid: (G, 3).
    """

    coefficients: jax.Array
    step: jax.Array
    centroid: jax.Array


def amplitude_grid(bodies: list[Polyhedron], q_max: float, oversampling: float = 2.5) -> AmplitudeGrid:
    """Tabulate the form factors of some bodies for |q| <= q_max (inverse length).

    F is band-limited by the body's extent, so samples closer than the Nyquist step pi / radius hold all of it.
    Interpolating them with B-splines whose coefficients solve the interpolation problem (Unser 1999, IEEE Signal
    Process. Mag. 16(6), 22) includes the gridding correction; what is left is aliasing, at most
    sqrt(2) / (2 oversampling - 1)^4 of the amplitude (6e-3 at 2.5), reached only by matter at the body's rim; over
    a whole body it is 1e-3 to 2e-3.
    """
    step, half = _extent(bodies, q_max, oversampling)
    axis = np.arange(-half, half + 1) * step
    # F(-q) = conj F(q): the upper half suffices.
    upper = np.stack(np.meshgrid(axis, axis, axis[half:], indexing="ij"), -1).reshape(-1, 3)
    inside = np.flatnonzero(np.linalg.norm(upper, axis=-1) <= q_max + _MARGIN * step)
    tables = [_spline_coefficients(body, upper, inside, half) for body in bodies]
    if all(np.abs(t.imag).max() < 1e-5 * np.abs(t.real).max() for t in tables):
        tables = [t.real for t in tables]
    return AmplitudeGrid(
        jnp.stack([jnp.asarray(t) for t in tables]),
        jnp.float32(step),
        jnp.stack([body.centroid for body in bodies]),
    )


def grid_bytes(bodies: list[Polyhedron], q_max: float, oversampling: float = 2.5) -> int:
    """Memory that `amplitude_grid` would fill at most."""
    _, half = _extent(bodies, q_max, oversampling)
    return len(bodies) * (2 * half + 1) ** 3 * np.dtype(np.complex64).itemsize


def look_up(grid: AmplitudeGrid, geometry, q: jax.Array) -> jax.Array:
    """F(q) of the body with that index, shape q.shape[:-1], complex64, or float32 for bodies with a centre of
    symmetry in their centroid. q: (..., 3), inverse length, |q| <= the table's q_max."""
    n = grid.coefficients.shape[-1]
    place = q / grid.step + (n - 1) / 2
    base = jnp.clip(jnp.floor(place), 1, n - 3)
    weight = _bspline_weights(place - base)
    first = base.astype(jnp.int32) - 1
    flat = grid.coefficients.reshape(-1)
    corner = ((geometry * n + first[..., 0]) * n + first[..., 1]) * n + first[..., 2]
    total = jnp.zeros(q.shape[:-1], flat.dtype)
    for i in range(_TAPS):
        for j in range(_TAPS):
            row = sum(flat[corner + (i * n + j) * n + k] * weight[k][..., 2] for k in range(_TAPS))
            total = total + row * (weight[i][..., 0] * weight[j][..., 1])
    if not jnp.iscomplexobj(total):
        return total
    return total * jnp.exp(-1j * (q @ grid.centroid[geometry]))


def _extent(bodies, q_max, oversampling):
    """Grid step, and samples on either side of q = 0."""
    step = math.pi / (max(_reach(body) for body in bodies) * oversampling)
    half = math.ceil(q_max / step) + _MARGIN
    return step, half + -half % 4  # few distinct shapes, so that another q_max may meet a compiled program


def _reach(body):
    """Largest distance of a vertex from the centroid."""
    middle, half = body.edge_midpoint - body.centroid, body.edge_vector / 2
    return max(float(jnp.linalg.norm(end, axis=-1).max()) for end in (middle - half, middle + half))


_form_factor = jax.jit(form_factor)


def _spline_coefficients(body, upper, inside, half):
    """complex64 (n, n, n) from the exact form factor at the grid points `upper[inside]`, zero elsewhere."""
    centred = body._replace(
        edge_midpoint=body.edge_midpoint - body.centroid,
        face_centroid=body.face_centroid - body.centroid,
        centroid=jnp.zeros(3),
    )
    block = min(max(256, 4_000_000 // len(body.edge_left)), len(inside))
    value = np.zeros(len(upper), np.complex64)
    for first in range(0, len(inside), block):
        rows = inside[first : first + block]
        padded = np.resize(rows, block)  # one shape, one compilation
        value[rows] = np.asarray(_form_factor(centred, jnp.asarray(upper[padded], jnp.float32)))[: len(rows)]
    value = value.reshape(2 * half + 1, 2 * half + 1, half + 1)
    samples = np.concatenate([value[::-1, ::-1, :0:-1].conj(), value], -1)
    coefficients = spline_filter(samples, _ORDER, np.complex64, "mirror")  # pyright: ignore[reportArgumentType]
    return np.asarray(coefficients)


def _bspline_weights(t):
    """The four cubic B-spline weights at fraction t in [0, 1) past the second tap."""
    u = 1 - t
    return [u**3 / 6, 2 / 3 - t**2 * (2 - t) / 2, 2 / 3 - u**2 * (2 - u) / 2, t**3 / 6]
