"""Names, whole data sets and attributes of HDF5 files."""

import h5py
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.geometries.guard.hdf5_values import attribute, data_set_names, listing, member_names, values
from onehit.geometries.guard.safe_hdf5 import open_hdf5
from onehit.simulate.reading.recognise import open_frames

WORDS = ["", "single", "größer"]


def test_names_are_of_numbers_in_the_file_each_once(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["a/stack"], file["a/row"], file["words"] = np.zeros((2, 3, 4)), np.zeros(3), WORDS
        file["a/records"] = np.zeros(2, [("x", float)])
        file["again"], file["a/up"] = file["a/stack"], file["/"]
        file["soft"], file["out"] = h5py.SoftLink("/a/stack"), h5py.ExternalLink("other.h5", "/a/stack")
    with open_hdf5(tmp_path / "file.h5") as file:
        assert data_set_names(file) == ["a/row", "a/stack"] and data_set_names(file, dimensions=3) == ["a/stack"]
        assert listing(file) == "it has 'a/stack', 'a/row'"  # the largest first


def test_names_that_are_no_utf8_do_not_stop_a_file_from_being_read(tmp_path):
    """As LabVIEW writes them in Germany."""
    frames = np.random.default_rng(0).poisson(3, (5, 16, 16))
    with h5py.File(tmp_path / "latin.h5", "w") as file:
        file["entry/data/data"], file["entry/gr\xf6\xdfe".encode("latin1")] = frames, np.zeros((5, 16, 16))
    with open_hdf5(tmp_path / "latin.h5") as file:
        assert data_set_names(file) == ["entry/data/data", "entry/gr\ufffd\ufffde"]
        assert member_names(file["entry"]) == ["data"]
    np.testing.assert_array_equal(open_frames(tmp_path / "latin.h5").read(np.arange(5)), frames)


def test_messages_are_one_line_whatever_names_hold(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["entry/data/data_000001"] = h5py.ExternalLink("a\n\x1b[31m.h5", "/data")
    with pytest.raises(InputError, match=r"a\?\?\[31m.h5 does not exist") as error:
        open_frames(tmp_path / "file.h5", trusted=True)
    assert str(error.value).isprintable()


def test_values_and_attributes_of_all_kinds(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w", libver="v110") as file:
        file["words"], file["numbers"], file["fixed"] = WORDS, np.arange(3.0), np.array(["ab", "c"], "S")
        file["numbers"].attrs.update(units=h5py.Empty("S1"), axes=h5py.Empty(h5py.string_dtype()), scale=np.zeros(0))
        file["words"].attrs.update(words=WORDS, one="a", number=3, numbers=[1.5, 2], fixed=np.array(["ab", "c"], "S"))
        file.attrs["config"] = '{"seed": 3}'
        file.attrs["large"] = np.zeros(10_000)
        file.attrs["reference"] = file["words"].ref
    with open_hdf5(tmp_path / "file.h5") as file:
        assert values(file["words"]).tolist() == WORDS
        assert values(file["fixed"]).tolist() == ["ab", "c"]
        np.testing.assert_array_equal(values(file["numbers"]), np.arange(3.0))
        words = file["words"]
        assert attribute(words, "words") == WORDS and attribute(words, "one") == "a"
        assert attribute(words, "fixed") == ["ab", "c"] and attribute(words, "number") == 3
        np.testing.assert_array_equal(attribute(words, "numbers"), [1.5, 2])
        assert attribute(words, "nothing") is None and attribute(file, "config") == '{"seed": 3}'
        assert [attribute(file["numbers"], name) for name in ("units", "axes", "scale")] == [None] * 3
        with pytest.raises(InputError, match="large has 80000 bytes; 65536 are allowed"):
            attribute(file, "large")
        with pytest.raises(InputError, match="plain numbers or text"):
            attribute(file, "reference")
