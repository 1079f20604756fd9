"""What every file of a simulated data set carries beside its patterns."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from ..beamline.instrument import Instrument


class Provenance(NamedTuple):
    """Enough to understand a file, and to make it again.

    config: JSON text `{"versions": ..., "simulate": the resolved command, "inputs": {path: sha256}}`, where inputs are
    the mesh, geometry and population files that the patterns depend on; bad_pixel: as the source has it;
    geometries: names that `Scene.geometry` counts; kinds: names that `Truth.kind` counts.
    """

    config: str
    instrument: Instrument
    bad_pixel: Bool[np.ndarray, "y x"]
    geometries: tuple[str, ...]
    kinds: tuple[str, ...]
