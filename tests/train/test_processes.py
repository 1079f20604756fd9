"""Several processes that train together, as SLURM would start them, on one machine."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import jax
import numpy as np
import pytest
from onehit.simulate.config_io import to_json
from onehit.train import processes
from onehit.train.loop import train
from onehit.workbench.cli import main

ONEHIT = "import sys; from onehit.workbench.cli import main; sys.exit(main())"


def started(run, config, port, number=2, devices=4):
    """The processes of one job; each job needs a port, which JAX takes from the job's number."""
    common = os.environ | {"SLURM_JOB_ID": str(port), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": str(number)}
    command = [sys.executable, "-c", ONEHIT, "train", str(run), "--config", str(config), "--distributed"]
    return [
        subprocess.Popen(
            [*command, "--devices", str(devices)],
            env=common | {"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(number)
    ]


@pytest.mark.slow  # each process compiles a training for eight devices
def test_two_processes_of_four_devices_train_as_one_process_does_and_stop_and_go_on_together(small_training, tmp_path):
    config = replace(small_training, steps=30, checkpoint_every=10, validation_count=65)
    (tmp_path / "c.json").write_text(to_json(train=config))
    run, port = tmp_path / "run", os.getpid()
    job = started(run, tmp_path / "c.json", port)
    while not list(run.glob("checkpoints/10*")) and job[0].poll() is None:
        time.sleep(0.1)
    job[1].send_signal(signal.SIGINT)  # one of them, and both stop
    [process.communicate() for process in job]
    assert [process.returncode for process in job] == [130, 130]
    assert not (run / "classifier.json").exists()
    job = started(run, tmp_path / "c.json", port + 1)
    (out, _), (silent, _) = [process.communicate() for process in job]
    assert [process.returncode for process in job] == [0, 0]
    assert "validation AUC" in out and "validation AUC" not in silent
    alone = train(config, tmp_path / "alone")
    found = json.loads((run / "metrics.json").read_text())
    np.testing.assert_allclose(found["threshold"], alone.classifier.threshold, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found["temperature"], alone.classifier.temperature, rtol=1e-2)
    losses = [
        [entry["loss"] for entry in json.loads((r / "history.json").read_text())] for r in (run, tmp_path / "alone")
    ]
    np.testing.assert_allclose(*losses, rtol=1e-2)


def test_processes_make_parts_of_one_size_that_hold_every_index(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    parts = []
    for i in range(3):
        monkeypatch.setattr(jax, "process_index", lambda i=i: i)
        parts.append(processes.part(np.arange(10)))
    assert [len(part) for part in parts] == [4, 4, 4]
    np.testing.assert_array_equal(np.concatenate(parts)[:10], np.arange(10))


def test_a_batch_that_cannot_be_shared_is_refused(small_training, tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    monkeypatch.setattr(processes, "_mesh", lambda: np.zeros(12))
    with pytest.raises(processes.InputError, match=r"16 cannot be shared evenly by the 12 devices of 3.*--batch-size"):
        train(small_training, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_process_without_a_job_is_told_how_to_start_one(tmp_path, capsys):
    assert main(["train", str(tmp_path / "run"), "--distributed"]) == 2
    assert "srun --ntasks 4 onehit train RUN --distributed" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
