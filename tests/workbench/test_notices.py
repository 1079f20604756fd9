"""What commands say of strangers' files, and what --strict refuses."""

import re
from dataclasses import replace

import h5py
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.simulate import FileConfig, FileSource
from onehit.workbench.cli import main
from onehit.workbench.notices import tell, tell_sizes

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(np.exp(-np.hypot(*(np.indices((32, 32)) - 15.5)) / 6) * 60, (30, 32, 32)).astype(np.uint16)
BAD = np.zeros((32, 32), bool)
BAD[10, 10] = True
DETECTOR = "entry_1/instrument_1/detector_1/"


def write(path, **content):
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            file[name] = value
    return path


def test_how_a_file_was_read_is_said_and_a_usual_one_passes_strictly(tmp_path, capsys):
    tell(FileSource(write(tmp_path / "a.h5", counts=COUNTS, mask=~BAD)), "--read", strict=True)
    said = capsys.readouterr().err
    assert "mask: mask: 0 = do not use (taken so" in said and "0.1% of the pixels are hidden" in said
    assert "odd" not in said


def test_the_only_frames_there_are_pass_strictly_and_so_do_labels_that_do_not_matter(tmp_path, capsys):
    source = FileSource(write(tmp_path / "a.h5", data=COUNTS, mask=~BAD))
    tell(source, "--read", strict=True)
    assert "frames are taken from data" in capsys.readouterr().err
    source = FileSource(write(tmp_path / "b.h5", counts=COUNTS, mask=~BAD, label=np.ones(30, int)))
    tell(source, "--read", strict=True, labels=False)
    with pytest.raises(InputError, match="something is odd"):
        tell(source, "--read", strict=True)


ODD = {
    "no mask": ({"counts": COUNTS}, {}, "no pixel is masked"),
    "data numbers": ({"counts": COUNTS * 21.3 + 7, "bad_pixel": BAD}, {}, "data numbers"),
    "empty": ({"counts": COUNTS * 0, "bad_pixel": BAD}, {}, r"no frame holds a photon on good pixels.*--read\.data"),
    "divided away": (
        {"counts": COUNTS, "bad_pixel": BAD},
        {"adu_per_photon": 1e5},
        r"no frame holds a photon.*below half a photon by --read\.adu-per-photon",
    ),
    "second detector": (
        {DETECTOR + "data": COUNTS, DETECTOR + "mask": BAD * 4, DETECTOR.replace("r_1/", "r_2/") + "data": COUNTS + 1},
        {},
        r"detector_2/data not used: read it with --read\.data",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_said_and_refused_strictly(tmp_path, capsys, name):
    content, options, says = ODD[name]
    source = FileSource(write(tmp_path / "a.cxi", **content), FileConfig(**options))
    tell(source, "--read", strict=False)
    with pytest.raises(InputError, match=r"something is odd.*--strict refuses"):
        tell(source, "--read", strict=True)
    lines = [line for line in capsys.readouterr().err.splitlines() if ": odd: " in line]
    assert any(re.search(says, line) for line in lines), lines


def test_an_instrument_that_the_classifier_does_not_know_is_odd(tmp_path, small_training, capsys):
    facts = {DETECTOR + "distance": 3.0, DETECTOR + "x_pixel_size": 75e-6, DETECTOR + "y_pixel_size": 75e-6}
    energy = {"entry_1/instrument_1/source_1/energy": 1.6e-16}
    path = write(tmp_path / "a.cxi", **{DETECTOR + "data": COUNTS, DETECTOR + "mask": BAD * 4}, **facts, **energy)
    tell(FileSource(path), "--read", False, small_training)
    said = capsys.readouterr().err
    assert "as wide in reciprocal space as those that the classifier has learned with" in said
    assert "train one for this instrument (--simulation.instrument.preset" in said


@pytest.mark.parametrize("pixel_size_m, ratio", [(1.2e-3, None), (2.4e-3, "2")])
def test_pixels_are_compared_as_the_classifier_bins_them(tmp_path, small_training, capsys, pixel_size_m, ratio):
    """It takes 32 x 32 pixels of 2.4 mm, and bins 64 x 64 by 2."""
    size = {DETECTOR + "x_pixel_size": pixel_size_m, DETECTOR + "y_pixel_size": pixel_size_m}
    facts = {DETECTOR + "distance": 0.586, "entry_1/instrument_1/source_1/energy": 1600 * 1.602176634e-19}
    frames = {DETECTOR + "data": COUNTS.repeat(2, 1).repeat(2, 2), DETECTOR + "mask": BAD.repeat(2, 0).repeat(2, 1) * 4}
    tell(FileSource(write(tmp_path / "a.cxi", **frames, **size, **facts)), "--read", False, small_training)
    said = capsys.readouterr().err
    assert f"{ratio} times as wide in reciprocal space" in said if ratio else "reciprocal space" not in said


@pytest.mark.parametrize("kept, what", [(30, "kept frames"), (3, "the 10 brightest frames"), (0, "if these are")])
def test_sizes_that_the_classifier_has_not_learned_are_odd(tmp_path, small_training, capsys, kept, what):
    """Where few frames are kept, of the brightest ones: another size is why they are not."""
    counts = np.concatenate([COUNTS, 60000 - 0 * COUNTS[:5]])  # the last ones cannot be judged
    source = FileSource(write(tmp_path / "a.h5", counts=counts, bad_pixel=BAD))
    photons, number = counts.sum((1, 2)).astype(float), np.arange(35)
    for low, high, odd in ((1.0, 4000.0, False), (900.0, 1000.0, True)):
        learned = replace(small_training, simulation=replace(small_training.simulation, diameter_nm=(low, high)))
        tell_sizes(source, learned, photons, number < kept, number < 30, strict=False)
        said = capsys.readouterr().err
        assert (what in said and "look like particles of" in said) == odd
        assert odd == bool(said)
    with pytest.raises(InputError, match="something is odd"):
        tell_sizes(source, learned, photons, number < kept, number < 30, strict=True)


@pytest.mark.parametrize("command", ["train", "evaluate", "study", "compare", "classify"])
def test_every_command_that_takes_files_can_be_strict(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "--strict" in capsys.readouterr().out


def test_training_on_a_file_says_what_is_odd_about_it(tmp_path, capsys):
    path = write(tmp_path / "a.h5", counts=COUNTS, label=np.arange(30) % 2)
    network = ["--network.n", "1", "--network.m", "1", "--network.size", "32"]
    assert main(["train", str(tmp_path / "run"), "--data", str(path), "--strict", *network]) == 2
    said = capsys.readouterr().err
    assert not (tmp_path / "run").exists() and "no pixel is masked" in said
    assert "--strict refuses that" in said and "--read-data.mask" in said


def test_small_frames_are_padded_by_an_option_that_is_named(tmp_path, capsys):
    assert main(["classify", str(write(tmp_path / "a.h5", counts=COUNTS))]) == 2
    assert "takes at least 128 x 128: pad them with --read.shape 128 128" in capsys.readouterr().err
