import io
from dataclasses import replace

import h5py
import numpy as np
import pytest
from made_up import made_up_provenance
from onehit.geometries.errors import InputError
from onehit.simulate.beamline.instrument import PRESETS, Instrument, InstrumentConfig, Panel
from onehit.simulate.beamline.pixels import assemble
from onehit.simulate.formats.dragonfly import detector_bytes, read_detector

SHAPE = (12, 20)
OBLONG = replace(PRESETS["amo86615-128"], shape=SHAPE, pixel_size_m=2e-3, distance_m=0.1)
AGIPD = InstrumentConfig("agipd-1m", binning=64).instrument()


def contents(instrument, bad_pixel=None):
    with h5py.File(io.BytesIO(detector_bytes(made_up_provenance(instrument, bad_pixel)))) as file:
        return {name: item[()] for name, item in file.items()}, dict(file.attrs)


def make_detector(nx, ny, detd, ewald_rad, polarisation="x"):
    """A flat detector by the formulas of Dragonfly's detector.py, x, y (ny, nx) in pixels from the beam."""
    x, y = np.meshgrid(np.arange(nx) - (nx - 1) / 2, np.arange(ny) - (ny - 1) / 2)
    r = np.sqrt(x**2 + y**2 + detd**2)
    polarised = {"x": 1 - x**2 / r**2, "y": 1 - y**2 / r**2, "both": 1 - (x**2 + y**2) / r**2 / 2}[polarisation]
    mask = np.uint8(np.hypot(x, y) > min((nx - 1) / 2, (ny - 1) / 2))
    q = x * ewald_rad / r, y * ewald_rad / r, ewald_rad * (detd / r - 1)
    return dict(zip(("qx", "qy", "qz", "corr", "mask"), (*q, detd / r**3 * polarised, mask), strict=True))


def write(path, columns, detd, ewald_rad, **others):
    with h5py.File(path, "w") as file:
        for name, value in columns.items():
            file[name] = np.ravel(value)
        file["detd"], file["ewald_rad"] = detd, ewald_rad
        for name, value in others.items():
            file[name] = value
    return path


@pytest.mark.parametrize("onehit, dragonfly", [("horizontal", "x"), ("vertical", "y"), ("unpolarised", "both")])
def test_a_plain_detector_is_the_one_that_dragonfly_makes(onehit, dragonfly):
    # Of odd size: four pixels stand on the circle itself.
    bad_pixel = np.random.default_rng(0).random((13, 21)) < 0.2
    found, attributes = contents(replace(OBLONG, shape=(13, 21), polarisation=onehit), bad_pixel)
    expected = make_detector(21, 13, detd=50.0, ewald_rad=50.0, polarisation=dragonfly)
    for name in ("qx", "qy", "qz", "corr"):
        assert found[name].dtype == np.float64 and found[name].shape == (273,)
        np.testing.assert_allclose(found[name], expected[name].ravel(), rtol=1e-6, atol=1e-12)
    mask = np.where(bad_pixel, 2, expected["mask"]).ravel()
    assert found["mask"].dtype == np.uint8 and set(mask) == {0, 1, 2}
    np.testing.assert_array_equal(found["mask"], mask)
    assert found["detd"] == found["ewald_rad"] == pytest.approx(50.0) and found["detd"].dtype == np.float64
    assert attributes == {"config": made_up_provenance(OBLONG).config}


def test_q_is_in_voxels_of_the_ewald_sphere():
    found, _ = contents(OBLONG)
    q = np.stack([found[name] for name in ("qx", "qy", "qz")], -1)
    np.testing.assert_allclose(np.linalg.norm(q + [0, 0, 50.0], axis=-1), 50.0, rtol=1e-12)
    assert (found["qz"] < 0).all()
    # Neighbours at the beam are one voxel apart.
    assert np.diff(found["qx"].reshape(SHAPE)[6])[9] == pytest.approx(1, rel=1e-3)


def test_panels_are_a_list_of_pixels():
    size, angle = 1e-3, 0.3
    fast, slow = (size * np.cos(angle), size * np.sin(angle), 0.0), (0.0, 0.0, -size)
    panels = (Panel((0.01, 0.02, 0.0), fast, slow), Panel((-0.03, -0.01, 0.005), slow[::-1], fast))
    instrument = Instrument(2000.0, 0.2, size, (2 * 3, 4), 1e-6, panels=panels)
    found, _ = contents(instrument)
    for number, panel in enumerate(panels):
        for row, column in ((0, 0), (2, 3), (1, 2)):
            corner, f, s = map(np.array, (panel.corner_m, panel.fast_m, panel.slow_m))
            position = corner + (row + 0.5) * s + (column + 0.5) * f + [0, 0, 0.2]
            r = np.linalg.norm(position)
            at = (number * 3 + row) * 4 + column
            q = [found[name][at] for name in ("qx", "qy", "qz")]
            np.testing.assert_allclose(q, 200 * (position / r - [0, 0, 1]), rtol=1e-9)
            solid_angle = abs(np.cross(f, s) @ position) / r**3
            assert found["corr"][at] == pytest.approx(solid_angle * (1 - (position[0] / r) ** 2), rel=1e-5)


