import io
from dataclasses import replace
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from made_up import made_up_patterns, made_up_provenance
from onehit.simulate.beamline.instrument import PRESETS, Instrument, InstrumentConfig, Panel
from onehit.simulate.beamline.pixels import hidden_pixels, pixel_positions
from onehit.simulate.config import BAD_KINDS
from onehit.simulate.formats.cxi import encode_cxi
from onehit.simulate.formats.hdf5 import encode_hdf5

AMO = replace(PRESETS["amo86615-128"], shape=(10, 8))
AGIPD = InstrumentConfig("agipd-1m", binning=32).instrument()
JUNGFRAU = InstrumentConfig("jungfrau-4m", binning=64).instrument()
# Tilted out of the plane, columns longer than rows; no panel is a mirror image of another's.
_TURNED = (
    Panel((1e-3, -2e-3, 1e-3), (0.0, 1e-4, 2e-5), (-1e-4, 0.0, 3e-5)),
    Panel((-1e-3, 2e-3, -2e-3), (9e-5, 4e-5, 0.0), (4e-5, -9e-5, 1e-5)),
)
TURNED = Instrument(7000.0, 0.1, 1e-4, (2 * 3, 5), 1e-6, panels=_TURNED)
ONE_PANEL = replace(TURNED, shape=(3, 5), panels=_TURNED[:1])
INSTRUMENTS = {"amo": AMO, "agipd": AGIPD, "jungfrau": JUNGFRAU, "turned": TURNED, "one panel": ONE_PANEL}

# Axes that the specification takes for granted, by data set.
_IMPLICIT = {"y", "x", "dimension", "coordinate"}


class Cxi(NamedTuple):
    """A CXI file as its specification (version 1.6) has it read, without a look at who wrote it."""

    version: int
    entries: int
    data: np.ndarray
    mask: np.ndarray
    tags: dict[str, np.ndarray]
    energy_j: np.ndarray
    distance_m: float
    pixel_size_m: tuple[float, float]
    position_m: np.ndarray
    identifiers: list[str]


def read_cxi(content: bytes) -> Cxi:
    with h5py.File(io.BytesIO(content)) as file:
        entry = file["entry_1"]
        detector = entry["instrument_1/detector_1"]
        assert entry["data_1/data"] == detector["data"]
        energy = entry["instrument_1/source_1/energy"]
        for item in (energy, *detector.values()):
            if "axes" in item.attrs:
                check_axes(item)
        assert set(axes(detector["data"])) >= {"experiment_identifier", "y", "x"}
        assert axes(energy) == ["experiment_identifier"]

        corner, basis = detector["corner_position"][()], detector["basis_vectors"][()]
        rows, columns = detector["data"].shape[-2:]
        row, column = (np.arange(n)[:, None] + 0.5 for n in (rows, columns))
        down, across = row * basis[..., None, 0, :], column * basis[..., None, 1, :]
        position = corner[..., None, None, :] + down[..., :, None, :] + across[..., None, :, :]

        headings, tags = detector["tags"].attrs["headings"], detector["tags"][()]
        assert tags.dtype.itemsize == 1 and tags.shape == (len(headings), len(detector["data"]))
        return Cxi(
            file["cxi_version"][()],
            file["number_of_entries"][()],
            detector["data"][()],
            detector["mask"][()],
            dict(zip(headings, tags, strict=True)),
            energy[()],
            detector["distance"][()],
            (detector["x_pixel_size"][()], detector["y_pixel_size"][()]),
            position,
            [text.decode() for text in entry["experiment_identifier"]],
        )


def axes(data_set) -> list[str]:
    return data_set.attrs["axes"].split(":")


def check_axes(data_set):
    """Section 8.1: every axis is implicit, or a data set of that name and length in the same group."""
    assert len(axes(data_set)) == data_set.ndim, data_set.name
    for length, axis in zip(data_set.shape, axes(data_set), strict=True):
        if axis not in _IMPLICIT:
            assert data_set.parent[axis].shape == (length,), (data_set.name, axis)


def encoded(instrument, counts=None, bad_pixel=None, first=0):
    counts = np.zeros((4, *instrument.shape), np.int32) if counts is None else counts
    patterns = made_up_patterns(counts)
    return patterns, encode_cxi(patterns, first, made_up_provenance(instrument, bad_pixel))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_counts_and_masks_read_back(data):
    instrument = INSTRUMENTS[data.draw(st.sampled_from(sorted({*INSTRUMENTS} - {"jungfrau"})))]
    shape = (data.draw(st.integers(1, 3)), *instrument.shape)
    counts = data.draw(hnp.arrays(data.draw(st.sampled_from(["int32", "float32"])), shape))
    bad_pixel = data.draw(hnp.arrays(bool, instrument.shape))
    cxi = read_cxi(encoded(instrument, counts, bad_pixel)[1])
    frames = cxi.data if len(instrument.all_panels) == 1 else np.concatenate(np.moveaxis(cxi.data, 1, 0), axis=1)
    np.testing.assert_array_equal(frames, counts)
    assert frames.dtype == counts.dtype
    np.testing.assert_array_equal(cxi.mask.reshape(instrument.shape) != 0, bad_pixel)


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_pixels_stand_where_the_simulation_has_them(name):
    instrument = INSTRUMENTS[name]
    cxi = read_cxi(encoded(instrument)[1])
    modules = len(instrument.all_panels)
    assert cxi.data.shape[1:] == ((modules,) if modules > 1 else ()) + instrument.panel_shape
    position = cxi.position_m.reshape(*instrument.shape, 3)
    np.testing.assert_allclose(position, pixel_positions(instrument), rtol=0, atol=1e-9)
    assert cxi.distance_m == instrument.distance_m and cxi.pixel_size_m == (instrument.pixel_size_m,) * 2


