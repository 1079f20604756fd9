from dataclasses import dataclass, fields, replace

import numpy as np
from onehit.simulate import PRESETS, SimulationConfig
from onehit.simulate.beamline.instrument import InstrumentConfig
from onehit.simulate.beamline.pixels import picture_shape
from onehit.simulate.config import BAD_KINDS, BackgroundConfig, BadConfig, BeamConfig, ReadoutConfig
from onehit.simulate.scattering.effects.measured import MeasuredBackground
from onehit.simulate.scattering.hits.empty import NoBodies
from onehit.simulate.scattering.seam import Kind
from onehit.workbench.commands import gallery
from onehit.workbench.commands.gallery import _detectors, _effects, _enlarged, _kinds, _particles
from onehit.workbench.options import Gallery


def test_every_kind_of_hit_has_a_picture_of_its_own():
    pictures = _kinds(SimulationConfig())
    examples = {title: kind.name for kind in SimulationConfig().kinds() for title in kind.examples}
    assert len(pictures) == 1 + len(BAD_KINDS) + len(examples)
    for name, (_, config) in pictures.items():
        config.check()
        if name != "single hit":
            assert config.good_fraction == 0
            kind = examples.get(name, name.replace(" ", "_"))
            assert [kind for kind, share in config.bad.shares().items() if share] == [kind]
    drawn = [pictures[title][1].bad for title in ("artefact", *examples)]
    assert len({config.artefact_type for config in drawn}) == len(drawn) == 6


def test_every_effect_is_shown_off_and_on():
    config = SimulationConfig()
    pictures = _effects(config)
    shown = set()
    for off, on in pictures.values():
        on.check()
        off.check()
        assert off != on
        for part in ("beam", "readout", "instrument"):
            before, after = getattr(off, part), getattr(on, part)
            shown |= {f.name for f in fields(before) if getattr(before, f.name) != getattr(after, f.name)}
    of_effects = set()
    for _, effect in config.effects():
        of_effects |= {f.name for f in fields(effect)}
        assert effect.examples or isinstance(effect, MeasuredBackground)  # that of a file of the user's
        for title in effect.examples:
            off, on = ({type(e): e for _, e in one.effects()}[type(effect)] for one in pictures[title])
            assert on.is_on() and on != off
    # Options that are of no effect.
    which_detector = {"preset", "geometry_file", "photon_energy_ev", "distance_m", "pixel_size_m", "shape", "focus_m"}
    too_weak_to_see = {"polarisation"}  # 0.4 % at the edge of the default detector
    beside = {"detector_seed", "stalk_angle_deg"} | which_detector | too_weak_to_see
    for kind in (BeamConfig, ReadoutConfig, InstrumentConfig):
        assert {f.name for f in fields(kind)} - of_effects - shown <= beside


def test_a_kind_that_shows_nothing_is_drawn_on_a_background():
    """Whatever it is called."""

    @dataclass(frozen=True)
    class Missed(NoBodies, Kind):
        name = "missed"

        missed: float = 0.0

    @dataclass(frozen=True)
    class MoreBad(Missed, BadConfig):
        pass

    pictures = _kinds(replace(SimulationConfig(), bad=MoreBad()))
    lit = {name for name, (_, config) in pictures.items() if config.background != BackgroundConfig()}
    assert lit == {"missed", "empty"}


def test_sorts_of_particles_have_a_picture_each(tmp_path):
    pictures = _particles(SimulationConfig(), tmp_path)
    assert list(pictures) == ["capsid of atoms", "barrel of a density map", "shell"]
    for off, on in pictures.values():
        assert off is None and on.check().good_fraction == 1


def test_every_detector_has_a_picture_with_fringes_of_some_pixels():
    pictures = _detectors(SimulationConfig())
    assert list(pictures) == [f"detector {preset}" for preset in PRESETS]
    for off, on in pictures.values():
        seen = on.check().instrument.instrument()
        assert off is None and max(picture_shape(seen)) <= 256
        fringe = seen.wavelength_m * seen.distance_m / (on.diameter_nm[0] * 1e-9)
        assert 7 < fringe / seen.pixel_size_m < 15


def test_binned_frames_are_drawn_as_large_as_the_others():
    frames = np.arange(8).reshape(2, 2, 2)
    np.testing.assert_array_equal(_enlarged(frames, 4)[:, ::2, 1::2], frames)
    off, on = _effects(replace(SimulationConfig(), instrument=InstrumentConfig("agipd-1m")))["binning"]
    assert off.instrument.instrument().shape == tuple(2 * n for n in on.instrument.instrument().shape)


def test_pictures_follow_the_given_configuration():
    base = replace(SimulationConfig(), diameter_nm=(30.0, 31.0))
    assert all(
        on.diameter_nm == (30.0, 31.0) for pictures in (_kinds(base), _effects(base)) for _, on in pictures.values()
    )


def test_gain_stages_are_drawn_where_pixels_are_not_binned():
    base = SimulationConfig(readout=ReadoutConfig(gain_stages="agipd"))
    for pictures in (_kinds(base), _effects(base), _detectors(base)):
        for off, on in pictures.values():
            assert on.check() and (off is None or off.check())
    assert "gain stages" in _effects(base)
    assert "gain stages" not in _effects(replace(SimulationConfig(), instrument=InstrumentConfig(binning=2)))


def test_all_shapes_have_a_picture(tmp_path, monkeypatch, capsys):
    for name in ("_kinds", "_effects", "_particles", "_detectors"):
        monkeypatch.setattr(gallery, name, lambda *_: {})
    gallery.run_gallery(Gallery(tmp_path / "new"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["shapes.png"]
    assert "1 pictures" in capsys.readouterr().out
