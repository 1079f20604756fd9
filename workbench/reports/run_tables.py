"""Frames without a particle, development shapes, unseen molecules: tables of a report, and lines for the terminal."""

from pathlib import Path
from typing import Any

import numpy as np

from ...evaluate.metrics import format_auc, format_rate, rate_interval
from .cells import Cell, Table, cell_of, with_interval

_AT_THRESHOLD = {
    "false_negative_rate": "lost at the frozen threshold",
    "false_positive_rate": "kept at the frozen threshold",
}
_RATES = tuple(_AT_THRESHOLD)


def run_tables(metrics: dict[str, Any]) -> list[Table]:
    """Those of what was scored. `metrics` as in `report_content`."""
    tables = [
        _unlabelled(metrics),
        _no_particle(metrics.get("no_particle")),
        _development(metrics.get("development")),
        _molecules(metrics.get("molecules")),
    ]
    return [table for table in tables if table is not None]


def run_lines(metrics: dict[str, Any]) -> list[str]:
    """The same, each in a line: all together, and the worst."""
    lines = []
    if found := metrics.get("unlabelled"):
        forecast, auc = found["forecast"], found["two_sample_auc"]
        lines += [
            f"{found['frames']:,} frames without labels: {with_interval(found, 'kept_share')} % kept; forecast: "
            f"{with_interval(forecast, 'kept_share')} % kept, {with_interval(forecast, 'false_negative_rate')} % of "
            f"single hits lost, {with_interval(forecast, 'false_positive_rate')} % of others kept",
            f"two-sample AUC of these frames and simulated ones: {format_auc(auc['before'])} before the simulation was "
            f"fitted to them, {format_auc(auc['after'])} after",
        ]
        held = {name: _held(found, name) for name in _FORECAST}
        for said in dict.fromkeys(filter(None, held.values())):
            names = [what for name, what in _FORECAST.items() if held[name] == said]
            lines.append(f"forecast {said}: {', '.join(names)}")
    for name, summary in metrics.get("experiment", {}).items():
        kept = summary["n_good"] - summary["false_negatives"] + summary["false_positives"]
        pure = f"{kept:,} kept, {with_interval(summary, 'purity')} % of them single hits" if kept else "none kept"
        lines.append(f"real patterns, {name}: {pure}")
    if found := metrics.get("no_particle"):
        everything, worst = overall(found), worst_of(found, "false_positive_rate")
        line = f"frames without a particle: {everything['false_positives']:,} of {everything['n_bad']:,} kept, "
        line += f"{with_interval(everything, 'false_positive_rate')} %"
        if everything["false_positives"]:
            line += f"; most of {worst}: {with_interval(found[worst], 'false_positive_rate')} %"
        lines.append(line)
    if found := metrics.get("development"):
        parts = []
        for rate, what in zip(_RATES, ("single hits lost", "bad patterns kept"), strict=True):
            worst = worst_of(found, rate)
            part = f"{format_rate(mean_rate(found, rate))} % of {what}"
            parts.append(part + (f" ({worst}: {format_rate(found[worst][rate])} %)" if found[worst][rate] else ""))
        lines.append(f"{len(found)} development shapes, mean (worst): {', '.join(parts)}")
    if found := metrics.get("molecules"):
        for bin in (found["all"], *found["by_photons"]):
            right, worst = (with_interval(bin, which) for which in ("accuracy", "worst_accuracy"))
            area = with_interval(bin, "auc", format_auc)
            lines.append(f"{_photons(bin)}: {right} % right, AUC {area}; worst {Path(bin['worst']).name}, {worst} %")
    return lines


