"""How unsteady a loss at zero false positives is, and how steady one at a frozen threshold, if tests are repeated."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from onehit.train.threshold import frozen_threshold, threshold_at_false_positive_rate

PATTERNS, REPEATS, VALIDATION = 10_000, 300, 3000


def main(path: Path) -> None:
    """Draw it into a file."""
    rng = np.random.default_rng(1)

    def bad(count: int) -> np.ndarray:
        return rng.logistic(-9, 1.5, count)

    def good(count: int) -> np.ndarray:
        return rng.logistic(9, 1.5, count)

    frozen = frozen_threshold(np.zeros(VALIDATION), bad(VALIDATION), 0.005, 0.95)
    lost = []
    for _ in range(REPEATS):
        of_bad, of_good = bad(PATTERNS), good(PATTERNS)
        at_zero = threshold_at_false_positive_rate(np.zeros(PATTERNS), of_bad, 0)
        lost.append([(of_good < threshold).mean() for threshold in (at_zero, frozen)])
    at_zero, at_frozen = 100 * np.maximum(np.array(lost).T, 1e-5)
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, axes = plt.subplots(figsize=(6.4, 3.0))
        bins = np.geomspace(0.03, 100, 60)
        filled = {"fc": "#0B3C5D", "ec": "#0B3C5D", "alpha": 0.8}
        hatched = {"fc": "none", "ec": "#D55E00", "hatch": "///", "ls": "-"}
        axes.hist(at_frozen, bins, histtype="stepfilled", label="at one frozen threshold", **filled)
        axes.hist(at_zero, bins, histtype="stepfilled", label="at zero false positives of each test", **hatched)
        axes.set(xscale="log", xlabel="single hits lost, %", ylabel="of 300 tests")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend(loc="upper right")
        figure.savefig(path)
        plt.close(figure)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
