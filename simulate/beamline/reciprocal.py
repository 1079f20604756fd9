"""Where each pixel looks in reciprocal space, and how much of what is scattered there it receives.

A pixel in direction u (unit vector from the interaction point) sees the scattering vector q = k (u - z), k = 2 pi /
wavelength, z the beam axis: a point on the Ewald sphere, |q| = 4 pi sin(theta) / wavelength with 2 theta the
scattering angle. Everything here is per unit k, so that the photon energy stays a free parameter.
"""

# JAX tells types in part only.
# pyright: reportUnknownMemberType=false

import math
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from .instrument import Instrument
from .pixels import panel_positions, panel_vectors, pixel_offsets, pixel_positions

_COARSE_NODES = 6


class DetectorPlane(NamedTuple):
    """Arrays of an instrument's pixels and of the coarse nodes that amplitudes are computed on.

    The amplitude of one particle is band-limited on the detector: its extent bounds how fast it can change from
    pixel to pixel. So it is computed exactly on the few Chebyshev nodes of each panel that this bound asks for, and
    interpolated to all pixels by two small matrix products, the same for all panels. "Framed" panels have one more row
    and column of pixels on every side, which tell how functions change inside the outermost pixels.

    framed_scattering: q / k at pixel centres; solid_angle: sr; polarisation: 0 to 1; node_scattering: q / k of each
    panel's nodes; to_rows, to_columns: interpolation from the nodes to framed panels; coarse_*: the same for functions
    that hardly change over a panel, to bare panels, with the change of q / k from a pixel to its neighbour in the row,
    coarse_step_x, and to the next row, coarse_step_y.
    """

    framed_scattering: Float[Array, "panels rows+2 columns+2 3"]
    solid_angle: Float[Array, "y x"]
    polarisation: Float[Array, "y x"]
    node_scattering: Float[Array, "panels node_rows node_columns 3"]
    to_rows: Float[Array, "rows+2 node_rows"]
    to_columns: Float[Array, "columns+2 node_columns"]
    coarse_step_x: Float[Array, "panels coarse_rows coarse_columns 3"]
    coarse_step_y: Float[Array, "panels coarse_rows coarse_columns 3"]
    coarse_to_rows: Float[Array, "rows coarse_rows"]
    coarse_to_columns: Float[Array, "columns coarse_columns"]

    @property
    def scattering(self) -> Float[Array, "y x 3"]:
        """q / k at pixel centres."""
        return self.framed_scattering[:, 1:-1, 1:-1].reshape(*self.solid_angle.shape, 3)


