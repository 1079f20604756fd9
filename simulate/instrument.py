"""Beam, detector and the published instruments they come from. Imports no JAX: the command line reads this."""

import difflib
from dataclasses import dataclass, fields, replace

from ..geometries.errors import InputError

PLANCK_TIMES_C_EV_M = 1.239841984e-6  # CODATA 2018, exact in the SI


@dataclass(frozen=True)
class Instrument:
    """One rectangular detector downstream of a focused beam.

    Pixel (row, column) has its centre at x = (column - centre_x) * pixel_size_m, y = (row - centre_y) *
    pixel_size_m, z = distance_m from the interaction point; the beam runs along +z.
    """

    photon_energy_ev: float
    distance_m: float
    pixel_size_m: float
    shape: tuple[int, int]
    """Rows, columns."""
    focus_m: float
    """Full width at half maximum of the focus: how far apart two particles of one shot can be."""
    beamstop_radius_m: float = 0.0
    """A disc on the beam axis, in the detector plane, that hides the direct beam."""
    gap_m: float = 0.0
    """Height of the blind strip across the middle, between two detector halves."""
    polarisation: str = "horizontal"
    """horizontal, vertical or unpolarised."""

    @property
    def wavelength_m(self) -> float:
        return PLANCK_TIMES_C_EV_M / self.photon_energy_ev

    @property
    def wavenumber(self) -> float:
        """2 pi / wavelength, in 1/m."""
        return 6.283185307179586 / self.wavelength_m

    @property
    def centre(self) -> tuple[float, float]:
        """Row and column where the beam meets the detector: its middle."""
        return (self.shape[0] - 1) / 2, (self.shape[1] - 1) / 2


_AMO86615 = Instrument(
    photon_energy_ev=PLANCK_TIMES_C_EV_M / 0.775e-9,
    distance_m=0.586,
    pixel_size_m=0.3e-3,
    shape=(256, 256),
    focus_m=1.5e-6,
    beamstop_radius_m=2.4e-3,
    gap_m=1.2e-3,
)

PRESETS: dict[str, Instrument] = {
    "amo86615": _AMO86615,
    "amo86615-128": replace(_AMO86615, pixel_size_m=0.6e-3, shape=(128, 128)),
}
"""Instruments by name.

amo86615: LCLS AMO experiment amo86615 (single-particle imaging of the virus PR772; Reddy et al. 2017, Sci. Data 4,
170079; CXIDB 58): 1.6 keV (0.775 nm), focus about 1.5 um, pnCCD at 0.586 m, its 75 um pixels binned 4 x 4 to
0.3 mm, with a blind strip between the detector's two halves and a hole for the beam; amo86615-128 binned 8 x 8 to 0.6 mm, as the public labelled patterns are.
"""


@dataclass(frozen=True)
class InstrumentConfig:
    """A preset and what differs from it."""

    preset: str = "amo86615-128"
    """Instrument: amo86615 (256x256 pixels of 0.3 mm) or amo86615-128 (128x128 of 0.6 mm)."""
    photon_energy_ev: float | None = None
    """Photon energy in eV, where it differs from the preset's."""
    distance_m: float | None = None
    """Detector distance in m, where it differs from the preset's."""
    pixel_size_m: float | None = None
    """Pixel size in m, where it differs from the preset's."""
    shape: tuple[int, int] | None = None
    """Rows and columns, where they differ from the preset's."""
    focus_m: float | None = None
    """Focus (full width at half maximum) in m, where it differs from the preset's."""
    beamstop_radius_m: float | None = None
    """Radius of the beamstop's shadow on the detector in m (0: none), where it differs from the preset's."""
    gap_m: float | None = None
    """Height of the blind strip across the detector's middle in m (0: none), where it differs from the preset's."""
    polarisation: str | None = None
    """horizontal, vertical or unpolarised, where it differs from the preset's."""

    def instrument(self) -> Instrument:
        """The instrument meant. Raises InputError for an unknown preset or an impossible value."""
        if self.preset not in PRESETS:
            near = difflib.get_close_matches(self.preset, PRESETS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InputError(f"unknown instrument {self.preset!r}: {hint}the presets are {', '.join(PRESETS)}")
        changes = {
            f.name: value
            for f in fields(self)
            if f.name != "preset" and (value := getattr(self, f.name)) is not None
        }
        for name in ("photon_energy_ev", "distance_m", "pixel_size_m", "focus_m"):
            if name in changes and not changes[name] > 0:
                raise InputError(f"instrument {name} is {changes[name]}; it must be positive")
        for name in ("beamstop_radius_m", "gap_m"):
            if changes.get(name, 0) < 0:
                raise InputError(f"instrument {name} is {changes[name]}; it must be 0 (none) or more")
        if "shape" in changes and min(changes["shape"]) < 8:
            raise InputError(f"instrument shape is {changes['shape']}; at least 8 x 8 pixels are needed")
        if changes.get("polarisation", "horizontal") not in ("horizontal", "vertical", "unpolarised"):
            raise InputError(
                f"polarisation {changes['polarisation']!r} is unknown: say horizontal, vertical or unpolarised"
            )
        return replace(PRESETS[self.preset], **changes)


