"""VGG16 from files in every layout, against Keras' own and a channels-first one; files that are refused."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import gc
import hashlib

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from onehit.geometries import InputError
from onehit.train.networks import vgg16, vgg16_weights
from onehit.train.networks.vgg16 import network_image
from onehit.train.networks.vgg16_weights import KERNELS, random_vgg16, read_vgg16
from safetensors.numpy import save_file

TORCH_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
POOLED_AFTER = (2, 7, 14, 21, 28)


# As wide as VGG16's own fc1 and fc2, files have half a gigabyte.
@pytest.fixture(scope="module", params=[64, pytest.param(4096, marks=pytest.mark.slow)])
def layers(request):
    """Random weights, biases too, of a network whose fc1 and fc2 are so wide."""
    rng, width = np.random.default_rng(3), request.param
    with pytest.MonkeyPatch.context() as patch:
        for name, shape in {"fc1": (25088, width), "fc2": (width, width)}.items():
            patch.setitem(KERNELS, name, shape)
        made = random_vgg16(seed=1).layers
        yield {name: (kernel, rng.normal(0, 0.1, bias.shape).astype("f4")) for name, (kernel, bias) in made.items()}


def test_the_network_is_vgg16():
    """16 layers with 134 million weights but for the last, of the 1000 kinds of photographs."""
    kernels = vgg16_weights._kernel_shapes()
    assert (kernels["fc1"], kernels["fc2"], len(kernels) + 1) == ((25088, 4096), (4096, 4096), 16)
    assert sum(np.prod(shape) + shape[-1] for shape in kernels.values()) == 138_357_544 - (4096 + 1) * 1000


vgg16_layers = jax.jit(vgg16.vgg16_layers)


@pytest.fixture
def unhashed(monkeypatch):
    """Which file it is takes a second to find out for half a gigabyte, and is tested with a smaller one."""
    monkeypatch.setattr(vgg16_weights, "_identity", lambda path: ())


@pytest.fixture
def big(tmp_path):
    """A path for a file of half a gigabyte, gone after the test."""
    yield lambda name: tmp_path / name
    for path in tmp_path.iterdir():
        path.unlink()


def assert_equal_layers(found, expected):
    assert list(found) == list(expected)
    for name in expected:
        for a, b in zip(found[name], expected[name], strict=True):
            assert np.array_equal(a, b)


def relative_error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def write_classic(path, layers):
    """As Keras 1 and 2 wrote it; these versions do not run any more."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([name.encode() for name in layers])
        for name, pair in layers.items():
            group = file.create_group(name)
            names = [f"{name}_W_1:0", f"{name}_b_1:0"]
            group.attrs["weight_names"] = np.array([one.encode() for one in names])
            for one, values in zip(names, pair, strict=True):
                group[one] = values
    return path


def write_torchvision(path, layers, names=None):
    """The same numbers as tensors in PyTorch's order; fc1 then takes its inputs in another order, which is fine."""
    names = names or [f"features.{i}" for i in TORCH_CONVOLUTIONS] + ["classifier.0", "classifier.3"]
    tensors = {}
    for (kernel, bias), name in zip(layers.values(), names, strict=False):
        kernel = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
        if name == "pre_logits.fc1":
            kernel = kernel.reshape(-1, 512, 7, 7)
        if name == "pre_logits.fc2":
            kernel = kernel.reshape(*kernel.shape, 1, 1)
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = np.ascontiguousarray(kernel), bias
    save_file(tensors, path)
    return tensors


