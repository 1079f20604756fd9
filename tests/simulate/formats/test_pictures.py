"""Pictures that are written come back equal, or are refused; a file is there whole or not at all."""

import os
import resource

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onehit.geometries.errors import InputError
from onehit.simulate import FileConfig, FileSource
from onehit.simulate.formats import pictures
from onehit.simulate.formats.pictures import check_target, write_pictures
from scipy.constants import electron_volt

ENDINGS = (".cxi", ".h5", ".hdf5", ".emc")
DETECTOR, SOURCE = "entry_1/instrument_1/detector_1/", "entry_1/instrument_1/source_1/"
COUNT, SHAPE = 9, (6, 8)
IDENTIFIERS = np.array([f"{n:03}:µ" for n in range(COUNT)])


def write_source(path, counts, bad_pixel, label=None, geometry=True):
    path.unlink(missing_ok=True)  # a source may have it open
    with h5py.File(path, "w") as file:
        file["counts"], file["bad_pixel"] = counts, bad_pixel
        if label is not None:
            file["label"] = label
        file["entry_1/experiment_identifier"] = np.char.encode(IDENTIFIERS[: len(counts)], "utf-8")
        if geometry:
            file[DETECTOR + "distance"], file[DETECTOR + "x_pixel_size"] = 0.5, 1e-3
            file[SOURCE + "energy"] = 1500 * electron_volt
    return path


def columns_of(frames):
    return {
        "score": frames * 1.5,
        "verdict": np.where(frames % 2, "kept", "invalid"),
        "source_file": np.full(len(frames), "raw/µ.h5"),
        "source_frame": frames,
    }


def photons(dtype="uint16", count=COUNT):
    return np.random.default_rng(0).poisson(1.0, (count, *SHAPE)).astype(dtype)


def write(path, source, frames, record="{}"):
    return write_pictures(path, source.pictures(frames), columns_of(frames), record)


