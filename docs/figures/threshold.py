"""What a threshold promises: true rates of thresholds that were frozen on 1000 bad patterns, and how many may pass."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from onehit.train.threshold import enough, frozen_threshold
from scipy.stats import binom, norm

RATE, CONFIDENCE, BAD, REPEATS = 0.01, 0.95, 1000, 1500


def main(path: Path) -> None:
    """Draw it into a file."""
    rng = np.random.default_rng(0)
    label = np.zeros(BAD, int)
    rates = {0.0: [], CONFIDENCE: []}
    for _ in range(REPEATS):
        score = rng.standard_normal(BAD)
        for confidence, found in rates.items():
            found.append(norm.sf(frozen_threshold(label, score, RATE, confidence)))
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.3), width_ratios=[1.25, 1])
        bins = np.linspace(0, 0.022, 45)
        for (confidence, found), hatch, colour in zip(rates.items(), ("///", ""), ("#D55E00", "#0B3C5D"), strict=True):
            above = np.mean(np.array(found) > RATE)
            what = "1 % of these 1000" if confidence == 0 else "1 % with 95 % confidence"
            left.hist(
                found, bins, label=f"{what}:\n{100 * above:.0f} % are above", histtype="stepfilled", hatch=hatch,
                facecolor=colour if not hatch else "none", edgecolor=colour, alpha=0.75, ls="-",
            )  # fmt: skip
        left.axvline(RATE, color="#222222", lw=1.2, ls="-")
        left.set(xlabel="true rate of the frozen threshold", ylabel="repeats", xlim=(0, 0.022))
        left.xaxis.set_major_formatter(lambda rate, _: f"{100 * rate:g} %")
        left.set_title("thresholds frozen again and again")
        left.legend()
        count = np.arange(50, 6001, 10)
        for rate in (0.01, 0.005, 0.001):
            enough_for_it = count[[enough(int(n), rate, CONFIDENCE) for n in count]]
            passing = [_passing(int(n), rate) for n in enough_for_it]
            right.plot(enough_for_it, passing, drawstyle="steps-post", label=f"{100 * rate:g} %")
        right.set(xlabel="bad patterns to validate with", ylabel="of them may pass", ylim=(-1, None))
        right.set_title("what 95 % confidence allows")
        right.legend(title="false positives, at most")
        figure.savefig(path)
        plt.close(figure)


def _passing(count: int, rate: float) -> int:
    """The largest number k of which a binomial of that count and rate is k or less with a chance of 5 % at most."""
    k = np.arange(count + 1)
    return int(k[binom.cdf(k, count, rate) <= 1 - CONFIDENCE].max())


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
