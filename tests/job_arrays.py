"""A stand-in for sbatch, which notes how it is called, and the commands of the jobs that it was given."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest


def submitted(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Run a script that submits two jobs, an array and a last one: the arguments of each."""
    (folder / "bin").mkdir()
    (folder / "bin" / "sbatch").write_text('#!/bin/sh\nprintf "%s\\n" "$@" - >> calls\necho "17;cluster"\n')
    (folder / "bin" / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    subprocess.run(["sh"], input=script, text=True, check=True, cwd=folder)
    array, last = [call.splitlines() for call in (folder / "calls").read_text().split("\n-\n")[:2]]
    assert "--array=0-1" in array and "--dependency=afterany:17" in last
    return [array, last]


def words(call: list[str], task: str = "") -> list[str]:
    """What a job has onehit do."""
    python, flag, module, *command = shlex.split(call[-1].removeprefix("--wrap=").replace("$SLURM_ARRAY_TASK_ID", task))
    assert (python, flag, module) == (sys.executable, "-m", "onehit.workbench.cli")
    return command
