"""`onehit simulate` as a person types it."""

import json
import re
import signal
import subprocess
import sys
import time
from hashlib import sha256

import h5py
import numpy as np
import pytest
import trimesh
from job_arrays import submitted, words
from onehit.workbench.cli import main

DETECTOR = ["--instrument.shape", "32", "32", "--instrument.pixel-size-m", "2.4e-3"]
SMALL = [*DETECTOR, "--particles", "2", "3"]
SHORT, LONG = ["--count", "8"], ["--count", "20", "--shard", "8"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Names in these tests are those of files in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def simulate(out, *options):
    assert main(["simulate", out, *SMALL, *options]) == 0


def again(out, *options):
    assert main(["simulate", out, *options]) == 0


def refused(capsys, *command):
    capsys.readouterr()
    assert main(["simulate", *command]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


def counts(path):
    with h5py.File(path) as file:
        return file["counts" if "counts" in file else "entry_1/data_1/data"][:]


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "made, copy, options",
    [
        ("a.cxi", "b.cxi", ()),
        ("a.h5", "b.h5", ()),
        ("a.emc", "b.emc", ()),
        ("a.h5", "b.h5", ("--format", "emc-h5")),
    ],
)
def test_a_file_makes_itself_again_bit_for_bit(made, copy, options, here):
    simulate(made, *SHORT, "--seed", "4", "--photons", "1e5", "2e5", *options)
    again(copy, "--from", made)
    files = contents(here)
    assert len(files) == (6 if made == "a.emc" or options else 2)
    for name in files:
        if name.startswith("a."):
            assert files[name] == files["b." + name.removeprefix("a.")], name


@pytest.mark.parametrize("name", ["a.cxi", "a.emc"])
def test_a_long_set_makes_itself_again_from_any_of_its_files(name, here):
    simulate(name, *LONG)
    folder = f"{name}.shards"
    sources = [folder, f"{folder}/manifest.json", f"{folder}/000001{name[1:]}", *([name] if name == "a.cxi" else [])]
    for number, source in enumerate(sources):
        (here / str(number)).mkdir()
        again(f"{number}/{name}", "--from", source)
        made = contents(here / str(number) / folder)
        assert made == contents(here / folder) and len(made) >= 4


def test_options_given_beside_from_prevail(here):
    simulate("a.cxi", *SHORT, "--seed", "4")
    again("b.h5", "--from", "a.cxi", "--count", "16", "--shard", "8")
    np.testing.assert_array_equal(counts("b.h5")[:8], counts("a.cxi"))
    again("c.h5", "--from", "a.cxi", "--seed", "5")
    assert (counts("c.h5") != counts("a.cxi")).any()


def test_json_serves_config_and_from_alike(here):
    simulate("a.h5", *SHORT, "--seed", "4")
    with h5py.File("a.h5") as file:
        (here / "a.json").write_text(file.attrs["config"])
    again("b.h5", "--config", "a.json")
    again("c.h5", "--from", "a.json")
    (here / "plain.json").write_text(json.dumps(json.loads((here / "a.json").read_text())["simulate"]))
    again("d.h5", "--from", "plain.json")
    assert (here / "a.h5").read_bytes() == (here / "b.h5").read_bytes()
    assert (here / "a.h5").read_bytes() == (here / "c.h5").read_bytes()
    assert (here / "a.h5").read_bytes() == (here / "d.h5").read_bytes()


def test_from_refuses_changed_meshes_but_not_where_another_is_named(here, capsys):
    trimesh.creation.box().export("particle.stl")
    simulate("a.h5", *SHORT)
    with h5py.File("a.h5", "r+") as file:
        config = json.loads(file.attrs["config"])
        config["simulate"]["simulation"]["geometry"] = ["particle.stl"]
        config["inputs"] = {"particle.stl": sha256((here / "particle.stl").read_bytes()).hexdigest()}
        file.attrs["config"] = json.dumps(config)
    trimesh.creation.box((1, 1, 3)).export("particle.stl")
    error = refused(capsys, "b.h5", "--from", "a.h5")
    assert "particle.stl has changed since the set was made from it" in error
    (here / "particle.stl").unlink()
    assert "particle.stl cannot be read" in refused(capsys, "b.h5", "--from", "a.h5")
    again("b.h5", "--from", "a.h5", "--geometry", "icosahedron", "--dry-run")
    assert not (here / "b.h5").exists()


def test_from_needs_something_that_says_what_it_was_made_from(here, capsys):
    with h5py.File("foreign.h5", "w") as file:
        file["counts"] = np.zeros((3, 32, 32))
    (here / "notes.txt").write_text("precious")
    (here / "list.json").write_text("[1, 2]")
    (here / "typo.json").write_text(json.dumps({"simulate": {"simulation": {"phtons": [1, 2]}}}))
    (here / "folder").mkdir()
    for name in ("foreign.h5", "notes.txt", "list.json", "folder"):
        assert f"{name} does not say what it was made from" in refused(capsys, "b.h5", "--from", name)
    assert "phtons" in refused(capsys, "b.h5", "--from", "typo.json")
    assert "none.h5 does not exist" in refused(capsys, "b.h5", "--from", "none.h5")
    assert "choose one" in refused(capsys, "b.h5", "--from", "foreign.h5", "--config", "typo.json")
    assert "with --from, give OUT first" in refused(capsys, "--from", "foreign.h5")


@pytest.mark.parametrize("name", ["a.cxi", "a.emc"])
def test_a_dry_run_says_size_and_time_and_writes_nothing(name, here, capsys):
    simulate(name, "--count", "1000000", "--shard", "8", "--dry-run")
    said = capsys.readouterr().out
    assert re.search(
        r"1,000,000 patterns of 32 x 32 pixels of icosahedron in 125000 shards, amplitudes from a table, "
        r"about [\d.]+ [MG]B \([\d.]+ GB are free\) and [\d.]+ (seconds|minutes|hours)",
        said,
    ), said
    assert contents(here) == {}


def test_it_says_how_amplitudes_are_computed(here, capsys):
    exact = ("--amplitude", "exact", "--geometry", "cube", "--good-fraction", "1")  # the least to compile
    for options, said in (((), "amplitudes from a table"), (exact, "exact amplitudes")):
        simulate("a.h5", *SHORT, "--dry-run", *options)
        assert said in capsys.readouterr().out


def test_the_size_of_a_dry_run_is_about_that_of_the_set(here, capsys):
    simulate("a.emc", "--count", "8", "--dry-run")
    stated = float(re.search(r"about ([\d.]+) MB", capsys.readouterr().out)[1])
    simulate("a.emc", "--count", "8")
    assert abs(stated - sum((here / f"a.{ending}").stat().st_size for ending in ("emc", "truth.h5")) / 1e6) < 0.1


def test_parts_and_a_last_resume_are_the_whole_set(here, capsys):
    simulate("whole.h5", *LONG)
    for part in ("1/2", "0/2"):
        simulate("a.h5", *LONG, "--part", part)
        assert not (here / "a.h5").exists()
    assert "the command with --resume completes the set" in capsys.readouterr().out
    inodes = {path.name: path.stat().st_ino for path in (here / "a.h5.shards").glob("*.h5")}
    assert len(inodes) == 3
    simulate("a.h5", *LONG, "--resume")
    assert {path.name: path.stat().st_ino for path in (here / "a.h5.shards").glob("*.h5")} == inodes
    assert contents(here / "a.h5.shards") == contents(here / "whole.h5.shards")
    np.testing.assert_array_equal(counts("a.h5"), counts("whole.h5"))


@pytest.mark.parametrize("part", ["2/2", "1", "-1/2", "a/b", "0/1", "0/4"])
def test_impossible_parts_are_refused(part, here, capsys):
    assert "part" in refused(capsys, "a.h5", *SMALL, *LONG, f"--part={part}")
    assert contents(here) == {}


def test_the_sbatch_script_makes_the_set_by_an_array_and_a_last_job(here, monkeypatch, capsys):
    """A stand-in for sbatch notes how it is called; the jobs' commands are then run here."""
    simulate("whole.h5", *LONG)
    capsys.readouterr()
    simulate("a b.h5", *LONG, "--sbatch", "2")
    script = capsys.readouterr().out
    array, last = submitted(script, here, monkeypatch)
    for command in (words(array, "1"), words(array, "0"), words(last)):
        assert main(command) == 0
    assert contents(here / "a b.h5.shards") == contents(here / "whole.h5.shards")
    np.testing.assert_array_equal(counts("a b.h5"), counts("whole.h5"))


def test_an_unfinished_set_is_refused_in_one_line_that_names_resume(here, capsys):
    simulate("a.h5", *LONG, "--part", "0/2")
    assert "--resume" in refused(capsys, "a.h5", *SMALL, *LONG)
    assert "its count is 20, not 24" in refused(capsys, "a.h5", *SMALL, "--count", "24", "--shard", "8", "--resume")


def test_the_mixture_that_came_out_is_said_and_its_brightness_follows_from_places(here, capsys):
    options = "--count 400 --shard 256 --amplitude exact --diameter-nm 70 70 --geometry cube"
    arrivals = "--arrivals.density 0.2 --arrivals.grazing 0.25 0.5 --beam.pulse-photons 1e12 1e12"
    again("a.h5", *DETECTOR, *options.split(), *arrivals.split())
    with h5py.File("a.h5") as file:
        truth = {name: file[f"truth/{name}"][:] for name in ("kind", "particles", "photons", "fluence", "present")}
        label, names = file["label"][:], file["truth/kind"].attrs["names"]
    kind = np.array(names)[truth["kind"]]
    hits = (truth["present"] & (truth["fluence"] >= 0.5)).sum(1)
    assert ((kind == "single_hit") == (hits == 1)).all() and (label == (hits == 1)).all()
    assert ((kind == "multi_hit") == (hits > 1)).all() and ((kind == "empty") == (truth["particles"] == 0)).all()
    said = {name: (kind == name).sum() for name in ("single_hit", "multi_hit", "empty", "grazing")}
    assert min(said.values()) > 0
    line = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in said.items())
    assert capsys.readouterr().out.endswith(f" MB; {line}\n")
    alone = truth["particles"] == 1
    photons = truth["photons"][alone] / truth["fluence"][alone, 0]
    assert (truth["photons"][kind == "empty"] == 0).all() and photons.std() < 0.1 * photons.mean()


