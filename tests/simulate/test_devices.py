"""Several devices of one machine, made of its CPU, in their own process: JAX must be told before it is imported."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import jax
import numpy as np
import pytest
import small_sets
from onehit.geometries import InputError
from onehit.simulate import SimulatedSource, devices
from onehit.train.classifier import Classifier
from onehit.train.loop import train
from onehit.workbench.cli import main

SIMULATE = """
import sys
from onehit.simulate.devices import ask_for

ask_for(count := int(sys.argv[3]))
import numpy as np
import small_sets
from onehit.simulate import SimulatedSource

made = SimulatedSource(small_sets.QUICK, 3).patterns(np.arange(int(sys.argv[2])))
assert len(made.counts.sharding.device_set) == count
np.savez(sys.argv[1], counts=made.counts, photons=made.truth.photons)
"""
TRAIN = """
import json, sys
from pathlib import Path
from onehit.simulate.devices import ask_for

ask_for(2)
import jax, numpy as np
from onehit.simulate import SimulatedSource
from onehit.simulate.config_io import from_dict
from onehit.train.config import TrainConfig
from onehit.train.loop import train

config = from_dict(json.loads(sys.argv[2]), TrainConfig, "the test")
made = SimulatedSource(config.simulation, 3).patterns(np.arange(101))
trained = train(config, Path(sys.argv[1]) / "run")
assert len(jax.tree.leaves(trained.classifier.checkpoint)[0].sharding.device_set) == 2
assert (train(config, Path(sys.argv[1]) / "again").score == trained.score).all()  # bit for bit on the same number
np.savez(
    Path(sys.argv[1]) / "found.npz", counts=made.counts, kind=made.truth.kind, validated=trained.score,
    score=trained.classifier.score(made.counts),
)
"""


def on_devices(script, *arguments):
    path = os.pathsep.join([str(Path(small_sets.__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", script, *map(str, arguments)]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=True)


@pytest.mark.parametrize("count", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_patterns_are_the_same_bits(tmp_path, count):
    on_devices(SIMULATE, tmp_path / "found.npz", 101, count)  # an odd number: one device has fewer patterns
    found = np.load(tmp_path / "found.npz")
    expected = SimulatedSource(small_sets.QUICK, 3).patterns(np.arange(101))
    np.testing.assert_array_equal(found["counts"], expected.counts)
    np.testing.assert_array_equal(found["photons"], expected.truth.photons)


@pytest.mark.slow  # for what it compiles
def test_hits_of_all_kinds_are_the_same_bits_and_training_and_scores_the_same_to_rounding(small_training, tmp_path):
    config = replace(small_training, batch_size=32, steps=4)
    on_devices(TRAIN, tmp_path, json.dumps(asdict(config), default=str))
    found = np.load(tmp_path / "found.npz")
    expected = SimulatedSource(config.simulation, 3).patterns(np.arange(101))
    np.testing.assert_array_equal(found["counts"], expected.counts)
    np.testing.assert_array_equal(found["kind"], expected.truth.kind)
    trained = train(config, tmp_path / "one")
    np.testing.assert_allclose(found["validated"], trained.score, rtol=1e-3, atol=1e-3)
    # One goes on where the other has stopped, whatever the number of devices.
    score = Classifier.load(tmp_path / "run").score(np.asarray(expected.counts))
    np.testing.assert_allclose(found["score"], score, rtol=1e-4, atol=1e-4)


@pytest.fixture
def asked(monkeypatch):
    for name in ("_ONEHIT_DEVICES", "XLA_FLAGS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    devices.mesh.cache_clear()
    yield
    devices.mesh.cache_clear()


def test_the_cpu_is_made_into_as_many_as_are_asked_for(asked, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x --xla_force_host_platform_device_count=5")
    devices.ask_for(3)
    assert os.environ["XLA_FLAGS"] == "--xla_dump_to=x --xla_force_host_platform_device_count=3"
    assert os.environ["_ONEHIT_DEVICES"] == "3"


def test_more_devices_than_there_are_are_refused(asked):
    devices.ask_for(jax.local_device_count() + 1)  # too late: JAX is imported
    with pytest.raises(InputError, match=r"devices were asked for, but JAX finds \d+ \(cpu\)"):
        devices.mesh()


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5", ""])
def test_what_is_no_number_of_devices_is_refused(asked, number, capsys):
    assert main(["simulate", "none.h5", f"--devices={number}"]) == 2
    assert "devices" in capsys.readouterr().err and os.environ["_ONEHIT_DEVICES"] == ""
