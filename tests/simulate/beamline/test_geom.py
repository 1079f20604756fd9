from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onehit.geometries.errors import InputError
from onehit.simulate.beamline.geom import read_geom
from onehit.simulate.beamline.instrument import PRESETS, InstrumentConfig, binned, instrument_of
from onehit.simulate.beamline.pixels import hidden_pixels, panel_vectors, pixel_positions

PRESET = PRESETS["amo86615"]
TEXT = """; two panels of 3 rows and 5 columns, the second turned and tilted
photon_energy = 9.3 keV  ; comment
adu_per_eV = 0.0001
clen = 80 mm
coffset = 0.001
res = 10000
data = /entry/data
dim0 = %
dim1 = 3
dim2 = ss
dim3 = fs
mask = /entry/mask
mask_good = 0x8
mask_bad = 0xfff3
mask1_file = bad.h5
mask1_data = /bad
mask1_badbits = 1
flag_lessthan = -5
flag_equal = 0
flag_equal = 1e3
rigid_group_q0 = a,b
max_adu = 7000

a/min_fs = 0
a/max_fs = 4
a/min_ss = 10
a/max_ss = 12.0
a/corner_x = -10.5
a/corner_y = +4
a/fs = x
a/ss = -1.0 y
b/min_fs = 5
b/max_fs = 9
b/min_ss = 0
b/max_ss = 2
b/corner_x = 1e1
b/corner_y = 2
b/coffset = -0.003
b/fs = +0.01x +0.98y-.1z
b/ss = - 1x
b/dim1 = 0

clen = 7.0
badspot/min_x = -9.9
badspot/max_x = -8.1
badspot/min_y = 0
badspot/max_y = 10
badrow/min_fs = 1
badrow/max_fs = 2
badrow/min_ss = 11
badrow/max_ss = 40
badrow/panel = a
"""


def write(tmp_path, text=TEXT):
    path = tmp_path / "detector.geom"
    path.write_text(text)
    return path


def test_every_setting_means_what_the_manual_says(tmp_path):
    geom = read_geom(write(tmp_path))
    assert geom.names == ("a", "b") and geom.shape == (6, 5)
    assert geom.data_ranges == ((10, 12, 0, 4), (0, 2, 5, 9))
    assert geom.photon_energy_ev == pytest.approx(9300)
    assert geom.adu_per_photon == pytest.approx(0.93)
    assert geom.pixel_size_m == pytest.approx(1e-4)
    # clen changes below the first lines of the panels, which it no longer concerns.
    assert geom.distance_m == pytest.approx(0.081)
    a, b = geom.panels
    np.testing.assert_allclose(a.corner_m, [-10.5e-4, 4e-4, 0])
    np.testing.assert_allclose([a.fast_m, a.slow_m], [[1e-4, 0, 0], [0, -1e-4, 0]])
    np.testing.assert_allclose(b.corner_m, [1e-3, 2e-4, -0.004])
    np.testing.assert_allclose([b.fast_m, b.slow_m], [[1e-6, 0.98e-4, -1e-5], [-1e-4, 0, 0]])
    assert geom.axes == (("%", "3", "ss", "fs"), ("%", "0", "ss", "fs"))
    assert geom.data == "/entry/data" and geom.adu == "adu_per_eV = 0.0001"
    assert geom.masks == (("/entry/mask", None, 8, 0xFFF3), ("/bad", "bad.h5", 0, 1))
    assert geom.flags == (("flag_equal", 0), ("flag_equal", 1000), ("flag_lessthan", -5))
    assert geom.ignored == ("max_adu",)  # groups say nothing about pixels
    assert geom.bad_blocks == ((1, 2, 1, 2),)
    np.testing.assert_allclose(geom.bad_boxes_m, [[-9.9e-4, -8.1e-4, 0, 1e-3]])

    instrument = instrument_of(geom, PRESET)
    assert (instrument.focus_m, instrument.beamstop_radius_m, instrument.gap_m) == (PRESET.focus_m, 0, 0)
    # A corner is a corner: the first pixel's centre is half a pixel along both directions.
    np.testing.assert_allclose(pixel_positions(instrument)[0, 0], [-10e-4, 3.5e-4, 0.081])
    expected = np.zeros((6, 5), bool)
    expected[1:3, 1:3] = True
    expected[:3, 1:2] = True  # centres at x = -9 pixels; those of panel a alone
    np.testing.assert_array_equal(hidden_pixels(instrument), expected)


