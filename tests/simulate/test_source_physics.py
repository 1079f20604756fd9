"""Whole patterns, from a configuration to photons, against closed forms and conservation laws."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.simulate import SimulatedSource, SimulationConfig
from onehit.simulate.beamline.instrument import InstrumentConfig
from onehit.simulate.beamline.reciprocal import detector_plane
from onehit.simulate.config import BadConfig, BeamConfig
from onehit.simulate.scattering.scene import beam_profile, scene_of
from oracles import ellipsoid_form_factor, ewald_q, relative_l2

OPEN = InstrumentConfig(beamstop_radius_m=0.0, gap_m=0.0)
INSTRUMENT = OPEN.instrument()
BALL = SimulationConfig(instrument=OPEN, geometry=("sphere:subdivisions=4",), good_fraction=1.0, noise=False)
ROW, COLUMN = np.concatenate(
    [np.random.default_rng(0).integers(0, 128, (2, 400)), np.random.default_rng(1).integers(44, 84, (2, 400))], 1
)

AT_RINGS = np.hypot(ROW - 63.5, COLUMN - 63.5) > 20  # where photons are few: the middle would outweigh them


def received(wave, instrument=INSTRUMENT, points=12):
    """|wave(q)|^2 averaged over the area of some pixels by Gauss-Legendre, q in 1/m, times solid angle and
    polarisation."""
    x, w = np.polynomial.legendre.leggauss(points)
    q = ewald_q(instrument, ROW[:, None, None] + x[:, None] / 2, COLUMN[:, None, None] + x / 2)
    plane = detector_plane(instrument, 0.0)
    weight = np.asarray(plane.solid_angle * plane.polarisation)[ROW, COLUMN]
    return np.einsum("nij,i,j->n", np.abs(wave(q)) ** 2, w / 2, w / 2) * weight


def assert_proportional(got, expected, tolerance):
    assert relative_l2(got / got.sum(), expected / expected.sum()) < tolerance


def expected_photons(source, scene, pulse_photons, ellipsoids=False):
    """Compiled as a whole: one operation after the other takes many times as long."""
    return np.asarray(jax.jit(partial(source.expected_photons, ellipsoids=ellipsoids))(scene, pulse_photons))


def patterns(config, count, seed=0):
    """Photons of some pixels, (count, pixels) float64, and the truth."""
    made = jax.tree.map(np.asarray, SimulatedSource(config, seed).patterns(np.arange(count)))
    return made.counts[:, ROW, COLUMN].astype(float), made.truth


@pytest.mark.parametrize("diameter_nm", [200, 300, 400, 800])
def test_rings_finer_than_pixels_are_averaged_over_them(diameter_nm):
    """To 2 % also for bodies whose rings no parabola through neighbouring pixels follows."""
    sizes = {"diameter_nm": (diameter_nm - 1.0, float(diameter_nm))}
    source = SimulatedSource(replace(BALL, geometry=("sphere:subdivisions=1",), amplitude="exact", **sizes))
    got = expected_photons(source, scene_of(diameter_nm * 1e-9, [[1.0, 0, 0, 0]]), 1.0, ellipsoids=True)
    expected = received(lambda q: ellipsoid_form_factor(diameter_nm / 2 * 1e-9, q), points=20)
    assert_proportional(got[ROW, COLUMN], expected, 0.02)
    assert_proportional(got[ROW, COLUMN][AT_RINGS], expected[AT_RINGS], 0.02)


def test_large_droplets_among_small_particles_are_averaged_alike():
    bad = BadConfig(multi_hit=0, droplet=1, droplet_diameter_nm=(380.0, 400.0), droplet_stretch=0.0)
    photons, truth = patterns(replace(BALL, good_fraction=0.0, bad=bad), 4)
    for frame, diameter in zip(photons, truth.scene.diameter_m[:, 0], strict=True):
        expected = received(lambda q, d=diameter: ellipsoid_form_factor(d / 2, q))
        assert_proportional(frame[AT_RINGS], expected[AT_RINGS], 0.02)


def test_split_pixels_receive_as_many_photons_in_all():
    """A pair of 300 nm, on split pixels, against the sum of its amplitudes' squares on pixels a third as large."""
    pair = scene_of(300e-9, jnp.array([[1.0, 0, 0, 0]] * 2), [[0, 0, 0], [350e-9, 100e-9, 200e-9]])
    images = []
    for factor in (1, 3):
        instrument = replace(OPEN, shape=(128 * factor,) * 2, pixel_size_m=0.6e-3 / factor)
        config = replace(BALL, instrument=instrument, diameter_nm=(60.0, 70.0), geometry=("cube",))
        droplets = BadConfig(multi_hit=0, droplet=1, droplet_diameter_nm=(200.0, 300.0))
        source = SimulatedSource(replace(config, good_fraction=0.5, bad=droplets))
        image = expected_photons(source, pair, 1e12, ellipsoids=True).astype(float)
        images.append(image.reshape(128, factor, 128, factor).sum((1, 3)))
    assert images[0].sum() == pytest.approx(images[1].sum(), rel=1e-3)
    assert relative_l2(*images) < 0.02


