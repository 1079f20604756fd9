"""Pictures and what lies opposite: by Friedel's law both sides of the beam show the same, but for noise and faults."""

import numpy as np
from jaxtyping import Bool, Float, Shaped
from scipy.ndimage import uniform_filter


def around(shape: tuple[int, ...], centre: tuple[float, float]) -> tuple[slice, slice]:
    """The largest part of a picture that the centre, known to half a pixel, is the middle of: reversed along both axes,
    every pixel of it comes to lie on its partner."""
    first = [max(0, round(2 * middle) - (size - 1)) for size, middle in zip(shape, centre, strict=True)]
    last = [min(size - 1, round(2 * middle)) for size, middle in zip(shape, centre, strict=True)]
    return slice(first[0], last[0] + 1), slice(first[1], last[1] + 1)


def turned(pictures: Shaped[np.ndarray, "*batch y x"]) -> Shaped[np.ndarray, "*batch y x"]:
    """Turned by 180 degrees about the middle."""
    return pictures[..., ::-1, ::-1]


def sums_around(picture: Float[np.ndarray, "y x"] | Bool[np.ndarray, "y x"], width: int) -> Float[np.ndarray, "y x"]:
    """Sums over squares of an odd width around each pixel; nothing lies beyond the edge."""
    return uniform_filter(np.asarray(picture, float), width, mode="constant") * width**2
