"""Stacks that follow each other, such as the files of a run, as one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Shaped

from ...geometries.errors import InputError
from ..formats.frames import ALL_DATA, OF_EACH_FRAME, Frames

_OF_ALL = ("photon_energy_ev", "distance_m", "pixel_size_m")
_MOST_DIFFERENCE = 0.01


def concatenated(frames: Sequence[Frames], path: Path, format: str) -> Frames:
    """Stacks of the same frame shape, at least one, as one stack in their order.

    path, format: what the whole is called. Labels are kept where all have them; a mask is common where it is the same
    in all; facts are the first's, but for those that every frame has for itself. Oddities say where photon energy,
    distance or pixel size differ by more than 1 %, and what only some have. Raises InputError where shapes differ.
    """
    first = frames[0]
    for one in frames:
        if one.shape != first.shape:
            raise InputError(
                f"{one.path} has frames of {one.shape}, {first.path} of {first.shape}: give those of one shape together"
            )
    for fact in ("is_fft_shifted", "units", "scaling"):
        said = {str(one.facts.get(fact, "")) for one in frames}
        if len(said) > 1:
            raise InputError(
                f"{first.path} and others differ in {fact}: {', '.join(sorted(said))}; give those of one kind together"
            )
    firsts = np.cumsum([0, *(one.count for one in frames)])
    dtype = np.result_type(*(one.dtype for one in frames))

    def split(
        indices: Int[np.ndarray, " batch"], of_one: Callable[[Frames, np.ndarray], np.ndarray], dtype: np.dtype
    ) -> Shaped[np.ndarray, " batch *shape"]:
        """`of_one` of each stack and of those of its frames that are among the indices."""
        found = np.empty((len(indices), *first.shape), dtype)
        which = np.searchsorted(firsts, indices, side="right") - 1
        for number in np.unique(which):
            found[which == number] = of_one(frames[number], indices[which == number] - firsts[number])
        return found

    same_mask = all(np.array_equal(_common_mask(one), _common_mask(first)) for one in frames)
    same_rule = all(one.no_data == first.no_data for one in frames)
    own_masks = not (same_mask and same_rule) or any(one.frame_bad_pixel for one in frames)
    labels = [one.label for one in frames if one.label is not None]
    facts, oddities = _facts(frames)
    if 0 < len(labels) < len(frames):
        oddities.append(f"labels are left out: {len(labels)} of {len(frames)} have them")
    oddities += dict.fromkeys(_oddity(oddity, one, frames) for one in frames for oddity in one.oddities)
    return Frames(
        path,
        format,
        int(firsts[-1]),
        first.shape,
        dtype,
        lambda indices: split(indices, lambda one, some: one.read(some), dtype),
        bad_pixel=first.bad_pixel if same_mask else None,
        frame_bad_pixel=(lambda indices: split(indices, _masks, np.dtype(bool))) if own_masks else None,
        mask_meaning="; ".join(dict.fromkeys(one.mask_meaning for one in frames)),
        label=np.concatenate(labels) if len(labels) == len(frames) else None,
        facts=facts,
        no_data=first.no_data if same_rule else ALL_DATA,
        notes=tuple(dict.fromkeys(note for one in frames for note in one.notes)),
        oddities=tuple(oddities),
    )


def _common_mask(one: Frames) -> Bool[np.ndarray, " *shape"]:
    return np.zeros(one.shape, bool) if one.bad_pixel is None else one.bad_pixel


def _masks(one: Frames, indices: Int[np.ndarray, " batch"]) -> Bool[np.ndarray, " #batch *shape"]:
    """Of each frame."""
    bad = _common_mask(one)[None]
    if one.frame_bad_pixel is not None:
        bad = bad | one.frame_bad_pixel(indices)
    return bad if one.no_data == ALL_DATA else bad | one.no_data.where(one.read(indices))


def _facts(frames: Sequence[Frames]) -> tuple[dict[str, Any], list[str]]:
    """Of all together, and what differs."""
    facts = {name: value for name, value in frames[0].facts.items() if name not in OF_EACH_FRAME}
    each = [one.facts_of_each() for one in frames]
    for name in OF_EACH_FRAME:
        if all(name in one for one in each):
            facts[name] = np.concatenate([one[name] for one in each])
    differences = []
    for name in _OF_ALL:
        values = [one.facts[name] for one in frames if name in one.facts]
        if values and max(values) - min(values) > _MOST_DIFFERENCE * min(values):
            differences.append(f"{name} is {min(values):g} to {max(values):g}: not all frames are of one experiment")
    return facts, differences


def _oddity(oddity: str, one: Frames, frames: Sequence[Frames]) -> str:
    """With the name of its file, unless all have it."""
    return oddity if all(oddity in other.oddities for other in frames) else f"{one.path.name}: {oddity}"