def test_a_particle_in_a_droplet_scatters_as_core_and_shell():
    """Materials sum with their weights and phases: the core displaces what surrounds it."""
    bad = BadConfig(multi_hit=0, wet_particle=1, droplet_stretch=0.0, droplet_material="delta=2e-4,beta=1e-4")
    config = replace(BALL, good_fraction=0.0, bad=bad, material="delta=3e-4,beta=2e-5", diameter_nm=(60.0, 70.0))
    photons, truth = patterns(config, 6)
    core, shell = -3e-4 + 2e-5j, -2e-4 + 1e-4j
    for frame, (outer, inner, *_) in zip(photons, truth.scene.diameter_m, strict=True):
        assert outer > 1.05 * inner

        def wave(q, contrast=core - shell, inner=inner, outer=outer):
            return shell * ellipsoid_form_factor(outer / 2, q) + contrast * ellipsoid_form_factor(inner / 2, q)

        assert_proportional(frame, received(wave), 0.01)
        with pytest.raises(AssertionError):  # where the core is laid over the droplet instead
            assert_proportional(frame, received(lambda q, wave=wave: wave(q, core)), 0.01)


def test_forty_particles_scatter_the_sum_of_their_waves():
    """Each with its own size, place and brightness."""
    config = replace(BALL, good_fraction=0.0, particles=(40, 40), separation=(1.0, 4.0))
    photons, truth = patterns(config, 2)
    assert (truth.particles == 40).all()
    scene = truth.scene

    def wave(q, number, bodies):
        total = np.zeros(q.shape[:-1], complex)
        for body in bodies:
            phase = np.exp(-1j * q @ scene.position_m[number, body].astype(float))
            brightness = np.sqrt(float(scene.fluence[number, body]))
            total += brightness * phase * ellipsoid_form_factor(float(scene.diameter_m[number, body]) / 2, q)
        return total

    for number, frame in enumerate(photons):
        assert_proportional(frame, received(partial(wave, number=number, bodies=range(40))), 0.02)
        with pytest.raises(AssertionError):
            assert_proportional(frame, received(partial(wave, number=number, bodies=range(39))), 0.02)


@pytest.mark.parametrize("profile", ["gaussian", "flat-top"])
def test_the_focus_holds_the_whole_pulse_and_particles_scatter_their_part(profile):
    """Energy is conserved: fluence, integrated over the focus, is the pulse; a weak phase object of contrast c diverts
    2 pi R^4 k^2 |c|^2 of the fluence on it."""
    pulse_photons, focus = 1e12, INSTRUMENT.focus_m
    beam = BeamConfig(profile=profile, pulse_photons=(pulse_photons, pulse_photons * 1.0001), offset=1.0)
    source = SimulatedSource(replace(BALL, beam=beam, geometry=("sphere:subdivisions=3",)))
    truth = jax.tree.map(np.asarray, source.patterns(np.arange(32)).truth)
    axis = (np.arange(1200) - 599.5) / 200 * focus
    place = np.stack(np.meshgrid(axis, axis), -1).astype(np.float32)
    area = float(np.asarray(beam_profile(profile, place, focus), float).sum()) * (axis[1] - axis[0]) ** 2
    radius, k = truth.scene.diameter_m[:, 0] / 2, INSTRUMENT.wavenumber
    cross_section = 2 * np.pi * radius**4 * k**2 * abs(complex(source.contrast)) ** 2
    expected = pulse_photons / area * truth.scene.fluence[:, 0] * cross_section
    np.testing.assert_allclose(truth.photons, expected, rtol=0.04)
    assert truth.scene.fluence.min() < 0.7 if profile == "gaussian" else truth.scene.fluence.min() > 0.4


def test_a_pulse_of_another_photon_energy_gives_the_pattern_of_that_energy():
    photons, truth = patterns(replace(BALL, beam=BeamConfig(photon_energy_jitter=0.05)), 8)
    for frame, energy, diameter in zip(photons, truth.photon_energy_ev, truth.scene.diameter_m[:, 0], strict=True):
        instrument = replace(INSTRUMENT, photon_energy_ev=float(energy))
        assert_proportional(frame, received(lambda q, d=diameter: ellipsoid_form_factor(d / 2, q), instrument), 0.01)
    assert np.ptp(truth.photon_energy_ev) > 0.05 * INSTRUMENT.photon_energy_ev


