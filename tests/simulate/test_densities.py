"""Atoms and density maps as particles of a simulation."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries.densities import density_grid as density_grids
from onehit.geometries.densities.density_grid import density_grid
from onehit.geometries.densities.filling import Filling
from onehit.geometries.densities.hydration import Hydration
from onehit.geometries.densities.scattering_factors import scattering_factor
from onehit.geometries.densities.structure_file import load_atoms
from onehit.geometries.errors import InputError, InputWarning
from onehit.simulate import SimulatedSource, SimulationConfig, preparation
from onehit.simulate.beamline.instrument import InstrumentConfig
from onehit.simulate.beamline.materials import contrast_of_electrons, material
from onehit.simulate.beamline.reciprocal import detector_plane
from onehit.simulate.config import BadConfig, BeamConfig
from onehit.simulate.scattering.sample import OrientationConfig
from onehit.simulate.scattering.scene import scene_of
from onehit.simulate.sets.plan import input_files
from onehit.simulate.tables import kept_density_grid
from oracles import box_form_factor, ellipsoid_form_factor, ewald_q, orientation_matrix
from structures import atom_line, biomt, glycines, random_atoms, turns

OPEN = InstrumentConfig(shape=(32, 32), pixel_size_m=2.4e-3, beamstop_radius_m=0.0, gap_m=0.0)
TURN = (0.5, 0.1, -0.7, 0.5)
ELECTRON_RADIUS = 2.8179403e-15
ROW, COLUMN = np.indices((32, 32))


@pytest.fixture
def protein(tmp_path):
    text, *_ = random_atoms(300, np.random.default_rng(0), (30.0, 20.0, 50.0))
    path = tmp_path / "protein.pdb"
    path.write_text(text)
    return f"{path}:hydrogens=file"


def amplitude(atoms, q, energy):
    """In electrons; q: 1/m."""
    q = q * 1e-9
    total = np.zeros(q.shape[:-1], complex)
    for place, number, occupancy in zip(atoms.position, atoms.element, atoms.occupancy, strict=True):
        factor = scattering_factor(int(number), np.linalg.norm(q, axis=-1), energy)
        total += occupancy * factor * np.exp(-1j * q @ place)
    return total


def turned(q):
    """As a particle of orientation TURN sees it."""
    return q @ orientation_matrix(np.array(TURN) / np.linalg.norm(TURN))


def test_photons_are_those_of_the_differential_cross_section(protein):
    """Photons in a pulse times fluence, |r_e F|^2, solid angle and polarisation, by hand; the size is the structure's
    own, whatever the sample's diameter and stretch are."""
    config = SimulationConfig(
        instrument=OPEN,
        geometry=(protein,),
        stretch=0.3,
        good_fraction=1.0,
        noise=False,
        orientation=OrientationConfig("given", quaternions=(TURN,)),
        beam=BeamConfig(pulse_photons=(1e12, 1e12), offset=0.0),
    )
    made = SimulatedSource(config).patterns([0])
    instrument, atoms = OPEN.instrument(), load_atoms(*protein.rsplit(":", 1))
    plane = detector_plane(instrument, 1e-8)
    fluence = 1e12 * np.log(2) / (np.pi * (instrument.focus_m / 2) ** 2)
    wave = amplitude(atoms, turned(ewald_q(instrument, ROW, COLUMN)), instrument.photon_energy_ev)
    expected = fluence * ELECTRON_RADIUS**2 * np.abs(wave) ** 2 * np.asarray(plane.solid_angle * plane.polarisation)
    found = np.asarray(made.counts)[0]
    assert np.abs(found - expected).max() < 5e-3 * expected.max()
    scene = made.truth.scene
    assert float(scene.diameter_m[0, 0]) == pytest.approx(atoms.diameter_nm * 1e-9, rel=1e-6)
    assert np.asarray(scene.stretch)[0, 0].tolist() == [1, 1, 1]


