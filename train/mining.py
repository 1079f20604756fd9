"""Hard patterns: which of many to train on."""

import numpy as np
from jaxtyping import Float, Int, Integer


def hardest(
    label: Integer[np.ndarray, " candidates"], score: Float[np.ndarray, " candidates"], count: int
) -> Int[np.ndarray, " count"]:
    """Positions of `count` candidates to train on, of either label as large a share as there are.

    Half of each label's are those that the network is most wrong about by its log-odds `score`; the others are the
    first that are left, so that what it knows is not forgotten. (Online hard example mining: Shrivastava, Gupta &
    Girshick 2016, CVPR, section 4, which takes the hardest alone.)
    """
    good = np.flatnonzero(label == 1)
    bad = np.flatnonzero(label != 1)
    n_good = round(count * len(good) / len(label))
    chosen = []
    for positions, wrong, n in ((good, -score[good], n_good), (bad, score[bad], count - n_good)):
        worst_first = positions[np.argsort(-wrong, kind="stable")]
        chosen += [worst_first[: n // 2], np.sort(worst_first[n // 2 :])[: n - n // 2]]
    return np.concatenate(chosen)
