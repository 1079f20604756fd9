"""The report of a run: one self-contained HTML file, and the same table for the terminal."""

import json
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from ...evaluate.metrics import format_auc, format_rate
from ...geometries.errors import InputError
from ...simulate.config_io import write_whole
from .cells import with_interval
from .run_tables import run_tables

RATES = {
    "false_negative_rate": "False negatives",
    "false_positive_rate": "False positives",
    "false_negative_rate_at_zero_fp": "False negatives at zero false positives",
}

CONTROLS = {
    "calibration_error": ("Calibration error, %", format_rate),
    "photons_auc": ("AUC of the photon count alone", format_auc),
    "recall_at_precision_0.995": ("Recall at 99.5 % precision, %", format_rate),
}
"""What is not in every summary: heading and format."""


def report_content(metrics: dict[str, Any]) -> dict[str, Any]:
    """What `write_page` needs for report.html.

    `metrics`: `robustness` {geometry: summary}, and where there is one `threshold` (log-odds), `validation`
    (a summary), `temperature`, `experiment` {selection of frames: summary}, `overlapping` {geometry: summary},
    `no_particle` {kind: summary with `held_out`}, `development` {shape: summary},
    `molecules` (see `evaluate.molecules.score_molecules`),
    `unwanted` {which frames: {kind: summary}}, `masked` {part: {geometry: summary}}, `poster` {geometry: the published
    false-negative rate at zero false positives, a fraction} and `training` {`steps`, `patterns`, `seconds`,
    `patterns_per_second`}; a summary is what `evaluate.metrics.summarise` returns, with CONTROLS where known.
    """
    return {
        "sections": _sections(metrics),
        "tables": run_tables(metrics),
        "highlights": _highlights(metrics),
        "rates": RATES,
        "controls": [heading for heading, _ in CONTROLS.values()],
        "controlled": _controls(metrics),
        "temperature": metrics.get("temperature"),
        "poster": metrics.get("poster") or {},
        "threshold": metrics.get("threshold"),
        "training": metrics.get("training") or {},
    }


def write_page(
    template: str,
    path: Path | str,
    title: str,
    content: dict[str, Any],
    config: dict[str, Any],
    figures: Iterable[tuple[str, str, Path]] = (),
    versions: dict[str, str] | None = None,
    summary: Iterable[str] = (),
    command: str = "",
) -> Path:
    """Write report.html, comparison.html or sweep.html of this folder to `path` and return it. The file carries its
    pictures and needs no network.

    `content`: what the template asks for besides. `config` is shown as JSON. `figures`: (heading, caption, PNG file).
    `summary`: sentences for the top. `command` repeats the run. Raises InputError for a picture that cannot be read.
    """
    # `robustness_table` should not wait for jinja2.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"rate": format_rate, "auc": format_auc}
    html = environment.get_template(template).render(
        title=title,
        summary=list(summary),
        figures=[(heading, caption, _inline(Path(png))) for heading, caption, png in figures],
        config=json.dumps(config, indent=2, default=str, ensure_ascii=False),
        versions=versions or {},
        command=command,
        **content,
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, html)
    return path


def robustness_table(metrics: dict[str, Any]) -> Table:
    """The same numbers as a `rich.table.Table` that fits into 110 columns. `metrics` as in `report_content`."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("\n\ngeometry", overflow="fold")
    for heading in (
        "\n\ngood",
        "\n\nbad",
        "\n\nAUC [95 %]",
        "false\nnegatives\n% [95 %]",
        "false\npositives\n% [95 %]",
        "false negatives\nat zero false\npositives % [95 %]",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for _, summaries in _sections(metrics):
        if table.row_count:
            table.add_row()
        for name, summary in summaries.items():
            table.add_row(
                Text(name),  # not markup: a name may hold brackets
                str(summary["n_good"]),
                str(summary["n_bad"]),
                with_interval(summary, "auc", format_auc),
                *(with_interval(summary, rate) for rate in RATES),
            )
    return table


def _sections(metrics: dict[str, Any]) -> list[tuple[str, dict[str, dict[str, Any]]]]:
    """The summaries in the order in which they are read, each group under its heading."""
    validation = {"validation": metrics["validation"]} if metrics.get("validation") else {}
    groups = {
        "Simulated, by geometry": metrics["robustness"],
        "Multi-hits that overlap along the beam": metrics.get("overlapping") or {},
        **{f"Other material, {which}": found for which, found in (metrics.get("unwanted") or {}).items()},
        **{f"With one {part} of the detector hidden": found for part, found in (metrics.get("masked") or {}).items()},
        "Validation": validation,
        "Experiment": metrics.get("experiment") or {},
    }
    return [(heading, summaries) for heading, summaries in groups.items() if summaries]


def _controls(metrics: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Group, row and one cell for each of CONTROLS, of the rows that have any."""
    return [
        (group, name, [form(summary.get(key)) for key, (_, form) in CONTROLS.items()])
        for group, summaries in _sections(metrics)
        for name, summary in summaries.items()
        if any(summary.get(key) is not None for key in CONTROLS)
    ]


def _highlights(metrics: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(number, unit, what it is) of the few numbers to see first: the worst geometry of each kind."""
    robustness: dict[str, dict[str, Any]] = metrics["robustness"]
    cards = []
    with_auc = {name: summary["auc"] for name, summary in robustness.items() if summary["auc"] is not None}
    if with_auc:
        worst = min(with_auc, key=lambda name: with_auc[name])
        cards.append((format_auc(with_auc[worst]), "", f"lowest AUC: {worst}"))
    for rate, what in (
        ("false_negative_rate", "most good patterns lost"),
        ("false_positive_rate", "most bad patterns kept"),
        ("false_negative_rate_at_zero_fp", "most good patterns lost at zero false positives"),
    ):
        known = {name: summary[rate] for name, summary in robustness.items() if summary[rate] is not None}
        if known:
            worst = max(known, key=lambda name: known[name])
            cards.append((format_rate(known[worst]), "%", f"{what}: {worst}" if known[worst] else what))
    return cards


def _inline(png: Path) -> str:
    try:
        return "data:image/png;base64," + b64encode(png.read_bytes()).decode()
    except OSError as error:
        raise InputError(f"the report's picture {png} cannot be read: {error.strerror}; draw it first") from error
