"""Where each pixel looks in reciprocal space, and how much of what is scattered there it receives.

A pixel in direction u (unit vector from the interaction point) sees the scattering vector q = k (u - z), k = 2 pi /
wavelength, z the beam axis: a point on the Ewald sphere, |q| = 4 pi sin(theta) / wavelength with 2 theta the
scattering angle. Everything here is per unit k, so that the photon energy stays a free parameter.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from .instrument import Instrument

_COARSE_NODES = 6


class DetectorPlane(NamedTuple):
    """Arrays of an instrument's pixels and of the coarse nodes that amplitudes are computed on.

    The amplitude of one particle is band-limited on the detector: its extent bounds how fast it can change from
    pixel to pixel. So it is computed exactly on the few Chebyshev nodes that this bound asks for, and
    interpolated to all pixels by two small matrix products.

    scattering: (ny, nx, 3) float32, q / k; solid_angle: (ny, nx), sr; polarisation: (ny, nx), 0 to 1;
    to_rows: (ny, my), to_columns: (nx, mx), interpolation from nodes to pixels; coarse_*: the same for functions
    that hardly change over the detector, with the change of q / k over one pixel, coarse_step_x and
    coarse_step_y: (c, c, 3).
    """

    scattering: jnp.ndarray
    solid_angle: jnp.ndarray
    polarisation: jnp.ndarray
    node_scattering: jnp.ndarray
    to_rows: jnp.ndarray
    to_columns: jnp.ndarray
    coarse_step_x: jnp.ndarray
    coarse_step_y: jnp.ndarray
    coarse_to_rows: jnp.ndarray
    coarse_to_columns: jnp.ndarray


def detector_plane(instrument: Instrument, radius_m: float) -> DetectorPlane:
    """Pixels of an instrument, and nodes enough for particles that reach `radius_m` from their centre."""
    ny, nx = instrument.shape
    cy, cx = instrument.centre
    y = (np.arange(ny) - cy) * instrument.pixel_size_m
    x = (np.arange(nx) - cx) * instrument.pixel_size_m
    z = instrument.distance_m
    direction, scattering = _scattering(y, x, z)

    range2 = y[:, None] ** 2 + x[None, :] ** 2 + z**2
    solid_angle = instrument.pixel_size_m**2 * z / range2**1.5
    horizontal, vertical = 1 - direction[..., 0] ** 2, 1 - direction[..., 1] ** 2
    polarisation = {
        "horizontal": horizontal,
        "vertical": vertical,
        "unpolarised": (horizontal + vertical) / 2,
    }[instrument.polarisation]

    node_y, to_rows = _chebyshev(y, _node_count(y, instrument.wavenumber * radius_m / z))
    node_x, to_columns = _chebyshev(x, _node_count(x, instrument.wavenumber * radius_m / z))
    _, node_scattering = _scattering(node_y, node_x, z)

    coarse_y, coarse_to_rows = _chebyshev(y, _COARSE_NODES)
    coarse_x, coarse_to_columns = _chebyshev(x, _COARSE_NODES)
    u, _ = _scattering(coarse_y, coarse_x, z)
    # A step along an axis e of the detector turns the direction u by step x u_z / z x (e - u_e u).
    step = instrument.pixel_size_m / z * u[..., 2:]
    step_x = step * (np.array([1.0, 0, 0]) - u[..., :1] * u)
    step_y = step * (np.array([0, 1.0, 0]) - u[..., 1:2] * u)
    arrays = (scattering, solid_angle, polarisation, node_scattering, to_rows, to_columns)
    coarse = (step_x, step_y, coarse_to_rows, coarse_to_columns)
    return DetectorPlane(*(jnp.asarray(a, float) for a in arrays + coarse))


def q_map(instrument: Instrument) -> np.ndarray:
    """Scattering vector of every pixel centre, (ny, nx, 3) float64, in 1/m."""
    cy, cx = instrument.centre
    y = (np.arange(instrument.shape[0]) - cy) * instrument.pixel_size_m
    x = (np.arange(instrument.shape[1]) - cx) * instrument.pixel_size_m
    return instrument.wavenumber * _scattering(y, x, instrument.distance_m)[1]


def _scattering(y, x, z):
    position = np.stack(np.broadcast_arrays(x[None, :], y[:, None], z), -1)
    direction = position / np.linalg.norm(position, axis=-1, keepdims=True)
    scattering = direction.copy()
    # u_z - 1 without the cancellation near the axis.
    scattering[..., 2] = -(direction[..., 0] ** 2 + direction[..., 1] ** 2) / (1 + direction[..., 2])
    return direction, scattering


def _node_count(points, phase_per_m):
    """Chebyshev nodes that hold a signal of that bandwidth over the points' span to about 1e-5.

    The Chebyshev series of exp(i w t), |t| <= 1, has Bessel coefficients J_n(w), which vanish faster than
    exponentially once n passes w by a few w^(1/3) (Trefethen 2013, Approximation Theory and Practice, ch. 7).
    """
    w = phase_per_m * (points[-1] - points[0]) / 2
    count = math.ceil(w + 5 * max(w, 1) ** (1 / 3) + 2)
    return count + -count % 4  # few distinct shapes, so that another diameter meets a compiled program


def _chebyshev(points, count):
    """Chebyshev nodes over the points' span and the (points, nodes) matrix that interpolates from them.

    Barycentric form, Berrut & Trefethen 2004, SIAM Rev. 46, 501, eqs. 4.2 and 5.4.
    """
    if count >= len(points):
        return points, np.eye(len(points))
    middle, half = (points[-1] + points[0]) / 2, (points[-1] - points[0]) / 2
    angle = (2 * np.arange(count) + 1) * np.pi / (2 * count)
    nodes = np.cos(angle)
    weights = np.sin(angle) * (-1.0) ** np.arange(count)
    difference = (points - middle)[:, None] / half - nodes
    at_node = difference == 0
    ratio = weights / np.where(at_node, 1.0, difference)
    matrix = ratio / ratio.sum(1, keepdims=True)
    hit = at_node.any(1)
    matrix[hit] = at_node[hit]
    return middle + half * nodes, matrix
