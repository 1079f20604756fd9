import json

import pytest
from onehit.simulate import InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.workbench.benchmarks import simulation as bench
from onehit.workbench.cli import main

ONE_CUBE = SimulationConfig(
    instrument=InstrumentConfig(shape=(64, 64), pixel_size_m=1.2e-3), geometry=("cube",), good_fraction=1.0, noise=False
)


def test_the_stated_errors_are_those_of_the_table():
    source = SimulatedSource(ONE_CUBE)
    amplitude, ring = bench.errors(source, 2)
    assert 1e-5 < amplitude < 3e-3 and 1e-5 < ring < 0.02


def test_errors_of_a_source_that_is_too_bright_are_seen(monkeypatch):
    source = SimulatedSource(ONE_CUBE)
    right = source.amplitudes
    monkeypatch.setattr(source, "amplitudes", lambda scene: 1.1 * right(scene))
    assert bench.errors(source, 2) == pytest.approx((0.1, 0.21), rel=0.05)


def test_the_same_numbers_are_printed_and_written(tmp_path, monkeypatch, capsys):
    rows = [{"case": "icosahedron", "pixels": 256, "patterns_per_second": 1234.5}]
    for name in ("_patterns", "measure_tables", "measure_populations", "_poisson", "_growth", "_memory"):
        monkeypatch.setattr(bench, name, lambda command: rows)
    assert main(["bench", "simulate", "--out", str(tmp_path / "bench.json")]) == 0
    assert "1,234" in capsys.readouterr().out
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["patterns"] == rows and {"device", "versions", "tables", "populations", "poisson", "growth"} <= set(
        written
    )


def test_a_missing_folder_is_said_before_anything_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "_patterns", lambda command: pytest.fail("measured first"))
    assert main(["bench", "simulate", "--out", str(tmp_path / "nowhere" / "bench.json")]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err
