"""The simulation as a model to fit: gradients of an expected pattern, and a fit of a noisy one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.simulate import SimulatedSource, SimulationConfig
from onehit.simulate.scattering.effects.background import FlatBackground, Halo
from onehit.simulate.scattering.effects.envelope import Envelope
from onehit.simulate.scattering.effects.fluctuations import Fluctuations
from onehit.simulate.scattering.keys import named_keys
from onehit.simulate.scattering.poisson import poisson
from onehit.simulate.scattering.scene import scene_of
from scipy.optimize import minimize

TURN = jnp.array([[0.5, 0.5, -0.5, 0.5]])


@pytest.fixture(scope="module")
def source():
    return SimulatedSource(SimulationConfig(geometry=("cube",), diameter_nm=(60.0, 80.0)))


def test_diameter_and_pulse_of_a_noisy_sphere_are_found_to_one_per_cent(source):
    contrast = source.contrast

    def expected(diameter_nm, pulse_photons):
        scene = scene_of(diameter_nm * 1e-9, TURN)._replace(contrast=contrast[None])
        return source.expected_photons(scene, pulse_photons, ellipsoids=True)

    good = jnp.asarray(~source.bad_pixel)
    counts = jax.jit(lambda: poisson(jax.random.key(1), expected(68.0, 3e10) * good))()
    assert 1e4 < counts.sum() < 1e6

    def loss(parameters):
        model = expected(60 * jnp.exp(parameters[0]), 1e10 * jnp.exp(parameters[1]))
        return jnp.sum(jnp.where(good, model - counts * jnp.log(model + 1e-9), 0.0)) / counts.sum()

    value_and_gradient = jax.jit(jax.value_and_grad(loss))

    def objective(x):
        value, gradient = value_and_gradient(jnp.asarray(x, jnp.float32))
        return float(value), np.asarray(gradient, float)

    found = minimize(objective, np.zeros(2), jac=True, method="BFGS").x
    assert 60 * np.exp(found[0]) == pytest.approx(68.0, rel=0.01)
    assert 1e10 * np.exp(found[1]) == pytest.approx(3e10, rel=0.01)


def test_gradients_of_an_expected_pattern_are_finite_and_right(source):
    """With respect to everything physical at once, against central differences in float32."""
    detector, keys = source._setup.detector, named_keys(jax.random.key(1))
    weight = jnp.asarray(np.random.default_rng(0).random(source.shape), jnp.float32) * jnp.asarray(~source.bad_pixel)

    def scene(x):
        turns = jnp.concatenate([TURN, TURN[:, ::-1]]).at[0, 1].add(x["turn"])
        turns = turns / jnp.linalg.norm(turns, axis=-1, keepdims=True)
        position = jnp.stack([jnp.zeros(3), jnp.array([150e-9, 0.0, 80e-9]) * (1 + x["move"])])
        bodies = scene_of(jnp.array([70e-9, 65e-9]) * (1 + x["size"]), turns, position)
        stretch = jnp.exp(jnp.array([1.0, -0.5, -0.5]) * x["stretch"])
        return bodies._replace(stretch=bodies.stretch * stretch, fluence=bodies.fluence * jnp.exp(x["fluence"]))

    names = ("turn", "move", "size", "stretch", "fluence", "strength", "length", "envelope", "level")
    zero = dict.fromkeys(names, 0.0)
    pulse_photons = 1e5 / float(jax.jit(lambda: source.expected_photons(scene(zero), 1.0).sum())())

    @jax.jit
    def loss(x):
        image = source.expected_photons(scene(x), pulse_photons)
        fluctuations = Fluctuations((0.3 + x["strength"],) * 2, (0.2 * (1 + x["length"]),) * 2)
        for effect in (fluctuations, Envelope((0.2 + x["envelope"],) * 2)):
            image = image * effect.factor(keys, detector)
        for effect in (FlatBackground((1 + x["level"],) * 2, (0.3, 0.3)), Halo((5 + x["level"],) * 2)):
            image = image + effect.photons(keys, detector)
        return jnp.mean(weight * jnp.sqrt(image))

    gradient = jax.jit(jax.grad(loss))(zero)
    h = 2e-3
    for name in names:
        difference = (float(loss(zero | {name: h})) - float(loss(zero | {name: -h}))) / (2 * h)
        assert float(gradient[name]) == pytest.approx(difference, rel=0.03, abs=3e-4), name
        assert abs(difference) > 1e-3, name
