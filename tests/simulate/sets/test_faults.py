"""Sets of shards under faults of the real kind: killed processes, and a disk that is full."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import h5py
import pytest
from onehit.simulate.formats.manifest import MANIFEST

SHARD = 4
# Of all simulations one with little to compile, as every process traces it anew.
SMALL = ["--instrument.shape", "32", "32", "--instrument.pixel-size-m", "2.4e-3", "--geometry", "cube"]
SMALL += ["--amplitude", "exact", "--good-fraction", "1"]

# What `onehit simulate OUT --resume` does, and each shard said as it is acknowledged.
GENERATOR = """
import sys
from pathlib import Path
from onehit.simulate import InstrumentConfig, SimulationConfig
from onehit.simulate.sets.plan import plan_set, simulated
from onehit.simulate.sets.shards import write_set

def announce(written, total):
    for entries in written:
        print("acknowledged", entries[-1]["file"], entries[-1]["sha256"], flush=True)
        yield entries

instrument = InstrumentConfig(shape=(32, 32), pixel_size_m=2.4e-3)
config = SimulationConfig(instrument, geometry=("cube",), amplitude="exact", good_fraction=1.0)
plan = plan_set(Path(sys.argv[1]), config, 3, int(sys.argv[2]), shard=int(sys.argv[3]))
simulated(plan, 0)
print("ready", flush=True)
write_set(plan, resume=True, track=announce)
print("complete", flush=True)
"""


@pytest.fixture(scope="module")
def environment():
    """Processes that share all that they compile, so that each starts in seconds."""
    return os.environ | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


def generate(out, count, environment, kill_after=None):
    """Run the generator; kill it so many seconds after it is ready. Returns its lines and the seconds it took."""
    command = [sys.executable, "-c", GENERATOR, str(out), str(count), str(SHARD)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        start = time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        lines = [line.split() for line in process.stdout if line.endswith("\n")]
        seconds = time.monotonic() - start
    assert process.returncode == 0 or (process.returncode == -9 and kill_after is not None)
    return lines, seconds


def check_survivors(folder, count, acknowledged):
    """Every shard under its name is whole; every one acknowledged is there as it was, and recorded."""
    if not (folder / MANIFEST).exists():
        assert not acknowledged
        return
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["simulate"]["count"] == count
    for path in folder.glob("0*.h5"):
        with h5py.File(path) as file:
            assert file["counts"][:].sum() > 0 and len(file["counts"]) == len(file["label"]) == SHARD
    records = [json.loads(path.read_text()) for path in folder.glob("0*.json")]
    recorded = {entry["file"]: entry["sha256"] for entry in sum(records, manifest["files"])}
    for name, digest in acknowledged.items():
        assert sha256((folder / name).read_bytes()).hexdigest() == digest == recorded[name]


def shards(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".h5", ".json")}


def survive_kills(kills, count, environment, folder):
    """Kill a generator again and again at random moments. Returns how many of its patterns were acknowledged in lives
    that were ended so, and how many sets were completed in spite of it."""
    reference = folder / "reference.h5"
    lines, seconds = generate(reference, count, environment)
    assert len(lines) == count // SHARD + 1
    moments, survived = random.Random(0), 0
    out, acknowledged = folder / "killed.h5", {}
    killed = completed = 0
    while killed < kills or acknowledged or not completed:
        kill_after = moments.uniform(0, seconds / 2) if killed < kills else None
        lines, _ = generate(out, count, environment, kill_after)
        new = {line[1]: line[2] for line in lines if line[0] == "acknowledged"}
        acknowledged |= new
        if kill_after is not None:
            killed, survived = killed + 1, survived + SHARD * len(new)
        check_survivors(folder / "killed.h5.shards", count, acknowledged)
        if ["complete"] in lines:
            assert shards(folder / "killed.h5.shards") == shards(folder / "reference.h5.shards")
            with h5py.File(out) as made, h5py.File(reference) as expected:
                assert (made["counts"][:] == expected["counts"][:]).all()
            assert not list(folder.rglob("*.part"))
            shutil.rmtree(folder / "killed.h5.shards")
            out.unlink()
            acknowledged, completed = {}, completed + 1
    return survived, completed


def test_killed_generators_lose_nothing_acknowledged(environment, tmp_path):
    survived, completed = survive_kills(2, 100, environment, tmp_path)
    assert survived > 0 and completed > 0


@pytest.mark.slow
def test_a_hundred_killed_generators_lose_nothing_acknowledged(environment, tmp_path):
    survived, completed = survive_kills(100, 400, environment, tmp_path)
    print(f"{survived} patterns acknowledged before 100 kills, {completed} sets completed")
    assert survived > 1000 and completed > 5


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of so many kilobytes, or makes it that large."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def resize(kilobytes):
        options = f"size={kilobytes}k" if folder not in mounted else f"remount,size={kilobytes}k"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"a full disk needs one of its own, and mounting is not permitted here: {done.stderr.strip()}")
        mounted.add(folder)
        return folder

    mounted: set[Path] = set()
    if shutil.which("mount") is None:
        pytest.skip("a full disk needs one of its own, and there is no mount here")
    yield resize
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def onehit(environment, *command):
    done = subprocess.run(
        [sys.executable, "-m", "onehit.workbench.cli", "simulate", *map(str, command)],
        capture_output=True,
        text=True,
        env=environment,
    )
    return done.returncode, done.stderr


def fill_and_go_on(small_disk, kilobytes, environment):
    """Fill a disk of that size, then give it space; returns how many shards it held."""
    folder = small_disk(kilobytes)
    options = (*SMALL, "--count", "200", "--shard", SHARD)
    code, error = onehit(environment, folder / "a.h5", *options)
    assert code == 2, (code, error)
    message = [line for line in error.splitlines() if line.startswith("onehit: ")]
    assert len(message) == 1 and "the disk is full" in message[0] and "--resume" in message[0], error
    assert "Traceback" not in error and not list(folder.rglob("*.part"))
    entries = [json.loads(path.read_text())[-1] for path in (folder / "a.h5.shards").glob("0*.json")]
    assert f"{len(entries)} of 50 shards are done and kept" in message[0]
    check = {entry["file"]: entry["sha256"] for entry in entries}
    if (folder / "a.h5.shards" / MANIFEST).exists():
        check_survivors(folder / "a.h5.shards", 200, check)

    small_disk(100_000)
    assert onehit(environment, folder / "a.h5", *options, "--resume")[0] == 0
    again = {
        entry["file"]: entry["sha256"] for entry in json.loads((folder / "a.h5.shards" / MANIFEST).read_text())["files"]
    }
    assert len(again) == 50 and check.items() <= again.items()
    with h5py.File(folder / "a.h5") as file:
        assert (file["truth/index"][:] == range(200)).all()
    shutil.rmtree(folder / "a.h5.shards")
    (folder / "a.h5").unlink()
    return len(entries)


def test_a_full_disk_ends_in_one_line_and_the_set_goes_on(small_disk, environment):
    assert fill_and_go_on(small_disk, 400, environment) > 3


@pytest.mark.slow
def test_a_disk_full_at_any_moment_ends_in_one_line(small_disk, environment):
    held = [fill_and_go_on(small_disk, kilobytes, environment) for kilobytes in range(4, 1000, 110)]
    assert held == sorted(held) and held[0] == 0 and held[-1] > 20
