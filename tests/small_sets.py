"""Sets of patterns that are quick to make: of all simulations that with the least to compile."""

import h5py
import numpy as np
from onehit.simulate import InstrumentConfig, SimulationConfig
from onehit.simulate.sets.plan import plan_set

SHARD = 64
QUICK = SimulationConfig(
    instrument=InstrumentConfig(shape=(16, 16), pixel_size_m=4.8e-3),
    geometry=("cube",),
    good_fraction=1.0,
    amplitude="exact",
    noise=False,
)


def small_plan(folder, shards=12):
    """Of a set in that folder, which is made."""
    folder.mkdir(exist_ok=True)
    return plan_set(folder / "set.cxi", QUICK, seed=3, count=shards * SHARD, shard=SHARD)


def differences(plan, expected):
    """Data sets of two sets' shards that are not the same but for rounding, and shards that only one of them has.

    Files that one process makes again are compared byte by byte elsewhere; processes might compile differently.
    """
    here, there = (sorted(path.name for path in p.folder.glob("*.cxi")) for p in (plan, expected))
    found = sorted({*here} ^ {*there})
    for name in {*here} & {*there}:
        with h5py.File(plan.folder / name) as made, h5py.File(expected.folder / name) as wanted:

            def compare(path, item, name=name, made=made):
                if isinstance(item, h5py.Dataset) and not _same(made[path][()], item[()]):
                    found.append(f"{name}: {path}")

            wanted.visititems(compare)
    return found


def _same(made, wanted):
    if not isinstance(wanted, np.ndarray) or wanted.dtype.kind not in "fc":
        return np.array_equal(made, wanted)
    return np.allclose(made, wanted, rtol=1e-4, atol=1e-6 * np.abs(wanted).max())


def compile_once(monkeypatch):
    """Have worker processes share all that they compile: those that start later are faster."""
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
