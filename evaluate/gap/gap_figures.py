"""Pictures of a gap: real frames in orange, simulated ones in blue."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..figure_style import INK, LEGEND, TITLE, styled_figure
from ..figures import gallery_figure
from .measure import Gap

COLOURS = {"real": "#D55E00", "simulated": "#0072B2"}
_PAIRS = 6
_HISTOGRAMS = 8


def profile_figure(gap: Gap) -> Figure:
    """Radial profile of frames brought to one brightness, and the variance in rings beyond Poisson's: medians, and
    bands that hold the middle 80 %."""
    figure, (profile, contrast) = styled_figure(1, 2, (9.5, 3.7))
    q = gap.eyes.extractor.q_per_nm
    for name, seen in _both(gap):
        rings = _columns(gap, seen.features, "log photons in ring")[:, : len(q)]
        _band(profile, q, np.exp(rings), name)
        _band(contrast, q, np.expm1(_columns(gap, seen.features, "excess variance in ring")[:, : len(q)]), name)
    profile.set(yscale="log", xlabel="q, 1/nm", ylabel="share of the photons, a pixel")
    profile.set_title("Radial profile", **TITLE)
    contrast.set(yscale="symlog", xlabel="q, 1/nm", ylabel="variance beyond Poisson's, over the mean")
    contrast.set_title("Ring contrast", **TITLE)
    profile.legend(**LEGEND)
    return figure


def patterson_figure(gap: Gap) -> Figure:
    """Mean and strongest peak of the Patterson map by distance."""
    figure, panels = styled_figure(1, 2, (9.5, 3.4))
    distance = gap.eyes.extractor.distances_nm
    for panel, feature, title in zip(
        panels,
        ("Patterson mean at distance", "Patterson peak at distance"),
        ("Mean of the Patterson map", "Strongest peak over that mean"),
        strict=True,
    ):
        for name, seen in _both(gap):
            _band(panel, distance, _columns(gap, seen.features, feature), name)
        panel.set(xlabel="distance, nm")
        panel.set_title(title, **TITLE)
    panels[0].legend(**LEGEND)
    return figure


def histogram_figure(gap: Gap) -> Figure:
    """The features that differ most, no two of a kind."""
    chosen, kinds = [], set()
    for i in np.argsort(-np.abs(gap.features - 0.5)):
        kind = gap.eyes.names[i].rstrip("0123456789 ")
        if kind not in kinds and len(chosen) < _HISTOGRAMS:
            chosen.append(i)
            kinds.add(kind)
    figure, panels = styled_figure(2, -(-len(chosen) // 2), (9.5, 4.6))
    for panel, i in zip(panels, chosen, strict=False):
        values = {name: seen.features[:, i] for name, seen in _both(gap)}
        low, high = np.quantile(np.concatenate([*values.values()]), [0.005, 0.995])
        bins = np.linspace(low, max(high, low + 1e-6), 31)
        for name, found in values.items():
            panel.hist(np.clip(found, low, high), bins, density=True, color=COLOURS[name], alpha=0.5, label=name)
        panel.set_title(f"{gap.eyes.names[i]}\n({gap.eyes.groups[i]})", fontsize=8.5, color=INK, loc="left")
        panel.set_yticks([])
    for unused in panels[len(chosen) :]:
        unused.remove()
    panels[0].legend(**LEGEND)
    return figure


def nearest_figure(gap: Gap) -> Figure:
    """Real frames, from faint to bright, above the simulated ones that are nearest to each."""
    photons = gap.real.counts.sum((1, 2))
    chosen = np.argsort(photons)[np.unique(np.linspace(0, len(photons) - 1, _PAIRS).astype(int))]
    nearest = gap.outside.nearest[chosen, 0]
    counts = np.concatenate([gap.real.counts[chosen], gap.simulated.counts[nearest]])
    bad = np.concatenate([gap.real.bad[chosen], gap.simulated.bad[nearest]])
    titles = [f"real, distance {gap.outside.distance[i]:.2g}" for i in chosen]
    return gallery_figure(counts, titles + ["nearest simulated"] * len(chosen), bad, len(chosen))


def outside_figure(gap: Gap) -> Figure | None:
    """The real frames that no simulated one resembles, the strangest first; None where there are none."""
    farthest = np.argsort(-gap.outside.distance)[: min(2 * _PAIRS, int(gap.outside.is_outside.sum()))]
    if not len(farthest):
        return None
    titles = [f"distance {gap.outside.distance[i]:.2g}" for i in farthest]
    return gallery_figure(gap.real.counts[farthest], titles, gap.real.bad[farthest])


def score_figure(gap: Gap, threshold: float) -> Figure | None:
    """The classifier's scores of both; None without any."""
    figure, (panel,) = styled_figure(1, 1, (9.5, 2.8))
    scores = {name: seen.score[np.isfinite(seen.score)] for name, seen in _both(gap)}
    if not all(map(len, scores.values())):
        return None
    both = np.concatenate([*scores.values(), [threshold]])
    bins = np.linspace(both.min() - 0.5, both.max() + 0.5, 61)
    for name, found in scores.items():
        weights = np.full(len(found), 1 / len(found))
        panel.hist(found, bins, weights=weights, color=COLOURS[name], alpha=0.5, label=name)
    panel.axvline(threshold, color=INK, lw=1, ls="--")
    panel.set(xlabel=f"score: log-odds of a single hit (dashed: threshold {threshold:.3g})", ylabel="share of frames")
    panel.legend(**LEGEND)
    return figure


def _both(gap: Gap):
    return ("simulated", gap.simulated), ("real", gap.real)


def _columns(gap: Gap, values: Float[np.ndarray, "frames features"], name: str) -> Float[np.ndarray, "frames some"]:
    return values[:, [i for i, found in enumerate(gap.eyes.names) if found.rstrip("0123456789 ") == name]]


def _band(axes: Axes, x: ArrayLike, values: Float[np.ndarray, "frames some"], name: str) -> None:
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
    axes.fill_between(x, low, high, color=COLOURS[name], alpha=0.18, lw=0)
    axes.plot(x, middle, color=COLOURS[name], lw=1.7, label=name)
    axes.grid(axis="y", color="#E6E6E6", lw=0.7)
