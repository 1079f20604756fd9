"""The pictures of a calibration's report."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from ..figure_style import GREY, INK, LEGEND, styled_figure
from .fit import Calibration
from .unfolding import weighted_quantiles

_FITTED = "#0072B2"
_OTHERS = "#D55E00"
_BAND = (0.05, 0.5, 0.95)


def parameters_figure(found: Calibration, weights: Float[np.ndarray, " patterns"]) -> Figure:
    """Diameters and photons of single hits, and background photons: as assumed, and as fitted."""
    figure, axes = styled_figure(1, 3, (9.5, 3.0))
    for panel, (name, label) in zip(
        axes,
        (("diameter_nm", "diameter, nm"), ("photons", "photons"), ("background", "background photons")),
        strict=True,
    ):
        of_single = name != "background"
        for pool, weight, colour in ((found.assumed, None, GREY), (found.pool, weights, _FITTED)):
            shown = (pool.kind == 0) if of_single else np.ones(len(pool.kind), bool)
            values = np.maximum(getattr(pool, name)[shown], 1.0)
            weight = np.ones(len(values)) if weight is None else weight[shown]
            if weight.sum() <= 0:  # no frame is a single hit
                continue
            low, high = np.quantile(np.maximum(getattr(found.assumed, name), 1.0), [0.02, 0.998])
            edges = np.linspace(low, high, 50) if name == "diameter_nm" else np.geomspace(low, high, 50)
            panel.stairs(*np.histogram(values, edges, weights=weight / weight.sum()), color=colour, fill=colour == GREY)
        if name != "diameter_nm":
            panel.set_xscale("log")
        panel.set(xlabel=label, yticks=[])
    axes[0].set_ylabel("share of frames")
    return figure


def profiles_figure(
    features: Float[np.ndarray, "frames features"],
    columns: Int[np.ndarray, " rings"],
    found: Calibration,
    weights: Float[np.ndarray, " patterns"],
) -> Figure:
    """Bands of the radial profile of real frames and of the calibrated simulation; columns: of features, those of rings
    beside their frame's photons, which come first."""
    figure, (panel,) = styled_figure(1, 1, (7.0, 3.2))
    radius = (np.arange(len(columns)) + 0.5) / max(len(columns) - 1, 1)
    for values, weight, colour, name in (
        (features, np.ones(len(features)), INK, "real frames"),
        (found.pool.features, weights, _FITTED, "calibrated simulation"),
    ):
        total = values[:, :1]
        bands = np.array([weighted_quantiles(values[:, c] + total[:, 0], weight, _BAND) for c in columns])
        low, middle, high = np.exp(bands).T
        panel.plot(radius, middle, color=colour, lw=1.6, label=name)
        panel.fill_between(radius, low, high, color=colour, alpha=0.15, lw=0)
    panel.set_yscale("log")
    panel.set(xlabel="radius, half widths of the detector", ylabel="photons a pixel")
    panel.legend(**LEGEND)
    return figure


def scores_figure(
    score: Float[np.ndarray, " frames"], found: Calibration, weights: Float[np.ndarray, " patterns"], threshold: float
) -> Figure:
    """Scores of real frames as steps, and of the calibrated simulation by kind."""
    figure, (panel,) = styled_figure(1, 1, (7.0, 3.0))
    finite = np.isfinite(found.pool.score)  # not all of the pool is scored
    everything = np.concatenate([score[np.isfinite(score)], found.pool.score[finite]])
    low, high = np.quantile(everything, [0.001, 0.999])
    edges = np.linspace(low, high, 60)
    single = found.pool.kind == 0
    share = weights / weights[finite].sum()
    for shown, colour, name in ((single & finite, _FITTED, "single hits"), (~single & finite, _OTHERS, "others")):
        heights, _ = np.histogram(found.pool.score[shown], edges, weights=share[shown])
        panel.stairs(heights, edges, color=colour, fill=True, alpha=0.45, label=f"simulated {name}")
    heights, _ = np.histogram(score, edges)
    panel.stairs(heights / len(score), edges, color=INK, lw=1.3, label="real frames")
    panel.axvline(threshold, color=INK, lw=0.8, ls=":")
    panel.set(xlabel="score, log-odds of a single hit", ylabel="share of frames")
    panel.legend(**LEGEND)
    return figure
