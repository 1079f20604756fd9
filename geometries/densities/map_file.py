"""Density maps from files: MRC and CCP4, read by mrcfile, and arrays of NumPy and HDF5.

Cheng et al. 2015, J. Struct. Biol. 192, 146: MRC2014. Where the map lies does not matter: amplitudes are about the
centre of what it holds.
"""

# mrcfile has no types.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingImports=false, reportAttributeAccessIssue=false

from io import BytesIO
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter, warn

import numpy as np
from jaxtyping import Float, Num

from ..errors import InputError, InputWarning
from .contents import beginning, contents
from .density_map import DensityMap, density_map
from .options import parse_options, plain_suffix

MAP_SUFFIXES = (".mrc", ".map", ".ccp4")
_HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")
ARRAY_SUFFIXES = (".npy", *_HDF5_SUFFIXES)
_OPTIONS = {"contrast": float, "threshold": float, "voxel": float}
_MOST_VOXELS = 2**28
_MOST_HEADER = 2**24
_MUCH_NEGATIVE = 0.05
"""Share of the voxels: more than ripples around a particle, as a rule."""
_HEADER = 1024
_TO_NM = 0.1
_KINDS = {0: "int8", 1: "int16", 2: "float32", 6: "uint16", 12: "float16"}
"""Of voxels, by the header's mode."""


def load_map(path: str, options: str = "") -> DensityMap:
    """The density of a file of voxels, as electrons per cubic angstrom. All but HDF5 may be packed by gzip.

    MRC and CCP4 maps say their axes and voxels; an array (.npy, .h5) has the axes z, y, x and needs `voxel`.
    options, `threshold=0.02,contrast=0.43`: `contrast`, the mean density of the particle in electrons per cubic
    angstrom (protein: 0.43), to which the map is scaled; without, the map is taken to be in that unit, which is said
    (InputWarning); `threshold`, in the map's unit, below which there is nothing: without, many negative voxels are
    said (InputWarning); `voxel`, in nm, instead of the
    header's; `data`, the name of the array in an HDF5 file that has several of three axes. Raises InputError for what
    is unreadable, no map of voxels, or larger than memory should hold, and where mrcfile is not installed.
    """
    file = Path(path).expanduser()
    suffix = plain_suffix(file)
    known = _OPTIONS | {"data": str} if suffix in _HDF5_SUFFIXES else _OPTIONS
    given: dict[str, Any] = parse_options(path, options, known)
    if suffix in MAP_SUFFIXES:
        values, voxel_nm = _mrc(path, file)
    else:
        values = _hdf5(path, file, given.get("data")) if suffix in _HDF5_SUFFIXES else _numpy(path, file)
        values, voxel_nm = values.transpose(2, 1, 0), None
    if "voxel" in given:
        voxel_nm = np.full(3, given["voxel"])
    if voxel_nm is None:
        raise InputError(f"{path} does not say how large its voxels are: write {path}:voxel=0.3, in nm")
    found = density_map(values, voxel_nm, path, given.get("contrast"), given.get("threshold"))
    negative = np.count_nonzero(values < -1e-3 * values.max()) / values.size  # rounding is no noise
    if "threshold" not in given and negative > _MUCH_NEGATIVE:
        warn(
            f"{path}: {negative:.0%} of the voxels are negative: if that is noise, cut it off, {path}:threshold=, in "
            "the map's unit",
            InputWarning,
            stacklevel=2,
        )
    if given.get("contrast") is None:
        warn(
            f"{path}: values are taken as electrons per cubic angstrom, {found.electrons:,.0f} electrons in all: "
            "contrast=0.43 (protein) scales them",
            InputWarning,
            stacklevel=2,
        )
    return found


def _hdf5(path: str, file: Path, name: str | None) -> Num[np.ndarray, "z y x"]:
    from ..guard.hdf5_values import data_set_names, listing, values
    from ..guard.safe_hdf5 import find, open_hdf5, reading

    if file.suffix.lower() == ".gz":
        raise InputError(f"{path} is packed, and HDF5 is read as it is: unpack it first (gunzip)")
    with open_hdf5(file) as opened, reading(path):
        if name is None:
            volumes = data_set_names(opened, dimensions=3)
            if len(volumes) != 1:
                count = len(volumes) or "no"
                raise InputError(f"{path} has {count} arrays of three axes, {listing(opened)}: write {path}:data=NAME")
            name = volumes[0]
        found = find(opened, name)
        if found is None:
            raise InputError(f"{path} has no data set {name!r}: {listing(opened)}")
        if found.dtype.kind not in "iuf" or found.dtype.itemsize > 8:
            raise InputError(f"{path}: {name} holds {found.dtype}: give an array of plain numbers")
        _check_shape(f"{path}: {name}", found.shape)
        return values(found)


def _numpy(path: str, file: Path) -> Num[np.ndarray, "z y x"]:
    content = BytesIO(contents(file, 8 * _MOST_VOXELS, "give fewer voxels"))
    try:
        version = np.lib.format.read_magic(content)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(content)
        _check_shape(path, shape)
        if dtype.kind not in "iuf":
            raise ValueError(f"it holds {dtype}")
        content.seek(0)
        return np.load(content, allow_pickle=False)
    except Exception as error:  # NumPy has Python parse the header, which raises nearly all kinds
        raise _unreadable(path, error) from None


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
        with catch_warnings():
            simplefilter("ignore", DeprecationWarning)  # mrcfile 1.5 sets types of arrays, which NumPy 2.5 deprecates
            values = np.asarray(MrcInterpreter(BytesIO(content), permissive=True).data)
    except (ValueError, RuntimeError) as error:
        raise _unreadable(path, error) from None
    # Axes x, y, z stand where maps, mapr and mapc have 1, 2 and 3.
    values = np.transpose(values.reshape(shape), [order.index(axis) for axis in (1, 2, 3)])
    intervals = np.array([float(header[name]) for name in ("mx", "my", "mz")])
    cell = np.array([float(header["cella"][name]) for name in "xyz"])
    known = (intervals > 0).all() and (cell > 0).all()
    return values, cell / intervals * _TO_NM if known else None
