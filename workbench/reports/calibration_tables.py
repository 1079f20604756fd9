"""The tables and the sentences of a calibration, for its page and for the terminal."""

from pathlib import Path
from typing import Any

from ...evaluate.calibration.fit import LEAST_SINGLES
from ...evaluate.calibration.record import doubts
from ...evaluate.calibration.search import OF_PARTICLE
from ...evaluate.calibration.summary import few_singles
from ...evaluate.metrics import format_auc, format_rate
from .cells import Cell, Table, cell, cell_of, with_interval

_LABELLED = {
    "single_share": "of all frames are single hits",
    "false_negative_rate": "of the single hits lost",
    "false_positive_rate": "of the others kept",
    "purity": "of the kept ones are single hits",
}
_FORECAST = ("false_negative_rate", "false_positive_rate", "kept_share")


def calibration_tables(result: dict[str, Any]) -> list[Table]:
    """result: what calibration.json holds."""
    per_cent = f"{100 * result['coverage']:g} %"
    fitted = []
    for name, found in result["parameters"].items():
        assumed = found["assumed"]
        row: list[Cell] = [name, "–" if assumed is None else " to ".join(f"{value:.4g}" for value in assumed)]
        row += [cell(found["quantiles"][q], found["intervals"][q], "{:.4g}".format) for q in ("0.05", "0.5", "0.95")]
        fitted.append(row)
    shares: list[list[Cell]] = [
        [name.replace("_", "-"), cell(found["estimate"], found["interval"])] for name, found in result["shares"].items()
    ]
    names = ("false_negative_rate", "false_positive_rate", "kept_share", "purity")
    forecast: list[list[Cell]] = [
        [
            f"{row['threshold']:.2f}" + (" (frozen)" if row["is_frozen"] else ""),
            *(cell_of(row, name) for name in names),
            "–" if row["photons"] is None else f"{row['photons']:.3g}",
        ]
        for row in result["forecast"]
    ]
    tables = [
        Table(
            "Parameters",
            f"Quantiles with intervals of {per_cent}; diameters and photons are those of single hits, "
            "background photons those of all frames; both as expected on pixels that the file shows.",
            ("parameter", "searched", "5 %", "median", "95 %"),
            fitted,
        ),
        Table("Shares of frames", f"In per cent, with intervals of {per_cent}.", ("kind", "share"), shares),
    ]
    if forecast:
        tables.append(
            Table(
                "Forecast",
                "What the classifier would do at other thresholds, in per cent; before any frame is labelled.",
                ("threshold", "single hits lost", "others kept", "frames kept", "purity", "photons of kept singles"),
                forecast,
            )
        )
    return tables


def sentences(result: dict[str, Any], out: Path) -> list[str]:
    """What it comes to, and why not to rely on it. result: what calibration.json holds; out: its directory."""
    auc, share = result["two_sample_auc"], result["single_share"]
    low, high = share["interval"]
    frozen = next((row for row in result["forecast"] if row["is_frozen"]), None)
    lines = [
        f"Of {result['frames']:,} frames {format_rate(share['estimate'])} % are single hits "
        f"[{format_rate(low)}, {format_rate(high)}].",
        f"Simulated as assumed, frames are told from real ones with an AUC of {format_auc(auc['before'])}; calibrated, "
        f"of {format_auc(auc['after'])} (0.5: not at all).",
    ]
    if few_singles(share, result["frames"]):
        names = ", ".join(name for name in OF_PARTICLE if name in result["parameters"])
        lines.append(
            f"These are too few single hits ({LEAST_SINGLES} are needed) to say anything of particles: the intervals "
            f"of {names} are what was searched."
        )
    if frozen is not None and all(frozen[name] is not None for name in _FORECAST):
        lost, others, kept = (format_rate(frozen[name]) for name in _FORECAST)
        lines.append(
            f"Forecast at the frozen threshold {frozen['threshold']:.2f}: {lost} % of the single hits lost, {others} % "
            f"of the others kept, {kept} % of all frames kept ({format_rate(result['kept_share'])} % are)."
        )
    if labelled := result.get("labelled"):
        rates = [
            f"{with_interval(labelled, name)} % {what}"
            for name, what in _LABELLED.items()
            if labelled[name] is not None
        ]
        lines.append(f"With {labelled['labels']} labels: {', '.join(rates)}.")
    return lines + doubts(result, out)
