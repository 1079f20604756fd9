"""Density maps from files: axes, voxels and units, and what is refused."""

import gzip
from itertools import permutations
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
from onehit.geometries.densities import map_file
from onehit.geometries.densities.description import is_particle
from onehit.geometries.densities.map_file import load_map
from onehit.geometries.errors import InputError, InputWarning
from onehit.geometries.shapes import geometry, geometry_files, has_own_size

VALUES = np.zeros((7, 6, 5), np.float32)
VALUES[1:6, 1:5, 1:4] = np.random.default_rng(0).uniform(0.3, 0.6, (5, 4, 3))
INNER = VALUES[1:6, 1:5, 1:4]
VOXEL = (2.0, 3.0, 4.0)  # Å


def mrc(tmp_path, values=VALUES, axes=(1, 2, 3), name="a.mrc", **header):
    """A map with x, y, z along the given ones of columns, rows and sections."""
    path = tmp_path / name
    stored = np.transpose(values, [axes[2] - 1, axes[1] - 1, axes[0] - 1])
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(np.ascontiguousarray(stored))
        h = file.header
        h.mapc, h.mapr, h.maps = axes
        h.mx, h.my, h.mz = values.shape
        h.cella = tuple(n * size for n, size in zip(values.shape, VOXEL, strict=True))
        for key, value in header.items():
            setattr(h, key, value)
    return str(path)


def raw(path, offset, value, dtype="<i4"):
    """The same file with another number in its header."""
    content = bytearray(Path(path).read_bytes())
    content[offset : offset + np.dtype(dtype).itemsize] = np.array(value, dtype).tobytes()
    Path(path).write_bytes(content)
    return path


@pytest.mark.parametrize("axes", list(permutations((1, 2, 3))))
def test_axes_stand_where_the_header_says(tmp_path, axes):
    density = load_map(mrc(tmp_path, axes=axes), "contrast=0.4")
    np.testing.assert_allclose(density.voxel_nm, np.array(VOXEL) / 10, rtol=1e-6)
    np.testing.assert_allclose(density.values / density.values.max(), INNER / INNER.max(), rtol=1e-5)


def test_where_the_map_lies_does_not_matter(tmp_path):
    here = load_map(mrc(tmp_path), "contrast=0.4")
    there = load_map(mrc(tmp_path, name="b.map", nxstart=-30, nystart=7, origin=(5.0, -9.0, 1.0)), "contrast=0.4")
    for a, b in zip(here.axes_nm, there.axes_nm, strict=True):
        np.testing.assert_array_equal(a, b)
    weight = here.values.sum((1, 2))
    assert abs(weight @ here.axes_nm[0]) < 1e-6 * weight.sum()


def test_units_and_how_many_electrons_there_are(tmp_path):
    path = mrc(tmp_path)
    with pytest.warns(InputWarning, match="taken as electrons per cubic angstrom.*contrast=0.43"):
        plain = load_map(path)
    assert plain.electrons == pytest.approx(INNER.sum(dtype=float) * 24, rel=1e-6)
    assert plain.forward(1600.0) == pytest.approx(plain.electrons)
    other = load_map(mrc(tmp_path, VALUES * 1000, name="b.mrc"), "contrast=0.43")
    assert other.mean_density == pytest.approx(0.43, rel=1e-5)
    assert other.electrons == pytest.approx(plain.electrons * 0.43 / plain.mean_density, rel=1e-5)
    with pytest.raises(InputError, match=r"mean value of 4\d\d, .* contrast=0.43 for protein"):
        load_map(mrc(tmp_path, VALUES * 1000, name="b.mrc"))


def test_a_uniform_particle_has_its_own_volume_and_extent(tmp_path):
    density = load_map(mrc(tmp_path, np.where(VALUES > 0, np.float32(0.4), np.float32(0.0))), "contrast=0.4")
    assert density.volume_nm3 == pytest.approx(5 * 4 * 3 * 0.024, rel=1e-5)
    assert density.longest_extent_nm == pytest.approx(np.linalg.norm([4 * 0.2, 3 * 0.3, 2 * 0.4]), rel=1e-6)
    assert density.reach_nm >= density.longest_extent_nm / 2


