"""Scene to expected photons: amplitudes added coherently, then the intensity each pixel receives."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from .hit import Scene, body_to_laboratory
from .reciprocal import DetectorPlane

FormFactor = Callable[[jax.Array, jax.Array], jax.Array]
"""(geometry index (), q (..., 3) in inverse unit diameters) -> complex amplitude of the unit body (...)."""


def particle_amplitudes(scene: Scene, plane: DetectorPlane, wavenumber, form_factor: FormFactor) -> jax.Array:
    """Amplitude of every particle about its own centre, (N, ny, nx) complex64, in nm^3 (m^6 would
    underflow float32); absent ones are 0.

    Turning, stretching and scaling a body by the matrix M turns its transform into |det M| F(M^T q).
    """
    q = wavenumber * plane.node_scattering

    def at_nodes(geometry, matrix):
        volume_nm3 = jnp.linalg.det(matrix * 1e9)
        return volume_nm3 * form_factor(geometry, jnp.einsum("yxi,ij->yxj", q, matrix))

    nodes = jax.vmap(at_nodes)(scene.geometry, body_to_laboratory(scene))
    nodes = nodes * (scene.present * jnp.sqrt(scene.fluence))[:, None, None]

    def interpolate(part):
        rows = jnp.einsum("ya,nab->nyb", plane.to_rows, part)
        return jnp.einsum("nyb,xb->nyx", rows, plane.to_columns)

    if jnp.iscomplexobj(nodes):
        return jax.lax.complex(interpolate(nodes.real), interpolate(nodes.imag))
    return interpolate(nodes).astype(jnp.complex64)


def intensity(amplitude: jax.Array, scene: Scene, plane: DetectorPlane, wavenumber) -> jax.Array:
    """|sum of the particles' waves|^2 averaged over each pixel, (ny, nx), in nm^6.

    amplitude: (N, ny, nx), about each particle's centre; its place r adds the phase exp(-i q.r).
    """
    count = amplitude.shape[0]
    total = jnp.abs(amplitude[0]) ** 2
    if count == 1:
        return total
    shift = -wavenumber * jnp.einsum("yxi,ni->nyx", plane.scattering, scene.position_m)
    wave = amplitude * jax.lax.complex(jnp.cos(shift), jnp.sin(shift))
    first, second = np.triu_indices(count, 1)
    contrast = pixel_contrast(plane, wavenumber, scene.position_m[second] - scene.position_m[first])
    total = jnp.sum(jnp.abs(wave) ** 2, 0)
    for pair, (i, j) in enumerate(zip(first, second, strict=True)):
        cross = wave[i].real * wave[j].real + wave[i].imag * wave[j].imag
        total = total + 2 * contrast[pair] * cross
    return total


def pixel_contrast(plane: DetectorPlane, wavenumber, separation) -> jax.Array:
    """How much of the interference of two points survives averaging over a pixel: (..., ny, nx), at most 1.

    separation: (..., 3) m. The interference oscillates as cos(q.separation), possibly faster than the pixels; across
    one pixel its phase is linear, so its mean there is a product of two sinc functions. These change so little
    over the detector that a few nodes hold them.
    """
    across_row = jnp.einsum("yxi,...i->...yx", plane.coarse_step_x, separation)
    across_column = jnp.einsum("yxi,...i->...yx", plane.coarse_step_y, separation)
    scale = wavenumber / (2 * jnp.pi)
    coarse = jnp.sinc(scale * across_row) * jnp.sinc(scale * across_column)
    rows = jnp.einsum("ya,...ab->...yb", plane.coarse_to_rows, coarse)
    return jnp.einsum("...yb,xb->...yx", rows, plane.coarse_to_columns)
