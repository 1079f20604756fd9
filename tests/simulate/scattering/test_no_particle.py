"""Bad patterns that hold no particle: light of the brightness asked for, that has no fringes of a body."""

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.simulate.config import BAD_KINDS, BadConfig, BeamConfig
from onehit.simulate.scattering.hits.artefact import Artefact, _blocks, _spots
from onehit.simulate.scattering.hits.stray_light import SMOOTH
from oracles import ellipsoid_form_factor, ewald_q

KINDS = ("stray_light", "jet", "slit", "artefact")
SMALL = InstrumentConfig(shape=(64, 64), pixel_size_m=1.2e-3)
PANELS = InstrumentConfig("agipd-1m", binning=16, distance_m=2.0)
BASE = SimulationConfig(instrument=SMALL, photons=(1e3, 1e6), particles=(2, 2), diameter_nm=(100.0, 120.0))
N = 32


@cache
def bad_patterns(instrument):
    """A source of the four kinds without noise, its first patterns, N of each, and which pixels are good."""
    bad = BadConfig(multi_hit=0.0, **dict.fromkeys(KINDS, 1.0))
    source = SimulatedSource(replace(BASE, instrument=instrument, good_fraction=0.0, bad=bad, noise=False), seed=4)
    return source, jax.tree.map(np.asarray, source.patterns(np.arange(N * len(KINDS)))), ~source.bad_pixel


def mean_patterns(instrument, kind):
    """Expected photons of patterns of one kind, in float64, their truth, and which pixels are good."""
    _, patterns, good = bad_patterns(instrument)
    found = patterns.truth.kind == BAD_KINDS.index(kind) + 1
    return patterns.counts[found].astype(float), jax.tree.map(lambda a: a[found], patterns.truth), good


@pytest.mark.parametrize("instrument", [SMALL, PANELS], ids=["one panel", "panels"])
@pytest.mark.parametrize("kind", KINDS)
def test_brightness_is_drawn_from_photons_and_no_body_is_there(kind, instrument):
    frames, truth, good = mean_patterns(instrument, kind)
    assert (frames >= 0).all() and (frames[:, ~good] == 0).all()
    np.testing.assert_allclose(frames.sum((1, 2)), truth.photons, rtol=1e-4)
    place = np.log(truth.photons / 1e3) / np.log(1e3)  # uniform in 0 to 1
    assert -1e-5 < place.min() < 0.1 and 0.9 < place.max() < 1 + 1e-5 and abs(place.mean() - 0.5) < 0.12
    assert abs(len(frames) - N) <= 2
    assert not truth.label.any() and not truth.particles.any() and not truth.scene.present.any()
    shapes = frames / frames.sum((1, 2), keepdims=True)
    assert len(np.unique(shapes.reshape(len(frames), -1).round(9), axis=0)) > 0.8 * len(frames)  # flat ones are alike


def test_the_numbers_of_kinds_in_files_stay_what_they_were():
    old = ("multi_hit", "droplet", "wet_particle", "debris", "aggregate", "empty")
    known = (*old, *KINDS)
    assert BAD_KINDS[: len(known)] == known  # new ones come after


@cache
def beside(other, pulse_photons=None):
    """A source of single hits, multi-hits and another kind, and its first patterns."""
    bad, beam = BadConfig(multi_hit=1.0, **{other: 1.0}), BeamConfig(pulse_photons=pulse_photons)
    source = SimulatedSource(replace(BASE, good_fraction=0.4, beam=beam, bad=bad), seed=7)
    return source, jax.tree.map(np.asarray, source.patterns(np.arange(40)))


def is_lit(patterns):
    return patterns.truth.kind == BAD_KINDS.index("stray_light") + 1


def test_brightness_on_the_absolute_scale_is_that_of_photons_all_the_same():
    relative, absolute = beside("stray_light")[1], beside("stray_light", (1e11, 1e12))[1]
    lit = is_lit(relative)
    np.testing.assert_allclose(absolute.truth.photons[lit], relative.truth.photons[lit], rtol=1e-5)
    assert (np.abs(np.log(absolute.truth.photons / relative.truth.photons))[~lit] > 0.01).all()  # others' is not


@pytest.mark.parametrize("pulse_photons", [None, (1e11, 1e12)], ids=["relative", "absolute"])
def test_other_kinds_counts_stay_what_they_are_beside_them(pulse_photons):
    """Empty shots give way to light; single hits and multi-hits of the same indices must not change."""
    without, light = (beside(other, pulse_photons)[1] for other in ("empty", "stray_light"))
    lit = is_lit(light)
    assert 8 < lit.sum() < 16 and (without.truth.kind[lit] == BAD_KINDS.index("empty") + 1).all()
    np.testing.assert_array_equal(light.counts[~lit], without.counts[~lit])
    np.testing.assert_array_equal(light.truth.photons[~lit], without.truth.photons[~lit])
    assert (light.counts[lit].sum((1, 2)) > 900).all()


@pytest.mark.parametrize("mixed", [False, True], ids=["light alone", "beside hits"])
def test_counts_do_not_depend_on_the_batch(mixed):
    source, patterns = beside("stray_light") if mixed else bad_patterns(SMALL)[:2]
    order = np.random.default_rng(0).permutation(len(patterns.counts))[:30]
    assert len(set(patterns.truth.kind[order])) == (3 if mixed else 4)
    np.testing.assert_array_equal(source.patterns(order).counts, patterns.counts[order])


