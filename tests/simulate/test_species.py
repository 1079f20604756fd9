"""Shares of geometries in simulated patterns."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.simulate.program import sample_scene
from onehit.simulate.scattering.keys import named_keys

NAMES = ("cube", "random-polyhedron:seed=3", "tetrahedron")
QUICK = SimulationConfig(
    instrument=InstrumentConfig(shape=(16, 16), pixel_size_m=4.8e-3),
    geometry=("cube:1", "random-polyhedron:seed=3:6", "tetrahedron:3"),
    amplitude="exact",
    particles=(2, 2),
    good_fraction=0.0,
)
COUNT = 4096


@partial(jax.jit, static_argnums=2)
def _scenes(setup, key, variant):
    keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(COUNT))
    return jax.vmap(lambda one: sample_scene(setup, variant, named_keys(one), None, jnp.int32(0)))(keys)


def scenes(*geometry):
    source = SimulatedSource(replace(QUICK, geometry=geometry), seed=3)
    return jax.tree.map(np.asarray, _scenes(source._setup, source._key, source._variant))


@pytest.fixture(scope="module")
def drawn():
    return scenes(*QUICK.geometry)


def test_every_particle_is_one_of_the_species_as_often_as_its_share_says(drawn):
    assert drawn.present.all()
    for geometry in drawn.geometry.T:
        count, expected = np.bincount(geometry), COUNT * np.array([0.1, 0.6, 0.3])
        assert len(count) == 3 and (np.abs(count - expected) < 4 * np.sqrt(expected)).all()
    # Each particle is drawn by itself.
    assert np.mean(drawn.geometry[:, 0] == drawn.geometry[:, 1]) == pytest.approx(0.46, abs=0.03)


def test_another_share_is_another_number_and_the_particles_are_otherwise_the_same(drawn):
    before = _scenes._cache_size()
    other = scenes("cube:10", "random-polyhedron:seed=3:6", "tetrahedron:3")
    assert _scenes._cache_size() == before
    assert (other.geometry == 0).mean() == pytest.approx(10 / 19, abs=0.02)
    for name in ("diameter_m", "orientation"):
        np.testing.assert_array_equal(getattr(other, name), getattr(drawn, name))


def test_equal_shares_are_as_without_any():
    without, equal = scenes(*NAMES[::2]), scenes("cube:0.25", "tetrahedron:0.25")
    np.testing.assert_array_equal(without.geometry, equal.geometry)


def test_of_one_species_are_all_particles_of_a_pattern_and_the_first_ones_stay_the_same(drawn):
    source = SimulatedSource(replace(QUICK, one_species=True), seed=3)
    one = jax.tree.map(np.asarray, _scenes(source._setup, source._key, source._variant))
    np.testing.assert_array_equal(one.geometry[:, 0], drawn.geometry[:, 0])
    assert (one.geometry == one.geometry[:, :1]).all()
    for name in ("diameter_m", "orientation"):
        np.testing.assert_array_equal(getattr(one, name), getattr(drawn, name))


def test_a_source_names_its_species_with_and_without_shares():
    source = SimulatedSource(QUICK)
    assert source.geometries == NAMES
    assert source.name == "cube (10 %) + random-polyhedron:seed=3 (60 %) + tetrahedron (30 %)"


def test_impossible_shares_are_refused_by_the_configuration():
    with pytest.raises(InputError, match="geometry torus has no share, but others have"):
        replace(QUICK, geometry=("cube:0.3", "torus")).check()
