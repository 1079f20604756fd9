"""The platforms that onehit runs on."""

import sys

from ..errors import InputError


def check_platform() -> None:
    """Raises InputError on Windows, where folders cannot be synced and no alarm stops a process."""
    if sys.platform == "win32":
        raise InputError("Windows is not supported: run onehit on Linux or macOS; on Windows use WSL")
