"""Beam, detector and the published instruments they come from. Imports no JAX: the command line reads this."""

import difflib
import math
from dataclasses import dataclass, fields, replace

from ...geometries.errors import InputError
from .geom import Geom, read_geom
from .panel import PLANCK_TIMES_C_EV_M, Panel, Vector
from .quantities import DISTANCE, FOCUS, PHOTON_ENERGY, PIXEL_SIZE, SHADOW, Quantity


@dataclass(frozen=True)
class Instrument:
    """A detector downstream of a focused beam: one rectangle, or several panels with gaps.

    The origin is the interaction point, the beam runs along +z. Without `panels`, pixel (row, column) has its centre
    at x = (column - centre_x) * pixel_size_m, y = (row - centre_y) * pixel_size_m, z = distance_m. With them, frames
    are CrystFEL's slab: the panels below one another, so that `shape` is (number of panels * rows, columns).
    """

    photon_energy_ev: float
    distance_m: float
    pixel_size_m: float
    shape: tuple[int, int]
    """Rows, columns of a frame."""
    focus_m: float
    """Full width at half maximum of the focus: how far apart two particles of one shot can be."""
    beamstop_radius_m: float = 0.0
    """A disc on the beam axis, in the detector plane, that hides the direct beam."""
    gap_m: float = 0.0
    """Height of the blind strip across the middle, between two detector halves."""
    polarisation: str = "horizontal"
    """horizontal, vertical or unpolarised."""
    stalk_width_m: float = 0.0
    """Width of the bar that holds the beamstop, its shadow in the detector plane; 0: none."""
    stalk_angle_deg: float = 0.0
    """Where the bar runs from the beam to the rim: 0 along +x, 90 along +y."""
    panels: tuple[Panel, ...] = ()
    """None: one rectangle with the beam at its middle."""
    bad_blocks: tuple[tuple[int, int, int, int], ...] = ()
    """Blocks of pixels not to use: first row, last row, first column, last column of a frame, all inclusive."""
    bad_boxes_m: tuple[tuple[float, float, float, float], ...] = ()
    """Boxes not to use, in the laboratory: least x, greatest x, least y, greatest y."""

    @property
    def panel_shape(self) -> tuple[int, int]:
        """Rows, columns of each panel."""
        return self.shape[0] // max(len(self.panels), 1), self.shape[1]

    @property
    def all_panels(self) -> tuple[Panel, ...]:
        """The panels; of a plain rectangle, the one that it is."""
        if self.panels:
            return self.panels
        size, (rows, columns) = self.pixel_size_m, self.shape
        corner = (-columns / 2 * size, -rows / 2 * size, 0.0)
        return (Panel(corner, (size, 0.0, 0.0), (0.0, size, 0.0)),)

    @property
    def wavelength_m(self) -> float:
        """h c / photon energy."""
        return PLANCK_TIMES_C_EV_M / self.photon_energy_ev

    @property
    def wavenumber(self) -> float:
        """2 pi / wavelength, in 1/m."""
        return 6.283185307179586 / self.wavelength_m

    @property
    def centre(self) -> tuple[float, float]:
        """Row and column where the beam meets a plain rectangle: its middle. Means nothing for panels."""
        return (self.shape[0] - 1) / 2, (self.shape[1] - 1) / 2