def test_gradients_of_a_pattern_of_atoms_are_those_of_its_differences(protein):
    """With respect to how two particles are turned, where they are and how bright: a table of complex amplitudes."""
    source = SimulatedSource(SimulationConfig(instrument=OPEN, geometry=(protein,)))
    size_m = load_atoms(*protein.rsplit(":", 1)).diameter_nm * 1e-9
    weight = jnp.asarray(np.random.default_rng(0).random(source.shape), jnp.float32)

    def scene(x):
        turned = jnp.array([TURN, TURN[::-1]]).at[0, 1].add(x["turn"])
        turned = turned / jnp.linalg.norm(turned, axis=-1, keepdims=True)
        place = jnp.stack([jnp.zeros(3), jnp.array([50e-9, 20e-9, 30e-9]) * (1 + x["move"])])
        bodies = scene_of(jnp.full(2, size_m), turned, place)
        return bodies._replace(fluence=bodies.fluence * jnp.exp(x["fluence"]))

    zero = dict.fromkeys(("turn", "move", "fluence"), 0.0)
    pulse_photons = 1 / float(jax.jit(lambda: source.expected_photons(scene(zero), 1.0).mean())())
    loss = jax.jit(lambda x: jnp.mean(weight * source.expected_photons(scene(x), pulse_photons)))
    gradient, h = jax.jit(jax.grad(loss))(zero), 2e-3
    for name in zero:
        difference = (float(loss(zero | {name: h})) - float(loss(zero | {name: -h}))) / (2 * h)
        assert float(gradient[name]) == pytest.approx(difference, rel=0.03, abs=1e-3), name
        assert abs(difference) > 5e-3, name


def test_side_by_side_with_meshes_each_keeps_its_own_transform(protein, tmp_path):
    other = tmp_path / "other.pdb"
    other.write_text(biomt(turns(4)) + glycines(12))
    specs = (protein, "cube", f"{other}:hydrogens=add")
    config = SimulationConfig(instrument=OPEN, geometry=specs, diameter_nm=(20.0, 20.0))
    made = SimulatedSource(config)
    energy, q = made.instrument.photon_energy_ev, turned(ewald_q(made.instrument, ROW, COLUMN))
    assert made.amplitude == "table"
    amplitudes = jax.jit(made.amplitudes)
    for number in (0, 2):
        atoms = load_atoms(*specs[number].rsplit(":", 1))
        scene = scene_of(atoms.diameter_nm * 1e-9, [TURN], geometry=number)
        # The table's amplitudes are volumes: as many electrons in each.
        found = np.asarray(amplitudes(scene))[0] / atoms.volume_nm3 * atoms.forward(energy)
        assert np.abs(found - amplitude(atoms, q, energy)).max() < 1e-3 * atoms.electrons
    edge = 20 * (np.pi / 6) ** (1 / 3)
    cube = np.asarray(amplitudes(scene_of(20e-9, [TURN], geometry=1)))[0]
    assert np.abs(cube - box_form_factor([edge] * 3, q * 1e-9)).max() < 2e-3 * edge**3


def test_protein_of_atoms_is_as_dense_as_the_material(tmp_path):
    """One composition and mass density, two ways: they differ by how chemistry is rounded alone."""
    path = tmp_path / "g.pdb"
    path.write_text(glycines(50))
    atoms = load_atoms(str(path), "hydrogens=add,density=1.35")
    found = contrast_of_electrons(atoms.forward(1600.0), atoms.volume_nm3, 0.7749e-9)
    expected = material("C2H3NO:1.35", 1600.0).contrast
    assert found == pytest.approx(expected, rel=2e-3)