@jax.jit
def convolved(tensors, image):
    """The last map of torchvision's VGG16 for (B, 3, size, size) images, in PyTorch's order."""
    x = image
    for i in TORCH_CONVOLUTIONS:
        x = jax.lax.conv(x, tensors[f"features.{i}.weight"], (1, 1), "SAME")
        x = jnp.maximum(x + tensors[f"features.{i}.bias"][:, None, None], 0)
        if i in POOLED_AFTER:
            b, c, height, width = x.shape
            x = x.reshape(b, c, height // 2, 2, width // 2, 2).max((3, 5))
    return x


def channels_first(tensors, image):
    """fc1 and fc2 of these images, in PyTorch's order throughout."""
    x = np.asarray(convolved({name: values for name, values in tensors.items() if "features" in name}, image))
    side = x.shape[-1]
    ends = [(i * side // 7, int(np.ceil((i + 1) * side / 7))) for i in range(7)]
    x = np.stack([np.stack([x[..., a:b, c:d].mean((2, 3)) for c, d in ends], -1) for a, b in ends], -2)
    fc1 = np.maximum(x.reshape(len(x), -1) @ tensors["classifier.0.weight"].T + tensors["classifier.0.bias"], 0)
    fc2 = np.maximum(fc1 @ tensors["classifier.3.weight"].T + tensors["classifier.3.bias"], 0)
    return fc1, fc2


# Keras 3.15 hands NumPy 2 its variables in a way that is deprecated.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_keras_own_vgg16_gives_the_same_features_and_its_files_are_read(layers, big, unhashed, monkeypatch):
    import keras

    # Its own random weights, which are written over, take longer than all else.
    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__", lambda self, shape, dtype: np.zeros(shape, "f4"))
    convolutions = keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))
    top = keras.layers.Flatten(name="flatten")(convolutions.output)
    for name in ("fc1", "fc2"):
        top = keras.layers.Dense(layers[name][1].size, activation="relu", name=name)(top)
    top = keras.layers.Dense(1000, activation="softmax", name="predictions")(top)
    model = keras.Model(convolutions.input, top, name="vgg16")
    for name, pair in layers.items():
        model.get_layer(name).set_weights(pair)
    for name in ("alone.weights.h5", "whole.h5"):
        (model.save_weights if "alone" in name else model.save)(big(name))
        found = read_vgg16(big(name))
        assert_equal_layers(found.layers, layers)
        assert found.preprocessing == "keras"
    del found
    with h5py.File(big("alone.weights.h5"), "r+") as file:
        file.move("layers/conv2d", "layers/adapted")  # by its name all the same
    assert_equal_layers(read_vgg16(big("alone.weights.h5")).layers, layers)
    with h5py.File(big("alone.weights.h5"), "r+") as file:
        file.move("layers/adapted", "layers/conv2d")
        for group in file["layers"].values():  # as early versions of Keras 3 left it
            del group["vars"].attrs["name"]
    assert_equal_layers(read_vgg16(big("alone.weights.h5")).layers, layers)

    photograph = np.random.default_rng(0).integers(0, 256, (1, 224, 224)).astype("f4")
    photograph[:, 0, 0] = 255
    counts = np.expm1(photograph / 255 * np.log(100))
    outputs = [model.get_layer(name).output for name in ("block3_conv2", "fc1", "fc2", "block5_pool")]
    image = keras.applications.vgg16.preprocess_input(np.repeat(photograph[..., None], 3, -1))
    *expected, pooled = (np.asarray(x) for x in keras.Model(model.input, outputs)(image))
    ours = network_image(counts, np.zeros((224, 224), bool), 224, "keras")
    np.testing.assert_allclose(ours, image, atol=2e-3)
    maps = vgg16_layers(layers, ours)
    for name, values in zip(("block3_conv2", "fc1", "fc2"), expected, strict=True):
        assert relative_error(maps[name], values) < 1e-4

    without_top = {name: pair for name, pair in layers.items() if not name.startswith("fc")}
    found = read_vgg16(write_classic(big("notop.h5"), without_top))
    assert relative_error(vgg16._features(found.layers, ours), pooled.mean((1, 2))) < 1e-4
    keras.backend.clear_session()
    del model, outputs, maps  # half a gigabyte
    gc.collect()


def test_keras_classic_files_are_read(layers, big, unhashed):
    found = read_vgg16(write_classic(big("classic.h5"), layers))
    assert_equal_layers(found.layers, layers)
    assert found.preprocessing == "keras"
    assert found.notes == ()


def test_channels_first_vgg16_gives_the_same_features_from_torchvisions_names_and_timms(layers, big, unhashed):
    path = big("vgg16.safetensors")
    tensors = write_torchvision(path, layers)
    found = read_vgg16(path)
    assert found.preprocessing == "torchvision"

    rng = np.random.default_rng(0)
    size = 64
    counts = rng.poisson(rng.gamma(0.3, 20, (1, size, size))).astype("f4")
    gray = np.log1p(counts) / np.log1p(counts).max()
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    image = ((gray[:, None] - mean[:, None, None]) / deviation[:, None, None]).astype("f4")
    ours = network_image(counts, np.zeros((size, size), bool), size, "torchvision")
    np.testing.assert_allclose(ours, image.transpose(0, 2, 3, 1), atol=1e-5)
    maps = vgg16_layers(found.layers, ours)
    for name, expected in zip(("fc1", "fc2"), channels_first(tensors, image), strict=True):
        assert relative_error(maps[name], expected) < 1e-4
    del tensors, maps

    names = [f"features.{i}" for i in TORCH_CONVOLUTIONS] + ["pre_logits.fc1", "pre_logits.fc2"]
    write_torchvision(path, layers, names)
    assert_equal_layers(read_vgg16(path).layers, found.layers)


def test_known_files_pass_without_a_note(layers, big, monkeypatch):
    path = write_classic(big("notop.h5"), {name: layers[name] for name in KERNELS if not name.startswith("fc")})
    unknown, no_top = read_vgg16(path).notes
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"sha256 {digest}) is none of the published files" in unknown and "no fc1 and fc2" in no_top
    monkeypatch.setitem(vgg16_weights._KNOWN, f"sha256 {digest}", "this one")
    assert read_vgg16(path).notes == (no_top,)


@pytest.mark.parametrize("name", ["vgg16-397923af.pth", "model.pt", "weights.npz"])
def test_pytorchs_own_files_are_refused_with_the_line_that_converts_them(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04 archive/data.pkl")
    with pytest.raises(InputError, match=r"python -c .*weights_only=True") as caught:
        read_vgg16(path)
    assert "\n" not in str(caught.value)
    command = str(caught.value).split('python -c "')[1].rstrip('"')
    compile(command, "command", "exec")


def small_tensors(**changes):
    return {"features.0.weight": np.ones((64, 3, 3, 3), "f4"), "features.0.bias": np.ones(64, "f4")} | changes


@pytest.mark.parametrize(
    "tensors, message",
    [
        (small_tensors(), r"has no tensor features\.2\.bias; VGG16 with torchvision's names is needed$"),
        ({"features.0.weight": np.ones((64, 3, 3, 3), "f4")}, r"no tensor features\.0\.bias"),
        (
            small_tensors(**{"features.0.weight": np.ones((64, 1, 3, 3), "f4")}),
            r"features\.0\.weight makes .*\(64, 1, 3, 3\); VGG16's is \(3, 3, 3, 64\)",
        ),
        (small_tensors(**{"features.0.bias": np.ones(3, "f4")}), r"features\.0\.bias makes .*\(3,\).*\(64,\)"),
        (small_tensors(**{"features.0.bias": np.full(64, np.nan, "f4")}), r"features\.0\.bias .*not finite"),
        (small_tensors(**{"features.0.bias": np.ones(64, "i4")}), r"features\.0\.bias holds int32"),
    ],
)
def test_odd_tensors_are_refused_by_name(tmp_path, tensors, message):
    path = tmp_path / "odd.safetensors"
    save_file(tensors, path)
    with pytest.raises(InputError, match=message) as caught:
        read_vgg16(path)
    assert "\n" not in str(caught.value)


def test_damaged_safetensors_are_refused(tmp_path):
    path = tmp_path / "cut.safetensors"
    save_file(small_tensors(), path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        read_vgg16(path)


def first_layer(file, kernel_shape=(3, 3, 3, 64)):
    group = file.create_group("block1_conv1")
    group.attrs["weight_names"] = np.array([b"kernel", b"bias"])
    group["kernel"], group["bias"] = np.ones(kernel_shape, "f4"), np.ones(64, "f4")


def lead_away(file):
    file["block1_conv1"] = h5py.ExternalLink("/etc/hostname", "/")


def forget_bias(file):
    first_layer(file)
    del file["block1_conv1/bias"]


def forget_names(file):
    first_layer(file)
    del file["block1_conv1"].attrs["weight_names"]


@pytest.mark.parametrize(
    "write, message",
    [
        (first_layer, "no layer block1_conv2"),
        (lambda file: first_layer(file, (3, 3, 1, 64)), r"block1_conv1/kernel makes .*\(3, 3, 1, 64\)"),
        (lead_away, "external link"),
        (forget_bias, "has no block1_conv1/bias"),
        (forget_names, "weight_names None"),
        (lambda file: file.create_group("model_weights"), "no layer block1_conv1"),
    ],
)
def test_odd_hdf5_files_are_refused(tmp_path, write, message):
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w") as file:
        write(file)
    with pytest.raises(InputError, match=message) as caught:
        read_vgg16(path)
    assert "\n" not in str(caught.value)


def test_half_a_top_is_refused(layers, big):
    path = write_classic(big("half.h5"), {name: layers[name] for name in KERNELS if name != "fc1"})
    with pytest.raises(InputError, match="only one of fc1 and fc2"):
        read_vgg16(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_vgg16(tmp_path / "nothing.h5")
