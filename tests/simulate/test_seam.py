"""A made-up effect and a made-up kind of hit, defined here alone, join as any other: one file and one line each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

import h5py
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.simulate.config import BAD_KINDS, BadConfig
from onehit.simulate.scattering.ranges import Range, between
from onehit.simulate.scattering.scene import ELLIPSOID
from onehit.simulate.scattering.seam import FIRST, NONE, Kind, Modulation, Slots
from onehit.workbench import cli
from onehit.workbench.commands.gallery import _effects, _kinds
from onehit.workbench.options import Gallery, Simulate
from tyro.conf import arg


@dataclass(frozen=True)
class Tilt(Modulation):
    """Brighter to the right."""

    examples = {"tilted brightness": {"tilt_strength": (0.5, 0.5)}}

    tilt_strength: Range = (0.0, 0.0)
    """Least and most relative change of the brightness from the middle to the edge."""

    def is_on(self):
        return self.tilt_strength[1] > 0

    def _strength(self, keys):
        return between(keys.draw("tilt", 0, 1)[1][0], self.tilt_strength)

    def factor(self, keys, detector):
        x = detector.scattering[..., 0]
        return 1 + self._strength(keys) * x / x.max()

    def truth(self, keys, detector):
        return {"tilt": self._strength(keys)}


@dataclass(frozen=True)
class Bubble(Kind):
    """One sphere of gold."""

    name = "bubble"
    materials = ("bubble_material",)

    bubble: float = 0.0
    """Share of bubbles."""
    bubble_diameter_nm: float = 40.0
    """Diameter of a bubble, in nm."""
    bubble_material: str = "gold"
    """What bubbles are made of."""

    def slots(self, count, particles):
        return Slots(NONE, FIRST)

    def scene(self, bodies, draw, setting):
        return bodies._replace(
            geometry=jnp.full_like(bodies.geometry, ELLIPSOID),
            diameter_m=jnp.full_like(bodies.diameter_m, self.bubble_diameter_nm * 1e-9),
            stretch=jnp.ones_like(bodies.stretch),
            contrast=jnp.full_like(bodies.contrast, setting.contrast["bubble_material"]),
        )


@dataclass(frozen=True)
class MoreBad(Bubble, BadConfig):
    pass


@dataclass(frozen=True)
class More(Tilt, SimulationConfig):
    bad: MoreBad = field(default_factory=MoreBad)


@dataclass(frozen=True)
class SimulateMore(Simulate):
    """Simulate with both."""

    simulation: Annotated[More, arg(name="")] = field(default_factory=More)


@dataclass(frozen=True)
class GalleryMore(Gallery):
    """Draw both."""

    simulation: Annotated[More, arg(name="")] = field(default_factory=More)


INSTRUMENT = InstrumentConfig(shape=(32, 32), pixel_size_m=2.4e-3, beamstop_radius_m=0.0, gap_m=0.0)
ON = More(instrument=INSTRUMENT, tilt_strength=(0.2, 0.6), good_fraction=0.5, bad=MoreBad(bubble=1.0, multi_hit=0.0))


@pytest.fixture
def commands(monkeypatch):
    for name, kind in (("simulate", SimulateMore), ("gallery", GalleryMore)):
        monkeypatch.setitem(cli.COMMANDS, name, (kind, cli.COMMANDS[name][1]))


def test_both_are_options_of_the_command_line(commands, capsys):
    with pytest.raises(SystemExit):
        cli.main(["simulate", "--help"])
    said = capsys.readouterr().out
    assert "--tilt-strength" in said and "--bad.bubble-diameter-nm" in said and "Share of bubbles" in said


def test_both_are_in_the_truth_and_in_the_file_that_the_command_writes(commands, tmp_path):
    options = ["--instrument.shape", "32", "32", "--instrument.pixel-size-m", "2.4e-3", "--bad.multi-hit", "0"]
    options += ["--tilt-strength", "0.2", "0.6", "--bad.bubble", "1", "--bad.bubble-diameter-nm", "55"]
    assert cli.main(["simulate", str(tmp_path / "more.h5"), "--count", "32", *options]) == 0
    with h5py.File(tmp_path / "more.h5") as file:
        kind, names = file["truth/kind"][:], list(file["truth/kind"].attrs["names"])
        assert names == ["single_hit", *BAD_KINDS, "bubble"]
        bubble = kind == names.index("bubble")
        assert bubble.sum() == 16 and (file["label"][:] == ~bubble).all()
        np.testing.assert_allclose(file["truth/diameter_m"][bubble, 0], 55e-9, rtol=1e-6)
        tilt = file["truth/tilt"][:]
        assert len(set(tilt)) == 32 and ((tilt > 0.2) & (tilt < 0.6)).all()


def test_they_do_what_they_say():
    mean = replace(ON, noise=False, good_fraction=0.0, tilt_strength=(0.5, 0.5))
    pictures = {on: np.asarray(SimulatedSource(c).patterns([3]).counts)[0] for on, c in
                (("off", replace(mean, tilt_strength=(0.0, 0.0))), ("on", mean))}  # fmt: skip
    ratio = pictures["on"] / pictures["off"]
    x = np.linspace(-1, 1, 32)
    np.testing.assert_allclose(ratio / ratio.mean(), np.broadcast_to(1 + 0.5 * x, ratio.shape), rtol=0.05)
    # A ball's pattern is round.
    np.testing.assert_allclose(pictures["off"], pictures["off"].T, rtol=0.05)


def test_nobody_else_s_numbers_change():
    """Those of single hits; shares of kinds, and so who is which, do."""
    without = SimulationConfig(instrument=INSTRUMENT, good_fraction=1.0)
    beside = More(instrument=INSTRUMENT, good_fraction=1.0, bad=MoreBad(bubble=1.0))
    counts = [np.asarray(SimulatedSource(config, 3).patterns(range(8)).counts) for config in (without, beside)]
    np.testing.assert_array_equal(*counts)


def test_both_have_a_picture_in_the_gallery(commands):
    kinds, effects = _kinds(More()), _effects(More())
    off, on = effects["tilted brightness"]
    assert on == replace(off, tilt_strength=(0.5, 0.5)) and kinds["bubble"][1].bad.shares()["bubble"] == 1


def test_types_of_effects_are_told_apart_though_their_fields_look_alike():
    """JAX 0.10.1 takes two registered dataclasses of the same fields for the same."""
    noisy = SimulationConfig(instrument=INSTRUMENT, good_fraction=1.0)
    saturated = replace(noisy, readout=replace(noisy.readout, saturation_photons=5.0))
    stepped = replace(noisy, readout=replace(noisy.readout, adu_per_photon=5.0))
    assert np.asarray(SimulatedSource(stepped).patterns([0]).counts).max() > 5
    assert np.asarray(SimulatedSource(saturated).patterns([0]).counts).max() == 5