@settings(max_examples=12)
@given(st.data())
def test_what_is_written_is_what_was_kept_in_order(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("kept")
    ending = data.draw(st.sampled_from(ENDINGS))
    whole = ["uint8", "int16", "uint32", "int64", "float32"]
    dtype = data.draw(st.sampled_from(whole if ending == ".emc" else [*whole, "float16", "float64", "bool"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    counts = rng.poisson(1.0, (COUNT, *SHAPE)).astype(dtype)
    if ending != ".emc" and np.dtype(dtype).kind == "f":
        counts[rng.random(counts.shape) < 0.1] = np.nan
    own_masks, labelled = data.draw(st.booleans()), data.draw(st.booleans())
    masks = rng.random((COUNT, *SHAPE) if own_masks else SHAPE) < 0.3
    masks[..., 0, 0] = False  # EMC has one mask for all, which must leave something
    label = rng.integers(0, 2, COUNT) if labelled else None
    kept = np.array(data.draw(st.lists(st.integers(0, COUNT - 1), min_size=1, unique=True).map(sorted)))
    source = FileSource(write_source(folder / "raw.h5", counts, masks, label))

    write(folder / f"kept{ending}", source, kept)
    again = FileSource(folder / f"kept{ending}")
    written = "float32" if dtype == "float16" else dtype  # in which sums do not overflow
    assert again.frames.dtype == ("int32" if ending == ".emc" else written)
    found, bad = np.asarray(again.patterns(np.arange(len(kept))).counts), again.masks(np.arange(len(kept)))
    masks = masks[kept] if own_masks else masks
    if ending == ".emc":
        masks = masks.any(0) if own_masks else masks
        expected = np.where(source.masks(kept), 0, counts[kept])
        np.testing.assert_array_equal(np.where(bad, 0, found), np.where(masks, 0, expected))
    else:
        np.testing.assert_array_equal(found, counts[kept])
        masks = masks | np.isnan(counts[kept].astype(float)).all(0)  # which nothing was measured in
    np.testing.assert_array_equal(np.broadcast_to(bad, found.shape), np.broadcast_to(masks, found.shape))
    assert again.label is None if label is None else again.labels().tolist() == label[kept].tolist()
    facts = again.frames.facts
    assert [facts[name] for name in ("distance_m", "pixel_size_m")] == [0.5, 1e-3]
    assert facts["photon_energy_ev"] == pytest.approx(1500)
    beside = folder / ("kept.truth.h5" if ending == ".emc" else f"kept{ending}")
    with h5py.File(beside) as file:
        place = file["entry_1"] if ending == ".cxi" else file
        for name, values in columns_of(kept).items():
            stored = file[DETECTOR + name] if (ending, name) == (".cxi", "score") else place[name]
            stored = np.char.decode(stored[()], "utf-8") if stored.dtype.kind == "S" else stored[()]
            np.testing.assert_array_equal(stored, values)
        stored = np.char.decode(file["entry_1/experiment_identifier"][()], "utf-8")
        np.testing.assert_array_equal(stored, IDENTIFIERS[kept])


def test_pictures_are_written_as_they_were_read_and_facts_are_theirs(tmp_path):
    raw = photons("int32") * 30 + 100
    source = FileSource(
        write_source(tmp_path / "raw.h5", raw, np.zeros(SHAPE, bool)),
        FileConfig(adu_per_photon=30, adu_offset=100, centre=(2.5, 2.5), binning=2),
    )
    every = np.arange(COUNT)
    for ending in (".cxi", ".h5", ".emc"):
        write(tmp_path / f"kept{ending}", source, every)
        again = FileSource(tmp_path / f"kept{ending}")
        np.testing.assert_array_equal(again.bad_pixel, source.bad_pixel)
        good = ~source.bad_pixel
        np.testing.assert_array_equal(again.patterns(every).counts[:, good], source.patterns(every).counts[:, good])
        assert again.frames.facts["pixel_size_m"] == 2e-3
    with h5py.File(tmp_path / "kept.cxi") as file:
        assert file[DETECTOR + "data"].attrs["units"] == "photons"
        assert file["entry_1/image_1/image_center"][()].tolist() == [1.5, 1.0]


def test_european_xfels_identifiers_stay(tmp_path):
    with h5py.File(tmp_path / "raw.cxi", "w") as file:
        file["cxi_version"] = [150]
        file[DETECTOR + "data"], file[DETECTOR + "mask"] = photons(), np.eye(*SHAPE, dtype=np.uint32)
        file["entry_1/trainId"], file["entry_1/pulseId"] = np.arange(COUNT) + 7, np.arange(COUNT) % 3
    kept = np.array([1, 4, 8])
    write(tmp_path / "kept.cxi", FileSource(tmp_path / "raw.cxi"), kept)
    again = FileSource(tmp_path / "kept.cxi")
    assert again.frames.facts["train_id"].tolist() == [8, 11, 15]
    assert again.frames.facts["pulse_id"].tolist() == [1, 1, 2]
    np.testing.assert_array_equal(again.bad_pixel, np.eye(*SHAPE, dtype=bool))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_few_pictures_are_read_at_a_time(ending, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_BLOCK_BYTES", 2 * 2 * SHAPE[0] * SHAPE[1])
    source = FileSource(write_source(tmp_path / "raw.h5", photons(), np.zeros(SHAPE, bool)))
    asked = []
    monkeypatch.setattr(source, "patterns", lambda some: asked.append(len(some)) or FileSource.patterns(source, some))
    write(tmp_path / f"kept{ending}", source, np.arange(COUNT))
    assert max(asked) == 2
    np.testing.assert_array_equal(FileSource(tmp_path / f"kept{ending}").patterns(np.arange(COUNT)).counts, photons())


@pytest.mark.parametrize("ending", [".cxi", ".h5", ".emc"])
@pytest.mark.parametrize("room", [0, 1_000, 3_000, 10_000, 60_000])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(ending, room, tmp_path):
    """The disk has room for so many bytes a file."""
    counts = np.random.default_rng(0).integers(0, 2**14, (30, 40, 40)).astype(np.uint16)
    source = FileSource(write_source(tmp_path / "raw.h5", counts, np.zeros((40, 40), bool)))
    path = tmp_path / f"kept{ending}"
    write(path, source, np.arange(2))
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limit[1]))
    try:
        with pytest.raises(InputError, match=rf"kept{ending}: File too large; it was not written: make room"):
            write(path, source, np.arange(30))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


@pytest.mark.parametrize("value", [0.5, -1.0, np.nan, np.inf, 2.0**31])
def test_photon_files_hold_whole_photons_or_the_frame_is_named(value, tmp_path):
    counts = photons("float64")
    counts[4, 1, 1] = value
    counts[:, 2, 2] = np.nan  # which is masked
    source = FileSource(write_source(tmp_path / "raw.h5", counts, np.arange(48).reshape(SHAPE) == 18))
    remedy = r"frame 4 of raw/µ.h5 holds \S+: for data numbers give --read.adu-per-photon, or write .cxi or .h5"
    with pytest.raises(InputError, match=remedy):
        write(tmp_path / "kept.emc", source, np.arange(2, COUNT))
    assert os.listdir(tmp_path) == ["raw.h5"]
    write(tmp_path / "kept.emc", source, np.arange(4))


def test_masks_of_single_frames_become_one_in_a_photon_file_and_that_is_said(tmp_path):
    masks = np.zeros((COUNT, *SHAPE), bool)
    masks[3, 0, 0] = masks[4, 5, 5] = True
    source = FileSource(write_source(tmp_path / "raw.h5", photons(), masks))
    said = write(tmp_path / "kept.emc", source, np.arange(4))
    assert len(said) == 1 and "EMC has one mask for all frames: the 2.1% of the pixels that are bad in any" in said[0]
    assert np.argwhere(FileSource(tmp_path / "kept.emc").bad_pixel).tolist() == [[0, 0]]
    masks[0], masks[1] = True, False
    source = FileSource(write_source(tmp_path / "raw.h5", photons(), masks))
    with pytest.raises(InputError, match=r"every pixel is bad in some frame, and EMC has one mask for all: write .cxi"):
        write(tmp_path / "kept.emc", source, np.arange(4))


def test_a_photon_file_needs_to_know_where_its_pixels_are(tmp_path):
    def source(shape, bad, **more):
        return FileSource(write_source(tmp_path / "raw.h5", np.ones((2, *shape)), bad, geometry=False), **more)

    every = np.arange(2)
    write(tmp_path / "kept.emc", FileSource(write_source(tmp_path / "raw.h5", photons(), np.eye(*SHAPE) > 0)), every)
    with pytest.raises(InputError, match=r"EMC keeps masks in a detector file, .* do not say them: give a --read.geom"):
        write(tmp_path / "kept.emc", source((6, 6), np.eye(6, dtype=bool)), every)
    with pytest.raises(InputError, match=r"EMC keeps frames of 6 x 8 pixels in a detector file"):
        write(tmp_path / "kept.emc", source(SHAPE, np.zeros(SHAPE, bool)), every)
    assert (tmp_path / "kept.detector.h5").exists(), "of the first file, which is still there"
    said = write(tmp_path / "kept.emc", source((6, 6), np.zeros((6, 6), bool)), every)
    assert "no detector file, since distance, pixel size or photon energy are not known" in said[0]
    assert not (tmp_path / "kept.detector.h5").exists() and FileSource(tmp_path / "kept.emc").shape == (6, 6)


def test_the_beam_must_be_in_the_middle_of_a_photon_file(tmp_path):
    with h5py.File(write_source(tmp_path / "raw.h5", photons(), np.zeros(SHAPE, bool)), "a") as file:
        file["entry_1/image_1/image_center"] = [5.0, 2.0, 0.0]
    with pytest.raises(InputError, match=r"row 2, column 5, .* give --read.centre 2 5, or write .cxi or .h5"):
        write(tmp_path / "kept.emc", FileSource(tmp_path / "raw.h5"), np.arange(2))
    write(tmp_path / "kept.emc", FileSource(tmp_path / "raw.h5", FileConfig(centre=(2, 5))), np.arange(2))
    write(tmp_path / "kept.cxi", FileSource(tmp_path / "raw.h5"), np.arange(2))
    assert FileSource(tmp_path / "kept.cxi").frames.facts["image_center"].tolist() == [5, 2, 0]


@pytest.mark.parametrize("name, in_the_way", [("a.cxi", "a.cxi"), ("a.h5", "a.h5"), ("a.emc", "a.detector.h5")])
def test_only_files_that_were_kept_before_are_written_over(name, in_the_way, tmp_path):
    source = FileSource(write_source(tmp_path / "raw.h5", photons(), np.zeros(SHAPE, bool)))
    with h5py.File(tmp_path / in_the_way, "w") as file:
        file["counts"] = photons()
    with pytest.raises(
        InputError, match=rf"{in_the_way} is there already, and was not written by --kept: choose anoth"
    ):
        write(tmp_path / name, source, np.arange(2))
    (tmp_path / in_the_way).unlink()
    write(tmp_path / name, source, np.arange(2))
    write(tmp_path / name, source, np.arange(5))
    assert len(FileSource(tmp_path / name)) == 5


@pytest.mark.parametrize(
    "name, remedy",
    [
        ("kept.npy", "kept.npy: the name must end in .cxi, .h5 or .hdf5, or .emc"),
        ("nowhere/kept.cxi", "nowhere does not exist: make that folder first"),
        ("set.cxi", "set.cxi belongs to a set of many files: choose another name"),
        ("set.cxi.shards/000000.cxi", "000000.cxi belongs to a set of many files: choose another name"),
    ],
)
def test_names_that_cannot_be_written_are_refused(name, remedy, tmp_path):
    (tmp_path / "set.cxi.shards").mkdir()
    (tmp_path / "set.cxi.shards" / "manifest.json").touch()
    with pytest.raises(InputError, match=remedy):
        check_target(tmp_path / name)
