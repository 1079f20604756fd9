"""Tables of atoms and density maps against sums over all atoms or voxels in float64, and against gemmi."""

import gemmi
import jax
import jax.numpy as jnp
import numpy as np
import periodictable
import pytest
from onehit.geometries.amplitude_grid import look_up
from onehit.geometries.densities.atoms import Atoms
from onehit.geometries.densities.density_grid import DENSITY_WINDOW, density_bytes, density_grid
from onehit.geometries.densities.density_map import DensityMap, density_map
from onehit.geometries.densities.scattering_factors import scattering_factor
from onehit.geometries.errors import InputError
from oracles import directions, ellipsoid_form_factor, sum_over_atoms

ENERGY = 1600.0
_look_up = jax.jit(lambda grid, number, q: look_up(grid, number, q, DENSITY_WINDOW))


def tabulated(densities, number, q, q_max, energy=ENERGY):
    """In electrons."""
    one = densities[number]
    unit = _look_up(density_grid(densities, q_max, energy), number, jnp.asarray(q * one.diameter_nm, jnp.float32))
    return np.asarray(unit) * (one.forward(energy) / (np.pi / 6))


def some_atoms(count=400, scale=(3.0, 2.0, 5.0), seed=0):
    rng = np.random.default_rng(seed)
    return Atoms(
        rng.uniform(-1, 1, (count, 3)) * scale,
        rng.choice(np.array([1, 6, 7, 8, 26], np.uint8), count),
        rng.uniform(0.3, 1, count),
        f"some {seed}",
    )


def test_atoms_of_any_size_in_one_table_match_the_sum_over_atoms_at_every_q():
    densities = [some_atoms(), some_atoms(60, (1.0, 1.5, 0.6), 1), some_atoms(1, seed=2)]
    for number, atoms in enumerate(densities):
        q = directions(300, 3.0, number)
        error = np.abs(tabulated(densities, number, q, 3.0) - sum_over_atoms(atoms, q, ENERGY))
        assert error.max() < 5e-4 * atoms.electrons, atoms.name


def test_atoms_all_at_the_rim_match_as_well():
    """As in a capsid: windows dim the rim most."""
    direction = np.random.default_rng(3).normal(size=(300, 3))
    place = 12 * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    shell = Atoms(place, np.full(300, 6, np.uint8), np.ones(300), "shell")
    q = directions(400, 1.5)
    assert np.abs(tabulated([shell], 0, q, 1.5) - sum_over_atoms(shell, q, ENERGY)).max() < 3e-4 * shell.electrons


def test_at_q_0_there_are_as_many_electrons_as_the_tables_of_elements_say():
    atoms = some_atoms()
    number = atoms.element.astype(float)
    assert atoms.electrons == pytest.approx(number @ atoms.occupancy)
    f1 = [periodictable.elements[int(z)].xray.scattering_factors(energy=1.6)[0] for z in atoms.element]
    assert atoms.forward(ENERGY).real == pytest.approx(np.dot(f1, atoms.occupancy))
    assert atoms.forward(ENERGY).imag < 0
    assert tabulated([atoms], 0, np.zeros((1, 3)), 1.0)[0] == pytest.approx(atoms.forward(ENERGY), rel=2e-4)


def test_gemmis_structure_factors_of_the_same_atoms():
    """In a cell so large that they stand alone. gemmi's transforms run exp(+2 pi i h.x), its factors are those of the
    International Tables, without f' and f'', which are next to nothing at 25 keV."""
    atoms = some_atoms(120, (0.9, 0.8, 1.0))
    atoms = Atoms(atoms.position, np.where(atoms.element == 26, 6, atoms.element), atoms.occupancy, "light")
    edge = 60.0
    small = gemmi.SmallStructure()
    small.cell = gemmi.UnitCell(edge, edge, edge, 90, 90, 90)
    small.spacegroup_hm = "P 1"
    for place, number, occupancy in zip(atoms.position, atoms.element, atoms.occupancy, strict=True):
        site = gemmi.SmallStructure.Site()
        site.label = site.type_symbol = gemmi.Element(int(number)).name
        site.element = gemmi.Element(int(number))
        site.fract = small.cell.fractionalize(gemmi.Position(*(10 * place)))
        site.occ, site.u_iso = occupancy, 0.0
        small.add_site(site)
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    indices = [(0, 0, 0), (1, 0, 0), (0, -2, 1), (3, 4, -5), (-7, 2, 2), (9, -9, 4), (0, 0, 12)]
    expected = np.conj([calculator.calculate_sf_from_small_structure(small, index) for index in indices])
    q = 2 * np.pi * np.array(indices) / (edge / 10)
    found = tabulated([atoms], 0, q, 16.0, energy=25_000.0)
    assert np.abs(found - expected).max() < 2e-3 * atoms.electrons


