"""`onehit calibrate`: a simulation fitted to frames that nobody has labelled."""

import json
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from ...evaluate.calibration.figures import parameters_figure, profiles_figure, scores_figure
from ...evaluate.calibration.fit import Calibration, calibrate, with_dark
from ...evaluate.calibration.forecast import forecast, of_shares
from ...evaluate.calibration.labels import (
    FRAMES,
    LABELS,
    Judged,
    chances,
    chosen,
    labelled_rates,
    read_frames,
    with_labels,
    write_frames,
    write_labels,
)
from ...evaluate.calibration.pool import Simulator, with_shares
from ...evaluate.calibration.record import is_of_files, read_calibration
from ...evaluate.calibration.search import parameters
from ...evaluate.calibration.summary import summary
from ...evaluate.gap.features import Features
from ...evaluate.gap.frames import LEAST, Sample, gain_matched, matched, sampled
from ...evaluate.gap.measure import differing
from ...evaluate.gap.outside import outside
from ...evaluate.gap.two_sample import floor, two_sample_test
from ...geometries.errors import InputError
from ...simulate.config import BadConfig, SimulationConfig
from ...simulate.config_io import as_typed, to_json, versions, whole_file, write_whole
from ...simulate.populations import with_populations
from ...simulate.reading.file_source import FileSource
from ...train.classifier import Classifier
from ...train.loop import frame_masks, frames_at_once
from ..notices import tell
from ..options import Calibrate
from ..progress import track
from ..reports.calibration_tables import calibration_tables, sentences
from ..reports.cells import terminal_table
from ..reports.page import write_page

_MASK_BYTES = 2**28


