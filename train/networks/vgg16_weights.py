"""VGG16's weights from the user's file, whoever wrote it: Keras as HDF5, torchvision or timm as safetensors.

Where they are to be had: Keras' `vgg16_weights_tf_dim_ordering_tf_kernels.h5` is linked from
https://keras.io/api/applications/vgg/ and lies in `~/.keras/models` once Keras has used it; torchvision's
`vgg16-397923af.pth` (https://docs.pytorch.org/vision/stable/models/vgg.html) must be converted, with the line that its
refusal gives; timm's `vgg16.tv_in1k` is the same network as safetensors.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import h5py
import numpy as np
from jaxtyping import Array, Float

from ...geometries.errors import InputError
from ...geometries.guard.hdf5_values import attribute, listing, member_names, values
from ...geometries.guard.safe_hdf5 import exists, find, open_hdf5, reading

_CONVOLUTIONS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_KNOWN = {
    "sha256 bfe5187d0a272bed55ba430631598124cff8e880b98d38c9e56c8d66032abdc1": "Keras' ImageNet weights without top",
    "md5 64373286793e3c8b2b4e3219cbf3544b": "Keras' ImageNet weights",  # Keras publishes no sha256 of this one
    "sha256 57b026918159a6bf9faf8405c3a551903768e7138989d9c6224a14227203fad8": "torchvision's ImageNet weights by timm",
}


def _kernel_shapes() -> dict[str, tuple[int, ...]]:
    shapes, channels = {}, 3
    for block, (count, features) in enumerate(_CONVOLUTIONS, 1):
        for i in range(1, count + 1):
            shapes[f"block{block}_conv{i}"] = (3, 3, channels, features)
            channels = features
    return shapes | {"fc1": (7 * 7 * channels, 4096), "fc2": (4096, 4096)}


KERNELS = _kernel_shapes()
"""Layers by Keras' names, in order, and the shapes of their kernels: (3, 3, in, out), or (in, out) of fc1 and fc2."""

_COUNTED = dict(zip(["conv2d", *(f"conv2d_{i}" for i in range(1, 13)), "dense", "dense_1"], KERNELS, strict=True))
_TORCHVISION = [f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)]
_TORCHVISION += ["classifier.0", "classifier.3"]
_TIMM = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2"}


class VGG16Weights(NamedTuple):
    """layers: kernel and bias by `KERNELS`' names, float32, fc1 and fc2 left out where a file has no top;
    preprocessing: whose the weights expect; notes: what to know of them, one line each."""

    layers: Mapping[str, tuple[Float[Array | np.ndarray, "..."], Float[Array | np.ndarray, "..."]]]
    preprocessing: Literal["keras", "torchvision"]
    notes: tuple[str, ...] = ()


def read_vgg16(path: str | Path) -> VGG16Weights:
    """Weights of a Keras HDF5 file (of Keras 1 to 3, weights alone or a whole model) or a safetensors file with
    torchvision's or timm's names; "random": none, see `random_vgg16`.

    Raises InputError where the file is missing, damaged, or of another kind, and for a tensor that is missing, of
    another shape or not finite.
    """
    if str(path) == "random":
        return random_vgg16()
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist or is no file: give VGG16's weights, or 'random' to do without")
    with path.open("rb") as file:
        start = file.read(len(_HDF5_MAGIC))
    if start == _HDF5_MAGIC:
        layers, preprocessing = _keras(path), "keras"
    elif path.suffix == ".safetensors":
        layers, preprocessing = _safetensors(path), "torchvision"
    else:
        raise InputError(
            f"{path} is neither HDF5 nor .safetensors; PyTorch's own files can run any program when they are opened, "
            'so convert one where you trust it: python -c "import torch, safetensors.torch as s; '
            f's.save_file(torch.load({path.name!r}, weights_only=True), {path.stem + ".safetensors"!r})"'
        )
    notes = _identity(path)
    if "fc1" not in layers:
        notes += (
            f"{path} has no fc1 and fc2 (a 'notop' file): the features are block 5's 512 means, not the poster's "
            "8192; give the file with the top for those",
        )
    return VGG16Weights(layers, preprocessing, notes)


def random_vgg16(seed: int = 0) -> VGG16Weights:
    """Weights that nobody trained: normal, variance 2 / fan-in (He et al. 2015, ICCV, equation 10), biases 0."""
    rng = np.random.default_rng(seed)
    layers = {}
    for name, shape in KERNELS.items():
        kernel = rng.standard_normal(shape, np.float32)
        kernel *= np.sqrt(2 / np.prod(shape[:-1]))
        layers[name] = kernel, np.zeros(shape[-1], np.float32)
    note = "VGG16's weights are random: nothing was learned from photographs, so this is no transfer learning"
    return VGG16Weights(layers, "torchvision", (note,))


