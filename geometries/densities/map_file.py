"""Density maps from files: MRC and CCP4, read by mrcfile, and arrays of NumPy.

Cheng et al. 2015, J. Struct. Biol. 192, 146: MRC2014. Where the map lies does not matter: amplitudes are about the
centre of what it holds.
"""

# mrcfile has no types.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingImports=false, reportAttributeAccessIssue=false

from io import BytesIO
from pathlib import Path
from typing import Any
from warnings import warn

import numpy as np
from jaxtyping import Float, Num

from ..errors import InputError, InputWarning
from .contents import beginning, contents
from .density_map import DensityMap, density_map
from .options import parse_options, plain_suffix

MAP_SUFFIXES = (".mrc", ".map", ".ccp4")
ARRAY_SUFFIXES = (".npy",)
_OPTIONS = {"contrast": float, "threshold": float, "voxel": float}
_MOST_VOXELS = 2**28
_MOST_HEADER = 2**24
_HEADER = 1024
_TO_NM = 0.1
_KINDS = {0: "int8", 1: "int16", 2: "float32", 6: "uint16", 12: "float16"}
"""Of voxels, by the header's mode."""


def load_map(path: str, options: str = "") -> DensityMap:
    """The density of a file of voxels, gzip or not, as electrons per cubic angstrom.

    MRC and CCP4 maps say their axes and voxels; an array (.npy) has the axes z, y, x and needs `voxel`.
    options, `threshold=0.02,contrast=0.43`: `contrast`, the mean density of the particle in electrons per cubic
    angstrom (protein: 0.43), to which the map is scaled; without, the map is taken to be in that unit, which is said
    (InputWarning); `threshold`, in the map's unit, below which there is nothing; `voxel`, in nm, instead of the
    header's. Raises InputError for what is unreadable, no map of voxels, or larger than memory should hold, and where
    mrcfile is not installed.
    """
    given: dict[str, Any] = parse_options(path, options, _OPTIONS)
    file = Path(path).expanduser()
    values, voxel_nm = _array(path, file) if plain_suffix(file) in ARRAY_SUFFIXES else _mrc(path, file)
    if "voxel" in given:
        voxel_nm = np.full(3, given["voxel"])
    if voxel_nm is None:
        raise InputError(f"{path} does not say how large its voxels are: write {path}:voxel=0.3, in nm")
    found = density_map(values, voxel_nm, path, given.get("contrast"), given.get("threshold"))
    if given.get("contrast") is None:
        warn(
            f"{path}: values are taken as electrons per cubic angstrom, {found.electrons:,.0f} electrons in all: "
            "contrast=0.43 (protein) scales them",
            InputWarning,
            stacklevel=2,
        )
    return found


def _array(path: str, file: Path) -> tuple[Num[np.ndarray, "x y z"], None]:
    content = BytesIO(contents(file, 8 * _MOST_VOXELS, "give fewer voxels"))
    try:
        version = np.lib.format.read_magic(content)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(content)
        _check_shape(path, shape)
        if dtype.kind not in "iuf":
            raise ValueError(f"it holds {dtype}")
        content.seek(0)
        values = np.load(content, allow_pickle=False)
    except Exception as error:  # NumPy has Python parse the header, which raises nearly all kinds
        raise _unreadable(path, error) from None
    return values.transpose(2, 1, 0), None


def _unreadable(path: str, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    return InputError(f"{path} cannot be read as a map ({' '.join(str(error).split())[:200]}): write it again")


def _check_shape(path: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(f"{path} has the shape {shape}; a map has three axes: give a volume, not images")
    if (voxels := float(np.prod(shape, dtype=float))) > _MOST_VOXELS:
        raise InputError(
            f"{path} has {' x '.join(map(str, shape))} = {voxels:.2g} voxels; give at most {_MOST_VOXELS:.2g}: bin it"
        )


def _mrc(path: str, file: Path) -> tuple[Num[np.ndarray, "x y z"], Float[np.ndarray, "xyz=3"] | None]:
    try:
        from mrcfile.dtypes import HEADER_DTYPE
        from mrcfile.mrcinterpreter import MrcInterpreter
        from mrcfile.utils import byte_order_from_machine_stamp
    except ImportError:
        raise InputError('maps are read by mrcfile, which is missing: pip install "onehit[structures]"') from None
    start = beginning(file, _HEADER)
    if len(start) < _HEADER or start[208:212] != b"MAP ":
        raise InputError(f"{path} is no MRC or CCP4 map: its header is not one")
    raw = np.frombuffer(start[:_HEADER], HEADER_DTYPE)
    try:
        header = raw.view(HEADER_DTYPE.newbyteorder(byte_order_from_machine_stamp(raw[0]["machst"])))[0]
    except ValueError as error:
        raise _unreadable(path, error) from None
    shape = tuple(int(header[name]) for name in ("nz", "ny", "nx"))
    _check_shape(path, shape)
    mode = int(header["mode"])
    if mode not in _KINDS:
        raise InputError(f"{path} has mode {mode}; give real voxels, mode {', '.join(map(str, _KINDS))}")
    extended = int(header["nsymbt"])
    if not 0 <= extended <= _MOST_HEADER:
        raise InputError(f"{path} has an extended header of {extended} bytes: its header is damaged")
    length = _HEADER + extended + int(np.prod(shape)) * np.dtype(_KINDS[mode]).itemsize
    content = beginning(file, length)
    if len(content) < length:
        raise InputError(f"{path} is cut short: it holds {len(content):,} of {length:,} bytes: copy it again")
    order = tuple(int(header[name]) for name in ("maps", "mapr", "mapc"))
    if order == (0, 0, 0):  # of files of images: what is usual
        order = (3, 2, 1)
    if sorted(order) != [1, 2, 3]:
        raise InputError(f"{path} has axes {order[::-1]}; its header is damaged: columns, rows, sections are 1 to 3")
    angles = [float(header["cellb"][name]) for name in ("alpha", "beta", "gamma")]
    if any(angles) and not np.allclose(angles, 90, atol=0.01):
        raise InputError(f"{path} has axes at {angles} degrees: resample it to axes at right angles")
    try:
        values = np.asarray(MrcInterpreter(BytesIO(content), permissive=True).data)
    except (ValueError, RuntimeError) as error:
        raise _unreadable(path, error) from None
    # Axes x, y, z stand where maps, mapr and mapc have 1, 2 and 3.
    values = np.transpose(values.reshape(shape), [order.index(axis) for axis in (1, 2, 3)])
    intervals = np.array([float(header[name]) for name in ("mx", "my", "mz")])
    cell = np.array([float(header["cella"][name]) for name in "xyz"])
    known = (intervals > 0).all() and (cell > 0).all()
    return values, cell / intervals * _TO_NM if known else None
