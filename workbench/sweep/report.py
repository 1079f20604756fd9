"""The report of a sweep: one self-contained HTML file, and the folder of its pictures."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ...evaluate.figures import gallery_figure
from ...evaluate.metrics import format_auc, format_rate
from ...simulate.config_io import versions, write_whole
from ...simulate.scattering.ranges import Range
from ..options import Sweep
from ..reports.cells import Cell as Text
from ..reports.cells import Table, cell_of
from ..reports.page import write_page
from ..reports.sweep_figures import line_figure, map_figure
from .axes import option
from .plan import Plan
from .results import (
    Cell,
    Difference,
    Names,
    differences,
    in_words,
    lost_in_words,
    measure_lines,
    measure_map,
    overview,
    read_scores,
    sentence,
    worst_cells,
)

_MOST_ROWS = 300
_MOST_DRAWN = 60
"""Trainings of a map, and three times the curves of a plot."""
_WORST, _SHOWN, _SAID = 10, 3, 12
_MAPS = {
    "false_negative_rate": (
        "Single hits lost at the frozen threshold",
        "Per cent of the single hits that each training (rows) discards of each test (columns)",
    ),
    "false_positive_rate": (
        "Other patterns kept at the frozen threshold",
        "Per cent of the bad patterns that each training (rows) keeps of each test (columns)",
    ),
    "auc": ("AUC", "Chance that a single hit outscores another pattern, for each training (rows) and test (columns)"),
}
_RATES = {
    "false_negative_rate": "Lost, %",
    "false_positive_rate": "Kept, %",
    "false_negative_rate_at_zero_fp": "Lost at zero false positives, %",
}


def write_report(plan: Plan, command: Sweep, cells: Sequence[Cell]) -> list[str]:
    """Write report.html and figures/ of what there is; returns its sentences, for the terminal."""
    names = Names(plan)
    paired = differences(plan, cells, names)
    done = [cell for cell in cells if cell.state == "done"]
    sentences = [f"{len(plan.trainings):,} trainings and {len(plan.tests):,} tests: {overview(cells)}."]
    if done:
        worst = worst_cells(done, 1)[0]
        sentences.append(f"The worst: {in_words(worst, names)}: {lost_in_words(worst)}.")
    largest = sorted(paired, key=lambda found: -abs(found.lost[0]) if found.lost else 0.0)
    sentences += [f"{sentence(found)}." for found in largest[:_SAID]]
    if len(largest) > _SAID:
        sentences.append(f"These are the largest of {len(largest):,} differences: the report has them all.")
    if any(found.seeds == 1 for found in paired):
        sentences.append("With one seed the intervals tell nothing about other trainings: add --train.axis seed 0 1 2.")
    software = Counter(str(sorted(cell.record["versions"].items())) for cell in done)
    if len(software) > 1:
        sentences.append("Not all cells were made with the same software: sweep.csv has the versions of each.")
    write_page(
        "sweep.html",
        plan.folder / "report.html",
        title=f"onehit: {len(plan.trainings):,} trainings on {len(plan.tests):,} tests",
        content={
            "highlights": _highlights(done, names),
            "differences": _differences(paired),
            "sections": _sections(cells, done, names),
        },
        config={"sweep": asdict(command)},
        figures=_figures(plan, cells, done, names),
        versions=versions(),
        summary=sentences,
        command=f"onehit sweep --config {shlex.quote(str(plan.folder / 'config.json'))} --out ANOTHER_DIRECTORY",
    )
    return sentences


def _highlights(done: Sequence[Cell], names: Names) -> list[tuple[str, str, str]]:
    """(number, unit, what it is): the worst cell, and the best and the worst training, by what is lost on the mean."""
    if not done:
        return []
    worst = worst_cells(done, 1)[0]
    cards = [
        (format_rate(worst.summary["false_negative_rate"]), "%", f"most single hits lost: {in_words(worst, names)}")
    ]
    lost = measure_map(done, names, "false_negative_rate")
    rows = zip(lost.trainings, lost.mean, strict=True)
    means = {name: float(np.nanmean(row)) for name, row in rows if not np.isnan(row).all()}
    if len(set(means.values())) > 1:
        for choose, what in ((min, "fewest"), (max, "most")):
            name = choose(means, key=means.__getitem__)
            cards.append((format_rate(means[name]), "%", f"lost, mean over the tests, {what}: {name}"))
    return cards


def _differences(paired: Sequence[Difference]) -> list[Table]:
    if not paired:
        return []
    rows: list[list[Text]] = [
        [d.what, d.training, d.test, str(d.seeds), f"{d.patterns:,}", _points(d.lost), _points(d.kept), _auc(d)]
        for d in paired
    ]
    columns = ("Trainings", "Both with", "Test", "Seeds", "Patterns", "Lost, points", "Kept, points", "AUC")
    if not any(d.training for d in paired):  # they differ in nothing else
        columns, rows = columns[:1] + columns[2:], [row[:1] + row[2:] for row in rows]
    note = (
        "Percentage points, each training's rate minus the baseline's on the same patterns, at the frozen "
        "threshold of each, the difference of AUC, and 95 % intervals (Agresti & Min 2005 and DeLong et al. 1988 for "
        "the patterns; with several seeds, their spread is added). With one seed the interval tells nothing about "
        "trainings from others."
    )
    return [Table("Differences from the baseline", note, columns, rows[:_MOST_ROWS])]


def _sections(cells: Sequence[Cell], done: Sequence[Cell], names: Names) -> list[Table]:
    found = []
    failed = [cell for cell in cells if cell.state == "failed"]
    if failed:
        note = f"{len(failed):,} cells; --retry does them again. Their records, beside the scores, say where it failed."
        rows: list[list[Text]] = [[in_words(cell, names), cell.reason] for cell in failed[:_WORST]]
        found.append(Table("Failed", note, ("Cell", "Reason"), rows))
    if done:
        rows = [_row(cell, names) for cell in worst_cells(done, _WORST)]
        note = (
            "Those that lose most single hits at the frozen threshold. Intervals: Wilson for rates, Newcombe for AUC."
        )
        heading = "Worst cells" if len(done) > _WORST else "All cells, the worst first"
        found.append(Table(heading, note, _COLUMNS, rows))
    if _WORST < len(done) <= _MOST_ROWS:
        rows = [_row(cell, names) for cell in done]
        found.append(Table("All cells", "sweep.csv has these, and more of each.", _COLUMNS, rows))
    return found


_COLUMNS = ("Training and test", "Good", "Bad", *_RATES.values(), "AUC")


def _row(cell: Cell, names: Names) -> list[Text]:
    summary = cell.summary
    numbers = (f"{summary[n]:,}" for n in ("n_good", "n_bad"))
    rates = (cell_of(summary, rate) for rate in _RATES)
    return [in_words(cell, names), *numbers, *rates, cell_of(summary, "auc", format_auc)]


def _points(rate: tuple[float, list[float]] | None) -> Text:
    if rate is None:
        return "–"
    value, interval = rate
    return f"{100 * value:+.1f}", " – ".join(f"{100 * end:+.1f}" for end in interval)


def _auc(found: Difference) -> Text:
    if found.auc is None:
        return "–"
    value, interval = found.auc
    return f"{value:+.4f}", " – ".join(f"{end:+.4f}" for end in interval)


def _figures(plan: Plan, cells: Sequence[Cell], done: Sequence[Cell], names: Names) -> list[tuple[str, str, Path]]:
    folder = plan.folder / "figures"
    folder.mkdir(exist_ok=True)
    drawn: list[tuple[str, str, Path]] = []

    def keep(name: str, heading: str, caption: str, figure: Figure) -> None:
        content = BytesIO()
        figure.savefig(content)
        write_whole(folder / f"{name}.png", content.getvalue())
        drawn.append((heading, caption, folder / f"{name}.png"))

    if not done:
        return drawn
    for measure, (heading, caption) in _MAPS.items():
        found = measure_map(cells, names, measure)
        if np.isnan(found.mean).all():
            continue
        is_auc = measure == "auc"
        badness = np.ma.masked_invalid(-found.mean if is_auc else found.mean).mean(axis=1).filled(-np.inf)
        rows = np.arange(len(badness))
        if len(rows) > _MOST_DRAWN:
            rows = np.sort(np.argsort(-badness)[:_MOST_DRAWN])
            caption += f"; of {len(badness)} trainings the {_MOST_DRAWN} worst"
        if not np.isnan(found.spread).all():
            caption += ". Mean over seeds ± their standard deviation"
        figure = map_figure(
            [found.trainings[row] for row in rows],
            found.tests,
            found.mean[rows],
            found.spread[rows],
            format_auc if is_auc else format_rate,
            best=1.0 if is_auc else 0.0,
            worst=min(0.5, float(np.nanmin(found.mean))) if is_auc else 1.0,
        )
        keep(f"map-{measure.replace('_', '-')}", heading, f"{caption}. Darker is worse; grey is not known.", figure)
    for lines in measure_lines(plan, cells, names, "false_negative_rate"):
        worst_first = sorted(lines.curves, key=lambda name: -max(lines.curves[name][1]))
        chosen = [name for name in lines.curves if name in worst_first[: _MOST_DRAWN // 8]]
        caption = "Means over seeds and all other axes; bars are standard deviations."
        if option(lines.axis).kind == Range:
            caption += " A range stands at its middle, in the logarithm where both ends are above 0."
        if len(chosen) < len(lines.curves):
            caption += f" Of {len(lines.curves)} curves the {len(chosen)} with the highest values."
        name = "".join(c if c.isalnum() else "-" for c in lines.axis)
        figure = line_figure(lines.axis, {name: lines.curves[name] for name in chosen})
        keep(f"along-{name}", f"Along {lines.axis}", caption, figure)
    for place, cell in enumerate(worst_cells(done, _SHOWN), 1):
        worst, titles, bad_pixel = read_scores(plan, cell, ("worst", "worst_titles", "bad_pixel")).values()
        if not len(worst):
            continue
        caption = f"{lost_in_words(cell)[0].upper()}{lost_in_words(cell)[1:]}. The single hits scored lowest and the "
        caption += f"others scored highest; the threshold is {cell.trained['threshold']:.1f}."
        figure = gallery_figure(worst, [str(title) for title in titles], bad_pixel)
        keep(f"hardest-{place}", f"Hardest patterns: {in_words(cell, names)}", caption, figure)
    for old in {*folder.glob("along-*.png")} - {path for _, _, path in drawn}:  # of axes that are there no more
        old.unlink()
    return drawn
