import io
import struct
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from made_up import made_up_patterns, made_up_provenance
from onehit.geometries.errors import InputError
from onehit.simulate.beamline.instrument import PRESETS
from onehit.simulate.formats.dragonfly import detector_bytes
from onehit.simulate.formats.emc import encode_emc, encode_emc_hdf5, open_emc
from onehit.simulate.formats.hdf5 import encode_truth

SHAPE = (5, 7)
SMALL = replace(PRESETS["amo86615-128"], shape=SHAPE)
LARGEST = 2**31 - 1
ENCODERS = {".emc": encode_emc, ".h5": encode_emc_hdf5}


def encoded(suffix, counts, instrument=SMALL):
    return ENCODERS[suffix](made_up_patterns(counts), 0, made_up_provenance(instrument))


def struct_reader(content: bytes) -> list[dict[int, int]]:
    """Photons by pixel of every frame, by the binary format's description, a number at a time."""
    count, pixels, kind = struct.unpack_from("<3i", content)
    assert kind == 0 and pixels == 35 and not any(content[12:1024])
    numbers = iter(struct.unpack(f"<{(len(content) - 1024) // 4}i", content[1024:]))

    def take(n):
        return [next(numbers) for _ in range(n)]

    ones, multi = take(count), take(count)
    place_ones = [take(n) for n in ones]
    place_multi = [take(n) for n in multi]
    count_multi = [take(n) for n in multi]
    assert next(numbers, None) is None and len(content) % 4 == 0
    return [
        dict.fromkeys(one, 1) | dict(zip(place, photons, strict=True))
        for one, place, photons in zip(place_ones, place_multi, count_multi, strict=True)
    ]


def hdf5_reader(content: bytes) -> list[dict[int, int]]:
    with h5py.File(io.BytesIO(content)) as file:
        lists = [file[name][:] for name in ("place_ones", "place_multi", "count_multi")]
    return [
        dict.fromkeys(one.tolist(), 1) | dict(zip(place.tolist(), photons.tolist(), strict=True))
        for one, place, photons in zip(*lists, strict=True)
    ]