def turns(frame, good):
    """How often the brightness along a row begins to rise or to fall, at most, rounding errors aside."""
    most = 0
    for row, seen in zip(frame, good, strict=True):
        change = np.diff(row[seen])
        change = change[np.abs(change) > 1e-5 * frame.max()]
        most = max(most, np.count_nonzero(np.diff(np.sign(change))))
    return most


def test_stray_light_has_no_fringes():
    """One hill, times a slope: along a line it rises, falls and, with the slope, once more at most. Rings do more."""
    frames, _, good = mean_patterns(SMALL, "stray_light")
    assert max(max(turns(frame, good), turns(frame.T, good.T)) for frame in frames) <= 3
    row, column = np.indices(good.shape)
    ball = ellipsoid_form_factor(55e-9, ewald_q(SMALL.instrument(), row, column))
    assert turns(np.abs(ball) ** 2, good) > 4


def contrast_around_the_beam(frames, good):
    """Brightest to median direction, at 0.2 to 0.45 detector widths from the beam."""
    y, x = np.indices(good.shape) - 31.5
    ring = good & (np.hypot(x, y) > 13) & (np.hypot(x, y) < 28)
    sector = ((np.arctan2(y, x) / np.pi % 2) * 18).astype(int)[ring]  # of 10 degrees
    by_sector = np.stack([frames[:, ring][:, sector == s].mean(1) for s in range(36)], 1)
    return by_sector.max(1) / np.median(by_sector, 1)


@pytest.mark.parametrize("kind", ["jet", "slit"])
def test_jets_and_slits_are_streaks(kind):
    frames, _, good = mean_patterns(SMALL, kind)
    assert np.median(contrast_around_the_beam(frames, good)) > 3


@pytest.mark.parametrize("pieces", [_blocks, lambda u, s: _spots(u, s, (1.0, 10.0))], ids=["blocks", "spots"])
def test_an_artefact_is_on_one_panel(pieces):
    uniform = np.random.default_rng(0).random((7, 8), np.float32)
    uniform[4] = 0.99  # all of them are there
    shown = np.asarray(pieces(jnp.asarray(uniform), (5, 12, 9)))
    on_panel = shown.any((2, 3))
    assert (on_panel.sum(1) == 1).all() and (on_panel.argmax(1) == (5 * uniform[0]).astype(int)).all()
    assert shown.max() <= 1


class Dark(NamedTuple):
    """Random numbers of artefacts on frames that are dark: 0.001 a pixel."""

    normal: np.ndarray
    uniform: np.ndarray

    def draw(self, name, normals, uniforms):
        return self.normal[:normals], self.uniform[:uniforms]


def dark(frames):
    normal, uniform = (
        np.stack([draw(np.random.default_rng(seed)) for seed in range(frames)]).astype(np.float32)
        for draw in (lambda rng: rng.normal(size=1000), lambda rng: rng.random(1000))
    )
    uniform[:, [11, 12, 18, SMOOTH + 1]] = 0.0, 0.0, 0.9, 0.1  # flat, without a slope, dark
    return Dark(normal, uniform)


def test_artefacts_of_one_type_occur_alone():
    """Each by what it alone does to a dark frame."""
    bare = replace(SMALL, beamstop_radius_m=0.0, gap_m=0.0, stalk_width_m=0.0)
    detector = SimulatedSource(replace(BASE, instrument=bare), seed=4)._setup.detector

    def frames(kind):
        # One program, that runs once: one for every operation takes longer.
        light = jax.vmap(lambda keys: Artefact(artefact_type=kind).light(keys, detector))
        return np.asarray(jax.jit(light, compiler_options={"xla_backend_optimization_level": 0})(dark(6)))

    def levels(frames):
        return np.array([len(np.unique(frame.round(6))) for frame in frames])

    blocks, clusters, clouds = frames("blocks"), frames("hot-clusters"), frames("charge-clouds")
    assert (levels(blocks) >= 2).all() and (levels(blocks) <= 5).all()  # of four blocks at most
    assert (frames("common-modes") > 0.01).mean() > 0.9
    assert ((clusters > 0.0011).mean((1, 2)) < 0.05).all() and (clusters.max((1, 2)) > 0.01).all()
    assert (levels(clouds) > 50).all()  # without edges
    assert (np.abs(np.diff(clouds, axis=2)).max((1, 2)) < 0.7 * clouds.max((1, 2))).all()
    cut = frames("cut-off")
    assert cut.max() < 0.00101 and levels(cut).max() == 2


def test_artefacts_have_edges():
    """Levels jump from pixel to pixel, as no light does that was scattered."""

    def jump(kind):
        frames, _, good = mean_patterns(SMALL, kind)
        both = good[:, 1:] & good[:, :-1]
        step = np.abs(np.diff(np.log(frames + 1e-3 * frames.max((1, 2), keepdims=True)), axis=2))
        return np.median((step * both).max((1, 2)))

    assert jump("artefact") > 2 * jump("stray_light")