def detector_plane(
    instrument: Instrument, radius_m: float, split: int = 1, farthest_along_m: float = 0.0
) -> DetectorPlane:
    """Pixels of an instrument, each split into split x split, and nodes enough for particles that reach `radius_m` from
    their centre; farthest_along_m: two of them along the beam, where they may be farther apart than the focus is
    wide."""
    row, column = (
        (a[:, None] + (np.arange(split) - (split - 1) / 2) / split).ravel() for a in pixel_offsets(instrument)
    )
    _, fast, slow = panel_vectors(instrument)
    framed_row, framed_column = (np.concatenate([[a[0] - 1 / split], a, [a[-1] + 1 / split]]) for a in (row, column))
    position = panel_positions(instrument, row, column)
    distance, direction, _ = _scattering(position)
    framed_scattering = _scattering(panel_positions(instrument, framed_row, framed_column))[2]

    # A pixel seen from the interaction point: its area, projected, over the square of the distance.
    normal = np.cross(fast, slow)[:, None, None]
    solid_angle = np.abs(np.sum(position * normal, -1)) / distance**3 / split**2
    horizontal, vertical = 1 - direction[..., 0] ** 2, 1 - direction[..., 1] ** 2
    polarisation = {
        "horizontal": horizontal,
        "vertical": vertical,
        "unpolarised": (horizontal + vertical) / 2,
    }[instrument.polarisation]

    def phase_per_pixel(step: Float[np.ndarray, "panels 3"]) -> float:
        turn = np.linalg.norm(step, axis=-1) / distance.min((1, 2))
        return instrument.wavenumber * radius_m * turn.max()

    node_row, to_rows = _chebyshev(framed_row, _node_count(framed_row, phase_per_pixel(slow)))
    node_column, to_columns = _chebyshev(framed_column, _node_count(framed_column, phase_per_pixel(fast)))
    _, _, node_scattering = _scattering(panel_positions(instrument, node_row, node_column))

    def coarse_nodes(
        points: Float[np.ndarray, " points"], step: Float[np.ndarray, "panels 3"]
    ) -> tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, "points nodes"]]:
        # From pixel to pixel, the phase between two particles one behind the other changes faster and faster.
        turn = np.linalg.norm(step, axis=-1).max() / distance.min()
        faster = instrument.wavenumber / 2 * farthest_along_m * turn**2 / split
        return _chebyshev(points, max(_COARSE_NODES, _node_count(points, faster) if farthest_along_m else 0))

    coarse_row, coarse_to_rows = coarse_nodes(row, slow)
    coarse_column, coarse_to_columns = coarse_nodes(column, fast)
    coarse_distance, u, _ = _scattering(panel_positions(instrument, coarse_row, coarse_column))

    def change_of_direction(step: Float[np.ndarray, "panels 3"]) -> Float[np.ndarray, "panels rows columns 3"]:
        change = step[:, None, None] / split
        return (change - np.sum(change * u, -1, keepdims=True) * u) / coarse_distance[..., None]

    ny, nx = (split * n for n in instrument.shape)
    pixels = (framed_scattering, solid_angle.reshape(ny, nx), polarisation.reshape(ny, nx))
    nodes = (node_scattering, to_rows, to_columns)
    coarse = (change_of_direction(fast), change_of_direction(slow), coarse_to_rows, coarse_to_columns)
    # jnp.asarray compiles a program for every shape.
    return DetectorPlane(*(jax.device_put(array) for array in pixels + nodes + coarse))


def q_map(instrument: Instrument) -> Float[np.ndarray, "y x 3"]:
    """Scattering vector of every pixel centre, in 1/m: q = k (u - z), u the direction to it, z that of the beam, so
    that |q| = 4 pi sin(theta) / wavelength, 2 theta the angle between the two."""
    return instrument.wavenumber * _scattering(pixel_positions(instrument))[2]


def _scattering(
    position: Float[np.ndarray, "*any 3"],
) -> tuple[Float[np.ndarray, "*any"], Float[np.ndarray, "*any 3"], Float[np.ndarray, "*any 3"]]:
    """Distance from the interaction point, unit vector, and q / k."""
    distance = np.linalg.norm(position, axis=-1)
    direction = position / distance[..., None]
    scattering = direction.copy()
    # u_z - 1 without the cancellation near the axis.
    scattering[..., 2] = -(direction[..., 0] ** 2 + direction[..., 1] ** 2) / (1 + direction[..., 2])
    return distance, direction, scattering


def _node_count(points: Float[np.ndarray, " points"], phase_per_point: float) -> int:
    """Chebyshev nodes that hold a signal of that bandwidth over the points' span to 1e-4.

    The Chebyshev series of exp(i w t), |t| <= 1, has Bessel coefficients J_n(w), which vanish faster than
    exponentially once n passes w by a few w^(1/3) (Trefethen 2013, Approximation Theory and Practice, ch. 7).
    """
    w = phase_per_point * (points[-1] - points[0]) / 2
    count = math.ceil(w + 3.5 * max(w, 1) ** (1 / 3) + 2)
    return count + -count % 4  # few distinct shapes, so that another diameter meets a compiled program


def _chebyshev(
    points: Float[np.ndarray, " points"], count: int
) -> tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, "points nodes"]]:
    """Chebyshev nodes over the points' span and the matrix that interpolates from them.

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
