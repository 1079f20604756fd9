"""Simulated patterns as their users see them: by index, reproducible, with their truth."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries import InputError
from onehit.simulate import program
from onehit.simulate.beamline.instrument import InstrumentConfig
from onehit.simulate.config import (
    BackgroundConfig,
    BadConfig,
    BeamConfig,
    OrientationConfig,
    ReadoutConfig,
    SimulationConfig,
)
from onehit.simulate.scattering.hits.debris import Debris
from onehit.simulate.scattering.keys import named_keys
from onehit.simulate.scattering.scene import scene_of
from onehit.simulate.source import SimulatedSource
from oracles import relative_l2
from scipy import stats

INSTRUMENT = InstrumentConfig(shape=(32, 32), pixel_size_m=2.4e-3, beamstop_radius_m=4e-3)
CONFIG = SimulationConfig(
    instrument=INSTRUMENT,
    geometry=("icosahedron", "cube"),
    particles=(2, 3),
    photons=(1e3, 1e5),
    background=BackgroundConfig(uniform=(0.0, 0.5)),
    fluctuation_strength=(0.0, 0.3),
    envelope_strength=(0.0, 0.2),
    readout=ReadoutConfig(dead_pixels=0.05),
)
BATCH = 24


@pytest.fixture(scope="module")
def noisy():
    return SimulatedSource(CONFIG, seed=1)


@pytest.fixture(scope="module")
def quiet():
    return SimulatedSource(replace(CONFIG, noise=False), seed=1)


@pytest.fixture(scope="module")
def batch(noisy):
    return jax.tree.map(np.asarray, noisy.patterns(np.arange(BATCH)))


@pytest.fixture(scope="module")
def expectation(quiet):
    return jax.tree.map(np.asarray, quiet.patterns(np.arange(BATCH)))


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, jax.tree.map(np.asarray, other))


def test_pattern_i_does_not_depend_on_the_batch(noisy, batch):
    order = np.random.default_rng(0).permutation(BATCH)
    assert_same(jax.tree.map(lambda a: a[order], batch), noisy.patterns(order))
    for repeated in ([5, 5, 0, 23, 7], [17] * 5, np.resize(order, 70)):  # the last takes another program
        assert_same(jax.tree.map(lambda a, rows=repeated: a[rows], batch), noisy.patterns(repeated))


def test_batches_of_one_kind_only(noisy, batch):
    good = np.flatnonzero(batch.label == 1)[:5]
    bad = np.flatnonzero(batch.label == 0)[:5]
    for rows in (good, bad):
        assert_same(jax.tree.map(lambda a, rows=rows: a[rows], batch), noisy.patterns(rows))


def test_another_source_of_the_same_configuration_gives_the_same_patterns(batch):
    assert_same(batch, SimulatedSource(CONFIG, seed=1).patterns(np.arange(BATCH)))


def test_seeds_and_indices_give_different_patterns(noisy, batch):
    frames = [noisy.reseeded(2).patterns(np.arange(BATCH)).counts, noisy.patterns(np.arange(BATCH) + BATCH).counts]
    frames = np.concatenate([batch.counts, *map(np.asarray, frames)]).reshape(3 * BATCH, -1)
    assert len(np.unique(frames, axis=0)) == 3 * BATCH
    assert_same(batch, noisy.reseeded(2).reseeded(1).patterns(np.arange(BATCH)))


def test_seeds_that_would_be_cut_to_another_are_refused(noisy):
    first, last = (noisy.reseeded(seed).patterns(np.arange(BATCH)).counts for seed in (0, 2**32 - 1))
    assert (first != last).any()
    for seed in (-1, 2**32, 2**63):
        for make in (noisy.reseeded, lambda seed: SimulatedSource(CONFIG, seed)):
            with pytest.raises(InputError, match=f"^seed is {seed}; it must lie in 0 to 2"):
                make(seed)


def test_given_orientations_are_one_array_and_taken_in_turn():
    """Thousands of them as parameters of their own would take longer to pass than patterns to compute."""
    given = np.random.default_rng(0).normal(size=(5, 4))
    given /= np.linalg.norm(given, axis=1, keepdims=True) * np.where(given[:, :1] < 0, -1, 1)
    orientation = OrientationConfig("given", quaternions=tuple(map(tuple, given.tolist())))
    instrument = InstrumentConfig(shape=(16, 16), pixel_size_m=4.8e-3)
    small = SimulationConfig(instrument=instrument, geometry=("cube",), amplitude="exact", noise=False)
    source = SimulatedSource(replace(small, good_fraction=1.0, orientation=orientation))
    np.testing.assert_allclose(
        source.patterns([3, 4, 5, 11]).truth.scene.orientation[:, 0], given[[3, 4, 0, 1]], atol=1e-6
    )
    none = replace(CONFIG, orientation=OrientationConfig("given"))
    several = replace(CONFIG, orientation=orientation)
    assert len(jax.tree.leaves(several)) == len(jax.tree.leaves(none))


def test_a_droplet_is_around_its_particle():
    with pytest.raises(InputError, match=r"bad.shell begins at 0.3; the droplet .*: give --bad.shell 1 or more"):
        replace(CONFIG, bad=BadConfig(shell=(0.1 * 3, 2.0))).check()
    replace(CONFIG, bad=BadConfig(shell=(1.0, 1.0))).check()


def test_shapes_and_types(noisy, batch, expectation):
    assert batch.counts.shape == (BATCH, *noisy.shape) == (BATCH, 32, 32)
    assert batch.counts.dtype == np.int32 and expectation.counts.dtype == np.float32
    assert batch.counts.min() == 0
    assert noisy.bad_pixel.shape == (32, 32) and noisy.bad_pixel.dtype == bool
    assert noisy.name == "icosahedron + cube"


def test_half_are_good_in_any_window(noisy):
    label = np.concatenate([noisy.patterns(np.arange(BATCH) + start).label for start in range(0, 20 * BATCH, BATCH)])
    sums = np.append(0, np.cumsum(label))
    for window in (4, 10, 64, 300):
        assert (np.abs(sums[window:] - sums[:-window] - window / 2) <= 2).all()


def test_truth_is_consistent(batch, expectation):
    truth = batch.truth
    np.testing.assert_array_equal(truth.label, batch.label)
    np.testing.assert_array_equal(truth.particles == 1, batch.label == 1)
    np.testing.assert_array_equal(truth.particles, truth.scene.present.sum(1))
    assert set(truth.particles[batch.label == 0]) <= {2, 3}
    assert (truth.scene.position_m[batch.label == 1, 0] == 0).all()
    low, high = np.array(CONFIG.diameter_nm) * 1e-9
    assert ((truth.scene.diameter_m >= low * 0.999) & (truth.scene.diameter_m <= high * 1.001)).all()
    assert set(truth.scene.geometry.ravel()) == {0, 1}
    np.testing.assert_array_equal(truth.kind == 0, batch.label == 1)
    assert_same(truth, expectation.truth)  # noise is the last thing that happens


def test_photons_on_good_pixels_are_as_many_as_the_truth_says(noisy, batch, expectation):
    good = ~noisy.bad_pixel
    total = expectation.counts.sum((1, 2), dtype=float) - batch.truth.background
    np.testing.assert_allclose(total, batch.truth.photons, rtol=1e-4)
    assert ((batch.truth.photons > 999) & (batch.truth.photons < 1.001e5)).all()
    assert ((batch.truth.background >= 0) & (batch.truth.background <= 0.5 * good.sum())).all()
    assert np.ptp(np.log(batch.truth.photons)) > 2


def test_bad_pixels_are_dark_and_the_beamstop_is_bad(noisy, batch, expectation):
    assert not batch.counts[:, noisy.bad_pixel].any() and not expectation.counts[:, noisy.bad_pixel].any()
    y, x = np.ogrid[:32, :32]
    shadow = np.hypot(y - 15.5, x - 15.5) * 2.4e-3 < 4e-3
    assert noisy.bad_pixel[shadow].all()
    assert 0.01 < noisy.bad_pixel[~shadow].mean() < 0.25
    assert expectation.counts[:, ~noisy.bad_pixel].min() > 0


def test_counts_are_poisson_about_the_expectation(batch, expectation):
    rate = expectation.counts.astype(float)
    bright = rate > 0.1
    assert bright.sum() > 5000
    chi2 = ((batch.counts - rate) ** 2 / np.where(bright, rate, 1))[bright]
    # Each term has mean 1 and variance 2 + 1 / rate.
    assert abs(chi2.sum() - bright.sum()) < 4 * np.sqrt((2 + 1 / rate[bright]).sum())
    assert abs(batch.counts.sum() - rate.sum()) < 4 * np.sqrt(rate.sum())
    dim = (rate > 0) & ~bright
    assert stats.poisson(rate[dim].sum()).cdf(batch.counts[dim].sum()) == pytest.approx(0.5, abs=0.4999)


def test_exact_sums_and_the_table_give_the_same_patterns(expectation):
    exact = SimulatedSource(replace(CONFIG, noise=False, amplitude="exact"), seed=1)
    assert exact.amplitude == "exact"
    frames = np.asarray(exact.patterns(np.arange(8)).counts)
    for frame, tabulated in zip(frames, expectation.counts, strict=False):
        assert relative_l2(tabulated, frame) < 0.005


def test_the_table_reaches_as_far_as_stretched_debris(monkeypatch):
    monkeypatch.setattr(Debris, "meshes", ("random-polyhedron:seed=3,corners=20",))  # one of the four
    bad = BadConfig(multi_hit=0, debris=1, debris_diameter_nm=(119.0, 120.0), debris_stretch=0.4)
    config = SimulationConfig(instrument=INSTRUMENT, good_fraction=0, bad=bad, noise=False)
    table, exact = (SimulatedSource(replace(config, amplitude=path)) for path in ("table", "exact"))

    @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # whole patterns take longer to compile
    @jax.vmap
    def sampled(key):
        return program.sample_scene(table._setup, table._variant, named_keys(key), None, jnp.int32(0))

    scene = sampled(jax.random.split(jax.random.key(0), 8))
    waves = [np.asarray(jax.jit(jax.vmap(source.amplitudes))(scene)) for source in (table, exact)]
    assert waves[0].shape == (8, 1, 32, 32)
    assert relative_l2(*(np.abs(wave[:, :, :8, :8]) for wave in waves)) < 0.003


def test_changing_a_number_does_not_compile_anew(noisy):
    noisy.patterns(np.arange(BATCH))
    before = program.compiled._cache_size()
    changed = replace(
        CONFIG,
        photons=(2e3, 3e3),
        good_fraction=0.9,
        diameter_nm=(60.0, 77.0),  # the largest decides how big the table is
        separation=(1.2, 3.0),
        brightness_spread=0.1,
        background=BackgroundConfig(uniform=(0.1, 0.2)),
        fluctuation_strength=(0.1, 0.2),
        fluctuation_length=(0.2, 0.4),
        envelope_strength=(0.1, 0.3),
    )
    other = SimulatedSource(changed, seed=9).patterns(np.arange(BATCH))
    assert program.compiled._cache_size() == before
    photons = np.asarray(other.truth.photons)
    assert ((photons > 1999) & (photons < 3001)).all() and np.mean(other.label) > 0.8


def test_exact_sums_of_many_edges_fit_in_memory():
    config = replace(CONFIG, geometry=("sphere:subdivisions=3",), amplitude="exact", good_fraction=0, particles=(5, 5))
    source = SimulatedSource(config)
    setup, key, indices, variant = source._setup, source._key, np.zeros(8, np.uint32), source._variant
    size = program._chunk_size(setup, variant.slots)
    memory = program.compiled.lower(setup, key, indices, 8, size, variant).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 300e6  # four patterns at once: 700 MB


def test_jax_does_not_miscompile_small_matrix_products():
    """jax-ml/jax#39103: under jit and vmap, wrong by up to 3x for some detector sizes in JAX 0.10.2 on the CPU."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(3, 3)).astype(np.float32)
    for size in range(184, 209):
        q = rng.normal(size=(size * size, 3)).astype(np.float32)
        value = jax.jit(jax.vmap(lambda q: ((jnp.asarray(matrix) @ q) ** 2).sum()))(q)
        np.testing.assert_allclose(value, ((q @ matrix.T) ** 2).sum(1), rtol=1e-4)


