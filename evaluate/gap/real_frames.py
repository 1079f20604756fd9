"""Real frames that a simulation is held against, and what the simulation must be like for that."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Num

from ...geometries.errors import InputError
from ...simulate.beamline.pixels import picture_shape
from ...simulate.config import SimulationConfig
from ...simulate.progress import Track, no_track
from ...simulate.reading.file_source import FileSource
from ...simulate.reading.invalid_frames import describe_flags

_SCALE = ("photon_energy_ev", "pixel_size_m", "distance_m")
_MOST_BYTES = 2**30


class RealFrames(NamedTuple):
    """counts: photons; bad_pixel: one mask, or one a frame; indices: where they lie in the file; notes: how they were
    chosen."""

    counts: Num[np.ndarray, "frames y x"]
    bad_pixel: Bool[np.ndarray, "*masks y x"]
    indices: Int[np.ndarray, " frames"]
    notes: tuple[str, ...]


def sampled_frames(source: FileSource, most: int, least: int, track: Track = no_track) -> RealFrames:
    """Frames that can be judged, evenly spread over the file; no more than `most`, or 1 GB.

    Raises InputError where fewer than `least` can be, and where all of them are one frame.
    """
    flags = source.flags(track)
    judged = np.flatnonzero(flags.bits == 0)
    if len(judged) < least:
        raise InputError(
            f"{source.frames.path}: {describe_flags(flags.counted())}; at least {least} that can be are needed here: "
            "give more frames, several files at once if need be"
        )
    most = max(least, min(most, _MOST_BYTES // (8 * source.shape[0] * source.shape[1])))
    chosen = judged[np.linspace(0, len(judged) - 1, min(most, len(judged))).round().astype(int)]
    counts, masks = np.asarray(source.patterns(chosen).counts), source.masks(chosen)
    counts = np.where(masks, 0, counts)
    if len(chosen) > 1 and (counts[1:] == counts[0]).all():
        raise InputError(f"{source.frames.path} shows one frame over and over: give frames of different pulses")
    notes = [f"{len(chosen)} of {len(source)} frames are used, evenly spread over the file"]
    if len(judged) < len(source):
        notes.append(describe_flags(flags.counted()))
    return RealFrames(counts, masks, chosen, tuple(notes))


def matched(simulation: SimulationConfig, source: FileSource, option: str) -> SimulationConfig:
    """The simulation with the file's detector, where the file says it; unchanged where its pictures are of that shape.

    option: what the options of the instrument are called. Raises InputError where neither is so.
    """
    shape, instrument = source.shape, simulation.instrument.instrument()
    facts = {name: source.frames.facts.get(name) for name in _SCALE}
    if all(facts.values()):
        pixel = float(facts["pixel_size_m"]) * source.config.binning  # type: ignore[arg-type]
        scale = float(facts["photon_energy_ev"]), pixel, float(facts["distance_m"])  # type: ignore[arg-type]
        same = np.allclose(scale, [getattr(instrument, name) for name in _SCALE], rtol=1e-3)
        if same and picture_shape(instrument) == shape:
            return simulation
        energy, pixel, distance = scale
        told = replace(
            simulation.instrument,
            preset="amo86615-128" if instrument.panels else simulation.instrument.preset,
            geometry_file=None,
            binning=1,
            shape=shape,
            pixel_size_m=pixel,
            photon_energy_ev=energy,
            distance_m=distance,
            beamstop_radius_m=0.0,
            gap_m=0.0,
        )
        return replace(simulation, instrument=told)
    wanted = picture_shape(instrument)
    if wanted != shape:
        raise InputError(
            f"{source.frames.path} has pictures of {shape[0]} x {shape[1]} pixels, the simulated instrument of "
            f"{wanted[0]} x {wanted[1]}: give its detector with {option}.shape {shape[0]} {shape[1]}, "
            f"{option}.pixel-size-m, {option}.distance-m and {option}.photon-energy-ev, or bin and crop the file "
            "(--read.binning, --read.shape)"
        )
    return simulation
