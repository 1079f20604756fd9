"""The main job: train, score across geometries and on real patterns, draw, report."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from ...evaluate import figures
from ...evaluate.calibration.record import labelled, read_calibration
from ...evaluate.calibration.unlabelled import calibrated_frames, score_unlabelled
from ...evaluate.config import EvaluateConfig
from ...evaluate.curves import CURVES, SWEEPS, score_sweeps
from ...evaluate.map_figure import two_quantities_figure
from ...evaluate.metrics import format_auc, format_rate
from ...evaluate.molecules import score_molecules
from ...evaluate.protocols import check_protocol
from ...evaluate.robustness import Scored, score_experiment, score_geometries
from ...geometries.errors import InputError
from ...geometries.shapes import geometry
from ...simulate.config_io import to_json, versions, write_whole
from ...simulate.reading.file_source import FileSource
from ...simulate.reading.invalid_frames import describe_flags
from ...train.classifier import Classifier
from ...train.config import TrainConfig, check_shape
from ...train.loop import train
from ...train.processes import is_first, join
from ..notices import tell, tell_sizes
from ..progress import track
from ..reports import poster
from ..reports.page import report_content, robustness_table, write_page
from ..reports.run_tables import run_lines, side_by_side
from ..training import check_experiment, check_simulated, read_metrics, train_run, write_metrics


def run_training(
    config: TrainConfig, run: Path, strict: bool = False, distributed: bool = False
) -> dict[str, Any] | None:
    """Train in a run directory; writes and returns what metrics.json says of it. strict: see `tell`.

    distributed: with the other processes of this job, of which the first one alone says and writes anything; None for
    the others.
    """
    if distributed:
        join()
        if not is_first():
            train(config, run)
            return None
    if config.data is not None:
        tell(FileSource(config.data, config.read_data, "--read-data"), "--read-data", strict)
    return train_run(config, run, track)


def run_evaluation(config: EvaluateConfig, run: Path, strict: bool = False) -> dict[str, Any]:
    """Score a trained run; writes metrics.json, figures/ and report.html. strict: see `tell`."""
    classifier = Classifier.load(run)
    if not (run / "metrics.json").is_file():
        raise InputError(f"{run} is no run directory with a finished training: give one that `onehit train` made")
    experiment = check_evaluation(config, classifier.config)
    if experiment is not None:
        tell(experiment, "--read-experiment", strict, classifier.config)
    real, summaries = None, {}
    if experiment is not None:  # first, so that what is odd is refused before simulated tests are made
        real, summaries = score_experiment(classifier, experiment, config.expected, track)
        kept, judged = real.score >= classifier.threshold, np.isfinite(real.score)
        tell_sizes(experiment, classifier.config, real.photons, kept, judged, strict)
    scored = score_geometries(classifier, config, track)
    metrics = read_metrics(run) | {"robustness": {name: s.summary for name, s in scored.items()}}
    metrics = {name: found for name, found in metrics.items() if name not in SWEEPS}
    metrics |= score_sweeps(classifier, config, track)
    metrics.pop("molecules", None)
    if config.protocol == "molecules":
        metrics["molecules"] = score_molecules(scored)
    metrics["poster"] = {k: v for k, v in poster.FALSE_NEGATIVES.items() if k in scored}
    for old in ("experiment", "experiment_frames"):
        metrics.pop(old, None)
    if experiment is not None:
        metrics["experiment"] = summaries
        metrics["experiment_frames"] = experiment.flags().counted()
    metrics.pop("unlabelled", None)
    if config.calibration is not None:
        found = score_unlabelled(classifier, config.calibration, config.count, config.test_seed, track)
        summary = next(iter(metrics.get("experiment", {}).values()), {})
        known = labelled(read_calibration(config.calibration), classifier.identity(), config.experiment, summary)
        metrics["unlabelled"] = found | ({} if known is None else {"labelled": known})
    write_whole(run / "config.json", to_json(train=classifier.config, evaluate=config))
    write_metrics(run, metrics)
    drawn = _draw(run, scored, real, metrics)
    write_page(
        "report.html",
        run / "report.html",
        title=f"onehit: single hits of {', '.join(scored)}",
        content=report_content(metrics),
        config={"train": asdict(classifier.config), "evaluate": asdict(config)},
        figures=drawn,
        versions=versions(),
        summary=_sentences(metrics, classifier.config),
        command=f"onehit study --config {shlex.quote(str(run / 'config.json'))} --out ANOTHER_DIRECTORY",
    )
    return metrics


def check_evaluation(config: EvaluateConfig, training: TrainConfig) -> FileSource | None:
    """Refuse what cannot be scored before hours of work go into it; returns the real patterns, if there are any."""
    config.check()
    if config.protocol is not None:
        check_protocol(config.protocol, training, config.geometry)
    for name in config.geometry:
        geometry(name)
    check_simulated(config, training)
    if config.calibration is not None:
        source = calibrated_frames(config.calibration)
        check_shape(source.name, source.shape, training.network)
    return check_experiment(config, training) if config.experiment is not None else None


def run_study(training: TrainConfig, evaluation: EvaluateConfig, run: Path, strict: bool = False) -> None:
    """Train and evaluate in one run directory, then print the table."""
    experiment = check_evaluation(evaluation, training)
    if experiment is not None and strict:  # else it is said when it is scored
        tell(experiment, "--read-experiment", strict, training)
    run_training(training, run, strict)
    print_results(run_evaluation(evaluation, run, strict), run)


def print_validation(metrics: dict[str, Any], run: Path) -> None:
    """How the training ended."""
    validation = metrics["validation"]
    print(
        f"{run}: validation AUC {format_auc(validation['auc'])}; at the frozen threshold {metrics['threshold']:.2f}, "
        f"{format_rate(validation['false_negative_rate'])} % false negatives and "
        f"{format_rate(validation['false_positive_rate'])} % false positives"
    )
    if "data_frames" in metrics["training"]:
        print(f"data: {describe_flags(metrics['training']['data_frames'])}; trained and validated without them")


def print_results(metrics: dict[str, Any], run: Path) -> None:
    """The table on standard output, and where the report is."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=110)
    console.print(robustness_table(metrics))
    errors, photons = (
        [s[key] for s in metrics["robustness"].values() if s[key] is not None]
        for key in ("calibration_error", "photons_auc")
    )
    if photons:
        console.print(
            f"photons alone: AUC {format_auc(min(photons))} to {format_auc(max(photons))}; calibration error "
            f"{format_rate(min(errors))} to {format_rate(max(errors))} % at temperature {metrics['temperature']:.3g}"
        )
    for line in run_lines(metrics):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if "experiment_frames" in metrics:
        console.print(f"experiment: {describe_flags(metrics['experiment_frames'])}", "and count for nothing else")
    console.print(f"report: {run / 'report.html'}", soft_wrap=True)


