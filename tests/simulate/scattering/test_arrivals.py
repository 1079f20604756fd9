"""Particles that arrive at random: numbers, places and fluences against closed forms."""

from dataclasses import fields, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.simulate import SimulatedSource
from onehit.simulate.beamline.instrument import InstrumentConfig
from onehit.simulate.beamline.reciprocal import detector_plane
from onehit.simulate.config import BadConfig, BeamConfig, SimulationConfig
from onehit.simulate.program import sample_scene
from onehit.simulate.program_inputs import Setup, Variant, register
from onehit.simulate.scattering.diffraction import fringe_averages
from onehit.simulate.scattering.hits.arrivals import Arrivals
from onehit.simulate.scattering.keys import named_keys
from onehit.simulate.scattering.sample import SampleConfig
from onehit.simulate.scattering.scene import Focus
from onehit.simulate.scattering.seam import Pulse
from scipy import stats

N, SLOTS = 20_000, 14
WAVENUMBER = 8e9
WIDE = Focus("gaussian", 1.5e-6, WAVENUMBER)  # 6.6 mm of Rayleigh length
NARROW = Focus("gaussian", 1e-7, WAVENUMBER)  # 29 um
FLAT = Focus("flat-top", 1.5e-6, WAVENUMBER)
SINGLE, MULTI, EMPTY, GRAZING = range(4)
register(Arrivals)
register(BeamConfig)


@partial(jax.jit, static_argnums=2)
def _sample(setup, keys, variant):
    def one(key):
        scene = sample_scene(setup, variant, named_keys(key), None, jnp.int32(0))
        return scene, setup.kinds[0].outcome(scene)

    return jax.vmap(one)(keys)


def arriving(arrivals, focus):
    """N scenes, and what they turn out to be."""
    config = SimulationConfig(beam=BeamConfig(profile=focus.profile, pulse_photons=(1e12, 1e12)))
    setup = Setup(*[None] * len(Setup._fields))._replace(
        sample=SampleConfig(**{f.name: getattr(config, f.name) for f in fields(SampleConfig)}),
        beam=config.beam,
        kinds=(arrivals,),
        contrast={"material": jnp.complex64(1)},
        circumradius=jnp.array([0.6]),
        focus_m=focus.width_m,
        wavenumber=focus.wavenumber,
        pixel_angle=1e-3,
    )
    variant = Variant((Arrivals,), SLOTS, (0, 1, 2, 3), 1, (range(0),), (), (), True)
    scene, outcome = _sample(setup, jax.random.split(jax.random.key(1), N), variant)
    return jax.tree.map(np.asarray, scene), np.asarray(outcome)


@pytest.fixture(scope="module")
def wide():
    arrivals = Arrivals(density=0.5, grazing=(0.01, 0.1))
    return arrivals, *arriving(arrivals, WIDE)


def within(count, probability):
    """Whether so many of N are four standard deviations from that probability at most."""
    return abs(count - N * probability) < 4 * np.sqrt(N * probability * (1 - probability)) + 1


def test_the_number_in_the_focus_is_poisson_with_the_density_as_its_mean(wide):
    """The focus's width is that at half maximum, and the stream is much shorter than the beam's waist."""
    _, scene, _ = wide
    inside = (scene.present & (scene.fluence >= 0.5)).sum(1)
    for number in range(4):
        assert within((inside == number).sum(), stats.poisson.pmf(number, 0.5))
    assert within(scene.present.all(1).sum(), stats.poisson.sf(SLOTS - 1, 0.5 * np.log2(100)))


def test_kinds_come_out_as_often_as_poisson_says(wide):
    """Places are uniform across a Gaussian beam, so so many lie above a fluence f as the logarithm of 1/f says."""
    _, scene, outcome = wide
    hits, grazes = 0.5 * np.log2(10), 0.5 * np.log2(10)
    none = np.exp(-hits)
    shares = {
        SINGLE: hits * none,
        MULTI: 1 - none * (1 + hits),
        EMPTY: none * np.exp(-grazes),
        GRAZING: none * (1 - np.exp(-grazes)),
    }
    for kind, share in shares.items():
        assert within((outcome == kind).sum(), share)
    assert ((scene.present & (scene.fluence >= 0.1)).sum(1)[outcome == SINGLE] == 1).all()


