"""What particles are made of: the refractive index of a material. Imports no JAX: the command line reads this."""

# periodictable has no types.
# pyright: reportUnknownMemberType=false

import difflib
import math
import re
from dataclasses import dataclass
from typing import cast

from ...geometries.errors import InputError

MATERIALS: dict[str, tuple[str, float]] = {
    "water": ("H2O", 1.0),
    "protein": ("H86C52N13O15S", 1.35),
    "dna": ("H11C10N4O6P", 1.7),
    "silver": ("Ag", 10.5),
    "gold": ("Au", 19.3),
}
"""Composition (atoms) and mass density (g/cm^3) by name.

Protein and DNA: Bergh et al. 2008, Q. Rev. Biophys. 41, 181, as tabulated in Condor (Hantke, Ekeberg & Maia 2016,
J. Appl. Cryst. 49, 1356); the metals: CRC Handbook of Chemistry and Physics.
"""

_ELECTRON_RADIUS_M = 2.8179403205e-15
"""Classical, CODATA 2022."""


@dataclass(frozen=True)
class Material:
    """A material at one photon energy: refractive index n = 1 - delta + i beta, for waves exp(i(kz - wt)).

    `delta` is negative only near some absorption edges; `beta` is 0 or more.
    """

    name: str
    delta: float
    beta: float

    @property
    def contrast(self) -> complex:
        """n - 1 = -delta + i beta, to which the scattered amplitude in vacuum is proportional.

        In a medium it is proportional to the difference of two contrasts.
        """
        return complex(-self.delta, self.beta)


def material(spec: str, photon_energy_ev: float) -> Material:
    """The material that `spec` names, at 30 to 30000 eV.

    `spec` is a name from MATERIALS, or a composition and its mass density in g/cm^3 (`C9H10O3:1.3`), or the two
    numbers themselves, the same at every energy (`delta=1e-4,beta=1e-6`).

    delta + i beta = r_e lambda^2 / (2 pi) sum_a n_a (f1_a + i f2_a) over the elements a, with the number of atoms
    per volume n_a and the atomic scattering factors of Henke, Gullikson & Davis 1993, At. Data Nucl. Data Tables
    54, 181, as updated by the Center for X-Ray Optics. They hold for free atoms: within some tens of eV of an
    absorption edge chemistry matters, and they can be far off.

    Raises InputError for an unknown name, element or form, an impossible value, or an energy outside the tables.
    """
    if not 30 <= photon_energy_ev <= 30_000:  # also true for NaN
        raise InputError(
            f"photon energy {photon_energy_ev} eV is outside the tables of refractive indices: give 30 to 30000 eV"
        )
    if "=" in spec:
        return Material(spec, *_given(spec))
    name, colon, density = (part.strip() for part in spec.partition(":"))
    if colon:
        return Material(spec, *_computed(name, _number(spec, "density", density), photon_energy_ev))
    if name not in MATERIALS:
        near = difflib.get_close_matches(name.lower(), MATERIALS, 1)
        raise InputError(
            f"unknown material {spec!r}{f', did you mean {near[0]!r}?' if near else ';'} known are "
            f"{', '.join(MATERIALS)}, composition:density (C9H10O3:1.3) and delta=1e-4,beta=1e-6"
        )
    return Material(name, *_computed(*MATERIALS[name], photon_energy_ev))


def contrast_of_electrons(forward: complex, volume_nm3: float, wavelength_m: float) -> complex:
    """n - 1 of a body, on average over its volume, that scatters as so many electrons; see `material` for the formula.

    forward: sum over its atoms of f1 - i f2, the amplitude at q = 0.
    """
    return -_ELECTRON_RADIUS_M * wavelength_m**2 / (2 * math.pi) * forward / (volume_nm3 * 1e-27)


def _given(spec: str) -> tuple[float, float]:
    items = [[part.strip() for part in item.partition("=")] for item in spec.split(",")]
    values = {key: value for key, _, value in items}
    if len(items) != 2 or set(values) != {"delta", "beta"}:
        raise InputError(f"material {spec!r} is not understood: write delta=1e-4,beta=1e-6")
    delta, beta = (_number(spec, key, values[key]) for key in ("delta", "beta"))
    if abs(delta) >= 1 or not 0 <= beta < 1:
        raise InputError(f"material {spec!r} is impossible: give -1 < delta < 1 and 0 <= beta < 1")
    return delta, beta


def _computed(composition: str, density: float, photon_energy_ev: float) -> tuple[float, float]:
    """delta and beta of a composition of that density in g/cm^3."""
    from periodictable import elements, xsf  # takes 0.2 s

    if not density > 0:
        raise InputError(f"material {composition!r} has density {density}; give one above 0, in g/cm^3")
    if not re.fullmatch(r"([A-Z][a-z]?(\d+\.?\d*)?)+", composition):
        raise InputError(f"composition {composition!r} is not understood: write symbols and counts, like C9H10O3")
    atoms: dict[str, float] = {}
    for symbol, count in re.findall(r"([A-Z][a-z]?)([\d.]*)", composition):
        atoms[symbol] = atoms.get(symbol, 0.0) + float(count or 1)
    known = {element.symbol for element in elements if element.xray.sftable is not None}
    if unknown := [symbol for symbol in atoms if symbol not in known]:
        raise InputError(f"composition {composition!r} has {unknown[0]!r}, of which no scattering factor is known")
    if not sum(atoms.values()) > 0:
        raise InputError(f"composition {composition!r} has no atoms: give a count above 0")
    compound = {getattr(elements, symbol): count for symbol, count in atoms.items()}
    index = cast(complex, xsf.index_of_refraction(compound, density=density, energy=photon_energy_ev / 1000))
    return float(1 - index.real), float(-index.imag)  # periodictable's waves run exp(i(wt - kz))


def _number(spec: str, key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"material {spec!r} needs a number for {key}, not {text!r}")
    return value
