"""Empty shots that lie under simulated hits: read from their files where a source is made."""

import math
from collections.abc import Iterator
from warnings import warn

import numpy as np
from jaxtyping import Bool, Float, Int

from ..geometries.errors import InputError, InputWarning
from .beamline.instrument import Instrument
from .beamline.pixels import assemble, picture_shape
from .config import SimulationConfig
from .inspecting.gain import Gain, estimate_gain
from .reading.file_source import FileSource
from .scattering.effects.measured import EmptyShots
from .source import SimulatedSource

OPTION = "--background.read"
_MOST_BYTES = 2**29
"""Of whole frames, in memory."""
_LOOKED_AT, _LOOKED_AT_BYTES = 32, 2**27
_DATA_NUMBERS_FROM = 2.0
_BRIGHT, _STEADY = 10.0, 0.25


def simulated_source(
    config: SimulationConfig, seed: int = 0, hidden: Bool[np.ndarray, "y x"] | None = None
) -> SimulatedSource:
    """The source of a configuration, with the empty shots that it names; warns (InputWarning) of how these were read.

    hidden: pixels of its pictures that are bad besides, such as a file's: photons are those on the others.

    Raises InputError as `SimulatedSource` does, and for empty shots that cannot be read, are no photons, or do not fit
    the instrument.
    """
    if hidden is not None:
        hidden = _as_frame(hidden, config.instrument.instrument())
    source = SimulatedSource(config, seed, empty_shots(config), hidden)
    for note in source.notes:
        warn(note, InputWarning, stacklevel=2)
    return source


def empty_shots(config: SimulationConfig) -> EmptyShots | None:
    """What `background.frames` names, as the instrument's frames; None where it names nothing.

    Of whole frames no more than 512 MB are kept, from all over the file. Pixels that are bad in any of these are bad in
    all patterns; of a mean, those that are bad in all frames. Frames with NaN or Inf on good pixels are left out.
    Raises InputError as `simulated_source` does.
    """
    background = config.check().background
    if background.frames is None:
        return None
    source = FileSource(background.frames, background.read, OPTION)
    name, instrument = source.frames.path, config.instrument.instrument()
    wanted = picture_shape(instrument)
    if source.shape != wanted:
        raise InputError(
            f"{name} has frames of {source.shape[0]} x {source.shape[1]} pixels, the instrument {wanted[0]} x "
            f"{wanted[1]}: give empty shots of that detector; {OPTION}.geom puts panels together, and "
            f"{OPTION}.centre, .binning and .shape make pictures fit"
        )
    _check_photons(source)
    if background.frames_as == "mean":
        charge, used, bad = _mean(source)
        number = np.zeros(1, int)
    else:
        charge, number, bad = _whole(source)
        used = len(number)
    if bad.all():
        raise InputError(f"{name}: no pixel is left unmasked: give another {OPTION}.mask or {OPTION}.mask-polarity")
    if background.frames_as == "mean":
        said = f"the mean of {used:,} frames, {charge[0][~bad].mean():.3g} photons a pixel, is background"
        # What was detected, as light that arrives: it is detected once more.
        charge = np.maximum(charge / config.readout.quantum_efficiency, 0)
    else:
        said = f"{used:,} frames are drawn from, a whole one for each pattern"
    if used < len(source):
        said += f"; it has {len(source):,}"
    charge, bad = _as_frames(charge, bad, instrument)
    return EmptyShots(charge, number, bad, tuple(f"{name}: {line}" for line in (*source.notes, said)))


