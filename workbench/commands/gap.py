"""`onehit gap`: how far a simulation is from the frames of a file, in what, and what to change."""

import json
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import sklearn.ensemble  # noqa: F401  (what is to be limited has to be there)
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from ...evaluate.gap import gap_figures
from ...evaluate.gap.frames import gain_matched, matched, sampled
from ...evaluate.gap.measure import Gap as Measured
from ...evaluate.gap.measure import measure, summary
from ...geometries.errors import InputError
from ...simulate.config_io import to_json, versions, write_whole
from ...simulate.reading.file_source import FileSource
from ...train.classifier import Classifier
from ..notices import tell
from ..options import Gap
from ..progress import track
from ..reports.gap_tables import content, lines, sentences
from ..reports.page import write_page

_LEAST_PATTERNS = 100


# With threads scikit-learn takes longer for so few frames, and many times as long where cores are shared.
@threadpool_limits.wrap(limits=1, user_api="openmp")
def run_gap(command: Gap) -> dict[str, Any]:
    """Measure the gap; writes gap.json, config.json, figures/ and report.html, prints a table and returns gap.json."""
    if command.patterns < _LEAST_PATTERNS:
        raise InputError(f"--patterns is {command.patterns}: give {_LEAST_PATTERNS} or more, better 2000")
    if command.frames < 2:
        raise InputError(f"--frames is {command.frames}: give 2 or more, better 1000")
    if command.out.exists() and not command.out.is_dir():
        raise InputError(f"--out {command.out} is a file: give a folder")
    classifier = Classifier.load(command.like)
    source = FileSource(command.file, command.read)
    name = source.frames.path
    tell(source, "--read", command.strict, labels=False)
    instrument, is_matched, is_not = matched(command.simulation.instrument, source)
    simulation = replace(command.simulation, instrument=instrument)
    sample = sampled(source, command.frames, track)
    for found, more in zip((is_matched, is_not), gain_matched(source, sample.whole), strict=True):
        found.extend(more)
    for line in sample.odd:
        print(f"{name}: odd: {line}", file=sys.stderr)
    if sample.odd and command.strict:
        raise InputError(f"{name}: something is odd, as said above, and --strict refuses that: leave out --strict")
    gap = measure(source, sample, simulation, command.patterns, command.patterns, classifier, command.split, track)
    is_matched.append("masks: what is hidden in the file's frames or by the instrument is hidden in both")
    size = gap.eyes.extractor.size
    is_matched.append(f"size: both are binned and cropped to {size} x {size} pixels")
    if not gap.scored:
        is_not.append(f"scores: the frames are smaller than the classifier's {classifier.config.network.size} pixels")
    is_not.extend(f"split: {line}" for line in gap.left_out)
    for line in (*sample.notes, *is_matched, *(f"not matched: {line}" for line in is_not)):
        print(f"{name}: {line}", file=sys.stderr)
    numbers = summary(gap) | {
        "kept_share": {
            which: float((seen.score >= classifier.threshold).mean()) if gap.scored else None
            for which, seen in (("real", gap.real), ("simulated", gap.simulated))
        },
        "threshold": classifier.threshold,
        "classifier": str(command.like or "the one that comes with onehit"),
        "file": [str(path) for path in command.file],
        "sampled": list(sample.notes),
        "matched": is_matched,
        "not_matched": is_not,
        "versions": versions(),
    }
    command.out.mkdir(parents=True, exist_ok=True)
    kept = replace(command, simulation=simulation)
    write_whole(command.out / "config.json", to_json(gap=kept))
    write_whole(command.out / "gap.json", json.dumps(numbers, indent=2) + "\n")
    write_page(
        "gap.html",
        command.out / "report.html",
        title=f"onehit: the gap between {name.name} and its simulation",
        content=content(numbers),
        config={"gap": asdict(kept)},
        figures=_drawn(gap, classifier.threshold, command.out / "figures"),
        versions=versions(),
        summary=sentences(numbers),
        command=shlex.join(["onehit", "gap", *map(str, command.file), "--config", str(command.out / "config.json")]),
    )
    for line in lines(numbers):
        print(line)
    print(f"report: {command.out / 'report.html'}")
    return numbers


def _drawn(gap: Measured, threshold: float, folder: Path) -> list[tuple[str, str, Path]]:
    folder.mkdir(exist_ok=True)
    pictures: list[tuple[str, str, str, Figure | None]] = [
        (
            "profiles",
            "Radial profile and ring contrast",
            "Medians of real and simulated frames, and bands that hold the middle 80 % of them.",
            gap_figures.profile_figure(gap),
        ),
        (
            "features",
            "What differs most",
            "Histograms of the features whose values tell real from simulated frames best, one of each kind.",
            gap_figures.histogram_figure(gap),
        ),
        (
            "patterson",
            "Patterson profiles",
            "Fringes by the distance that makes them: particles reach as far as they are long, several of them as far "
            "as they lie apart.",
            gap_figures.patterson_figure(gap),
        ),
        (
            "nearest",
            "Real frames and the nearest simulated ones",
            "From faint to bright. A distance above 1 is farther than 99 % of the simulated frames' own.",
            gap_figures.nearest_figure(gap),
        ),
        (
            "outside",
            "Frames that no simulated one resembles",
            "The farthest first.",
            gap_figures.outside_figure(gap),
        ),
        (
            "scores",
            "Scores",
            "Of the classifier, on both.",
            gap_figures.score_figure(gap, threshold),
        ),
    ]  # fmt: skip
    drawn = []
    for name, heading, caption, figure in pictures:
        path = folder / f"{name}.png"
        path.unlink(missing_ok=True)
        if figure is not None:
            figure.savefig(path)
            drawn.append((heading, caption, path))
    return drawn