def test_tables_of_densities_come_from_the_cache_bit_for_bit(protein, tmp_path, monkeypatch):
    monkeypatch.setenv("ONEHIT_CACHE", str(tmp_path / "cache"))
    made = []
    monkeypatch.setattr(density_grids, "density_grid", lambda *a: made.append(a) or density_grid(*a))
    atoms = load_atoms(*protein.rsplit(":", 1))
    first, again = kept_density_grid([atoms], 1.0, 1600.0), kept_density_grid([atoms], 1.0, 1600.0)
    assert len(made) == 1
    for one, other in zip(first[:2], again[:2], strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
    kept_density_grid([atoms], 1.0, 1700.0)
    kept_density_grid([replace(atoms, occupancy=atoms.occupancy * 0.5)], 1.0, 1600.0)
    for hydration in (Hydration(0.3), Hydration(0.4), Hydration(0.4, 300.0), Hydration(0.4, 300.0)):
        kept_density_grid([replace(atoms, hydration=hydration)], 1.0, 1600.0)
    assert len(made) == 6


def test_tables_of_filled_particles_are_their_own_in_the_cache(protein, tmp_path, monkeypatch):
    monkeypatch.setenv("ONEHIT_CACHE", str(tmp_path / "cache"))
    made = []
    monkeypatch.setattr(density_grids, "density_grid", lambda *a: made.append(a) or density_grid(*a))
    faces = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) != (0, 0, 0)]
    atoms = load_atoms(*protein.rsplit(":", 1))
    cage = replace(atoms, position=np.array(faces) * 1.0, element=np.full(26, 79), occupancy=np.ones(26))
    for filling in (None, Filling(300.0, 1.3), Filling(400.0, 1.3), Filling(400.0, 1.2), Filling(300.0, 1.3)):
        table = kept_density_grid([replace(cage, filling=filling)], 1.0, 1600.0)
        if filling == Filling(300.0, 1.3):
            assert np.array_equal(table.coefficients, density_grid([replace(cage, filling=filling)], 1.0, 1600.0)[0])
    assert len(made) == 4


def test_tables_that_memory_does_not_hold_are_refused_before(protein, monkeypatch):
    monkeypatch.setattr(preparation, "_LARGEST_DENSITIES_BYTES", 1000)
    with pytest.raises(InputError, match=r"tables of .*protein.pdb would take 0\.\d GB.*name fewer or smaller ones"):
        SimulatedSource(SimulationConfig(instrument=OPEN, geometry=(protein,)))


def test_voxels_too_coarse_for_the_detector_are_said(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, 4, 4)))
    spec = f"{tmp_path / 'a.npy'}:voxel=6,contrast=0.4"
    with pytest.warns(InputWarning, match=r"voxels hold \|q\| up to 0\.52 / nm, and the detector sees up to 0\.7\d"):
        SimulatedSource(SimulationConfig(instrument=OPEN, geometry=(spec,)))


def test_files_of_atoms_are_among_the_inputs_of_a_set(protein):
    path = protein.rsplit(":", 1)[0]
    assert list(input_files(SimulationConfig(geometry=(protein, "torus:radius_ratio=3")))) == [path]
    with pytest.raises(InputError, match="cannot be read"):
        input_files(SimulationConfig(geometry=("missing.pdb",)))


def in_droplets(spec, **settings):
    """Expected photons of four particles in droplets, of the droplets alone, and the source; every droplet is round."""
    bad = BadConfig(multi_hit=0, wet_particle=1, droplet_stretch=0.0, shell=(1.1, 1.5))
    beam = BeamConfig(pulse_photons=(1e12, 1e12), offset=0.0)
    orientation = OrientationConfig("given", quaternions=(TURN,))
    config = SimulationConfig(
        instrument=OPEN, geometry=(spec,), good_fraction=0.0, noise=False, orientation=orientation, bad=bad, beam=beam
    )
    source = SimulatedSource(replace(config, **settings))
    made = jax.tree.map(np.asarray, source.patterns(np.arange(4)))
    alone = [
        source.expected_photons(jax.tree.map(lambda a, i=i: a[i, :1], made.truth.scene), 1e12, ellipsoids=True)
        for i in range(4)
    ]
    return made, np.asarray(alone), source


def waters(tmp_path, count=8):
    """A cube of water molecules, as close as in water."""
    step = 10 * (18.015 / 602.214) ** (1 / 3)  # angstroms, at 1 g/cm^3
    places = np.stack(np.meshgrid(*[np.arange(count) * step] * 3), -1).reshape(-1, 3)
    path = tmp_path / "water.pdb"
    path.write_text(
        "".join(atom_line(i + 1, "O", "O", at, "HOH", number=i + 1) for i, at in enumerate(places)) + "END\n"
    )
    return f"{path}:waters=file,hydrogens=add,density=1.0"


