"""What is kept from one run to the next, so that only the first one waits for it: compiled programs, and tables.

Imports neither JAX nor NumPy: JAX reads its variables when it is imported.
"""

import hashlib
import os
import platform
import re
import sys
import warnings
from glob import escape
from pathlib import Path

VARIABLE = "ONEHIT_CACHE"
PROGRAMS, TABLES = "programs", "tables"
MOST_BYTES = 10**9
"""Of the programs, for each kind of machine, and as many of the tables of all."""

_JAX_FOLDER = "JAX_COMPILATION_CACHE_DIR"
_OURS = "_ONEHIT_PROGRAMS"  # says to child processes that it was not the user who chose JAX's folder
_LOG = "TF_CPP_MIN_LOG_LEVEL"
_SETTINGS = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "JAX_COMPILATION_CACHE_MAX_SIZE": str(MOST_BYTES),
    # XLA takes LLVM's preferences for features that this CPU lacks (openxla/xla#44565), and warns at length.
    _LOG: "3",
}
_TROUBLE = re.compile("Error (?:read|writ)ing persistent compilation cache entry for '(.*?)': (.*)", re.DOTALL)
_CPU = "/proc/cpuinfo"
_said: set[str] = set()
_show = warnings.showwarning


class _Unusable(Exception):
    """Why a folder cannot be used."""


def cache_folder() -> Path | None:
    """The folder of all that is kept: the one that ONEHIT_CACHE names, or else one in the user's cache directory; None
    where the variable is `off` or `0`, and for users without a home."""
    named = os.environ.get(VARIABLE)
    if named is not None and named.lower() in ("off", "0"):
        return None
    if named:
        return Path(os.path.expanduser(named)).absolute()
    from platformdirs import user_cache_path

    folder = user_cache_path("onehit", appauthor=False)
    return folder if folder.is_absolute() else None


def kept(what: str) -> Path | None:
    """The folder of the programs, or of the tables, of this kind of machine; made where there is none yet.

    None without a cache; where the folder cannot be used one line on standard error says why, once.
    """
    root = cache_folder()
    if root is None:
        return None
    folder = root / f"{what}-{_machine()}"
    try:
        _prepare(folder)
    except (OSError, _Unusable) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        say_once(f"{root} cannot be used as a cache ({reason}): {VARIABLE}=FOLDER moves it, {VARIABLE}=off is without")
        return None
    return folder


def use_cache() -> None:
    """Have JAX, if it is not imported yet, and child processes keep what they compile, unless the user has chosen a
    folder for JAX; what is wrong with the cache becomes one line on standard error."""
    if os.environ.get(_JAX_FOLDER) != os.environ.get(_OURS):
        return
    # One that was inherited may be of another machine: jobs start with the variables of whoever queued them.
    for name in (_JAX_FOLDER, _OURS):
        os.environ.pop(name, None)
    folder = kept(PROGRAMS)
    if folder is None:
        os.environ[VARIABLE] = "off"  # for child processes, which would say again what is wrong
        return
    os.environ[_JAX_FOLDER] = os.environ[_OURS] = str(folder)
    if os.environ.get(_LOG) == "1":  # JAX's own default, which a notebook that has imported it hands on
        del os.environ[_LOG]
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    warnings.showwarning = _shorten


def say_once(text: str) -> None:
    """A line on standard error, once in a process."""
    if text not in _said:
        _said.add(text)
        print(f"onehit: {text}", file=sys.stderr)


def _prepare(folder: Path) -> None:
    """Make it, for this user alone: programs are run, so whoever can write them can have anything run."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        raise _Unusable("others may write to it")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise _Unusable("it is read-only")


def _machine() -> str:
    """Hash of what programs depend on and JAX does not ask for: the CPU, as several kinds may share a home directory,
    and the threads that XLA splits work among."""
    facts = [platform.machine(), str(_threads())]
    names = ("vendor_id", "cpu family", "model", "flags", "CPU implementer", "CPU variant", "CPU part", "Features")
    try:
        with open(_CPU) as file:
            for line in file:
                if not line.strip():  # the other cores are alike
                    break
                if line.split(":")[0].strip() in names:
                    facts.append(line)
    except OSError:
        facts.append(platform.processor())
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]


def _threads() -> int | str:
    """As XLA counts them."""
    if hasattr(os, "sched_getaffinity"):
        return os.environ.get("NPROC") or len(os.sched_getaffinity(0))
    return os.environ.get("NPROC") or os.cpu_count() or 1


def _shorten(message, *where, **more) -> None:
    """JAX's warnings of the cache as one line; what they are about is dropped, since JAX writes over nothing."""
    trouble, folder = _TROUBLE.match(str(message)), os.environ.get(_OURS)
    if trouble is None or folder is None:
        _show(message, *where, **more)
        return
    _drop(Path(folder), trouble[1])
    what = trouble[2].splitlines()[0][:100]
    say_once(f"something in {folder} is damaged or out of reach ({what}) and made anew")


def _drop(folder: Path, program: str) -> None:
    """Entries of that program, and those without a time, which a process that was killed left: JAX evicts nothing more
    where there is one."""
    from filelock import FileLock

    try:
        with FileLock(folder / ".lockfile", timeout=10):
            for entry in folder.glob("*-cache"):
                time = entry.with_name(entry.name.removesuffix("cache") + "atime")
                if entry.match(f"{escape(program)}-*") or not time.exists():
                    entry.unlink()
                    time.unlink(missing_ok=True)
    except OSError:
        pass
