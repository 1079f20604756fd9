"""`onehit classify`: the table of one file or several, and the frames that were kept as a new file."""

import csv
import json
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from onehit.train import NetworkConfig, TrainConfig
from onehit.train.classifier import Classifier
from onehit.train.selection import Selection
from onehit.workbench.cli import main

PARTS = {"a1.h5": slice(0, 5), "a2.h5": slice(5, 10), "a10.h5": slice(10, 15)}


def judge(classifier, source, indices, expected, track):
    """In place of a classifier: by photons and what stands where."""
    counts, bad = np.asarray(source.patterns(indices).counts, float), source.masks(indices)
    counts = np.where(bad, 0, counts)
    photons, score = counts.sum((1, 2)), (counts * np.arange(counts[0].size).reshape(counts[0].shape)).mean((1, 2))
    verdict = np.where(photons < expected.minimum_photons, 2, 0).astype(np.uint8)
    return Selection(score, photons, np.full(len(score), np.nan), verdict)


@pytest.fixture
def several(tmp_path, monkeypatch):
    """Three files of five frames each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        Classifier, "load", lambda path: SimpleNamespace(config=TrainConfig(network=NetworkConfig(size=6)))
    )
    monkeypatch.setattr("onehit.workbench.commands.classify.select", judge)
    counts = np.random.default_rng(0).poisson(1.0, (15, 6, 8)).astype(np.uint16)
    for name, part in PARTS.items():
        with h5py.File(name, "w") as h5:
            h5["counts"], h5["bad_pixel"] = counts[part], np.eye(6, 8, dtype=bool)
            detector = "entry_1/instrument_1/detector_1/"
            h5[detector + "distance"], h5[detector + "x_pixel_size"] = 0.5, 1e-3
            h5["entry_1/instrument_1/source_1/energy"] = 2.5e-16
    return tmp_path


def table(path):
    with open(path) as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("given", [["a1.h5", "a2.h5", "a10.h5"], ["a*.h5"], ["a.lst"]])
def test_the_table_of_several_files_names_the_file_and_its_frame(several, given):
    (several / "a.lst").write_text("a1.h5\na2.h5\na10.h5\n")
    assert main(["classify", *given, "--out", "all.csv"]) == 0
    rows = table("all.csv")
    names = ["a1.h5"] * 5 + ["a2.h5"] * 5 + ["a10.h5"] * 5
    assert [(row["file"], row["frame"]) for row in rows] == [(name, str(n % 5)) for n, name in enumerate(names)]
    assert main(["classify", "a2.h5", "--out", "one.csv"]) == 0
    of_one = table("one.csv")
    assert [*of_one[0]] == ["frame", "verdict", "score", "photons"]
    assert [{**row, "file": "a2.h5"} for row in of_one] == rows[5:10]


@pytest.mark.parametrize("ending", [".cxi", ".h5", ".emc"])
@pytest.mark.parametrize("which", ["kept", "all"])
def test_what_was_kept_is_a_file_that_gets_the_same_verdicts(several, ending, which, capsys):
    kept = f"out{ending}"
    command = ["classify", "a*.h5", "--out", "all.csv", "--minimum-photons", "42"]
    assert main([*command, "--kept", kept, "--write", which]) == 0
    expected = [row for row in table("all.csv") if which == "all" or row["verdict"] == "kept"]
    assert expected and f"{kept}: {len(expected)} frames" in capsys.readouterr().err
    assert main(["classify", kept, "--out", "again.csv", *command[4:]]) == 0
    again = table("again.csv")
    assert [(row["score"], row["photons"], row["verdict"]) for row in again] == [
        (row["score"], row["photons"], row["verdict"]) for row in expected
    ]
    with h5py.File("out.truth.h5" if ending == ".emc" else kept) as h5:
        place = h5["entry_1"] if ending == ".cxi" else h5
        files = [one.decode() for one in place["source_file"][()]]
        assert [*zip(files, place["source_frame"][()], strict=True)] == [
            (row["file"], int(row["frame"])) for row in expected
        ]


def test_a_kept_file_that_is_read_from_is_not_written_over(several, capsys):
    command = ["classify", "a*.h5", "--out", "all.csv", "--kept", "a_kept.h5", "--write", "all"]
    assert main(command) == 0 and main([*command[:1], "a1.h5", *command[2:]]) == 0
    capsys.readouterr()
    assert main(command) == 2
    assert "a_kept.h5 is read from, and would be written over: choose another name" in capsys.readouterr().err
    assert main(["classify", "a1.h5", "--write", "all"]) == 2
    assert "--write all means nothing without --kept FILE" in capsys.readouterr().err


def test_where_no_frame_is_kept_no_file_is_written_and_that_is_said(several, capsys):
    command = ["classify", "a1.h5", "--minimum-photons", "1e9", "--kept", "out.cxi"]
    assert main(command) == 0
    assert "out.cxi: not written, since no frame was kept\n" in capsys.readouterr().err
    assert not (several / "out.cxi").exists()


def test_options_of_an_older_configuration_hold_and_the_files_typed_prevail(several):
    (several / "old.json").write_text('{"classify": {"file": "gone.h5", "out": "all.csv", "write": "all"}}')
    assert main(["classify", "a1.h5", "a2.h5", "--config", "old.json", "--kept", "out.h5"]) == 0
    assert [row["file"] for row in table("all.csv")] == ["a1.h5"] * 5 + ["a2.h5"] * 5


def test_a_forecast_is_of_this_classifier_and_says_why_it_may_not_hold(several, monkeypatch, capsys):
    made_up = SimpleNamespace(config=TrainConfig(network=NetworkConfig(size=6)), identity=lambda: "0123456789abcdef")
    monkeypatch.setattr(Classifier, "load", lambda path: made_up)
    rates = ("kept_share", "false_negative_rate", "false_positive_rate", "purity")
    row = {"is_frozen": True} | {name: 0.25 for name in rates} | {f"{name}_interval": [0.2, 0.3] for name in rates}
    parts = ("read", "calibrate", "figures", "frames", "coverage", "parameters", "shares", "versions")
    sure = dict.fromkeys(parts) | {
        "file": [str(several / name) for name in PARTS],
        "classifier": "0123456789abcdef",
        "forecast": [row],
        "unexplained": False,
        "differs": [{"group": "background", "feature": "counts at the rim"}],
        "outside_share": 0.1,
        "effective_patterns": 800.0,
        "patterns": 1000,
        "single_share": {"estimate": 0.3, "interval": [0.2, 0.4]},
        "two_sample_auc": {"before": 0.9, "after": 0.6},
    }

    def said(code, found, *words):
        (several / "calibration.json").write_text(json.dumps(found))
        assert main(["classify", *words, "--out", "all.csv", "--forecast", "."]) == code
        lines = capsys.readouterr().err.splitlines()
        return [line for line in lines if code or line.startswith(".: forecast: ")][-3:]

    assert said(0, sure, "a*.h5") == [
        ".: forecast: kept 25.0 % [20.0, 30.0], of the single hits lost 25.0 % [20.0, 30.0], "
        "of the others kept 25.0 % [20.0, 30.0], single hits among those kept 25.0 % [20.0, 30.0]"
    ]
    assert "other frames, " in said(0, sure, "a1.h5")[1]
    assert "score alone" in said(0, sure, "a*.h5", "--minimum-photons", "3")[1]
    assert "score alone" in said(0, sure, "a*.h5", "--diameter-nm", "70")[1]
    assert "Only 5 of 1,000" in said(0, sure | {"effective_patterns": 5.2}, "a*.h5")[1]
    unexplained = said(0, sure | {"unexplained": True}, "a*.h5")[1]
    assert (
        "differs most is the background (counts at the rim)" in unexplained and "--config config.json`" in unexplained
    )
    assert "another classifier" in said(2, sure | {"classifier": "f" * 16}, "a*.h5")[-1]
    assert "holds no forecast" in said(2, sure | {"forecast": []}, "a*.h5")[-1]
    assert "calibrate again" in said(2, {"forecast": [row]}, "a*.h5")[-1]
