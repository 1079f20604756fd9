"""Real frames and simulated ones, seen alike: the same masks, the same geometry, the same features."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from ...geometries.errors import InputError
from ...simulate.beamline.instrument import InstrumentConfig
from ...simulate.beamline.pixels import picture_shape
from ...simulate.program_inputs import Truth
from ...simulate.progress import Track, no_track
from ...simulate.reading.facts import not_square
from ...simulate.reading.file_source import FileSource
from ...simulate.reading.invalid_frames import FLAGS, frame_flags
from ...simulate.source import SimulatedSource, as_pictures
from ...train.classifier import Classifier
from ...train.loop import frame_masks, frames_at_once
from ...train.preprocess import to_size
from .features import FeatureExtractor

LEAST = 200
"""Frames below which a gap is measured, but said to be vague."""

_SCALE = ("photon_energy_ev", "pixel_size_m", "distance_m")
_SAME = 0.02
_MASK_BYTES = 2**28


class Sample(NamedTuple):
    """Frames of a file that can be judged, and no two alike.

    index: their numbers in the file; photons: on good pixels; whole: whether all are whole numbers; notes: how they
    were chosen; odd: what is wrong with them.
    """

    index: Int[np.ndarray, " frames"]  # type: ignore[assignment]
    photons: Float[np.ndarray, " frames"]
    whole: bool
    notes: tuple[str, ...]
    odd: tuple[str, ...]


class Seen(NamedTuple):
    """Frames as they are compared, a row each. counts: of the pictures that features are taken of, float32, 0 on bad
    pixels; bad: the masks of these; score: the classifier's, -inf for what it cannot judge, NaN without one."""

    features: Float32[np.ndarray, "frames features"]
    counts: Float32[np.ndarray, "frames size size"]
    bad: Bool[np.ndarray, "frames size size"]
    score: Float[np.ndarray, " frames"]


def matched(config: InstrumentConfig, source: FileSource) -> tuple[InstrumentConfig, list[str], list[str]]:
    """The instrument that a file's frames are to be simulated with, what was matched, and what cannot be.

    Where the file, or its geometry file, states photon energy, pixel size and distance, these are used. Raises
    InputError where its frames have another shape than the instrument's and nothing states them, and for pixels that
    are not square.
    """
    instrument, facts = config.instrument(), source.frames.facts
    name, shape, ours = source.frames.path, source.shape, picture_shape(instrument)
    if high := not_square(facts):
        raise InputError(f"{name}: {high}")
    energy, pixel, distance = (source.scale[name] for name in _SCALE)
    by = "file" if all(facts.get(name) for name in _SCALE) else "file or its geometry file"
    if not (energy and pixel and distance):
        if shape != ours:
            raise InputError(
                f"{name} has frames of {shape[0]} x {shape[1]} pixels, the instrument {ours[0]} x {ours[1]}, and the "
                "file does not state energy, pixel size and distance: give --simulation.instrument.shape, "
                ".pixel-size-m and .distance-m as they were, or --read.binning and --read.shape to fit the frames"
            )
        return (
            config,
            [],
            ["scale: the file does not state energy, pixel size and distance; the instrument's are taken"],
        )
    binning = source.config.binning
    theirs = energy * binning * pixel / distance
    ratio = theirs / (instrument.photon_energy_ev * instrument.pixel_size_m / instrument.distance_m)
    said = f"scale: {energy:.5g} eV, pixels of {1e6 * binning * pixel:.4g} um at {distance:.4g} m, as the {by} states"
    if shape == ours and abs(ratio - 1) <= _SAME:
        return config, [said], []
    if instrument.panels:
        raise InputError(
            f"{name} has frames of {shape[0]} x {shape[1]} pixels, {ratio:.3g} times as wide as the panels' of the "
            "instrument: give the --simulation.instrument.preset or .geometry-file that they were measured with"
        )
    ny, nx = shape
    hidden = {"beamstop_radius_m": 0.0, "gap_m": 0.0, "stalk_width_m": 0.0}
    scale = {"photon_energy_ev": energy, "pixel_size_m": pixel, "distance_m": distance}
    changed = replace(config, binning=binning, shape=(binning * ny, binning * nx), **scale, **hidden)
    changed.instrument()
    return changed, [f"{said}, in place of the instrument's; what is hidden, the file's masks say"], []