def test_a_finished_file_is_not_written_over(here, capsys):
    simulate("a.h5", *SHORT)
    assert "a.h5 is there already" in refused(capsys, "a.h5", *SMALL, *SHORT)
    assert "its count is 8, not 9" in refused(capsys, "a.h5", *SMALL, "--count", "9")


def test_one_engine_at_a_time(here, capsys):
    assert "choose one" in refused(capsys, "a.h5", *SMALL, *SHORT, "--workers", "2", "--scheduler", "tcp://here:1")


def test_progress_is_a_plain_line_with_rate_and_megabytes(here, capsys):
    simulate("a.h5", *LONG)
    captured = capsys.readouterr()
    assert re.search(r"^writing: 3/3, [\d,]+ patterns/s, \d+\.\d MB$", captured.err, re.MULTILINE)
    assert (
        captured.out
        == "a.h5: 20 patterns of 32 x 32 pixels of icosahedron in 3 shards, amplitudes from a table, 0.1 MB; "
        "single hit 10, multi hit 10\n"
    )


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])  # by Ctrl-C, and at the end of a job
def test_ctrl_c_ends_with_exit_code_130_and_the_set_goes_on(here, sent):
    options = [*SMALL, "--count", "100000", "--shard", "8"]
    command = [sys.executable, "-m", "onehit.workbench.cli", "simulate", "a.cxi", *options]
    folder = here / "a.cxi.shards"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            while not (folder / "000001.json").exists() and process.poll() is None:
                time.sleep(0.05)
            process.send_signal(sent)
            _, error = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130, error
    kept = re.search(r"interrupted; (\d+) of 12500 shards are done and kept: --resume goes on", error)
    assert kept and "Traceback" not in error
    assert int(kept[1]) == len(list(folder.glob("0*.cxi"))) == len(list(folder.glob("0*.json"))) >= 2
    assert not list(here.rglob("*.part")) and not (here / "a.cxi").exists()
