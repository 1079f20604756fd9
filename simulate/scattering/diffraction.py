"""Scene to expected photons: amplitudes added coherently, then the intensity each pixel receives."""

# JAX tells types in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, Int

from ...geometries.elementary import ball_transform, cos_sin
from ...geometries.form_factor import ellipsoid_form_factor
from ..beamline.reciprocal import DetectorPlane
from .orientation import rotation_matrix
from .scene import Scene
from .seam import Pulse

_MOST_PAIRS = 120
"""Summed at once."""

FormFactor = Callable[
    [Int[Array, " bodies"], Float[Array, "bodies panels rows columns 3"]], Inexact[Array, "bodies panels rows columns"]
]
"""(geometry indices, q in inverse unit diameters) -> real or complex amplitudes of unit bodies."""


def body_to_laboratory(scene: Scene) -> Float[Array, "bodies 3 3"]:
    """Linear maps from the unit body to the body in the scene, in m: rotation x stretch x diameter."""
    scale = scene.stretch * scene.diameter_m[:, None]
    return rotation_matrix(scene.orientation) * scale[:, None, :]


def particle_amplitudes(
    scene: Scene, plane: DetectorPlane, pulse: Pulse, form_factor: FormFactor
) -> Inexact[Array, "bodies panels framed_rows framed_columns"]:
    """Amplitude of every body about its own centre on framed panels, in nm^3 (its square in m^6 would underflow
    float32): complex64, or float32 where `form_factor` is real.

    Turning, stretching and scaling a body by the matrix M turns its transform into |det M| F(M^T q).
    """
    q = pulse.wavenumber * (plane.node_scattering - pulse.tilt)
    matrix = body_to_laboratory(scene)
    volume_nm3 = jnp.linalg.det(matrix * 1e9)[:, None, None, None]

    def interpolate(
        nodes: Float[Array, "*parts bodies panels node_rows node_columns"],
    ) -> Float[Array, "*parts bodies panels framed_rows framed_columns"]:
        rows = jnp.einsum("ya,...ab->...yb", plane.to_rows, nodes * volume_nm3)
        return jnp.einsum("...yb,xb->...yx", rows, plane.to_columns)

    nodes = form_factor(scene.geometry, jnp.einsum("pyxi,nij->npyxj", q, matrix))
    if not jnp.iscomplexobj(nodes):
        return interpolate(nodes)
    # At once: XLA merges products with the same matrix, which is many times slower.
    return jax.lax.complex(*interpolate(jnp.stack([nodes.real, nodes.imag])))


def ellipsoid_amplitudes(
    scene: Scene, plane: DetectorPlane, pulse: Pulse
) -> Float[Array, "bodies panels framed_rows framed_columns"]:
    """The same, float32, for bodies that are all ellipsoids: in closed form at every pixel, of any size."""
    q = pulse.wavenumber * (plane.framed_scattering - pulse.tilt)

    def at_pixels(matrix: Float[Array, "3 3"]) -> Float[Array, "panels framed_rows framed_columns"]:
        volume_nm3 = jnp.linalg.det(matrix * 1e9)
        return volume_nm3 * ellipsoid_form_factor(jnp.float32(0.5), jnp.einsum("pyxi,ij->pyxj", q, matrix))

    return jax.vmap(at_pixels)(body_to_laboratory(scene))


def intensity(
    amplitude: Inexact[Array, "bodies panels framed_rows framed_columns"],
    scene: Scene,
    plane: DetectorPlane,
    pulse: Pulse,
) -> Float[Array, "y x"]:
    """|sum of the bodies' waves|^2 averaged over each pixel and the pulse's spectrum, in nm^6.

    amplitude: about each body's centre. A body's wave is that times its contrast, the
    square root of its fluence and, for its place r, the phase exp(-i q.r); absent bodies have none.

    The phase between two bodies may change fast inside a pixel: see `fringe_averages`. The product of two amplitudes
    does not: its value, curvature and slope there come from the neighbouring pixels.
    """
    weight = scene.contrast * scene.present * jnp.sqrt(scene.fluence)
    brightness = (weight.real**2 + weight.imag**2)[:, None, None, None]
    total = jnp.sum(brightness * _mean_and_slopes(_times_conjugate(amplitude, amplitude)[0])[0], 0)
    if len(amplitude) > 1:
        total = jnp.maximum(total + _interference(amplitude, weight, scene, plane, pulse), 0.0)
    return total.reshape(plane.solid_angle.shape)


