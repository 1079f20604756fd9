"""Every dialect, written with plain h5py as its documentation says, is read as it was meant."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.simulate import FileSource
from onehit.simulate.reading import recognise
from onehit.simulate.reading.dialect import frames_of, given_masks
from onehit.simulate.reading.hdf5_dialect import Hdf5Dialect
from onehit.simulate.reading.recognise import open_frames

N, SHAPE = 5, (6, 8)
COUNTS = np.random.default_rng(0).poisson(3.0, (N, *SHAPE)).astype(np.uint16)
MODULES = np.random.default_rng(1).poisson(3.0, (N, 3, *SHAPE)).astype(np.uint16)
SINGLE = np.array([1, 0, 0, 1, 1])
BAD = np.eye(*SHAPE, dtype=bool)


@pytest.fixture
def write(tmp_path):
    """Writes data sets, soft links and (value, attributes) by name; returns the file's path."""

    def write(contents: dict, name="file.cxi") -> Path:
        with h5py.File(tmp_path / name, "w") as file:
            for key, value in contents.items():
                value, attributes = value if isinstance(value, tuple) else (value, {})
                file[key] = value
                file[key].attrs.update(attributes)
        return tmp_path / name

    return write


def check(frames, counts=COUNTS):
    """All frames, and some of them, are as they were written."""
    assert (frames.count, frames.shape, frames.dtype) == (len(counts), counts.shape[1:], counts.dtype)
    np.testing.assert_array_equal(frames.read(np.arange(len(counts))), counts)
    np.testing.assert_array_equal(frames.read(np.array([0, len(counts) - 1])), counts[[0, -1]])


def cxi(mask, version=160, **more):
    detector = "entry_1/instrument_1/detector_1/"
    return {
        "cxi_version": version,
        "number_of_entries": 1,
        detector + "data": (COUNTS, {"axes": "experiment_identifier:y:x"}),
        detector + "mask": mask,
        detector + "distance": 0.25,
        detector + "x_pixel_size": 75e-6,
        detector + "y_pixel_size": 75e-6,
        detector + "tags": (np.array([SINGLE, 1 - SINGLE], np.int8), {"headings": ["single", "multi"]}),
        "entry_1/instrument_1/source_1/energy": 1.602176634e-16 * 9,
        "entry_1/data_1": h5py.SoftLink("/entry_1/instrument_1/detector_1"),
        **{detector + name: value for name, value in more.items()},
    }


def test_cxi_with_its_mask_labels_and_facts(write):
    mask = np.zeros(SHAPE, np.uint32)
    mask[0, :8] = 0x1, 0x2, 0x4, 0x8, 0x10, 0x80, 0x200, 0x400
    mask[1, :3] = 0x1000, 0x1000 | 0x200, 0xFFFFFFFF
    frames = open_frames(write(cxi(mask)))
    check(frames)
    assert frames.format == "CXI 1.6" and frames.oddities == () and frames.frame_bad_pixel is None
    expected = np.zeros(SHAPE, bool)
    expected[0], expected[1, 1:3] = True, True
    np.testing.assert_array_equal(frames.bad_pixel, expected)
    assert "CXI bits" in frames.mask_meaning
    np.testing.assert_array_equal(frames.label, SINGLE)
    assert frames.label.dtype == np.int32
    assert frames.facts["distance_m"] == 0.25 and frames.facts["pixel_size_m"] == 75e-6
    np.testing.assert_allclose(frames.facts["photon_energy_ev"], 9000)


def test_a_tag_is_chosen_by_its_heading_and_labels_can_be_left_out(write):
    path = write(cxi(np.zeros(SHAPE, np.uint32)))
    np.testing.assert_array_equal(open_frames(path, label="multi").label, 1 - SINGLE)
    assert open_frames(path, label="").label is None
    with pytest.raises(InputError, match="no labels 'doubles'; its tags are 'single', 'multi'"):
        open_frames(path, label="doubles")


def test_headings_may_be_a_data_set_beside_the_tags(write):
    contents = cxi(np.zeros(SHAPE, np.uint32), tag=["is_multi", "single_hit"])
    contents["entry_1/instrument_1/detector_1/tags"] = np.array([1 - SINGLE, SINGLE], np.int8)
    np.testing.assert_array_equal(open_frames(write(contents)).label, SINGLE)


