"""Patterns as Patterson maps, where one particle and several differ in the same way whatever their shape."""

import jax.numpy as jnp

_LOCAL = 1 / 16  # standard deviation of the local mean, in sizes of the frame: wider than a fringe of one particle
_FLOOR = 0.02  # photons per pixel under which a lone photon counts for less
_HIGHEST = 30.0  # standard deviations; stray bright pixels must not outshine the fringes


def patterson_map(counts, bad):
    """Signal to noise of the fringes by their spacing: (B, size, size // 2) float32, log(1 + power over noise power).

    The Fourier transform of a pattern is the autocorrelation of what scattered (Patterson 1934, Phys. Rev. 46, 372).
    One particle is a patch about the origin that reaches as far as its longest extent; two particles add a patch at
    their distance from each other, on either side. The map is symmetric about the origin, so half of it is given:
    distances along rows count from 0 in the first column, those along columns from the middle row.

    Counts are taken against their local mean and in units of its Poisson noise, so that the bright centre does not
    drown the fringes and noise is 1 everywhere. counts: (B, size, size); bad: (size, size), or one mask a pattern.
    """
    size = counts.shape[-1]
    apart = (jnp.arange(size)[:, None] - jnp.arange(size)) / (_LOCAL * size)
    weight = jnp.exp(-(apart**2) / 2)
    good = (~bad).astype(jnp.float32)
    counts = counts * good
    local = _blur(weight, counts) / jnp.maximum(_blur(weight, good), 1e-3)
    fringes = jnp.clip((counts - local) / jnp.sqrt(local + _FLOOR), -_HIGHEST, _HIGHEST) * good
    transform = jnp.fft.rfft2(fringes)[..., : size // 2]
    power = (transform.real**2 + transform.imag**2) / jnp.maximum(good.sum((-2, -1), keepdims=True), 1)
    return jnp.log1p(jnp.fft.fftshift(power, axes=-2))


def _blur(weight, x):
    return jnp.einsum("yj,...jk,xk->...yx", weight, x, weight)
