"""The pictures of a report. Each function draws one matplotlib Figure, without pyplot's global state."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LightSource, LinearSegmentedColormap, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike

from ..geometries.bead_model import BeadModel
from ..geometries.errors import InputError
from ..geometries.mesh import Mesh
from .figure_style import GREY, INK, LEGEND, MUTED, PHOTONS, TITLE, colours_of, styled_figure
from .metrics import check_scores, format_auc, format_rate, judged, summarise

_BAD = "#8C8C8C"
_SOLID = "#8DBBDD"
_RIGHT = LinearSegmentedColormap.from_list("right", ["#F3F4F6", "#8DBBDD"])
_WRONG = LinearSegmentedColormap.from_list("wrong", ["#F3F4F6", "#F0A57C"])


def roc_figure(scores: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """ROC curves, and the same as a trade-off of the two errors on logarithmic axes.

    `scores` maps a name to (label (N,), score (N,)). A dot marks the good patterns kept at zero false
    positives. Invalid frames (-inf) are left out. Both labels must be present under every name: InputError otherwise.
    """
    from sklearn.metrics import roc_curve

    _require(scores)
    figure, (roc, errors) = styled_figure(1, 2, (9.5, 4.3))
    smallest_bad, smallest_good = 1.0, 1.0
    for (name, (label, score)), colour in zip(scores.items(), colours_of(scores), strict=True):
        good, values = judged(label, score)
        summary = summarise(label, score, 0.0)
        if summary["auc"] is None:
            raise InputError(f"a ROC curve needs good and bad patterns; {name} lacks one of them")
        false_positive, true_positive, _ = roc_curve(good, values, drop_intermediate=False)
        for axes, y in ((roc, true_positive), (errors, 1 - true_positive)):
            label = f"{name}  {format_auc(summary['auc'])}"
            axes.plot(false_positive, y, color=colour, lw=1.8, clip_on=False, label=label)
            at_zero = y[false_positive == 0][-1]
            axes.plot(0, at_zero, "o", color=colour, ms=6, mec="white", mew=0.8, clip_on=False, zorder=5)
        smallest_bad = min(smallest_bad, 1 / summary["n_bad"])
        smallest_good = min(smallest_good, 1 / summary["n_good"])

    for axes in (roc, errors):
        _log_from_zero(axes, "x", smallest_bad)
        axes.set_xlabel("false-positive rate (bad patterns kept)")
    roc.set(ylim=(0, 1), ylabel="true-positive rate (good patterns kept)")
    roc.set_title("ROC curve", **TITLE)
    roc.grid(axis="y", color="#E6E6E6", lw=0.7)
    _log_from_zero(errors, "y", smallest_good)
    errors.set(ylabel="false-negative rate (good patterns lost)")
    errors.set_title("The two errors (dots: no false positive)", **TITLE)
    roc.legend(title="AUC", loc="lower right", alignment="left", **LEGEND)
    return figure


def curve_figure(quantity: str, curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Both error rates in bins of a quantity, with 95 % intervals.

    `curves` maps a name to the bins of `curves.score_curve`. Rates that no pattern of a bin tells are left out.
    """
    _require(curves)
    figure, panels = styled_figure(1, 2, (9.5, 3.9))
    titles = {"false_negative_rate": "good patterns lost", "false_positive_rate": "bad patterns kept"}
    edges = sorted({bin[side] for bins in curves.values() for bin in bins for side in ("low", "high")})
    logarithmic = edges[0] > 0 and edges[-1] / edges[0] > 10
    for axes, (rate, title) in zip(panels, titles.items(), strict=True):
        for (name, bins), colour in zip(curves.items(), colours_of(curves), strict=True):
            known = [bin for bin in bins if bin[rate] is not None]
            ends = np.array([(bin["low"], bin["high"]) for bin in known]).reshape(-1, 2)
            middle = np.sqrt(ends.prod(1)) if logarithmic else ends.mean(1)
            value = np.array([bin[rate] for bin in known])
            lowest, highest = np.array([bin[f"{rate}_interval"] for bin in known]).reshape(-1, 2).T
            axes.plot(middle, value, "o-", color=colour, lw=1.6, ms=4, label=name, clip_on=False)
            axes.fill_between(middle, lowest, highest, color=colour, alpha=0.15, lw=0)
        axes.set(xlabel=quantity, ylim=(0, 1), xscale="log" if logarithmic else "linear")
        axes.set_title(title, **TITLE)
        axes.grid(axis="y", color="#E6E6E6", lw=0.7)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    panels[0].legend(**LEGEND)
    return figure


