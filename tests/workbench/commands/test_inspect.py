"""`onehit inspect` says what a file holds and what is odd about it, and nothing of a file that is as it should be."""

import json
import re

import h5py
import numpy as np
import pytest
from onehit.simulate import FileConfig, FileSource
from onehit.simulate.inspecting.inspection import inspect_frames, symmetry_centre
from onehit.simulate.inspecting.oddities import oddities
from onehit.simulate.inspecting.rings import radial_profile
from onehit.train import NetworkConfig
from onehit.train.classifier import DEFAULT
from onehit.workbench.cli import main

SIZE, COUNT = 48, 60
MIDDLE = (SIZE - 1) / 2


def rings(row=MIDDLE, column=MIDDLE):
    """Mean photons of something like a particle: bright in the middle, with fringes."""
    radius = np.hypot(np.arange(SIZE)[:, None] - row, np.arange(SIZE) - column)
    return 300 * np.exp(-radius / 4) * (1.1 + np.cos(radius)) + 0.05


@pytest.fixture(scope="module")
def usual():
    """Counts, labels and mask of a file with nothing odd about it."""
    rng = np.random.default_rng(3)
    bad_pixel = np.zeros((SIZE, SIZE), bool)
    bad_pixel[23:25] = True
    brightness = rng.uniform(0.3, 2, (COUNT, 1, 1))
    counts = rng.poisson(brightness * rings(), (COUNT, SIZE, SIZE))
    return {"counts": counts.astype(np.uint16), "label": np.arange(COUNT) % 3 == 0, "bad_pixel": bad_pixel}


def write(path, **content):
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            file[name] = value
    return path


def odd(tmp_path, content, **config):
    source = FileSource(write(tmp_path / "a.h5", **content), FileConfig(**config))
    return [oddity.says for oddity in oddities(source, inspect_frames(source, np.arange(len(source))))]


def test_a_usual_file_has_nothing_odd(tmp_path, usual):
    assert odd(tmp_path, usual) == []


def test_pixels_that_are_not_square_are_odd(tmp_path, usual):
    detector = "entry_1/instrument_1/detector_1/"
    sizes = {detector + "x_pixel_size": 75e-6, detector + "y_pixel_size": 150e-6}
    (line,) = odd(tmp_path, usual | sizes)
    assert "7.5e-05 m wide and 0.00015 m high" in line and "resample" in line


def _nan(c):
    c["counts"] = c["counts"].astype(float)
    c["counts"][5, 3], c["counts"][6, 3] = np.nan, -np.inf


def _hot(c):
    c["counts"][:, 40, 7] = 40


def _dead_pixel(c):
    c["counts"][:, 22, 20] = 0


def _dead_columns(c):
    c["counts"][:, :, 20:24] = 0


def _bright_streak(c):
    streak = np.random.default_rng(0).poisson(30, (2, COUNT, 32)).astype(np.uint16)
    c["counts"][:, 10, 8:40] += streak[0]
    c["counts"][:, 37, 8:40] += streak[1]