def test_panels_that_are_not_used_are_bad(tmp_path):
    text = TEXT + "b/no_index = 1\na/no_index = false\n"
    geom = read_geom(write(tmp_path, text))
    assert geom.bad_blocks[-1] == (3, 5, 0, 4) and len(geom.bad_blocks) == 2


def test_a_bad_region_without_a_panel_concerns_all_that_hold_those_data(tmp_path):
    text = TEXT.replace("badrow/panel = a\n", "").replace("badrow/min_ss = 11", "badrow/min_ss = 2")
    text = text.replace("badrow/max_fs = 2", "badrow/max_fs = 6")
    assert read_geom(write(tmp_path, text)).bad_blocks == ((0, 2, 1, 4), (5, 5, 0, 1))


def test_the_wavelength_and_what_lies_in_the_data_files(tmp_path):
    text = TEXT.replace("photon_energy = 9.3 keV", "wavelength = 2 A")
    assert read_geom(write(tmp_path, text)).photon_energy_ev == pytest.approx(6199.2, rel=1e-5)
    text = TEXT.replace("photon_energy = 9.3 keV", "photon_energy = /LCLS/photon_energy_eV")
    text = text.replace("clen = 80 mm", "clen = /LCLS/detectorPosition")
    geom = read_geom(write(tmp_path, text))
    assert geom.photon_energy_ev is None and geom.distance_m is None and geom.adu_per_photon is None
    assert "clen = /LCLS/detectorPosition" in geom.ignored
    assert "photon_energy = /LCLS/photon_energy_eV" in geom.ignored
    with pytest.raises(InputError, match=r"\(clen\) as a number: give --instrument\.distance-m"):
        instrument_of(geom, PRESET)
    with pytest.raises(InputError, match=r"give --instrument\.photon-energy-ev"):
        instrument_of(geom, PRESET, 0.5)
    instrument = instrument_of(geom, PRESET, 0.5, 7000.0)
    # The planes' distances to each other still hold.
    np.testing.assert_allclose(pixel_positions(instrument)[..., 2].reshape(2, -1)[:, 0], [0.5, 0.496], atol=2e-5)


def test_detector_shift(tmp_path):
    geom = read_geom(write(tmp_path, "detector_shift_x = 2 mm\ndetector_shift_y = -0.001\n" + TEXT))
    np.testing.assert_allclose(geom.panels[0].corner_m, [2e-3 - 10.5e-4, -1e-3 + 4e-4, 0], atol=1e-12)