def test_the_head_is_what_the_specification_asks_for():
    _, content = encoded(AGIPD)
    cxi = read_cxi(content)
    assert (cxi.version, cxi.entries) == (160, 1)
    with h5py.File(io.BytesIO(content)) as file:
        assert [name for name in file if name.startswith("entry")] == ["entry_1"]
        detector = file["entry_1/instrument_1/detector_1"]
        assert file["entry_1"].get("data_1", getlink=True).path == detector.name
        assert axes(detector["data"]) == ["experiment_identifier", "module_identifier", "y", "x"]
        assert axes(detector["corner_position"]) == ["module_identifier", "coordinate"]
        assert axes(detector["basis_vectors"]) == ["module_identifier", "dimension", "coordinate"]
        assert len(set(detector["module_identifier"])) == 16
        assert detector["mask"].dtype == np.uint32 and detector["mask"].shape == (16, *AGIPD.panel_shape)
        assert file["entry_1/program_name"][()] == b"onehit"


def test_photon_energies_are_joules():
    patterns, content = encoded(AMO)
    # Planck's constant times the speed of light over the wavelength.
    wavelength_m = 1.239841984e-6 / patterns.truth.photon_energy_ev.astype(float)
    np.testing.assert_allclose(read_cxi(content).energy_j, 6.62607015e-34 * 299792458 / wavelength_m, rtol=1e-9)


def test_labels_and_kinds_are_tags():
    patterns, content = encoded(AMO, np.zeros((60, *AMO.shape), np.int32))
    tags = read_cxi(content).tags
    np.testing.assert_array_equal(tags["single_hit"], patterns.label)
    assert list(tags) == ["single_hit", *BAD_KINDS]
    for number, kind in enumerate(BAD_KINDS, 1):
        np.testing.assert_array_equal(tags[kind], patterns.truth.kind == number)
    np.testing.assert_array_equal(sum(tags.values()), 1)


def test_every_frame_is_identified_by_its_index():
    _, content = encoded(AMO, first=2**32 - 4)
    assert read_cxi(content).identifiers == ["4294967292", "4294967293", "4294967294", "4294967295"]


def test_the_mask_says_why_pixels_are_bad():
    instrument = replace(
        PRESETS["amo86615-128"],
        shape=(24, 20),
        gap_m=2e-3,
        beamstop_radius_m=1.5e-3,
        stalk_width_m=1e-3,
        stalk_angle_deg=90.0,
        bad_blocks=((0, 1, 2, 5),),
    )
    dead = np.zeros(instrument.shape, bool)
    dead[3, 3] = dead[12, 3] = True
    bad_pixel = hidden_pixels(instrument) | dead
    bad_pixel[0, 2] = False  # who made the mask decides
    cxi = read_cxi(encoded(instrument, bad_pixel=bad_pixel)[1])

    x, y = cxi.position_m[..., 0], cxi.position_m[..., 1]
    row, column = np.indices(instrument.shape)
    expected = np.zeros(instrument.shape, int)
    expected[(np.hypot(x, y) < 1.5e-3) | ((np.abs(x) < 0.5e-3) & (y > 0))] |= 0x10
    expected[np.abs(y) < 1e-3] |= 0x200
    expected[(row <= 1) & (column >= 2) & (column <= 5)] |= 0x80
    expected[3, 3] = 0x8
    expected[0, 2] = 0
    np.testing.assert_array_equal(cxi.mask, expected)
    assert {0, 0x8, 0x10, 0x80, 0x200, 0x210} == set(np.unique(cxi.mask))


def test_truth_is_the_plain_layouts():
    patterns, provenance = made_up_patterns(np.zeros((5, *AMO.shape), np.int32)), made_up_provenance(AMO)
    contents = [encode(patterns, 6, provenance) for encode in (encode_cxi, encode_hdf5)]
    cxi, plain = (h5py.File(io.BytesIO(content)) for content in contents)
    with cxi, plain:
        assert dict(cxi.attrs) == dict(plain.attrs)
        assert set(cxi["entry_1/truth"]) == set(plain["truth"])
        for name, values in plain["truth"].items():
            np.testing.assert_array_equal(cxi["entry_1/truth"][name], values)
            assert set(cxi["entry_1/truth"][name].attrs) == set(values.attrs)