def test_energy_in_electronvolts_is_taken_as_such_and_called_odd(write):
    contents = cxi(np.zeros(SHAPE, np.uint32)) | {"entry_1/instrument_1/source_1/energy": np.full(N, 1600.0)}
    frames = open_frames(write(contents))
    assert frames.facts["photon_energy_ev"] == 1600
    assert len(frames.oddities) == 1 and "electronvolts" in frames.oddities[0]


def test_units_of_facts_are_heeded(write):
    values = {
        "distance": (586.0, {"units": "mm"}),
        "x_pixel_size": (np.float16(75), {"units": "micron"}),
        "y_pixel_size": (0.075, {"units": [b"mm"]}),
    }
    contents = cxi(BAD.astype(np.uint32), **values) | {
        "entry_1/instrument_1/source_1/energy": (np.full(N, 1.6, np.float32), {"units": "keV"})
    }
    frames = open_frames(write(contents))
    sizes = {"distance_m": 0.586, "pixel_size_m": 75e-6, "pixel_size_y_m": 75e-6, "photon_energy_ev": 1600}
    assert {name: frames.facts[name] for name in sizes} == pytest.approx(sizes, rel=1e-6)
    assert not frames.oddities and not frames.left_out


@pytest.mark.parametrize(
    "distance, says",
    [
        ((0.5, {"units": "furlong"}), "'furlong'; say it in mm, um"),
        ((0.5, {"units": "keV"}), "'keV'; say it in mm, um"),
        (586.0, "is 586; it must lie in 0.001 to 150 m (in mm? say 0.586)"),
        (0.0, "is 0; it must lie in"),
    ],
)
def test_facts_that_make_no_sense_are_left_out_and_said(write, distance, says):
    frames = open_frames(write(cxi(BAD.astype(np.uint32), distance=distance)))
    assert "distance_m" not in frames.facts and says in frames.left_out["distance_m"]
    assert len(frames.oddities) == 1 and says in frames.oddities[0]


@pytest.mark.parametrize("energy", [np.nan, -1.0, 0.0, 1e-30, 1e9])
def test_an_impossible_energy_is_left_out(write, energy):
    frames = open_frames(write(cxi(np.zeros(SHAPE, np.uint32)) | {"entry_1/instrument_1/source_1/energy": energy}))
    assert "photon_energy_ev" not in frames.facts and len(frames.oddities) == 1


def test_condor(write):
    mask = np.zeros((N, *SHAPE), np.uint16)
    mask[2, 0, :3] = 0x2, 0x20, 0x40
    mask[:, 1, :4] = 0x100, 0x800, 0x1000, 0x4000
    path = write(
        {
            "entry_1/data_1/data": COUNTS.astype(np.float64),
            "entry_1/data_1/mask": mask,
            "source/wavelength": np.full(N, 1e-9),
            "detector/distance": np.full(N, 0.74),
            "detector/pixel_size": np.full(N, 110e-6),
            "detector/cx": np.full(N, 3.5),
            "detector/cy": np.full(N, 2.5),
        }
    )
    frames = open_frames(path)
    assert frames.format == "Condor" and frames.bad_pixel is None and frames.label is None
    check(frames, COUNTS.astype(np.float64))
    expected = np.zeros((2, *SHAPE), bool)
    expected[1, 0, :3] = True
    np.testing.assert_array_equal(frames.frame_bad_pixel(np.array([1, 2])), expected)
    np.testing.assert_allclose(frames.facts["photon_energy_ev"], 1239.84, rtol=1e-5)
    assert frames.facts["distance_m"] == 0.74 and frames.facts["pixel_size_m"] == 110e-6
    np.testing.assert_array_equal(frames.facts["image_center"], [3.5, 2.5])


