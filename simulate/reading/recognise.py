"""Files of frames in the dialects that laboratories and simulators write, recognised and opened as they lie."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py

from ...geometries.errors import InputError
from ...geometries.guard.safe_hdf5 import check_file, open_hdf5, reading
from ..formats.frames import Frames
from ..formats.manifest import open_set, set_folder
from .dialect import Dialect, Given, Opened
from .dialects.condor import CONDOR
from .dialects.cxi import CXI, CXI_DATA, CXI_IMAGE, WITH_GOOD_PIXELS
from .dialects.emc import Emc
from .dialects.european_xfel import EUROPEAN_XFEL
from .dialects.hawk import HAWK, HAWK_IMAGE
from .dialects.mat import Mat
from .dialects.nexus import Nexus
from .dialects.npy import Npy
from .dialects.plain_hdf5 import PLAIN, OnlyStack, named
from .dialects.specklenn import SPECKLENN
from .dialects.tiff import Tiff
from .hdf5_dialect import Hdf5Dialect
from .masks import MaskPolarity

# A new one goes above those that would take its files too, and always above OnlyStack, which takes any HDF5 file.
DIALECTS: tuple[Dialect, ...] = (
    Npy(),
    Mat(),
    Tiff(),
    Emc(),
    EUROPEAN_XFEL,
    WITH_GOOD_PIXELS,
    CXI,
    CONDOR,
    CXI_DATA,
    CXI_IMAGE,
    SPECKLENN,
    HAWK,
    HAWK_IMAGE,
    PLAIN,
    Nexus(),
    OnlyStack(),
)
"""The first that recognises a file opens it."""

_FABIO = "open it with fabio, and save its frames as one array with numpy.save"
_OTHERS = {
    b"###CBF": ("a CBF file", _FABIO),
    b"{": ("a file with a header of text, such as EDF or SMV", _FABIO),
    b"SIMPLE  =": ("a FITS file", "save its frames as one array with numpy.save"),
    b"PK\3\4": ("an archive (.npz or .zip)", "save one array of it with numpy.save"),
    b"\x89PNG": ("a picture (PNG)", "give the numbers that it was made of, as HDF5 or NPY"),
    b"\xff\xd8\xff": ("a picture (JPEG)", "give the numbers that it was made of, as HDF5 or NPY"),
    **dict.fromkeys(
        (b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5"),
        ("a pickle, which can hide any program", "save one array with numpy.save, where it was written"),
    ),
}
"""Other kinds of files, by how they begin; what they are, and what to do."""

_TRANSPOSED = (
    "MATLAB 7.3 writes axes the other way round: frames are transposed, with rows and columns swapped; so must be "
    "masks of other files, and {option}.centre"
)


def open_frames(
    path: str | Path,
    data: str | None = None,
    label: str | None = None,
    mask: tuple[str, ...] | str | None = None,
    mask_polarity: MaskPolarity = "auto",
    axes: str | None = None,
    has_geometry: bool = False,
    detector: Path | None = None,
    trusted: bool = False,
    option: str = "--read",
) -> Frames:
    """Recognise and open a file of frames, which are read when they are asked for.

    data, label, mask: names of data sets, where they are not the dialect's; label: also a heading of CXI's tags; mask:
    other files too, mask.npy or other.h5:/name, all of which count; label or mask "": the file's own is not used.
    mask_polarity: what the masks' values say, see `bad_where`, whatever names, dialect and frames do. axes: see
    `stack.Turned`; has_geometry: a geometry file says what they are. detector: Dragonfly's detector file, for EMC.
    trusted: see `safe_hdf5.find`. option: what the options are called, for messages.

    Raises InputError for a file that is missing, damaged, unsafe, or in no dialect known, and for names not in it.
    """
    masks = (mask,) if isinstance(mask, str) else mask
    return _open(Path(path), Given(data, label, masks, mask_polarity, axes, has_geometry, detector, trusted, option))


def _open(path: Path, given: Given) -> Frames:
    if set_folder(path) is not None:
        return open_set(path, partial(_open, given=given), named_label=given.label is not None)
    check_file(path, "a CXI, EMC, HDF5, NPY, MATLAB or TIFF file")
    with reading(path), path.open("rb") as file:
        head = file.read(1024)
    opened = Opened(path, head, open_hdf5(path) if h5py.is_hdf5(path) else None, given.trusted)
    frames = _open_as_recognised(opened, given)
    if head.startswith(b"MATLAB 7.3"):
        frames = replace(frames, oddities=(_TRANSPOSED.format(option=given.option), *frames.oddities))
    return frames


def _open_as_recognised(opened: Opened, given: Given) -> Frames:
    if given.data is not None and opened.hdf5 is not None and not Emc().recognises(opened):
        dialect = Nexus() if Nexus().holds(opened, given.data) else _with_data(given.data, opened)
        return dialect.open(opened, given)
    for dialect in DIALECTS:
        if dialect.recognises(opened):
            return dialect.open(opened, given)
    for sign, (kind, remedy) in _OTHERS.items():
        if opened.head.lstrip().startswith(sign):
            raise InputError(f"{opened.path} is {kind}, and is not read: {remedy}")
    if opened.path.suffix == ".mat":
        raise InputError(f"{opened.path} is damaged, or of MATLAB 4: save it with -v7")
    raise InputError(
        f"{opened.path} is no CXI, EMC, HDF5, NPY, MATLAB or TIFF file, or its beginning is damaged; pickles and "
        "archives (.npz) are not read: save one array as .npy, or write HDF5"
    )


def _with_data(data: str, opened: Opened) -> Hdf5Dialect:
    """The dialect that has the frames in that data set anyway, which knows what its masks mean; or any."""
    known = (one for one in DIALECTS if isinstance(one, Hdf5Dialect) and one.frames == (data.strip("/"),))
    return next((dialect for dialect in known if dialect.recognises(opened)), named(data))
