"""Error rates over two quantities."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from .figure_style import GREY, INK, TITLE, styled_figure
from .metrics import format_rate

WORSE = LinearSegmentedColormap.from_list("worse", ["#F3F4F6", "#F0A57C", "#B5400B"])
"""From a rate of 0 to one of 1."""
_RATES = {"false_negative_rate": "good patterns lost", "false_positive_rate": "bad patterns kept"}


def two_quantities_figure(
    quantities: tuple[str, str], fields: Mapping[str, Sequence[Mapping[str, Any]]], least: int = 5
) -> Figure:
    """Both error rates by two quantities, darker where it is worse, grey where fewer than `least` patterns tell it.

    `fields` maps a geometry to the fields of `curves.score_map`. Bins are drawn alike wide, with their edges.
    """
    figure, panels = styled_figure(len(fields), 2, (11.0, 0.6 + 3.6 * len(fields)))
    for row, (name, found) in enumerate(fields.items()):
        for axes, (rate, title) in zip(panels[2 * row : 2 * row + 2], _RATES.items(), strict=True):
            sides = [sorted({field[side][i] for field in found for side in ("low", "high")}) for i in (0, 1)]
            shade = np.full((len(sides[1]) - 1, len(sides[0]) - 1), np.nan)
            counted = "n_good" if rate == "false_negative_rate" else "n_bad"
            for field in found:
                if field[counted] >= least:
                    shade[sides[1].index(field["low"][1]), sides[0].index(field["low"][0])] = field[rate]
            axes.pcolormesh(
                np.ma.masked_invalid(shade), cmap=WORSE.with_extremes(bad=GREY), vmin=0, vmax=1, edgecolors="white"
            )
            for (y, x), value in np.ndenumerate(shade):
                if not np.isnan(value):
                    colour = "white" if value > 0.6 else INK
                    text = format_rate(float(value))
                    axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=7, color=colour)
            axes.set_xticks(range(len(sides[0])), [f"{edge:.3g}" for edge in sides[0]])
            axes.set_yticks(range(len(sides[1])), [f"{edge:.3g}" for edge in sides[1]])
            axes.set(xlabel=quantities[0], ylabel=quantities[1])
            axes.spines[:].set_visible(False)
            axes.set_title(f"{name}: {title}, %", **TITLE)
    return figure