def as_text(instrument, adu_per_photon):
    """A geometry file of an instrument's panels and bad regions; data files hold frames as slabs."""
    size, (rows, columns) = instrument.pixel_size_m, instrument.panel_shape
    lines = [
        f"photon_energy = {instrument.photon_energy_ev!r} eV",
        f"clen = {instrument.distance_m!r}",
        f"res = {1 / size!r}",
        f"adu_per_photon = {adu_per_photon!r}",
    ]

    def direction(vector):
        return " ".join(f"{component / size:+.17g}{axis}" for component, axis in zip(vector, "xyz", strict=True))

    for number, panel in enumerate(instrument.all_panels):
        x, y, z = panel.corner_m
        settings = {
            "min_fs": 0,
            "max_fs": columns - 1,
            "min_ss": number * rows,
            "max_ss": (number + 1) * rows - 1,
            "corner_x": f"{x / size:.17g}",
            "corner_y": f"{y / size:.17g}",
            "coffset": f"{z:.17g}",
            "fs": direction(panel.fast_m),
            "ss": direction(panel.slow_m),
        }
        lines += ["", *(f"p{number}/{key} = {value}" for key, value in settings.items())]
    regions = [
        dict(zip(("min_ss", "max_ss", "min_fs", "max_fs", "panel"), (*block, f"p{block[0] // rows}"), strict=True))
        for block in instrument.bad_blocks
    ]
    for box in instrument.bad_boxes_m:
        edges = zip(("min_x", "max_x", "min_y", "max_y"), box, strict=True)
        regions.append({key: f"{value / size:.17g}" for key, value in edges})
    for number, region in enumerate(regions):
        lines += ["", *(f"bad{number}/{key} = {value}" for key, value in region.items())]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_survive_a_round_trip(tmp_path, name):
    preset = replace(
        binned(PRESETS[name], 8), bad_blocks=((3, 3, 0, 5), (10, 12, 1, 1)), bad_boxes_m=((-0.01, 0.0, 0.0, 0.02),)
    )
    geom = read_geom(write(tmp_path, as_text(preset, adu_per_photon=45.0)))
    again = instrument_of(geom, PRESET)
    assert geom.adu_per_photon == 45 and geom.ignored == () and geom.shape == preset.shape
    assert (again.distance_m, again.photon_energy_ev) == (preset.distance_m, preset.photon_energy_ev)
    assert again.pixel_size_m == pytest.approx(preset.pixel_size_m, rel=1e-15)
    for one, other in zip(panel_vectors(again), panel_vectors(preset), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14, atol=1e-17)
    assert again.bad_blocks == preset.bad_blocks
    np.testing.assert_allclose(again.bad_boxes_m, preset.bad_boxes_m, rtol=1e-14)


def test_the_command_line_takes_a_geometry_file(tmp_path):
    path = str(write(tmp_path))
    instrument = InstrumentConfig(geometry_file=path, beamstop_radius_m=1e-4).instrument()
    assert instrument.shape == (6, 5) and instrument.distance_m == pytest.approx(0.081)
    assert instrument.beamstop_radius_m == 1e-4 and instrument.gap_m == 0
    nearer = InstrumentConfig(geometry_file=path, distance_m=0.05, photon_energy_ev=7000.0).instrument()
    assert (nearer.distance_m, nearer.photon_energy_ev) == (0.05, 7000)
    with pytest.raises(InputError, match="shape cannot be set"):
        InstrumentConfig(geometry_file=path, shape=(16, 16)).instrument()
    with pytest.raises(InputError, match=r"panel b reaches to z = -0\.00105 m, upstream"):
        InstrumentConfig(geometry_file=path, distance_m=0.003).instrument()
    path = str(write(tmp_path, TEXT.replace("b/ss = - 1x", "b/ss = -1x -0.5z")))
    with pytest.raises(InputError, match=r"panel b reaches to z = -0\.0001 m, upstream"):
        InstrumentConfig(geometry_file=path, distance_m=0.0041).instrument()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("clen = 80 mm\n", ""),
        ("clen = 80 mm", "clen = coffset"),
        ("clen = 80 mm", "clen = <distance>"),
        ("clen = 80 mm", "clen = 80 km"),
        ("clen = 80 mm", "clen ="),
        ("clen = 80 mm", "clen = /LCLS/detector_1/EncoderValue mm"),
        ("clen = 80 mm", "clen = -80 mm"),
    ],
)
def test_a_picture_needs_no_distance_but_a_simulation_does(tmp_path, old, new):
    text = swap(old, new).replace("clen = 7.0\n", "")
    geom = read_geom(write(tmp_path, text))
    said = [line.partition(" (the detector would stand at")[0] for line in geom.ignored if line.startswith("clen")]
    assert geom.distance_m is None and said == [new] * bool(new)
    corners = [panel.corner_m for panel in geom.panels]
    np.testing.assert_allclose(corners, [[-10.5e-4, 4e-4, 0], [1e-3, 2e-4, -0.004]], atol=1e-12)
    with pytest.raises(InputError, match=r"--instrument\.distance-m"):
        InstrumentConfig(geometry_file=str(geom.path)).instrument()
    assert InstrumentConfig(geometry_file=str(geom.path), distance_m=0.1).instrument().distance_m == 0.1