def gain_matched(source: FileSource, whole: bool) -> tuple[list[str], list[str]]:
    """What is known of a file's gain, and what is not. whole: whether its values are whole numbers."""
    if source.knows_gain:
        return ["gain: data numbers become whole photons as you say, as simulated ones do"], []
    if source.frames.facts.get("units") == "photons":
        return ["gain: the file says that its values are photons"], []
    if whole:
        return [], ["gain: the file does not state it; its whole numbers are taken for photons"]
    return [], ["gain: unknown, and values are no whole numbers: give --read.adu-per-photon"]


def sampled(source: FileSource, most: int, track: Track = no_track, dark: bool = False) -> Sample:
    """At most so many frames: one at random from each of as many equal stretches of the file.

    Frames that cannot be judged, and copies of others, are left out; dark: but for those without any photon, as shares
    of frames are of these too. Raises InputError where fewer than two with photons are left.
    """
    count, name = len(source), source.frames.path
    edges = np.linspace(0, count, min(most, count) + 1).astype(int)
    index = edges[:-1] + (np.random.default_rng(0).random(len(edges) - 1) * np.diff(edges)).astype(int)
    size = min(source.block, frames_at_once(source))
    usable, is_dark, photons, prints, whole = [], [], [], [], True
    lacking = np.zeros(len(FLAGS), int)
    for first in track(range(0, len(index), size), f"reading {source.name}", size):
        some = index[first : first + size]
        counts, bad = np.asarray(source.patterns(some).counts), source.masks(some)
        flags = frame_flags(counts, bad)
        usable.append(flags.bits == 0)
        is_dark.append(flags.bits == 1 << FLAGS.index("empty"))
        lacking += [(flags.bits >> bit & 1).sum() for bit in range(len(FLAGS))]
        photons.append(flags.photons)
        counts = np.where(bad | ~np.isfinite(counts), 0, counts)
        whole = whole and bool((counts == np.rint(counts)).all())
        prints += [hash(frame.tobytes()) for frame in counts]
    usable, is_dark, photons = map(np.concatenate, (usable, is_dark, photons))
    is_first = np.zeros(len(index), bool)
    is_first[np.unique(prints, return_index=True)[1]] = True
    kept = usable & is_first
    lit = int(kept.sum())
    if dark:
        usable, kept = usable | is_dark, kept | is_dark
        lacking[FLAGS.index("empty")] -= is_dark.sum()
    why = ", ".join(f"{number:,} {flag}" for flag, number in zip(FLAGS, lacking, strict=True) if number)
    copies = int((usable & ~kept).sum())
    if lit < 2:
        found = f"{len(index):,} looked at" + (f", {why}" if why else "") + (f", {copies:,} copies" if copies else "")
        if dark and is_dark.any():
            found += f", {is_dark.sum():,} empty"
        raise InputError(
            f"{name}: {lit} frames can be compared ({found}): two different ones with photons are needed, "
            f"and {LEAST} tell something; see onehit inspect"
        )
    notes = [
        f"{kept.sum():,} of {count:,} frames are compared"
        + (f", one at random from each of {len(index):,} equal stretches" if len(index) < count else "")
    ]
    if lit < kept.sum():
        notes.append(f"{kept.sum() - lit:,} of these hold no photons, and count as frames all the same")
    odd = []
    if not usable.all():
        notes.append(f"{int((~usable).sum()):,} cannot be judged and are left out ({why})")
    if copies:
        odd.append(f"{copies:,} of {len(index):,} frames are copies of others and are left out")
    if kept.sum() < LEAST:
        odd.append(f"{kept.sum()} frames tell little, as the intervals say: give {LEAST} or more")
    return Sample(index[kept], photons[kept], whole, tuple(notes), tuple(odd))


