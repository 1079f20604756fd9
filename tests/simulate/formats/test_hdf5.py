import io
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from made_up import GEOMETRIES, made_up_patterns, made_up_provenance, part
from onehit.simulate.beamline.instrument import PRESETS, InstrumentConfig
from onehit.simulate.config import BAD_KINDS
from onehit.simulate.formats.cxi import encode_cxi
from onehit.simulate.formats.hdf5 import encode_hdf5, encode_truth, encode_virtual, fill_value, hdf5_bytes
from onehit.simulate.scattering.scene import Scene
from onehit.simulate.source import Truth

AMO = replace(PRESETS["amo86615-128"], shape=(8, 6))
AGIPD = InstrumentConfig("agipd-1m", binning=64).instrument()
DTYPES = ("int32", "float32", "uint16", "int64", "uint8")


def opened(content: bytes) -> h5py.File:
    return h5py.File(io.BytesIO(content))


def objects(file: h5py.Group) -> dict[str, h5py.Group | h5py.Dataset]:
    found = {}
    file.visititems(lambda name, item: found.__setitem__(name, item))
    return found


def counts_of(shape, dtype="int32", seed=0):
    return np.random.default_rng(seed).poisson(3, shape).astype(dtype)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_counts_read_back(data):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=7))
    counts = data.draw(hnp.arrays(data.draw(st.sampled_from(DTYPES)), shape))
    bad_pixel = data.draw(hnp.arrays(bool, shape[1:]))
    patterns, provenance = made_up_patterns(counts), made_up_provenance(replace(AMO, shape=shape[1:]), bad_pixel)
    with opened(encode_hdf5(patterns, 0, provenance)) as file:
        np.testing.assert_array_equal(file["counts"][:], counts)
        assert file["counts"].dtype == counts.dtype
        np.testing.assert_array_equal(file["bad_pixel"][:], bad_pixel)
        np.testing.assert_array_equal(file["label"][:], patterns.label)


def test_frames_need_nothing_but_gzip_and_are_read_one_by_one():
    counts = counts_of((5, 8, 6))
    with opened(encode_hdf5(made_up_patterns(counts[:, ::-1]), 0, made_up_provenance(AMO))) as file:
        data = file["counts"]
        assert (data.chunks, data.compression, data.compression_opts, data.shuffle) == ((1, 8, 6), "gzip", 1, True)
        np.testing.assert_array_equal(data[3], counts[3, ::-1])  # a view that is not contiguous


def test_files_are_of_the_format_of_hdf5_1_10():
    content = encode_hdf5(made_up_patterns(counts_of((2, 8, 6))), 0, made_up_provenance(AMO))
    # HDF5 file format specification 3.0, superblock: its version follows the signature; 1.10 brought version 3.
    assert content[:8] == b"\x89HDF\r\n\x1a\n" and content[8] == 3


def test_everything_known_of_a_pattern_is_in_the_file():
    patterns = made_up_patterns(counts_of((20, 8, 6)))
    truth, scene = patterns.truth, patterns.truth.scene
    with opened(encode_hdf5(patterns, 4_000_000_000, made_up_provenance(AMO, config='{"versions": "é"}'))) as file:
        assert file.attrs["config"] == '{"versions": "é"}' and file.attrs["first_index"] == 4_000_000_000
        written = file["truth"]
        # A field that Truth or Scene gains must not be forgotten here.
        assert set(written) == {"index", *truth.drawn, *Truth._fields, *Scene._fields} - {"label", "scene", "drawn"}
        np.testing.assert_array_equal(written["index"], 4_000_000_000 + np.arange(20))
        for name, value in (truth._asdict() | scene._asdict() | truth.drawn).items():
            if name not in ("label", "scene", "drawn"):
                np.testing.assert_array_equal(written[name][:], value, err_msg=name)
        names = written["kind"].attrs["names"]
        assert {names[number] for number in truth.kind[truth.label == 1]} == {"single_hit"}
        assert names[5] == "aggregate" == BAD_KINDS[4]
        assert tuple(written["geometry"].attrs["names"]) == GEOMETRIES
        assert written["diameter_m"].attrs["units"] == written["position_m"].attrs["units"] == "m"
        assert all(len(item.attrs["description"]) > 10 for item in written.values())


def test_truth_alone_is_the_same_file_without_counts():
    patterns, provenance = made_up_patterns(counts_of((4, 8, 6))), made_up_provenance(AMO)
    with opened(encode_hdf5(patterns, 7, provenance)) as whole, opened(encode_truth(patterns, 7, provenance)) as truth:
        assert set(objects(whole)) == {"counts", *objects(truth)}
        assert_same(truth, {name: item for name, item in objects(whole).items() if name != "counts"}, whole.attrs)


def test_a_long_configuration_is_no_trouble():
    config = "x" * 2**20  # thousands of given orientations; an attribute itself may have 64 kB
    with opened(
        encode_truth(made_up_patterns(counts_of((1, 8, 6))), 0, made_up_provenance(AMO, config=config))
    ) as file:
        assert file.attrs["config"] == config