@pytest.mark.parametrize(
    ("text", "energy_ev"),
    [("9300", 9300), ("9300 eV", 9300), ("9.3 keV", 9300), ("0.0093 MeV", 9300), ("/a/b keV", None), ("0", None)],
)
def test_a_photon_energy_in_its_units_or_elsewhere(tmp_path, text, energy_ev):
    geom = read_geom(write(tmp_path, swap("photon_energy = 9.3 keV", f"photon_energy = {text}")))
    assert geom.photon_energy_ev == (energy_ev and pytest.approx(energy_ev))
    assert (f"photon_energy = {text}" in geom.ignored) == (energy_ev is None)
    assert ("adu_per_eV = 0.0001 (the photon energy is not known)" in geom.ignored) == (energy_ev is None)


def test_a_picture_needs_no_pixel_size_but_a_simulation_does(tmp_path):
    geom = read_geom(write(tmp_path, swap("res = 10000\n", "")))
    assert geom.pixel_size_m is None and geom.panels[0].corner_m[:2] == (-10.5, 4)
    with pytest.raises(InputError, match=r"does not say the pixel size: add a line `res = "):
        instrument_of(geom, PRESET)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("comment", "Überprüft").encode("latin-1"),
        lambda text: text.replace("comment", "Überprüft").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace("a/corner_x = -10.5", "a/corner_x =\n\n  -10.5 ; below its name").encode(),
    ],
    ids=["Latin-1", "UTF-8", "byte order mark", "CRLF", "CR", "a value on a line of its own"],
)
def test_editors_of_all_kinds_change_nothing(tmp_path, change):
    plain = read_geom(write(tmp_path))
    (tmp_path / "detector.geom").write_bytes(change(TEXT))
    assert read_geom(tmp_path / "detector.geom") == plain


def test_old_and_new_names_of_masks_and_masks_without_bits(tmp_path):
    old = swap("mask = /entry/mask\nmask_good = 0x8\nmask_bad = 0xfff3\n", "mask=/m\nmask_bad=0x3\nmask_file = f.h5\n")
    new = (
        old.replace("mask=/m", "mask0_data = /m")
        .replace("mask_bad", "mask0_badbits")
        .replace("mask_file", "mask0_file")
    )
    geom = read_geom(write(tmp_path, new))
    assert geom.masks[0] == ("/m", "f.h5", 0, 3)
    assert replace(geom, ignored=()) == replace(read_geom(write(tmp_path, old)), ignored=())
    geom = read_geom(write(tmp_path, old.replace("mask_bad=0x3", "mask_bad=0x0")))
    assert geom.masks == (("/bad", "bad.h5", 0, 1),)
    assert any("mask = /m (without any bits it hides nothing)" in line for line in geom.ignored)


def test_edges_of_panels_may_be_bad(tmp_path):
    geom = read_geom(write(tmp_path, swap("b/dim1 = 0", "b/mask_edge_pixels = 1")))
    good = np.zeros((6, 5), bool)
    good[4, 1:4] = True
    for first_row, last_row, first_column, last_column in geom.bad_blocks[1:]:
        assert not good[first_row : last_row + 1, first_column : last_column + 1].any()
    assert sum((b - a + 1) * (d - c + 1) for a, b, c, d in geom.bad_blocks[1:]) == 16


def test_data_numbers_that_differ_from_panel_to_panel_are_not_used(tmp_path):
    geom = read_geom(write(tmp_path, swap("b/dim1 = 0", "b/adu_per_photon = 7")))
    assert geom.adu_per_photon is None and "adu_per_eV = 0.0001 (it differs from panel to panel)" in geom.ignored


