"""Modules become the picture that they are, or are refused: whatever the layout and the order of the panels."""

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up import made_up_patterns
from onehit.geometries import InputError
from onehit.simulate import FileConfig, FileSource, InstrumentConfig, SimulationConfig
from onehit.simulate.beamline.pixels import assemble
from onehit.simulate.formats.cxi import encode_cxi
from onehit.simulate.formats.hdf5 import encode_hdf5
from onehit.simulate.sets.plan import plan_set
from panels import MODULES, SLAB, pictured, write_geom

RNG = np.random.default_rng(0)
BACKWARDS = dict(reversed(MODULES.items()))
TWO_BY_TWO = {"a": (0, 3), "b": (2, 3), "c": (0, 0), "d": (2, 0)}
# Name of the layout: ranges, dim entries, and the panels (N, 4, 2, 3) as the file has them.
LAYOUTS = {
    "slab": (SLAB, None, lambda p: p.reshape(-1, 8, 3)),
    "slab, its axes named": (SLAB, ("%", "ss", "fs"), lambda p: p.reshape(-1, 8, 3)),
    "slab, panels in another order": (dict(reversed(SLAB.items())), None, lambda p: p.reshape(-1, 8, 3)),
    "two by two": (TWO_BY_TWO, None, lambda p: np.block([[p[:, 2], p[:, 0]], [p[:, 3], p[:, 1]]])),
    "ranges of a slab, modules": (SLAB, None, lambda p: p.reshape(-1, 2, 4, 3)),
    "modules": (MODULES, ("%", "n", "ss", "fs"), lambda p: p),
    "modules, panels in another order": (BACKWARDS, ("%", "n", "ss", "fs"), lambda p: p),
    "modules between rows and columns": (BACKWARDS, ("%", "ss", "n", "fs"), lambda p: p.transpose(0, 2, 1, 3)),
    "modules after rows and columns": (BACKWARDS, ("%", "ss", "fs", "n"), lambda p: p.transpose(0, 2, 3, 1)),
    "columns before rows": (BACKWARDS, ("%", "n", "fs", "ss"), lambda p: p.swapaxes(2, 3)),
    "slab of columns": (SLAB, ("%", "fs", "ss"), lambda p: p.reshape(-1, 8, 3).swapaxes(1, 2)),
    "one module": (SLAB, ("%", "0", "ss", "fs"), lambda p: p.reshape(-1, 1, 8, 3)),
    "one module, its axis fallen away": (SLAB, ("%", "0", "ss", "fs"), lambda p: p.reshape(-1, 8, 3)),
}


def of(folder, counts, **config):
    np.save(folder / "frames.npy", counts)
    return FileSource(folder / "frames.npy", FileConfig(**config))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_modules_become_a_picture_wherever_the_file_keeps_them(tmp_path, layout):
    ranges, dims, stored = LAYOUTS[layout]
    panels = RNG.poisson(5, (3, 4, 2, 3))
    bad = "badspot/min_x = 1.1\nbadspot/max_x = 1.9\nbadspot/min_y = 0.1\nbadspot/max_y = 0.9\nrigid_group_q0 = a,b"
    source = of(tmp_path, stored(panels), geom=write_geom(tmp_path, ranges, bad, dims))
    np.testing.assert_array_equal(source.patterns([0, 1, 2]).counts, pictured(panels))
    good = np.ones((1, 4, 2, 3), bool)
    good[0, 0, 0, 0] = False  # in the bad region
    np.testing.assert_array_equal(source.bad_pixel, ~pictured(good)[0])
    assert not any("rigid_group" in note for note in source.notes)


