import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.simulate.config import SimulationConfig
from onehit.simulate.hit import body_to_laboratory, sample_scene
from scipy import stats

N, SLOTS = 4000, 5
CIRCUMRADIUS = jnp.array([0.591, 0.888])
FOCUS_M = 1.5e-6
WIDE = SimulationConfig(diameter_nm=(38.0, 120.0), stretch=0.2, separation=(1.0, 4.0))
CLOSE = SimulationConfig(diameter_nm=(38.0, 120.0), stretch=0.2, separation=(0.2, 2.0))


def scenes(config, single, count=N):
    def one(key):
        return sample_scene(key, jnp.bool_(single), config, CIRCUMRADIUS, FOCUS_M, SLOTS)

    scene = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(11), count))
    return jax.tree.map(lambda a: np.asarray(a, float) if a.dtype == jnp.float32 else np.asarray(a), scene)


@pytest.fixture(scope="module", params=[WIDE, CLOSE], ids=["apart", "overlapping along the beam"])
def multi(request):
    scene = scenes(request.param, single=False)
    radius = scene.diameter_m * np.asarray(CIRCUMRADIUS)[scene.geometry] * scene.stretch.max(-1)
    return request.param, scene, radius


def pairs(scene):
    i, j = np.triu_indices(SLOTS, 1)
    return i, j, scene.present[:, i] & scene.present[:, j]


def test_bounding_spheres_never_overlap(multi):
    _, scene, radius = multi
    i, j, both = pairs(scene)
    distance = np.linalg.norm(scene.position_m[:, i] - scene.position_m[:, j], axis=-1)
    assert ((distance / (radius[:, i] + radius[:, j]))[both] > 1 - 1e-5).all()


def test_particles_stay_apart_across_the_beam_as_far_as_asked(multi):
    config, scene, radius = multi
    i, j, both = pairs(scene)
    across = np.linalg.norm((scene.position_m[:, i] - scene.position_m[:, j])[..., :2], axis=-1)
    ratio = (across / (radius[:, i] + radius[:, j]))[both]
    assert (ratio > min(config.separation[0], 1) - 1e-5).all()


def test_the_second_particle_is_log_uniformly_far(multi):
    config, scene, radius = multi
    across = np.linalg.norm(scene.position_m[:, 1, :2], axis=-1)
    touching = radius[:, 0] + radius[:, 1]
    near, far = config.separation[0] * touching, np.minimum(config.separation[1] * touching, FOCUS_M)
    place = np.log(across / near) / np.log(far / near)
    if config is CLOSE:  # some of those below contact move out: then they touch
        gap = np.linalg.norm(scene.position_m[:, 1], axis=-1) / touching
        moved = np.abs(gap - 1) < 1e-4
        assert 0.05 < moved.mean() < 0.7  # log 5 / log 10 are drawn below contact
        place = place[across > touching * (1 + 1e-4)]
        start = np.log(1 / config.separation[0]) / np.log(config.separation[1] / config.separation[0])
        place = (place - start) / (1 - start)
    assert stats.kstest(place, "uniform").pvalue > 1e-3
    assert place.min() < 0.01 and place.max() > 0.99
    angle = np.arctan2(scene.position_m[:, 1, 1], scene.position_m[:, 1, 0])
    assert stats.kstest(angle, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


def test_the_number_of_particles_is_uniform(multi):
    _, scene, _ = multi
    number = scene.present.sum(1)
    assert set(number) == {2, 3, 4, 5}
    assert stats.chisquare(np.bincount(number)[2:]).pvalue > 1e-3
    assert (np.diff(scene.present.astype(int), axis=1) <= 0).all()  # the first slots are the filled ones


def test_sizes_geometries_and_brightness(multi):
    config, scene, _ = multi
    low, high = np.array(config.diameter_nm) * 1e-9
    assert stats.kstest(scene.diameter_m.ravel(), stats.uniform(low, high - low).cdf).pvalue > 1e-3
    assert stats.chisquare(np.bincount(scene.geometry.ravel())).pvalue > 1e-3
    assert (scene.fluence[:, 0] == 1).all()
    spread = np.log(scene.fluence[:, 1:]).ravel()
    assert stats.kstest(spread, stats.norm(0, config.brightness_spread).cdf).pvalue > 1e-3


def test_stretching_keeps_the_volume(multi):
    _, scene, _ = multi
    np.testing.assert_allclose(scene.stretch.prod(-1), 1, rtol=1e-5)
    # The mean log is subtracted: the spread of what is left is sqrt(2/3) of the stated one.
    assert np.log(scene.stretch).std() == pytest.approx(0.2 * np.sqrt(2 / 3), rel=0.05)
    matrix = np.asarray(jax.vmap(body_to_laboratory)(jax.tree.map(jnp.asarray, scene)), float)
    np.testing.assert_allclose(np.linalg.det(matrix * 1e9), (scene.diameter_m * 1e9) ** 3, rtol=1e-4)
    lengths = np.linalg.norm(matrix, axis=-2)  # columns: the body's axes
    np.testing.assert_allclose(lengths, scene.stretch * scene.diameter_m[..., None], rtol=1e-4)


def test_a_single_hit_is_one_particle_at_the_origin():
    scene = scenes(WIDE, single=True, count=500)
    assert (scene.present == (np.arange(SLOTS) == 0)).all()
    assert (scene.position_m[:, 0] == 0).all() and (scene.fluence[:, 0] == 1).all()


def test_touching_particles_larger_than_the_focus_still_do_not_overlap():
    huge = SimulationConfig(diameter_nm=(1500.0, 2000.0))
    scene = scenes(huge, single=False, count=500)
    np.testing.assert_array_equal(scene.stretch, 1)
    radius = scene.diameter_m * np.asarray(CIRCUMRADIUS)[scene.geometry]
    i, j, both = pairs(scene)
    distance = np.linalg.norm(scene.position_m[:, i] - scene.position_m[:, j], axis=-1)
    assert ((distance / (radius[:, i] + radius[:, j]))[both] > 1 - 1e-5).all()
