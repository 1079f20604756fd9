"""Masters of many files and NXdata groups, written with plain h5py as DECTRIS and NeXus document them."""

import h5py
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.simulate import FileConfig, FileSource
from onehit.simulate.reading.recognise import open_frames

COUNTS = np.random.default_rng(0).poisson(3.0, (7, 6, 8)).astype(np.uint16)
BAD = np.eye(6, 8, dtype=bool)
ENDS = (0, 3, 6, 7)


@pytest.fixture
def master(tmp_path):
    """Writes a master of three files, 3, 3 and 1 images, and returns its path."""

    def write(numbers=(1, 2, 3), folder=".", change=lambda file: None, **options):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / "run_master.h5"
        with h5py.File(path, "w") as file:
            entry = file.create_group("entry")
            entry.attrs["NX_class"] = "NXentry"
            entry.create_group("data").attrs["NX_class"] = "NXdata"
            for number, first, last in zip(numbers, ENDS, ENDS[1:], strict=False):
                name = f"{folder}/run_data_{number:06}.h5"
                with h5py.File(tmp_path / name, "w") as part:
                    part.create_dataset("entry/data/data", data=COUNTS[first:last], chunks=(1, 6, 8), **options)
                    part["entry/data/data"].attrs.update(image_nr_low=first + 1, image_nr_high=last)
                entry[f"data/data_{number:06}"] = h5py.ExternalLink(name, "/entry/data/data")
            detector = entry.create_group("instrument/detector")
            detector["detectorSpecific/pixel_mask"] = BAD.astype(np.uint32) * 8
            detector["pixel_mask"] = h5py.SoftLink("/entry/instrument/detector/detectorSpecific/pixel_mask")
            for key, value, unit in (
                ("detector/x_pixel_size", 75.0, "um"),
                ("detector/detector_distance", 0.5, "m"),
                ("beam/incident_wavelength", 10.0, "angstrom"),
            ):
                entry[f"instrument/{key}"] = value
                entry[f"instrument/{key}"].attrs["units"] = unit
            change(file)
        return path

    return write


def check(frames, counts=COUNTS):
    assert (frames.count, frames.shape, frames.dtype) == (len(counts), counts.shape[1:], counts.dtype)
    np.testing.assert_array_equal(frames.read(np.arange(len(counts))), counts)
    np.testing.assert_array_equal(frames.read(np.array([1, len(counts) - 1])), counts[[1, -1]])


@pytest.mark.parametrize("numbers", [(1, 2, 3), (0, 1, 2)])
def test_a_master_is_joined_with_its_mask_and_facts(master, numbers):
    frames = open_frames(master(numbers), trusted=True)
    check(frames)
    assert frames.format == "NeXus (DECTRIS)" and frames.oddities == ()
    np.testing.assert_array_equal(frames.bad_pixel, BAD)
    assert (
        frames.mask_meaning == "entry/instrument/detector/pixel_mask: not 0 = do not use"
        and frames.frame_bad_pixel is None
    )
    assert frames.facts == pytest.approx(
        {"distance_m": 0.5, "pixel_size_m": 75e-6, "photon_energy_ev": 1239.84}, rel=1e-5
    )


def test_links_are_followed_for_who_trusts_them_alone(master):
    path = master(folder="elsewhere")
    with pytest.raises(InputError, match=r"^NeXus \(DECTRIS\) master .*'elsewhere/run_data_000001.h5'.*--read.trusted"):
        open_frames(path)
    check(open_frames(path, trusted=True))


@pytest.mark.parametrize("numbers", [(1, 2, 4), (2, 3, 4), (0, 2, 3)])
def test_a_number_missing_in_the_sequence_is_refused(master, numbers):
    expected = next(n for n in range(min(numbers[0], 1), 9) if n not in numbers)
    with pytest.raises(
        InputError, match=rf"none of number {expected}.*bring it back, or .*--read.data entry/data/data_"
    ):
        open_frames(master(numbers), trusted=True)


def test_a_missing_file_or_another_in_its_place_is_refused(master, tmp_path):
    path = master()
    (tmp_path / "run_data_000002.h5").unlink()
    with pytest.raises(InputError, match=r"data_000002 needs .*run_data_000002.h5.* does not exist"):
        open_frames(path, trusted=True)
    (tmp_path / "run_data_000002.h5").write_bytes((tmp_path / "run_data_000001.h5").read_bytes())
    with pytest.raises(InputError, match="has 3 images, by its numbers 1 to 3, where 4 comes next"):
        open_frames(path, trusted=True)
    alone = open_frames(path, data="entry/data/data_000003", trusted=True)
    np.testing.assert_array_equal(alone.read(np.array([0])), COUNTS[6:])
    np.testing.assert_array_equal(alone.bad_pixel, BAD)