def test_a_detector_beside_the_beam_has_no_circle_about_it():
    panel = Panel((0.02, 0.01, 0.0), (1e-3, 0.0, 0.0), (0.0, 1e-3, 0.0))
    found, _ = contents(Instrument(2000.0, 0.2, 1e-3, (8, 9), 1e-6, panels=(panel,)))
    assert not found["mask"].any()


@pytest.mark.parametrize("instrument", [OBLONG, AGIPD])
def test_our_files_come_back_in_the_frame_s_shape(instrument, tmp_path):
    bad_pixel = np.random.default_rng(0).random(instrument.shape) < 0.2
    path = tmp_path / "detector.h5"
    path.write_bytes(detector_bytes(made_up_provenance(instrument, bad_pixel)))
    detector = read_detector(path)
    np.testing.assert_array_equal(detector.bad_pixel, bad_pixel)
    frames = np.random.default_rng(1).integers(0, 9, (3, *instrument.shape))
    np.testing.assert_array_equal(detector.pictures(frames.reshape(3, -1)), frames)
    facts = {name: getattr(instrument, name) for name in ("distance_m", "pixel_size_m", "photon_energy_ev")}
    detd = instrument.distance_m / instrument.pixel_size_m
    assert detector.facts == facts | {"detd": detd, "ewald_rad": detd}
    assert detector.oddities == ()


def test_the_same_detector_gives_the_same_bytes():
    provenance = made_up_provenance(AGIPD)
    assert detector_bytes(provenance) == detector_bytes(provenance)


@pytest.mark.parametrize("order", ["rows along x", "rows along y", "shuffled", "other sign of qz"])
def test_pixels_of_other_files_are_placed_where_they_stand(order, tmp_path):
    columns = make_detector(20, 12, detd=15.0, ewald_rad=33.0)
    columns["mask"][3, 4] = 2
    at = np.arange(240).reshape(SHAPE)
    if order == "rows along x":
        at = at.T
    elif order == "shuffled":
        at = np.random.default_rng(0).permutation(240)
    elif order == "other sign of qz":
        columns["qz"] = -columns["qz"]
    listed = {name: value.ravel()[at.ravel()] for name, value in columns.items()}
    detector = read_detector(write(tmp_path / "det.h5", listed, 15.0, 33.0))
    frames = np.random.default_rng(0).integers(0, 9, (2, *SHAPE))
    np.testing.assert_array_equal(detector.pictures(frames.reshape(2, -1)[:, at.ravel()]), frames)
    # Mask 1 is good, but not for orientations.
    np.testing.assert_array_equal(detector.bad_pixel, columns["mask"] == 2)
    assert (columns["mask"] == 1).any() and detector.oddities == ()


def test_gaps_between_pixels_are_bad_and_dark(tmp_path):
    columns = make_detector(20, 12, detd=80.0, ewald_rad=80.0)
    there = np.ones(SHAPE, bool)
    there[:, 9:11] = there[4, 15] = False
    listed = {name: value[there] for name, value in columns.items()}
    detector = read_detector(write(tmp_path / "det.h5", listed, 80.0, 80.0))
    np.testing.assert_array_equal(detector.bad_pixel, ~there)
    frames = np.random.default_rng(0).integers(1, 9, (2, *SHAPE))
    np.testing.assert_array_equal(detector.pictures(frames[:, there]), np.where(there, frames, 0))


def test_panels_of_other_files_are_put_together_as_pictures_are(tmp_path):
    columns, _ = contents(AGIPD)
    columns = {name: columns[name] for name in ("qx", "qy", "qz", "corr", "mask")}
    detd = AGIPD.distance_m / AGIPD.pixel_size_m
    detector = read_detector(write(tmp_path / "det.h5", columns, detd, detd))
    frames = np.random.default_rng(0).integers(1, 99, (2, *AGIPD.shape))
    picture, gap = assemble(frames, AGIPD)
    found = detector.pictures(frames.reshape(2, -1))
    # Both round places between cells, not always to the same side.
    for axis in (0, 1):
        there = np.flatnonzero((~gap).any(1 - axis))
        assert abs(found.shape[1 + axis] - (there[-1] + 1 - there[0])) <= 1
    assert found.sum() == picture.sum() == frames.sum()
    assert detector.bad_pixel.sum() == detector.bad_pixel.size - AGIPD.shape[0] * AGIPD.shape[1]


def test_pixels_behind_others_are_left_out_and_counted(tmp_path):
    columns = make_detector(20, 12, detd=80.0, ewald_rad=80.0)
    columns = {name: np.append(value, value[0, :3]) for name, value in columns.items()}
    detector = read_detector(write(tmp_path / "det.h5", columns, 80.0, 80.0))
    assert (detector.pixels, detector.bad_pixel.shape) == (243, SHAPE)
    assert detector.oddities == ("3 of the detector's 243 pixels lie behind others and are left out",)