def print_table(runs: tuple[Path, ...]) -> None:
    """The scores of runs side by side on standard output, in Markdown."""
    print(side_by_side({str(run): _scored_metrics(run) for run in runs}))


def _scored_metrics(run: Path) -> dict[str, Any]:
    metrics = read_metrics(run)
    if "robustness" not in metrics:
        raise InputError(f"{run} holds no scores: make them with `onehit evaluate {run}`")
    return metrics


def _draw(run: Path, scored: dict[str, Scored], real: Scored | None, metrics) -> list[tuple[str, str, Path]]:
    folder = run / "figures"
    folder.mkdir(exist_ok=True)
    threshold = metrics["threshold"]
    everything = scored | ({"experiment": real} if real is not None else {})
    scores = {name: (s.label, s.score) for name, s in everything.items()}
    both = {name: scores[name] for name, s in everything.items() if s.summary["auc"] is not None}
    drawn: list[tuple[str, str, Path]] = []

    def keep(name: str, heading: str, caption: str, figure: Figure) -> None:
        path = folder / f"{name}.png"
        figure.savefig(path)
        drawn.append((heading, caption, path))

    if both:
        keep(
            "roc",
            "Errors at every threshold",
            "Left, the ROC curve; right, the single hits lost for the bad patterns let through.",
            figures.roc_figure(both),
        )
    keep(
        "scores",
        "Scores",
        "Log-odds of a single hit. The threshold was frozen on the validation patterns.",
        figures.score_histogram_figure(scores, threshold),
    )
    keep(
        "confusion",
        "Kept and discarded",
        "At the frozen threshold.",
        figures.confusion_figure({name: s.summary for name, s in everything.items()}, threshold),
    )
    history = run / "history.json"
    if history.is_file() and json.loads(history.read_text()):
        validation = [{"step": metrics["training"]["steps"], "auc": metrics["validation"]["auc"]}]
        keep(
            "training",
            "Training",
            "Simulated patterns are seen once, so their training loss is that of unseen patterns.",
            figures.training_figure(json.loads(history.read_text()), validation),
        )
    for quantity, curves in metrics.get("curves", {}).items():
        keep(
            f"curve-{quantity}",
            f"Errors by {quantity}",
            "At the frozen threshold, with 95 % intervals.",
            figures.curve_figure(CURVES[quantity].quantity, curves),
        )
    for pair, fields in metrics.get("maps", {}).items():
        first, second = (CURVES[quantity].quantity for quantity in pair.split())
        keep(
            f"map-{pair.replace(' ', '-')}",
            f"Errors by {pair.replace(' ', ' and ')}",
            "At the frozen threshold, per cent. Darker is worse; grey: fewer than five patterns tell it.",
            two_quantities_figure((first, second), fields),
        )
    for name, s in everything.items():
        titles = ["single"] * len(s.good) + ["not single"] * len(s.bad)
        file_name = "".join(c if c.isalnum() else "-" for c in name)
        keep(
            f"patterns-{file_name}",
            f"Patterns: {name}",
            "Single hits above, others below. Photons on a logarithmic scale; unused pixels in grey.",
            figures.gallery_figure(np.concatenate([s.good, s.bad]), titles, s.bad_pixel),
        )
        keep(
            f"hardest-{file_name}",
            f"Hardest patterns: {name}",
            f"The single hits scored lowest and the others scored highest; the threshold is {threshold:.1f}.",
            figures.gallery_figure(s.worst, s.worst_titles, s.bad_pixel),
        )
    return drawn


