"""What a geometry file says about the pixels of a data file is obeyed, or refused by name."""

import h5py
import numpy as np
import pytest
from onehit.geometries import InputError
from onehit.simulate import FileConfig, FileSource
from onehit.simulate.inspecting.inspection import inspect_frames
from onehit.simulate.inspecting.oddities import oddities
from onehit.simulate.reading.modules.masks import bad_by_bits
from panels import MODULES, SLAB, pictured, write_geom

RNG = np.random.default_rng(0)
PANELS = RNG.integers(1, 9, (3, 4, 2, 3))
DIMS = ("%", "n", "ss", "fs")
BITS = RNG.integers(0, 16, (3, 4, 2, 3)).astype(np.uint32)


def write(folder, **content):
    with h5py.File(folder / "frames.h5", "w") as file:
        for name, value in content.items():
            file[name.replace("__", "/")] = value
    return folder / "frames.h5"


def bad_of(hidden):
    """Masks of panels (N, 4, 2, 3) as pictures."""
    return ~pictured(~hidden)


def test_the_data_set_of_the_geometry_file_is_read_unless_the_user_names_one(tmp_path):
    path = write(tmp_path, right=PANELS, wrong=PANELS + 1)
    geom = write_geom(tmp_path, MODULES, "data = /right", DIMS)
    np.testing.assert_array_equal(
        FileSource(path, FileConfig(geom=geom)).patterns([0, 2]).counts, pictured(PANELS)[::2]
    )
    mine = FileSource(path, FileConfig(geom=geom, data="wrong"))
    np.testing.assert_array_equal(mine.patterns([1]).counts, pictured(PANELS + 1)[1:2])


def test_a_data_set_that_is_known_by_its_dialect_keeps_its_dialect(tmp_path):
    """European XFEL's masks are bad by any bit, where CXI's are by some."""
    names = {
        f"entry_1__instrument_1__detector_1__{name}": value for name, value in (("data", PANELS), ("mask", BITS << 8))
    }
    path = write(tmp_path, cxi_version=[150], entry_1__trainId=np.arange(3), **names)
    geom = write_geom(tmp_path, MODULES, "data = /entry_1/instrument_1/detector_1/data", DIMS)
    source = FileSource(path, FileConfig(geom=geom))
    assert source.frames.format.startswith("European XFEL CXI")
    np.testing.assert_array_equal(source.masks([0, 1, 2]), bad_of(BITS > 0))


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ("mask = /bits\nmask_good = 0x8\nmask_bad = 0x3", lambda bits: (bits & 3 > 0) | (bits & 8 == 0)),
        ("mask = /bits\nmask_bad = 0xffff", lambda bits: bits > 0),
        ("mask = /bits\nmask_good = 1", lambda bits: bits & 1 == 0),
        ("mask0_data = /bits\nmask0_badbits = 0x1\nmask3_data = bits\nmask3_badbits = 4", lambda bits: bits & 5 > 0),
        ("mask = /bits\nmask_file = other.h5\nmask_bad = 2", lambda bits: ~bits & 2 > 0),
        ("mask = /bits\nmask_good = 0x0\nmask_bad = 0x0", lambda bits: bits >= 8),  # the file's own mask remains
    ],
)
@pytest.mark.parametrize("bits", [BITS, BITS[0]], ids=["a mask for each frame", "one mask"])
def test_masks_and_their_bits(tmp_path, lines, rule, bits):
    path = write(tmp_path, counts=PANELS, bad_pixel=bits >= 8, bits=bits)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["bits"] = ~bits
    source = FileSource(path, FileConfig(geom=write_geom(tmp_path, MODULES, lines, DIMS), data="counts"))
    expected = bad_of(np.broadcast_to(rule(bits), PANELS.shape))
    np.testing.assert_array_equal(np.broadcast_to(source.masks([0, 1, 2]), (3, 8, 8)), expected)


def test_the_users_mask_comes_before_the_geometry_files(tmp_path):
    path = write(tmp_path, counts=PANELS, mask=BITS[0], mine=BITS[1] > 7)
    geom = write_geom(tmp_path, MODULES, "mask = /mask\nmask_bad = 0xffff", DIMS)
    source = FileSource(path, FileConfig(geom=geom, mask="mine", mask_polarity="bad"))
    np.testing.assert_array_equal(source.bad_pixel, bad_of(BITS[1:2] > 7)[0])
    assert any("masks of" in note and "are not used: /mask" in note for note in source.notes)
    none = FileSource(path, FileConfig(geom=geom, mask=""))
    np.testing.assert_array_equal(none.bad_pixel, bad_of(np.zeros((1, 4, 2, 3), bool))[0])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("data = /nothing", r"frames\.h5 has no /nothing, where .*\.geom has the frames: name them with --read\.data"),
        ("data = /events/%/data", r"every frame in a data set of its own, /events/%/data, .*--read\.data"),
        ("mask = /nothing\nmask_bad = 1", r"frames\.h5 has no /nothing, where .* has the mask: .*--read\.mask"),
        ("mask = /%/mask\nmask_bad = 1", r"every frame's mask in a data set of its own, /%/mask: .*--read\.mask"),
        ("mask = /real\nmask_bad = 1", r"mask /real holds float64, which has none of the bits.*--read\.mask-polarity"),
        ("mask = /small\nmask_bad = 1", r"mask /small has shape \(2, 3\), the frames \(4, 2, 3\): .*--read\.mask"),
        (
            "mask = /m\nmask_file = no.h5\nmask_bad = 1",
            r"takes its mask from no\.h5, which is not there: .*--read\.mask",
        ),
    ],
)
def test_what_cannot_be_obeyed_is_refused_by_name(tmp_path, lines, message):
    path = write(tmp_path, counts=PANELS, real=BITS[0] * 1.0, small=BITS[0, 0])
    with pytest.raises(InputError, match=message):
        FileSource(path, FileConfig(geom=write_geom(tmp_path, MODULES, lines, DIMS)))


