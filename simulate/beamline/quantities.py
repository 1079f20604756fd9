"""Physical quantities: which values are possible, and which unit was meant where they are not. Imports no JAX."""

import math
from typing import NamedTuple

from ...geometries.errors import InputError

_LENGTHS = {"mm": 1e-3, "um": 1e-6, "nm": 1e-9, "m": 1.0, "angstrom": 1e-10, "cm": 1e-2, "pm": 1e-12}
_ENERGIES = {"keV": 1e3, "eV": 1.0, "J": 1 / 1.602176634e-19, "MeV": 1e6}
_SPELLED = {
    **{name: name for name in ("mm", "um", "nm", "m", "cm", "pm", "angstrom")},
    **{name.lower(): name for name in _ENERGIES},
    **{f"{prefix}met{end}": unit + "m" for prefix, unit in
       (("", ""), ("centi", "c"), ("milli", "m"), ("micro", "u"), ("nano", "n"), ("pico", "p"))
       for end in ("er", "re", "ers", "res")},
    **dict.fromkeys(("μm", "micron", "microns"), "um"),
    **dict.fromkeys(("å", "a", "angstroms", "ångström", "ångströms"), "angstrom"),
    **dict.fromkeys(("joule", "joules"), "J"),
}  # fmt: skip
"""Units as files spell them, in small letters, and their names here."""


class Quantity(NamedTuple):
    """What a number may be. Bounds are generous: beyond them it is a mistake, mostly of the unit."""

    unit: str
    lowest: float
    highest: float
    may_be_none: bool = False
    """Whether 0 is possible too, and means that there is none."""

    def check(self, name: str, value: float) -> None:
        """Raises InputError for an impossible value, with the unit that was probably meant."""
        if not (self.lowest <= value <= self.highest or (self.may_be_none and value == 0)):
            none = ", or be 0 for none" if self.may_be_none else ""
            must = f"it must lie in {self.lowest:g} to {self.highest:g} {self.unit}{none}"
            raise InputError(f"{name} is {value:g}; {must}{self._meant(value)}")

    def converted(self, name: str, value: float, unit: str) -> float:
        """The value in this quantity's unit. Raises InputError for a unit that is none of it."""
        units = self._units()
        if (found := _SPELLED.get(unit.strip().casefold())) not in units:
            raise InputError(f"{name} is in {unit.strip()!r}; say it in {', '.join(units)}")
        return value * units[found] / units[self.unit]

    def _units(self) -> dict[str, float]:
        return _LENGTHS if self.unit in _LENGTHS else _ENERGIES

    def _meant(self, value: float) -> str:
        units = self._units()
        for unit, size in units.items():
            meant = value * size / units[self.unit]
            if unit != self.unit and math.isfinite(meant) and self.lowest <= meant <= self.highest:
                return f" (in {unit}? say {meant:.6g})"
        return ""


PHOTON_ENERGY = Quantity("eV", 50, 1e6)
DISTANCE = Quantity("m", 1e-3, 150)
PIXEL_SIZE = Quantity("m", 1e-6, 5e-3)
FOCUS = Quantity("m", 1e-8, 1e-2)
SHADOW = Quantity("m", 1e-6, 1, may_be_none=True)
"""Of a beamstop, a gap or a stalk."""
STREAM = Quantity("m", 1e-7, 1e-3)
"""Of particles, its width along the beam."""
COHERENCE = Quantity("m", 1e-9, 1e-1, may_be_none=True)
DIAMETER = Quantity("nm", 1, 1e4)