def test_bad_kinds_come_in_their_shares_and_show_what_they_say():
    bad = BadConfig(multi_hit=2, droplet=1, wet_particle=1, debris=1, aggregate=1, empty=2)
    config = replace(
        CONFIG, particles=(2, 2), bad=bad, good_fraction=0.2, background=BackgroundConfig(uniform=(0.1, 0.1))
    )
    source = SimulatedSource(config, seed=3)
    patterns = jax.tree.map(np.asarray, source.patterns(np.arange(200)))
    truth = patterns.truth
    share = np.bincount(truth.kind, minlength=7) / 200
    np.testing.assert_allclose(share, 0.8 * np.array([0.25, 2 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 8, 2 / 8]), atol=0.016)
    np.testing.assert_array_equal(truth.label, truth.kind == 0)
    empty = truth.kind == 6
    assert not truth.particles[empty].any() and not truth.photons[empty].any()
    good = ~source.bad_pixel
    assert patterns.counts[empty].sum() == pytest.approx(0.1 * good.sum() * empty.sum(), rel=0.1)
    assert (truth.photons[~empty] > 999).all()
    others = source.patterns(np.append([3, 150], np.arange(200, 398)))  # whatever else is in the batch
    assert_same(jax.tree.map(lambda a: a[[3, 150]], patterns), jax.tree.map(lambda a: a[:2], others))


