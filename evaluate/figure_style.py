"""One style for all figures: colours, fonts, axes."""

from collections.abc import Iterable
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

# Okabe & Ito's colours, safe for colour-blind readers. The usual geometries keep theirs in every picture.
_COLOURS = {"icosahedron": "#0072B2", "soccer-ball": "#009E73", "torus": "#D55E00"}
_FURTHER_COLOURS = ["#CC79A7", "#56B4E9", "#E69F00", "#7A5195", "#4D4D4D"]
INK, MUTED = "#222222", "#4F5661"
# White for no photon at all, then a perceptually uniform map.
PHOTONS = ListedColormap([(1, 1, 1), *colormaps["magma_r"](np.linspace(0.04, 1, 511))[:, :3]], "photons")
GREY = "#B8BFC6"
TITLE: dict[str, Any] = {"fontsize": 10.5, "color": INK, "loc": "left"}
LEGEND: dict[str, Any] = {"fontsize": 8.5, "frameon": False, "title_fontsize": 8.5}


def colours_of(names: Iterable[str]) -> list[str]:
    """One for each name."""
    further = cycle(_FURTHER_COLOURS)
    return [_COLOURS.get(name) or next(further) for name in names]


def styled_figure(
    rows: int, columns: int, size: tuple[float, float], sharex: bool = False, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of `size` inches and its axes, in reading order, in one style."""
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    axes: list[Axes] = list(figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey).flat)
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color("#999999")
        panel.tick_params(labelsize=8.5, color="#999999", labelcolor=INK)
        panel.xaxis.label.set(fontsize=9, color=INK)
        panel.yaxis.label.set(fontsize=9, color=INK)
    return figure, axes
