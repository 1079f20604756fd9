from dataclasses import replace

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