def binned(instrument: Instrument, factor: int) -> Instrument:
    """The instrument with factor x factor pixels taken as one.

    Raises InputError where bins would not fill a panel.
    """
    rows, columns = instrument.panel_shape
    if factor < 1 or rows % factor or columns % factor:
        raise InputError(
            f"binning {factor} does not divide panels of {rows} x {columns} pixels; choose a divisor of both numbers"
        )

    def step(vector: Vector) -> Vector:
        x, y, z = vector
        return factor * x, factor * y, factor * z

    return replace(
        instrument,
        pixel_size_m=instrument.pixel_size_m * factor,
        shape=(instrument.shape[0] // factor, columns // factor),
        panels=tuple(replace(p, fast_m=step(p.fast_m), slow_m=step(p.slow_m)) for p in instrument.panels),
        bad_blocks=tuple((a // factor, b // factor, c // factor, d // factor) for a, b, c, d in instrument.bad_blocks),
    )


def instrument_of(
    geom: Geom, base: Instrument, distance_m: float | None = None, photon_energy_ev: float | None = None
) -> Instrument:
    """A geometry file's detector with the focus and polarisation of `base`: no beamstop, no blind strip.

    distance_m, photon_energy_ev: in place of the file's. Raises InputError where neither says them, where the file
    does not say the pixel size, or where a panel does not lie downstream of the sample.
    """
    distance, energy = distance_m or geom.distance_m, photon_energy_ev or geom.photon_energy_ev
    if distance is None:
        raise InputError(
            f"{geom.path} does not say the detector distance (clen) as a number: give --instrument.distance-m"
        )
    if energy is None:
        raise InputError(f"{geom.path} does not say the photon energy as a number: give --instrument.photon-energy-ev")
    if geom.pixel_size_m is None:
        raise InputError(f"{geom.path} does not say the pixel size: add a line `res = ...`, pixels per metre, on top")
    rows, columns = geom.shape[0] // len(geom.panels), geom.shape[1]
    for name, panel in zip(geom.names, geom.panels, strict=True):
        (_, _, z), (_, _, across), (_, _, down) = panel.corner_m, panel.fast_m, panel.slow_m
        nearest = distance + z + min(columns * across, 0) + min(rows * down, 0)
        if not nearest > 0:
            raise InputError(
                f"{geom.path}: panel {name} reaches to z = {nearest:.3g} m, upstream of the sample; check its "
                "clen, coffset, fs and ss, or --instrument.distance-m"
            )
    return Instrument(
        energy,
        distance,
        geom.pixel_size_m,
        geom.shape,
        focus_m=base.focus_m,
        polarisation=base.polarisation,
        panels=geom.panels,
        bad_blocks=geom.bad_blocks,
        bad_boxes_m=geom.bad_boxes_m,
    )


_AMO86615 = Instrument(
    photon_energy_ev=PLANCK_TIMES_C_EV_M / 0.775e-9,
    distance_m=0.586,
    pixel_size_m=0.3e-3,
    shape=(256, 256),
    focus_m=1.5e-6,
    beamstop_radius_m=2.4e-3,
    gap_m=1.2e-3,
)


def _agipd_1m() -> Instrument:
    size, gap, shorter = 0.2e-3, 29, 7
    quadrants = ((-525, 625, 1), (-550, -10, 1), (520, -160, -1), (542.5, 475, -1))
    panels = tuple(
        Panel(
            ((x + sign * shorter) * size, (y - module * (128 + gap)) * size, 0.0),
            (0.0, -sign * size, 0.0),
            (sign * size, 0.0, 0.0),
        )
        for x, y, sign in quadrants
        for module in range(4)
    )
    return Instrument(6000.0, 0.7, size, (16 * 512, 128), focus_m=3e-6, panels=panels)


def _jungfrau_4m() -> Instrument:
    size, pitch, right, top = 75e-6, 514 + 33, 1125 - 3, 1078 - 1
    corners = [(sign * right, sign * (top - module * pitch), -sign) for sign in (1, -1) for module in range(4)]
    panels = tuple(
        Panel((x * size, y * size, 0.0), (sign * size, 0.0, 0.0), (0.0, sign * size, 0.0)) for x, y, sign in corners
    )
    return Instrument(6000.0, 0.5, size, (8 * 512, 1024), focus_m=3e-6, panels=panels)


PRESETS: dict[str, Instrument] = {
    "amo86615": _AMO86615,
    "amo86615-128": replace(_AMO86615, pixel_size_m=0.6e-3, shape=(128, 128)),
    "agipd-1m": _agipd_1m(),
    "jungfrau-4m": _jungfrau_4m(),
}
"""Instruments by name.

amo86615: LCLS AMO experiment amo86615 (single-particle imaging of the virus PR772; Reddy et al. 2017, Sci. Data 4,
170079; CXIDB 58): 1.6 keV (0.775 nm), focus about 1.5 um, pnCCD at 0.586 m, its 75 um pixels binned 4 x 4 to
0.3 mm, with a blind strip between the detector's two halves and a hole for the beam; amo86615-128 binned 8 x 8 to
0.6 mm, as the public labelled patterns are.

agipd-1m: AGIPD-1M at SPB/SFX, European XFEL: 16 modules of 512 x 128 pixels of 0.2 mm in four quadrants about a hole
(Allahgholi et al. 2019, J. Synchrotron Rad. 26, 74), stacked in the order of their data channels. Quadrants stand where
EXtra-geom's example has them, modules 29 pixels apart. Idealised: flat, aligned modules, no beamstop, and pixels of one
size: a real module's are wider where two of its chips meet, which makes it 14 pixels longer; ours sits in its
middle. Energy, distance and focus are typical of single-particle imaging there, not those of one experiment.

jungfrau-4m: JUNGFRAU 4M as at SPB/SFX: eight modules of 512 x 1024 pixels of 75 um (Mozzanica et al. 2016, J. Instrum.
11, C02047), two columns of four as in EXtra-geom's example: 190 pixels between columns, 33 between modules of one.
Idealised likewise: a real module is 2 rows and 6 columns larger; ours sits in its middle. Energy, distance and focus
are plausible, not those of one experiment.
"""


_QUANTITIES: dict[str, Quantity] = {
    "photon_energy_ev": PHOTON_ENERGY,
    "distance_m": DISTANCE,
    "pixel_size_m": PIXEL_SIZE,
    "focus_m": FOCUS,
    "beamstop_radius_m": SHADOW,
    "gap_m": SHADOW,
    "stalk_width_m": SHADOW,
}


@dataclass(frozen=True)
class InstrumentConfig:
    """A preset and what differs from it."""

    preset: str = "amo86615-128"
    """Instrument: amo86615 (256x256 pixels of 0.3 mm), amo86615-128 (128x128 of 0.6 mm), agipd-1m (16 panels of
    512x128, 0.2 mm) or jungfrau-4m (8 panels of 512x1024, 75 um)."""
    geometry_file: str | None = None
    """CrystFEL geometry file (.geom) with the detector's panels, in place of the preset's detector: distance and photon
    energy are the file's, focus and polarisation the preset's, and there is no beamstop unless one is given."""
    binning: int = 1
    """Pixels taken together along rows and columns; must divide every panel (8 makes agipd-1m 1024x16)."""
    photon_energy_ev: float | None = None
    """Photon energy in eV, where it differs from the preset's."""
    distance_m: float | None = None
    """Detector distance in m, where it differs from the preset's."""
    pixel_size_m: float | None = None
    """Pixel size before binning in m, where it differs from the preset's (not for panels)."""
    shape: tuple[int, int] | None = None
    """Rows and columns before binning, where they differ from the preset's (not for panels)."""
    focus_m: float | None = None
    """Focus (full width at half maximum) in m, where it differs from the preset's."""
    beamstop_radius_m: float | None = None
    """Radius of the beamstop's shadow on the detector in m (0: none), where it differs from the preset's."""
    gap_m: float | None = None
    """Height of the blind strip across the detector's middle in m (0: none), where it differs from the preset's."""
    polarisation: str | None = None
    """horizontal, vertical or unpolarised, where it differs from the preset's."""
    stalk_width_m: float | None = None
    """Width of the shadow of the bar that holds the beamstop in m (0: none), where it differs from the preset's."""
    stalk_angle_deg: float | None = None
    """Direction of that bar from the beam to the rim, in degrees from +x towards +y."""

    def instrument(self) -> Instrument:
        """The instrument meant. Raises InputError for an unknown preset or an impossible value."""
        if self.preset not in PRESETS:
            near = difflib.get_close_matches(self.preset, PRESETS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InputError(f"unknown instrument {self.preset!r}: {hint}the presets are {', '.join(PRESETS)}")
        base = PRESETS[self.preset]
        changes = {
            f.name: value
            for f in fields(self)
            if f.name not in ("preset", "geometry_file", "binning") and (value := getattr(self, f.name)) is not None
        }
        for name, quantity in _QUANTITIES.items():
            if name in changes:
                quantity.check(f"instrument {name}", changes[name])
        if not math.isfinite(changes.get("stalk_angle_deg", 0)):
            raise InputError(f"instrument stalk_angle_deg is {changes['stalk_angle_deg']}; give an angle in degrees")
        if "shape" in changes and min(changes["shape"]) < 8:
            raise InputError(f"instrument shape is {changes['shape']}; at least 8 x 8 pixels are needed")
        if changes.get("polarisation", "horizontal") not in ("horizontal", "vertical", "unpolarised"):
            raise InputError(
                f"polarisation {changes['polarisation']!r} is unknown: say horizontal, vertical or unpolarised"
            )
        if self.geometry_file is not None:
            base = instrument_of(read_geom(self.geometry_file), base, self.distance_m, self.photon_energy_ev)
            for name in ("photon_energy_ev", "distance_m", "pixel_size_m"):
                _QUANTITIES[name].check(f"{self.geometry_file}: {name}", getattr(base, name))
        for name in ("pixel_size_m", "shape"):
            if base.panels and name in changes:
                raise InputError(f"instrument {name} cannot be set for a detector of panels; use binning instead")
        return binned(replace(base, **changes), self.binning)