def test_a_ball_of_atoms_is_a_ball():
    n = np.arange(-20, 21) * 0.15
    place = np.stack(np.meshgrid(n, n, n), -1).reshape(-1, 3)
    inside = place[np.linalg.norm(place, axis=1) <= 2.9]
    ball = Atoms(inside, np.full(len(inside), 6, np.uint8), np.ones(len(inside)), "ball")
    radius = (len(inside) * 0.15**3 * 3 / 4 / np.pi) ** (1 / 3)
    q = directions(200, 3.0)
    expected = ellipsoid_form_factor(radius, q) / (4 / 3 * np.pi * radius**3) * ball.forward(ENERGY)
    assert np.abs(tabulated([ball], 0, q, 3.0) - expected).max() < 5e-3 * ball.electrons


def gaussians(place, weight, width, voxel, shape):
    """Electrons per cubic angstrom of Gaussian blobs, on the points of a grid about the origin."""
    axes = [(np.arange(n) - n // 2) * size for n, size in zip(shape, voxel, strict=True)]
    values = np.zeros(shape)
    for (x, y, z), electrons in zip(place, weight, strict=True):
        one = [np.exp(-((axis - at) ** 2) / (2 * width**2)) for axis, at in zip(axes, (x, y, z), strict=True)]
        values += electrons * np.einsum("x,y,z->xyz", *one) / (2 * np.pi * width**2) ** 1.5 / 1000
    return values


def test_a_map_made_from_atoms_scatters_as_they_do():
    """Atoms of Gaussian form, so that the map is known in closed form; voxels of three sizes."""
    rng = np.random.default_rng(4)
    place, weight, width = rng.uniform(-1, 1, (30, 3)) * [2.0, 1.0, 1.5], rng.uniform(2, 30, 30), 0.3
    voxel = np.array([0.2, 0.25, 0.15])
    values = gaussians(place, weight, width, voxel, (34, 26, 42))
    density = density_map(values, voxel, "blobs")
    assert density.electrons == pytest.approx(weight.sum(), rel=1e-4)
    q = directions(300, 4.0)
    about = place - weight @ place / weight.sum()
    exact = np.exp(-(width**2) * (q**2).sum(1) / 2) * (np.exp(-1j * q @ about.T) @ weight)
    assert np.abs(tabulated([density], 0, q, 4.0) - exact).max() < 5e-4 * weight.sum()


def test_beyond_what_voxels_hold_a_map_is_dark():
    values = np.random.default_rng(0).uniform(0.1, 1, (6, 6, 6))
    density = density_map(values, np.full(3, 0.5), "coarse")
    assert density.q_nyquist == pytest.approx(2 * np.pi)
    far = np.linspace(7.5, 11.9, 9)[:, None] * [0, 1, 0]
    assert np.abs(tabulated([density], 0, far, 12.0)).max() < 1e-3 * density.electrons


def test_memory_is_known_before():
    densities: list[Atoms | DensityMap] = [some_atoms(), some_atoms(60, (1.0, 1.5, 0.6), 1)]
    assert density_bytes(densities, 2.0) == density_grid(densities, 2.0, ENERGY).coefficients.nbytes


def test_factors_fall_as_the_international_tables_say():
    q = np.array([0.0, 10.0, 40.0])
    for number in (6, 8, 26):
        f = scattering_factor(number, q, 20_000.0)
        it92 = [gemmi.Element(number).it92.calculate_sf((x / 10 / (4 * np.pi)) ** 2) for x in q]
        f1, f2 = gemmi.cromer_liberman(z=number, energy=20_000.0)
        np.testing.assert_allclose(f.real - f1, it92, rtol=0.01, atol=0.02)
        assert f.imag == pytest.approx(-f2, rel=0.1, abs=0.01)


def test_hydrogen_is_the_free_atom_of_quantum_mechanics():
    """1 / (1 + (q a / 2)^2)^2, a the Bohr radius."""
    q = np.linspace(0, 60, 30)
    f = scattering_factor(1, q, 20_000.0)
    np.testing.assert_allclose(f.real, 1 / (1 + (q * 0.0529177 / 2) ** 2) ** 2, atol=2e-3)


def test_elements_and_energies_outside_the_tables_are_refused():
    for number, energy in ((94, 1600.0), (6, 10.0), (6, 1e6)):
        with pytest.raises(InputError, match=r"no scattering factor of .* is known at"):
            scattering_factor(number, np.zeros(1), energy)
    with pytest.raises(InputError, match="odd: no scattering factor of Pu"):
        Atoms(np.zeros((1, 3)), np.array([94], np.uint8), np.ones(1), "odd").forward(ENERGY)
