"""What HDF5 and the system say of a file that cannot be read, told with its cure: only some of it is damage."""

import errno
import re
from pathlib import Path

from ..errors import InputError

_ENOUGH_MEMORY_BYTES = 2**31
"""What is free when HDF5 finds too little: then it is the file that asks for nonsense."""
_NETWORK = (
    "cannot be read from its disk or over the network ({reason}): try again, or copy it to another disk if it goes on"
)
_TOO_MANY = "cannot be opened, since too many files are open: raise the limit (ulimit -n)"
_SYSTEM = {
    errno.EACCES: "may not be read ({reason}): ask its owner for permission (chmod +r)",
    errno.EPERM: "may not be read ({reason}): ask its owner for permission (chmod +r)",
    errno.ENOENT: "does not exist any more ({reason}): bring it back",
    errno.EISDIR: "is a folder: give a file in it",
    errno.EMFILE: _TOO_MANY,
    errno.ENFILE: _TOO_MANY,
    errno.EIO: _NETWORK,
    errno.ESTALE: _NETWORK,
    errno.ETIMEDOUT: _NETWORK,
    errno.ENOTCONN: _NETWORK,
}
_IN_USE = (errno.EAGAIN, errno.EACCES)
_NO_MEMORY = re.compile(r"Unable to allocate ([\d.]+) ([KMGTPE]iB|bytes)|MemoryError|allocat(e|ion failed)|bad_alloc")


def fault(what: Path | str, error: Exception | str) -> InputError:
    """The error to raise for what h5py, HDF5 or the system raised, or said, while something was read."""
    reason = " ".join(str(error).split()) or type(error).__name__
    number = _number(reason)
    if "unable to lock file" in reason:
        if number in _IN_USE:
            return InputError(f"{what} is being written by another program: wait until that closes it, or copy it")
        return InputError(
            f"{what} lies on a file system without locks (errno {number}): set HDF5_USE_FILE_LOCKING=FALSE in the "
            "environment, if nobody writes the file meanwhile"
        )
    if "already open for" in reason:
        return InputError(
            f"{what} is being written, or its writer was killed: wait until it is closed; if nobody writes it, copy it "
            "and run h5clear -s on the copy"
        )
    if ends := re.search(r"truncated file: eof = (\d+).*stored_eof = (\d+)", reason):
        return InputError(
            f"{what} is truncated: it ends at byte {ends[1]}, and says {ends[2]}: copy it again, or wait until it is "
            "written"
        )
    if "signature not found" in reason:
        return InputError(f"{what} is no HDF5 file, or its beginning is damaged: give an HDF5 file")
    if number == errno.ENOMEM or _lacks_memory(reason):
        return InputError(
            f"{what} needs more memory than there is ({reason[:200]}; {free_memory()}): end other programs, or read it "
            "on a machine with more"
        )
    if number in _SYSTEM:
        return InputError(f"{what} {_SYSTEM[number].format(reason=reason[:200])}")
    return InputError(f"{what} is damaged or incomplete ({reason[:200]}): copy or write it again")


def free_memory() -> str:
    """How much is free, for people."""
    free = _free_bytes()
    return "how much is free is unknown" if free is None else f"{free / 1e9:.1f} GB are free"


def _number(reason: str) -> int | None:
    """HDF5 has the system's number within its text, Python in front of its own."""
    found = re.search(r"\berrno = (\d+)|\[Errno (\d+)\]", reason)
    return int(found[1] or found[2]) if found else None


def _lacks_memory(reason: str) -> bool:
    """Whether memory was wanted that a machine with enough would have given."""
    found = _NO_MEMORY.search(reason)
    if not found:
        return False
    needed = _ENOUGH_MEMORY_BYTES
    if found[1]:
        needed = float(found[1]) * 1024 ** "bKMGTPE".index(found[2][0])
    free = _free_bytes()
    return free is None or free < needed


def _free_bytes() -> int | None:
    """What this process may still take; None on macOS, which has no /proc."""
    memory, own = Path("/proc/meminfo"), Path("/proc/self/statm")
    if not memory.exists():
        return None
    import resource

    free = int(re.findall(r"MemAvailable: *(\d+)", memory.read_text())[0]) * 1024
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return free
    return max(0, min(free, limit - int(own.read_text().split()[0]) * resource.getpagesize()))