def pair_fringes(**beam):
    """Photons of pairs in pulses of one energy, less those of their members alone (no coherence)."""
    pulse = {"pulse_photons": (1e12, 1.0001e12)}
    config = replace(BALL, geometry=("icosahedron",), good_fraction=0.0, particles=(2, 2), separation=(1.0, 2.0))
    photons, truth = patterns(replace(config, beam=BeamConfig(**pulse, **beam)), 8)
    alone, _ = patterns(replace(config, beam=BeamConfig(**pulse, coherence_length_m=1e-9)), 8)
    return photons - alone, truth.scene.position_m[:, 1].astype(float)


def test_coherence_and_bandwidth_weaken_fringes_between_particles_as_they_should():
    fringes, place = pair_fringes()
    partial, _ = pair_fringes(coherence_length_m=120e-9)
    expected = np.exp(-(place[:, :2] ** 2).sum(1) / (2 * 120e-9**2))
    assert np.ptp(expected) > 0.2
    for one, other, factor in zip(partial, fringes, expected, strict=True):
        assert relative_l2(one, factor * other) < 0.01

    broad, _ = pair_fringes(bandwidth=0.05)
    phase = np.einsum("pi,ni->np", ewald_q(INSTRUMENT, ROW, COLUMN), place)
    far_out = np.linalg.norm(ewald_q(INSTRUMENT, ROW, COLUMN), axis=-1) ** 3  # where fringes fade, and are faint
    for one, other, damping in zip(broad, fringes, np.exp(-((0.05 * phase) ** 2) / 2), strict=True):
        assert (
            relative_l2(one * far_out, damping * other * far_out) < 0.02 < relative_l2(one * far_out, other * far_out)
        )


def test_spikes_of_a_spectrum_add_up_without_interfering():
    """The photons of a pulse of two spikes are those of two pulses, each of one energy."""
    pair = replace(BALL, good_fraction=0.0, particles=(2, 2), separation=(1.0, 2.0))
    beam = BeamConfig(pulse_photons=(1e12, 1.0001e12), bandwidth=0.04, spectral_spikes=2)
    photons, truth = patterns(replace(pair, beam=beam), 1)
    offset, share = truth.drawn["spike_offset"].astype(float), truth.drawn["spike_share"].astype(float)
    np.testing.assert_allclose(share.sum(1), 1, rtol=1e-6)
    for n, frame in enumerate(photons):
        scene = jax.tree.map(lambda a, n=n: a[n], truth.scene)
        total = np.zeros(len(frame))
        for energy, weight in zip(1 + 0.04 * offset[n], share[n], strict=True):
            instrument = replace(OPEN, photon_energy_ev=INSTRUMENT.photon_energy_ev * energy)
            one = expected_photons(SimulatedSource(replace(pair, instrument=instrument)), scene, 1.0)[ROW, COLUMN]
            total += weight * one / energy**4  # the contrast that the scene has is that of the pulse's energy
        assert_proportional(frame, total, 0.01)
        assert_proportional(frame[AT_RINGS], total[AT_RINGS], 0.01)
        assert relative_l2(frame[AT_RINGS] / frame.sum(), one[AT_RINGS] / one.sum()) > 0.05  # one alone gives another


def test_numbers_of_spikes_have_the_spread_of_a_gamma_law():
    """The share of one of M independent exponential deviates in their sum has variance (M - 1) / (M^2 (M + 1))."""
    beam = BeamConfig(bandwidth=0.01, spectral_spikes=4)
    _, truth = patterns(replace(BALL, beam=beam), 512)
    share = truth.drawn["spike_share"]
    assert abs(share.var() / (3 / (16 * 5)) - 1) < 0.15
    assert abs(truth.drawn["spike_offset"].std() - 1) < 0.05


@pytest.mark.parametrize("beam", [{}, {"coherence_length_m": 120e-9}, {"bandwidth": 0.05}])
def test_a_given_scene_scatters_like_a_sampled_one(beam):
    beam = BeamConfig(pulse_photons=(1e12, 1.0001e12), **beam)
    config = replace(BALL, good_fraction=0.0, particles=(3, 3), separation=(1.0, 2.0), beam=beam)
    source = SimulatedSource(config)
    sampled = source.patterns([3])
    scene = jax.tree.map(lambda a: a[0], sampled.truth.scene)
    expected = expected_photons(source, scene, 1e12) * ~source.bad_pixel
    np.testing.assert_allclose(sampled.counts[0], expected, rtol=1e-3, atol=1e-5 * expected.max())