@pytest.mark.parametrize(
    ("name", "text", "kind", "remedy"),
    [
        ("a.poni", "# Nota\nponi_version: 2\nDistance: 0.1\nPoni1: 0.01\n", "pyFAI", r"--read-data\.centre ROW COLUMN"),
        ("a.geom", "PixelSize1: 1e-4\nDistance: 0.1\nPoni1: 0.01\n", "pyFAI", r"--read-data\.centre"),
        ("a.imctrl", "type:PWDR\nIOtth:[1,2]\n", "GSAS-II", r"--read-data\.centre"),
        ("a.calib", "anything", "Dioptas", r"--read-data\.centre"),
        ("a.expt", '{"__id__": "ExperimentList", "detector": []}', "DIALS", r"as a CrystFEL geometry file \(\.geom\)"),
        ("XDS.INP", "! input\nJOB= XYCORR\nORGX= 512 ORGY= 512\n", "XDS", r"--read-data\.centre"),
    ],
)
def test_other_geometries_are_named(tmp_path, name, text, kind, remedy):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=rf"{name} is .*{kind}.*, no CrystFEL geometry file: .*{remedy}"):
        read_geom(tmp_path / name, "--read-data")


def swap(old, new):
    assert old in TEXT
    return TEXT.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no panel"),
        ("clen = 0.1\n", "names no panel"),
        ("\n\nhello\n", "line 3: 'hello' is not of the form `name = value`"),
        (swap("a/min_fs = 0", "a/min_fs ="), "line 24: a/min_fs is ''; a number"),
        (
            swap("a/min_fs = 0", "a/min_fs\n= 0"),
            "line 24: 'a/min_fs' is not of the form .* put a semicolon before a com",
        ),
        (swap("a/fs = x\n", ""), "panel a has no fs; add `a/fs = ...`"),
        (swap("res = 10000\n", "") + "b/res = 1e4", "panel a has no res"),
        (swap("res = 10000\n", "detector_shift_x = 1 mm\n"), r"without the pixel size it says nothing: add `res"),
        (swap("a/fs = x", "a/fs = 3"), "line 30: a/fs is '3'; a direction such as"),
        (swap("a/fs = x", "a/fs = x x"), "a direction such as"),
        (swap("a/fs = x", "a/fs = 0.9x 0.1y"), "a direction such as"),
        (swap("a/fs = x", "a/fs = 0.01x"), "its length must be about one pixel"),
        (swap("a/fs = x", "a/fs = 1e999x"), "its length must be about one pixel"),
        (swap("a/ss = -1.0 y", "a/ss = -1.0x +0.01y"), "nearly parallel to fs, x"),
        (swap("res = 10000", "res = 0"), "line 6: res is '0'; a number from 1 to 1e"),
        (swap("res = 10000", "res = nan"), "res is 'nan'"),
        (swap("res = 10000", "res = 1_0"), "res is '1_0'"),
        (swap("photon_energy = 9.3 keV", "photon_energy = 1\nwavelength = 1 A"), "says the photon energy twice"),
        (swap("a/max_fs = 4", "a/max_fs = -4"), "a/max_fs is '-4'"),
        (swap("a/max_fs = 4", "a/max_fs = 4.5"), "a whole number is needed"),
        (swap("a/min_ss = 10", "a/min_ss = 20"), "it must not be below min_ss, 20"),
        (swap("a/max_fs = 4", "a/max_fs = 5"), "panel b has 3 x 5 pixels, panel a 3 x 6: frames stack panels of one"),
        (swap("b/dim1 = 0", "b/res = 20000"), "panel a has 10000; one pixel size is needed"),
        (swap("b/dim1 = 0", "b/clen = /where"), "line 41: panels take clen from different places"),
        (swap("b/dim1 = 0", "b/dim1 = s"), "line 41: b/dim1 is 's'; say %, ss, fs or a whole number"),
        (swap("b/dim1 = 0", "b/dim1 = %"), "the axes are %, %, ss, fs: there must be one ss, one fs, and at most one"),
        (swap("b/dim1 = 0", "b/dim2 = 1"), "there must be one ss, one fs"),
        (swap("b/dim1 = 0", "b/dim5 = 1"), r"there is no dim4: add `dim4 = \.\.\.`"),
        (
            swap("b/dim1 = 0", "b/dim0 = ss\nb/dim1 = %\nb/dim2 = 1"),
            r"panels a and b have different axes of frames \(%\), which",
        ),
        (swap("b/dim1 = 0", "b/data = /other"), "panels a and b have different data set, which cannot be obeyed"),
        (swap("b/dim1 = 0", "b/mask = /other"), "panels a and b have different masks, which cannot be obeyed"),
        (swap("b/dim1 = 0", "b/flag_morethan = 9"), "panels a and b have different flags, which cannot be obeyed"),
        (swap("data = /entry/data", "data = /"), "the full name of a data set, such as /data/data, is needed"),
        (swap("mask_bad = 0xfff3", "mask_bad = 1.5"), "mask_bad is '1.5'; bits such as 0xffff are needed"),
        (swap("badspot/max_x = -8.1", "badspot/max_x = -12"), "it must not be below min_x, -9.9"),
        (swap("b/dim1 = 0", "b/no_index = maybe"), "no_index is 'maybe'; say 0 or 1"),
        (swap("badrow/panel = a", "badrow/panel = c"), "the file has no panel of that name"),
        (swap("badrow/max_fs = 2\n", ""), "bad region badrow needs"),
        (swap("badspot/max_y", "badspot/max_fs"), "bad region badspot needs"),
        (swap("adu_per_eV = 0.0001", "adu_per_photon = -1"), "adu_per_photon is '-1'"),
        (
            TEXT.replace("max_ss = 12.0", "max_ss = 100010")
            .replace("max_ss = 2\n", "max_ss = 100000\n")
            .replace("a/max_fs = 4", "a/max_fs = 100000")
            .replace("b/max_fs = 9", "b/max_fs = 100005"),
            "2 panels of 100001 x 100001 pixels are more than",
        ),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_geom(write(tmp_path, text))
    assert "detector.geom" in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_are_no_geometry_files(tmp_path):
    with pytest.raises(InputError, match=r"nothing.geom cannot be read"):
        read_geom(tmp_path / "nothing.geom")
    with pytest.raises(InputError, match="cannot be read"):
        read_geom(tmp_path)
    (tmp_path / "binary.geom").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="is not text"):
        read_geom(tmp_path / "binary.geom")
    with (tmp_path / "huge.geom").open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(InputError, match="larger than any geometry file"):
        read_geom(tmp_path / "huge.geom")


