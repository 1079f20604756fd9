import math
from dataclasses import replace

import pytest
from onehit.geometries.errors import InputError
from onehit.simulate.beamline.instrument import PRESETS, InstrumentConfig
from scipy import constants


@pytest.mark.parametrize("energy", [400.0, 1600.0, 9000.0])
def test_wavelength_and_wavenumber(energy):
    instrument = InstrumentConfig(photon_energy_ev=energy).instrument()
    wavelength = constants.h * constants.c / (constants.e * energy)
    assert instrument.wavelength_m == pytest.approx(wavelength, rel=1e-9)
    assert instrument.wavenumber == pytest.approx(2 * math.pi / wavelength, rel=1e-9)


def test_the_preset_is_the_published_experiment():
    fine, coarse = PRESETS["amo86615"], PRESETS["amo86615-128"]
    for instrument in (fine, coarse):
        assert instrument.photon_energy_ev == pytest.approx(1600, rel=1e-3)
        assert instrument.wavelength_m == pytest.approx(0.775e-9)
        assert instrument.distance_m == 0.586
        assert instrument.shape[0] * instrument.pixel_size_m == pytest.approx(1024 * 75e-6)
    assert fine.shape == (256, 256) and coarse.shape == (128, 128)
    assert replace(coarse, shape=fine.shape, pixel_size_m=fine.pixel_size_m) == fine


def test_the_default_is_a_preset_unchanged_and_overrides_change_only_what_they_name():
    assert InstrumentConfig().instrument() == PRESETS["amo86615-128"]
    changes = {
        "photon_energy_ev": 3000.0,
        "distance_m": 0.3,
        "pixel_size_m": 1e-3,
        "shape": (64, 32),
        "focus_m": 1e-7,
        "beamstop_radius_m": 0.0,
        "gap_m": 3e-3,
        "polarisation": "vertical",
    }
    for name, value in changes.items():
        instrument = InstrumentConfig("amo86615", **{name: value}).instrument()
        assert instrument == replace(PRESETS["amo86615"], **{name: value})
    assert InstrumentConfig("amo86615", **changes).instrument().centre == (31.5, 15.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "amo8615"}, "unknown instrument 'amo8615': did you mean amo86615"),
        ({"preset": "?"}, r"the presets are amo86615, amo86615-128"),
        ({"photon_energy_ev": 0.0}, r"photon_energy_ev is 0; it must lie in 50 to 1e\+06 eV"),
        ({"distance_m": -1.0}, "distance_m is -1"),
        ({"pixel_size_m": math.nan}, "pixel_size_m is nan"),
        ({"photon_energy_ev": math.inf}, "photon_energy_ev is inf"),
        ({"focus_m": 0.0}, "focus_m is 0"),
        ({"beamstop_radius_m": -1e-3}, "beamstop_radius_m is -0.001"),
        ({"beamstop_radius_m": math.nan}, "beamstop_radius_m is nan"),
        ({"gap_m": -1e-3}, "gap_m is -0.001"),
        ({"shape": (4, 128)}, r"shape is \(4, 128\); at least 8 x 8"),
        ({"polarisation": "circular"}, "'circular' is unknown: say horizontal, vertical or unpolarised"),
    ],
)
def test_a_mistake_is_named_in_one_line(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        InstrumentConfig(**changes).instrument()
    assert "\n" not in str(caught.value)
