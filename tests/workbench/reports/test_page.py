"""The report carries every number it was given, stands alone, and trusts no name."""

import json
import re
from base64 import b64decode
from html import unescape
from io import StringIO

import numpy as np
import pytest
from onehit.evaluate.metrics import format_auc, format_rate, summarise
from onehit.geometries.errors import InputError
from onehit.workbench.reports.page import RATES, report_content, robustness_table, write_page
from onehit.workbench.reports.run_tables import run_lines, run_tables, side_by_side
from rich.console import Console

HOSTILE = '<script>alert("x")</script> [bold]& co'


def scored(seed: int, n: int, shift: float) -> dict:
    rng = np.random.default_rng(seed)
    label = np.repeat([1, 0], n)
    return summarise(label, rng.normal(size=2 * n) + shift * label, 1.0)


def kept(k: int, n: int) -> dict:
    return summarise(np.zeros(n, int), np.arange(n) < k, 0.5)


METRICS = {
    "robustness": {
        "icosahedron": scored(0, 1234, 9) | {"calibration_error": 0.01234, "photons_auc": 0.4987},
        "soccer-ball": scored(1, 500, 2),
        HOSTILE: scored(2, 77, 1),
    },
    "experiment": {
        "all frames": scored(3, 60, 1) | {"purity": 0.75, "purity_interval": [0.5, 0.9]},
        "frames of at least 13,000 photons": summarise([1], [0], 1) | {"purity": None, "purity_interval": None},
    },
    "validation": scored(4, 300, 3),
    "masked": {"half": {"torus": scored(5, 40, 1) | {"recall_at_precision_0.995": 0.8421}}},
    "no_particle": {
        "empty, halo": kept(3, 600) | {"held_out": False},
        "stray light": kept(0, 500) | {"held_out": False},
        "speckle": kept(41, 700) | {"held_out": True},
    },
    "development": {"wedge": scored(6, 90, 2), HOSTILE: scored(7, 80, 1)},
    "threshold": 1.0625,
    "temperature": 1.375,
    "training": {"steps": 3000, "patterns": 192000, "seconds": 1234.5, "patterns_per_second": 155.5},
    "poster": {"soccer-ball": 0.587, "torus": 0.848},
}
SUMMARIES = [METRICS["masked"]["half"]["torus"], METRICS["validation"]]
SUMMARIES += [*METRICS["robustness"].values(), *METRICS["experiment"].values()]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    (folder / "roc.png").write_bytes(b"\x89PNG picture")
    return write_page(
        "report.html",
        folder / "new" / "report.html",
        f"Title {HOSTILE}",
        report_content(METRICS),
        {"seed": 7, "train": {"geometry": [HOSTILE]}},
        [("ROC curves", f"caption of {HOSTILE}", folder / "roc.png")],
        {"jax": "0.10.1"},
        ["It keeps 57 % of single tori.", HOSTILE],
        f"onehit study --geometry '{HOSTILE}'",
    ).read_text(encoding="utf-8")


def test_every_number_is_there(report):
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", report)))
    for summary in SUMMARIES:
        assert f" {summary['n_good']:,} {summary['n_bad']:,} {format_auc(summary['auc'])} " in text
        values = [(summary["auc_interval"], format_auc)]
        values += [(summary[f"{rate}_interval"], format_rate) for rate in RATES]
        for interval, form in values:
            assert not interval or f"{form(interval[0])} – {form(interval[1])}" in text
        for rate in RATES:
            assert f" {format_rate(summary[rate])} " in text
    for number in ("1.062", "3,000", "192,000", "1,234.5", "155.5", "58.7", "1.38", "0.10.1", '"seed": 7', "57 %"):
        assert number in text
    assert "84.8" not in text  # no torus was scored here
    assert f"icosahedron Simulated, by geometry {format_rate(0.01234)} {format_auc(0.4987)} –" in text
    assert f"torus With one half of the detector hidden – – {format_rate(0.8421)}" in text


def test_frames_without_a_particle_are_summed_by_whether_a_training_may_see_them(report):
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", report)))
    for row in ("empty, halo 600 0.50", "stray light 500 0", "all that a training may see the like of 1,100 0.27",
                "speckle 700 5.9", "all that are held out 700 5.9", "all 1,800 2.4 1.8 – 3.3"):  # fmt: skip
        assert row in text


def test_development_shapes_have_their_mean_and_their_worst(report):
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", report)))
    found = METRICS["development"]
    lost, kept = ([s[rate] for s in found.values()] for rate in ("false_negative_rate", "false_positive_rate"))
    assert f"mean {format_rate(np.mean(lost))} {format_rate(np.mean(kept))}" in text
    assert f"worst {format_rate(max(lost))} " in text and max(lost) == found[HOSTILE]["false_negative_rate"]


