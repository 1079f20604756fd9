"""Pictures of what the networks look at, whose numbers `activations` gives. Each function draws one Figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from numpy.typing import ArrayLike

from ...geometries.errors import InputError
from ..figure_style import GREY, LEGEND, PHOTONS, TITLE, colours_of, styled_figure
from .activations import Attribution

_SQUARE = 64  # fc1 and fc2, which have no places, are drawn as squares of so many rows and columns


def activation_figure(
    counts: ArrayLike,
    maps: Mapping[str, ArrayLike],
    bad_pixel: ArrayLike | None = None,
    title: str = "",
    strongest: int = 8,
) -> Figure:
    """A pattern, and below it a row a layer: the mean of its maps, then those that vary most, strongest first.

    counts (H, W) in photons; maps: by layer (y, x, channels), or (4096,), as those of one frame in `activations`; each
    map has a grey scale of its own, white for its greatest value. Raises InputError for maps of another shape.
    """
    rows = {name: _as_maps(name, np.asarray(values)) for name, values in maps.items()}
    figure = Figure(figsize=(9.5, 2.6 + 0.98 * len(rows)), dpi=150, layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[2.6, 0.98 * len(rows)])
    top, below = parts
    _draw_pattern(top.subplots(), counts, bad_pixel, title)
    panels = below.subplots(len(rows), 1 + strongest, squeeze=False)
    for row, (name, values) in zip(panels, rows.items(), strict=True):
        order = np.argsort(-values.std((0, 1)))[:strongest]
        shown = [values.mean(-1), *np.moveaxis(values[..., order], -1, 0)] if values.shape[-1] > 1 else [values[..., 0]]
        for panel, values_of_one in zip(row, shown, strict=False):
            panel.imshow(values_of_one, cmap="gray", interpolation="nearest")
        for panel in row[: len(shown)]:
            _bare(panel)
        for panel in row[len(shown) :]:
            panel.remove()
        size = " × ".join(map(str, np.shape(maps[name])))
        row[0].set_ylabel(f"{name}\n{size}", fontsize=7.5, rotation=0, ha="right", va="center")
    panels[0, 0].set_title("mean", fontsize=8.5)
    panels[0, 1].set_title("those that vary most", fontsize=8.5, loc="left")
    return figure


def attribution_figure(
    counts: ArrayLike, attribution: Attribution, titles: Sequence[str], bad_pixel: ArrayLike | None = None
) -> Figure:
    """Patterns side by side, and under each what its pixels add to its score: blue for a single hit, red against it.

    counts (N, H, W) in photons; attribution and titles of the same N patterns; bad_pixel (H, W) is drawn grey.
    Raises InputError where the numbers differ.
    """
    frames = np.asarray(counts)
    if not len(frames) == len(attribution.map) == len(titles):
        raise InputError(
            f"there are {len(frames)} patterns, {len(attribution.map)} attributions and {len(titles)} titles; "
            "expected one each"
        )
    figure, axes = styled_figure(2, len(frames), (2.4 * len(frames) + 0.8, 5.1))
    image = None
    limit = float(np.percentile(np.abs(attribution.map), 99.8)) or 1.0
    for i, title in enumerate(titles):
        _draw_pattern(axes[i], frames[i], bad_pixel, f"{title}, score {attribution.score[i]:.1f}")
        panel = axes[len(frames) + i]
        # The greatest are a hundred times the usual.
        norm = SymLogNorm(linthresh=limit / 30, vmin=-limit, vmax=limit)
        image = panel.imshow(attribution.map[i], norm=norm, cmap="RdBu", interpolation="nearest")
        _bare(panel)
    if image is not None:
        bar = figure.colorbar(image, ax=axes[len(frames) :], extend="both", aspect=14, pad=0.015)
        bar.set_label("log-odds of good per pixel", fontsize=9)
        bar.ax.tick_params(labelsize=8)
        bar.minorticks_off()
    return figure


def band_figure(shares: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """The share of the scores that goes with periods shorter than each one, with 95 % intervals.

    `shares` maps a classifier's name to what `activations.band_shares` returns.
    """
    figure, (axes,) = styled_figure(1, 1, (6, 3.6))
    for (name, bands), colour in zip(shares.items(), colours_of(shares), strict=True):
        period = [band["period_pixels"] for band in bands]
        axes.plot(period, [band["fine_share"] for band in bands], "o-", color=colour, lw=1.6, ms=4, label=name)
        lowest, highest = np.array([band["fine_share_interval"] for band in bands]).T
        axes.fill_between(period, lowest, highest, color=colour, alpha=0.15, lw=0)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.set(xlabel="period in pixels", ylim=(min(0, axes.get_ylim()[0]), max(1.02, axes.get_ylim()[1])))
    axes.set_title("Share of the score that follows structure finer than this", **TITLE)
    axes.grid(axis="y", color="#E6E6E6", lw=0.7)
    axes.legend(**LEGEND)
    return figure


def _as_maps(name: str, values: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "y x channels"]:
    if values.ndim == 1 and values.size == _SQUARE**2:
        return values.reshape(_SQUARE, _SQUARE, 1)
    if values.ndim != 3:
        raise InputError(
            f"the maps of {name} have shape {values.shape}; those of one frame, (y, x, channels), are needed"
        )
    return values


def _draw_pattern(panel: Axes, counts: ArrayLike, bad_pixel: ArrayLike | None, title: str) -> None:
    frame = np.ma.masked_array(np.asarray(counts, np.float32))
    if bad_pixel is not None:
        frame[np.asarray(bad_pixel, bool)] = np.ma.masked
    norm = SymLogNorm(linthresh=1, linscale=0.35, vmin=0, vmax=max(2.0, float(np.percentile(frame.compressed(), 99.9))))
    panel.imshow(frame, norm=norm, cmap=PHOTONS.with_extremes(bad=GREY), interpolation="nearest")
    panel.set_title(title, fontsize=8.5)
    _bare(panel)


def _bare(panel: Axes) -> None:
    panel.set(xticks=[], yticks=[])
    panel.spines[:].set(visible=True, color="#CCCCCC", linewidth=0.6)
