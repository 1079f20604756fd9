"""The pictures of a sweep's report."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ...evaluate.figure_style import GREY, INK, LEGEND, TITLE, colours_of, styled_figure
from ...evaluate.map_figure import WORSE

_MOST_WRITTEN = 400
"""Cells of a map that numbers are written into."""


def map_figure(
    trainings: Sequence[str],
    tests: Sequence[str],
    mean: Float[np.ndarray, "trainings tests"],
    spread: Float[np.ndarray, "trainings tests"],
    written: Callable[[float], str],
    best: float,
    worst: float,
) -> Figure:
    """A map of a measure by training (rows) and test, darker where it is worse, grey where there is none.

    written: how a number is written; best, worst: ends of the colours. Below a mean stands ± its spread, where there is
    one (not NaN).
    """
    rows, columns = mean.shape
    left = 0.07 * max(map(len, trainings)) + 0.3
    below = 0.055 * max(map(len, tests)) + 0.4
    size = min(left + 1.15 * columns + 0.9, 24.0), min(0.46 * rows + below + 0.4, 60.0)
    figure, (axes,) = styled_figure(1, 1, (max(size[0], 4.0), max(size[1], 2.2)))
    shade = (mean - best) / (worst - best)
    axes.imshow(np.ma.masked_invalid(shade), WORSE.with_extremes(bad=GREY), vmin=0, vmax=1, aspect="auto")
    tilted = max(map(len, tests)) > 14
    axes.set_xticks(range(columns), tests, rotation=30 if tilted else 0, ha="right" if tilted else "center")
    axes.set_yticks(range(rows), trainings)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("tested on")
    axes.set_ylabel("trained on")
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=1.5)
    axes.tick_params(which="minor", length=0)
    if mean.size <= _MOST_WRITTEN:
        for (row, column), value in np.ndenumerate(mean):
            if np.isnan(value):
                continue
            text = written(float(value))
            if not np.isnan(spread[row, column]):
                text += f"\n± {written(float(spread[row, column]))}"
            colour = "white" if shade[row, column] > 0.6 else INK
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour, linespacing=1.05)
    return figure


def line_figure(axis: str, curves: Mapping[str, tuple[list[float], list[float], list[float]]]) -> Figure:
    """A rate, as a fraction, along a numeric axis. `curves` maps a name to x, mean and standard deviation."""
    figure, (axes,) = styled_figure(1, 1, (7.2, 3.9))
    drawn = zip(curves.items(), colours_of(curves), range(len(curves)), strict=True)
    for (name, (x, mean, spread)), colour, place in drawn:
        style = {"color": colour, "lw": 1.6, "ms": 4, "capsize": 2, "elinewidth": 0.9}
        style["ls"] = ("-", "--", ":")[place // 5 % 3]  # there are five colours
        ends = np.clip([np.subtract(mean, spread), np.add(mean, spread)], 0, 1)
        bars = abs(ends - mean) if any(spread) else None
        axes.errorbar(x, mean, bars, marker="o", label=name, clip_on=False, **style)
    every = sorted({place for x, _, _ in curves.values() for place in x})
    logarithmic = every[0] > 0 and every[-1] / every[0] >= 10
    axes.set(xlabel=axis, ylim=(0, 1), xscale="log" if logarithmic else "linear")
    axes.set_title("good patterns lost at the frozen threshold", **TITLE)
    axes.grid(axis="y", color="#E6E6E6", lw=0.7)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.legend(**LEGEND)
    return figure
