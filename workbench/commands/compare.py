"""The poster's whole comparison: systems side by side, one report. What is done is kept, and not done again."""

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from ...evaluate.comparison import activation_figures
from ...evaluate.comparison import figures as comparison_figures
from ...evaluate.comparison.activations import integrated_gradients, resnet_activations, vgg16_activations
from ...evaluate.comparison.compare import compare_system, depth_sweep, growth, real_frames, simulated_frames
from ...evaluate.comparison.config import CompareConfig
from ...evaluate.comparison.systems import ResNetClassifier, system
from ...evaluate.metrics import format_rate
from ...geometries.errors import InputError
from ...geometries.shapes import geometry
from ...simulate.beamline.pixels import picture_shape
from ...simulate.config_io import from_json, to_json, versions, write_whole
from ...simulate.reading.file_source import FileSource
from ...train.classifier import Classifier
from ...train.config import check_shape
from ...train.networks.vgg16 import VGG16Classifier
from ..notices import tell
from ..progress import track
from ..reports import poster
from ..reports.cells import terminal_table
from ..reports.comparison_tables import sections
from ..reports.page import write_page

_ATTRIBUTED = 6


def run_comparison(config: CompareConfig, out: Path, strict: bool = False) -> None:
    """Make what is missing of a comparison in a directory, then write and print the report.

    Raises InputError for what cannot be compared, and where the directory holds a comparison of other options.
    """
    config.check()
    for name in config.geometry:
        geometry(name)
    for name, simulation in (("--train", config.train), ("--test", config.test)):
        for training in (config.resnet, config.depth_training):
            check_shape(name, picture_shape(simulation.instrument.instrument()), training.network)
    for name in config.systems:
        system(name, config, track)  # refuses weights and runs that cannot be read
    if config.experiment is not None:
        tell(FileSource(config.experiment, config.read_experiment, "--read-experiment"), "--read-experiment", strict)
    real = real_frames(config, track)
    _claim(out, config)
    (out / "systems").mkdir(exist_ok=True)
    found: dict[str, Any] = {"systems": {}}
    if {"accuracy", "robustness", "speed", "activations"} & {*config.parts}:
        for name in config.systems:
            work = partial(compare_system, name, config, out / name, real, track)
            found["systems"][name] = _kept(out / "systems" / f"{name}.json", work)
    if "growth" in config.parts:
        found["growth"] = _kept(out / "growth.json", lambda: growth(config, track))
    if "depth" in config.parts:
        (out / "depth").mkdir(exist_ok=True)
        found["depth"] = _kept(out / "depth.json", lambda: depth_sweep(config, out / "depth", track))
    if "activations" in config.parts:
        found["activations"] = _kept(out / "activations.json", lambda: _activations(config, out))
    write_whole(out / "comparison.json", json.dumps(found, indent=2) + "\n")
    tables = sections(config, found)
    path = shlex.quote(str(out / "config.json"))
    again = {s.part: f"onehit compare --config {path} --parts {s.part} --out ANOTHER_DIRECTORY" for s in tables}
    write_page(
        "comparison.html",
        out / "report.html",
        title="onehit: systems that find single hits, compared",
        content={"sections": tables, "commands": again},
        config={"compare": asdict(config)},
        figures=_figures(config, found, out),
        versions=versions(),
        summary=_sentences(config, found),
        command=f"onehit compare --config {path} --out ANOTHER_DIRECTORY",
    )
    console = Console() if Console().is_terminal else Console(width=110)
    for section in tables:
        console.print(terminal_table(section.heading, section.columns, section.rows))
    console.print(f"report: {out / 'report.html'}", soft_wrap=True)