def test_places_are_uniform_over_the_stream_and_the_brightest_is_first(wide):
    arrivals, scene, _ = wide
    fluence = np.where(scene.present, scene.fluence, 0)
    assert (np.diff(fluence, axis=1) <= 0).all() and (np.diff(scene.present.astype(int), axis=1) <= 0).all()
    assert not scene.position_m[:, 0].any()
    assert stats.kstest(np.log(scene.fluence[scene.present]) / np.log(0.01), "uniform").pvalue > 1e-3
    # Of two, the places' difference along the beam has a triangular distribution.
    two = scene.present.sum(1) == 2
    along = np.abs(scene.position_m[two, 1, 2].astype(float)) / arrivals.stream_m
    assert stats.kstest(along, lambda x: 1 - (1 - x) ** 2).pvalue > 1e-3


def test_further_numbers_compile_nothing_anew_and_mean_what_they_say():
    before = _sample._cache_size()
    sparse, outcome = arriving(Arrivals(density=0.02, grazing=(0.2, 0.2)), WIDE)
    assert _sample._cache_size() - before <= 1
    assert within((outcome == EMPTY).sum(), np.exp(-0.02 * np.log2(5))) and (outcome != GRAZING).all()
    assert sparse.fluence[sparse.present].min() >= 0.2
    before = _sample._cache_size()
    arriving(Arrivals(density=0.9), NARROW)
    assert _sample._cache_size() == before


@pytest.mark.parametrize("stream_m", [2e-5, 4e-4])
def test_a_beam_that_widens_within_the_stream(stream_m):
    """Mean numbers above a fluence by integration over the beam, from the complex beam parameter."""
    arrivals = Arrivals(density=0.1, grazing=(0.05, 0.3), stream_m=stream_m)
    scene, _ = arriving(arrivals, NARROW)
    for fluence in (0.05, 0.3):
        along = (np.arange(500) + 0.5) / 500 * stream_m / 2
        expected = 0.1 * np.mean([discs_above(fluence, z) for z in along])
        number = (scene.present & (scene.fluence >= fluence)).sum(1)
        assert abs(number.mean() - expected) < 4 * np.sqrt(expected / N)
        assert number.var() == pytest.approx(expected, rel=0.06)


def wave(across, z, focus):
    """Of a Gaussian beam, from its complex beam parameter (Kogelnik & Li 1966, Appl. Opt. 5, 1550)."""
    waist2 = focus.width_m**2 / (2 * np.log(2))
    rayleigh = focus.wavenumber * waist2 / 2
    q = z + 1j * rayleigh
    return 1j * rayleigh / q * np.exp(-1j * focus.wavenumber * across**2 / (2 * q))


def discs_above(fluence, z):
    """Area at z that is as bright, in discs of the focus's width."""
    across = np.linspace(0, 40 * NARROW.width_m, 40_001)
    return (2 * across[(np.abs(wave(across, z, NARROW)) ** 2 >= fluence).nonzero()[0].max(initial=0)] / 1e-7) ** 2


@pytest.mark.parametrize("focus", [WIDE, NARROW])
def test_fluence_is_that_of_a_gaussian_beam(focus):
    rng = np.random.default_rng(0)
    place = rng.normal(size=(500, 3)) * [focus.width_m, focus.width_m, 5e-5]
    expected = np.abs(wave(np.hypot(*place.T[:2]), place[:, 2], focus)) ** 2
    np.testing.assert_allclose(focus.fluence(jnp.asarray(place, jnp.float32)), expected, rtol=1e-4, atol=1e-12)


def test_a_flat_top_does_not_widen():
    arrivals = Arrivals(density=0.5, grazing=(0.05, 0.5))
    scene, outcome = arriving(arrivals, FLAT)
    inside = (scene.present & (scene.fluence >= 0.5)).sum(1)
    assert within((inside == 0).sum(), np.exp(-0.5))
    assert within((outcome == EMPTY).sum(), np.exp(-0.5 * np.log2(20) ** 0.1))


@pytest.mark.parametrize("focus", [WIDE, NARROW, FLAT])
@pytest.mark.parametrize("along_m", [1e-5, 3e-4])
def test_the_disc_holds_every_place_that_is_bright_enough(focus, along_m):
    rng = np.random.default_rng(0)
    place = rng.uniform(-1, 1, (200_000, 3)) * [8 * focus.width_m, 8 * focus.width_m, along_m]
    bright = np.asarray(focus.fluence(jnp.asarray(place, jnp.float32))) >= 0.02
    farthest = ((2 * np.hypot(*place.T[:2]) / focus.width_m)[bright] ** 2).max()
    assert 0.9 * focus.area(0.02, along_m) < farthest < 1.0001 * focus.area(0.02, along_m)