def test_a_pulse_scatters_what_the_born_approximation_says():
    """Parseval: a weak phase object of contrast c diverts 2 pi R^4 k^2 |c|^2 of the fluence (a ball of radius R)."""
    instrument = InstrumentConfig(beamstop_radius_m=0.0, gap_m=0.0)
    source = SimulatedSource(SimulationConfig(instrument=instrument, geometry=("cube",)))
    scene = scene_of(70e-9, jnp.array([[1.0, 0, 0, 0]]))._replace(contrast=source.contrast[None])
    scattered = float(jax.jit(lambda: source.expected_photons(scene, 1e12, ellipsoids=True).sum())())
    beam = source.instrument
    peak_fluence = 1e12 * 4 * np.log(2) / (np.pi * beam.focus_m**2)
    cross_section = 2 * np.pi * 35e-9**4 * beam.wavenumber**2 * abs(complex(source.contrast)) ** 2
    assert scattered == pytest.approx(peak_fluence * cross_section, rel=0.03)


def test_photon_energy_and_pointing_jitter_move_what_they_should():
    instrument = InstrumentConfig(beamstop_radius_m=0.0, gap_m=0.0)
    beam = BeamConfig(photon_energy_jitter=0.02, pointing_jitter_px=5.0)
    config = SimulationConfig(
        instrument=instrument, geometry=("sphere:subdivisions=1",), good_fraction=1.0, noise=False, beam=beam
    )
    patterns = jax.tree.map(np.asarray, SimulatedSource(config, seed=2).patterns(np.arange(64)))
    energy = patterns.truth.photon_energy_ev / config.instrument.instrument().photon_energy_ev
    assert energy.std() == pytest.approx(0.02, rel=0.25) and abs(energy.mean() - 1) < 0.01
    y, x = np.mgrid[:128, :128] - 63.5
    total = patterns.counts.sum((1, 2))
    centre = np.stack([(patterns.counts * axis).sum((1, 2)) / total for axis in (y, x)])
    assert centre.std() == pytest.approx(5.0, rel=0.2)


