from dataclasses import fields, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.simulate.config import BadConfig, BeamConfig, OrientationConfig, SimulationConfig
from onehit.simulate.program import sample_scene
from onehit.simulate.program_inputs import Setup, Variant, register
from onehit.simulate.scattering.diffraction import body_to_laboratory
from onehit.simulate.scattering.keys import named_keys
from onehit.simulate.scattering.orientation import rotation_matrix
from onehit.simulate.scattering.sample import SampleConfig
from onehit.simulate.scattering.scene import ELLIPSOID, LARGEST_STRETCH, beam_profile
from scipy import stats

N, SLOTS = 4000, 5
SINGLE = 0
MULTI_HIT, DROPLET, WET_PARTICLE, DEBRIS, AGGREGATE, EMPTY = range(1, 7)
CIRCUMRADIUS = jnp.array([0.591, 0.888, 0.7])  # two geometries of the sample, one of debris
FOCUS_M = 1.5e-6
WAVENUMBER, PIXEL_ANGLE = 8e9, 1e-3  # two pixels hold the fringe of particles 393 nm apart
CONTRAST = {name: jnp.complex64(n) for n, name in enumerate(("material", "droplet_material", "debris_material"), 1)}
BASE = SimulationConfig(geometry=("icosahedron", "torus"), beam=BeamConfig(offset=0.0), particles=(2, 5))
WIDE = replace(BASE, diameter_nm=(38.0, 120.0), stretch=0.2, separation=(1.0, 4.0))
CLOSE = replace(WIDE, separation=(0.2, 2.0))
OFF_CENTRE = replace(WIDE, beam=BeamConfig(offset=0.5))


# Of what runs so shortly the compilation takes the time.
@partial(jax.jit, static_argnums=4, compiler_options={"xla_backend_optimization_level": 0})
def _sample(setup, number, given, keys, variant):
    return jax.vmap(lambda key: sample_scene(setup, variant, named_keys(key), given, number))(keys)


def scenes(config, number, among=range(7)):
    """N scenes of a kind, in float64. among: those that share a program."""
    kinds = tuple(config.kinds()[n] for n in among)
    for kind in kinds:
        register(type(kind))
    given = np.array((config.orientation.quaternions or [(1.0, 0.0, 0.0, 0.0)])[0], np.float32)
    sample = SampleConfig(**{f.name: getattr(config, f.name) for f in fields(SampleConfig)})
    setup = Setup(*[None] * len(Setup._fields))._replace(
        sample=replace(sample, orientation=replace(config.orientation, quaternions=())),
        beam=config.beam,
        kinds=kinds,
        contrast=CONTRAST,
        circumradius=CIRCUMRADIUS,
        focus_m=FOCUS_M,
        wavenumber=WAVENUMBER,
        pixel_angle=PIXEL_ANGLE,
    )
    variant = Variant(tuple(map(type, kinds)), SLOTS, tuple(among), 2, len(kinds) * (range(2, 3),), (), (), True)
    scene = _sample(setup, np.int32(among.index(number)), given, jax.random.split(jax.random.key(11), N), variant)
    return jax.tree.map(lambda a: np.asarray(a, float) if a.dtype == jnp.float32 else np.asarray(a), scene)


def circumscribed(scene):
    factor = np.where(scene.geometry == ELLIPSOID, 0.5, np.asarray(CIRCUMRADIUS, float)[scene.geometry])
    return scene.diameter_m * factor * scene.stretch.max(-1)