def _identity(path: Path) -> tuple[str, ...]:
    """A note where the file is none of the known ones."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if f"sha256 {sha256}" in _KNOWN or f"md5 {md5}" in _KNOWN:
        return ()
    return (
        f"{path} (sha256 {sha256}) is none of the published files known here, {', '.join(_KNOWN.values())}: as it "
        "should be if you converted or trained it, else fetch it again",
    )


def _keras(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    with open_hdf5(path) as file:
        groups = _keras3_groups(file) if exists(file, "layers") else _classic_groups(file)
        layers = {}
        for layer, shape in KERNELS.items():
            if layer not in groups and layer.startswith("fc"):
                continue
            if layer not in groups:
                raise InputError(f"{path} has no layer {layer}; VGG16's weights as Keras saves them are needed")
            kernel, bias = (_read_data_set(file, name) for name in groups[layer])
            layers[layer] = _checked(path, groups[layer], shape, kernel, bias)
    return _with_whole_top(path, layers)


def _classic_groups(file: h5py.File) -> dict[str, tuple[str, str]]:
    """Names of kernel and bias by layer: the file's root, or /model_weights of a whole model, says them itself."""
    root = "model_weights/" if exists(file, "model_weights") else ""
    groups = {}
    for layer in KERNELS:
        if exists(file, group := f"{root}{layer}"):
            names = attribute(file[group], "weight_names")
            if not isinstance(names, list) or len(names) != 2:
                raise InputError(
                    f"{file.filename}: {group} has weight_names {names}; those of a kernel and a bias are needed"
                )
            groups[layer] = (f"{group}/{names[0]}", f"{group}/{names[1]}")
    return groups


def _keras3_groups(file: h5py.File) -> dict[str, tuple[str, str]]:
    """Keras 3's .weights.h5 counts layers by kind; its later versions also say their names."""
    groups: dict[str, tuple[str, str]] = {}
    with reading(file.filename):
        counted = member_names(file["layers"])
    for place in counted:
        if exists(file, group := f"layers/{place}/vars"):
            name = attribute(file[group], "name")
            layer = name if isinstance(name, str) else _COUNTED.get(place)
            if layer is not None:
                groups[layer] = (f"{group}/0", f"{group}/1")
    return groups


def _read_data_set(file: h5py.File, name: str) -> np.ndarray:
    data_set = find(file, name)
    if data_set is None:
        raise InputError(f"{file.filename} has no {name}; {listing(file)}")
    return values(data_set)


def _safetensors(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise InputError(f"{path} needs the safetensors library: pip install 'onehit[compare]'") from None
    layers = {}
    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            for (layer, shape), name in zip(KERNELS.items(), _TORCHVISION, strict=True):
                name = name if f"{name}.weight" in names else _TIMM.get(name, name)
                pair = f"{name}.weight", f"{name}.bias"
                if layer.startswith("fc") and names.isdisjoint(pair):
                    continue
                if missing := set(pair) - names:
                    raise InputError(f"{path} has no tensor {min(missing)}; VGG16 with torchvision's names is needed")
                kernel, bias = (np.asarray(file.get_tensor(one)) for one in pair)
                layers[layer] = _checked(path, pair, shape, _from_torch(kernel, shape), bias)
    except InputError:  # which is a ValueError
        raise
    except (SafetensorError, OSError, TypeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} cannot be read as safetensors ({reason}): copy or convert it again") from None
    return _with_whole_top(path, layers)


def _from_torch(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """As Keras has it: outputs last, and pixels before channels where maps were flattened. Odd shapes as they are."""
    if kernel.size != np.prod(shape):
        return kernel
    if len(shape) == 2:  # timm's are convolutions over the whole map
        side = 7 if shape[0] == KERNELS["fc1"][0] else 1
        kernel = kernel.reshape(shape[1], -1, side, side)
        return kernel.transpose(2, 3, 1, 0).reshape(shape)
    return kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel


def _checked(path: Path, names: tuple[str, str], shape, kernel, bias) -> tuple[np.ndarray, np.ndarray]:
    for name, array, wanted in ((names[0], kernel, shape), (names[1], bias, shape[-1:])):
        if array.shape != wanted:
            raise InputError(f"{path}: {name} makes a tensor of shape {array.shape}; VGG16's is {wanted}")
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise InputError(f"{path}: {name} holds {array.dtype} or numbers that are not finite; weights are needed")
    return np.ascontiguousarray(kernel, np.float32), np.ascontiguousarray(bias, np.float32)


def _with_whole_top(path: Path, layers):
    if ("fc1" in layers) != ("fc2" in layers):
        raise InputError(f"{path} has only one of fc1 and fc2; give a file with both, or with neither")
    return layers