def test_the_detector_may_lie_in_a_file_of_its_own(master, tmp_path):
    def move(file):
        with h5py.File(tmp_path / "meta.h5", "w") as meta:
            file.copy("entry/instrument", meta)
        del file["entry/instrument"]
        file["entry/instrument"] = h5py.ExternalLink("meta.h5", "/instrument")

    frames = open_frames(master(change=move), trusted=True)
    check(frames)
    np.testing.assert_array_equal(frames.bad_pixel, BAD)
    assert frames.facts["distance_m"] == 0.5


def test_links_in_a_circle_are_refused(master, tmp_path):
    path = master()
    with h5py.File(tmp_path / "run_data_000001.h5", "w") as part:
        part["entry/data/data"] = h5py.ExternalLink("run_master.h5", "/entry/data/data_000001")
    with pytest.raises(InputError, match="circle"):
        open_frames(path, trusted=True)


def test_what_is_named_is_used_instead(master):
    path = master(change=lambda file: file.update({"other": ~BAD, "labels": np.arange(7) % 2}))
    frames = open_frames(path, label="labels", mask="other", mask_polarity="good", trusted=True)
    np.testing.assert_array_equal(frames.bad_pixel, BAD)
    np.testing.assert_array_equal(frames.label, np.arange(7) % 2)
    assert open_frames(path, mask="", trusted=True).bad_pixel is None


def test_facts_without_known_units_are_left_out_and_said(master):
    def change(file):
        file["entry/instrument/detector/detector_distance"].attrs["units"] = "furlong"
        del file["entry/instrument/detector/x_pixel_size"].attrs["units"]
        file["entry/instrument/detector/detectorSpecific/photon_energy"] = 0.0
        file["entry/instrument/detector/detectorSpecific/photon_energy"].attrs["units"] = ["eV"]

    frames = open_frames(master(change=change), trusted=True)
    assert list(frames.facts) == ["photon_energy_ev"]
    assert all(word in said for word, said in zip(("furlong", "has no units", "is 0"), frames.oddities, strict=True))
    assert frames.facts["photon_energy_ev"] == pytest.approx(1239.84, rel=1e-5)


def nxdata(signal, **more):
    def write(file):
        entry = file.create_group("scan")
        entry.attrs["NX_class"] = "NXentry"
        entry["plot/pictures"], entry["plot/x"] = COUNTS, np.arange(7.0)
        entry["plot"].attrs.update(NX_class="NXdata", **({"signal": signal} if signal else {}))
        for name, value in more.items():
            entry[name] = value

    return write


@pytest.fixture
def written(tmp_path):
    def write(change):
        with h5py.File(tmp_path / "file.nxs", "w") as file:
            change(file)
        return tmp_path / "file.nxs"

    return write


def test_the_signal_of_an_nxdata_group_is_read_without_trust(written):
    more = {"another": 2 * COUNTS, "instrument/eiger/pixel_mask": BAD.astype(np.uint8)}

    def change(file):
        nxdata("pictures", **more)(file)
        file["scan/instrument/eiger"].attrs["NX_class"] = "NXdetector"

    frames = open_frames(written(change))
    check(frames)
    assert frames.format == "NeXus"
    np.testing.assert_array_equal(frames.bad_pixel, BAD)


def test_several_signals_are_refused_by_name(written):
    def change(file):
        nxdata("pictures")(file)
        file["scan/more/data"] = COUNTS
        file["scan/more"].attrs["NX_class"] = "NXdata"

    path = written(change)
    with pytest.raises(InputError, match=r"'scan/more/data', 'scan/plot/pictures': give one as --read.data"):
        open_frames(path)
    check(open_frames(path, data="scan/plot/pictures"))


def test_plain_data_of_an_entry_is_read(written):
    frames = open_frames(written(lambda file: file.update({"entry/data/data": COUNTS, "entry/data/other": COUNTS})))
    check(frames)
    assert frames.format == "NeXus"


def test_a_group_that_is_called_entry_does_not_make_a_file_nexus(written):
    """Naming the frames that a plain file has anyway changes neither its dialect nor its mask."""
    good = np.array(~BAD, np.uint8)
    path = written(lambda file: file.update({"entry/data": COUNTS, "entry/mask": good}))
    for given in ({}, {"data": "entry/data"}, {"data": "entry/data", "mask": "entry/mask"}):
        frames = open_frames(path, **given)
        assert frames.format == "HDF5"
        np.testing.assert_array_equal(frames.bad_pixel, BAD)


