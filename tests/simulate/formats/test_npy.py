"""NPY files: plain numbers are read, whatever is not is refused."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra.numpy import array_shapes, arrays, boolean_dtypes, floating_dtypes, integer_dtypes
from onehit.geometries.errors import InputError
from onehit.simulate.formats.npy import open_npy

NUMBERS = arrays(boolean_dtypes() | integer_dtypes() | floating_dtypes(), array_shapes(min_side=1))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NUMBERS)
def test_arrays_come_back(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(open_npy(tmp_path / "a.npy"), array)


def save(path, array):
    np.save(path, array, allow_pickle=True)


def savez(path):
    with path.open("wb") as file:
        np.savez(file, np.zeros(2), np.zeros(3))


@pytest.mark.parametrize(
    "write, message",
    [
        (lambda path: save(path, np.array([{}, 1], object)), "Pickles are refused"),
        (lambda path: save(path, np.zeros(2, [("a", int)])), "plain numbers are needed"),
        (lambda path: save(path, np.zeros(2, complex)), "plain numbers are needed"),
        (lambda path: path.write_bytes(b""), "is it complete"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr'"), "is it complete"),
        (lambda path: path.write_bytes(b"\x80\x04."), "is it complete"),
        (savez, "is it complete"),
    ],
)
def test_others_are_refused(tmp_path, write, message):
    write(tmp_path / "a.npy")
    with pytest.raises(InputError, match=message) as caught:
        open_npy(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((10, 10)))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:-1])
    with pytest.raises(InputError, match="is it complete"):
        open_npy(tmp_path / "a.npy")
    with pytest.raises(InputError, match="cannot be read"):
        open_npy(tmp_path / "missing.npy")