READERS = {".emc": struct_reader, ".h5": hdf5_reader}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Has a detector file that says the shape."""
    folder = tmp_path_factory.mktemp("emc")
    bad_pixel = np.arange(35).reshape(SHAPE) % 4 == 1
    (folder / "detector.h5").write_bytes(detector_bytes(made_up_provenance(SMALL, bad_pixel)))
    return folder


@pytest.mark.parametrize("suffix", ENCODERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_counts_come_back(suffix, folder, data):
    dtype = data.draw(st.sampled_from(("int32", "uint16", "int64", "uint8")))
    most = min(LARGEST, np.iinfo(dtype).max)
    photons = st.one_of(st.integers(0, 3), st.integers(0, most))
    counts = data.draw(hnp.arrays(dtype, (data.draw(st.integers(1, 4)), *SHAPE), elements=photons))
    content = encoded(suffix, counts)
    lit = [{i: n for i, n in enumerate(frame.ravel().tolist()) if n} for frame in counts]
    assert READERS[suffix](content) == lit

    path = folder / f"any{suffix}"
    path.write_bytes(content)
    frames = open_emc(path, folder / "detector.h5")
    assert (frames.count, frames.shape, frames.dtype) == (len(counts), SHAPE, np.int32)
    np.testing.assert_array_equal(frames.read(np.arange(len(counts))), counts)


def test_hdf5_lists_are_what_dragonfly_writes():
    with h5py.File(io.BytesIO(encoded(".h5", np.ones((3, *SHAPE), int)))) as file:
        assert sorted(file) == ["count_multi", "num_pix", "place_multi", "place_ones"]
        assert file["num_pix"].shape == (1,) and file["num_pix"][0] == 35
        for name in ("place_ones", "place_multi", "count_multi"):
            data_set = file[name]
            assert (data_set.shape, data_set.chunks, data_set.maxshape) == ((3,), (1,), (None,))
            assert h5py.check_vlen_dtype(data_set.dtype) == np.int32


@pytest.mark.parametrize("suffix", ENCODERS)
def test_the_same_patterns_give_the_same_bytes(suffix):
    counts = np.random.default_rng(0).poisson(1.0, (20, *SHAPE))
    assert encoded(suffix, counts) == encoded(suffix, counts)


@pytest.mark.parametrize("suffix", ENCODERS)
@pytest.mark.parametrize(
    "value, dtype, message",
    [
        (1.0, "float32", "whole photons, these counts are float32: turn noise on, or write HDF5 or CXI"),
        (-1, "int32", "0 to 2.31 - 1 photons a pixel, a frame here -1 to 0"),
        (2**31, "int64", "a frame here 0 to 2147483648: write HDF5"),
        (2**32 - 1, "uint32", "a frame here 0 to 4294967295"),
    ],
)
def test_counts_that_emc_cannot_hold_are_refused(suffix, value, dtype, message):
    counts = np.zeros((2, *SHAPE), dtype)
    counts[1, 2, 3] = value
    with pytest.raises(InputError, match=message):
        encoded(suffix, counts)


@pytest.mark.parametrize("suffix", ENCODERS)
def test_what_onehit_puts_beside_a_photon_file_is_found(suffix, tmp_path):
    counts = np.random.default_rng(0).poisson(1.0, (6, *SHAPE))
    patterns, bad_pixel = made_up_patterns(counts), counts[0] > 1
    provenance = made_up_provenance(SMALL, bad_pixel)
    path = tmp_path / f"set{suffix}"
    path.write_bytes(ENCODERS[suffix](patterns, 0, provenance))
    (tmp_path / "set.detector.h5").write_bytes(detector_bytes(provenance))
    (tmp_path / "set.truth.h5").write_bytes(encode_truth(patterns, 0, provenance))
    frames = open_emc(path)
    np.testing.assert_array_equal(frames.read(np.array([1, 4])), counts[[1, 4]])
    np.testing.assert_array_equal(frames.bad_pixel, bad_pixel)
    np.testing.assert_array_equal(frames.label, patterns.label)
    assert frames.label.dtype == np.int32
    assert "set.detector.h5: 2 = bad" in frames.mask_meaning
    facts = {name: frames.facts[name] for name in ("distance_m", "pixel_size_m", "photon_energy_ev")}
    assert facts == {name: getattr(SMALL, name) for name in facts}
    assert frames.oddities == ()


def test_shards_share_the_detector_of_their_folder(tmp_path):
    provenance = made_up_provenance(SMALL, np.eye(*SHAPE, dtype=bool))
    for name in ("set.emc.shards", "other"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "000001.emc").write_bytes(encoded(".emc", np.ones((2, *SHAPE), int)))
        (folder / "detector.h5").write_bytes(detector_bytes(provenance))
    frames = open_emc(tmp_path / "set.emc.shards/000001.emc")
    np.testing.assert_array_equal(frames.bad_pixel, provenance.bad_pixel)
    with pytest.raises(InputError, match="not square"):
        open_emc(tmp_path / "other/000001.emc")


@pytest.mark.parametrize("suffix", ENCODERS)
def test_without_a_detector_frames_are_square_or_refused(suffix, tmp_path):
    counts = np.arange(2 * 36).reshape(2, 6, 6) % 5
    path = tmp_path / f"bare{suffix}"
    path.write_bytes(encoded(suffix, counts))
    frames = open_emc(path)
    np.testing.assert_array_equal(frames.read(np.arange(2)), counts)
    assert (frames.bad_pixel, frames.label, frames.mask_meaning) == (None, None, "none")
    assert frames.oddities == ("no detector file: frames are taken as 6 x 6, and no pixel as bad",)

    path.write_bytes(encoded(suffix, counts.reshape(2, 4, 9)[..., :8]))
    with pytest.raises(
        InputError, match=r"bare\S+ has 32 pixels a frame, which are not square.*give its detector file"
    ):
        open_emc(path)


def test_a_detector_of_other_frames_is_refused(folder, tmp_path):
    path = tmp_path / "a.emc"
    path.write_bytes(encoded(".emc", np.zeros((1, 6, 6), int)))
    with pytest.raises(InputError, match=r"a\.emc has 36 pixels a frame, \S+detector\.h5 35: give its own detector"):
        open_emc(path, folder / "detector.h5")


@pytest.mark.parametrize(
    "label, message",
    [([0, 1], "labels of shape"), ([0, 1, 2], r"label holds \[0, 1, 2\]")],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, label, message):
    (tmp_path / "a.emc").write_bytes(encoded(".emc", np.zeros((3, 6, 6), int)))
    with h5py.File(tmp_path / "a.truth.h5", "w") as file:
        file["label"] = label
    with pytest.raises(InputError, match=message):
        open_emc(tmp_path / "a.emc")


@pytest.mark.parametrize("name", ["missing.emc", "."])
def test_a_photon_file_must_be_there(tmp_path, name):
    with pytest.raises(InputError, match="does not exist or is no file: give an EMC photon file"):
        open_emc(tmp_path / name)