def test_other_numbers_share_tables_and_programs(noisy):
    changed = replace(
        CONFIG,
        photons=(2e3, 3e4),
        good_fraction=0.8,
        background=BackgroundConfig(uniform=(0.1, 0.2)),
        fluctuation_strength=(0.1, 0.1),
    )
    other = noisy.with_config(changed)
    compilations = program.compiled._cache_size()
    found, wanted = (source.patterns(np.arange(BATCH)) for source in (other, SimulatedSource(changed, seed=1)))
    assert program.compiled._cache_size() == compilations
    assert_same(found, wanted)
    assert noisy.config == CONFIG  # as it was


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (dict(geometry=("icosahedron",)), "geometry"),
        (dict(diameter_nm=(63.0, 90.0)), "diameter_nm"),
        (dict(particles=(2, 9)), "fewest or most bodies"),
        (dict(bad=BadConfig(droplet=1.0)), "droplet"),
        (dict(background=BackgroundConfig(halo=(0.0, 1.0))), "Halo"),
        (dict(readout=ReadoutConfig(dead_pixels=0.1)), "readout.dead_pixels"),
        (dict(beam=BeamConfig(pointing_jitter_px=1.0)), "directions of the beam"),
        (dict(beam=BeamConfig(bandwidth=0.01, spectral_spikes=4)), "photon energies"),
        (dict(photons="log-normal:median=1e4,sigma=1"), "law"),
    ],
)
def test_other_tables_or_programs_are_refused(noisy, changed, named):
    with pytest.raises(InputError, match=f"other numbers are not enough.*{named}.*source of its own"):
        noisy.with_config(replace(CONFIG, **changed))
