"""How much memory this process has held."""

import sys

from ...geometries.guard.platforms import check_platform


def peak_megabytes() -> float:
    """The most so far. Raises InputError on Windows, which does not tell."""
    check_platform()
    from resource import RUSAGE_SELF, getrusage

    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