def confusion_figure(summaries: dict[str, dict[str, Any]], threshold: float) -> Figure:
    """One 2 x 2 table a geometry: counts, and rates of the true label, at `threshold` (log-odds).

    `summaries` maps a name to `metrics.summarise(...)`.
    """
    _require(summaries)
    columns = min(4, len(summaries))
    rows = -(-len(summaries) // columns)
    figure, axes = styled_figure(rows, columns, (2.5 * columns + 0.6, 2.75 * rows + 0.35), sharey=True)
    for panel, (name, summary) in zip(axes, summaries.items(), strict=False):
        for row, (n, wrong) in enumerate(
            ((summary["n_good"], summary["false_negatives"]), (summary["n_bad"], summary["false_positives"]))
        ):
            for column in (0, 1):
                right = row == column
                count = n - wrong if right else wrong
                rate = count / n if n else 0.0
                colour = (_RIGHT if right else _WRONG)(rate)
                panel.fill_between([column - 0.48, column + 0.48], row - 0.48, row + 0.48, color=colour, lw=0)
                panel.text(column, row - 0.07, f"{count:,}", ha="center", va="center", fontsize=13, color=INK)
                share = f"{format_rate(rate)} %" if n else "–"
                panel.text(column, row + 0.23, share, ha="center", va="center", fontsize=9, color=MUTED)
        panel.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), aspect="equal")
        panel.set_title(name, **TITLE)
        panel.set_xticks([0, 1], ["kept", "discarded"])
        panel.set_yticks([0, 1], ["good", "bad"])
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
    for unused in axes[len(summaries) :]:
        unused.remove()
    figure.supxlabel(f"kept: score ≥ {threshold:.3g}", fontsize=9, color=MUTED)
    return figure


def score_histogram_figure(scores: Mapping[str, tuple[ArrayLike, ArrayLike]], threshold: float) -> Figure:
    """Histograms of the scores of good and bad patterns, one row a name; invalid frames (-inf) as a number.

    `scores` maps a name to (label (N,), score (N,)); `threshold` is the log-odds drawn as a line.
    """
    _require(scores)
    figure, axes = styled_figure(len(scores), 1, (9, 1.55 * len(scores) + 0.75), sharex=True)
    checked = {name: check_scores(*pair) for name, pair in scores.items()}
    finite = np.concatenate([[threshold], *(values[np.isfinite(values)] for _, values in checked.values())])
    bins = np.linspace(finite.min() - 0.5, finite.max() + 0.5, 71)
    for panel, (name, (good, values)), colour in zip(axes, checked.items(), colours_of(checked), strict=True):
        valid = np.isfinite(values)
        panel.hist(values[~good & valid], bins, color=_BAD, alpha=0.55, label="bad")
        panel.hist(values[good & valid], bins, color=colour, alpha=0.6, label="good")
        panel.axvline(threshold, color=INK, lw=1, ls="--")
        panel.set_yscale("log", nonpositive="clip")
        panel.set_ylim(bottom=0.7)
        invalid = "" if valid.all() else f"  (without {(~valid).sum():,} invalid)"
        panel.set_title(name + invalid, **TITLE)
        panel.legend(loc="lower right", bbox_to_anchor=(1, 0.97), ncols=2, borderpad=0, **LEGEND)
    axes[-1].set_xlabel(f"score: log-odds of a single hit (dashed: threshold {threshold:.3g})")
    figure.supylabel("patterns per bin", fontsize=9)
    return figure


def gallery_figure(
    counts: ArrayLike, titles: Sequence[str], bad_pixel: ArrayLike | None = None, columns: int = 6
) -> Figure:
    """Patterns side by side on one logarithmic colour scale, with zero as a colour of its own.

    `counts` (N, H, W) in photons, any numeric dtype; `bad_pixel` (H, W) or (N, H, W), True where the detector
    is blind, drawn grey, as are NaN counts. Raises InputError for other shapes and numbers of titles.
    """
    frames = np.asarray(counts, dtype=np.float32)
    if frames.ndim != 3 or not len(frames):
        raise InputError(f"counts have shape {frames.shape}; expected (N, H, W): add an axis to a single frame")
    if len(titles) != len(frames):
        raise InputError(f"there are {len(titles)} titles for {len(frames)} patterns; expected one each")
    bad = np.zeros(frames.shape[1:], bool) if bad_pixel is None else np.asarray(bad_pixel, dtype=bool)
    if bad.shape not in (frames.shape, frames.shape[1:]):
        raise InputError(f"bad_pixel has shape {bad.shape}; expected {frames.shape[1:]} or {frames.shape}")
    frames = np.ma.masked_array(frames, np.isnan(frames) | bad)

    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    width = 9.5 if columns > 3 else 2.6 * columns + 0.9
    panel_height = (width - 0.9) / columns * frames.shape[1] / frames.shape[2]
    figure, axes = styled_figure(rows, columns, (width, rows * (panel_height + 0.25)))
    # One bright spot would leave the fringes without contrast.
    valid = frames.compressed()
    brightest = max(1.0, float(np.percentile(valid, 99.9))) if valid.size else 1.0
    norm = SymLogNorm(linthresh=1, linscale=0.35, vmin=0, vmax=max(2.0, brightest), clip=False)
    image = None
    for panel, frame, title in zip(axes, frames, titles, strict=False):
        image = panel.imshow(frame, norm=norm, cmap=PHOTONS.with_extremes(bad=GREY), interpolation="nearest")
        panel.set_title(title, fontsize=8.5)
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set(visible=True, color="#CCCCCC", linewidth=0.6)
    for unused in axes[len(frames) :]:
        unused.remove()
    assert image is not None
    ticks = [0, *(10.0**power for power in range(int(np.log10(norm.vmax or 1)) + 1))]
    bar = figure.colorbar(image, ax=axes[: len(frames)], extend="max", aspect=22, pad=0.015)
    bar.set_ticks(ticks, labels=[f"{tick:,.0f}" for tick in ticks])
    bar.minorticks_off()
    bar.set_label("photons per pixel", fontsize=9)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


