"""Bead models: their transform against other ways to it, and in the simulation beside meshes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries.bead_model import BeadModel
from onehit.geometries.beads import bead_form_factor, stack_beads
from onehit.geometries.errors import InputError
from onehit.geometries.form_factor import form_factor, from_mesh
from onehit.geometries.shapes import geometry
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.simulate.scattering.scene import scene_of
from scipy.special import spherical_jn

Q = np.random.default_rng(0).normal(size=(200, 3)) * 6

SMALL = InstrumentConfig(shape=(32, 32), pixel_size_m=2.4e-3)


def transform(model: BeadModel, q=Q):
    beads = stack_beads([model])
    return np.asarray(bead_form_factor(type(beads)(*(a[0] for a in beads)), jnp.asarray(q, jnp.float32)))


def test_form_factor_is_the_sum_of_balls_in_double_precision():
    rng = np.random.default_rng(1)
    model = BeadModel(rng.normal(size=(5, 3)), rng.uniform(0.2, 1, 5), rng.uniform(-0.5, 1, 5), "any").normalised()
    x = np.linalg.norm(Q, axis=1)[:, None] * model.radius
    expected = (model.weight * 3 * spherical_jn(1, x) / x * np.exp(-1j * Q @ model.centre.T)).sum(1)
    np.testing.assert_allclose(transform(model), expected, atol=2e-6)


def test_a_ball_with_a_cavity_is_the_shell_that_is_a_mesh():
    """An independent oracle: the edge sums of 640 triangles, which are within 2 % of a sphere."""
    shell = geometry("shell:ratio=0.6")
    ours = BeadModel(np.zeros((2, 3)), np.array([1, 0.6]), np.array([1.0, -1.0]), "shell").normalised()
    theirs = np.asarray(form_factor(from_mesh(shell), jnp.asarray(Q, jnp.float32)))
    assert ours.circumradius == pytest.approx(shell.circumradius, rel=0.02)
    assert np.linalg.norm(transform(ours) - theirs) < 0.05 * np.linalg.norm(theirs)


def test_normalised_is_centred_and_of_unit_size():
    model = BeadModel(np.array([[1.0, 2, 3], [4, 4, 4]]), np.array([2.0, 1]), np.array([1.0, 2]), "two").normalised()
    assert model.weight.sum() == pytest.approx(np.pi / 6)
    np.testing.assert_allclose(model.weight @ model.centre, 0, atol=1e-12)
    apart = np.linalg.norm(model.centre[0] - model.centre[1])
    assert model.longest_extent == pytest.approx(apart + model.radius.sum())


@pytest.mark.parametrize("radius, density", [([0.0], [1.0]), ([1.0], [-1.0]), ([], [])])
def test_a_model_of_nothing_is_refused(radius, density):
    with pytest.raises(InputError, match="balls of positive radius"):
        BeadModel(np.zeros((len(radius), 3)), np.array(radius), np.array(density), "nothing")


def test_meshes_and_bead_models_keep_their_transforms_side_by_side():
    """Both sorts, mixed, give what each gives alone: the numbers of the geometries are not confused."""
    specs = ("cube", "bent:seed=3", "cup:seed=1")
    size, turn = 70e-9, [[0.5, 0.5, -0.5, 0.5]]
    small = SimulationConfig(instrument=SMALL)
    mixed = jax.jit(SimulatedSource(replace(small, geometry=specs)).expected_photons)
    for number, spec in enumerate(specs):
        alone = jax.jit(SimulatedSource(replace(small, geometry=(spec,))).expected_photons)
        expected = np.asarray(alone(scene_of(size, turn), 1e12))
        found = np.asarray(mixed(scene_of(size, turn, geometry=number), 1e12))
        assert np.abs(found - expected).max() < 2e-3 * expected.max(), spec


def test_bead_models_alone_need_no_table():
    source = SimulatedSource(SimulationConfig(geometry=("bent",), instrument=SMALL, good_fraction=1.0))
    assert source.table is None and source.amplitude == "exact"
    assert np.asarray(source.patterns(range(4)).counts).sum((1, 2)).min() > 1e3