def _check_photons(source: FileSource) -> None:
    """Raises InputError for frames that are data numbers, where nobody says of what gain."""
    if source.knows_gain:
        return
    most = max(2, min(_LOOKED_AT, _LOOKED_AT_BYTES // (8 * math.prod(source.shape))))
    values = np.where(*_good(source, _spread(len(source), most)), np.nan)
    known = values[np.isfinite(values)]
    gain, why = estimate_gain(values, None), None
    if (known < 0).any() or (known != np.rint(known)).any():
        why = "holds values that are no whole numbers of photons"
    elif (divisor := int(np.gcd.reduce(known.astype(np.int64)))) > 1:
        why = f"holds multiples of {divisor} alone, which are data numbers"
    elif isinstance(gain, Gain) and gain.low > _DATA_NUMBERS_FROM:
        why = "holds data numbers, no photons"
    elif len(values) > 1:
        good = np.isfinite(values).all(0)
        bright = good & (np.where(good, values, 0).mean(0) >= _BRIGHT)
        if bright.any() and values[:, bright].var(0, ddof=1).mean() < _STEADY * values[:, bright].mean():
            why = "holds numbers that vary less than photons do: they are data numbers"
    if why is not None:
        told = f" (it looks like {gain})" if isinstance(gain, Gain) else ""
        raise InputError(
            f"{source.frames.path} {why}{told}: give {OPTION}.adu-per-photon, 1 where they are photons with fractions, "
            f"and {OPTION}.adu-offset if there is one"
        )


def _good(
    source: FileSource, some: Int[np.ndarray, " frames"]
) -> tuple[Bool[np.ndarray, "frames y x"], Float[np.ndarray, "frames y x"]]:
    """Which pixels of those frames are good, and their charge in photons."""
    charge = source.charge(some)
    return np.broadcast_to(~source.masks(some), charge.shape), charge


def _blocks(source: FileSource, chosen: Int[np.ndarray, " frames"]) -> Iterator[tuple[np.ndarray, ...]]:
    """Numbers, good pixels and charge of the frames that can be used, some at a time."""
    found = False
    for first in range(0, len(chosen), source.block):
        some = chosen[first : first + source.block]
        good, charge = _good(source, some)
        usable = (np.isfinite(charge) | ~good).all((1, 2))
        found = found or bool(usable.any())
        yield some[usable], good[usable], np.where(good, charge, 0)[usable]
    if not found:
        raise InputError(
            f"{source.frames.path} has no frame without NaN or Inf on good pixels: mask them with {OPTION}.mask"
        )


def _mean(source: FileSource) -> tuple[Float[np.ndarray, "1 y x"], int, Bool[np.ndarray, "y x"]]:
    """The mean of all frames in each pixel where it is good, how many frames there are, and where it never is."""
    total, seen, used = np.zeros(source.shape), np.zeros(source.shape, int), 0
    for numbers, good, charge in _blocks(source, np.arange(len(source))):
        total += charge.sum(0, dtype=float)
        seen += good.sum(0)
        used += len(numbers)
    return (total / np.maximum(seen, 1)).astype(np.float32)[None], used, seen == 0


def _whole(
    source: FileSource,
) -> tuple[Float[np.ndarray, "frames y x"], Int[np.ndarray, " frames"], Bool[np.ndarray, "y x"]]:
    """Frames, as many as memory may hold, their numbers, and where any of them is bad."""
    chosen = _spread(len(source), max(1, _MOST_BYTES // (4 * math.prod(source.shape))))
    kept = np.empty((len(chosen), *source.shape), np.float32)
    numbers, bad = [], np.zeros(source.shape, bool)
    for some, good, charge in _blocks(source, chosen):
        kept[len(numbers) : len(numbers) + len(some)] = charge
        numbers += [*some]
        bad |= ~good.all(0)
    kept[:, bad] = 0
    return kept[: len(numbers)], np.array(numbers), bad


def _spread(count: int, most: int) -> Int[np.ndarray, " frames"]:
    """Numbers of at most so many frames, from all over the file."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def _as_frames(
    charge: Float[np.ndarray, "frames height width"], bad: Bool[np.ndarray, "height width"], instrument: Instrument
) -> tuple[Float[np.ndarray, "frames y x"], Bool[np.ndarray, "y x"]]:
    """Pictures as frames of the instrument, whose panels lie one below the other; what no picture shows is bad."""
    if not instrument.panels:
        return charge, bad
    shown = _shown(instrument)
    there = shown >= 0
    frames = np.zeros((len(charge), math.prod(instrument.shape)), np.float32)
    frames[:, shown[there]] = charge[:, there]
    return frames.reshape(-1, *instrument.shape), _as_frame(bad, instrument)


def _as_frame(bad: Bool[np.ndarray, "height width"], instrument: Instrument) -> Bool[np.ndarray, "y x"]:
    """The same of a mask alone."""
    if not instrument.panels:
        return bad
    shown, hidden = _shown(instrument), np.ones(math.prod(instrument.shape), bool)
    hidden[shown[shown >= 0]] = bad[shown >= 0]
    return hidden.reshape(instrument.shape)


def _shown(instrument: Instrument) -> Int[np.ndarray, "height width"]:
    """The pixel of the instrument's frame that each of its picture shows; -1: none."""
    every = np.arange(1, math.prod(instrument.shape) + 1).reshape(1, *instrument.shape)
    return assemble(every, instrument)[0][0] - 1
