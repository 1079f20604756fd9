"""Axes, the scattering vector and the Ewald sphere; rows and columns of a detector."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Arc
from onehit.simulate import Instrument


def main(path: Path) -> None:
    """Draw it into a file."""
    with plt.style.context(Path(__file__).with_name("style.mplstyle")):
        figure, (side, front) = plt.subplots(1, 2, figsize=(8.6, 3.9), width_ratios=[1.25, 1])
        _side_view(side)
        _front_view(front)
        figure.savefig(path)
        plt.close(figure)


def _side_view(axes) -> None:
    k, angle = 1.0, np.radians(38)
    circle = np.radians(np.linspace(-62, 62, 200))
    axes.plot(k * np.cos(circle), k * np.sin(circle), color="#999999", ls="--", lw=1)
    axes.text(np.cos(np.radians(-52)) - 0.02, np.sin(np.radians(-52)), "Ewald sphere ", ha="right", color="#555555")
    tip = k * np.array([np.cos(angle), np.sin(angle)])
    wide = {"arrowstyle": "-|>", "lw": 1.6, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 13}
    axes.annotate("", (0, 0), (-0.62, 0), arrowprops=wide | {"color": "#555555"})
    axes.text(-0.6, 0.04, "beam, +z", color="#555555")
    axes.annotate("", (k, 0), (0, 0), arrowprops=wide | {"color": "#0B3C5D"})
    axes.annotate("", tip, (0, 0), arrowprops=wide | {"color": "#0B3C5D"})
    axes.annotate("", tip, (k, 0), arrowprops=wide | {"color": "#D55E00", "lw": 2.4})
    axes.text(0.52, -0.11, r"$k\,\mathbf{z}$", ha="center", color="#0B3C5D", size=11)
    axes.text(0.35, 0.40, r"$k\,\mathbf{u}$", ha="center", color="#0B3C5D", size=11)
    axes.text(0.83, 0.27, r"$\mathbf{q}$", ha="right", color="#D55E00", size=13)
    axes.add_patch(Arc((0, 0), 0.56, 0.56, theta1=0, theta2=np.degrees(angle), color="#555555"))
    axes.text(0.31, 0.085, r"$2\theta$", color="#222222", size=10)
    axes.plot(0, 0, "o", ms=8, color="#222222")
    axes.text(0, -0.12, "particle", ha="center")
    detector = 1.42
    axes.plot([detector] * 2, [-0.75, 1.2], color="#222222", lw=5, solid_capstyle="butt")
    axes.plot([tip[0], detector], [tip[1], detector * np.tan(angle)], color="#0B3C5D", lw=0.9, ls=":")
    axes.plot(detector, detector * np.tan(angle), "s", color="#D55E00", ms=6)
    axes.text(detector + 0.06, detector * np.tan(angle), "a pixel", va="center")
    axes.text(detector + 0.06, -0.65, "detector at\ndistance_m", va="center")
    axes.set(xlim=(-0.68, 1.98), ylim=(-0.8, 1.25), aspect="equal")
    axes.set_title("seen from the side: $\\mathbf{q} = k(\\mathbf{u} - \\mathbf{z})$, $k = 2\\pi/\\lambda$")
    axes.set_axis_off()


def _front_view(axes) -> None:
    instrument = Instrument(1600.0, 0.586, 1e-3, (6, 8), focus_m=1e-6)
    rows, columns = instrument.shape
    middle_row, middle_column = instrument.centre
    for row in range(rows + 1):
        axes.plot([-0.5, columns - 0.5], [row - 0.5] * 2, color="#BBBBBB", lw=0.8, ls="-")
    for column in range(columns + 1):
        axes.plot([column - 0.5] * 2, [-0.5, rows - 0.5], color="#BBBBBB", lw=0.8, ls="-")
    axes.fill_between([5.5, 6.5], 0.5, 1.5, color="#D55E00", lw=0)
    axes.text(6, 1, "(1, 6)", ha="center", va="center", color="white", weight="bold")
    axes.plot(middle_column, middle_row, "+", ms=14, mew=2, color="#222222")
    bold = {"arrowstyle": "-|>", "lw": 1.8, "color": "#0B3C5D", "shrinkA": 0, "shrinkB": 0, "mutation_scale": 13}
    axes.annotate("", (middle_column + 2.2, middle_row), (middle_column, middle_row), arrowprops=bold)
    axes.annotate("", (middle_column, middle_row + 2.2), (middle_column, middle_row), arrowprops=bold)
    axes.text(middle_column + 2.3, middle_row + 0.1, "x", color="#0B3C5D", size=12, va="center")
    axes.text(middle_column + 0.15, middle_row + 2.2, "y", color="#0B3C5D", size=12, va="center")
    axes.text(middle_column - 0.2, middle_row - 0.25, "beam, away\nfrom the viewer", ha="right", va="bottom")
    axes.set_xticks(range(columns))
    axes.set_yticks(range(rows))
    axes.set(xlabel="column", ylabel="row", xlim=(-0.6, columns - 0.4), ylim=(rows - 0.4, -0.6), aspect="equal")
    axes.set_title(f"seen along the beam: {rows} rows, {columns} columns")
    axes.spines[:].set_visible(False)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