def test_below_the_threshold_there_is_nothing(tmp_path):
    noisy = VALUES + np.random.default_rng(1).normal(0, 0.02, VALUES.shape).astype(np.float32)
    density = load_map(mrc(tmp_path, noisy), "threshold=0.2,contrast=0.4")
    assert density.values.shape == INNER.shape
    assert density.values.min() > 0


def test_noise_without_a_threshold_is_said(tmp_path):
    noise = np.random.default_rng(1).normal(0, 0.02, VALUES.shape).astype(np.float32)
    noise[VALUES > 0] = 0
    path = mrc(tmp_path, VALUES + noise)
    share = (VALUES + noise < -1e-3 * VALUES.max()).mean()
    with pytest.warns(InputWarning, match=rf"{share:.0%} of the voxels are negative: .*, {path}:threshold=, in"):
        load_map(path, "contrast=0.4")
    load_map(path, "contrast=0.4,threshold=0")
    load_map(mrc(tmp_path, VALUES + 1e-4 * noise, name="b.mrc"), "contrast=0.4")


@pytest.mark.parametrize("name", ["a.mrc.gz", "a.CCP4", "a.map"])
def test_endings_and_gzip(tmp_path, name):
    path = mrc(tmp_path, name="a.mrc")
    content = Path(path).read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    density = geometry(f"{tmp_path / name}:contrast=0.4")
    assert density.values.shape == INNER.shape  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.float16])
def test_other_numbers_than_float32(tmp_path, dtype):
    density = load_map(mrc(tmp_path, (VALUES * 100).astype(dtype)), "contrast=0.4")
    expected = (INNER * 100).astype(dtype).astype(float)
    np.testing.assert_allclose(density.values / density.values.max(), expected / expected.max(), rtol=1e-4)


def test_arrays_have_the_axes_z_y_x(tmp_path):
    np.save(tmp_path / "a.npy", VALUES.T)
    density = load_map(str(tmp_path / "a.npy"), "voxel=0.3,contrast=0.4")
    np.testing.assert_allclose(density.values / density.values.max(), INNER / INNER.max(), rtol=1e-5)
    assert density.voxel_nm.tolist() == [0.3, 0.3, 0.3]
    with pytest.raises(InputError, match=r"how large its voxels are: write .*a\.npy:voxel=0.3, in nm"):
        load_map(str(tmp_path / "a.npy"))


def test_voxels_that_the_header_lacks_are_asked_for(tmp_path):
    path = raw(mrc(tmp_path), 40, 0.0, "<f4")
    with pytest.raises(InputError, match="how large its voxels are"):
        load_map(path, "contrast=0.4")
    assert load_map(path, "contrast=0.4,voxel=0.5").voxel_nm.tolist() == [0.5] * 3


