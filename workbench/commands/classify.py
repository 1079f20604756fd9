"""`onehit classify`: which frames of a file are single hits; `onehit pack`: what says so, as one file."""

import csv
import io
import sys

import numpy as np

from ...geometries.errors import InputError
from ...simulate.config_io import write_whole
from ...simulate.reading.file_source import FileSource
from ...train.classifier import Classifier
from ...train.selection import VERDICTS, Selection, select
from ..options import Classify, Pack
from ..progress import track


def run_classification(command: Classify) -> None:
    """Judge every frame, write the table, and print how many frames met which verdict."""
    if command.out is not None and command.out.suffix != ".csv":
        raise InputError(f"{command.out}: the name must end in .csv")
    if command.out is not None and not command.out.parent.is_dir():
        raise InputError(f"{command.out.parent} does not exist: make that folder first")
    classifier = Classifier.load(command.run_directory)
    source = FileSource(command.file, command.read)
    selection = select(classifier, source, np.arange(len(source)), command.expected, track)
    text = _table(selection)
    if command.out is None:
        sys.stdout.write(text)
    else:
        write_whole(command.out, text)
    numbers = np.bincount(selection.verdict, minlength=len(VERDICTS))
    found = ", ".join(f"{n} {verdict}" for n, verdict in zip(numbers, VERDICTS, strict=True))
    print(f"{command.file}: {len(selection.score)} frames: {found}", file=sys.stderr)


def run_packing(command: Pack) -> None:
    """Write the file and say how large it is."""
    if command.out.suffix != ".npz":
        raise InputError(f"{command.out}: the name must end in .npz")
    Classifier.load(command.run_directory).pack(command.out)
    print(f"{command.out}: {command.out.stat().st_size / 1e6:.2f} MB")


def _table(selection: Selection) -> str:
    """One line a frame; the size only where it was measured."""
    sized = bool(np.isfinite(selection.diameter_nm).any())
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["frame", "verdict", "score", "photons"] + ["diameter_nm"] * sized)
    for frame, (score, photons, diameter, verdict) in enumerate(zip(*selection, strict=True)):
        row = [frame, VERDICTS[verdict], f"{score:.3f}", f"{photons:.0f}"]
        writer.writerow(row + [f"{diameter:.1f}"] * sized)
    return table.getvalue()