def test_text_files(tmp_path):
    columns = make_detector(20, 12, detd=80.0, ewald_rad=40.0)
    columns["mask"][2] = 2
    table = np.stack([value.ravel() for value in columns.values()], -1)
    path = tmp_path / "det.dat"
    lines = "".join("{:21.15e} {:21.15e} {:21.15e} {:21.15e} {:.0f}\n".format(*line) for line in table)
    path.write_text(f"240 80.000000 40.000000\n{lines}")
    detector = read_detector(path)
    np.testing.assert_array_equal(detector.bad_pixel, columns["mask"] == 2)
    assert detector.facts == {"detd": 80.0, "ewald_rad": 40.0, "image_center": pytest.approx((9.5, 5.5))}
    frames = np.arange(240.0).reshape(1, *SHAPE)
    np.testing.assert_array_equal(detector.pictures(frames.reshape(1, -1)), frames)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "has 0 lines of 1 numbers below ''"),
        (
            "4\n" + "0 0 0 1 0\n" * 4,
            "begins with the number of pixels alone, as old files do; write `N detd ewald_rad`",
        ),
        ("4 50 50\n" + "0 0 0 1 0\n" * 3, "has 3 lines of 5 numbers below '4 50 50'; needed are"),
        ("3 50 50\n" + "0 0 0 1\n" * 3, "has 3 lines of 4 numbers"),
        ("3 50 50\n", "needed are `N detd ewald_rad` and N lines"),
        ("3 50 50\n1 2 3 4 0\n1 2 3 four 0\n", "is no detector file"),
        ("3 50 fifty\n", "is no detector file"),
        ("2 50 50\n0 0 0 1 0\n0 0 nan 1 0\n", "both must be positive, and all q finite"),
        ("2 -50 50\n0 0 0 1 0\n1 0 0 1 0\n", "detd is -50.0, ewald_rad 50.0; both must be positive"),
        ("2 50 nan\n0 0 0 1 0\n1 0 0 1 0\n", "ewald_rad nan; both must be positive"),
        ("2 50 50\n0 0 0 1 0\n1 0 0 1 3\n", "mask holds 3; say 0 = good"),
        ("2 50 50\n0 0 0 1 0\n1 0 0 1 0.5\n", "mask holds 0.5"),
        ("2 50 50\n0 0 0 1 0\n9e9 0 0 1 0\n", "its 2 pixels do not stand side by side, but on a field of 9e"),
        ("2 50 50\n0 0 0 1 0\n1e-3 0 0 1 0\n", "do not stand side by side"),
        ("2 50 50\n0 0 0 1 0\n1 0 -50 1 0\n", "on a field of nan: detd must be"),
        ("2 50 50\n0 0 -50 1 0\n1 0 -50 1 0\n", "on a field of nan"),
        ("2 50 50\n-1e308 0 0 1 0\n1e308 0 0 1 0\n", "do not stand side by side"),
        ("2 50 50\n0 0 1e308 1 0\n1 0 1e308 1 0\n", "do not stand side by side"),
        ("\udcff\udcfe", "is no detector file"),
    ],
)
def test_damaged_text_files_are_refused(tmp_path, text, message):
    path = tmp_path / "det.dat"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=message) as error:
        read_detector(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"qz": None}, "has no numbers qz"),
        ({"detd": None}, "has no numbers detd"),
        ({"corr": np.ones(239)}, "each column needs one a pixel"),
        ({"ewald_rad": [50.0, 50.0]}, "detd and ewald_rad one"),
        ({"qx": np.full(240, "far", "S4")}, "has no numbers qx"),
        ({"shape": (12, 21)}, r"shape is \[12.0, 21.0\], which 240 pixels do not fill"),
        ({"shape": (-12, -20)}, "do not fill"),
        ({"shape": (2.5, 96)}, "do not fill"),
        ({"shape": (240,)}, "'shape': 1"),
        ({"distance_m": (0.1, 0.2)}, "'distance_m': 2"),
        ({"mask": np.full(240, 255)}, "mask holds 255"),
        ({name: np.zeros(0) for name in ("qx", "qy", "qz", "corr", "mask")}, "each column needs one a pixel|never"),
    ],
)
def test_damaged_hdf5_files_are_refused(tmp_path, change, message):
    path = write(tmp_path / "det.h5", make_detector(20, 12, 50.0, 50.0), 50.0, 50.0)
    with h5py.File(path, "a") as file:
        for name, value in change.items():
            if name in file:
                del file[name]
            if value is not None:
                file[name] = value
    with pytest.raises(InputError, match=message):
        read_detector(path)


def test_a_missing_detector_file_is_said(tmp_path):
    with pytest.raises(InputError, match=r"no\.h5 does not exist or is no file: give Dragonfly's detector file"):
        read_detector(tmp_path / "no.h5")