class Eyes:
    """Sees real and simulated frames under the same masks: what is hidden in either is hidden in both.

    Simulated frames take the masks of the real ones in turn: one mask, or those of as many frames as memory holds.

    instrument: of the simulation; hidden: pixels hidden besides, such as half of the detector; classifier: whose scores
    are wanted, where it takes frames of this shape.
    """

    def __init__(
        self,
        real: FileSource,
        sample: Sample,
        simulated: SimulatedSource,
        hidden: Bool[np.ndarray, "y x"] | None = None,
        classifier: Classifier | None = None,
    ):
        self._real = real
        self._hidden = as_pictures(simulated).bad_pixel | (False if hidden is None else hidden)
        most = max(1, _MASK_BYTES // real.bad_pixel.size)
        some = sample.index[np.unique(np.linspace(0, len(sample.index) - 1, most).astype(int))]
        self._masks = frame_masks(real, some)
        self.nowhere = self._hidden | (self._masks.all(0) if self._masks.ndim == 3 else self._masks)
        """Pixels that no frame shows."""
        if self.nowhere.all():
            raise InputError(
                f"{real.frames.path}: its masks and the instrument's leave no pixel: give another --read.mask or "
                "--read.mask-polarity"
            )
        self.extractor = FeatureExtractor(simulated.instrument, real.shape)
        self._classifier = classifier if classifier and classifier.config.network.size <= min(real.shape) else None

    def real(self, index: Int[np.ndarray, " frames"], track: Track = no_track) -> Seen:
        """Frames of the file."""

        def of(some):
            return np.asarray(self._real.patterns(some).counts), frame_masks(self._real, some)

        return self._seen(index, of, frames_at_once(self._real), track, f"reading {self._real.name}")

    def simulated(
        self,
        source: SimulatedSource,
        index: Int[np.ndarray, " patterns"],
        track: Track = no_track,
        what: str = "simulating",
    ) -> Seen:
        """Patterns of a source."""
        pictures = as_pictures(source)

        def of(some):
            return np.asarray(pictures.patterns(some).counts), self._simulated_masks(some)

        return self._seen(index, of, frames_at_once(pictures), track, what)

    def of_pool(
        self, source: SimulatedSource, index: Int[np.ndarray, " patterns"]
    ) -> tuple[Float32[np.ndarray, "patterns features"], Truth]:
        """Features of a source's patterns, and their truth."""
        patterns = as_pictures(source).patterns(index)
        assert patterns.truth is not None  # they are simulated
        return self.extractor(
            np.asarray(patterns.counts), self._simulated_masks(index) | self._hidden
        ).values, patterns.truth

    def _simulated_masks(self, index: Int[np.ndarray, " patterns"]) -> Bool[np.ndarray, "*masks y x"]:
        return self._masks[index % len(self._masks)] if self._masks.ndim == 3 else self._masks

    def _seen(self, index, of, size, track, what) -> Seen:
        parts = []
        for first in track(range(0, len(index), size), what, size):
            counts, bad = of(index[first : first + size])
            bad = bad | self._hidden
            score = np.full(len(counts), np.nan)
            if self._classifier is not None:
                score = np.asarray(self._classifier.score(counts, bad), float)
            small, hidden = map(np.asarray, to_size(counts, bad, self.extractor.size))
            features = self.extractor(counts, bad)
            self.names, self.groups = features.names, features.groups
            parts.append(Seen(features.values, small, np.broadcast_to(hidden, small.shape), score))
        return Seen(*(np.concatenate(part) for part in zip(*parts, strict=True)))