def test_the_terminal_has_one_line_for_each():
    real, bright, no_particle, development = run_lines(METRICS)
    assert re.fullmatch(r"real patterns, all frames: \d+ kept, 75.0 \[50.0, 90.0\] % of them single hits", real)
    assert bright == "real patterns, frames of at least 13,000 photons: none kept"
    assert no_particle == (
        "frames without a particle: 44 of 1,800 kept, 2.4 [1.8, 3.3] %; most of speckle: 5.9 [4.3, 7.8] %"
    )
    assert development.startswith("2 development shapes, mean (worst): ") and HOSTILE in development
    nothing = {"no_particle": {"stray light": METRICS["no_particle"]["stray light"]}}
    assert run_lines(nothing) == ["frames without a particle: 0 of 500 kept, 0 [0, 0.76] %"]
    assert run_lines({}) == []


def rates(**values):
    """Each with an interval of one point on either side; None without."""
    intervals = {f"{n}_interval": v if v is None else [max(v - 0.01, 0), v + 0.01] for n, v in values.items()}
    return values | intervals


def test_a_forecast_held_where_its_interval_meets_the_measured_one():
    names = ("kept_share", "false_negative_rate", "false_positive_rate", "purity")
    forecast = rates(**dict.fromkeys(names, 0.1))
    labelled = {"by": "real.cxi", "same_frames": True}
    labelled |= rates(false_negative_rate=0.115, false_positive_rate=0.125, purity=None)
    found = {"file": ["/real.cxi"], "frames": 400, "forecast": forecast, "single_share": {}}
    found |= {"two_sample_auc": {"before": 0.9, "after": 0.6}, **rates(kept_share=0.085)}

    def said(**labelled):
        (table,) = run_tables({"unlabelled": found | labelled})
        return [row[-1] for row in table.rows], table.note, run_lines({"unlabelled": found | labelled})[2:]

    held, _, lines = said(labelled=labelled)
    assert held == ["held", "held", "did not hold", ""]
    assert lines == ["forecast held: frames kept, single hits lost", "forecast did not hold: others kept"]
    held, note, lines = said(labelled=labelled | {"same_frames": False})
    assert held == ["held", "", "", ""] and "labels of real.cxi, which are other frames" in note
    assert lines == ["forecast held: frames kept"]
    held, note, _ = said()
    assert held == ["held", "", "", ""] and "take labels" in note
    assert "intervals of 90 %" in said(labelled=labelled | {"by": "labels"})[1]


def test_runs_stand_side_by_side():
    table = side_by_side({"a": METRICS, "b": {"robustness": {"icosahedron": METRICS["robustness"]["icosahedron"]}}})
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert lines[0] == ["", "a", "b"] and {len(line) for line in lines} == {3}
    rows = {name: cells for name, *cells in lines}
    assert rows["icosahedron: lost at the frozen threshold"][0] == rows["icosahedron: lost at the frozen threshold"][1]
    assert rows["frames without a particle: kept"] == ["2.4 [1.8, 3.3]", "–"]
    assert rows["frames without a particle, held out: kept"][0] == "5.9 [4.3, 7.8]"
    assert rows["frames without a particle, worst: kept"][0] == "5.9 [4.3, 7.8] (speckle)"
    assert rows["torus, half hidden: recall at 99.5 % precision"] == ["84.2", "–"]


def test_it_stands_alone(report):
    assert not re.search(r"https?:|//|@import|<script|<link|url\(", re.sub(r"base64,[^\"]+", "", report))
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', report)
    assert [b64decode(picture) for picture in pictures] == [b"\x89PNG picture"]
    assert report.count("src=") == 1


def test_names_are_text_not_markup(report):
    assert "<script" not in report
    assert "&lt;script&gt;" in report
    shown = unescape(re.search(r"<pre>(\{.*?\})</pre>", report, re.S)[1])
    assert json.loads(shown) == {"seed": 7, "train": {"geometry": [HOSTILE]}}


def test_geometries_alone_are_enough(tmp_path):
    content = report_content({"robustness": {"torus": scored(0, 9, 1)}})
    html = write_page("report.html", tmp_path / "r.html", "Small", content, {}).read_text()
    assert "torus" in html
    assert "poster" not in html
    assert "Training" not in html


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(InputError, match=r"roc\.png"):
        figures = [("ROC", "", tmp_path / "roc.png")]
        write_page("report.html", tmp_path / "r.html", "t", report_content(METRICS), {}, figures)


def printed(metrics: dict) -> str:
    console = Console(width=110, file=StringIO(), color_system=None)
    console.print(robustness_table(metrics))
    return console.file.getvalue()


def test_table_names_are_text_not_markup():
    assert "[red]x[/]" in printed({"robustness": {"[red]x[/]": scored(0, 9, 1)}})


def test_table_fits_a_terminal_and_holds_every_number():
    text = printed(METRICS)
    assert max(map(len, text.splitlines())) <= 110
    assert "…" not in text
    for summary in SUMMARIES:
        for name, form in [("auc", format_auc), *((rate, format_rate) for rate in RATES)]:
            interval = summary[f"{name}_interval"]
            shown = form(summary[name]) + (f" [{form(interval[0])}, {form(interval[1])}]" if interval else "")
            assert shown in text