@pytest.fixture(scope="module", params=[WIDE, CLOSE], ids=["apart", "overlapping along the beam"])
def multi(request):
    scene = scenes(request.param, MULTI_HIT)
    return request.param, scene, circumscribed(scene)


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
    assert stats.kstest(place, "uniform").pvalue > 1e-3
    assert place.min() < 0.01 and place.max() > 0.99
    angle = np.arctan2(scene.position_m[:, 1, 1], scene.position_m[:, 1, 0])
    assert stats.kstest(angle, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


def test_particles_closer_across_the_beam_than_they_can_touch_lie_one_behind_the_other():
    scene = scenes(replace(CLOSE, separation=(0.05, 0.5), particles=(2, 2)), MULTI_HIT)
    radius, apart = circumscribed(scene), scene.position_m[:, 1]
    touching = radius[:, 0] + radius[:, 1]
    across = np.linalg.norm(apart[:, :2], axis=-1) / touching
    assert across.max() < 0.5 + 1e-5 and across.min() < 0.06
    np.testing.assert_allclose(np.linalg.norm(apart, axis=-1), touching, rtol=1e-4)
    assert 0.45 < (apart[:, 2] > 0).mean() < 0.55


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
    flat_top = BeamConfig(profile="flat-top", offset=0.0)
    flat = scenes(replace(config, beam=flat_top, separation=(1.0, 1.0)), MULTI_HIT, [MULTI_HIT])
    spread = np.log(flat.fluence[:, 1]).ravel()
    assert stats.kstest(spread, stats.norm(0, config.brightness_spread).cdf).pvalue > 1e-3


def test_particles_of_one_multi_hit_are_as_alike_as_asked():
    scene = scenes(replace(WIDE, diameter_spread=0.25), MULTI_HIT, [MULTI_HIT])
    first, others = scene.diameter_m[:, :1], scene.diameter_m[:, 1:]
    low, high = np.array(WIDE.diameter_nm) * 1e-9
    assert stats.kstest(first[:, 0], stats.uniform(low, high - low).cdf).pvalue > 1e-3
    smallest, largest = np.maximum(low, 0.75 * first), np.minimum(high, 1.25 * first)
    place = (others - smallest) / (largest - smallest)
    assert stats.kstest(place.ravel(), "uniform").pvalue > 1e-3


def test_particles_are_no_farther_apart_than_pixels_resolve_where_asked():
    config = replace(WIDE, particles=(2, 2), separation_resolved=True)
    scene = scenes(config, MULTI_HIT, [MULTI_HIT])
    across = np.linalg.norm(scene.position_m[:, 1, :2], axis=-1)
    touching = (circumscribed(scene)[:, 0] + circumscribed(scene)[:, 1]) * config.separation[0]
    fringe_px = 2 * np.pi / WAVENUMBER / across / PIXEL_ANGLE
    # Those that must be farther apart to stand clear of each other touch.
    np.testing.assert_allclose(across[fringe_px < 1.999], touching[fringe_px < 1.999], rtol=1e-4)
    assert fringe_px.min() < 2.01 and (fringe_px > 4).any()


def test_brightness_follows_the_place_in_the_focus_and_nothing_along_it():
    config = replace(WIDE, brightness_spread=0.0, beam=BeamConfig(offset=1.0))
    scene = scenes(config, MULTI_HIT)
    # Differences of squared distance to the unknown centre are linear in the positions across the beam.
    log2 = -np.log2(scene.fluence) * (FOCUS_M / 2) ** 2
    centre2 = log2[:, 0]
    assert (centre2 <= (FOCUS_M / 2) ** 2 * 1.001).all() and centre2.max() > 0.9 * (FOCUS_M / 2) ** 2
    place = scene.position_m[:, :, :2]
    linear = log2 - centre2[:, None] - (place**2).sum(-1)
    solved = np.linalg.solve(2 * place[:, 1:3], linear[:, 1:3, None])[..., 0]
    well = np.abs(np.linalg.det(place[:, 1:3] * 1e7)) > 0.5
    predicted = 2 * np.einsum("ni,nsi->ns", solved, place)
    np.testing.assert_allclose(predicted[well, 3:], linear[well, 3:], atol=2e-2 * (FOCUS_M / 2) ** 2)


def test_stretching_keeps_the_volume(multi):
    _, scene, _ = multi
    np.testing.assert_allclose(scene.stretch.prod(-1), 1, rtol=1e-5)
    # The mean log is subtracted: the spread of what is left is sqrt(2/3) of the stated one.
    assert np.log(scene.stretch).std() == pytest.approx(0.2 * np.sqrt(2 / 3), rel=0.05)
    matrix = np.asarray(jax.jit(jax.vmap(body_to_laboratory))(scene), float)
    np.testing.assert_allclose(np.linalg.det(matrix * 1e9), (scene.diameter_m * 1e9) ** 3, rtol=1e-4)
    lengths = np.linalg.norm(matrix, axis=-2)  # columns: the body's axes
    np.testing.assert_allclose(lengths, scene.stretch * scene.diameter_m[..., None], rtol=1e-4)


def test_stretches_stay_within_what_tables_are_made_for(multi):
    _, scene, _ = multi
    assert np.abs(np.log(scene.stretch)).max() <= 0.2 * LARGEST_STRETCH * 1.0001


def test_a_single_hit_is_one_particle_at_the_origin():
    scene = scenes(WIDE, SINGLE)
    assert (scene.present == (np.arange(SLOTS) == 0)).all()
    assert (scene.position_m[:, 0] == 0).all() and (scene.fluence[:, 0] == 1).all()
    assert (scene.contrast[:, 0] == 1).all() and set(scene.geometry[:, 0]) == {0, 1}


def test_single_hits_are_uniform_over_the_allowed_disc_of_the_focus():
    fluence = scenes(OFF_CENTRE, SINGLE).fluence[:, 0]
    # In a Gaussian focus -log2(fluence) is the squared distance in focus radii, up to a quarter here.
    assert stats.kstest(-np.log2(fluence) * 4, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("profile", ["gaussian", "flat-top"])
def test_beam_profiles_fall_to_one_half_at_the_rim_of_the_focus(profile):
    at = jnp.array([[0.0, 0], [0.3, 0.4], [0, 0.5], [2.0, 0]]) * FOCUS_M
    value = np.asarray(beam_profile(profile, at, FOCUS_M))
    np.testing.assert_allclose(value, [1, 0.5, 0.5, 0], atol=1e-4)


def test_touching_particles_larger_than_the_focus_still_do_not_overlap():
    scene = scenes(replace(BASE, diameter_nm=(1500.0, 2000.0)), MULTI_HIT)
    np.testing.assert_array_equal(scene.stretch, 1)
    i, j, both = pairs(scene)
    radius = circumscribed(scene)
    distance = np.linalg.norm(scene.position_m[:, i] - scene.position_m[:, j], axis=-1)
    assert ((distance / (radius[:, i] + radius[:, j]))[both] > 1 - 1e-5).all()


# ---- other bad shots


def test_a_droplet_is_one_ellipsoid_of_its_material():
    scene = scenes(WIDE, DROPLET)
    assert (scene.present == (np.arange(SLOTS) == 0)).all()
    assert (scene.geometry[:, 0] == ELLIPSOID).all() and (scene.contrast[:, 0] == 2).all()
    np.testing.assert_allclose(scene.stretch[:, 0, 0], scene.stretch[:, 0, 1], rtol=1e-5)
    ratio = np.log(scene.stretch[:, 0, 2] / scene.stretch[:, 0, 0])
    assert ratio.std() == pytest.approx(BadConfig().droplet_stretch, rel=0.05)
    low, high = np.log(np.array(BadConfig().droplet_diameter_nm) * 1e-9)
    assert stats.kstest(np.log(scene.diameter_m[:, 0]), stats.uniform(low, high - low).cdf).pvalue > 1e-3


def test_a_wet_particle_is_inside_its_droplet():
    scene = scenes(WIDE, WET_PARTICLE)
    assert (scene.present == (np.arange(SLOTS) < 2)).all()
    assert (scene.geometry[:, 0] == ELLIPSOID).all() and set(scene.geometry[:, 1]) == {0, 1}
    inner = scene.diameter_m[:, 0] * scene.stretch[:, 0].min(-1) / 2
    assert (circumscribed(scene)[:, 1] <= inner).all()
    np.testing.assert_array_equal(scene.position_m[:, :2], 0)
    # The particle displaces the water: the sum of contrasts inside it is the particle's.
    assert (scene.contrast[:, 0] == 2).all() and (scene.contrast[:, :2].sum(1) == 1).all()


def test_a_clump_is_of_spheres_that_touch_and_do_not_overlap():
    scene = scenes(replace(WIDE, bad=BadConfig(aggregate_spheres=(2, SLOTS))), AGGREGATE)
    assert set(scene.present.sum(1)) == {2, 3, 4, 5}
    assert (scene.geometry == ELLIPSOID).all() and (scene.contrast == 3).all()
    np.testing.assert_allclose(scene.stretch, 1, rtol=1e-6)
    i, j, both = pairs(scene)
    distance = np.linalg.norm(scene.position_m[:, i] - scene.position_m[:, j], axis=-1)
    gap = np.where(both, distance / ((scene.diameter_m[:, i] + scene.diameter_m[:, j]) / 2), np.inf)
    assert gap.min() > 1 - 1e-4
    touching = gap < 1 + 1e-4
    for slot in range(1, SLOTS):  # each touches one that came before it
        assert (touching[:, j == slot].any(1) | ~scene.present[:, slot]).all()


def test_debris_is_one_piece_of_its_own_geometry_and_an_empty_shot_is_empty():
    scene = scenes(WIDE, DEBRIS)
    assert (scene.present == (np.arange(SLOTS) == 0)).all()
    assert (scene.geometry[:, 0] == 2).all() and (scene.contrast[:, 0] == 3).all()
    low, high = np.log(np.array(BadConfig().debris_diameter_nm) * 1e-9)
    assert stats.kstest(np.log(scene.diameter_m[:, 0]), stats.uniform(low, high - low).cdf).pvalue > 1e-3
    assert not scenes(WIDE, EMPTY).present.any()


def test_every_piece_of_debris_has_a_shape_of_its_own():
    for config in (BASE, replace(WIDE, stretch=0.5)):  # whatever the particles' stretch
        stretch = scenes(config, DEBRIS).stretch[:, 0]
        assert len(np.unique(stretch.round(4), axis=0)) > 0.99 * N
        np.testing.assert_allclose(stretch.prod(-1), 1, rtol=1e-5)
        # Three independent deviates less their mean.
        assert np.log(stretch).std() == pytest.approx(BadConfig().debris_stretch * np.sqrt(2 / 3), rel=0.05)
        assert np.abs(np.log(stretch)).max() <= LARGEST_STRETCH * BadConfig().debris_stretch * (1 + 1e-5)


def test_on_the_absolute_scale_fluence_is_that_of_the_place_in_the_beam():
    config = replace(WIDE, brightness_spread=0.5, beam=BeamConfig(offset=0.0, pulse_photons=(1e12, 1e13)))
    scene = scenes(config, MULTI_HIT, [MULTI_HIT])
    there = beam_profile("gaussian", scene.position_m[..., :2], FOCUS_M)
    np.testing.assert_allclose(scene.fluence, there, rtol=1e-5)


@pytest.mark.parametrize("kind", ["axis", "preferred", "given"])
def test_particles_turn_as_the_configuration_says(kind):
    axis, body_axis = np.array([0.6, 0.0, 0.8]), np.array([0.0, 1.0, 0.0])
    given = ((0.5, 0.5, 0.5, 0.5), (1.0, 0.0, 0.0, 0.0))
    turns = OrientationConfig(kind, tuple(axis.tolist()), tuple(body_axis.tolist()), 50.0, given)
    scene = scenes(replace(WIDE, orientation=turns), MULTI_HIT)
    turn = np.asarray(jax.jit(rotation_matrix)(scene.orientation), float).reshape(-1, 3, 3)
    if kind == "axis":
        np.testing.assert_allclose(turn @ axis, np.broadcast_to(axis, (len(turn), 3)), atol=1e-5)
        assert np.trace(turn, axis1=1, axis2=2).std() > 0.5
    elif kind == "preferred":
        assert ((turn @ body_axis) @ axis).mean() == pytest.approx(1 / np.tanh(50) - 1 / 50, abs=2e-3)
    else:
        np.testing.assert_allclose(scene.orientation, np.broadcast_to(given[0], scene.orientation.shape), atol=1e-6)


@pytest.mark.parametrize("turn", ["axis", "preferred", "given"])
@pytest.mark.parametrize("kind, of_sample", [(WET_PARTICLE, 1), (DROPLET, None), (DEBRIS, None), (AGGREGATE, None)])
def test_what_is_no_particle_of_the_sample_lies_in_any_orientation(turn, kind, of_sample):
    """Over SO(3) w^2 + z^2 of a quaternion is uniform; it is 1 where z stays z."""
    turns = OrientationConfig(turn, axis=(0.0, 0.0, 1.0), concentration=1e4, quaternions=((1.0, 0.0, 0.0, 0.0),))
    scene = scenes(replace(WIDE, orientation=turns), kind)
    for slot in np.flatnonzero(scene.present.any(0)):
        upright = (scene.orientation[scene.present[:, slot], slot][:, [0, 3]] ** 2).sum(-1)
        if slot == of_sample:
            assert upright.min() > 0.99
        else:
            assert stats.kstest(upright, "uniform").pvalue > 1e-3