def test_bits_of_every_type():
    values = np.array([[0, 1, 2, 3]])
    for dtype in (np.int8, np.uint8, np.int32, np.uint64):
        np.testing.assert_array_equal(bad_by_bits(values.astype(dtype), 1, 2), [[True, False, True, True]])
    np.testing.assert_array_equal(bad_by_bits(np.array([[True, False]]), 1, 0), [[False, True]])
    largest = np.array([[2**64 - 1, 2**63]], np.uint64)
    np.testing.assert_array_equal(bad_by_bits(largest, 0, 2**63), [[True, True]])
    np.testing.assert_array_equal(bad_by_bits(np.array([[-1, 0]], np.int32), 0, 2**31), [[True, False]])


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_pixels_are_flagged_by_their_value_in_each_frame(tmp_path, dtype):
    values = PANELS.astype(dtype)
    np.save(tmp_path / "frames.npy", values)
    lines = "flag_lessthan = 2\nflag_morethan = 7\nflag_equal = 4\nflag_equal = 5"
    source = FileSource(tmp_path / "frames.npy", FileConfig(geom=write_geom(tmp_path, MODULES, lines, DIMS)))
    hidden = (values < 2) | (values > 7) | np.isin(values, (4, 5))
    np.testing.assert_array_equal(source.masks([0, 1, 2]), bad_of(hidden))
    np.testing.assert_array_equal(source.masks([2, 0, 2]), bad_of(hidden)[[2, 0, 2]])
    assert "flag_morethan 7" in source.frames.mask_meaning


def test_flags_join_the_file_s_own_masks(tmp_path):
    path = write(tmp_path, counts=PANELS, bad_pixel=BITS > 12)
    source = FileSource(path, FileConfig(geom=write_geom(tmp_path, MODULES, "flag_equal = 3", DIMS), data="counts"))
    np.testing.assert_array_equal(source.masks([0, 1, 2]), bad_of((BITS > 12) | (PANELS == 3)))


def data_numbers(tmp_path, values, units=None, top="", **config):
    path = tmp_path / "frames.h5"
    if not path.exists():
        write(tmp_path, counts=values.reshape(-1, 8, 3))
        with h5py.File(path, "a") as file:
            file["counts"].attrs.update({"units": units} if units else {})
    return FileSource(path, FileConfig(geom=write_geom(tmp_path, SLAB, top), **config))


def test_data_numbers_become_photons_by_the_geometry_file(tmp_path):
    source = data_numbers(tmp_path, PANELS * 10 + RNG.uniform(-3, 3, PANELS.shape))
    np.testing.assert_array_equal(source.patterns([0, 1, 2]).counts, pictured(PANELS))
    assert any("data numbers a photon: 10, by adu_per_photon = 10 of" in note for note in source.notes)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_whole_numbers_are_photons_until_the_user_says_otherwise(tmp_path, dtype):
    values = (PANELS * 20).astype(dtype)
    if dtype is np.float32:
        values[1, 0, 0, 0] = np.nan
    source = data_numbers(tmp_path, values)
    np.testing.assert_array_equal(source.patterns([0, 2]).counts, pictured(PANELS * 20)[::2])
    assert any(
        "the file's values are whole numbers: taken for photons; adu_per_photon = 10 of " in note
        and note.endswith(" is not used: --read.adu-per-photon N to divide")
        for note in source.notes
    )
    source = data_numbers(tmp_path, values, adu_per_photon=20.0)
    np.testing.assert_array_equal(source.patterns([0, 2]).counts, pictured(PANELS)[::2])
    assert any("data numbers a photon: 20, as you say; adu_per_photon = 10 of" in note for note in source.notes)


def test_a_placeholder_does_not_divide_what_the_file_calls_photons(tmp_path):
    values = PANELS + 0.25
    source = data_numbers(tmp_path, values, "photons", "photon_energy = 9 keV\nadu_per_eV = 1")
    np.testing.assert_allclose(source.patterns([0]).counts, pictured(values)[:1])
    assert any("the file says that its values are photons; adu_per_photon" in note for note in source.notes)


def test_whole_numbers_that_the_file_calls_data_numbers_are_divided(tmp_path):
    source = data_numbers(tmp_path, (PANELS * 10).astype(np.uint16), "ADU")
    np.testing.assert_array_equal(source.patterns([0, 2]).counts, pictured(PANELS)[::2])
    seen = inspect_frames(source, np.arange(len(source)))
    assert not any("its values are in ADU" in oddity.says for oddity in oddities(source, seen))


def test_one_value_that_is_not_whole_is_found_among_many_frames(tmp_path):
    values = np.full((40, 4, 2, 3), 10.0)
    values[-1, 3, 1, 2] = 10.5
    assert data_numbers(tmp_path, values).patterns([0]).counts.max() == 1