def side_by_side(runs: dict[str, dict[str, Any]]) -> str:
    """The rates to be watched as a Markdown table, in per cent, a column for each run's metrics."""
    columns = [_watched(metrics) for metrics in runs.values()]
    lines = [["", *runs], ["---"] * (1 + len(runs))]
    for row in dict.fromkeys(row for column in columns for row in column):
        lines.append([row, *(column.get(row, "–") for column in columns)])
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _watched(metrics: dict[str, Any]) -> dict[str, str]:
    rows = {}
    for name, summary in metrics["robustness"].items():
        rows[f"{name}: lost at zero false positives"] = with_interval(summary, "false_negative_rate_at_zero_fp")
        for rate, what in _AT_THRESHOLD.items():
            rows[f"{name}: {what}"] = with_interval(summary, rate)
    for part, found in metrics.get("masked", {}).items():
        for name, summary in found.items():
            rows[f"{name}, {part} hidden: recall at 99.5 % precision"] = format_rate(
                summary["recall_at_precision_0.995"]
            )
    if found := metrics.get("development"):
        for rate, what in _AT_THRESHOLD.items():
            worst = worst_of(found, rate)
            rows[f"development shapes, mean: {what}"] = format_rate(mean_rate(found, rate))
            rows[f"development shapes, worst: {what}"] = f"{with_interval(found[worst], rate)} ({worst})"
    if found := metrics.get("molecules", {}).get("all"):
        rows["unseen molecules: right"] = with_interval(found, "accuracy")
        rows["unseen molecules, worst: right"] = (
            f"{with_interval(found, 'worst_accuracy')} ({Path(found['worst']).name})"
        )
    if found := metrics.get("no_particle"):
        worst = worst_of(found, "false_positive_rate")
        groups = {"": found}
        groups |= {", held out": {name: summary for name, summary in found.items() if summary["held_out"]}}
        for name, group in groups.items():
            rows[f"frames without a particle{name}: kept"] = with_interval(overall(group), "false_positive_rate")
        rows["frames without a particle, worst: kept"] = (
            f"{with_interval(found[worst], 'false_positive_rate')} ({worst})"
        )
    return rows


