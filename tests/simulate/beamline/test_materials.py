import subprocess
import sys

import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.simulate.beamline.instrument import PLANCK_TIMES_C_EV_M
from onehit.simulate.beamline.materials import MATERIALS, Material, material

CLASSICAL_ELECTRON_RADIUS_M = 2.8179403262e-15
ATOMS_PER_MOL = 6.02214076e23


@pytest.mark.parametrize(
    ("spec", "energy", "delta", "beta"),
    [
        ("Au:19.32", 200, 0.0112813823, 0.00951793324),
        ("Si3N4:3.44", 30, 0.274695814, 0.210541397),
        ("H2O:1", 22_000, 4.76455682e-07, None),
        ("H2O:1", 30_000, 2.56114134e-07, None),
        ("C14H18O7:1.2", 8766, 3.4461118e-06, None),
    ],
)
def test_indices_are_those_that_the_center_for_x_ray_optics_prints(spec, energy, delta, beta):
    """From henke.lbl.gov/optical_constants/getdb2.html, which counts Compton scattering in beta at high energies."""
    found = material(spec, energy)
    assert found.delta == pytest.approx(delta, rel=1e-4)
    assert beta is None or found.beta == pytest.approx(beta, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "energy", "mass_absorption", "tolerance"),
    [
        ("water", 1000, 4065, 0.02),
        ("water", 1500, 1372, 0.02),
        ("water", 2000, 615.2, 0.02),
        ("water", 3000, 191.7, 0.03),
        ("water", 5000, 41.88, 0.03),
        ("water", 8000, 9.915, 0.02),
        ("gold", 1500, 2089, 0.06),
        ("gold", 2000, 1137, 0.03),
        ("gold", 8000, 207.2, 0.03),
    ],
)
def test_absorption_is_that_of_an_independent_table(name, energy, mass_absorption, tolerance):
    """Hubbell & Seltzer 1995, NISTIR 5632, in cm^2/g: mu_en / rho of water, which leaves out scattering; mu / rho of
    gold, which leaves in the little of it there is, because gold's fluorescence carries more away.
    """
    mu_per_cm = 4 * np.pi * material(name, energy).beta / (PLANCK_TIMES_C_EV_M / energy) / 100
    assert mu_per_cm / MATERIALS[name][1] == pytest.approx(mass_absorption, rel=tolerance)


@pytest.mark.parametrize(
    ("name", "electrons", "mass"),
    [
        ("water", 10, 18.015),
        ("protein", 86 + 6 * 52 + 7 * 13 + 8 * 15 + 16, 1165.4),
        ("dna", 11 + 6 * 10 + 7 * 4 + 8 * 6 + 15, 314.21),
    ],
)
def test_far_above_the_edges_every_electron_scatters_alike(name, electrons, mass):
    density = MATERIALS[name][1] * 1e6 / mass * ATOMS_PER_MOL * electrons
    wavelength = PLANCK_TIMES_C_EV_M / 12_000
    thomson = CLASSICAL_ELECTRON_RADIUS_M * wavelength**2 / (2 * np.pi) * density
    assert material(name, 12_000).delta == pytest.approx(thomson, rel=7e-3)


@pytest.mark.parametrize("name", MATERIALS)
def test_every_material_is_known_from_30_ev_to_30_kev(name):
    for energy in (30, 250, 1600, 12_000, 30_000):
        found = material(name, energy)
        assert found.name == name
        assert np.isfinite(found.delta)
        assert 0 < found.beta < 1


def test_a_composition_is_read_in_any_order_with_any_counts():
    water = material("water", 1600)
    for spec in ("H2O:1", "OH2 : 1.0", "HOH:1", "H1O0.5:1", "H20O10:1"):
        found = material(spec, 1600)
        assert found.name == spec
        assert (found.delta, found.beta) == pytest.approx((water.delta, water.beta), rel=1e-6)
    assert material("H2O:2", 1600).delta == pytest.approx(2 * water.delta, rel=1e-9)


def test_given_numbers_are_kept():
    assert material("delta=1e-4, beta=2e-6", 1600) == Material("delta=1e-4, beta=2e-6", 1e-4, 2e-6)
    assert material("beta=0,delta=-1e-4", 1600).contrast == 1e-4


def test_absorption_weakens_a_wave():
    gold = material("gold", 1600)
    assert abs(np.exp(1j * 1e3 * (1 + gold.contrast))) < 1
    assert (gold.contrast.real, gold.contrast.imag) == (-gold.delta, gold.beta)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("Gold", "unknown material 'Gold', did you mean 'gold'.*water, protein, dna, silver, gold"),
        ("", "unknown material ''; known are water"),
        ("H2O", "unknown material 'H2O'.*composition:density"),
        ("H2O:", "needs a number for density, not ''"),
        ("H2O:wet", "needs a number for density, not 'wet'"),
        ("H2O:nan", "needs a number for density, not 'nan'"),
        ("H2O:-1", "density -1.0; give one above 0"),
        ("h2o:1", "composition 'h2o' is not understood"),
        ("Ca(OH)2:2.2", "is not understood"),
        (":1", "composition '' is not understood"),
        ("Xx2:1", "'Xx', of which no scattering factor is known"),
        ("H0:1", "no atoms"),
        ("delta=1e-4", "write delta=1e-4,beta=1e-6"),
        ("delta=1e-4,gamma=1", "write delta=1e-4,beta=1e-6"),
        ("delta=1e-4,delta=1e-4", "write delta=1e-4,beta=1e-6"),
        ("delta=x,beta=1e-6", "needs a number for delta, not 'x'"),
        ("delta=1e-4,beta=-1e-6", "impossible"),
        ("delta=2,beta=0", "impossible"),
    ],
)
def test_a_wrong_material_says_what_would_be_right(spec, message):
    with pytest.raises(InputError, match=message) as caught:
        material(spec, 1600)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("energy", [0, 29.9, 30_001, float("nan")])
def test_energies_outside_the_tables_are_refused(energy):
    with pytest.raises(InputError, match="give 30 to 30000 eV"):
        material("water", energy)


def test_importing_materials_does_not_import_the_slow_packages():
    code = "import sys, onehit.simulate.beamline.materials; sys.exit(bool({'periodictable', 'jax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