def test_european_xfel_modules_of_many_files(tmp_path):
    """As EXtra-data writes them: a virtual file over one file a module, missing modules filled up."""
    layout, masks = h5py.VirtualLayout(MODULES.shape, "u2"), h5py.VirtualLayout(MODULES.shape, "u4")
    for module in range(2):
        with h5py.File(tmp_path / f"module{module}.h5", "w") as file:
            file["data"] = MODULES[:, module]
            file["mask"] = np.where(BAD, 0x1000, 0).astype("u4") * np.ones((N, 1, 1), "u4")
            layout[:, module] = h5py.VirtualSource(file["data"])
            masks[:, module] = h5py.VirtualSource(file["mask"])
    path = tmp_path / "run.cxi"
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file["cxi_version"] = [150]
        file["entry_1/experiment_identifier"] = [f"10{i}:{4 * i}" for i in range(N)]
        file["entry_1/trainId"], file["entry_1/pulseId"] = np.arange(N) + 10, 4 * np.arange(N)
        detector = file.create_group("entry_1/instrument_1/detector_1")
        detector.create_virtual_dataset("data", layout, fillvalue=0)
        detector.create_virtual_dataset("mask", masks, fillvalue=0xFFFFFFFF)
        detector["experiment_identifier"] = h5py.SoftLink("/entry_1/experiment_identifier")
        file["entry_1/data_1"] = h5py.SoftLink("/entry_1/instrument_1/detector_1")
    frames = open_frames(path)
    assert frames.format == "European XFEL CXI 1.5" and frames.count == N and frames.shape == (3, *SHAPE)
    expected = MODULES.copy()
    expected[:, 2] = 0
    check(frames, expected)
    bad = frames.frame_bad_pixel(np.arange(N))
    np.testing.assert_array_equal(bad[:, :2], np.broadcast_to(BAD, (N, 2, *SHAPE)))  # any bit, not CXI's
    assert bad[:, 2].all()
    assert frames.facts["experiment_identifier"].tolist() == [f"10{i}:{4 * i}" for i in range(N)]
    np.testing.assert_array_equal(frames.facts["train_id"], np.arange(N) + 10)
    check(open_frames(path, data="/entry_1/data_1/data"), expected)


def test_cxi_whose_boolean_masks_mark_good_pixels(write):
    contents = cxi(np.ones((N, *SHAPE), bool), good_pixels=~BAD)
    del contents["cxi_version"]
    frames = open_frames(write(contents))
    np.testing.assert_array_equal(frames.bad_pixel, BAD)
    assert not frames.frame_bad_pixel(np.arange(N)).any()
    assert frames.mask_meaning.count("0 = do not use") == 2


def test_image_dialect_with_its_centre_and_support(write):
    mask = np.where(BAD, 1, 0x10000).astype(np.uint32)
    centre = np.array([4.0, 3.0, 0.0])
    image = "entry_1/image_1/"
    path = write({"cxi_version": 150, image + "data": COUNTS, image + "mask": mask, image + "image_center": centre})
    frames = open_frames(path)
    check(frames)
    assert frames.format == "CXI image 1.5"
    np.testing.assert_array_equal(frames.bad_pixel, BAD)
    np.testing.assert_array_equal(frames.facts["image_center"], centre)


@pytest.mark.parametrize("stack", [True, False])
def test_specklenn_joins_its_two_panels(write, stack):
    counts = COUNTS if stack else COUNTS[0]
    contents = {"entry_1/data_3/data": counts, "entry_1/data_4/data": 2 * counts[..., :4, :]}
    joined = np.concatenate([counts, 2 * counts[..., :4, :]], axis=-2)
    check(open_frames(write(contents)), joined if stack else joined[None])


@pytest.mark.parametrize(
    "axes, names, transpose",
    [
        ("yxn", "y:x:experiment_identifier", (1, 2, 0)),
        ("nxy", "experiment_identifier:x:y", (0, 2, 1)),
        ("ynx", ["row", "frame", "column"], (1, 0, 2)),
    ],
)
@pytest.mark.parametrize("data", ["entry_1/data_1/data", "entry/data/data"])
def test_axes_that_the_file_says_lie_otherwise_are_refused_with_the_option(write, data, axes, names, transpose):
    path = write({data: (COUNTS.transpose(transpose), {"axes": names})})
    with pytest.raises(InputError, match=rf"say --read\.axes {axes} if so, or --read\.axes nyx"):
        open_frames(path)
    check(open_frames(path, axes=axes))


