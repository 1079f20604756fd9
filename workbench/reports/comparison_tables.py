"""The tables of a comparison, for its page and for the terminal."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ...evaluate.comparison.config import CompareConfig, PartName
from ...evaluate.metrics import format_auc, format_rate
from . import poster
from .cells import Cell, cell_of


class Section(NamedTuple):
    """A table and what to know of it; part: of the comparison, which makes it again alone."""

    heading: str
    part: PartName
    note: str
    columns: Sequence[str]
    rows: list[list[Cell]]


def sections(config: CompareConfig, found: dict[str, Any]) -> list[Section]:
    """The tables of the parts that were made. found: what comparison.json holds."""
    tables = {
        "accuracy": _accuracy,
        "robustness": _robustness,
        "speed": _speed,
        "growth": _growth,
        "depth": _depth,
        "activations": _bands,
    }
    return [table(config, found) for part, table in tables.items() if part in config.parts]


def _accuracy(config: CompareConfig, found: dict[str, Any]) -> Section:
    accuracy = {name: result["accuracy"] for name, result in found["systems"].items()}
    kinds = list(dict.fromkeys(kind for entries in accuracy.values() for kind in entries))
    rows: list[list[Cell]] = []
    for name, entries in accuracy.items():
        rows.append([name])
        for kind in kinds:
            rows[-1] += [cell_of(entries.get(kind), "accuracy"), cell_of(entries.get(kind), "auc", format_auc)]
    rows.append(["the poster's ResNet"])
    for kind in kinds:
        rows[-1] += [format_rate(poster.ACCURACY.get(kind)), "–"]
    note = (
        "Learned from / tested on simulated or experimental frames: share called rightly at log-odds 0, in per cent, "
        f"and AUC, with 95 % intervals. Simulated: {config.train_count:,} frames to learn from, {config.test_count:,} "
        "others to test. Experimental ones are cross-validated in exp/exp; bright ones have at least "
        f"{config.minimum_photons:,.0f} photons. The poster's VGG16 with logistic regression reached 98.6 %; on which "
        "data is not said."
    )
    columns = ["System", *(f"{kind}{what}" for kind in kinds for what in ("", ", AUC"))]
    return Section("Accuracy", "accuracy", note, columns, rows)


def _robustness(config: CompareConfig, found: dict[str, Any]) -> Section:
    rows: list[list[Cell]] = []
    for name, result in found["systems"].items():
        summaries = [result["robustness"][geometry] for geometry in config.geometry]
        rows.append([name])
        for summary in summaries:
            rows[-1] += [cell_of(summary, "false_negative_rate_at_zero_fp"), cell_of(summary, "auc", format_auc)]
    rows.append(["the poster's ResNet"])
    for geometry in config.geometry:
        rows[-1] += [format_rate(poster.FALSE_NEGATIVES.get(geometry)), "–"]
    note = (
        "Single hits lost, in per cent, at the threshold that lets none of the bad ones through, and AUC, with 95 % "
        f"intervals; {config.test_count:,} frames of each geometry. The systems have learned from "
        f"{', '.join(config.train.geometry)} alone. The poster's numbers are of its own frames."
    )
    columns = ["System", *(f"{geometry}{what}" for geometry in config.geometry for what in (", lost", ", AUC"))]
    return Section("Robustness across geometries", "robustness", note, columns, rows)


def _speed(config: CompareConfig, found: dict[str, Any]) -> Section:
    rows: list[list[Cell]] = []
    for name, result in found["systems"].items():
        rates, latency = result["speed"]["frames_per_second"], result["speed"]["latency"] or {}
        row = [name, f"{result['fit_seconds']:.3g}", *(f"{rates[str(size)]:,.0f}" for size in config.batch_sizes)]
        row += [f"{latency[name]:.3g}" if name in latency else "–" for name in ("p50_ms", "p99_ms")]
        rows.append([*row, f"{poster.SPEED[name]:,.0f}" if name in poster.SPEED else "–"])
    note = (
        "Frames scored a second, by how many are given at once, and latency of a single frame, on "
        f"{_hardware(found['systems'].values())}. Learning: from {config.train_count:,} frames, in seconds. The "
        "poster's: 7000 frames in 30 s, and 7214 in 150 s for the diffusion map, on its own machine."
    )
    batches = [f"{size} at once" for size in config.batch_sizes]
    columns = ["System", "Learning, s", *batches, "p50, ms", "p99, ms", "Poster"]
    return Section("Speed", "speed", note, columns, rows)


def _growth(config: CompareConfig, found: dict[str, Any]) -> Section:
    rows: list[list[Cell]] = [[f"{entry['frames']:,}", f"{entry['seconds']:.3g}"] for entry in found["growth"]]
    note = (
        f"Seconds from frames to labelled clusters, on {_hardware(found['growth'])}. The poster's: 7214 frames in "
        "150 s, on its own machine."
    )
    return Section("Growth of the diffusion map", "growth", note, ["Frames", "Seconds"], rows)


def _hardware(results: Iterable[dict[str, Any]]) -> str:
    return " and ".join(dict.fromkeys(result.get("hardware", "a machine that was not noted") for result in results))


def _depth(config: CompareConfig, found: dict[str, Any]) -> Section:
    rows: list[list[Cell]] = []
    for entry in found["depth"]:
        accuracies = (format_rate(entry[f"{kind}_accuracy"]) for kind in ("training", "validation"))
        rows.append([f"({entry['n']}, {entry['m']})", entry["data"], *accuracies, f"{100 * entry['gap']:+.1f}"])
    training = config.depth_training
    note = (
        f"ResNets (n, m) after {training.steps:,} steps of {training.batch_size} frames: accuracy in per cent on the "
        f"learned part of a fixed set of {config.depth_count:,} frames, and on {config.test_count:,} others. The "
        "difference is what a network learned by heart; one that learned from frames made on the fly has seen neither."
    )
    return Section("Depth", "depth", note, ["ResNet", "Learned from", "Fixed set", "Others", "Difference"], rows)


def _bands(config: CompareConfig, found: dict[str, Any]) -> Section:
    banded = {name: result["bands"] for name, result in found["systems"].items() if "bands" in result}
    rows: list[list[Cell]] = []
    for name, bands in banded.items():
        intervals = ["{:.2f} – {:.2f}".format(*band["fine_share_interval"]) for band in bands]
        shares = [f"{band['fine_share']:.2f}" for band in bands]
        rows.append([name, *zip(shares, intervals, strict=True)])
    note = (
        "Fine fringes or large regions? Bands of spatial frequency are exchanged between good and bad patterns; stated "
        "is the share of the difference of their scores that goes with periods shorter than so many pixels (1: only "
        "those count), with its 95 % interval."
    )
    periods = [band["period_pixels"] for band in next(iter(banded.values()), [])]
    columns = ["System", *(f"below {period:g} px" for period in periods)]
    return Section("What the scores follow", "activations", note, columns, rows)