@pytest.mark.parametrize("added", ["", ",hydration_nm=0.3,hydration_contrast=334"])
def test_water_in_a_droplet_of_water_is_not_seen(tmp_path, added):
    made, alone, source = in_droplets(waters(tmp_path) + added)
    assert np.abs(made.counts - alone).max() < 0.02 * alone.max()
    # It is there: in a liquid of half the density it is seen, as it is in vacuum.
    thin, alone, _ = in_droplets(waters(tmp_path) + added, bad=replace(source.config.bad, droplet_material="H2O:0.5"))
    assert np.abs(thin.counts - alone).max() > 0.1 * alone.max()


def test_atoms_displace_the_droplet_where_they_are_and_not_where_their_electrons_are(tmp_path):
    """A light ball and a heavy one of the same size: the centre of the electrons is in the heavy one."""
    grid = np.stack(np.meshgrid(*[np.arange(-5, 6) * 2.0] * 3), -1).reshape(-1, 3)  # angstroms, too close for water
    ball = grid[np.linalg.norm(grid, axis=1) < 10.01]
    path, at = tmp_path / "two.pdb", np.array([0.0, 30.0, 0.0])
    path.write_text(
        "".join(
            atom_line(i + 1, element, element, place + by, "UNL", number=i + 1)
            for element, by in (("C", 0 * at), ("AU", at))
            for i, place in enumerate(ball)
        )
        + "END\n"
    )
    made, _, source = in_droplets(f"{path}:hydrogens=file,density=3.0")
    atoms, instrument = load_atoms(str(path), "hydrogens=file,density=3.0"), source.instrument
    energy, q = instrument.photon_energy_ev, turned(ewald_q(instrument, ROW, COLUMN))
    water = material("water", energy).contrast
    # Each ball displaces half of the volume, spread over it nearly as its atoms are.
    phases = np.exp(-1j * (q * 1e-9) @ atoms.position.T)
    displaced = atoms.volume_nm3 * phases.mean(-1)
    own = contrast_of_electrons(1.0, 1.0, instrument.wavelength_m) * amplitude(atoms, q, energy)
    plane = detector_plane(instrument, 1e-8)
    per_unit = np.asarray(plane.solid_angle * plane.polarisation) * (instrument.wavenumber**2 / (2 * np.pi)) ** 2
    fluence = 1e12 * np.log(2) / (np.pi * (instrument.focus_m / 2) ** 2)

    def photons(wave, scene):
        droplet = water * ellipsoid_form_factor(scene.diameter_m[0] * 1e9 / 2, q * 1e-9)
        return fluence * per_unit * np.abs(droplet + wave) ** 2 * 1e-54

    for number, frame in enumerate(made.counts):
        scene = jax.tree.map(lambda a, i=number: a[i], made.truth.scene)
        expected = photons(own - water * displaced, scene)
        as_electrons = photons(own * (1 - water * atoms.volume_nm3 / own_forward(atoms, instrument)), scene)
        assert np.abs(frame - expected).max() < 4e-3 * expected.max()
        assert np.abs(frame - as_electrons).max() > 1e-2 * expected.max()


def own_forward(atoms, instrument):
    return contrast_of_electrons(atoms.forward(instrument.photon_energy_ev), 1.0, instrument.wavelength_m)


def test_solids_beside_atoms_stay_as_they_are_in_a_droplet(protein):
    alone = in_droplets("cube", diameter_nm=(20.0, 20.0))[0]
    shares = (f"{protein}:0.5", "cube:0.5")
    beside = in_droplets("cube", geometry=shares, diameter_nm=(20.0, 20.0))[0]
    is_cube = beside.truth.scene.geometry[:, 1] == 1
    assert is_cube.any() and not is_cube.all()
    one, other = alone.counts[is_cube], beside.counts[is_cube]
    assert np.abs(one - other).max() < 2e-3 * one.max()
