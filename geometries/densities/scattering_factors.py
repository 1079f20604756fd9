"""Atomic scattering factors at any photon energy."""

# periodictable has no types.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false

import math

import numpy as np
from jaxtyping import Complex, Float

from ..errors import InputError

_PER_ANGSTROM = 0.1  # one per nm


def scattering_factor(
    number: int, q: Float[np.ndarray, "*any"], photon_energy_ev: float
) -> Complex[np.ndarray, "*any"]:
    """f0(q) + f' - i f'' of the free, neutral atom of an atomic number, in electrons; q: 1/nm.

    f0: sums of five Gaussians, Waasmaier & Kirfel 1995, Acta Cryst. A51, 416, scaled (by 0.1 % at most) to the atomic
    number at q = 0. f' and f'': the scattering factors f1 = Z + f' and f2 = f'' of Henke, Gullikson & Davis 1993, At.
    Data Nucl. Data Tables 54, 181, as updated by the Center for X-Ray Optics. The sign of f'' goes with waves
    exp(i(kz - wt)) and transforms exp(-i q.r). Raises InputError for an element or energy outside these tables.
    """
    from periodictable import cromermann, elements

    element = elements[number]
    table = element.xray.sftable
    known = (math.nan, math.nan) if table is None else element.xray.scattering_factors(energy=photon_energy_ev / 1000)
    f1, f2 = (float(np.asarray(one, float)) for one in known)
    if not math.isfinite(f1 + f2):
        raise InputError(f"no scattering factor of {element.symbol} is known at {photon_energy_ev:g} eV")
    # A smooth function: a fine table of it costs less than five Gaussians at millions of places.
    at = np.linspace(0, max(float(q.max()), 1.0), 2000)
    f0 = np.asarray(cromermann.fxrayatq(element.symbol, at * _PER_ANGSTROM))
    return np.asarray(np.interp(q, at, f0 * (number / f0[0])) + (f1 - number) - 1j * f2)


def atomic_mass(number: int) -> float:
    """In g/mol."""
    from periodictable import elements

    return float(elements[number].mass)


def symbol(number: int) -> str:
    """Of an element."""
    from periodictable import elements

    return str(elements[number].symbol)
