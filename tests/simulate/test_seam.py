"""A made-up effect and a made-up kind of hit, defined here alone, join as any other: one file and one line each."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from inspect import get_annotations
from typing import Annotated

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries import InputError
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.simulate.config import BAD_KINDS, BadConfig, BeamConfig
from onehit.simulate.program_inputs import TAKEN
from onehit.simulate.scattering.keys import named_keys
from onehit.simulate.scattering.ranges import Range, between, bounds
from onehit.simulate.scattering.scene import ELLIPSOID
from onehit.simulate.scattering.seam import (
    FIRST,
    NONE,
    Detector,
    Kind,
    Modulation,
    Part,
    PulseEffect,
    Shots,
    Slots,
    part_types,
)
from onehit.workbench import cli
from onehit.workbench.commands.gallery import _effects, _kinds, draw
from onehit.workbench.options import Gallery, Simulate
from tyro.conf import arg


@dataclass(frozen=True)
class Tilt(Modulation):
    """Brighter to the right."""

    examples = {"tilted brightness": {"tilt_strength": (0.5, 0.5)}}

    tilt_strength: Range = (0.0, 0.0)
    """Least and most relative change of the brightness from the middle to the edge."""

    def is_on(self):
        return bounds(self.tilt_strength)[1] > 0

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
    bubble_spread: float = 0.0
    """Standard deviation of the log of that diameter."""
    bubble_material: str = "gold"
    """What bubbles are made of."""

    def slots(self, count, particles):
        return Slots(NONE, FIRST)

    def scene(self, bodies, draw, setting):
        factor = jnp.exp(self.bubble_spread * setting.keys.draw("bubble", 1, 0)[0])
        return bodies._replace(
            geometry=jnp.full_like(bodies.geometry, ELLIPSOID),
            diameter_m=jnp.full_like(bodies.diameter_m, self.bubble_diameter_nm * 1e-9) * factor,
            stretch=jnp.ones_like(bodies.stretch),
            contrast=jnp.full_like(bodies.contrast, setting.contrast["bubble_material"]),
        )


@dataclass(frozen=True)
class Blueshift(PulseEffect):
    """Photon energies above the instrument's."""

    random = True

    blueshift: float = 0.0
    """The largest, relative."""

    def is_on(self):
        return self.blueshift > 0

    def pulse(self, pulse, keys, pixel_angle):
        _, uniform = keys.draw("blueshift", 0, 1)
        return pulse._replace(wavenumber=pulse.wavenumber * (1 + self.blueshift * (0.9 + 0.1 * uniform[0])))

    def reach(self, reach):
        return reach._replace(wavenumber=reach.wavenumber * (1 + self.blueshift))


@dataclass(frozen=True)
class MoreBeam(Blueshift, BeamConfig):
    pass


@dataclass(frozen=True)
class MoreBad(Bubble, BadConfig):
    pass


@dataclass(frozen=True)
class More(Tilt, SimulationConfig):
    bad: MoreBad = field(default_factory=MoreBad)
    beam: MoreBeam = field(default_factory=MoreBeam)


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


@pytest.mark.parametrize("name, place", [("more.h5", "/"), ("more.cxi", "entry_1")])
def test_both_are_in_the_truth_and_in_the_file_that_the_command_writes(commands, tmp_path, name, place):
    options = ["--instrument.shape", "32", "32", "--instrument.pixel-size-m", "2.4e-3", "--bad.multi-hit", "0"]
    options += ["--tilt-strength", "0.2", "0.6", "--bad.bubble", "1", "--bad.bubble-diameter-nm", "55"]
    assert cli.main(["simulate", str(tmp_path / name), "--count", "32", *options]) == 0
    with h5py.File(tmp_path / name) as file:
        truth = file[place]["truth"]
        kind, names = truth["kind"][:], list(truth["kind"].attrs["names"])
        assert names == ["single_hit", *BAD_KINDS, "bubble"]
        bubble = kind == names.index("bubble")
        assert bubble.sum() == 16 and (kind[~bubble] == 0).all()
        np.testing.assert_allclose(truth["diameter_m"][bubble, 0], 55e-9, rtol=1e-6)
        tilt = truth["tilt"][:]
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


def test_both_have_a_picture_in_the_gallery(tmp_path):
    small = More(instrument=INSTRUMENT)
    kinds, effects = _kinds(small), _effects(small)
    off, on = effects["tilted brightness"]
    assert on == replace(off, tilt_strength=(0.5, 0.5)) and kinds["bubble"][1].bad.shares()["bubble"] == 1

    def drawn(pair):
        figure = draw(*pair, shown=1)
        figure.savefig(tmp_path / "drawn.png")
        images = [panel.images[0].get_array() for panel in figure.axes if panel.images]
        return [np.ma.filled(image, 0) for image in images if image.shape == (32, 32)]

    before, after = drawn((off, on))
    assert after[:, -8:].sum() / after.sum() > 1.2 * before[:, -8:].sum() / before.sum()
    (frame,) = drawn(kinds["bubble"])
    assert frame.any()


