"""The volume that atoms keep a liquid out of, against spheres in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries.amplitude_grid import look_up
from onehit.geometries.densities.atoms import Atoms
from onehit.geometries.densities.density_grid import DENSITY_WINDOW, displaced_grid
from onehit.geometries.densities.density_map import DensityMap
from onehit.geometries.densities.filling import Filling
from onehit.geometries.densities.hydration import Hydration
from onehit.geometries.errors import InputError
from oracles import ellipsoid_form_factor

CARBON_NM = 0.17


def sphere(radius):
    """Places all over it, so dense that no water passes."""
    count = int(400 * radius**2)
    n = np.arange(count) + 0.5
    height, angle = 1 - 2 * n / count, np.pi * (1 + 5**0.5) * n
    across = np.sqrt(1 - height**2)
    return radius * np.stack([across * np.cos(angle), across * np.sin(angle), height], 1)


def carbons(place, density=1.35, **added):
    return Atoms(place, np.full(len(place), 6), np.ones(len(place)), "carbons", density, **added)


def displaced(atoms, q):
    """In nm^3."""
    table = displaced_grid([atoms], 2.0)
    return np.asarray(look_up(table, 0, jnp.asarray(q * atoms.diameter_nm), DENSITY_WINDOW)) * atoms.diameter_nm**3


def directions():
    q = np.random.default_rng(0).normal(size=(200, 3))
    return q * np.linspace(0, 2, 200)[:, None] / np.linalg.norm(q, axis=1, keepdims=True)


def volume(radius):
    return 4 / 3 * np.pi * radius**3


@pytest.mark.parametrize("density", [0.5, 1.35])
def test_it_is_where_the_atoms_are_and_as_large_as_their_mass_says(density):
    """A ball of atoms off the centre of the electrons, as there is a small one beside it."""
    balls = [np.concatenate([sphere(r) for r in np.arange(0.2, size + 0.01, 0.2)]) for size in (2.0, 1.0)]
    place = np.concatenate([balls[0], balls[1] + [0, 4, 0]])
    atoms, q = carbons(place, density), directions()
    two = [
        ellipsoid_form_factor(size + CARBON_NM, q) * np.exp(-1j * q @ (at - place.mean(0)))
        for size, at in ((2.0, np.zeros(3)), (1.0, np.array([0, 4, 0])))
    ]
    expected = sum(two) / (volume(2 + CARBON_NM) + volume(1 + CARBON_NM)) * atoms.volume_nm3
    assert np.abs(displaced(atoms, q) - expected).max() < 0.01 * atoms.volume_nm3
    assert displaced(atoms, np.zeros((1, 3)))[0] == pytest.approx(atoms.volume_nm3, rel=2e-4)


def test_cavities_and_gaps_that_water_enters_are_no_part_of_it_and_shells_and_fillings_are():
    place, q = sphere(4 + CARBON_NM), directions()
    wall = [ellipsoid_form_factor(radius, q) for radius in (4 + 2 * CARBON_NM, 4.0)]
    empty = carbons(place)
    scale = empty.volume_nm3 / (volume(4 + 2 * CARBON_NM) - volume(4))
    assert (
        np.abs(displaced(empty, q) - scale * (wall[0] - wall[1])).max() < 0.05 * empty.volume_nm3
    )  # of one layer of atoms
    full = carbons(place, hydration=Hydration(0.3, 1.0), filling=Filling(2.0))
    added = displaced(full, q) - displaced(empty, q)
    expected = wall[1] + ellipsoid_form_factor(4 + 2 * CARBON_NM + 0.3, q) - wall[0]
    assert np.abs(added - expected).max() < 0.01 * volume(4)


def test_a_map_displaces_nothing_of_its_own():
    density = DensityMap(np.ones((4, 4, 4), np.float32), np.full(3, 0.5), "map")
    assert not np.asarray(displaced_grid([density], 2.0).coefficients).any()


def test_a_particle_whose_voxels_memory_does_not_hold_is_refused():
    far = carbons(np.array([[0.0, 0, 0], [120, 120, 120]]))
    with pytest.raises(
        InputError, match=r"carbons: the water that 120 x 120 x 120 nm .* leave --bad\.wet-particle out"
    ):
        _ = far.displaced