BAD = {
    "100 GB": (lambda p: raw(raw(raw(p, 0, 3000), 4, 3000), 8, 3000), "3000 x 3000 x 3000 = 2.7e.10 voxels.*bin it"),
    "negative": (lambda p: raw(p, 0, -5), "has the shape"),
    "extended header": (lambda p: raw(p, 92, 2**30), "extended header of 1073741824 bytes"),
    "complex": (lambda p: raw(p, 12, 4), "has mode 4; give real voxels"),
    "axes": (lambda p: raw(p, 64, 3), r"has axes \(3, 2, 3\)"),
    "angles": (lambda p: raw(p, 60, 120.0, "<f4"), r"axes at \[90.0, 90.0, 120.0\] degrees: resample"),
    "magic": (lambda p: raw(p, 208, 0), "is no MRC or CCP4 map"),
    "stamp": (lambda p: raw(p, 212, 0), "cannot be read as a map"),
    "nan": (lambda p: raw(p, 1024 + 4 * 100, np.nan, "<f4"), "1 voxels that are not finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_maps_are_refused_with_what_is_wrong(tmp_path, name):
    spoil, says = BAD[name]
    with pytest.raises(InputError, match=says):
        load_map(spoil(mrc(tmp_path)), "contrast=0.4")


def test_maps_that_are_cut_short_or_hold_nothing(tmp_path):
    path = mrc(tmp_path)
    content = Path(path).read_bytes()
    for length, says in ((len(content) - 8, "is cut short: it holds"), (500, "is no MRC"), (0, "is no MRC")):
        Path(path).write_bytes(content[:length])
        with pytest.raises(InputError, match=says):
            load_map(path, "contrast=0.4")
    for values in (VALUES * 0, -VALUES):
        with pytest.raises(InputError, match="no density above 0 in all: give another threshold"):
            load_map(mrc(tmp_path, values), "contrast=0.4")
    with pytest.raises(InputError, match=r"contrast -1\.0; give electrons per cubic angstrom"):
        load_map(mrc(tmp_path), "contrast=-1")
    with pytest.raises(InputError, match="has threshold nan; give a density"):
        load_map(mrc(tmp_path), "contrast=0.4,threshold=nan")


def test_bad_arrays_are_refused(tmp_path, monkeypatch):
    for values, says in (
        (np.zeros((4, 4)), "a map has three axes"),
        (np.zeros((2, 2, 2), complex), "it holds complex128"),
        (np.array([[[None]]]), "it holds object"),
        (np.full((2, 2, 2), np.inf), "8 voxels that are not finite"),
    ):
        np.save(tmp_path / "a.npy", values)
        with pytest.raises(InputError, match=says):
            load_map(str(tmp_path / "a.npy"), "voxel=1,contrast=0.4")
    (tmp_path / "a.npy").write_bytes(b"nothing of that kind")
    with pytest.raises(InputError, match="cannot be read as a map"):
        load_map(str(tmp_path / "a.npy"), "voxel=1")
    np.save(tmp_path / "a.npy", np.ones((4, 4, 4)))
    monkeypatch.setattr(map_file, "_MOST_VOXELS", 30)
    with pytest.raises(InputError, match=r"4 x 4 x 4 = 64 voxels; give at most 30: bin it|holds more than"):
        load_map(str(tmp_path / "a.npy"), "voxel=1,contrast=0.4")


@pytest.fixture
def hdf5(tmp_path):
    """A map that is stored as type, chunks and filters may be, among other things."""
    path = str(tmp_path / "a.h5")
    with h5py.File(path, "w") as file:
        stored = (VALUES.T * 1000).astype(">i2")
        file.create_dataset("entry/map", data=stored, chunks=(2, 6, 7), compression="gzip", shuffle=True)
        file["entry/picture"], file["entry/voxel"] = np.ones((3, 3)), 0.3
    return path


def test_hdf5_is_read_as_arrays_are(hdf5):
    np.save(Path(hdf5).with_name("a.npy"), (VALUES.T * 1000).astype(np.int16))
    same = load_map(hdf5.replace(".h5", ".npy"), "voxel=0.3,contrast=0.4")
    for spec in (f"{hdf5}:voxel=0.3,contrast=0.4", f"{hdf5}:data=/entry/map,contrast=0.4,voxel=0.3"):
        density = geometry(spec)
        np.testing.assert_array_equal(density.values, same.values)  # type: ignore[union-attr]
        assert has_own_size(spec) and geometry_files(f"{spec}:0.7") == [hdf5]
        assert is_particle(spec) and not is_particle(hdf5)  # which may be of frames


def test_of_several_arrays_one_must_be_named(hdf5):
    with h5py.File(hdf5, "r+") as file:
        file["half"] = np.zeros((2, 2, 2))
        file["text"] = np.array([[[b"x"]]])
        file["complex"] = np.zeros((2, 2, 2), complex)
        file["long"] = np.zeros((2, 2, 2), np.longdouble)
        file["large"] = h5py.Empty("f")
        file["out"] = h5py.ExternalLink("other.h5", "/map")
        file["round"] = h5py.SoftLink("/round")
        file.create_dataset("huge", (2000, 2000, 2000), "u1", chunks=(100, 100, 100))
        layout = h5py.VirtualLayout((2, 2, 2), "f4")
        layout[:] = h5py.VirtualSource("../none.h5", "x", (2, 2, 2))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("elsewhere", (2, 2, 2), "f4", external=[("/etc/passwd", 0, 32)])
    said = {
        "voxel=1": "arrays of three axes, it has .*'entry/map'.*: write .*a.h5:data=NAME",
        "voxel=1,data=maps": "has no data set 'maps': it has",
        "voxel=1,data=entry": "entry is a group, not a data set: give the data set's full name",
        "voxel=1,data=entry/picture": r"entry/picture has the shape \(3, 3\); a map has three axes",
        "voxel=1,data=text": "text holds .*: give an array of plain numbers",
        "voxel=1,data=complex": "complex128; plain numbers are needed",
        "voxel=1,data=long": "holds .*128: give an array of plain numbers",
        "voxel=1,data=large": "large is empty: give a data set that holds something",
        "voxel=1,data=out": "leads through an external link to 'other.h5'.*copy the data into this file",
        "voxel=1,data=round": "links that go in a circle",
        "voxel=1,data=huge": "declares 8000000000 bytes but stores none",
        "voxel=1,data=virtual": "reads from another folder",
        "voxel=1,data=elsewhere": "keeps its numbers in another file",
        "voxel=1,data=entry/map,data=half": "has data twice",
        "data=entry/map,contrast=0.4": "how large its voxels are: write .*a.h5:voxel=0.3, in nm",
        "voxel=1,dataset=entry/map": "no option 'dataset'; it takes contrast, threshold, voxel, data",
    }
    for options, says in said.items():
        with pytest.raises(InputError, match=says):
            load_map(hdf5, options)
    with pytest.raises(InputError, match="has no option 'data'; it takes contrast, threshold, voxel, written"):
        load_map(hdf5.replace(".h5", ".npy"), "data=x")


def test_hdf5_that_is_too_large_packed_or_none_is_refused(hdf5, tmp_path, monkeypatch):
    monkeypatch.setattr(map_file, "_MOST_VOXELS", 200)
    with pytest.raises(InputError, match=r"entry/map has 5 x 6 x 7 = 2.1e.02 voxels; give at most 2e.02: bin it"):
        load_map(hdf5, "voxel=1,contrast=0.4")
    (tmp_path / "a.h5.gz").write_bytes(gzip.compress(Path(hdf5).read_bytes()))
    with pytest.raises(InputError, match="is packed, and HDF5 is read as it is: unpack it first"):
        geometry(f"{hdf5}.gz:voxel=1")
    (tmp_path / "b.h5").write_bytes(Path(hdf5).read_bytes()[:-300])
    with pytest.raises(InputError, match="is truncated"):
        load_map(str(tmp_path / "b.h5"), "voxel=1")
    with pytest.raises(InputError, match="does not exist"):
        load_map(str(tmp_path / "c.h5"), "voxel=1")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["counts"] = np.ones((3, 3))
    with pytest.raises(InputError, match=r"has no arrays of three axes, it has 'counts': write .*d.h5:data=NAME"):
        load_map(str(tmp_path / "d.h5"), "voxel=1")


def test_mrcfile_that_is_missing_is_asked_for(tmp_path, monkeypatch):
    path = mrc(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "mrcfile.dtypes", None)
    with pytest.raises(InputError, match=r'pip install "onehit\[structures\]"'):
        load_map(path)