@pytest.mark.parametrize("encode", [encode_hdf5, encode_cxi])
def test_threads_that_encode_at_once_all_get_the_same_bytes(encode):
    patterns, provenance = made_up_patterns(counts_of((50, 8, 6))), made_up_provenance(AMO)
    with ThreadPoolExecutor(4) as threads:
        contents = list(threads.map(lambda _: encode(patterns, 0, provenance), range(12)))
    assert len(set(contents)) == 1


def test_what_fails_while_writing_is_passed_on():
    def fill(file):
        file["counts"] = 1
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        hdf5_bytes(fill)


def assert_same(file, expected, attributes):
    """The same objects with the same content and attributes as expected."""
    found = objects(file)
    assert set(found) == set(expected)
    assert_same_attributes(file.attrs, attributes)
    for name, item in expected.items():
        assert_same_attributes(found[name].attrs, item.attrs)
        if isinstance(item, h5py.Dataset):
            assert found[name].dtype == item.dtype
            np.testing.assert_array_equal(found[name][()], item[()], err_msg=name)


def assert_same_attributes(found, expected):
    assert set(found) == set(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def write_shards(folder, encode, patterns, provenance, sizes, first=10):
    """Shards in a folder of their own, and the file over them; names that HDF5 could misread."""
    (folder / "100%b parts").mkdir(parents=True)
    paths, contents, start = [], [], 0
    for number, size in enumerate(sizes):
        contents.append(encode(part(patterns, slice(start, start + size)), first + start, provenance))
        paths.append(f"100%b parts/shard-{number}.h5")
        (folder / paths[-1]).write_bytes(contents[-1])
        start += size
    whole = folder / "all.h5"
    whole.write_bytes(encode_virtual(contents[0], paths, sizes))
    return whole, [folder / path for path in paths]


LAYOUTS = [(encode_hdf5, AMO), (encode_truth, AMO), (encode_cxi, AMO), (encode_cxi, AGIPD)]


@pytest.mark.parametrize("encode, instrument", LAYOUTS)
def test_shards_read_as_the_one_file_that_they_are_parts_of(encode, instrument, tmp_path):
    sizes = [3, 1, 4]
    patterns = made_up_patterns(counts_of((8, *instrument.shape)))
    provenance = made_up_provenance(instrument, np.random.default_rng(1).random(instrument.shape) < 0.3)
    write_shards(tmp_path / "made", encode, patterns, provenance, sizes)
    (tmp_path / "made").rename(tmp_path / "moved")
    with h5py.File(tmp_path / "moved/all.h5") as file, opened(encode(patterns, 10, provenance)) as expected:
        assert_same(file, objects(expected), expected.attrs)
        assert {name for name, item in objects(file).items() if getattr(item, "is_virtual", False)} == {
            name for name, item in objects(expected).items() if "frame_axis" in item.attrs
        }
        if encode is encode_cxi:
            np.testing.assert_array_equal(file["entry_1/data_1/data"], expected["entry_1/data_1/data"])


@pytest.mark.parametrize("encode, instrument", LAYOUTS)
@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_a_missing_shard_never_looks_like_zeros(encode, instrument, dtype, tmp_path):
    patterns = made_up_patterns(counts_of((6, *instrument.shape), dtype))
    path, shards = write_shards(tmp_path, encode, patterns, made_up_provenance(instrument), [2, 3, 1])
    shards[1].unlink()
    with h5py.File(path) as file, opened(encode(patterns, 10, made_up_provenance(instrument))) as expected:
        per_frame = [item for item in objects(expected).values() if "frame_axis" in item.attrs]
        assert len(per_frame) >= 15
        for item in per_frame:
            axis = item.attrs["frame_axis"]
            values = np.moveaxis(file[item.name][()], axis, 0)
            kept = [0, 1, 5]
            np.testing.assert_array_equal(values[kept], np.moveaxis(item[()], axis, 0)[kept])
            gone = values[2:5]
            stands_out = {"f": np.isnan, "c": np.isnan, "i": lambda a: a == -1, "u": lambda a: a == 255}
            assert stands_out.get(gone.dtype.kind, lambda a: a == b"")(gone).all(), item.name


@pytest.mark.parametrize(
    "dtype, text", [("int32", "-1"), ("int64", "-1"), ("float32", "nan"), ("uint8", "255"), ("uint32", "4294967295")]
)
def test_fill_values_fit_their_type(dtype, text):
    value = fill_value(dtype)
    assert str(value) == text and value.dtype == dtype


def test_the_number_of_files_and_of_counts_must_agree():
    content = encode_hdf5(made_up_patterns(counts_of((2, 8, 6))), 0, made_up_provenance(AMO))
    with pytest.raises(ValueError, match=re.escape("zip()")):
        encode_virtual(content, ["a.h5", "b.h5"], [2])
