"""Gaussian blurs of frames of which some pixels are masked."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Real


def blur(x: Float[Array | np.ndarray, "*any size size"], width: float) -> Float[Array, "*any size size"]:
    """Gaussian blur of square frames, which are taken to be zero outside; width: standard deviation in sizes of the
    frame."""
    size = x.shape[-1]
    apart = (jnp.arange(size)[:, None] - jnp.arange(size)) / (width * size)
    weight = jnp.exp(-(apart**2) / 2) / (width * size * jnp.sqrt(2 * jnp.pi))
    return jnp.einsum("yj,...jk,xk->...yx", weight, x, weight)


def local_mean(
    counts: Real[Array | np.ndarray, "batch size size"], bad: Bool[Array | np.ndarray, "*masks size size"], width: float
) -> Float[Array, "batch size size"]:
    """Mean of the good pixels around each pixel, by the weights of `blur`; far from all good pixels it falls to 0.

    bad: one mask, or one a frame. Normalised convolution (Knutsson & Westin 1993,
    Proc. IEEE CVPR, 515).
    """
    good = (~bad).astype(jnp.float32)
    return blur(counts * good, width) / jnp.maximum(blur(good, width), 1e-3)
