"""The commands as a person types them."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from onehit.geometries.errors import InputWarning
from onehit.workbench.cli import COMMANDS, _said_once, main

BAD_INPUT = [
    (["simulate", "OUT.h5", "--geometry", "icosaeder"], ["icosahedron", "soccer-ball", "torus"]),
    (["simulate", "OUT.h5", "--geometry", "open.stl"], ["mesh 'open' is open", "hole"]),
    (["simulate", "OUT.h5", "--diameter-nm", "80", "70"], ["diameter_nm", "80"]),
    (["simulate", "OUT.h5", "--instrument.preset", "amo"], ["amo86615"]),
    (["simulate", "OUT.h5", "--config", "typo.json"], ["phtons", "photons"]),
    (["simulate", "OUT.h5", "--count", "0"], ["count is 0"]),
    (["simulate", "OUT.txt"], [".cxi", ".h5", ".emc"]),
    (["simulate", "OUT.cxi", "--format", "emc"], ["OUT.cxi", "emc"]),
    (["simulate", "nowhere/OUT.h5"], ["nowhere"]),
    (["study", "--out", "RUN", "--experiment", "no_label.h5"], ["no labels", "--read-experiment.label"]),
    (["study", "--out", "RUN", "--experiment", "nan.h5"], ["4 of 4 frames cannot be judged (4 nan)"]),
    (["study", "--out", "RUN", "--experiment", "flat.h5"], ["1 frames", "(4,)"]),
    (["train", "RUN", "--data", "nan.h5"], ["4 of 4 frames cannot be judged (4 nan)", "at least 10"]),
    (["train", "RUN", "--data", "modules.h5"], ["modules", "--read-data.geom"]),
    (["inspect", "modules.h5"], ["modules", "--read.geom"]),
    (["inspect", "small.h5", "--read.binning", "0"], ["binning is 0"]),
    (["inspect", "small.h5", "--frames", "0"], ["frames is 0"]),
    (["study", "--out", "RUN", "--geometry", "donut"], ["donut", "torus"]),
    (["study", "--out", "RUN", "--experiment", "small.h5"], ["small.h5", "at least 128"]),
    (["study", "--out", "RUN", "--test.material", "adamantium"], ["adamantium", "protein"]),
    (["study", "--out", "RUN", "--test-seed", "0"], ["test_seed 0"]),
    (["study", "--out", "RUN", "--simulation.good-fraction", "1"], ["good_fraction"]),
    (["train", "open.stl/RUN"], ["open.stl"]),
    (["gallery", "--config", "typo.json"], ["give OUT first"]),
    (["simulate", "OUT.h5", "--orientation.kind", "axis", "--orientation.axis", "0", "0", "0"], ["no length"]),
    (["simulate", "OUT.h5", "--bad.droplet", "nan"], ["shares", "'droplet': nan"]),
    (["simulate", "OUT.h5", "--beam.pointing-jitter-px", "500"], ["pointing_jitter_px is 500", "0 to 98"]),
    (["simulate", "OUT.h5", "--beam.coherence-length-m", "nan"], ["coherence_length_m is nan"]),
    (["classify", "small.h5", "--minimum-photons", "nan"], ["minimum_photons is nan"]),
    (["simulate", "OUT.h5", "--arrivals.density", "0.1"], ["--beam.pulse-photons"]),
    (
        ["study", "--out", "RUN", "--simulation.arrivals.density", "0.1", "--simulation.beam.pulse-photons", "1", "2"],
        ["arrivals are for onehit simulate", "--experiment", "--data"],
    ),
    (["simulate", "OUT.h5", "--arrivals.flow_ul_per_min", "2"], ["flow-ul-per-min says nothing without --arrivals.c"]),
    (["simulate", "OUT.h5", "--arrivals.stream-m=2e-5"], ["stream-m says nothing without --arrivals.density"]),
    (["simulate", "OUT.h5", "--background.frames-as", "mean"], ["says nothing without --background.frames: give that"]),
    (["simulate", "OUT.h5", "--background.read.geom", "a.geom"], ["--background.read.geom says nothing without"]),
    (["gap", "a.h5", "--simulation.background.read.binning=2"], ["without --simulation.background.frames: give"]),
    (["evaluate", "RUN", "--test.background.read.trusted"], ["without --test.background.frames: give that"]),
    (["train", "RUN", "--read_data.geom", "a.geom"], ["--read-data.geom says nothing without --data: give that too"]),
    (["study", "--read-experiment.shape", "9", "9"], ["experiment.shape says nothing without --experiment: give"]),
    (["compare", "--read-experiment.mask", "m.npy"], ["experiment.mask says nothing without --experiment: give"]),
    (["sweep", "--read-data.mask", "m.npy"], ["read-data.mask says nothing without --data or --train.axis data: "]),
    (["sweep", "--read-experiment.binning", "2"], ["experiment.binning says nothing without --test.file: give"]),
    (["simulate", "OUT.h5", "--readout.psf-tail-px", "1"], ["psf-tail-px says nothing without --readout.psf-tails"]),
    (["study", "--test.readout.dark-spread", "1"], ["without --test.readout.dark-electrons: give that too, or leave"]),
    (["simulate", "OUT.h5", "--arrivals.density", "0.1", "--particles", "2", "2"], ["--particles says nothing beside"]),
    (["simulate", "OUT.h5", "--arrivals.density", "0.1", "--good-fraction", "1"], ["--good-fraction says nothing"]),
    (["gallery", "OUT", "--arrivals.concentration-per-ml", "1e9"], ["arrivals are for onehit simulate"]),
    (["simulate", "OUT.h5", "--geometry", "cube:0.7", "torus"], ["torus has no share"]),
    (["evaluate", "RUN"], ["no trained classifier"]),
    (["evaluat", "RUN"], ["evaluate"]),
]


def test_what_is_odd_about_input_is_said_once_however_many_sources_warn_of_it():
    formatted = _said_once(lambda message, *_: f"python: {message}")
    lines = [formatted(InputWarning(text), InputWarning, "a.py", 1) for text in ("a", "b", "a")]
    assert lines == ["onehit: a\n", "onehit: b\n", ""]
    assert formatted("a", UserWarning, "a.py", 1) == formatted("a", UserWarning, "a.py", 1) == "python: a"


@pytest.mark.parametrize("command, says", BAD_INPUT, ids=[" ".join(command) for command, _ in BAD_INPUT])
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(command, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    import trimesh

    box = trimesh.creation.box()
    box.update_faces(np.arange(len(box.faces)) > 0)
    box.export("open.stl")
    (tmp_path / "typo.json").write_text(json.dumps({"simulation": {"phtons": [1, 2]}}))
    contents = {
        "no_label": {"frames": np.ones((4, 64, 64))},
        "nan": {"counts": np.full((4, 128, 128), np.nan), "label": [0, 1, 0, 1]},
        "modules": {"counts": np.ones((4, 2, 64, 64)), "label": [0, 1, 0, 1]},
        "small": {"counts": np.ones((4, 64, 64)), "label": [0, 1, 0, 1]},
        "flat": {"counts": np.ones((4, 64)), "label": [0, 1, 0, 1]},
    }
    for name, content in contents.items():
        with h5py.File(f"{name}.h5", "w") as file:
            for key, value in content.items():
                file[key] = value
    before = set(tmp_path.iterdir())
    assert main(command) == 2
    *progress, error = capsys.readouterr().err.splitlines()
    assert all(line.startswith(("checking", "inspecting", "nan.h5: ")) for line in progress), progress
    assert all(word in error for word in says), error
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
    for name in COMMANDS.keys() - {"pack", "tabulate"}:  # which take arguments alone
        with pytest.raises(SystemExit):
            main([name, "--help"])
        text = capsys.readouterr().out
        lines = [line.strip("│ ") for line in text.splitlines()]
        options = [
            i
            for i, line in enumerate(lines)
            if line.startswith("--")
            and line[2].isalpha()
            and not line.startswith("--config")
            and not line.endswith(",")  # a switch whose other name is on the next line
        ]
        assert len(options) >= 3
        for start, end in zip(options, [*options[1:], len(lines)], strict=True):
            said = " ".join(lines[start:end]).split("(default")[0].split()
            assert sum(word.strip(",.:;").isalpha() and not word.isupper() for word in said) >= 2, lines[start]


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("onehit ")


@pytest.mark.parametrize(
    "command, option",
    [
        (["simulate", "a.h5", "--geometry", "torus", "--geometry=cube"], "--geometry"),
        (["study", "--out", "run", "--geometry", "torus", "--geometry", "cube"], "--geometry"),
        (["sweep", "--out", "s", "--baseline", "seed=0", "--baseline", "seed=1"], "--baseline"),
    ],
)
def test_an_option_of_several_values_that_is_typed_twice_is_refused(command, option, capsys):
    assert main(command) == 2
    assert f"{option} is given 2 times: give it once, all values behind it" in capsys.readouterr().err