# With threads scikit-learn takes longer for so few frames, and many times as long where cores are shared.
@threadpool_limits.wrap(limits=1, user_api="openmp")
def run_calibration(command: Calibrate) -> None:
    """Fit, write the directory, and print what was found."""
    config = command.calibrate.check()
    if command.label < 0:
        raise InputError(f"label is {command.label}; give a number of frames")
    if command.labels is not None:
        return _add_labels(command, command.labels)
    classifier: Classifier | None = Classifier.load(command.run_directory)
    source = FileSource(command.file, command.read)
    tell(source, "--read", command.strict, labels=False)
    size = classifier.config.network.size
    if min(source.shape) < size:
        print(f"{source.frames.path}: no forecast, since the classifier takes {size} x {size} pixels", file=sys.stderr)
        classifier = None
    instrument, is_matched, is_not = matched(config.simulation.instrument, source)
    simulation = replace(config.simulation, instrument=instrument)
    sample = sampled(source, config.frames, track, dark=True)
    for found, more in zip((is_matched, is_not), gain_matched(source, sample.whole), strict=True):
        found.extend(more)
    if (sample.photons > 0).sum() < LEAST:
        said = "; ".join(sample.notes)
        raise InputError(
            f"{source.frames.path}: {said}, and a calibration needs at least {LEAST} with photons: give more frames"
        )
    if sample.odd and command.strict:
        raise InputError(f"{source.frames.path}: {sample.odd[0]}, and --strict refuses that: leave out --strict")
    for line in (*sample.notes, *is_matched, *(f"not matched: {line}" for line in is_not), *sample.odd):
        print(f"{source.frames.path}: {line}", file=sys.stderr)
    command.out.mkdir(parents=True, exist_ok=True)
    most = max(1, _MASK_BYTES // source.bad_pixel.size)
    masks = frame_masks(source, sample.index[np.unique(np.linspace(0, len(sample.index) - 1, most).astype(int))])
    simulator = Simulator(simulation, parameters(simulation), masks, classifier)
    seen, score = _looked_at(source, sample, simulator, classifier)
    # Frames without photons fit any background that may be none, and tell nothing else.
    lit, none = seen.values[:, 0] > 0, np.full(len(sample.index), np.nan)
    features = seen.values[lit]
    found = calibrate(
        features,
        simulator,
        config.patterns,
        config.replicas,
        config.seed,
        track,
        lambda line: print(line, file=sys.stderr),
    )
    found = with_dark(found, ~lit, seen.values, config.seed)
    weights = of_shares(found.fit.weights, found.pool.kind, found.fit.shares)
    assumed, fitted = (values[values[:, 0] > 0] for values in (found.assumed.features, found.fitted))
    before = two_sample_test(features, assumed)
    after = two_sample_test(features, fitted)
    chance = floor(fitted, len(features))
    # What repeats it, from any folder.
    run = command.run_directory and command.run_directory.resolve()
    config, read = replace(config, simulation=simulation), command.read.resolved()
    command = replace(command, run_directory=run, read=read, calibrate=config)
    result = {"file": [str(path.resolve()) for path in command.file], "read": asdict(read)}
    result["calibrate"] = json.loads(to_json(calibrate=config))["calibrate"]
    result |= {"frames": len(sample.index)} | summary(found, simulation, (before, after, chance))
    beyond = outside(features, fitted)
    result |= {"outside_share": beyond.share, "outside_share_interval": list(beyond.interval)}
    result["differs"] = differing(features, fitted, seen.names, seen.groups)
    result["figures"] = [name for name in _FIGURES if name != "scores" or score is not None]
    if classifier is not None and score is not None:
        result |= {"classifier": classifier.identity(), "threshold": classifier.threshold}
        result["forecast"] = forecast(found, classifier.threshold)
        result["kept_share"] = float((score >= classifier.threshold).mean())
    _write_population(command.out / "population.h5", found, simulator)
    fitted_config = fitted_simulation(found, simulation, command.out / "population.h5")
    write_whole(command.out / "config.json", config_for_commands(fitted_config, command))
    write_whole(command.out / "calibration.json", json.dumps(result, indent=2, default=str) + "\n")
    files, none_chosen = [str(path.resolve()) for path in source.origin.files], np.zeros(len(sample.index), bool)
    judged = Judged(
        tuple(files[number] for number in source.origin.file[sample.index]),
        source.origin.frame[sample.index],
        found.single,
        none if score is None else score,
        none,
        none_chosen,
        none,
    )
    if command.label:
        chance = chances(judged.probability, min(command.label, len(judged.frame)))
        picked = chosen(chance, judged.probability if score is None else score)
        judged = judged._replace(chance=chance, chosen=picked)
        write_labels(command.out / LABELS, judged)
    write_frames(command.out / FRAMES, judged)
    _draw(command.out / "figures", found, result, seen, score, weights)
    _show(command.out, result)
    print(f"{command.out}/report.html; simulate with --config {command.out}/config.json")
    if command.label:
        print(f"{command.out / LABELS}: fill in its column single_hit, then onehit calibrate ... --labels with it")


def _show(out: Path, result: dict[str, Any]) -> None:
    """The page, and the same on standard output."""
    lines = sentences(result, out)
    drawn = [(*said, out / f"figures/{name}.png") for name, said in _FIGURES.items() if name in result["figures"]]
    write_page(
        "calibration.html",
        out / "report.html",
        f"Calibration: {Path(result['file'][0]).name}",
        {"tables": calibration_tables(result)},
        result["calibrate"],
        drawn,
        result["versions"],
        lines,
        shlex.join(["onehit", "calibrate", *result["file"], "--config", str(out / "config.json"), "--out", str(out)]),
    )
    for table in calibration_tables(result):
        _print(terminal_table(table.heading, table.columns, table.rows))
    for line in lines:
        print(line)


def _add_labels(command: Calibrate, labels: Path) -> None:
    """What labels say, into calibration.json and the report."""
    switches = {"--label": command.label, "--run": command.run_directory, "--strict": command.strict}
    ignored = [option for option, is_given in switches.items() if is_given]
    ignored += filter(None, (as_typed(command.read, "--read."), as_typed(command.calibrate)))
    if ignored:
        raise InputError(f"with --labels nothing is fitted again: leave out {' '.join(ignored)}")
    result = read_calibration(command.out)
    if not is_of_files(result, command.file):
        raise InputError(
            f"--out {command.out} holds a calibration of {', '.join(result['file'])}, not of "
            f"{', '.join(map(str, command.file))}: give that FILE, or the --out of this one"
        )
    judged = with_labels(read_frames(command.out / FRAMES), labels)
    result["labelled"] = labelled_rates(judged, result.get("threshold", np.nan))
    write_whole(command.out / "calibration.json", json.dumps(result, indent=2) + "\n")
    _show(command.out, result)
    print(f"{command.out}/report.html")


def _looked_at(
    source: FileSource, sample: Sample, simulator: Simulator, classifier: Classifier | None
) -> tuple[Features, Float[np.ndarray, " frames"] | None]:
    """Features of real frames under the masks of both, and the classifier's scores."""
    parts, scores, size = [], [], frames_at_once(source)
    for first in range(0, len(sample.index), size):
        some = sample.index[first : first + size]
        counts, bad = np.asarray(source.patterns(some).counts), frame_masks(source, some) | simulator.bad_pixel
        parts.append(simulator.extractor(np.where(bad, 0, counts), bad))
        if classifier is not None:
            scores.append(classifier.score(counts, bad))
    features = parts[0]._replace(values=np.concatenate([part.values for part in parts]))
    return features, np.concatenate(scores) if scores else None


def fitted_simulation(found: Calibration, simulation: SimulationConfig, population: Path) -> SimulationConfig:
    """The configuration that a calibration found."""
    fixed = with_populations(simulation, {name: value for name, (value, _) in found.fit.numbers.items()})
    return replace(with_shares(fixed, found.fit.shares), population=str(population.resolve()))


def config_for_commands(fitted: SimulationConfig, command: Calibrate) -> str:
    """What `--config` of every command takes; trainings and tests take half of their patterns from single hits.

    command: what was typed, its simulation as it was searched.
    """
    even = replace(fitted, good_fraction=0.5) if 0 < fitted.good_fraction < 1 else fitted
    if fitted.good_fraction == 1:
        even = replace(fitted, good_fraction=0.5, bad=BadConfig())
    simulation, train, test = {"simulation": asdict(fitted)}, {"simulation": asdict(even)}, {"test": asdict(even)}
    real, read = {"calibration": command.out.resolve()}, asdict(command.read)
    content = {
        "versions": versions(),
        "simulate": simulation,
        "gallery": simulation,
        "gap": simulation | {"read": read},
        "train": train,
        "evaluate": test | real,
        "study": {"train": train, "evaluate": test | real},
        "sweep": {"train": train, "evaluate": test},  # which scores no frames without labels
        "compare": {"train": asdict(even), "test": asdict(even)},
        "classify": {"read": read, "run_directory": command.run_directory},
        "inspect": {"read": read},
        # Calibrations have a part of that name, and the others are beside it.
        "calibrate": asdict(command.calibrate),
        "read": read,
        "run_directory": command.run_directory,
        "label": command.label,
    }
    return json.dumps(content, indent=2, default=str) + "\n"


def _write_population(path: Path, found: Calibration, simulator: Simulator) -> None:
    """The drawn rows, joint samples of equal weight; photons are those on all good pixels of the instrument, since
    a configuration knows no masks."""
    rows = simulator.on_all_pixels(found.rows)
    with whole_file(path) as part, h5py.File(part, "w") as file:
        for i, parameter in enumerate(simulator.searched):
            if not parameter.is_number:
                file[parameter.name] = rows[:, i]
        file["weight"] = np.ones(len(rows))


_FIGURES = {
    "parameters": (
        "Fitted distributions",
        "Grey: as assumed; blue: as fitted. Diameters and photons of single hits, backgrounds of all frames.",
    ),
    "profiles": (
        "Radial profiles",
        "Medians, and the bands of nine frames in ten: real frames black, the calibrated simulation blue.",
    ),
    "scores": (
        "Scores of the classifier",
        "Of the real frames, and of the calibrated simulation, single hits and others apart; a line at the threshold.",
    ),
}
"""Names of the report's pictures, their headings and captions."""


def _draw(
    folder: Path,
    found: Calibration,
    result: dict[str, Any],
    features: Features,
    score: Float[np.ndarray, " frames"] | None,
    weights: Float[np.ndarray, " patterns"],
) -> None:
    folder.mkdir(exist_ok=True)
    rings = np.flatnonzero([name.startswith("log photons in ring") for name in features.names])
    parameters_figure(found, weights).savefig(folder / "parameters.png")
    profiles_figure(features.values, rings, found, weights).savefig(folder / "profiles.png")
    if score is not None:
        scores_figure(score, found, weights, result["threshold"]).savefig(folder / "scores.png")


def _print(table) -> None:
    from rich.console import Console

    Console(width=110, highlight=False).print(table)
