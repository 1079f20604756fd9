"""`onehit classify`: which frames of a file are single hits; `onehit pack`: what says so, as one file."""

import csv
import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...evaluate.calibration.record import doubts, is_of_files, read_calibration
from ...geometries.errors import InputError
from ...simulate.config_io import to_json, write_whole
from ...simulate.formats.pictures import check_target, files_of, write_pictures
from ...simulate.reading.file_lists import Origin
from ...simulate.reading.file_source import FileSource
from ...train.classifier import Classifier
from ...train.config import ExpectedConfig
from ...train.selection import VERDICTS, Selection, select
from ..notices import tell, tell_sizes
from ..options import Classify, Pack
from ..progress import track
from ..reports.cells import with_interval

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
    forecast = None if command.forecast is None else _forecast(command.forecast, command, classifier)
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
    kept, judged = selection.verdict == 0, np.isfinite(selection.score)
    tell_sizes(source, classifier.config, selection.photons, kept, judged, command.strict)
    text = _table(selection, source.origin)
    if command.out is None:
        sys.stdout.write(text)
    else:
        write_whole(command.out, text)
    numbers = np.bincount(selection.verdict, minlength=len(VERDICTS))
    found = ", ".join(f"{n} {verdict}" for n, verdict in zip(numbers, VERDICTS, strict=True))
    print(f"{source.frames.path}: {len(selection.score)} frames: {found}", file=sys.stderr)
    for line in forecast or ():
        print(f"{command.forecast}: forecast: {line}", file=sys.stderr)
    if command.kept is not None:
        _write_kept(command.kept, command, source, selection)


def _forecast(folder: Path, command: Classify, classifier: Classifier) -> list[str]:
    """What calibration.json of a folder says of the frozen threshold, and why it may not hold: a line each.

    Raises InputError where it forecasts another classifier, or nothing.
    """
    found = read_calibration(folder)
    frozen = next((row for row in found["forecast"] if row["is_frozen"]), None)
    if frozen is None:
        raise InputError(f"{folder} holds no forecast, since its frames are smaller than the classifier takes")
    if found.get("classifier") != classifier.identity():
        raise InputError(f"{folder} forecasts another classifier: calibrate with the --run that you classify with")
    known = {name: what for name, what in _FORECAST.items() if frozen[name] is not None}
    lines = [", ".join(f"{what} {with_interval(frozen, name, unit=' %')}" for name, what in known.items())]
    if not is_of_files(found, command.file):
        lines.append(f"It is of other frames, {', '.join(found['file'])}, and holds as far as these are like them.")
    if command.expected != ExpectedConfig():
        lines.append("It is of the score alone: what is expected of photons and size discards more frames.")
    return lines + doubts(found, folder)


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
