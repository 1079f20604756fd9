"""What commands say of the files that they read: the same as `onehit inspect`, in short, on standard error."""

import sys
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from ..geometries.errors import InputError
from ..simulate.inspecting.inspection import inspect_frames
from ..simulate.inspecting.oddities import oddities
from ..simulate.populations import files
from ..simulate.reading.file_source import FileSource
from ..simulate.scattering.ranges import bounds
from ..train.config import TrainConfig
from ..train.selection import scale_ratio
from ..train.size import SizeEstimator

_LOOKED_AT = 200
_BRIGHTEST = 50
_FEW = 10
_WITHIN = 1.15


def tell(
    source: FileSource, option: str, strict: bool, training: TrainConfig | None = None, labels: bool = True
) -> None:
    """Print how a file was read, and what is odd about it and a few hundred of its frames.

    option: what the options of `FileConfig` are called; training: of the classifier that is to judge the frames;
    labels: whether they matter. Raises InputError where anything is odd and strict is True.
    """
    chosen = np.sort(np.random.default_rng(0).permutation(len(source))[:_LOOKED_AT])
    seen = inspect_frames(source, chosen)
    name = source.frames.path
    mask = f"mask: {source.frames.mask_meaning}; {source.masks(chosen).mean():.1%} of the pixels are hidden"
    lost = f"single pixels without data are masked in {seen.lost} of {len(chosen)} frames looked at"
    found = oddities(source, seen, option)
    taken = [oddity.says for oddity in found if "data" in oddity.options]  # the only frames there are: worth a word
    for line in (mask, *source.notes, *([lost] if seen.lost else []), *taken):
        print(f"{name}: {line}", file=sys.stderr)
    without = {"data"} if labels else {"data", "label"}
    odd = [oddity.says for oddity in found if not without & {*oddity.options}]
    ratio = None if training is None else scale_ratio(source, training)
    if training is not None and ratio is not None and not 1 / _WITHIN <= ratio <= _WITHIN:
        knows = ""
        if (learned_nm := _learned_nm(training)) is not None:
            knows = ": it knows particles of {:.0f} to {:.0f} nm here".format(*(size / ratio for size in learned_nm))
        odd.append(
            f"its pixels are {ratio:.2g} times as wide in reciprocal space as those that the classifier has learned "
            f"with{knows}; for others train one for this instrument (--simulation.instrument.preset, .distance-m ...)"
        )
    _say(source, odd, strict)


def tell_sizes(
    source: FileSource,
    training: TrainConfig,
    photons: Float[np.ndarray, " frames"],
    kept: Bool[np.ndarray, " frames"],
    judged: Bool[np.ndarray, " frames"],
    strict: bool,
) -> None:
    """Say where frames look like particles of another size than the classifier has learned: those kept, or the
    brightest of those judged where few are kept, as other sizes are lost. All arrays are of all frames of the source.

    Raises InputError where they do and strict is True.
    """
    instrument = training.simulation.instrument.instrument()
    few = kept.sum() < _FEW
    measured = np.flatnonzero(judged if few else kept)
    measured = np.sort(measured[np.argsort(-photons[measured])][: _FEW if few else _BRIGHTEST])
    learned_nm = _learned_nm(training)
    if instrument.panels or instrument.shape != source.shape or not len(measured) or learned_nm is None:
        return  # sizes cannot be measured, or there is nothing to measure, or to compare with
    counts, bad = np.asarray(source.patterns(measured).counts), source.masks(measured)
    sizes = SizeEstimator(instrument).diameter_nm(np.where(bad, 0, counts), bad)
    if np.isnan(sizes).all():
        return  # no photons on the pixels that a mask leaves
    size, (least, most) = float(np.nanmedian(sizes)), learned_nm
    if not least / _WITHIN <= size <= most * _WITHIN:
        what = f"the {len(measured)} brightest frames, if these are single hits," if few else "kept frames"
        learned = f"it has learned particles of {least:g} to {most:g} nm"
        _say(source, [f"{what} look like particles of {size:.0f} nm to the classifier; {learned}"], strict)


def _learned_nm(training: TrainConfig) -> tuple[float, float] | None:
    """Smallest and largest particle that a classifier has learned; None where a file says it that is not here."""
    simulation = training.simulation
    if not all(Path(file).expanduser().is_file() for file in files(simulation, simulation.population)):
        return None
    return bounds(simulation.marginals().diameter_nm)


def _say(source: FileSource, odd: list[str], strict: bool) -> None:
    for line in odd:
        print(f"{source.frames.path}: odd: {line}", file=sys.stderr)
    if odd and strict:
        raise InputError(
            f"{source.frames.path}: something is odd, as said above, and --strict refuses that: mend it, or leave out "
            "--strict"
        )
