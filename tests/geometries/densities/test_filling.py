"""Fillings of hollow balls of atoms against spheres in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries.amplitude_grid import look_up
from onehit.geometries.densities.atoms import Atoms
from onehit.geometries.densities.density_grid import DENSITY_WINDOW, density_grid
from onehit.geometries.densities.description import describe
from onehit.geometries.densities.filling import Filling
from onehit.geometries.densities.hydration import Hydration
from onehit.geometries.densities.structure_file import load_atoms
from onehit.geometries.errors import InputError
from oracles import ellipsoid_form_factor
from structures import atom_line

ENERGY = 1600.0
CARBON_NM = 0.17
CONTRAST = 430.0
RADIUS = 4.0
"""Of the cavity."""


def hollow(radius=RADIUS, hole=0.0):
    """Places of a shell of atoms around a cavity, too dense for water; hole: diameter of a round one in it, in z."""
    count = int(400 * radius**2)
    n = np.arange(count) + 0.5
    height, angle = 1 - 2 * n / count, np.pi * (1 + 5**0.5) * n
    across = np.sqrt(1 - height**2)
    place = (radius + CARBON_NM) * np.stack([across * np.cos(angle), across * np.sin(angle), height], 1)
    in_hole = (np.hypot(place[:, 0], place[:, 1]) < hole / 2 + CARBON_NM) & (height > 0)
    return place[~in_hole]


def carbons(place, filling=None, hydration=None):
    return Atoms(
        place, np.full(len(place), 6, np.uint8), np.ones(len(place)), "carbons", hydration=hydration, filling=filling
    )


def amplitude(atoms, q):
    """In electrons."""
    unit = look_up(density_grid([atoms], 2.0, ENERGY), 0, jnp.asarray(q * atoms.diameter_nm), DENSITY_WINDOW)
    return np.asarray(unit) * (atoms.forward(ENERGY) / (np.pi / 6))


def directions():
    q = np.random.default_rng(0).normal(size=(200, 3))
    return q * np.linspace(0, 2, 200)[:, None] / np.linalg.norm(q, axis=1, keepdims=True)


def volume(radius):
    return 4 / 3 * np.pi * radius**3


def filled(place, filling=None, hydration=None):
    """Volume of the cavity."""
    cavity = carbons(place, filling or Filling(CONTRAST), hydration).cavity
    assert cavity is not None
    return cavity.volume_nm3


@pytest.mark.parametrize("contrast", [CONTRAST, -20.0])
def test_the_filling_of_a_hollow_ball_is_a_sphere(contrast):
    q = directions()
    added = amplitude(carbons(hollow(), Filling(contrast)), q) - amplitude(carbons(hollow()), q)
    expected = contrast * ellipsoid_form_factor(RADIUS, q)
    assert np.abs(added - expected).max() < 0.01 * abs(contrast) * volume(RADIUS)


def test_forward_amplitude_is_the_atoms_and_the_contrast_times_the_volume():
    atoms = carbons(hollow(), Filling(CONTRAST))
    expected = atoms.forward(ENERGY) + CONTRAST * filled(hollow())
    assert amplitude(atoms, np.zeros((1, 3)))[0] == pytest.approx(expected, rel=2e-4)
    assert filled(hollow()) == pytest.approx(volume(RADIUS), rel=0.01)


def test_a_cavity_off_the_centre_is_filled_where_it_is():
    lump = 1.6 * np.random.default_rng(1).uniform(-1, 1, (4000, 3)) + [0, 0, RADIUS + 2]
    place, q = np.concatenate([hollow(), lump]), directions()
    atoms = carbons(place, Filling(CONTRAST))
    centre = -place.mean(0)  # where the cavity's is when the electrons' is the origin
    assert np.linalg.norm(centre) > 1
    inside = np.linalg.norm(place, axis=1) < RADIUS + CARBON_NM - 0.01
    assert not inside.any()
    added = amplitude(atoms, q) - amplitude(carbons(place), q)
    expected = CONTRAST * ellipsoid_form_factor(RADIUS, q) * np.exp(-1j * q @ centre)
    assert np.abs(added - expected).max() < 0.01 * CONTRAST * volume(RADIUS)


def test_pores_are_closed_for_a_ball_that_is_wider():
    place = hollow(hole=1.6)
    assert filled(place, Filling(CONTRAST, 2.4)) == pytest.approx(volume(RADIUS), rel=0.02)
    with pytest.raises(InputError, match=r"carbons: no cavity holds a ball of 1 nm .* another filling_pore_nm"):
        filled(place, Filling(CONTRAST, 1.0))


def test_a_ball_of_atoms_has_no_cavity_and_neither_has_one_that_is_smaller_than_the_ball():
    for place in (np.zeros((1, 3)), hollow(0.9)):
        with pytest.raises(InputError, match="leave filling_contrast out"):
            filled(place)
    assert filled(hollow(0.9), Filling(CONTRAST, 1.0)) == pytest.approx(volume(0.9), rel=0.05)


@pytest.mark.parametrize("direction", np.eye(3))
def test_water_beside_atoms_far_from_a_small_cavity_is_no_trouble(direction):
    """Atoms in a row that goes beyond where they matter to the cavity."""
    place = np.concatenate([hollow(0.9), np.arange(1.5, 3.0, 0.02)[:, None] * direction])
    assert filled(place, Filling(CONTRAST, 0.5)) == pytest.approx(volume(0.9), rel=0.05)


def test_cavities_of_like_size_are_all_filled_and_small_ones_are_not():
    equal = np.concatenate([hollow(3.0), hollow(3.0) + [0, 0, 7]])
    assert filled(equal) == pytest.approx(2 * volume(3.0), rel=0.02)
    with_small = np.concatenate([hollow(3.0), hollow(1.5) + [0, 0, 5.5]])
    assert filled(with_small) == pytest.approx(volume(3.0), rel=0.02)


def test_what_lies_deeper_behind_the_wall_than_the_ball_reaches_stays_empty():
    """A bubble in a solid ball in the cavity."""
    island = np.concatenate([hollow(radius) for radius in np.arange(0.5, 1.8, 0.2)])
    cavity = carbons(np.concatenate([hollow(), island]), Filling(CONTRAST, 1.2)).cavity
    assert cavity is not None
    at_centre, beside = (
        tuple(int(np.abs(axis - x).argmin()) for axis, x in zip(cavity.axes_nm, (0, 0, x), strict=True))
        for x in (0.0, 3.0)
    )
    assert (cavity.covered[at_centre], cavity.covered[beside]) == (0, 1)
    assert cavity.volume_nm3 == pytest.approx(volume(RADIUS) - volume(1.7 + 2 * CARBON_NM), rel=0.01)


def test_with_a_hydration_shell_no_space_counts_twice():
    thickness = 0.6
    atoms = carbons(hollow(), Filling(CONTRAST), Hydration(thickness, CONTRAST))
    assert atoms.shell is not None and atoms.cavity is not None
    assert atoms.cavity.volume_nm3 == pytest.approx(volume(RADIUS - thickness), rel=0.01)
    outer = RADIUS + 2 * CARBON_NM
    expected = CONTRAST * (volume(RADIUS) + volume(outer + thickness) - volume(outer))
    assert atoms.shell.electrons + atoms.cavity.electrons == pytest.approx(expected, rel=0.01)
    # Of one density, the two are one body: what lies beyond the atoms' shell.
    q = directions()
    added = amplitude(atoms, q) - amplitude(carbons(hollow()), q)
    sides = zip((1, 1, -1), (RADIUS, outer + thickness, outer), strict=True)
    body = CONTRAST * sum(sign * ellipsoid_form_factor(radius, q) for sign, radius in sides)
    assert np.abs(added - body).max() < 0.01 * expected


def test_a_cavity_that_is_all_hydration_shell_is_refused():
    with pytest.raises(InputError, match=r"carbons: the hydration shell of 1 nm fills all cavities: .* hydration_nm"):
        filled(hollow(0.9), Filling(CONTRAST, 1.0), Hydration(1.0))


def test_what_the_filling_adds_is_no_part_of_size_and_mass():
    empty, full = carbons(hollow()), carbons(hollow(), Filling(CONTRAST))
    assert (full.electrons, full.diameter_nm, full.reach_nm) == (empty.electrons, empty.diameter_nm, empty.reach_nm)
    assert full.forward(ENERGY) == empty.forward(ENERGY)


def pdb(tmp_path, place):
    path = tmp_path / "hollow.pdb"
    lines = [atom_line(i % 99999 + 1, "C1", "C", 10 * at, "UNL", number=i % 9999 + 1) for i, at in enumerate(place)]
    path.write_text("".join(lines) + "END\n")
    return str(path)


def test_inspection_says_the_cavity_and_what_fills_it(tmp_path):
    facts, notes = describe(f"{pdb(tmp_path, hollow(2.0))}:filling_contrast=430,filling_pore_nm=1.5", 1.0)
    size, length = (float(text.split()[0]) for text in facts["cavity"].split(", "))
    assert size == pytest.approx(volume(2.0), rel=0.03)
    assert length == pytest.approx(4.0, abs=0.2)
    assert facts["filling"].startswith("430 electrons / nm^3 over what surrounds the particle, ")
    electrons = float(facts["filling"].split(", ")[-1].split()[0].replace(",", ""))
    assert electrons == pytest.approx(430 * size, rel=0.02)
    assert not notes


def test_no_contrast_is_no_filling(tmp_path):
    assert load_atoms(pdb(tmp_path, hollow(1.2)), "filling_contrast=0").filling is None


def test_a_particle_whose_voxels_memory_does_not_hold_is_refused():
    place = np.array([[0.0, 0, 0], [300, 300, 300]])
    with pytest.raises(InputError, match=r"300 x 300 x 300 nm of atoms .* voxels: give filling_pore_nm=4\.8 or more"):
        filled(place)
    with pytest.raises(InputError, match=r"no cavity holds a ball of 4\.8 nm"):
        filled(place, Filling(CONTRAST, 4.8))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("filling_contrast=inf", "filling_contrast is inf; give electrons per nm"),
        ("filling_contrast=-1001", "filling_contrast is -1001"),
        ("filling_contrast=430,filling_pore_nm=0.4", r"filling_pore_nm is 0\.4; give the diameter of a ball .* 10 nm"),
        ("filling_contrast=430,filling_pore_nm=nan", "filling_pore_nm is nan"),
        ("filling_pore_nm=2", "write .*:filling_contrast=430 as well"),
        ("filling_contrast=full", "filling_contrast cannot be 'full'"),
        ("filling_contrast=430", "no cavity holds a ball of 2 nm"),
    ],
)
def test_what_is_no_filling_is_refused(tmp_path, options, said):
    with pytest.raises(InputError, match=said) as caught:
        describe(f"{pdb(tmp_path, np.zeros((2, 3)) + [[0], [2]])}:{options}", 1.0)
    assert "\n" not in str(caught.value)