def test_fringes_of_particles_far_apart_along_the_beam_average_out():
    """Over each pixel, by a sum over its parts."""
    instrument = InstrumentConfig(shape=(64, 64)).instrument()
    plane = detector_plane(instrument, 5e-8, 1, 5e-5)
    separation = np.array([4e-7, -3e-7, 5e-5])
    mean = np.asarray(fringe_averages(plane, Pulse(instrument.wavenumber), jnp.asarray(separation, jnp.float32)))[0, 0]
    fine = detector_plane(instrument, 5e-8, 8)
    phase = instrument.wavenumber * np.asarray(fine.scattering, float) @ separation
    centre = instrument.wavenumber * np.asarray(plane.scattering, float) @ separation
    blocks = np.exp(1j * phase).reshape(64, 8, 64, 8).mean((1, 3)) * np.exp(-1j * centre)
    assert np.abs(mean - blocks).max() < 0.04  # within a pixel, the phase is taken to be linear
    coarse = fringe_averages(
        detector_plane(instrument, 5e-8), Pulse(instrument.wavenumber), jnp.asarray(separation, jnp.float32)
    )
    assert np.abs(np.asarray(coarse)[0, 0] - blocks).max() > 0.15


SMALL = InstrumentConfig(shape=(32, 32), pixel_size_m=2.4e-3)
BASE = SimulationConfig(beam=BeamConfig(pulse_photons=(1e12, 1e12)), arrivals=Arrivals(density=0.3))


@pytest.mark.parametrize(
    "changed, says",
    [
        ({"beam": BeamConfig()}, "brightness follows from places in the focus.*give --beam.pulse-photons"),
        ({"bad": BadConfig(droplet=0.1)}, "bad.droplet is given, but with arrivals pulses hit .* leave one of"),
        ({"arrivals": Arrivals(density=0.0)}, "arrivals.density is 0.0; give a number above 0"),
        ({"arrivals": Arrivals(density=np.nan)}, "arrivals.density is nan"),
        ({"arrivals": Arrivals(density=8.0)}, "puts 53.2 particles .* less than 5.7, or give a higher first"),
        (
            {"arrivals": Arrivals(0.1, grazing=(0.2, 0.1))},
            "grazing is 0.2 and 0.1; give two fluences .* smallest",
        ),
        ({"arrivals": Arrivals(0.1, grazing=(0.0, 0.1))}, "arrivals.grazing is 0.0 and 0.1"),
        ({"arrivals": Arrivals(0.1, stream_m=20)}, r"arrivals.stream_m is 20; it must lie in .* \(in um\? say 2e-05\)"),
        ({"arrivals": Arrivals(0.1, 1e12)}, "density and arrivals.concentration_per_ml are given: choose one"),
        ({"arrivals": Arrivals(None, 1e12, speed_m_per_s=0.0)}, "arrivals.speed_m_per_s is 0.0; give a number above"),
        ({"arrivals": Arrivals(None, 1e12, transmission=1.5)}, "arrivals.transmission is 1.5; give a share above 0"),
        (
            {"arrivals": Arrivals(None, 1e12, stream_m=3e-6)},
            r"stream_m is 3e-06, narrower than the 3.87e-06 m .*-per-ml give --arrivals.stream-m 3.9e-06 or more",
        ),
        ({"arrivals": Arrivals(None, 1e16)}, "arrivals.density, 375, puts .* less than 5.7"),
    ],
)
def test_impossible_arrivals_are_refused(changed, says):
    BASE.check()
    with pytest.raises(InputError, match=says):
        replace(BASE, **changed).check()


def test_the_density_that_a_refusal_names_is_possible():
    replace(BASE, arrivals=Arrivals(density=5.69)).check()
    replace(BASE, arrivals=Arrivals(density=0.3, stream_m=3e-6)).check()  # which says it all
    replace(BASE, arrivals=Arrivals(None, 1e12, stream_m=3.9e-6)).check()


def test_a_concentration_gives_the_density_of_what_flows_through_the_stream():
    """1e12 particles a ml, 2 ul a minute: 3.3e7 a second, half of them at 30 m/s through a stream of 30 um."""
    arrivals = Arrivals(None, 1e12, 2.0, 30.0, 0.5, stream_m=3e-5)
    in_a_metre = 1e12 * 2e-3 / 60 * 0.5 / 30.0
    expected = in_a_metre * (np.pi / 4 * 1.5e-6**2) / (np.pi / 4 * 3e-5**2) * 3e-5
    assert float(arrivals.mean_density(WIDE)) == pytest.approx(expected, rel=1e-6)
    source = SimulatedSource(replace(BASE, instrument=SMALL, arrivals=arrivals))
    assert source.notes == ("0.0417 particles are in the focus's volume on average (arrivals.density)",)
