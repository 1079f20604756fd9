"""`onehit simulate`: patterns to files."""

import shutil
import sys
import time
from dataclasses import replace

import jax

from ...geometries.errors import InputError
from ...geometries.species import described
from ...simulate.formats.manifest import read_manifest
from ...simulate.sets.plan import Plan, encoded, plan_set, simulated
from ...simulate.sets.shards import begin, by, mixture, write_set, write_shards
from ..crews import array_script, asked_crew, part_of
from ..options import Simulate
from ..progress import track_shards

_SAMPLE = 256


def run_simulation(command: Simulate) -> None:
    """Write the set that the command asks for, or a part of it, or say what it would take."""
    plan = plan_set(
        command.out, command.simulation, command.seed, command.count, shard=command.shard, format=command.format
    )
    if command.dry_run:
        print(f"{command.out}: {_estimate(plan)}")
        return
    crew = asked_crew(command)
    if command.sbatch is not None:
        _check_parts(plan, command.sbatch)
        begin(plan, resume=True, say=_warn)
        print(_script(plan, command.sbatch))
        return
    numbers = None if command.part is None else _part(plan, command.part)
    write_set(plan, write_shards if crew is None else by(crew), numbers, command.resume, track_shards, _warn)
    if numbers is not None:
        print(f"{plan.folder}: part {command.part} is done; when all are, the command with --resume completes the set")
        return
    came_out = ", ".join(f"{name} {count:,}" for name, count in mixture(plan).items()).replace("_", " ")
    print(f"{command.out}: {_contents(plan)}, {_gigabytes(_size(plan))}; {came_out}")


def _part(plan: Plan, part: str) -> range:
    """The shards of part K of N."""
    number, parts = part_of(part)
    _check_parts(plan, parts)
    return range(number, plan.shards, parts)


def _check_parts(plan: Plan, parts: int) -> None:
    if not 2 <= parts <= plan.shards:
        raise InputError(
            f"{parts} parts of {plan.shards} shards of {plan.shard} patterns: ask for 2 or more parts, "
            "but no more than there are shards; --shard makes them smaller"
        )


def _script(plan: Plan, parts: int) -> str:
    """A shell script that submits an array of jobs that make the shards, and one that completes the set."""
    # All that decides the set stands in its manifest by now: later changes of files of options do not matter.
    command = ("simulate", str(plan.out), "--from", str(plan.folder))
    return array_script(_contents(plan), command, parts, ("--resume",))


def _estimate(plan: Plan) -> str:
    """How large the set is and how long one process takes, from a sample."""
    count = min(plan.count, plan.shard, _SAMPLE)
    sample = replace(plan, count=count, shard=count)
    jax.block_until_ready(simulated(sample, 0))
    start = time.perf_counter()
    patterns = jax.block_until_ready(simulated(sample, 0))
    ready = time.perf_counter()
    size = sum(len(content) for _, content in encoded(sample, 0, patterns))
    seconds = max(ready - start, time.perf_counter() - ready)
    free = shutil.disk_usage(plan.out.parent).free
    return (
        f"{_contents(plan)}, about {_gigabytes(size * plan.count / count)} ({_gigabytes(free)} are free) and "
        f"{_duration(seconds * plan.count / count)} in one process here; nothing was written"
    )


def _contents(plan: Plan) -> str:
    rows, columns = plan.provenance.bad_pixel.shape
    shards = f" in {plan.shards} shards" if plan.shards > 1 else ""
    amplitudes = {"table": "amplitudes from a table", "exact": "exact amplitudes"}[plan.amplitude]
    particles = described(plan.simulation.geometry)
    return f"{plan.count:,} patterns of {rows} x {columns} pixels of {particles}{shards}, {amplitudes}"


def _size(plan: Plan) -> int:
    if plan.shards > 1:
        return sum(entry["bytes"] for entry in read_manifest(plan.folder)["files"])
    return sum(path.stat().st_size for path in plan.files(0))


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def _warn(line: str) -> None:
    print(f"onehit: {line}", file=sys.stderr)
