"""Pictures of a comparison. Each function draws one matplotlib Figure, in the style of `figures`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from ..figure_style import LEGEND, MUTED, TITLE, colours_of, styled_figure


def throughput_figure(speeds: Mapping[str, Mapping[str, float]], poster: Mapping[str, float]) -> Figure:
    """Frames a second over frames given at once; dotted lines at a poster's speeds.

    speeds: by system, what `speed.speed` calls `frames_per_second`; poster: by system.
    """
    figure, (axes,) = styled_figure(1, 1, (6, 3.8))
    for (name, rates), colour in zip(speeds.items(), colours_of(speeds), strict=True):
        axes.plot([int(size) for size in rates], list(rates.values()), "o-", color=colour, lw=1.6, ms=4, label=name)
        if name in poster:
            axes.axhline(poster[name], color=colour, lw=1, ls=":")
    sizes = sorted({int(size) for rates in speeds.values() for size in rates})
    axes.set(xscale="log", yscale="log", xlabel="frames at once", ylabel="frames a second")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title("Throughput", **TITLE)
    axes.legend(**LEGEND)
    return figure


def growth_figure(growth: Sequence[Mapping[str, float]], poster: tuple[int, float]) -> Figure:
    """Seconds over number of frames, and a poster's (frames, seconds). growth: see `comparison.growth`."""
    figure, (axes,) = styled_figure(1, 1, (6, 3.8))
    axes.plot([e["frames"] for e in growth], [e["seconds"] for e in growth], "o-", color="#0072B2", lw=1.6, ms=4)
    axes.plot(*poster, "x", color=MUTED, label="the poster's")
    axes.set(xscale="log", yscale="log", xlabel="frames", ylabel="seconds")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_locator(NullLocator())
    axes.set_title("Diffusion map", **TITLE)
    axes.legend(**LEGEND)
    return figure


def depth_figure(sweep: Sequence[Mapping[str, Any]]) -> Figure:
    """Training accuracy over steps for each depth, and the accuracy on other frames at the end as a dashed line: on the
    left for a fixed set, on the right for frames made on the fly. sweep: see `comparison.depth_sweep`."""
    figure, panels = styled_figure(1, 2, (9.5, 3.8))
    depths = list(dict.fromkeys(f"({entry['n']}, {entry['m']})" for entry in sweep))
    colours = dict(zip(depths, colours_of(depths), strict=True))
    for axes, data in zip(panels, ("fixed set", "on the fly"), strict=True):
        for entry in (entry for entry in sweep if entry["data"] == data):
            depth = f"({entry['n']}, {entry['m']})"
            steps = [point["step"] for point in entry["history"]]
            accuracy = np.array([point["accuracy"] for point in entry["history"]])
            # A batch is small: five entries together tell more.
            smooth = np.array([accuracy[max(0, i - 4) : i + 1].mean() for i in range(len(accuracy))])
            axes.plot(steps, 100 * smooth, color=colours[depth], lw=1.6, label=depth)
            axes.axhline(100 * entry["validation_accuracy"], color=colours[depth], lw=1.2, ls="--")
        axes.set(xlabel="steps", ylim=(45, 102))
        axes.set_title(f"Learned from {'frames made on the fly' if data == 'on the fly' else 'a fixed set'}", **TITLE)
    panels[0].set_ylabel("accuracy, %")
    panels[0].legend(title="ResNet (n, m)", **LEGEND)
    return figure
