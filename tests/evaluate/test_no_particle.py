"""Frames without a particle: what they show, that each is a function of its index alone, and how they are counted."""

from dataclasses import replace

import numpy as np
import pytest
from onehit.evaluate import no_particle
from onehit.evaluate.config import EvaluateConfig
from onehit.evaluate.no_particle import EMPTY, FAMILIES, UNSEEN, OtherFrames, expected_light, score_no_particle
from onehit.evaluate.unwanted import OTHER_MATERIAL
from onehit.geometries import InputError
from onehit.simulate import SimulatedSource

GOOD_PIXEL = np.ones((128, 128), bool)
GOOD_PIXEL[40:80, 50:60] = False


class KeepsBright:
    """Stands in for a classifier that keeps what has at least so many photons."""

    threshold = 0.0

    def __init__(self, photons):
        self.photons = photons

    def score(self, counts, bad_pixel=None):
        photons = np.asarray(counts).sum((1, 2))
        return np.where(photons > 0, photons - self.photons, -np.inf).astype(np.float32)


@pytest.mark.parametrize("name", FAMILIES)
def test_held_out_frames_are_as_bright_as_asked_on_good_pixels_alone(name):
    expected = expected_light(name, np.random.default_rng(3), GOOD_PIXEL, 1e5)
    assert expected.shape == GOOD_PIXEL.shape and (expected[GOOD_PIXEL] > 0).all()
    assert (expected[~GOOD_PIXEL] == 0).all()
    level = {"flat, 1 photon a pixel": 1, "flat, 20 photons a pixel": 20}.get(name)
    assert expected.sum() == pytest.approx(GOOD_PIXEL.sum() * level if level else 1e5)


def test_speckle_is_exponential_and_grains_are_as_wide_as_said():
    """Contrast 1, as of exponential statistics; grains by where the autocorrelation falls to half."""
    rng, everywhere = np.random.default_rng(4), np.ones((256, 256), bool)
    widths = []
    for _ in range(20):
        frame = expected_light("speckle", rng, everywhere, 1e6)
        assert 0.8 < frame.std() / frame.mean() < 1.2
        power = np.abs(np.fft.rfft(frame - frame.mean(), axis=1)) ** 2
        along = np.fft.irfft(power.mean(0))
        widths.append(2 * np.interp(0.5, (along / along[0])[12::-1], np.arange(12, -1, -1)))
    assert 1.5 < min(widths) < 5 < max(widths) < 11


def test_a_held_out_frame_depends_on_seed_and_index_alone(small_simulation):
    detector = SimulatedSource(small_simulation)
    source = OtherFrames(detector, (1e4, 1e6), 5)
    some = np.array([40, 3, 17])
    np.testing.assert_array_equal(source.patterns(some).counts, source.patterns(np.arange(41)).counts[some])
    other = OtherFrames(detector, (1e4, 1e6), 6).patterns(some).counts
    assert not (source.patterns(some).counts == other).all((1, 2)).any()
    assert not source.patterns(some).counts[:, detector.bad_pixel].any()


def test_each_kind_is_scored_on_its_own(small_simulation):
    config = EvaluateConfig(test=small_simulation, no_particle=30)
    everything = score_no_particle(KeepsBright(0), config)  # pyright: ignore
    assert [name for name, summary in everything.items() if summary["held_out"]] == list(UNSEEN)
    assert set(EMPTY) <= set(everything)
    for summary in everything.values():
        assert (summary["n_good"], summary["n_invalid"]) == (0, 0)
        assert abs(summary["n_bad"] - 30) <= 2  # kinds of one source are drawn
        assert summary["false_positive_rate"] == 1
    kept = score_no_particle(KeepsBright(1e4), config)  # pyright: ignore
    # 32 x 32 pixels: 20 photons in each are above 10^4, one in each is not; the others follow the test's 10^5 and more.
    assert kept["flat, 20 photons a pixel"]["false_positives"] == 30
    assert kept["flat, 1 photon a pixel"]["false_positives"] == 0
    assert kept["speckle"]["false_positives"] == kept["glow at an edge"]["false_positives"] == 30
    assert 0 < kept["empty, flat background"]["false_positives"] < 30


def test_kinds_that_one_source_makes_are_told_apart(small_simulation, monkeypatch):
    """Of stand-ins, one of which is made large and the other small."""
    monkeypatch.setattr(no_particle, "WITHOUT_PARTICLE", ("empty", "droplet", "aggregate"))
    monkeypatch.setattr(no_particle, "EMPTY", {})
    monkeypatch.setattr(no_particle, "FAMILIES", {"flat": 1.0})

    class KeepsWide(KeepsBright):
        """Keeps what has less than four fifths of its photons in the middle."""

        def score(self, counts, bad_pixel=None):
            counts = np.asarray(counts)
            return (0.8 - counts[:, 12:20, 12:20].sum((1, 2)) / counts.sum((1, 2))).astype(np.float32)

    bad = replace(small_simulation.bad, droplet_diameter_nm=(300.0, 400.0), aggregate_diameter_nm=(15.0, 20.0))
    config = EvaluateConfig(test=replace(small_simulation, bad=bad), no_particle=40)
    found = score_no_particle(KeepsWide(0), config)  # pyright: ignore
    assert list(found) == ["droplet", "aggregate", "flat"]
    assert found["droplet"]["n_bad"] + found["aggregate"]["n_bad"] == 80
    assert found["droplet"]["false_positives"] == 0
    assert found["aggregate"]["false_positives"] == found["aggregate"]["n_bad"] > 38


def test_other_material_has_a_body():
    assert {"droplet", "wet_particle", "debris", "aggregate"} <= set(OTHER_MATERIAL)
    assert not {"empty", "multi_hit"} & set(OTHER_MATERIAL)


def test_too_few_frames_are_refused():
    with pytest.raises(InputError, match="no_particle is 5; give 0"):
        EvaluateConfig(no_particle=5).check()
    EvaluateConfig(no_particle=0).check()