def overall(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What is kept of the bad patterns of several summaries together."""
    kept, n_bad = (sum(summary[name] for summary in found.values()) for name in ("false_positives", "n_bad"))
    interval = list(rate_interval(kept, n_bad))
    rate = {"false_positive_rate": kept / n_bad, "false_positive_rate_interval": interval}
    return {"n_bad": n_bad, "false_positives": kept} | rate


def worst_of(found: dict[str, dict[str, Any]], rate: str) -> str:
    """Name of the summary with the highest rate."""
    return max(found, key=lambda name: found[name][rate] or 0.0)


def mean_rate(found: dict[str, dict[str, Any]], rate: str) -> float | None:
    """Of several summaries, each counting alike; None where none has it."""
    known = [summary[rate] for summary in found.values() if summary[rate] is not None]
    return float(np.mean(known)) if known else None


_FORECAST = {
    "kept_share": "frames kept",
    "false_negative_rate": "single hits lost",
    "false_positive_rate": "others kept",
    "purity": "single hits among the kept",
}


def _unlabelled(metrics: dict[str, Any]) -> Table | None:
    found = metrics.get("unlabelled")
    if not found:
        return None
    rows: list[list[Cell]] = []
    for name, what in _FORECAST.items():
        measured = _measured(found, name)
        rows.append(
            [what, cell_of(found["forecast"], name), cell_of(measured, name) if measured else "", _held(found, name)]
        )
    auc, labelled = found["two_sample_auc"], found.get("labelled")
    if labelled is None:
        by = "those of single hits and others take labels (--experiment, or calibrate --labels)"
    elif labelled["by"] == "labels":
        by = "those of single hits and others are by the labels of chosen frames, with intervals of 90 %"
    else:
        by = f"those of single hits and others are by the labels of {labelled['by']}"
        by += "" if labelled["same_frames"] else ", which are other frames and say nothing of this forecast"
    note = (
        f"{found['frames']:,} frames at the frozen threshold, and what the simulation that was fitted to them "
        "forecasts, with 90 % intervals that take the fit as right. A forecast held where both intervals meet. "
        f"Measured rates have 95 % intervals; {by}. Simulated frames are told from "
        f"these with an AUC of {format_auc(auc['before'])} before the fit and {format_auc(auc['after'])} after; 0.5: "
        "not at all."
    )
    return Table("Frames without labels", note, ("Share", "Forecast, %", "Measured, %", "Forecast"), rows)


def _measured(found: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Where a forecast rate is measured; None where it is not."""
    return next((of for of in (found, found.get("labelled") or {}) if of.get(name) is not None), None)


def _held(found: dict[str, Any], name: str) -> str:
    """Whether a forecast held; empty where nothing tells."""
    measured, forecast = _measured(found, name), found["forecast"][f"{name}_interval"]
    if measured is None or forecast is None or not measured.get("same_frames", True):
        return ""
    (low, high), (least, most) = measured[f"{name}_interval"], forecast
    return "held" if low <= most and least <= high else "did not hold"


def _no_particle(found: dict[str, dict[str, Any]] | None) -> Table | None:
    if not found:
        return None
    rows: list[list[Cell]] = []
    for held_out, sum_of in ((False, "all that a training may see the like of"), (True, "all that are held out")):
        group = {name: summary for name, summary in found.items() if summary["held_out"] is held_out}
        for name, summary in (group | ({sum_of: overall(group)} if group else {})).items():
            rows.append([name, f"{summary['n_bad']:,}", cell_of(summary, "false_positive_rate")])
    rows.append(["all", f"{overall(found)['n_bad']:,}", cell_of(overall(found), "false_positive_rate")])
    note = (
        "Share kept at the frozen threshold, with its 95 % interval (Wilson). First the kinds of bad patterns that a "
        "training may be shown, or such as are like them, then families that are like nothing in training."
    )
    return Table("Frames without a particle", note, ("Kind", "Frames", "Kept, %"), rows)


def _development(found: dict[str, dict[str, Any]] | None) -> Table | None:
    if not found:
        return None
    rows: list[list[Cell]] = []
    for name, summary in found.items():
        numbers = (f"{summary[n]:,}" for n in ("n_good", "n_bad"))
        rows.append([name, *numbers, *(cell_of(summary, rate) for rate in _RATES), format_auc(summary["auc"])])
    rows.append(["mean", "", "", *(format_rate(mean_rate(found, rate)) for rate in _RATES), ""])
    worst = {rate: worst_of(found, rate) for rate in _RATES}
    rows.append(["worst", "", "", *((format_rate(found[name][rate]), name) for rate, name in worst.items()), ""])
    note = (
        "Single hits lost and bad patterns kept at the frozen threshold, with 95 % intervals (Wilson). No training "
        "sees these shapes; the bad patterns of each are multi-hits of its own kind."
    )
    return Table("Development shapes", note, ("Shape", "Good", "Bad", "Lost, %", "Kept, %", "AUC"), rows)


def _molecules(found: dict[str, Any] | None) -> Table | None:
    if not found:
        return None
    together, alone = [(_photons(bin), bin) for bin in (found["all"], *found["by_photons"])], found["by_molecule"]
    rows: list[list[Cell]] = []
    for name, cells in [*together, *((Path(name).name, cells) for name, cells in alone.items())]:
        numbers = (f"{cells[n]:,}" for n in ("n_good", "n_bad"))
        row: list[Cell] = [name, *numbers, cell_of(cells, "accuracy"), cell_of(cells, "auc", format_auc)]
        rows.append(
            [*row, (format_rate(cells["worst_accuracy"]), Path(cells["worst"]).name) if "worst" in cells else ""]
        )
    note = (
        "Right: the share of patterns whose log-odds are above 0 for single hits and below for multi-hits, without the "
        "frozen threshold, with 95 % intervals (Wilson; Newcombe for the AUC). The worst is the molecule of which the "
        "fewest are right."
    )
    return Table("Unseen molecules", note, ("Patterns", "Single", "Multiple", "Right, %", "AUC", "Worst, %"), rows)


def _photons(bin: dict[str, Any]) -> str:
    return f"{bin['low']:,.0f} to {bin['high']:,.0f} photons" if "low" in bin else "unseen molecules"