def test_a_mask_of_another_name_means_what_the_frames_say(written):
    good = np.array(~BAD, np.uint8)
    path = written(lambda file: (nxdata("pictures")(file), file.update({"scan/usable": good})))
    np.testing.assert_array_equal(open_frames(path, mask="scan/usable").bad_pixel, BAD)


@pytest.mark.parametrize("value", [np.arange(3), "NXdata", ["NXentry"], ["a", "b"], 1.5])
def test_odd_classes_do_no_harm(written, value):
    def change(file):
        file["group/pictures"] = COUNTS
        file["group"].attrs["NX_class"] = value

    check(open_frames(written(change)))


def test_a_virtual_stack_says_what_no_source_fills(tmp_path):
    layout = h5py.VirtualLayout((8, 6, 8), "u2")
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["counts"] = COUNTS
        layout[:4] = h5py.VirtualSource(file["counts"])[:4]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("counts", layout)
    assert open_frames(tmp_path / "a.h5").oddities == ("50 % of /counts have no source, and read as a fill value",)


@pytest.mark.parametrize(
    "limits, stored",
    [
        ({"saturation_value": 60}, 61),
        ({"detectorSpecific/countrate_correction_count_cutoff": 60}, 65535),
        ({"saturation_value": 90, "detectorSpecific/countrate_correction_count_cutoff": np.array([60])}, 61),
        ({"saturation_value": 0}, 65535),  # 0: it is not known
        ({}, 65535),
    ],
)
def test_counters_beyond_their_limit_are_masked_in_the_frame_that_has_them(master, limits, stored):
    counts = COUNTS.copy()
    counts[4, 2, 5], counts[4, 0, 3] = stored, 60  # a limit is the last number that counts
    path = master()
    with h5py.File(path, "a") as file:
        for name, value in limits.items():
            file[f"entry/instrument/detector/{name}"] = value
    with h5py.File(path.with_name("run_data_000002.h5"), "a") as part:
        part["entry/data/data"][...] = counts[3:6]
    source = FileSource(path, FileConfig(trusted=True))
    own = source.masks(range(7))
    expected = np.repeat(BAD[None], 7, 0)
    expected[4, 2, 5] = True
    np.testing.assert_array_equal(own, expected)
    assert any(f"{stored if stored == 65535 else 'more than 60'}" in note for note in source.notes)


@pytest.mark.parametrize("least, heeded", [(-3, True), (0, True), (1, False), (np.nan, False), ([0, 0], False)])
def test_numbers_below_the_underload_value_are_masked_but_not_pixels_without_photons(written, least, heeded):
    counts = COUNTS.astype(np.int32)
    counts[:, BAD], counts[4, 2, 5] = -4, -4

    def change(file):
        nxdata("pictures", **{"instrument/eiger/pixel_mask": BAD, "instrument/eiger/underload_value": least})(file)
        file["scan/instrument/eiger"].attrs["NX_class"] = "NXdetector"
        del file["scan/plot/pictures"]
        file["scan/plot/pictures"] = counts

    path = written(change)
    source = FileSource(path)
    assert source.masks([4])[..., 2, 5].all() == heeded and (counts == 0).any()
    assert np.count_nonzero(source.masks([4])) == np.count_nonzero(BAD) + heeded
    assert any("--read.mask-values 0" in line for line in source.frames.oddities) == (least == 1)


@pytest.mark.parametrize(
    "images, triggers, says", [(7, None, 0), (1, 7, 0), (20, None, 20), (5, 2, 10), (np.nan, 2, 0)]
)
def test_a_master_that_was_to_have_other_images_says_so(master, images, triggers, says):
    def change(file):
        file["entry/instrument/detector/detectorSpecific/nimages"] = images
        if triggers:
            file["entry/instrument/detector/detectorSpecific/ntrigger"] = triggers

    notes = open_frames(master(change=change), trusted=True).notes
    assert notes == ((f"the detector was asked for {says} images, of which 7 are there",) if says else ())
    assert open_frames(master(change=change), data="entry/data/data_000001", trusted=True).notes == ()


def test_options_are_spelled_as_they_are_typed_wherever_the_files_are_given(master):
    """onehit train has --read-data, evaluate --read-experiment."""
    path = master(folder="elsewhere")
    with pytest.raises(InputError, match=r"give --read-data\.trusted to follow it") as caught:
        FileSource(path, option="--read-data")
    assert "--read." not in str(caught.value)


def test_a_number_missing_is_read_alone_by_the_option_as_it_is_typed(master):
    with pytest.raises(InputError, match=r"none of number 3.*\(--read-experiment\.data entry/data/data_000004\)"):
        FileSource(master((1, 2, 4)), FileConfig(trusted=True), "--read-experiment")
