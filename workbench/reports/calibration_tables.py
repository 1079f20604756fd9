"""The tables of a calibration, for its page and for the terminal."""

from typing import Any

from .cells import Cell, Table, cell, cell_of


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
