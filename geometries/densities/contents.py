"""Files that may be damaged or hostile: never more of them in memory than is sensible."""

import gzip
import zlib
from pathlib import Path

from ..errors import InputError

_GZIP = b"\x1f\x8b"


def beginning(path: Path, length: int) -> bytes:
    """At most the first `length` bytes of a file, unpacked where it is gzip.

    Raises InputError for a file that is missing or damaged.
    """
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}: check the path")
    try:
        with path.open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
        with gzip.open(path) if packed else path.open("rb") as file:
            return file.read(length)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is damaged or cut short ({error}): copy it again") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def contents(path: Path, most_bytes: int, cure: str) -> bytes:
    """A whole file's bytes, unpacked; cure: what to do about one of more than `most_bytes`, which is an InputError."""
    content = beginning(path, most_bytes + 1)
    if len(content) > most_bytes:
        raise InputError(f"{path} holds more than {most_bytes / 1e6:,.0f} MB: {cure}")
    return content