def shapes_figure(shapes: Mapping[str, Mesh | BeadModel], columns: int = 6) -> Figure:
    """Shapes seen from one side and on one scale, each with its name and longest extent.

    `shapes` maps names to meshes and bead models; InputError where there is none.
    """
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection
    from trimesh.remesh import subdivide_to_size

    _require(shapes)
    columns = min(columns, len(shapes))
    rows = -(-len(shapes) // columns)
    figure = Figure(figsize=(1.55 * columns, 1.75 * rows), dpi=100, layout="constrained")
    elevation, azimuth = np.radians([25, 20])
    camera = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    light = LightSource(azdeg=135, altdeg=60)  # over the camera's left shoulder
    half = max(shape.longest_extent for shape in shapes.values()) / 2
    for place, (name, shape) in enumerate(shapes.items(), 1):
        vertices, faces = shape.surfaces() if isinstance(shape, BeadModel) else (shape.vertices, shape.faces)
        # matplotlib draws triangles by the depth of their centres: right only if they are small, and face the camera.
        vertices, faces = subdivide_to_size(vertices, faces, max_edge=0.2)[:2]
        corners = (vertices - (vertices.max(axis=0) + vertices.min(axis=0)) / 2)[faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        seen = corners[normals @ camera > 0]
        axes: Any = figure.add_subplot(rows, columns, place, projection="3d", proj_type="ortho")
        axes.view_init(elev=np.degrees(elevation), azim=np.degrees(azimuth))
        axes.add_collection3d(
            Poly3DCollection(seen, facecolors=_SOLID, edgecolors=_SOLID, lw=0.3, shade=True, lightsource=light)
        )
        axes.set(xlim=(-half, half), ylim=(-half, half), zlim=(-half, half))
        axes.set_box_aspect((1, 1, 1), zoom=1.6)
        axes.set_axis_off()
        axes.set_title(f"{name}\n{shape.longest_extent:.2f}", fontsize=8.5, color=INK)
    return figure


def training_figure(history: list[dict[str, Any]], validation: list[dict[str, Any]]) -> Figure:
    """Loss and accuracy of the training batches, and AUC of the validation patterns, against the step.

    `history`: dicts with `step`, `loss`, `accuracy` (fraction); `validation`: dicts with `step` and `auc`.
    Either may be empty. A thin line is the batches', a thick one its running mean.
    """
    figure, (loss, quality) = styled_figure(1, 2, (9.5, 3.4))
    if history:
        step = np.array([record["step"] for record in history])
        width = max(1, len(step) // 30)
        for axes, name, colour in ((loss, "loss", "#0072B2"), (quality, "accuracy", "#0072B2")):
            value = np.array([record[name] for record in history], dtype=float)
            axes.plot(step, value, color=colour, lw=0.8, alpha=0.35 if width > 1 else 1)
            mean = np.convolve(value, np.ones(width) / width, "valid")
            middle = np.convolve(step, np.ones(width) / width, "valid")
            axes.plot(middle, mean, color=colour, lw=1.9, label=f"{name}, training batches")
        loss.set_yscale("log")
    measured = [record for record in validation if record["auc"] is not None]
    if measured:
        quality.plot(
            [record["step"] for record in measured],
            [record["auc"] for record in measured],
            "o-", color="#D55E00", lw=1.4, ms=4, label="AUC, validation",
        )  # fmt: skip
    loss.set_title("Loss", **TITLE)
    loss.set(xlabel="step", ylabel="cross-entropy")
    quality.set_title("Accuracy and AUC", **TITLE)
    quality.set(xlabel="step", ylim=(None, 1.005))
    for axes in (loss, quality):
        axes.grid(axis="y", color="#E6E6E6", lw=0.7)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best", **LEGEND)
    return figure


def _require(named: Mapping[str, Any]) -> None:
    if not named:
        raise InputError("there is nothing to draw: give at least one named set of scores")


def _log_from_zero(axes: Axes, which: str, smallest: float) -> None:
    """Make axis `which` run from 0 to 1, logarithmic above the smallest rate that the numbers can show."""
    set_scale, set_limits, axis = (
        (axes.set_xscale, axes.set_xlim, axes.xaxis) if which == "x" else (axes.set_yscale, axes.set_ylim, axes.yaxis)
    )
    decades = range(int(np.ceil(np.log10(smallest) - 1e-9)), 1)
    set_scale("symlog", linthresh=smallest, linscale=0.4)
    set_limits(0, 1)
    axis.set_ticks([0, *(10.0**power for power in decades)])
    axis.set_minor_locator(MaxNLocator(1))
    axis.set_major_formatter(FuncFormatter(lambda rate, _: f"{100 * rate:.6g} %"))
    axes.grid(axis="both", color="#E6E6E6", lw=0.7)