def _sentences(metrics: dict[str, Any], config: TrainConfig) -> list[str]:
    training = metrics["training"]
    seen = f"{training['patterns']:,} patterns"
    if config.data:
        sentences = [f"Trained on {seen} drawn from {config.data}, which holds {training['data_frames']['frames']:,}."]
    else:
        sentences = [f"Trained on {seen} of simulated {', '.join(config.simulation.geometry)}."]
    by_group = training.get("thresholds", {})  # which older trainings lack
    if config.confidence:
        groups = f"each of {len(by_group)} groups of bad patterns" if len(by_group) > 1 else "bad patterns"
        together = " in all groups together" if len(by_group) > 1 else ""
        sentences.append(
            f"The threshold lets through at most {100 * config.false_positive_rate:g} % of {groups} drawn like the "
            f"{metrics['validation']['n_bad']:,} that it was frozen on, with {100 * config.confidence:g} % confidence"
            f"{together} (Neyman-Pearson umbrella algorithm: Tong, Feng & Li 2018, Sci. Adv. 4, eaao1659)."
        )
    if len(by_group) > 1:
        hardest = max(by_group, key=by_group.__getitem__)
        sentences.append(
            f"Of these groups, {hardest.replace('_', ' ')} asks for the highest threshold, "
            f"{by_group[hardest]:.2f}; for their mean it would be {training['threshold_for_the_mean']:.2f}."
        )
    for name, summary in metrics["robustness"].items():
        sentences.append(
            f"{name}: AUC {format_auc(summary['auc'])}; to let none of {summary['n_bad']:,} bad patterns through, "
            f"{format_rate(summary['false_negative_rate_at_zero_fp'])} % of the single hits are lost."
        )
    sentences += [line[0].upper() + line[1:] + "." for line in run_lines(metrics)]
    for name, summary in metrics.get("experiment", {}).items():
        sentences.append(
            f"Real patterns, {name}: AUC {format_auc(summary['auc'])} "
            f"({summary['n_good']} single, {summary['n_bad']} other)."
        )
    if "experiment_frames" in metrics:
        sentences.append(f"Real patterns: {describe_flags(metrics['experiment_frames'])}, and count for nothing else.")
    return sentences
