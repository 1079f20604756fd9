"""Whatever a parser raises on a damaged file, as one line."""

import contextlib
from collections.abc import Generator
from pathlib import Path

from ..errors import InputError


@contextlib.contextmanager
def parsing(what: Path | str, kind: str, hint: str = "Copy or write it again") -> Generator[None]:
    """Turn any exception into an InputError: libraries raise nearly all kinds. kind: "an NPY file"."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{what} cannot be read as {kind} ({reason}): is it complete? {hint}") from None
