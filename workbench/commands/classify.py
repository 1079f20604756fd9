"""`onehit classify`: which frames of a file are single hits; `onehit pack`: what says so, as one file."""

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...evaluate.metrics import format_rate
from ...geometries.errors import InputError
from ...simulate.config_io import to_json, write_whole
from ...simulate.formats.pictures import check_target, files_of, write_pictures
from ...simulate.reading.file_lists import Origin
from ...simulate.reading.file_source import FileSource
from ...train.classifier import Classifier
from ...train.selection import VERDICTS, Selection, select
from ..notices import tell, tell_sizes
from ..options import Classify, Pack
from ..progress import track

_FORECAST = {
    "kept_share": "kept",
    "false_negative_rate": "of the single hits lost",
    "false_positive_rate": "of the others kept",
    "purity": "single hits among those kept",
}


def run_classification(command: Classify) -> None:
    """Judge every frame, write the table, and print how many frames met which verdict."""
    if command.out is not None and command.out.suffix != ".csv":
        raise InputError(f"{command.out}: the name must end in .csv")
    if command.out is not None and not command.out.parent.is_dir():
        raise InputError(f"{command.out.parent} does not exist: make that folder first")
    if command.kept is not None:
        check_target(command.kept)
    elif command.write != "kept":
        raise InputError(f"--write {command.write} means nothing without --kept FILE: name the file to write")
    command.expected.check()
    classifier = Classifier.load(command.run_directory)
    forecast = None if command.forecast is None else frozen_forecast(command.forecast, classifier.threshold)
    source = FileSource(command.file, command.read)
    size = classifier.config.network.size
    if min(source.shape) < size:
        raise InputError(
            f"{source.frames.path}: pictures of {source.shape[0]} x {source.shape[1]} pixels; this classifier takes "
            f"at least {size} x {size}: pad them with --read.shape {size} {size}"
        )
    tell(source, "--read", command.strict, classifier.config, labels=False)
    if command.kept is not None:
        _refuse_inputs(command.kept, source)
    selection = select(classifier, source, np.arange(len(source)), command.expected, track)
    tell_sizes(source, classifier.config, selection, command.strict)
    text = _table(selection, source.origin)
    if command.out is None:
        sys.stdout.write(text)
    else:
        write_whole(command.out, text)
    numbers = np.bincount(selection.verdict, minlength=len(VERDICTS))
    found = ", ".join(f"{n} {verdict}" for n, verdict in zip(numbers, VERDICTS, strict=True))
    print(f"{source.frames.path}: {len(selection.score)} frames: {found}", file=sys.stderr)
    if forecast is not None:
        said = ", ".join(f"{what} {_with_interval(forecast, name)}" for name, what in _FORECAST.items())
        print(f"{command.forecast}: forecast: {said}", file=sys.stderr)
    if command.kept is not None:
        _write_kept(command.kept, command, source, selection)


def frozen_forecast(folder: Path, threshold: float) -> dict[str, Any]:
    """What calibration.json says of this threshold. Raises InputError where it is of another one, or unreadable."""
    file = folder / "calibration.json"
    try:
        rows = json.loads(file.read_text())["forecast"]
        frozen = next(row for row in rows if row["is_frozen"])
        same = abs(float(frozen["threshold"]) - threshold) < 1e-3
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}; make it with onehit calibrate") from None
    except (ValueError, LookupError, TypeError, StopIteration):
        raise InputError(f"{file} holds no forecast: make it again with onehit calibrate") from None
    if not same:
        raise InputError(
            f"{file} forecasts another classifier, of threshold {frozen['threshold']:.3f} rather than {threshold:.3f}: "
            "calibrate with the same --run"
        )
    return frozen


def _with_interval(forecast: dict[str, Any], name: str) -> str:
    if forecast.get(name) is None:
        return "unknown"
    low, high = forecast[f"{name}_interval"]
    return f"{format_rate(forecast[name])} % [{format_rate(low)}, {format_rate(high)}]"


def _refuse_inputs(kept: Path, source: FileSource) -> None:
    """Raises InputError where a file that would be written is one of those that are read."""
    for file in filter(Path.exists, files_of(kept)):
        if any(path.exists() and path.samefile(file) for path in source.origin.files):
            raise InputError(f"{file} is read from, and would be written over: choose another name for --kept")


def _write_kept(kept: Path, command: Classify, source: FileSource, selection: Selection) -> None:
    """The frames as a file, and how many there are."""
    frames = np.flatnonzero(selection.verdict == 0) if command.write == "kept" else np.arange(len(source))
    if not len(frames):
        there = "; the file of that name is older" if kept.exists() else ""
        print(f"{kept}: not written, since no frame was kept{there}", file=sys.stderr)
        return
    origin = source.origin
    columns = {
        "score": selection.score[frames],
        "verdict": np.array(VERDICTS)[selection.verdict[frames]],
        "source_file": np.array([str(file) for file in origin.files])[origin.file[frames]],
        "source_frame": origin.frame[frames],
    }
    # Every frame names its file, so that the record need not: of many files it would be longer than HDF5 allows.
    record = to_json(classify=replace(command, file=()))
    for line in write_pictures(kept, source.pictures(frames), columns, record, track):
        print(line, file=sys.stderr)
    print(f"{kept}: {len(frames)} frames, {kept.stat().st_size / 1e6:.1f} MB", file=sys.stderr)


def run_packing(command: Pack) -> None:
    """Write the file and say how large it is."""
    if command.out.suffix != ".npz":
        raise InputError(f"{command.out}: the name must end in .npz")
    Classifier.load(command.run_directory).pack(command.out)
    print(f"{command.out}: {command.out.stat().st_size / 1e6:.2f} MB")


def _table(selection: Selection, origin: Origin) -> str:
    """One line a frame; its file only where there are several, the size only where it was measured."""
    several = len(origin.files) > 1
    sized = bool(np.isfinite(selection.diameter_nm).any())
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file"] * several + ["frame", "verdict", "score", "photons"] + ["diameter_nm"] * sized)
    judged = zip(*selection, strict=True)
    for file, frame, (score, photons, diameter, verdict) in zip(origin.file, origin.frame, judged, strict=True):
        row = [frame, VERDICTS[verdict], f"{score:.3f}", f"{photons:.0f}"]
        writer.writerow([origin.files[file]] * several + row + [f"{diameter:.1f}"] * sized)
    return table.getvalue()
