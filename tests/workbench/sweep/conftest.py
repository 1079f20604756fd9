from dataclasses import replace

import h5py
import numpy as np
import pytest
from made_up_sweeps import OPTIONS, Made, stand_in
from onehit.simulate import config_io
from onehit.workbench.cli import _parse
from onehit.workbench.commands import sweep


@pytest.fixture(scope="session")
def parsed():
    return _parse("sweep", OPTIONS)


@pytest.fixture
def command(parsed, tmp_path):
    return replace(parsed, out=tmp_path / "sweep")


@pytest.fixture
def made(monkeypatch):
    made = Made()
    stand_in(made, monkeypatch.setattr)
    monkeypatch.setattr(config_io, "_sync", lambda descriptor: None)  # no power cut here
    monkeypatch.setattr(sweep, "write_report", lambda plan, command, cells: [])
    return made


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """A file of 60 labelled frames."""
    path = tmp_path_factory.mktemp("real") / "real.h5"
    with h5py.File(path, "w") as file:
        file["counts"] = np.random.default_rng(0).poisson(1.0, (60, 128, 128)).astype(np.int32)
        file["label"], file["bad_pixel"] = np.arange(60) % 2, np.zeros((128, 128), bool)
    return path
