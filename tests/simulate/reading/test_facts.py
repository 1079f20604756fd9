"""What a file says of the numbers of its frames: that they are to be scaled, and which of them are no data."""

import h5py
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.simulate import FileConfig, FileSource
from onehit.simulate.reading.facts import read_scaling

PHOTONS = np.random.default_rng(0).poisson(3.0, (12, 8, 8)).astype(np.int32)
PHOTONS[:, 4, 4] = 5
BAD = np.zeros((8, 8), bool)
BAD[2:4] = True


def write(path, stored, attributes, **beside):
    with h5py.File(path, "w") as file:
        file["entry/data/data"] = stored
        file["entry/data/data"].attrs.update(attributes)
        for name, value in beside.items():
            file[f"entry/data/{name}"] = value
    return path


@pytest.mark.parametrize("layout", ["netCDF", "NeXus", "NeXus, formerly"])
def test_numbers_that_are_to_be_scaled_are_refused_with_the_options_that_do_it(tmp_path, layout):
    """The oracle: value = stored * scale_factor + add_offset."""
    stored = ((PHOTONS - 10) / 0.25).astype(np.int16) if layout == "netCDF" else (PHOTONS / 0.25).astype(np.int16)
    attributes = {"scale_factor": np.float32(0.25), "add_offset": 10} if layout == "netCDF" else {}
    beside = {"NeXus": {"data_scaling_factor": 0.25}, "NeXus, formerly": {"scaling_factor": [0.25], "offset": 0.0}}
    path = write(tmp_path / "a.h5", stored, attributes, **beside.get(layout, {}))
    with pytest.raises(InputError, match=r"to be scaled \(.*0\.25.* give --read\.adu-per-photon 4") as error:
        FileSource(path)
    assert "or --read.adu-per-photon 1, if they are photons as they are" in str(error.value)
    config = FileConfig(adu_per_photon=4, adu_offset=-40 if layout == "netCDF" else 0)
    assert (f"--read.adu-offset {config.adu_offset:g}" in str(error.value)) == (layout == "netCDF")
    np.testing.assert_array_equal(FileSource(path, config).patterns(range(12)).counts, PHOTONS)


def test_where_two_conventions_differ_no_numbers_are_suggested(tmp_path):
    path = write(tmp_path / "a.h5", PHOTONS, {}, data_scaling_factor=0.5, data_offset=3.0)
    with pytest.raises(InputError, match=r"give --read\.adu-per-photon and --read\.adu-offset, if"):
        FileSource(path)


@pytest.mark.parametrize("attributes", [{"scale_factor": 1.0, "add_offset": 0}, {"scale_factor": "none"}, {}])
def test_what_changes_nothing_and_what_is_no_number_is_not_heeded(tmp_path, attributes):
    path = write(tmp_path / "a.h5", PHOTONS, attributes, offset=np.zeros((8, 8)), scaling_factor="none")
    np.testing.assert_array_equal(FileSource(path).patterns(range(12)).counts, PHOTONS)
    with h5py.File(path, "a") as file:
        del file["entry/data/offset"]
        file.create_group("entry/data/offset")
        assert read_scaling(file["entry/data/data"]) == {}


@pytest.mark.parametrize("name", ["_FillValue", "missing_value"])
@pytest.mark.parametrize("kind, value", [(np.int32, -999), (np.int32, 9999), (np.float32, 1e20), (np.uint16, 4095)])
def test_values_that_the_file_calls_no_data_are_masked_where_they_are(tmp_path, name, kind, value):
    stored = PHOTONS.astype(kind)
    stored[:, BAD], stored[3, 7, 7] = value, value
    source = FileSource(write(tmp_path / "a.h5", stored, {name: np.array([value], kind)}))
    np.testing.assert_array_equal(source.bad_pixel, BAD)
    own = source.masks(range(12))
    np.testing.assert_array_equal(own[3], BAD | (np.arange(64).reshape(8, 8) == 63))
    np.testing.assert_array_equal(own[4], BAD)
    (note,) = source.notes
    assert (
        f"hold {value:.7g}" in note and "which the file or its type says is no data: 25.13% of those looked at" in note
    )
    assert source.flags().counted()["invalid"] == 0


def test_a_count_of_0_is_data_even_where_it_is_the_fill_value(tmp_path):
    source = FileSource(write(tmp_path / "a.h5", PHOTONS, {"_FillValue": 0}))
    assert not source.masks(range(12)).any() and (PHOTONS == 0).any()


@pytest.mark.parametrize("marker, taken_for", [(-9999.0, 65536 - 9999), (7.5, 7), (1e20, 0)])
def test_a_marker_that_the_type_cannot_hold_marks_nothing(tmp_path, marker, taken_for):
    stored = PHOTONS.astype(np.uint16)
    stored[3, 7, 7] = taken_for
    source = FileSource(write(tmp_path / "a.h5", stored, {"_FillValue": marker}))
    assert not source.masks(range(12)).any()


def test_files_of_which_only_some_are_to_be_scaled_are_not_joined(tmp_path):
    write(tmp_path / "a.h5", PHOTONS, {"scale_factor": 0.5})
    write(tmp_path / "b.h5", PHOTONS, {})
    with pytest.raises(InputError, match="differ in scaling"):
        FileSource([tmp_path / "a.h5", tmp_path / "b.h5"], FileConfig(adu_per_photon=2))