@pytest.mark.parametrize("data", ["entry_1/data_1/data", "entry_1/image_1/data", "entry/data/data"])
def test_frames_that_look_as_if_they_lay_last_are_refused_whatever_the_dialect(write, data):
    counts = np.random.default_rng(0).poisson(3, (20, 20, 5))
    with pytest.raises(InputError, match=r"like 5 frames of 20 x 20: say --read\.axes yxn if so"):
        open_frames(write({data: counts}))
    for axes in ("experiment_identifier:y:x", ["frame", "y", "x"]):
        assert open_frames(write({data: (counts, {"axes": axes})})).count == 20
    assert open_frames(write({data: (counts, {"axes": ["depth", "time", "colour"]})}), axes="yxn").count == 5


def test_axes_of_a_nexus_group_are_heeded(write):
    path = write({"entry/data/data": COUNTS.transpose(1, 2, 0)})
    with h5py.File(path, "a") as file:
        file["entry/data"].attrs["axes"] = ["y", "x", "frame_number"]
    with pytest.raises(InputError, match=r"say --read\.axes yxn if so"):
        open_frames(path)


@pytest.mark.parametrize(
    "first, other",
    [
        ("entry_1/instrument_1/detector_1/data", "entry_2/instrument_1/detector_1/data"),
        ("entry_1/data_1/data", "entry_2/data_1/data"),
        ("entry/data/data", "entry2/data/data"),
        ("entry/data/data_000001", "entry/second/data_000001"),
    ],
)
def test_frames_of_other_entries_are_called_unused(write, first, other):
    for counts in (COUNTS[:3], COUNTS):
        (said,) = open_frames(write({first: COUNTS, other: counts})).oddities
        assert said == f"{other} not used: read it with --read.data NAME"
    check(open_frames(write({first: COUNTS, other: COUNTS[:3]}), data=other), COUNTS[:3])


def test_single_pictures_of_many_entries_are_called_unused(write):
    (said,) = open_frames(write({f"entry_{n}/image_1/data": COUNTS[0] for n in range(1, 9)})).oddities
    assert "entry_2/image_1/data" in said and "and 2 more not used" in said


def test_plain_hdf5_with_default_and_given_names(write):
    path = write({"counts": COUNTS, "label": SINGLE, "bad_pixel": BAD}, "plain.h5")
    frames = open_frames(path)
    check(frames)
    assert frames.format == "HDF5" and frames.oddities == ()
    np.testing.assert_array_equal(frames.label, SINGLE)
    np.testing.assert_array_equal(frames.bad_pixel, BAD)

    path = write({"run/photons": COUNTS, "run/counts": 2 * COUNTS, "truth": SINGLE, "ok": ~BAD}, "named.h5")
    frames = open_frames(path, data="run/photons", label="truth", mask="ok", mask_polarity="good")
    check(frames)
    np.testing.assert_array_equal(frames.label, SINGLE)
    np.testing.assert_array_equal(frames.bad_pixel, BAD)
    assert "ok: 0 = do not use" in frames.mask_meaning


def test_an_only_stack_is_taken_and_two_are_not(write):
    frames = open_frames(write({"photons": COUNTS, "energy": np.ones(N)}, "one.h5"))
    check(frames)
    assert "photons" in frames.oddities[0]
    with pytest.raises(InputError, match=r"say which data set.* 'background', 'photons'"):
        open_frames(write({"photons": COUNTS, "background": COUNTS}, "two.h5"))


@pytest.mark.parametrize("mask, meaning", [(~BAD, "mask: 0 = do not use"), (BAD, "mask: not 0 = do not use")])
def test_a_plain_mask_means_what_leaves_most_of_the_detector_and_says_so(write, mask, meaning):
    frames = open_frames(path := write({"counts": COUNTS, "mask": mask}, "a.h5"))
    np.testing.assert_array_equal(frames.bad_pixel, BAD)
    assert frames.mask_meaning.startswith(meaning) and "12.50% hidden" in frames.mask_meaning
    assert frames.oddities == ()
    np.testing.assert_array_equal(open_frames(path, mask_polarity="bad").bad_pixel, mask)
    assert open_frames(path, mask="").bad_pixel is None


