"""Dragonfly's photon files, binary and HDF5."""

from dataclasses import replace

from ....geometries.guard.safe_hdf5 import exists
from ...formats.frames import Frames
from ..dialect import Given, Opened, given_masks, refuse_names
from ..masks import combine


class Emc:
    """Sparse or dense photons; the detector file, which the user names, says where they are."""

    def recognises(self, opened: Opened) -> bool:
        """By HDF5's data set of places; or by numbers of frames and pixels and the type of frames, then nothing up to
        byte 1024; or, where that is damaged, by the name."""
        if opened.hdf5 is not None:
            return exists(opened.hdf5, "place_ones", opened.trusted)
        head = opened.head
        header = len(head) == 1024 and any(head[:4]) and any(head[4:8]) and head[8] <= 2 and not any(head[9:])
        return opened.path.suffix == ".emc" or header

    def open(self, opened: Opened, given: Given) -> Frames:
        """Raises InputError where the user names data sets, or a mask does not fit."""
        from ...formats.emc import open_emc  # imports JAX

        path = opened.path
        refuse_names(path, given)
        frames = open_emc(path, given.detector, labelled=given.label != "")
        if given.mask is None:
            return frames
        masks = given_masks(given)
        bad = combine(path, masks, frames.count, frames.shape, frames.read, given.mask_polarity, given.option)
        return replace(frames, bad_pixel=bad.bad_pixel, frame_bad_pixel=bad.frame_bad_pixel, mask_meaning=bad.meaning)
