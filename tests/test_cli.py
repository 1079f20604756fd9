"""The commands as a person types them."""

import json
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from onehit.workbench.cli import main
from onehit.workbench.commands import COMMANDS

SMALL = ["--instrument.shape", "32", "32", "--instrument.pixel-size-m", "2.4e-3", "--particles", "2", "3"]


def simulate(path, *options):
    return main(["simulate", str(path), *SMALL, *options])


def test_simulating_twice_gives_the_same_counts_and_a_longer_set_begins_with_them(tmp_path):
    for name, count in (("a", "20"), ("b", "20"), ("c", "40")):
        assert simulate(tmp_path / f"{name}.h5", "--geometry", "cube", "--count", count, "--seed", "3") == 0
    a, b, c = (h5py.File(tmp_path / f"{name}.h5") for name in "abc")
    assert a["counts"].shape == (20, 32, 32) and a["counts"][:].sum() > 0
    np.testing.assert_array_equal(a["counts"], b["counts"])
    np.testing.assert_array_equal(a["counts"], c["counts"][:20])
    np.testing.assert_array_equal(a["label"], c["label"][:20])


def test_a_file_makes_itself_again_from_its_own_configuration(tmp_path):
    assert simulate(tmp_path / "a.h5", "--count", "10", "--seed", "4", "--photons", "1e5", "2e5") == 0
    with h5py.File(tmp_path / "a.h5") as file:
        (tmp_path / "again.json").write_text(file.attrs["config"])
        counts = file["counts"][:]
    assert main(["simulate", str(tmp_path / "b.h5"), "--config", str(tmp_path / "again.json")]) == 0
    with h5py.File(tmp_path / "b.h5") as file:
        np.testing.assert_array_equal(file["counts"], counts)


def test_an_existing_file_is_replaced_only_by_the_same_patterns(tmp_path, capsys):
    path = tmp_path / "a.h5"
    assert simulate(path, "--count", "10") == 0
    assert simulate(path, "--count", "12") == 0
    assert simulate(path, "--count", "12", "--seed", "1") == 2
    assert simulate(path, "--count", "10") == 2
    assert "exists and holds something else" in capsys.readouterr().err
    with h5py.File(path) as file:
        assert len(file["counts"]) == 12


BAD_INPUT = [
    (["simulate", "OUT.h5", "--geometry", "icosaeder"], ["icosahedron", "soccer-ball", "torus"]),
    (["simulate", "OUT.h5", "--geometry", "open.stl"], ["mesh 'open' is open", "hole"]),
    (["simulate", "OUT.h5", "--diameter-nm", "80", "70"], ["diameter_nm", "80"]),
    (["simulate", "OUT.h5", "--instrument.preset", "amo"], ["amo86615"]),
    (["simulate", "OUT.h5", "--config", "typo.json"], ["phtons", "photons"]),
    (["simulate", "OUT.h5", "--count", "0"], ["count is 0"]),
    (["simulate", "OUT.txt"], [".h5"]),
    (["simulate", "nowhere/OUT.h5"], ["nowhere"]),
    (["study", "--out", "RUN", "--experiment", "no_counts.h5"], ["'counts'", "frames"]),
    (["study", "--out", "RUN", "--experiment", "nan.h5"], ["frame 1", "NaN"]),
    (["study", "--out", "RUN", "--experiment", "flat.h5"], ["(4, 64)"]),
    (["study", "--out", "RUN", "--geometry", "donut"], ["donut", "torus"]),
    (["study", "--out", "RUN", "--experiment", "small.h5"], ["small.h5", "at least 128"]),
    (["study", "--out", "RUN", "--test.material", "adamantium"], ["adamantium", "protein"]),
    (["study", "--out", "RUN", "--test-seed", "0"], ["test_seed 0"]),
    (["study", "--out", "RUN", "--simulation.good-fraction", "1"], ["good_fraction"]),
    (["train", "open.stl/RUN"], ["open.stl"]),
    (["gallery", "--config", "typo.json"], ["give OUT first"]),
    (["simulate", "OUT.h5", "--orientation.kind", "axis", "--orientation.axis", "0", "0", "0"], ["no length"]),
    (["evaluate", "RUN"], ["no trained classifier"]),
    (["evaluat", "RUN"], ["evaluate"]),
]


@pytest.mark.parametrize("command, says", BAD_INPUT, ids=[" ".join(command) for command, _ in BAD_INPUT])
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(command, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    import trimesh

    box = trimesh.creation.box()
    box.update_faces(np.arange(len(box.faces)) > 0)
    box.export("open.stl")
    (tmp_path / "typo.json").write_text(json.dumps({"simulation": {"phtons": [1, 2]}}))
    contents = {
        "no_counts": {"frames": np.ones((4, 64, 64))},
        "nan": {"counts": np.full((4, 64, 64), [[[1.0]], [[np.nan]], [[1]], [[1]]]), "label": [0, 1, 0, 1]},
        "small": {"counts": np.ones((4, 64, 64)), "label": [0, 1, 0, 1]},
        "flat": {"counts": np.ones((4, 64)), "label": [0, 1, 0, 1]},
    }
    for name, content in contents.items():
        with h5py.File(f"{name}.h5", "w") as file:
            for key, value in content.items():
                file[key] = value
    before = set(tmp_path.iterdir())
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and all(word in error for word in says), error
    assert set(tmp_path.iterdir()) == before


def test_a_missing_value_ends_with_exit_code_2():
    with pytest.raises(SystemExit) as exit:
        main(["simulate", "out.h5", "--count", "many"])
    assert exit.value.code == 2


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=["", *COMMANDS])
def test_help_waits_for_nothing_heavy(command):
    """JAX, SciPy and trimesh take longer to import than help may take to answer."""
    code = (
        "import sys\n"
        "from onehit.workbench.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as e:\n    assert not e.code\n"
        "heavy = {'jax', 'flax', 'scipy', 'trimesh', 'matplotlib', 'h5py', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *command, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--" in done.stdout


def test_every_option_says_what_it_does(capsys):
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            main([name, "--help"])
        text = capsys.readouterr().out
        lines = [line.strip("│ ") for line in text.splitlines()]
        options = [
            i
            for i, line in enumerate(lines)
            if line.startswith("--") and line[2].isalpha() and not line.startswith("--config")
        ]
        assert len(options) >= 3
        for start, end in zip(options, [*options[1:], len(lines)], strict=True):
            said = " ".join(lines[start:end]).split("(default")[0].split()
            assert sum(word.strip(",.:;").isalpha() and not word.isupper() for word in said) >= 2, lines[start]


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("onehit ")


def test_ctrl_c_ends_with_exit_code_130_and_no_half_file(tmp_path):
    path = tmp_path / "a.h5"
    command = [sys.executable, "-m", "onehit.workbench.cli", "simulate", str(path), *SMALL, "--count", "100000000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    part = tmp_path / "a.h5.part"
    while not part.exists() and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(2)
    _, error = process.communicate()
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []
