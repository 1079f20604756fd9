"""Impossible values are refused, with the unit that was probably meant; units are converted as files spell them."""

import pytest
from onehit.geometries.errors import InputError
from onehit.simulate import InstrumentConfig, SimulationConfig
from onehit.simulate.beamline.quantities import DIAMETER, DISTANCE, PHOTON_ENERGY, PIXEL_SIZE
from onehit.simulate.config import BadConfig, BeamConfig
from onehit.train.config import ExpectedConfig


@pytest.mark.parametrize(
    "config, says",
    [
        (InstrumentConfig(distance_m=586), r"distance_m is 586; it must lie in 0.001 to 150 m \(in mm\? say 0.586\)"),
        (InstrumentConfig(pixel_size_m=75), r"pixel_size_m is 75; .* \(in um\? say 7.5e-05\)"),
        (InstrumentConfig(photon_energy_ev=1.6), r"photon_energy_ev is 1.6; .* \(in keV\? say 1600\)"),
        (InstrumentConfig(photon_energy_ev=2.563e-16), r"\(in J\? say 1599"),
        (InstrumentConfig(focus_m=1.5), r"focus_m is 1.5; .* \(in mm\? say 0.0015\)"),
        (InstrumentConfig(gap_m=1200), r"gap_m is 1200; .* or be 0 for none \(in um\? say 0.0012\)"),
        (SimulationConfig(diameter_nm=(7e-8, 8e-8)), r"diameter_nm is 7e-08; .* \(in m\? say 70\)"),
        (
            SimulationConfig(bad=BadConfig(debris_diameter_nm=(0.05, 0.1))),
            r"bad.debris_diameter_nm .* \(in um\? say 50\)",
        ),
        (
            SimulationConfig(beam=BeamConfig(coherence_length_m=60.0)),
            r"coherence_length_m is 60; .*\(in mm\? say 0.06\)",
        ),
        (ExpectedConfig(diameter_nm=7e-8), r"diameter_nm is 7e-08; it must lie in 1 to 10000 nm \(in m\? say 70\)"),
        (ExpectedConfig(diameter_nm=-70), r"diameter_nm is -70; it must lie in 1 to 10000 nm$"),
    ],
)
def test_an_impossible_value_is_refused_with_the_unit_that_was_meant(config, says):
    with pytest.raises(InputError, match=says) as caught:
        config.instrument() if isinstance(config, InstrumentConfig) else config.check()
    assert "\n" not in str(caught.value)


def test_geometry_files_are_held_to_the_same(tmp_path):
    path = tmp_path / "mm.geom"
    path.write_text(
        "clen = 586\nphoton_energy = 1600\nres = 13333\n0/min_fs = 0\n0/max_fs = 63\n0/min_ss = 0\n0/max_ss = 63\n"
        "0/fs = x\n0/ss = y\n0/corner_x = -32\n0/corner_y = -32\n"
    )
    with pytest.raises(InputError, match=r"mm\.geom.* 586"):
        InstrumentConfig(geometry_file=str(path)).instrument()


@pytest.mark.parametrize(
    "quantity, value, unit, expected",
    [
        (DISTANCE, 586.0, "mm", 0.586),
        (DISTANCE, 58.6, " Centimetres ", 0.586),
        (PIXEL_SIZE, 75.0, "µm", 75e-6),
        (PIXEL_SIZE, 75.0, "μm", 75e-6),
        (PIXEL_SIZE, 75.0, "microns", 75e-6),
        (DIAMETER, 700.0, "Å", 70.0),
        (PHOTON_ENERGY, 1.6, "keV", 1600.0),
        (PHOTON_ENERGY, 2.5634826e-16, "Joule", 1600.0),
    ],
)
def test_units_are_converted_however_they_are_spelled(quantity, value, unit, expected):
    assert quantity.converted("it", value, unit) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("unit", ["furlong", "keV", ""])
def test_units_of_something_else_are_refused(unit):
    with pytest.raises(InputError, match="say it in mm, um, nm, m"):
        DISTANCE.converted("distance", 1.0, unit)
