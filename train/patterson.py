"""Patterns as Patterson maps, where one particle and several differ in the same way whatever their shape."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Real

from .smoothing import blur, local_mean

_LOCAL = 1 / 16  # standard deviation of the local mean, in sizes of the frame: wider than a fringe of one particle
_TAPER = 1 / 40  # standard deviation, in sizes of the frame, of the blur that softens the edges of what is masked
_FLOOR = 0.02  # photons per pixel under which a lone photon counts for less
_CONTRAST = 0.1  # contrast that counts as 1, however far it stands out of the noise
_HIGHEST = 30.0  # standard deviations; stray bright pixels must not outshine the fringes


def patterson_map(
    counts: Real[Array | np.ndarray, "batch size size"], bad: Bool[Array | np.ndarray, "*masks size size"]
) -> Float[Array, "batch size size//2"]:
    """Signal to noise of the fringes by their spacing: log(1 + power over noise power).

    The Fourier transform of a pattern is the autocorrelation of what scattered (Patterson 1934, Phys. Rev. 46, 372).
    One particle is a patch about the origin that reaches as far as its longest extent; two particles add a patch at
    their distance from each other, on either side. The map is symmetric about the origin, so half of it is given:
    distances along rows count from 0 in the first column, those along columns from the middle row.

    Counts are taken against their local mean and in units of its Poisson noise, so that the bright centre does not
    drown the fringes and noise is 1 everywhere. Where a tenth of the local mean is more than the noise, that is the
    unit: else the sharp rings of a bright particle have harmonics beyond its extent, where other particles show.
    Towards masked pixels fringes fade out: a sharp edge, such as that of the hole in the bright centre, would spread
    over the whole map and tell one detector from another. bad: one mask, or one a pattern.
    """
    size = counts.shape[-1]
    good = (~bad).astype(jnp.float32)
    local = local_mean(counts, bad, _LOCAL)
    fringes = (counts - local) / jnp.sqrt(local + _FLOOR + (_CONTRAST * local) ** 2)
    kept = jnp.clip(1 - 3 * blur(1 - good, _TAPER), 0, 1) * good
    transform = jnp.fft.rfft2(jnp.where(bad, 0, jnp.clip(fringes, -_HIGHEST, _HIGHEST)) * kept)[..., : size // 2]
    power = (transform.real**2 + transform.imag**2) / jnp.maximum((kept**2).sum((-2, -1), keepdims=True), 1)
    return jnp.log1p(jnp.fft.fftshift(power, axes=-2))
