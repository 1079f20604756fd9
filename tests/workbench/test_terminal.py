"""Terminals that cannot show everything, that nobody reads, and platforms that are not there: never a traceback."""

import io
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from onehit.geometries.errors import InputWarning
from onehit.workbench.cli import COMMANDS, main
from onehit.workbench.options import Pack


@pytest.fixture
def file(tmp_path):
    """Of a name that is not ASCII."""
    path = tmp_path / "Größe[µm].npy"
    np.save(path, np.random.default_rng(0).poisson(np.hypot(*np.indices((32, 32)) - 16.0), (4, 32, 32)))
    return path


@pytest.mark.parametrize(
    "encoding, bars", [("ascii", ".:-=+*#@"), ("latin-1", ".:-=+*#@"), ("cp1252", ".:-=+*#@"), ("utf-8", "▁▂▃▄▅▆▇█")]
)
def test_what_a_terminal_cannot_show_is_replaced(file, monkeypatch, encoding, bars):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    assert main(["inspect", str(file)]) == 0
    assert main(["inspect", f"{file}/µ"]) == 2
    streams[1].flush()
    shown, errors = (stream.buffer.getvalue().decode(encoding) for stream in streams)
    assert sum(shown.count(bar) for bar in bars[4:]) > 10
    name = file.name if encoding != "ascii" else "Gr??e[?m].npy"
    assert name in shown and name in errors


@pytest.mark.parametrize("command", [["inspect"], ["--help"], ["inspect", "--help"]], ids=" ".join)
def test_a_reader_that_has_seen_enough_ends_a_command_in_peace(file, monkeypatch, command):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        code = ended(command if command[-1] == "--help" else [*command, str(file)])
        assert code == 0
        print("more, which goes nowhere", flush=True)  # as Python does when it ends


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_stream_is_nobody_who_reads(file, monkeypatch, stream):
    monkeypatch.setattr(sys, stream, None)
    try:
        assert main(["inspect", str(file)]) == 0
    finally:
        getattr(sys, stream).close()


def ended(command: list[str]) -> int | str | None:
    try:
        return main(command)
    except SystemExit as end:
        return end.code


def test_a_platform_that_is_not_there_is_one_line_with_the_cure(tmp_path):
    command = [sys.executable, "-m", "onehit.workbench.cli", "simulate", "a.h5", "--count", "1"]
    environment = os.environ | {"JAX_PLATFORMS": "cuda"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("onehit: JAX finds no cuda: unset JAX_PLATFORMS ") and "jax[cuda" in line


def test_other_faults_are_not_blamed_on_the_platform(monkeypatch):
    def fail(command):
        raise RuntimeError("another")

    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setitem(COMMANDS, "pack", (Pack, fail))
    with pytest.raises(RuntimeError, match="another"):
        main(["pack", "run", "a.npz"])


def test_warnings_of_input_are_one_line(monkeypatch):
    said = []

    def warn(command):
        said.append(warnings.formatwarning(InputWarning("bodies overlap"), InputWarning, "mesh.py", 1))

    monkeypatch.setitem(COMMANDS, "pack", (Pack, warn))
    assert main(["pack", "run", "a.npz"]) == 0
    assert said == ["onehit: bodies overlap\n"]