def test_a_law_does_where_a_range_does():
    law = replace(ON, tilt_strength="uniform:low=0.2,high=0.6")
    assert [type(effect) for _, effect in law.effects() if effect.is_on()] == [Tilt]
    tilt = np.asarray(SimulatedSource(law).patterns(range(32)).truth.drawn["tilt"])
    assert len(set(tilt)) == 32 and ((tilt > 0.2) & (tilt < 0.6)).all()


def test_a_kind_draws_numbers_of_its_own():
    wide = replace(ON, bad=replace(ON.bad, bubble_spread=0.1))
    before, after = (SimulatedSource(config).patterns(range(32)) for config in (ON, wide))
    bubble = np.asarray(after.truth.kind) > 0
    diameter = np.asarray(after.truth.scene.diameter_m)[bubble, 0]
    assert len(set(diameter)) == 16 and np.log(diameter / 40e-9).std() == pytest.approx(0.1, rel=0.5)
    np.testing.assert_array_equal(before.counts[~bubble], after.counts[~bubble])


def test_tables_are_made_as_far_as_an_effect_says_that_pulses_get():
    far = More(
        instrument=replace(INSTRUMENT, distance_m=0.2),
        good_fraction=1.0,
        noise=False,
        diameter_nm=(60.0, 60.0),
        beam=MoreBeam(blueshift=0.5),
    )
    source, exact = (SimulatedSource(replace(far, amplitude=how)) for how in ("table", "exact"))
    frames, wanted = (np.asarray(one.patterns(range(4)).counts) for one in (source, exact))
    corner = np.s_[:, -4:, -4:]
    np.testing.assert_allclose(frames[corner], wanted[corner], atol=0.02 * wanted[corner].max())
    with pytest.raises(InputError, match="photon energies of the beam, farther than here"):
        source.with_config(replace(far, beam=MoreBeam(blueshift=0.6)))


def test_options_of_the_same_name_are_refused():
    @dataclass(frozen=True)
    class Twin(Modulation):
        tilt_strength: float = 0.0

    @dataclass(frozen=True)
    class Both(Twin, More):
        pass

    with pytest.raises(TypeError, match="Twin and Tilt both have an option tilt_strength"):
        Both().effects()


@pytest.mark.parametrize("name", ["tilt", "photons", "index"])
def test_a_name_that_stands_in_the_truth_already_is_refused(name):
    @dataclass(frozen=True)
    class Second(Modulation):
        second: bool = True

        def is_on(self):
            return True

        def factor(self, keys, detector):
            return jnp.ones_like(detector.good_pixel)

        def truth(self, keys, detector):
            return {name: jnp.float32(0)}

    @dataclass(frozen=True)
    class Both(Second, More):
        pass

    config = Both(instrument=INSTRUMENT, tilt_strength=(0.2, 0.6), good_fraction=1.0, amplitude="exact")
    with pytest.raises(ValueError, match=f"calls {name} what stands in the truth already"):
        SimulatedSource(config).patterns([0])


def test_the_house_s_own_options_and_what_it_draws_have_names_of_their_own():
    config, names = SimulationConfig(), []
    for place in (config, *(value for f in fields(config) if is_dataclass(value := getattr(config, f.name)))):
        of_rooms = {f.name for room in part_types(type(place), Part) if room is not type(place) for f in fields(room)}
        assert of_rooms.isdisjoint(get_annotations(type(place)))
    dark = jnp.zeros((4, 4))
    shots = Shots(jnp.zeros((2, 4, 4)), jnp.arange(2))
    keys = named_keys(jax.random.key(0))
    detector = Detector(jnp.zeros((4, 4, 3)), dark + 1, dark, jnp.zeros(1), dark, keys, 8000.0, shots)
    for _, effect in replace(config, background=replace(config.background, frames_as="frames")).effects():
        names += effect.truth(keys, detector)
    assert {"spike_share", "background_frame"} <= {*names} and len(names) == len({*names} - TAKEN)


def test_types_of_effects_are_told_apart_though_their_fields_look_alike():
    """JAX 0.10.1 takes two registered dataclasses of the same fields for the same."""
    noisy = SimulationConfig(instrument=INSTRUMENT, good_fraction=1.0)
    saturated = replace(noisy, readout=replace(noisy.readout, saturation_photons=5.0))
    stepped = replace(noisy, readout=replace(noisy.readout, adu_per_photon=5.0))
    assert np.asarray(SimulatedSource(stepped).patterns([0]).counts).max() > 5
    assert np.asarray(SimulatedSource(saturated).patterns([0]).counts).max() == 5
