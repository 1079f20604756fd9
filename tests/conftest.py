import ctypes
import gc
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from onehit.simulate.cache import PROGRAMS, VARIABLE, kept, use_cache

if "PYTEST_XDIST_WORKER" not in os.environ:  # processes that test side by side share what they compile
    os.environ[VARIABLE] = tempfile.mkdtemp(prefix="onehit-cache-")
    with suppress(OSError):  # a checkout that nobody may write to
        # The next run has them too: JAX finds a program by all that it is made from. Tables it would find stale.
        programs = kept(PROGRAMS)
        if programs is not None:
            last = Path(__file__).parents[1] / ".pytest_cache" / programs.name
            last.mkdir(mode=0o700, parents=True, exist_ok=True)
            programs.rmdir()
            programs.symlink_to(last)
            os.environ["JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES"] = "none"  # or the folder's name would be looked up too
use_cache()  # before JAX is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")  # scikit-learn's threads wait for each other where tests share cores

import jax  # noqa: E402  (before the rest of onehit, so that its late names are the real ones)
from jaxtyping import install_import_hook  # noqa: E402

CHECKED = ["geometries", "simulate", "train", "evaluate", "workbench"]
install_import_hook([f"onehit.{room}" for room in CHECKED], "checking.typechecker")

import psutil  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402
from onehit.simulate import InstrumentConfig, SimulationConfig  # noqa: E402
from onehit.train import NetworkConfig, TrainConfig  # noqa: E402
from onehit.train import loop as training_loop  # noqa: E402

# A busy machine is no fault of the code.
settings.register_profile("onehit", deadline=None)
settings.load_profile("onehit")


# A program is compiled for 64 patterns at a time, and another for 256: of small frames all make 64.
training_loop._LARGEST_BLOCK = 64 * 32 * 32


# Files that take longest, though their tests are few.
LONGEST = (
    *("test_train", "test_unwanted", "test_compare", "test_study", "test_no_particle", "test_source"),
    *("test_source_physics", "test_vgg16_weights", "test_calibrate", "test_gap", "test_curves", "test_fit"),
    *("test_faults", "test_cluster"),
)
MOST_BYTES = 2 * 10**9


def pytest_configure(config):
    config.option.loadscopereorder = False  # xdist would begin with the files that hold most tests


def pytest_collection_modifyitems(items):
    """Longest first: what is left to the end is short, and workers end together."""
    gc.freeze()  # what was imported stays: it need not be searched for garbage whenever JAX has traced a lot
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(scope="module", autouse=True)
def memory():
    """Bounded: JAX keeps every program that it has compiled, 50 MB for that of a simulation."""
    yield
    if psutil.Process().memory_info().rss > MOST_BYTES:
        jax.clear_caches()
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)  # glibc would keep it for this process


def pytest_unconfigure():
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ[VARIABLE], ignore_errors=True)


@pytest.fixture(scope="session")
def small_simulation() -> SimulationConfig:
    """Patterns of 32 x 32 pixels: quick to make, and to compile, as that takes 2 s for each number of bodies."""
    instrument = InstrumentConfig(shape=(32, 32), pixel_size_m=2.4e-3)
    return SimulationConfig(instrument=instrument, photons=(1e5, 1e6), particles=(2, 2))


@pytest.fixture(scope="session")
def small_training(small_simulation) -> TrainConfig:
    return TrainConfig(
        simulation=small_simulation,
        network=NetworkConfig(n=1, m=1, size=32),
        steps=6,
        batch_size=16,
        candidates=2,
        validation_count=64,
        confidence=0.0,  # so few patterns vouch for nothing
        checkpoint_every=2,
    )