def test_mask_of_another_file(write, tmp_path):
    path = write({"counts": COUNTS, "bad_pixel": np.zeros(SHAPE)}, "a.h5")
    np.save(tmp_path / "bad.npy", BAD)
    other = write({"entry_1/data_1/mask": BAD.astype(np.uint16) * 0x80}, "mask.cxi")
    for mask in (f"{tmp_path}/bad.npy", f"{other}:/entry_1/data_1/mask"):
        np.testing.assert_array_equal(open_frames(path, mask=mask).bad_pixel, BAD)
    with pytest.raises(InputError, match="does not exist"):
        open_frames(path, mask="other.npy")


@pytest.mark.parametrize("frames", [COUNTS, COUNTS[0], MODULES, COUNTS.astype(">f4"), np.asfortranarray(COUNTS)])
def test_npy(tmp_path, frames):
    np.save(tmp_path / "a.npy", frames)
    opened = open_frames(tmp_path / "a.npy")
    frames = frames.astype(frames.dtype.newbyteorder("="))
    check(opened, frames if frames.ndim > 2 else frames[None])
    assert opened.format == "NPY"
    with pytest.raises(InputError, match="leave out"):
        open_frames(tmp_path / "a.npy", label="label")


def test_emc_is_told_by_its_header_or_its_lists(tmp_path):
    """Sparse frames of 2 x 2 pixels: pixel 1 with one photon and pixel 2 with three; then an empty one."""
    header = np.zeros(256, "<i4")
    header[:2] = 2, 4
    body = np.array([1, 0, 1, 0, 1, 2, 3], "<i4")
    expected = np.array([[[0, 1], [3, 0]], np.zeros((2, 2))], np.int32)
    for name in ("photons.emc", "photons.bin"):
        (tmp_path / name).write_bytes(header.tobytes() + body.tobytes())
        check(open_frames(tmp_path / name), expected)
    with h5py.File(tmp_path / "photons.h5", "w") as file:
        file["num_pix"] = np.array([4], np.int32)
        for name, values in {"place_ones": [1], "place_multi": [2], "count_multi": [3]}.items():
            lists = file.create_dataset(name, (2,), h5py.vlen_dtype(np.int32), maxshape=(None,), chunks=(1,))
            lists[0], lists[1] = values, []
    check(open_frames(tmp_path / "photons.h5"), expected)
    np.save(tmp_path / "bad.npy", np.eye(2))
    frames = open_frames(tmp_path / "photons.emc", mask=str(tmp_path / "bad.npy"))
    np.testing.assert_array_equal(frames.bad_pixel, np.eye(2, dtype=bool))


