"""Distances from the centre of a picture, and what lies at each of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num


def radial_profile(
    picture: Num[np.ndarray, "y x"],
    centre: tuple[float, float] | None = None,
    reduce: Callable[[Num[np.ndarray, " pixels"]], Any] = np.mean,
) -> Float[np.ndarray, " radii"]:
    """`reduce` of the pixels that are not NaN, by distance from the centre in whole pixels; NaN: none.

    centre: row and column, the picture's middle unless given.
    """
    radius = radius_of(picture.shape, centre)
    rings = np.full(radius.max() + 1, np.nan)
    good = np.isfinite(picture)
    order = np.argsort(radius[good], kind="stable")
    ring, first = np.unique(radius[good][order], return_index=True)
    for number, values in zip(ring, np.split(picture[good][order], first[1:]), strict=False):
        rings[number] = reduce(values)
    return rings


def radius_of(shape: tuple[int, ...], centre: tuple[float, float] | None = None) -> Int[np.ndarray, "y x"]:
    """Distance of each pixel from the centre, as in `radial_profile`."""
    row, column = centre or ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    return np.rint(np.hypot(np.arange(shape[0])[:, None] - row, np.arange(shape[1]) - column)).astype(int)