REFUSED = {
    "modules that nobody numbers": (MODULES, None, (3, 4, 2, 3), "panels a and b take the same .*such as `b/dim1 = 1`"),
    "one picture for all": (MODULES, None, (3, 2, 3), "panels a and b take the same pixels"),
    "modules of two panels that nobody numbers": (
        dict(zip("abcd", ((0, 0), (2, 0)) * 2, strict=True)), None, (3, 2, 4, 3), "panels a and c take the same pixels"
    ),
    "a slab of panels that lie side by side elsewhere": (TWO_BY_TWO, None, (3, 8, 3), "panel a reaches to row 1 and"),
    "too few columns": (SLAB, None, (3, 8, 2), "reaches to row 1 and column 2: give the geometry file"),
    "too few rows": (SLAB, None, (3, 7, 3), "panel d reaches to row 7"),
    "too few modules": (MODULES, ("%", "n", "ss", "fs"), (3, 3, 2, 3), "panel d reaches"),
    "other modules": (SLAB, None, (3, 3, 3, 3), "panel b reaches from row 2 to 3, over the edge of a module"),
    "a slab instead of modules": (MODULES, ("%", "n", "ss", "fs"), (3, 8, 3), r"has the dim entries %, \d, ss, fs"),
    "frames on another axis": (MODULES, ("n", "%", "ss", "fs"), (3, 4, 2, 3), r"where dim1 = % .*numpy\.moveaxis"),
    "one frame alone": (MODULES, ("n", "ss", "fs"), (4, 2, 3), "has the dim entries 0, ss, fs"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_panels_that_do_not_lie_in_the_frames_are_refused(tmp_path, case):
    ranges, dims, shape, message = REFUSED[case]
    path = write_geom(tmp_path, ranges, dims=dims)
    with pytest.raises(InputError, match=rf"do not hold the 4 panels of .*detector\.geom, .*{message}"):
        of(tmp_path, np.ones(shape), geom=path)


def test_panels_that_lie_on_each_other_are_odd(tmp_path):
    path = write_geom(tmp_path, SLAB)
    assert of(tmp_path, np.ones((3, 8, 3)), geom=path).frames.oddities == ()
    path.write_text(path.read_text().replace("b/corner_y = 2", "b/corner_y = 1"))
    (odd,) = of(tmp_path, np.ones((3, 8, 3)), geom=path).frames.oddities
    assert "lie on each other, 12.5% of their pixels: give --read.geom that fits" in odd


def test_what_the_panels_leave_out_is_said(tmp_path):
    source = of(tmp_path, np.ones((3, 8, 4)), geom=write_geom(tmp_path, SLAB))
    assert any("detector.geom are 75 % of each frame; the rest is left out" in note for note in source.notes)


DIRECTIONS = (("x", "y"), ("y", "-x"), ("-x", "-y"), ("-y", "x"), ("x", "-y"), ("y", "x"), ("-x", "y"), ("-y", "-x"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_picture_cut_into_modules_comes_back_or_is_refused(tmp_path, data):
    """Modules at places of a grid, turned and mirrored, are laid into the file in any way that it may have them."""
    draw = data.draw
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    down, along = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    side = max(rows, columns)  # of a cell of the grid, which holds a module turned in any way
    picture = np.zeros((2, 2 * side * down, 2 * side * along), int)
    cells = draw(st.permutations([(y, x) for y in range(2 * down) for x in range(2 * along)]))
    cells = cells[: draw(st.integers(1, len(cells)))]
    names = draw(st.permutations([f"p{number}" for number in range(len(cells))]))
    dims = draw(st.permutations(["%", "ss", "fs"] + ["n"] * draw(st.booleans())))
    dims = sorted(dims, key=lambda dim: dim != "%") if draw(st.booleans()) else dims
    # In the data modules are numbered, or stand side by side in one or two rows, in an order of their own.
    places = draw(st.permutations(range(len(cells))))
    broad = 1 if "n" in dims else draw(st.integers(1, 2))
    high = 1 if "n" in dims else -(-len(cells) // broad)
    stored = np.zeros((2, len(cells) if "n" in dims else 1, high * rows, broad * columns), int)
    lines = ["clen = x", *(f"dim{i} = {dim}" for i, dim in enumerate(dims) if dim != "n")]
    for name, (y, x), place in zip(names, cells, places, strict=True):
        fast, slow = draw(st.sampled_from(DIRECTIONS))
        module = RNG.integers(1, 1000, (2, rows, columns))
        seen, corner_x, corner_y = as_seen(module, fast, slow)
        top, left = side * y, side * x
        picture[:, top : top + seen.shape[1], left : left + seen.shape[2]] = seen
        at, row, column = (place, 0, 0) if "n" in dims else (0, place // broad * rows, place % broad * columns)
        stored[:, at, row : row + rows, column : column + columns] = module
        lines += [f"{name}/dim{dims.index('n')} = {place}"] if "n" in dims else []
        lines += [f"{name}/min_ss = {row}", f"{name}/max_ss = {row + rows - 1}"]
        lines += [f"{name}/min_fs = {column}", f"{name}/max_fs = {column + columns - 1}"]
        lines += [f"{name}/fs = {fast}", f"{name}/ss = {slow}"]
        lines += [f"{name}/corner_x = {left - side * along + corner_x}"]
        lines += [f"{name}/corner_y = {top - side * down + corner_y}"]
    (tmp_path / "any.geom").write_text("\n".join(lines) + "\n")
    order = ["%", *(["n"] if "n" in dims else []), "ss", "fs"]
    stored = stored if "n" in dims else stored[:, 0]
    stored = stored.transpose([order.index(dim) for dim in dims])
    try:
        source = of(tmp_path, stored, geom=tmp_path / "any.geom", shape=picture.shape[1:])
    except InputError as error:
        assert dims[0] != "%" and "numpy.moveaxis" in str(error)
    else:
        np.testing.assert_array_equal(source.patterns([0, 1]).counts, picture)
        np.testing.assert_array_equal(source.bad_pixel, picture[0] == 0)


def as_seen(module, fast, slow):
    """A module (N, rows, columns) as it lies in a picture whose rows run along y, and where its corner then is."""
    if fast.endswith("y"):
        module, fast, slow = module.swapaxes(1, 2), slow, fast
    _, height, width = module.shape
    flip_x, flip_y = fast.startswith("-"), slow.startswith("-")
    module = module[:, :, ::-1] if flip_x else module
    return module[:, ::-1] if flip_y else module, width * flip_x, height * flip_y


SLABS = {
    "AGIPD": (8192, 128),
    "AGIPD, one frame": (512, 128),
    "JUNGFRAU": (4096, 1024),
    "JUNGFRAU with wide pixels": (4112, 1030),
    "CSPAD": (1480, 1552),
    "CSPAD, one column": (5920, 388),
    "ePix10ka quad": (1408, 384),
    "lying": (16, 65),
}


@pytest.mark.parametrize("name", SLABS)
def test_a_slab_of_modules_is_no_picture_unless_the_user_says_so(tmp_path, name):
    rows, columns = SLABS[name]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("counts", (1, rows, columns), "u1", chunks=(1, rows, columns), compression=1)[0, 0, 0] = 1
    with pytest.raises(InputError, match=rf"frames of {rows} x {columns} .*--read-data\.geom.*--read-data\.axes nyx"):
        FileSource(tmp_path / "a.h5", option="--read-data")
    assert FileSource(tmp_path / "a.h5", FileConfig(shape=(rows, columns))).shape == (rows, columns)
    assert FileSource(tmp_path / "a.h5", FileConfig(centre=(1.0, 2.0))).shape == (rows, columns)


def test_modules_are_no_picture_at_all(tmp_path):
    np.save(tmp_path / "frames.npy", np.ones((3, 2, 4, 3)))
    for config in (FileConfig(), FileConfig(shape=(8, 3))):
        with pytest.raises(InputError, match=r"modules, \(2, 4, 3\).*--read-data\.geom .*write frames \(N, y, x\)"):
            FileSource(tmp_path / "frames.npy", config, "--read-data")


def test_oblong_pictures_of_at_most_four_to_one_are_pictures(tmp_path):
    assert of(tmp_path, np.ones((2, 8, 32))).shape == (8, 32)


def simulated(folder, name, instrument, encode):
    """A file of onehit's own with made-up counts, and these."""
    simulation = SimulationConfig(instrument=instrument, geometry=("cube",), amplitude="exact")
    plan = plan_set(folder / name, simulation, 0, 3)
    counts = RNG.poisson(5, (3, *plan.provenance.instrument.shape)).astype(np.uint16)
    (folder / name).write_bytes(encode(made_up_patterns(counts), 0, plan.provenance))
    return counts, plan.provenance


@pytest.mark.parametrize(("name", "encode"), [("a.cxi", encode_cxi), ("a.h5", encode_hdf5)])
def test_our_own_files_of_panels_are_pictures_of_themselves(tmp_path, name, encode):
    counts, provenance = simulated(tmp_path, name, InstrumentConfig("agipd-1m", binning=64), encode)
    picture, gaps = assemble(counts, provenance.instrument, provenance.bad_pixel)
    source = FileSource(tmp_path / name)
    np.testing.assert_array_equal(source.patterns([0, 1, 2]).counts, picture)
    np.testing.assert_array_equal(source.bad_pixel, gaps)
    assert source.shape == picture.shape[1:] and any("onehit simulated" in note for note in source.notes)
    cropped = FileSource(tmp_path / name, FileConfig(shape=(4, 4)))
    top, left = (size // 2 - 2 for size in source.shape)
    np.testing.assert_array_equal(cropped.patterns([0]).counts[0], picture[0, top : top + 4, left : left + 4])


def test_our_own_oblong_rectangle_is_a_picture(tmp_path):
    counts, _ = simulated(tmp_path, "a.h5", InstrumentConfig(shape=(64, 8)), encode_hdf5)
    np.testing.assert_array_equal(FileSource(tmp_path / "a.h5").patterns([0]).counts[0], counts[0])


@pytest.mark.parametrize(("name", "encode"), [("a.cxi", encode_cxi), ("a.h5", encode_hdf5)])
def test_our_own_files_of_a_geometry_file_need_that_very_file(tmp_path, name, encode):
    """Whatever that file says about the experiment's data: ours are in the order of its panels."""
    path = write_geom(tmp_path, BACKWARDS, "flag_equal = 0\ndata = /x", dims=("n", "%", "ss", "fs"))
    instrument = InstrumentConfig(geometry_file=str(path), distance_m=0.5, photon_energy_ev=1e3)
    counts, _ = simulated(tmp_path, name, instrument, encode)
    with pytest.raises(InputError, match=r"with the panels of .*detector\.geom: give that very file with --read\.geom"):
        FileSource(tmp_path / name)
    copy = path.rename(tmp_path / "copy.geom")
    source = FileSource(tmp_path / name, FileConfig(geom=copy))
    panels = counts.reshape(3, 4, 2, 3)[:, ::-1]
    np.testing.assert_array_equal(source.patterns([0, 1, 2]).counts, pictured(panels))
    np.testing.assert_array_equal(source.bad_pixel, pictured(np.ones((1, 4, 2, 3), int))[0] == 0)
    assert source.frames.frame_bad_pixel is None
    other = write_geom(tmp_path, SLAB)
    with pytest.raises(InputError, match="give that very file"):
        FileSource(tmp_path / name, FileConfig(geom=other))


def test_a_geometry_file_of_the_users_comes_before_a_preset(tmp_path):
    counts, _ = simulated(tmp_path, "a.h5", InstrumentConfig("agipd-1m", binning=32), encode_hdf5)
    source = FileSource(tmp_path / "a.h5", FileConfig(geom=write_geom(tmp_path, {"a": (7, 1)})))
    np.testing.assert_array_equal(source.patterns([0]).counts[0, 2:4, 5:8], counts[0, 7:9, 1:4])
