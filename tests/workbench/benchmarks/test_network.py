"""The network's benchmark without peers: what is measured, and that rates are those of the work."""

import json
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from onehit.train import Classifier
from onehit.train.classifier import empty_checkpoint
from onehit.workbench.benchmarks import network
from onehit.workbench.cli import main
from onehit.workbench.options import Bench


@pytest.fixture
def quick(small_training, monkeypatch):
    """Networks and frames that are quick to compile."""
    small = partial(replace, small_training.network)
    classifier = Classifier(small_training, empty_checkpoint(small_training), np.zeros((32, 32), bool))
    monkeypatch.setattr(network, "NetworkConfig", small)
    monkeypatch.setattr(network, "TrainConfig", partial(replace, small_training))
    monkeypatch.setattr(network, "Classifier", SimpleNamespace(load=lambda: classifier))
    monkeypatch.setattr(network, "_ROUND_SECONDS", 0.01)
    monkeypatch.setattr(network, "_BATCH", 8)


def test_training_and_scoring_are_measured_and_without_peers_nothing_is_aimed_at(quick, tmp_path, capsys):
    out = tmp_path / "bench.json"
    assert main(["bench", "network", "--repeats", "1", "--no-peers", "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["network"]
    cases = [f"stride {stride}, {what}: onehit" for stride in (2, 4) for what in ("training", "scoring")]
    assert [row["case"] for row in rows] == [*cases, "onehit classify, both views, from counts"]
    assert all(row["patterns_per_second"] > 0 and row["target"] is None for row in rows)
    assert "training: onehit" in capsys.readouterr().out


def test_the_target_is_a_fifth_above_the_fastest_peer(quick, monkeypatch):
    rates = {"onehit": 300.0, "PyTorch": 100.0, "ONNX Runtime": 200.0}
    monkeypatch.setattr(network, "_sides", lambda command, network: ({}, {}))
    monkeypatch.setattr(network, "_rates", lambda sides, rounds, batch: {"": 1.0} if "" in sides else rates)
    targets = [row["target"] for row in network.measure_network(Bench("network"))]
    assert targets == 4 * [240.0, None, None] + [None]


def test_rates_are_patterns_over_the_median_time_of_a_call(monkeypatch):
    now = 0.0

    def slow():
        nonlocal now
        now += 0.5
        return np.zeros(1)

    def fast():
        nonlocal now
        now += 0.25
        return np.zeros(1)

    monkeypatch.setattr(network.time, "perf_counter", lambda: now)
    assert network._rates({"slow": slow, "fast": fast}, 2, 64) == {"slow": 128.0, "fast": 256.0}


def test_no_batch_is_trained_on_twice(small_simulation):
    from onehit.simulate import SimulatedSource

    batches = network._batches(SimulatedSource(small_simulation), 8)
    (first, label), (second, _) = next(batches), next(batches)
    assert np.asarray(first).shape[0] == len(label) == 8
    assert (np.asarray(first) != np.asarray(second)).any()
