import h5py
import numpy as np
import pytest
from onehit.geometries import InputError
from onehit.simulate import FileSource, SimulatedSource
from onehit.simulate.files import write_hdf5


@pytest.fixture
def labelled(tmp_path):
    """A labelled file and what was put into it."""
    rng = np.random.default_rng(0)
    content = {
        "counts": rng.poisson(1, (10, 8, 9)).astype(np.uint16),
        "label": np.arange(10) % 2,
        "bad_pixel": rng.random((8, 9)) < 0.1,
    }
    path = tmp_path / "labelled.h5"
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            file[name] = value
    return path, content


def rewrite(path, **content):
    with h5py.File(path, "a") as file:
        for name, value in content.items():
            del file[name]
            if value is not None:
                file[name] = value


def test_frames_come_in_the_order_asked_for_repeats_included(labelled):
    path, content = labelled
    source = FileSource(path)
    assert (len(source), source.shape, source.name) == (10, (8, 9), "labelled")
    np.testing.assert_array_equal(source.bad_pixel, content["bad_pixel"])
    patterns = source.patterns([7, 1, 1, 3])
    np.testing.assert_array_equal(patterns.counts, content["counts"][[7, 1, 1, 3]])
    np.testing.assert_array_equal(patterns.label, content["label"][[7, 1, 1, 3]])


def test_a_missing_data_set_is_answered_with_those_there_are(labelled):
    rewrite(labelled[0], counts=None)
    with pytest.raises(InputError, match=r"no data set 'counts'; it has bad_pixel, label"):
        FileSource(labelled[0])


@pytest.mark.parametrize(
    "content, message",
    [
        ({"counts": np.zeros((10, 8))}, r"counts has shape \(10, 8\)"),
        ({"counts": np.zeros((10, 8, 9), "S3")}, "type"),
        ({"label": np.zeros(9)}, "10 frames but 9 labels"),
        ({"label": np.full(10, 3)}, "1 = good, 0 = bad"),
        ({"label": np.arange(10) % 2 * 0.9}, "1 = good, 0 = bad"),
        ({"bad_pixel": np.zeros((9, 9))}, "bad_pixel has shape"),
    ],
)
def test_wrong_contents_are_refused(labelled, content, message):
    rewrite(labelled[0], **content)
    with pytest.raises(InputError, match=message):
        FileSource(labelled[0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_frames_that_are_not_finite_are_named(labelled, value):
    counts = np.ones((10, 8, 9), np.float32)
    counts[6, 2, 2] = value
    rewrite(labelled[0], counts=counts)
    source = FileSource(labelled[0])
    source.patterns([0, 1])
    with pytest.raises(InputError, match="frame 6"):
        source.check()


def test_what_is_under_bad_pixels_does_not_matter(labelled):
    path, content = labelled
    rewrite(path, counts=np.where(content["bad_pixel"], np.nan, content["counts"]))
    FileSource(path).check()


def test_negative_counts_are_refused_where_they_would_be_trained_on(labelled):
    path, content = labelled
    counts = content["counts"].astype(np.float32)
    counts[4, ~content["bad_pixel"]] = -1
    rewrite(path, counts=counts)
    FileSource(path).check()
    with pytest.raises(InputError, match="frame 4 holds negative"):
        FileSource(path).check(negative=False)


def test_missing_and_broken_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        FileSource(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(InputError, match="cannot be read as HDF5"):
        FileSource(tmp_path / "text.h5")


def test_written_patterns_read_back_with_their_truth(small_simulation, tmp_path):
    source = SimulatedSource(small_simulation, 3)
    blocks = [source.patterns(np.arange(0, 20)), source.patterns(np.arange(20, 30))]
    path = tmp_path / "patterns.h5"
    write_hdf5(path, iter(blocks), 30, source.shape, source.bad_pixel, {"config": "{}"})
    read = FileSource(path)
    whole = source.patterns(np.arange(30))
    np.testing.assert_array_equal(read.patterns(np.arange(30)).counts, whole.counts)
    np.testing.assert_array_equal(read.label, whole.label)
    np.testing.assert_array_equal(read.bad_pixel, source.bad_pixel)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["truth/position_m"], whole.truth.scene.position_m)
        np.testing.assert_array_equal(file["truth/particles"], whole.truth.particles)
        assert file["counts"].chunks == (1, 32, 32)


def test_an_interrupted_write_leaves_nothing_and_keeps_what_was_there(small_simulation, tmp_path):
    path = tmp_path / "patterns.h5"
    path.write_text("precious")

    def blocks():
        yield SimulatedSource(small_simulation, 3).patterns(np.arange(8))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_hdf5(path, blocks(), 16, (32, 32), np.zeros((32, 32), bool), {})
    assert [p.name for p in tmp_path.iterdir()] == ["patterns.h5"]
    assert path.read_text() == "precious"