KEYS = sorted({line.split("=")[0].strip() for line in TEXT.splitlines() if "=" in line})
VALUES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "x", "-1e309x", "1e400", "-0", "/a/b", "nan", "inf", "0x10", "1 m m", "٣", "1e-400", "x+y+z"]),
    st.floats().map(str),
    st.integers(-(10**7), 10**7).map(str),
    st.lists(st.floats(-2, 2), min_size=3, max_size=3).map(lambda v: "{:+f}x {:+f}y {:+f}z".format(*v)),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.sampled_from(KEYS), VALUES), min_size=1, max_size=4), junk=st.binary(max_size=20))
def test_garbage_ends_in_nothing_but_an_input_error(tmp_path, edits, junk):
    lines = TEXT
    for key, value in edits:
        lines = "\n".join(
            f"{key} = {value}" if line.split("=")[0].strip() == key else line for line in lines.split("\n")
        )
    path = tmp_path / "fuzz.geom"
    path.write_bytes(lines.encode(errors="surrogatepass") + junk)
    try:
        geom = read_geom(path)
        instrument = instrument_of(geom, PRESET, 1.0, 5000.0)
    except InputError as error:
        assert "fuzz.geom" in str(error) and "\n" not in str(error)
    else:
        assert np.isfinite(np.concatenate(panel_vectors(instrument))).all()
        assert instrument.shape == geom.shape


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda t: t.encode(errors="surrogatepass"))))
def test_arbitrary_bytes_end_in_an_input_error(tmp_path, junk):
    path = tmp_path / "junk.geom"
    path.write_bytes(junk)
    with pytest.raises(InputError):
        read_geom(path)
