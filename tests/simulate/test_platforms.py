"""Linux and macOS; on Windows one line that says so. No other platform is at hand: Linux pretends to be one."""

import ast
import fcntl
import os
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from onehit.geometries import InputError
from onehit.geometries.guard.hdf5_process import look
from onehit.simulate.config_io import write_whole
from onehit.workbench.cli import main

ROOT = Path(__file__).parents[2]
POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
LINE = "Windows is not supported: run onehit on Linux or macOS; on Windows use WSL"


@pytest.mark.parametrize("argv", [["--version"], ["--help"], ["simulate", "patterns.cxi"], ["no such command"]])
def test_windows_gets_one_line_at_the_entrance(argv, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        code = main(argv)
    out, err = capsys.readouterr()
    assert (code, out, err) == (2, "", f"onehit: {LINE}\n")
    assert not list(tmp_path.iterdir())


def test_windows_gets_the_line_from_the_library(monkeypatch, tmp_path):
    path = tmp_path / "frames.h5"
    with h5py.File(path, "w") as file:
        file["counts"] = np.zeros((1, 2, 2))
    for work in (lambda: look(path), lambda: write_whole(tmp_path / "new", "content")):
        with monkeypatch.context() as windows, pytest.raises(InputError, match=f"^{LINE}$"):
            windows.setattr(sys, "platform", "win32")
            work()
    assert list(tmp_path.iterdir()) == [path]


def test_no_module_needs_posix_to_be_imported():
    """What only POSIX has is imported by the function that uses it, after its check."""
    floors = ("geometries", "simulate", "train", "evaluate", "workbench")
    paths = [path for floor in floors for path in (ROOT / floor).rglob("*.py")]
    assert len(paths) > 50
    for path in paths:
        for node in ast.parse(path.read_text()).body:
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not POSIX_ONLY & set(names), f"{path}, line {node.lineno}"


@pytest.mark.parametrize("file_system_has_it", [True, False])
def test_macos_syncs_to_the_disk_itself_where_the_file_system_can(file_system_has_it, monkeypatch, tmp_path):
    full, plain = [], []

    def control(descriptor, command):
        full.append((os.fstat(descriptor).st_ino, command))
        if not file_system_has_it:
            raise OSError(45, "Operation not supported")

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    monkeypatch.setattr(os, "fsync", lambda descriptor: plain.append(os.fstat(descriptor).st_ino))
    write_whole(tmp_path / "file", "content")
    assert (tmp_path / "file").read_text() == "content"
    synced = [(tmp_path / "file").stat().st_ino, tmp_path.stat().st_ino]
    assert full == [(inode, 51) for inode in synced]
    assert plain == ([] if file_system_has_it else synced)
