"""Sets of patterns that are quick to make: of all simulations that with the least to compile."""

from hashlib import sha256

from onehit.simulate import InstrumentConfig, SimulationConfig
from onehit.simulate.plan import plan_set

SHARD = 64
_QUICK = SimulationConfig(
    instrument=InstrumentConfig(shape=(16, 16), pixel_size_m=4.8e-3),
    geometry=("cube",),
    good_fraction=1.0,
    amplitude="exact",
    noise=False,
)


def small_plan(folder, shards=12):
    """Of a set in that folder, which is made."""
    folder.mkdir(exist_ok=True)
    return plan_set(folder / "set.cxi", _QUICK, seed=3, count=shards * SHARD, shard=SHARD)


def digests(plan):
    """sha256 of each shard that is there."""
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in plan.folder.glob("*.cxi")}


def compile_once(folder, monkeypatch):
    """Have worker processes share what they compile: those that start later are faster."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")  # it finds that the processor might be another one
