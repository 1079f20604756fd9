"""What the detector's electronics do to photons. Imports no JAX: the command line reads this."""

import math
from dataclasses import dataclass, fields

from ...geometries.errors import InputError


@dataclass(frozen=True)
class ReadoutConfig:
    """From photons that arrive to photons that are counted; every effect is off unless asked for."""

    quantum_efficiency: float = 1.0
    """Share of the photons that are detected (1: all)."""
    dead_pixels: float = 0.0
    """Share of pixels that see nothing; the mask knows them."""
    hot_pixels: float = 0.0
    """Share of pixels that see light in every frame and that the mask does not know."""
    hot_photons: float = 100.0
    """Photons that a hot pixel sees in every frame, on average, besides those that arrive."""
    pixel_gain_spread: float = 0.0
    """Standard deviation of the gain from pixel to pixel, relative; the same pattern in every frame."""
    panel_gain_spread: float = 0.0
    """Standard deviation of the gain from panel to panel, relative; the same in every frame."""
    read_noise_photons: float = 0.0
    """Standard deviation of each pixel's read-out noise, in photons."""
    row_noise_photons: float = 0.0
    """Common mode of a panel's row, new in every frame: its standard deviation, in photons."""
    panel_noise_photons: float = 0.0
    """Common mode of a panel, new in every frame: its standard deviation, in photons."""
    adu_per_photon: float = 0.0
    """Steps of the analogue-to-digital converter for one photon (0: no such rounding)."""
    saturation_photons: float = 0.0
    """Most photons that a pixel can count: its full well (0: no limit)."""
    detector_seed: int = 0
    """Which detector: where its dead and hot pixels are, and its gains."""

    def check(self) -> "ReadoutConfig":
        """Itself, or InputError with the first impossible value."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < math.inf:
                raise InputError(f"readout {field.name} is {value}; it must be a finite number, 0 or more")
        if not 0 < self.quantum_efficiency <= 1:
            raise InputError(f"readout quantum_efficiency is {self.quantum_efficiency}; it must lie above 0, up to 1")
        for name in ("dead_pixels", "hot_pixels"):
            if getattr(self, name) >= 0.9:
                raise InputError(f"readout {name} is {getattr(self, name)}; it must lie in 0 to 0.9")
        for name in ("pixel_gain_spread", "panel_gain_spread"):
            if getattr(self, name) > 1:
                raise InputError(f"readout {name} is {getattr(self, name)}; it must lie in 0 to 1")
        return self

    @property
    def changes_counts(self) -> bool:
        """Whether anything is on besides dead pixels, which are the mask's business."""
        off = ReadoutConfig()
        idle = ("dead_pixels", "hot_photons", "detector_seed")
        return any(getattr(self, f.name) != getattr(off, f.name) for f in fields(self) if f.name not in idle)