TROUBLES = {
    "nan": (_nan, r"NaN on many good pixels: 1, with Inf: 1.*--read\.mask"),
    "data numbers": (lambda c: c.update(counts=c["counts"] * 31.7), r"not whole numbers.*--read\.adu-per-photon"),
    "negative": (lambda c: c.update(counts=c["counts"] - 1.0), r"frames with negative values: 60.*adu-offset"),
    "multiples": (lambda c: c.update(counts=c["counts"] * 25), r"multiple of 25.*--read\.adu-per-photon 25"),
    "pedestal": (lambda c: c.update(counts=c["counts"] + 100), r"far from the beam hold 100 .*adu-offset"),
    "saturated": (lambda c: c.update(counts=np.minimum(c["counts"], 200)), r"largest value, 200, occurs \d+ times"),
    "hot": (_hot, r"far brighter than all around: 1 \(row 40, column 7\)"),
    "dead": (_dead_pixel, r"never see a photon: 1 \(row 22, column 20\): mask"),
    "dead columns": (_dead_columns, r"\(rows 0 to 22, columns 20 to 23; rows 25 to 47, columns 20 to 23\)"),
    "no mask": (lambda c: c.pop("bad_pixel"), r"no pixel is masked"),
    "labels": (lambda c: c.update(label=np.ones(COUNT)), "every label is 1"),
    "repeated": (lambda c: c["counts"].__setitem__(4, c["counts"][9]), "equal to an earlier one: 1"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_trouble_is_told_alone_and_with_what_to_do(tmp_path, usual, trouble):
    content = {name: value.copy() for name, value in usual.items()}
    spoil, says = TROUBLES[trouble]
    spoil(content)
    lines = odd(tmp_path, content)
    assert len(lines) == 1, lines
    (line,) = lines
    assert re.search(says, line), line


def test_streaks_are_no_hot_pixels_and_empty_frames_no_duplicates(tmp_path, usual):
    content = {name: value.copy() for name, value in usual.items()}
    _bright_streak(content)
    content["counts"][3:6] = 0
    assert odd(tmp_path, content) == []


def test_speckles_of_a_few_frames_are_no_dead_or_hot_pixels(tmp_path, usual):
    rng = np.random.default_rng(2)
    speckles = rng.poisson(rings() * rng.exponential(1, (3, SIZE, SIZE)) ** 2)
    assert odd(tmp_path, {"counts": speckles, "bad_pixel": usual["bad_pixel"]}) == []


def test_what_bad_pixels_hold_does_not_matter(tmp_path, usual):
    counts = usual["counts"].astype(float)
    counts[:, 23], counts[:, 24, :20] = -7.5, np.inf
    assert odd(tmp_path, usual | {"counts": counts}) == []


@pytest.mark.parametrize("row, column", [(20.0, 29.0), (26.5, 17.0), (23.5, 21.5)])
def test_the_beam_off_the_middle_is_found_and_can_be_put_right(tmp_path, usual, row, column):
    rng = np.random.default_rng(1)
    content = usual | {"counts": rng.poisson(rings(row, column), (COUNT, SIZE, SIZE))}
    (line,) = odd(tmp_path, content)
    assert f"give --read.centre {row:g} {column:g}" in line
    assert odd(tmp_path, content, centre=(row, column)) == []


def test_noise_has_no_centre():
    assert symmetry_centre(np.random.default_rng(0).random((32, 32))) is None
    assert symmetry_centre(np.full((32, 32), np.nan)) is None


def test_radial_profile_is_the_mean_over_rings():
    picture = np.hypot(np.arange(9)[:, None] - 4, np.arange(9) - 4).round() ** 2
    picture[4, 4] = np.nan
    np.testing.assert_allclose(radial_profile(picture), [np.nan, *np.arange(1, 7) ** 2])
    assert radial_profile(picture, (0, 0))[0] == picture[0, 0]


def test_the_table_and_the_json_say_what_is_in_the_file(tmp_path, usual, capsys):
    counts = usual["counts"].astype(np.float32)
    counts[:, 40, 7], counts[7], counts[8, 0, 0] = 40, 0, np.nan
    path = write(tmp_path / "[b]real.h5", **usual | {"counts": counts})
    assert main(["inspect", str(path), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    for words in ("[b]real.h5", "60 of 48 x 48 float32; all looked at", "20 single hits, 40 others", "hides 4.2%"):
        assert words in said
    assert "1 of 60 frames cannot be judged (1 empty); pixels without data are masked in 1" in " ".join(said.split())
    summary = json.loads((tmp_path / "out" / "inspect.json").read_text())
    photons = np.nansum(counts[:, ~usual["bad_pixel"]], 1, dtype=float)
    assert summary["photons_a_frame"]["median"] == np.median(photons)
    assert summary["photons_a_frame"]["most"] == photons.max()
    none = {"nan": 0, "inf": 0, "negative": 0, "constant": 0, "saturated": 0}
    assert summary["flags"] == none | {"frames": 60, "invalid": 1, "empty": 1}
    assert summary["frames_with_lost_pixels"] == 1
    assert summary["labels"] == {"1": 20, "0": 40} and summary["symmetry_centre"] == [MIDDLE, MIDDLE]
    assert len(summary["odd"]) == 2 and "--read.shape 128 128" in summary["odd"][1]
    assert (tmp_path / "out" / "inspect.png").read_bytes().startswith(b"\x89PNG")
    assert summary["gain"]["adu_per_photon"] == pytest.approx(1)
    typed = f"--read.mask {tmp_path}/out/mask.npy --read.mask-polarity bad --read.shape 128 128"
    assert said.splitlines()[-1] == summary["command"] == f"onehit classify '{path}' {typed}"
    assert np.load(tmp_path / "out" / "mask.npy").sum() == usual["bad_pixel"].sum() + 1


def test_the_last_line_is_the_command_to_copy_or_what_it_lacks(tmp_path, usual, capsys):
    def last_line(name, **content):
        path = write(tmp_path / name, **usual | content)
        assert main(["inspect", str(path)]) == 0
        return capsys.readouterr().out.splitlines()[-1]

    assert last_line("a.h5") == f"onehit classify {tmp_path}/a.h5 --read.shape 128 128"
    spoilt = usual["counts"].copy()
    spoilt[:, 40, 7] = 40
    assert last_line("b.h5", counts=spoilt).startswith("--out FOLDER writes the mask")
    noise = np.random.default_rng(0).normal(0, 5, (3, SIZE, SIZE))
    assert "until --read.adu-per-photon is given" in last_line("c.h5", counts=noise, label=np.arange(3) > 1)
    assert main(["inspect", str(tmp_path / "c.h5")]) == 0
    said = capsys.readouterr().out
    assert "data numbers a pixel" in said and "photons a pixel" not in said


def test_pictures_are_made_to_fit_the_classifier_that_comes_with_onehit():
    with np.load(DEFAULT) as packed:
        assert json.loads(str(packed["config"]))["train"]["network"]["size"] == NetworkConfig().size


def test_of_a_large_file_some_frames_are_looked_at_the_same_ones_every_time(tmp_path, usual, capsys):
    path = write(tmp_path / "a.h5", **usual)
    summaries = []
    for name in ("one", "two"):
        assert main(["inspect", str(path), "--frames", "25", "--out", str(tmp_path / name)]) == 0
        summaries.append((tmp_path / name / "inspect.json").read_text())
    assert "60 of 48 x 48 uint16; 25, chosen at random, looked at" in capsys.readouterr().out
    assert summaries[0] == summaries[1]
    assert json.loads(summaries[0])["flags"]["frames"] == 25


def test_options_change_what_is_seen(tmp_path, usual, capsys):
    path = write(tmp_path / "a.h5", **usual)
    options = ["--read.binning", "2", "--read.shape", "16", "16", "--read.label", ""]
    assert main(["inspect", str(path), *options, "--out", str(tmp_path)]) == 0
    assert "pictures of 16 x 16" in capsys.readouterr().out
    summary = json.loads((tmp_path / "inspect.json").read_text())
    assert summary["picture_shape"] == [16, 16] and summary["labels"] is None


def test_frames_without_photons_or_good_pixels_are_shown_too(tmp_path, capsys):
    dark = np.zeros((3, 16, 16), np.uint8)
    for name, bad in (("dark", np.eye(16) > 0), ("hidden", np.ones((16, 16), bool))):
        path = write(tmp_path / f"{name}.h5", counts=dark, bad_pixel=bad)
        assert main(["inspect", str(path), "--out", str(tmp_path / name)]) == 0
        assert "3 of 3 frames cannot be judged (3 empty)" in capsys.readouterr().out
