"""Which real frames look like nothing that was simulated."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ...geometries.errors import InputError
from ..metrics import rate_interval

_NEIGHBOURS = 5
_WITHIN = 0.99
_FARTHEST = 20.0


class Outside(NamedTuple):
    """is_outside: of each real frame; distance: mean of its nearest simulated frames', 1 where 99 % of the simulated
    ones' own end; nearest: numbers of these frames, the nearest first; share and interval: of real frames outside, 0.01
    where they are as the simulated ones."""

    is_outside: Bool[np.ndarray, " frames"]
    distance: Float[np.ndarray, " frames"]
    nearest: Int[np.ndarray, "frames neighbours"]
    share: float
    interval: tuple[float, float]


def outside(real: Float[np.ndarray, "frames features"], simulated: Float[np.ndarray, "simulated features"]) -> Outside:
    """Real frames whose five nearest simulated neighbours lie farther than 99 % of the simulated ones' own do.

    Distances are Euclidean between features in units of their interquartile range in the simulation (mean distance to
    nearest neighbours as in Angiulli & Pizzuti 2002, PKDD, 15). Raises InputError for fewer than 50 simulated frames.
    """
    from sklearn.neighbors import NearestNeighbors

    if len(simulated) < 50:
        raise InputError(f"there are {len(simulated)} simulated frames: give 50 or more (--patterns)")
    low, middle, high = np.quantile(simulated, [0.25, 0.5, 0.75], axis=0)
    width = np.where(high > low, high - low, np.maximum(simulated.std(0), 1e-6))
    here, there = (np.clip((values - middle) / width, -_FARTHEST, _FARTHEST) for values in (simulated, real))
    search = NearestNeighbors(n_neighbors=_NEIGHBOURS).fit(here)
    own, _ = search.kneighbors()  # a frame is not its own neighbour
    farthest = max(float(np.quantile(own.mean(1), _WITHIN)), 1e-9)
    distance, nearest = search.kneighbors(there)
    distance = distance.mean(1) / farthest
    is_outside = distance > 1
    count = int(is_outside.sum())
    return Outside(is_outside, distance, nearest, count / len(real), rate_interval(count, len(real)))