def _interference(
    amplitude: Inexact[Array, "bodies panels framed_rows framed_columns"],
    weight: Inexact[Array, " bodies"],
    scene: Scene,
    plane: DetectorPlane,
    pulse: Pulse,
) -> Float[Array, "panels rows columns"]:
    """What the sum over pairs of bodies adds, in nm^6."""
    # Many pairs at once: one by one they would take seconds more to compile. All at once would fill the memory.
    first, second = np.triu_indices(len(weight), 1)
    pairs = len(first)
    if pairs <= _MOST_PAIRS:
        return _of_pairs(first, second, weight[first] * weight[second].conj(), amplitude, scene, plane, pulse)
    blocks = -(-pairs // _MOST_PAIRS)
    size = -(-pairs // blocks)
    first, second = np.resize(first, (blocks, size)), np.resize(second, (blocks, size))
    there = np.arange(blocks * size).reshape(blocks, size) < pairs  # the last block is filled up with others
    both = jnp.where(there, weight[first] * weight[second].conj(), 0.0)

    def add(
        total: Float[Array, "panels rows columns"],
        block: tuple[Int[Array, " pairs"], Int[Array, " pairs"], Inexact[Array, " pairs"]],
    ) -> tuple[Float[Array, "panels rows columns"], None]:
        one, other, of_both = block
        return total + _of_pairs(one, other, of_both, amplitude, scene, plane, pulse), None

    nothing = jnp.zeros(amplitude[0, :, 1:-1, 1:-1].shape)
    return jax.lax.scan(add, nothing, (jnp.asarray(first), jnp.asarray(second), both))[0]


def _of_pairs(
    first: Int[Array | np.ndarray, " pairs"],
    second: Int[Array | np.ndarray, " pairs"],
    weight: Inexact[Array, " pairs"],
    amplitude: Inexact[Array, "bodies panels framed_rows framed_columns"],
    scene: Scene,
    plane: DetectorPlane,
    pulse: Pulse,
) -> Float[Array, "panels rows columns"]:
    """What some pairs add; weight: the product of those of the two, the second's conjugate."""
    separation = scene.position_m[second] - scene.position_m[first]
    mean, slope_x, slope_y = fringe_averages(plane, pulse, separation)
    (real, real_x, real_y), (imag, imag_x, imag_y) = (
        _mean_and_slopes(part) for part in _times_conjugate(amplitude[first], amplitude[second])
    )
    in_phase = mean * real - slope_x * imag_x - slope_y * imag_y
    quadrature = mean * imag + slope_x * real_x + slope_y * real_y

    q = pulse.wavenumber * (plane.framed_scattering[:, 1:-1, 1:-1] - pulse.tilt)
    x, y, z = jnp.moveaxis(separation, -1, 0)[..., None, None, None]
    # Components one by one: a contraction would be written to memory and transposed.
    phase = q[..., 0] * x + q[..., 1] * y + q[..., 2] * z
    cosine, sine = cos_sin(phase)
    if pulse.bandwidth is not None:
        # The mean of the fringes over wavenumbers k (1 + bandwidth x), x a standard normal deviate.
        blur = jnp.exp(-((pulse.bandwidth * phase) ** 2) / 2)
        cosine, sine = cosine * blur, sine * blur
    pair = weight[:, None, None, None]
    cross = pair.real * (in_phase * cosine - quadrature * sine) - pair.imag * (in_phase * sine + quadrature * cosine)
    return 2 * jnp.sum(cross, 0)


def _times_conjugate(
    a: Inexact[Array, "*any"], b: Inexact[Array, "*any"]
) -> tuple[Float[Array, "*any"], Float[Array, "*any"]]:
    """Real and imaginary part of a b*, of real or complex arrays."""
    if not jnp.iscomplexobj(a):
        return a * b, jnp.zeros_like(a)
    return a.real * b.real + a.imag * b.imag, a.imag * b.real - a.real * b.imag


def _mean_and_slopes(
    framed: Float[Array, "*any framed_rows framed_columns"],
) -> tuple[Float[Array, "*any rows columns"], Float[Array, "*any rows columns"], Float[Array, "*any rows columns"]]:
    """Mean over each pixel, and change across it along its row and along its column, of functions on framed panels.
    Parabolas through neighbours, right to third order."""
    middle, left, right = framed[..., 1:-1, 1:-1], framed[..., 1:-1, :-2], framed[..., 1:-1, 2:]
    above, below = framed[..., :-2, 1:-1], framed[..., 2:, 1:-1]
    mean = middle * (5 / 6) + (left + right + above + below) / 24
    return mean, (right - left) / 2, (below - above) / 2


def fringe_averages(
    plane: DetectorPlane, pulse: Pulse, separation: Float[Array, "*any 3"]
) -> Float[Array, "3 *any panels rows columns"]:
    """How interference of two points, exp(i phase) at pixel centres, averages over the pixels.

    separation: m. Across one pixel the phase is linear, so the mean is exp(i phase) times a product of two
    sinc functions: the first of the three. The others are the means times x and times y, -1/2 to 1/2 across the
    pixel, over i exp(i phase). All change so little over a panel that a few nodes hold them. Transverse coherence is
    that of a Gaussian Schell-model beam, exp(-separation^2 / 2 coherence_length^2) (Vartanyants & Singer 2010, New
    J. Phys. 12, 035004).
    """
    x, y = (
        pulse.wavenumber / 2 * jnp.einsum("pyxi,...i->...pyx", step, separation)
        for step in (plane.coarse_step_x, plane.coarse_step_y)
    )
    mean_x, mean_y = (jnp.sinc(half / jnp.pi) for half in (x, y))
    slope_x, slope_y = (half / 6 * ball_transform(half**2) for half in (x, y))  # j1(half) / 2
    if pulse.coherence_length_m is not None:
        across2 = jnp.sum((separation[..., :2] / pulse.coherence_length_m) ** 2, -1)
        visibility = jnp.exp(-across2 / 2)[..., None, None, None]
        mean_x, slope_x = mean_x * visibility, slope_x * visibility

    coarse = jnp.stack([mean_x * mean_y, slope_x * mean_y, mean_x * slope_y])
    rows = jnp.einsum("ya,...pab->...pyb", plane.coarse_to_rows, coarse)
    # Term by term: a product of matrices would be written to memory.
    terms: list[jax.Array] = [rows[..., b, None] * column for b, column in enumerate(plane.coarse_to_columns.T)]
    return sum(terms[1:], terms[0])
