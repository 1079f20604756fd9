"""Hydration shells against spherical shells in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries.amplitude_grid import look_up
from onehit.geometries.densities.atoms import Atoms
from onehit.geometries.densities.density_grid import DENSITY_WINDOW, density_grid
from onehit.geometries.densities.description import describe
from onehit.geometries.densities.hydration import Hydration
from onehit.geometries.densities.structure_file import load_atoms, read_structure
from onehit.geometries.errors import InputError
from oracles import ellipsoid_form_factor
from structures import atom_line

ENERGY = 1600.0
CARBON_NM = 0.17
CONTRAST = 334.0


def sphere(radius, count=4000):
    """Places all over it."""
    n = np.arange(count) + 0.5
    height, angle = 1 - 2 * n / count, np.pi * (1 + 5**0.5) * n
    across = np.sqrt(1 - height**2)
    return radius * np.stack([across * np.cos(angle), across * np.sin(angle), height], 1)


def carbons(place, hydration=None):
    return Atoms(place, np.full(len(place), 6, np.uint8), np.ones(len(place)), "carbons", hydration=hydration)


def ball(hydration=None):
    """So dense that its surface is a sphere of 1.17 nm."""
    return carbons(np.concatenate([sphere(radius) for radius in np.arange(0.2, 1.01, 0.2)]), hydration)


def amplitude(atoms, q):
    """In electrons."""
    unit = look_up(density_grid([atoms], 4.0, ENERGY), 0, jnp.asarray(q * atoms.diameter_nm), DENSITY_WINDOW)
    return np.asarray(unit) * (atoms.forward(ENERGY) / (np.pi / 6))


def volume(outer, inner):
    return 4 / 3 * np.pi * (outer**3 - inner**3)


@pytest.mark.parametrize("thickness", [0.2, 0.3, 0.8])
def test_a_ball_gets_a_spherical_shell(thickness):
    q = np.random.default_rng(0).normal(size=(100, 3))
    q *= np.linspace(0, 4, 100)[:, None] / np.linalg.norm(q, axis=1, keepdims=True)
    added = amplitude(ball(Hydration(thickness, CONTRAST)), q) - amplitude(ball(), q)
    inner, outer = 1 + CARBON_NM, 1 + CARBON_NM + thickness
    expected = CONTRAST * (ellipsoid_form_factor(outer, q) - ellipsoid_form_factor(inner, q))
    assert np.abs(added - expected).max() < 0.01 * CONTRAST * volume(outer, inner)
    assert added[0].real == pytest.approx(CONTRAST * volume(outer, inner), rel=0.006)


def test_gaps_belong_to_the_shell_where_water_fits_and_not_where_it_does_not():
    """A ball within a hollow sphere."""
    for gap, within in ((0.20, 0.0), (0.40, volume(1.17 + 0.40, 1.17))):
        place = np.concatenate([ball().position, sphere(1.17 + gap + CARBON_NM)])
        nested = carbons(place, Hydration(0.3, CONTRAST))
        outer = 1.17 + gap + 2 * CARBON_NM
        expected = CONTRAST * (volume(outer + 0.3, outer) + within)
        assert nested.shell is not None and nested.shell.electrons == pytest.approx(expected, rel=0.02)


def test_what_the_shell_adds_is_no_part_of_size_and_mass_but_of_the_reach():
    dry, wet = ball(), ball(Hydration(0.3))
    assert (wet.electrons, wet.diameter_nm, wet.forward(ENERGY)) == (
        dry.electrons,
        dry.diameter_nm,
        dry.forward(ENERGY),
    )
    assert wet.reach_nm == pytest.approx(dry.reach_nm + 0.3)


def pdb(tmp_path):
    path = tmp_path / "pair.pdb"
    path.write_text(atom_line(1, "C1", "C", (0, 0, 0)) + atom_line(2, "C2", "C", (20, 0, 0), number=2) + "END\n")
    return str(path)


def test_no_contrast_changes_no_bit(tmp_path):
    dry, same, wet = (
        np.asarray(density_grid([load_atoms(pdb(tmp_path), options)], 2.0, ENERGY).coefficients)
        for options in (
            "hydrogens=file",
            "hydrogens=file,hydration_nm=0.3,hydration_contrast=0",
            "hydrogens=file,hydration_nm=0.3,hydration_contrast=364",
        )
    )
    assert dry.tobytes() == same.tobytes()
    assert np.abs(dry - wet).max() > np.abs(dry).max()


def test_inspection_says_what_it_adds_and_how_far_it_reaches(tmp_path):
    facts, notes = describe(f"{pdb(tmp_path)}:hydrogens=file,hydration_nm=0.3", 1.0)
    assert facts["longest extent"] == "2.00 nm"
    assert float(facts["extent with it"].split()[0]) == pytest.approx(2 + 2 * (CARBON_NM + 0.3), abs=0.1)
    assert facts["hydration shell"].startswith("0.3 nm, 364 electrons / nm^3")
    electrons = float(facts["hydration shell"].split(", ")[-1].split()[0])
    assert electrons == pytest.approx(2 * 364 * volume(CARBON_NM + 0.3, CARBON_NM), rel=0.01)
    assert not notes


def test_a_shell_that_memory_does_not_hold_is_refused():
    with pytest.raises(InputError, match=r"100 x 100 x 100 nm of atoms .* voxels: leave hydration_nm out"):
        _ = carbons(np.array([[0.0, 0, 0], [100, 100, 100]]), Hydration(0.3)).shell


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("hydration_nm=0", r"hydration_nm is 0; give the shell's thickness, 0\.2 to 1 nm"),
        ("hydration_nm=nan", "hydration_nm is nan"),
        ("hydration_nm=1.2", r"hydration_nm is 1\.2"),
        ("hydration_nm=0.3,hydration_contrast=inf", "hydration_contrast is inf; give electrons per nm"),
        ("hydration_nm=0.3,hydration_contrast=-2000", "hydration_contrast is -2000"),
        ("hydration_contrast=30", "write .*:hydration_nm=0.3 as well"),
        ("hydration_nm=thick", "hydration_nm cannot be 'thick'"),
    ],
)
def test_what_is_no_shell_is_refused(tmp_path, options, said):
    with pytest.raises(InputError, match=said):
        read_structure(pdb(tmp_path), options)
