"""Scene to expected photons: amplitudes added coherently, then the intensity each pixel receives."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..geometries.form_factor import ellipsoid_form_factor
from .hit import Scene, body_to_laboratory
from .reciprocal import DetectorPlane

FormFactor = Callable[[jax.Array, jax.Array], jax.Array]
"""(geometry index (), q (..., 3) in inverse unit diameters) -> complex amplitude of the unit body (...)."""


class Pulse(NamedTuple):
    """One pulse. wavenumber: (), 1/m; tilt: (3,), unit vector along the beam minus that along z; coherence_length_m:
    (), transverse, None for full coherence; bandwidth: (), standard deviation of the wavenumber, relative, None for a
    monochromatic pulse."""

    wavenumber: jax.Array | float
    tilt: jax.Array | float = 0.0
    coherence_length_m: jax.Array | float | None = None
    bandwidth: jax.Array | float | None = None


def particle_amplitudes(scene: Scene, plane: DetectorPlane, pulse: Pulse, form_factor: FormFactor) -> jax.Array:
    """Amplitude of every particle about its own centre, (N, ny, nx) complex64; absent ones are 0.

    It is the form factor in nm^3 (its square in m^6 would underflow float32), times the contrast and the square root
    of the fluence. Turning, stretching and scaling a body by the matrix M turns its transform into |det M| F(M^T q).
    """
    q = pulse.wavenumber * (plane.node_scattering - pulse.tilt)

    def at_nodes(geometry, matrix):
        volume_nm3 = jnp.linalg.det(matrix * 1e9)
        return volume_nm3 * form_factor(geometry, jnp.einsum("pyxi,ij->pyxj", q, matrix))

    nodes = jax.vmap(at_nodes)(scene.geometry, body_to_laboratory(scene))

    def interpolate(part):
        rows = jnp.einsum("ya,npab->npyb", plane.to_rows, part)
        pixels = jnp.einsum("npyb,xb->npyx", rows, plane.to_columns)
        return pixels.reshape(len(part), *plane.solid_angle.shape)

    if jnp.iscomplexobj(nodes):
        pixels = jax.lax.complex(interpolate(nodes.real), interpolate(nodes.imag))
    else:
        pixels = interpolate(nodes)
    return pixels * _weight(scene)


def ellipsoid_amplitudes(scene: Scene, plane: DetectorPlane, pulse: Pulse) -> jax.Array:
    """As `particle_amplitudes`, for bodies that are all ellipsoids: in closed form at every pixel, of any size."""
    q = pulse.wavenumber * (plane.scattering - pulse.tilt)

    def at_pixels(matrix):
        volume_nm3 = jnp.linalg.det(matrix * 1e9)
        return volume_nm3 * ellipsoid_form_factor(jnp.float32(0.5), jnp.einsum("yxi,ij->yxj", q, matrix))

    return jax.vmap(at_pixels)(body_to_laboratory(scene)) * _weight(scene)


def intensity(amplitude: jax.Array, scene: Scene, plane: DetectorPlane, pulse: Pulse) -> jax.Array:
    """|sum of the bodies' waves|^2 averaged over each pixel and the pulse's spectrum, (ny, nx), in nm^6.

    amplitude: (N, ny, nx), about each body's centre; its place r adds the phase exp(-i q.r).
    """
    count = amplitude.shape[0]
    total = jnp.abs(amplitude[0]) ** 2
    if count == 1:
        return total
    scattering = plane.scattering - pulse.tilt
    # Only differences of place matter: the first body needs no phase.
    relative = scene.position_m[1:] - scene.position_m[0]
    shift = [jnp.float32(0), *(-pulse.wavenumber * jnp.einsum("yxi,ni->nyx", scattering, relative))]
    wave = [
        amplitude[0],
        *(amplitude[j] * jax.lax.complex(jnp.cos(shift[j]), jnp.sin(shift[j])) for j in range(1, count)),
    ]
    first, second = np.triu_indices(count, 1)
    contrast = fringe_contrast(plane, pulse, scene.position_m[second] - scene.position_m[first])
    total = jnp.sum(jnp.abs(amplitude) ** 2, 0)
    for pair, (i, j) in enumerate(zip(first, second, strict=True)):
        cross = wave[i].real * wave[j].real + wave[i].imag * wave[j].imag
        if pulse.bandwidth is not None:
            # The mean of the fringes over wavenumbers k (1 + bandwidth x), x a standard normal deviate.
            cross = cross * jnp.exp(-((pulse.bandwidth * (shift[j] - shift[i])) ** 2) / 2)
        total = total + 2 * contrast[pair] * cross
    return total


def fringe_contrast(plane: DetectorPlane, pulse: Pulse, separation) -> jax.Array:
    """How much of the interference of two points pixels and coherence leave, (..., ny, nx), at most 1.

    separation: (..., 3) m. The interference oscillates as cos(q.separation), possibly faster than the pixels; across
    one pixel its phase is linear, so its mean there is a product of two sinc functions. These change so little over a
    panel that a few nodes hold them. Transverse coherence is that of a Gaussian Schell-model beam,
    exp(-separation^2 / 2 coherence_length^2) (Vartanyants & Singer 2010, New J. Phys. 12, 035004).
    """
    across_row = jnp.einsum("pyxi,...i->...pyx", plane.coarse_step_x, separation)
    across_column = jnp.einsum("pyxi,...i->...pyx", plane.coarse_step_y, separation)
    scale = pulse.wavenumber / (2 * jnp.pi)
    coarse = jnp.sinc(scale * across_row) * jnp.sinc(scale * across_column)
    if pulse.coherence_length_m is not None:
        across2 = jnp.sum((separation[..., :2] / pulse.coherence_length_m) ** 2, -1)
        coarse = coarse * jnp.exp(-across2 / 2)[..., None, None, None]
    rows = jnp.einsum("ya,...pab->...pyb", plane.coarse_to_rows, coarse)
    pixels = jnp.einsum("...pyb,xb->...pyx", rows, plane.coarse_to_columns)
    return pixels.reshape(*separation.shape[:-1], *plane.solid_angle.shape)


def _weight(scene: Scene) -> jax.Array:
    return (scene.contrast * scene.present * jnp.sqrt(scene.fluence))[:, None, None].astype(jnp.complex64)