def test_frames_never_written_are_called_odd(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("counts", (N, *SHAPE), "u2", chunks=(1, *SHAPE))[:3] = COUNTS[:3]
    (oddity,) = open_frames(tmp_path / "a.h5").oddities
    assert oddity.startswith("2 chunks of /counts were never written")


@pytest.mark.parametrize(
    "contents, message",
    [
        (
            {"counts": COUNTS, "label": SINGLE[:3]},
            r"5 frames but labels of shape .*: name others with --read\.label .*, or \"\" for none",
        ),
        ({"counts": COUNTS, "label": SINGLE + 1}, r"holds \[1, 2\]: name others with --read\.label \(1 = single hit"),
        ({"counts": COUNTS, "bad_pixel": BAD[:, :3]}, "say which mask"),
        ({"counts": COUNTS, "mask": BAD + 7}, "say which with --read.mask-polarity"),
        ({"counts": COUNTS[0, 0]}, "numbers .frames, rows, columns. are needed"),
        ({"counts": COUNTS[:0]}, "numbers .frames, rows, columns. are needed"),
        ({"counts": COUNTS + 1j}, "plain numbers are needed"),
        ({"counts": np.zeros((2, 2, 2, 4, 4))}, "five axes"),
        ({"entry_1/data_3/data": COUNTS, "entry_1/data_4/data": COUNTS[:3]}, "do not fit"),
        ({"words": ["a", "b"]}, "it has no plain numbers"),
        (
            {"entry_1/data_1/data": COUNTS, "entry_1/data_1/tags": (SINGLE, {"headings": ["single"]})},
            "tags have shape.*--read.label",
        ),
        ({"stars": COUNTS + 1j}, "it has no plain numbers"),
    ],
)
def test_what_does_not_fit_is_refused(write, contents, message):
    with pytest.raises(InputError, match=message):
        open_frames(write(contents))


@pytest.mark.parametrize("names", [{"data": "photons"}, {"label": "truth"}, {"mask": "ok"}])
def test_names_that_are_not_there_are_refused(write, names):
    with pytest.raises(InputError, match=r"photons|truth|ok"):
        open_frames(write({"counts": COUNTS}), **names)


@pytest.mark.parametrize("content", [b"", b"\x80\x06\x95", b"PK\x03", b"# text\n" * 300, b"\x93NUM"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content + bytes(2000))
    with pytest.raises(InputError, match="no CXI, EMC, HDF5, NPY, MATLAB or TIFF file"):
        open_frames(tmp_path / "file")
    with pytest.raises(InputError, match="does not exist"):
        open_frames(tmp_path / "missing.h5")
    with pytest.raises(InputError, match="is a folder: give a CXI, EMC, HDF5, NPY, MATLAB or TIFF file in it"):
        open_frames(tmp_path)


def test_a_made_up_dialect_joins_by_one_line(tmp_path, monkeypatch):
    """As `CONTRIBUTING.md` says: a room with a recogniser and an opener, and a place in the table."""

    class Shots:
        def recognises(self, opened):
            return opened.hdf5 is None and opened.head.startswith(b"SHOTS")

        def open(self, opened, given):
            frames = np.frombuffer(opened.path.read_bytes()[5:], np.uint8).reshape(-1, 4, 6)
            return frames_of(opened.path, "shots", [frames], given_masks(given), given)

    (tmp_path / "a.shots").write_bytes(b"SHOTS" + np.arange(48, dtype=np.uint8).tobytes())
    with pytest.raises(InputError, match="no CXI, EMC, HDF5, NPY, MATLAB or TIFF"):
        FileSource(tmp_path / "a.shots")
    monkeypatch.setattr(recognise, "DIALECTS", (Shots(), *recognise.DIALECTS))
    source = FileSource(tmp_path / "a.shots")
    assert (source.frames.format, len(source)) == ("shots", 2)
    np.testing.assert_array_equal(source.patterns([1]).counts, np.arange(24, 48).reshape(1, 4, 6))


def test_a_dialect_says_what_its_masks_and_labels_are_called(write, monkeypatch):
    lux = Hdf5Dialect("LUX", ("run/image",), ("run/facility",), "bad", ("badmap",), "hit")
    path = write({"run/image": COUNTS, "run/badmap": BAD, "run/hit": SINGLE, "run/facility": 1}, "lux.h5")
    monkeypatch.setattr(recognise, "DIALECTS", (lux, *recognise.DIALECTS))
    frames = open_frames(path)
    assert frames.format == "LUX"
    np.testing.assert_array_equal(frames.bad_pixel, BAD)
    np.testing.assert_array_equal(frames.label, SINGLE)


@pytest.mark.parametrize("linked", ["group", "data", "not"])
@pytest.mark.parametrize(
    "said", [{"data_type": "unphased amplitude"}, {"data_type": "Autocorrelation"}, {"data_space": "real"}]
)
def test_images_that_are_no_intensities_are_refused_by_what_they_are(write, linked, said):
    path = write({f"entry_1/image_1/{name}": text for name, text in ({"data": COUNTS} | said).items()})
    with h5py.File(path, "a") as file:
        if linked == "group":
            file["entry_1/data_1"] = h5py.SoftLink("/entry_1/image_1")
        elif linked == "data":
            file["entry_1/data_1/data"] = file["entry_1/image_1/data"]
    (name, text) = next(iter(said.items()))
    with pytest.raises(
        InputError, match=rf"entry_1/image_1/data holds no intensities \({name} is '{text}'\).*--read.data"
    ):
        open_frames(path)
    with h5py.File(path, "a") as file:
        file["entry_1/instrument_1/detector_1/data"] = COUNTS
        file[f"entry_1/image_1/{name}"][...] = {"data_type": "intensity ", "data_space": "Diffraction"}[name]
    check(open_frames(path, data="entry_1/image_1/data"), COUNTS)


@pytest.mark.parametrize("kind", [COUNTS.dtype, np.complex64])
def test_what_is_said_of_an_image_does_not_count_for_the_frames_of_the_detector(write, kind):
    """libspimage and Hawk write images with the beam in their corner, beside raw frames."""
    image = {"data": COUNTS.astype(kind), "is_fft_shifted": 1, "image_center": np.ones(2), "data_type": "amplitude"}
    path = write(
        {"entry_1/instrument_1/detector_1/data": COUNTS} | {f"entry_1/image_1/{k}": v for k, v in image.items()}
    )
    frames = open_frames(path)
    check(frames, COUNTS)
    assert not {"is_fft_shifted", "image_center"} & frames.facts.keys()


def test_what_an_image_says_counts_for_itself(write):
    one = {"data": COUNTS, "is_fft_shifted": 1}
    path = write(
        {
            f"entry_1/image_{n}/{k}": v
            for n, more in ((1, 1), (2, 0))
            for k, v in (one | {"is_fft_shifted": more}).items()
        }
    )
    assert open_frames(path, data="entry_1/image_1/data").facts["is_fft_shifted"]
    assert not open_frames(path, data="entry_1/image_2/data").facts["is_fft_shifted"]
    assert open_frames(path).facts["is_fft_shifted"]


def test_a_group_called_mask_is_no_mask_and_data_that_cannot_be_read_are_in_nobodys_way(write, tmp_path):
    path = write({"data": COUNTS, "mask/inner": BAD})
    with h5py.File(path, "a") as file:
        file.create_dataset("never/written", (3,), "u1")
        file.create_dataset("packed", (4, 4), "u1", chunks=(4, 4), scaleoffset=0)
    check(open_frames(path), COUNTS)
    check(open_frames(path, mask="mask/inner"), COUNTS)
    with h5py.File(path, "a") as file:
        file.create_dataset("stack", (5, 4, 4), "u1")
    with pytest.raises(InputError, match=r"say which data set holds the frames with --read.data; it has .*'stack'"):
        open_frames(path)


def test_colours_are_no_modules(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 16, 16, 3), np.uint8))
    with pytest.raises(InputError, match=r"the frames have 3 colours, \(16, 16, 3\): write one number a pixel"):
        FileSource(tmp_path / "a.npy")


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.cbf", b"###CBF: VERSION 1.5", "is a CBF file, and is not read: open it with fabio.* numpy.save"),
        ("a.edf", b"{\nHeaderID = EH:000001 ;", "such as EDF or SMV, and is not read: open it with fabio"),
        ("a.png", b"\x89PNG\r\n\x1a\n", r"is a picture \(PNG\).*as HDF5 or NPY"),
        ("a.h5", pickle.dumps(COUNTS), "is a pickle.*numpy.save, where it was written"),
        ("a.mat", bytes(200), "of MATLAB 4: save it with -v7"),
    ],
)
def test_files_of_other_kinds_get_their_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_frames(tmp_path / name)


