"""TIFF and BigTIFF: a page is a frame."""

import contextlib
import json
import logging
import math
import weakref
from collections.abc import Generator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from ....geometries.errors import InputError
from ....geometries.guard.parsing import parsing
from ...formats.frames import Frames
from ..dialect import Given, Opened, given_masks, refuse_names
from ..masks import combine

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PALETTE = 3  # of the tag PhotometricInterpretation
_LARGEST_FRAME_BYTES = 2**28
_MOST_PAGES = 2**20
_LEAST_PAGE_BYTES = 64  # of its tags alone


class Tiff:
    """Pages of one size and type."""

    def recognises(self, opened: Opened) -> bool:
        """By the byte order and the version in front."""
        return opened.hdf5 is None and opened.head.startswith(_MAGIC)

    def open(self, opened: Opened, given: Given) -> Frames:
        """Raises InputError for colours, volumes, packed bits, pages that differ, and compression of files that are not
        trusted."""
        path = opened.path
        refuse_names(path, given)
        with _parsed(path), contextlib.ExitStack() as stack:
            file = stack.enter_context(_tiff_file(path))
            pages = file.pages
            count, first = _count(path, pages), pages[0]
            _check(path, 0, first, first, given)
            _check_count(path, file, count)
            read = partial(_read, path, pages, given)
            weakref.finalize(read, stack.pop_all().close)
        bad = combine(path, given_masks(given), count, first.shape, read, given.mask_polarity, given.option)
        return Frames(
            path,
            "BigTIFF" if file.is_bigtiff else "TIFF",
            count,
            first.shape,
            first.dtype.newbyteorder("="),
            read,
            bad.bad_pixel,
            bad.frame_bad_pixel,
            bad.meaning,
            oddities=bad.oddities,
        )


def _tiff_file(path: Path) -> Any:
    try:
        tifffile = import_module("tifffile")
    except ImportError:
        raise InputError(f'{path} is a TIFF file, which needs tifffile: pip install "onehit[tiff]"') from None
    return tifffile.TiffFile(path)


def _read(path: Path, pages: Any, given: Given, indices: Int[np.ndarray, " batch"]) -> Shaped[np.ndarray, " batch y x"]:
    first = pages[0]
    frames = np.empty((len(indices), *first.shape), first.dtype.newbyteorder("="))
    for place, index in enumerate(indices.tolist()):
        with _parsed(f"{path}, page {index}"):
            page = pages[index]
            _check(path, index, page, first, given)
            frames[place] = page.asarray(maxworkers=1)
    return frames


def _check(path: Path, index: int, page: Any, first: Any, given: Given) -> None:
    """Raises InputError for a page that is not read, before it is."""
    where = f"{path}, page {index}"
    if (page.shape, page.dtype) != (first.shape, first.dtype):
        raise InputError(
            f"{where} has shape {page.shape} and type {page.dtype}, the first {first.shape} and {first.dtype}: write "
            "pages of one size and type"
        )
    if page.ndim != 2 or page.dtype is None or page.dtype.kind not in "uif" or 0 in page.shape:
        raise InputError(
            f"{where} has shape {page.shape} and type {page.dtype}, as colours and volumes have: a page must be a "
            "frame of numbers (y, x)"
        )
    if page.photometric == _PALETTE:
        raise InputError(f"{where} holds numbers of colours in a palette: write photons")
    if page.bitspersample != 8 * page.dtype.itemsize:
        raise InputError(f"{where} has numbers of {page.bitspersample} bits: write 8, 16, 32 or 64")
    if page.nbytes > _LARGEST_FRAME_BYTES:
        raise InputError(f"{where} has {page.nbytes} bytes; {_LARGEST_FRAME_BYTES} are allowed")
    if page.compression != 1 and not given.trusted:
        raise InputError(
            f"{where} is compressed ({getattr(page.compression, 'name', page.compression)}), which can hide any size, "
            f"and crash its decoder: write it without, or say that you trust the file ({given.option}.trusted)"
        )
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    stored = sum(size for _, size in segments)
    if min((size for _, size in segments), default=0) == 0 or (page.compression == 1 and stored < page.nbytes):
        raise InputError(f"{where} stores {stored} of {page.nbytes} bytes: it was not written to its end")
    if any(start + size > page.parent.filehandle.size for start, size in segments):
        raise InputError(f"{where} reaches beyond the file's end: copy or write it again")


def _count(path: Path, pages: Any) -> int:
    """Pages. Raises InputError for too many: a chain of them may go in a circle."""
    most = min(_MOST_PAGES, path.stat().st_size // _LEAST_PAGE_BYTES)
    with contextlib.suppress(IndexError):
        pages[most]
        raise InputError(f"{path} has more than {most} pages, or they go in a circle: write fewer, or as HDF5")
    return len(pages)


def _check_count(path: Path, file: Any, count: int) -> None:
    """Raises InputError where frames lie behind each other without pages, as ImageJ writes them above 4 GB."""
    imagej: dict[str, Any] = file.imagej_metadata or {}
    said = int(imagej.get("images", 1))
    if (description := file.pages[0].shaped_description or "").startswith("{"):  # tifffile's own, in JSON
        said = math.prod(json.loads(description)["shape"][:-2])
    if said > count:
        raise InputError(
            f"{path} says {said} frames and has {count} pages: write a page a frame, as BigTIFF above 4 GB"
        )


@contextlib.contextmanager
def _parsed(what: Path | str) -> Generator[None]:
    """What goes wrong as an InputError; tifffile only logs that a chain of pages breaks off, and goes on."""
    errors: list[str] = []

    def take(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            errors.append(record.getMessage())
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(take)
    try:
        with parsing(what, "a TIFF file"):
            yield
            if errors:
                raise ValueError(errors[0])
    except InputError as error:
        if "imagecodecs" in str(error):
            raise InputError(f"{what} is compressed: pip install imagecodecs, or write it without") from None
        raise
    finally:
        logger.removeFilter(take)