def _claim(out: Path, config: CompareConfig) -> None:
    """Make the directory this comparison's; refuse one that is another's."""
    if (out / "config.json").is_file():
        there = from_json(out / "config.json", "compare", CompareConfig)
        other = [name for name in there.__dataclass_fields__ if getattr(there, name) != getattr(config, name)]
        if other:
            raise InputError(f"{out} holds a comparison with another {other[0]}: choose another --out, or remove it")
        return
    if out.exists() and (not out.is_dir() or any(path.suffix != ".part" for path in out.iterdir())):
        raise InputError(f"{out} exists and holds no comparison: choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "config.json", to_json(compare=config))


def _kept(path: Path, work: Callable[[], Any]) -> Any:
    """What a file says was found before, or else what the work finds now, which is written there."""
    if not path.exists():
        write_whole(path, json.dumps(work(), indent=2) + "\n")
    return json.loads(path.read_text())


def _activations(config: CompareConfig, out: Path) -> dict[str, Any]:
    """Draws what the networks look at, for a good and a bad pattern; returns what the attribution sums to."""
    folder = out / "figures"
    folder.mkdir(exist_ok=True)
    size = config.resnet.network.size
    frames = simulated_frames(replace(config.test, geometry=config.geometry[:1]), config.seed + 2, 64, size, track)
    chosen = np.concatenate([np.flatnonzero(frames.label == kind)[: _ATTRIBUTED // 2] for kind in (1, 0)])
    counts, titles = frames.counts[chosen], ["single hit" if frames.label[i] else "multi-hit" for i in chosen]
    classifier = _classifier(config, out)
    maps = resnet_activations(classifier, counts, frames.bad_pixel)
    for i in (0, len(chosen) - 1):
        one = {name: values[i] for name, values in maps.items()}
        figure = activation_figures.activation_figure(counts[i], one, frames.bad_pixel, titles[i])
        figure.savefig(folder / f"activations-resnet-{i}.png")
    attribution = integrated_gradients(classifier, counts, frames.bad_pixel, track=track)
    figure = activation_figures.attribution_figure(counts, attribution, titles, frames.bad_pixel)
    figure.savefig(folder / "attribution.png")
    vgg16 = VGG16Classifier(config.vgg16_weights, config.vgg16_size)
    values = vgg16_activations(vgg16, counts[:1], frames.bad_pixel)
    one = {name: array[0] for name, array in values.items()}
    figure = activation_figures.activation_figure(counts[0], one, frames.bad_pixel, titles[0])
    figure.savefig(folder / "activations-vgg16-0.png")
    return {"score": attribution.score.tolist(), "attributed": attribution.map.sum((1, 2)).tolist()}


def _classifier(config: CompareConfig, out: Path) -> Classifier:
    """onehit's, of the run that was named or else trained here."""
    if config.run is not None:
        return Classifier.load(config.run)
    learned = simulated_frames(config.train, config.seed, config.train_count, config.resnet.network.size, track)
    resnet = ResNetClassifier(config.resnet, track, out / "resnet")
    resnet.fit(*learned)
    return resnet.classifier


def _sentences(config: CompareConfig, found: dict[str, Any]) -> list[str]:
    """What to know first."""
    lines = [f"{name}: {note}" for name, result in found["systems"].items() for note in result["notes"]]
    if "robustness" in config.parts:
        worst = {
            name: max(result["robustness"].items(), key=lambda entry: entry[1]["false_negative_rate_at_zero_fp"])
            for name, result in found["systems"].items()
        }
        for name, (shape, summary) in worst.items():
            lost = format_rate(summary["false_negative_rate_at_zero_fp"])
            lines.append(f"{name} loses most single hits of {shape}: {lost} % at zero false positives.")
    return lines


def _figures(config: CompareConfig, found: dict[str, Any], out: Path) -> list[tuple[str, str, Path]]:
    folder = out / "figures"
    folder.mkdir(exist_ok=True)
    drawn: list[tuple[str, str, Path]] = []

    def keep(name: str, heading: str, caption: str, figure: Figure | None = None) -> None:
        if figure is not None:
            figure.savefig(folder / f"{name}.png")
        drawn.append((heading, caption, folder / f"{name}.png"))

    if "speed" in config.parts:
        speeds = {name: result["speed"]["frames_per_second"] for name, result in found["systems"].items()}
        figure = comparison_figures.throughput_figure(speeds, poster.SPEED)
        keep("throughput", "Throughput", "Frames a second by frames given at once; dotted, the poster's.", figure)
    if "growth" in config.parts:
        figure = comparison_figures.growth_figure(found["growth"], poster.GROWTH)
        keep("growth", "Growth of the diffusion map", "Seconds from frames to clusters.", figure)
    if "depth" in config.parts:
        caption = "Lines: accuracy on the frames of the training, batch by batch; dashed: on others, at the end."
        keep("depth", "Depth", caption, comparison_figures.depth_figure(found["depth"]))
    if "activations" in config.parts:
        banded = {name: result["bands"] for name, result in found["systems"].items() if "bands" in result}
        if banded:
            figure = activation_figures.band_figure(banded)
            keep("bands", "Fine fringes or large regions", "Share of the score that goes with shorter periods.", figure)
        caption = "Each layer's mean map, then its maps that vary most."
        last = sorted(folder.glob("activations-resnet-*.png"))
        for path, what in zip(last, ("a single hit", "a multi-hit"), strict=False):
            keep(path.stem, f"Activations of the ResNet, {what}", caption)
        keep("activations-vgg16-0", "Activations of VGG16, a single hit", caption)
        caption = "What each pixel adds to the score, by integrated gradients: blue for a single hit, red against it."
        keep("attribution", "Attribution", caption)
    return drawn