def test_frames_whose_photon_energy_is_unknown_do_not_hide_that_of_the_others(write):
    contents = cxi(np.zeros(SHAPE, np.uint32)) | {
        "entry_1/instrument_1/source_1/energy": np.array([np.nan, 9e3, 9e3, 9e3, np.inf])
    }
    assert open_frames(write(contents)).facts["photon_energy_ev"] == 9e3
    contents["entry_1/instrument_1/source_1/energy"] = np.full(N, np.nan)
    frames = open_frames(write(contents, "none.cxi"))
    assert "photon_energy_ev" not in frames.facts and "energy is nan" in frames.left_out["photon_energy_ev"]


def test_rows_that_are_frames_are_told_to_need_three_axes(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((40, 4096)))
    with pytest.raises(InputError, match=r"--read\.axes nyx; rows that are frames of 64 x 64 need three axes"):
        FileSource(tmp_path / "a.npy")


def test_the_largest_data_sets_are_named_first(write):
    path = write({f"{n:02}": np.zeros(n + 1) for n in range(30)} | {"x": np.zeros((9, 8, 8)), "y": np.zeros((9, 8, 9))})
    with pytest.raises(InputError, match=r"--read\.data; it has 'y', 'x', '29', .*, \.\.\."):
        open_frames(path)
