"""How far the points of a particle are apart."""

# SciPy tells types in part only.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

import numpy as np
from jaxtyping import Float


def longest_distance(points: Float[np.ndarray, "points 3"], middle: Float[np.ndarray, "xyz=3"]) -> float:
    """Largest distance between two points; middle: any place amid them, the better the quicker."""
    from scipy.spatial import ConvexHull, QhullError
    from scipy.spatial.distance import cdist

    def outermost(points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "outermost 3"]:
        """Without those that, by the triangle inequality, are no ends of something longer than what is found."""
        radius = np.linalg.norm(points - middle, axis=1)
        found = np.linalg.norm(points - points[radius.argmax()], axis=1).max()
        return points[radius >= (found - radius.max()) * (1 - 1e-9)]

    try:
        hull = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):  # points in a plane, or too few
        hull = points
    ends = outermost(hull)
    blocks = np.array_split(ends, -(-len(ends) // 512))  # n^2 distances at once would fill the memory
    return float(max(cdist(block, ends).max() for block in blocks))
