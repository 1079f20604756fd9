"""`onehit bench network`: training and scoring with the poster's ResNet, beside PyTorch and ONNX Runtime."""

import io
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import count
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ...simulate.source import SimulatedSource
from ...train.classifier import Classifier
from ...train.config import NetworkConfig, TrainConfig
from ...train.networks.resnet import Network
from ...train.preprocess import measure, network_input
from ...train.step import Schedule, first_state, split_network, train_step
from ..options import Bench

_BATCH = 64
_ROUND_SECONDS = 2.0
_TIMES_PEERS = 1.2


def measure_network(command: Bench) -> list[dict[str, Any]]:
    """Patterns a second of training, their simulation included, and of scoring, for the poster's network and the faster
    one that starts with squares of 4 x 4 pixels.

    Peers run the same network with the same weights (checked), in both of PyTorch's memory layouts, and train on the
    same patterns from the same simulation. Every side has rounds of two seconds in turn, so that threads of one
    library that wait busily, and a machine that slows down, do not favour another.
    """
    rows: list[dict[str, Any]] = []
    for stride in (2, 4):
        training, scoring = _sides(command, NetworkConfig(views=("log",), stride=stride))
        for what, sides in (("training", training), ("scoring", scoring)):
            rates = _rates(sides, command.repeats, _BATCH)
            peers = [rate for side, rate in rates.items() if side != "onehit"]
            for side, rate in rates.items():
                target = _TIMES_PEERS * max(peers) if side == "onehit" and peers else None
                case = f"stride {stride}, {what}: {side}"
                rows.append({"case": case, "patterns_per_second": rate, "target": target})
    classifier = Classifier.load()
    raw = np.asarray(SimulatedSource(classifier.config.simulation).patterns(range(_BATCH)).counts)
    rate = _rates({"": lambda: classifier.score(raw)}, command.repeats, _BATCH)[""]
    rows.append({"case": "onehit classify, both views, from counts", "patterns_per_second": rate, "target": None})
    return rows


def _sides(command: Bench, network_config: NetworkConfig) -> tuple[dict[str, Callable], dict[str, Callable]]:
    """What trains one batch, and what scores one, of onehit and of its peers."""
    config = TrainConfig(network=network_config, batch_size=_BATCH)
    source = SimulatedSource(config.simulation)
    counts = jnp.asarray(source.patterns(range(_BATCH)).counts, jnp.float32)
    standardisation = measure(counts, source.bad_pixel, "log")
    frames = network_input(counts, source.bad_pixel, standardisation, "log")
    structure, parameters, statistics = split_network(config.network)
    infer = jax.jit(lambda parameters, statistics, x: nnx.merge(structure, parameters, statistics)([x])[0])

    training = {"onehit": _our_training(config, source, standardisation)}
    scoring: dict[str, Callable[[], Any]] = {"onehit": lambda: infer(parameters, statistics, frames)}
    if command.peers and find_spec("torch"):
        network = nnx.merge(structure, parameters, statistics)
        logits = np.asarray(infer(parameters, statistics, frames))
        trainings, scorings = _peers(network, np.asarray(frames), logits, config, source, standardisation)
        training, scoring = training | trainings, scoring | scorings
    return training, scoring


def _rates(sides: dict[str, Callable[[], Any]], rounds: int, batch: int) -> dict[str, float]:
    """Median patterns a second of each side over rounds in turn, without the first call, which compiles."""
    for work in sides.values():
        jax.block_until_ready(work())
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            jax.block_until_ready(work())  # wakes its threads
            end = time.perf_counter() + _ROUND_SECONDS
            while (start := time.perf_counter()) < end:
                jax.block_until_ready(work())
                seconds[name].append(time.perf_counter() - start)
    return {name: batch / median(times) for name, times in seconds.items()}


def _batches(source: SimulatedSource, size: int):
    """Counts and labels of one batch after another, never the same twice."""
    for number in count():
        patterns = source.patterns(np.arange(number * size, (number + 1) * size))
        yield patterns.counts, patterns.label


def _our_training(config: TrainConfig, source: SimulatedSource, standardisation) -> Callable[[], Any]:
    structure, _, _ = split_network(config.network)
    state, batches, schedule = first_state(config), _batches(source, config.batch_size), Schedule.of(config)

    def step():
        nonlocal state
        counts, label = next(batches)
        counts = jnp.where(source.bad_pixel, 0, counts.astype(jnp.float32))
        arrays = counts, source.bad_pixel, label, (standardisation,), config.seed, schedule
        state, loss, _ = train_step(state, *arrays, views=config.network.views, structure=structure)
        return loss

    return step


def _peers(network: Network, frames, logits, config: TrainConfig, source, standardisation):
    """What PyTorch, in both memory layouts, and ONNX Runtime do in training and in scoring."""
    import torch  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    pictures = torch.from_numpy(frames.transpose(0, 3, 1, 2).copy())
    prepare = jax.jit(
        lambda counts: network_input(counts.astype(jnp.float32), source.bad_pixel, standardisation, "log")
    )
    training, scoring = {}, {}
    for name, layout in (("PyTorch", torch.contiguous_format), ("PyTorch, channels last", torch.channels_last)):
        peer = _torch_network(network).to(memory_format=layout)
        with torch.inference_mode():
            np.testing.assert_allclose(peer.eval()(pictures).numpy(), logits, rtol=1e-3, atol=1e-3)

        inputs = pictures.to(memory_format=layout)

        def score(peer=peer, inputs=inputs):
            with torch.inference_mode():
                return peer(inputs).numpy()

        scoring[name] = score
        if name == "PyTorch" and find_spec("onnx") and find_spec("onnxruntime"):
            scoring["ONNX Runtime"] = _onnx_runtime(peer, pictures)
        learner = _torch_network(network).to(memory_format=layout).train()
        optimiser = torch.optim.AdamW(learner.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        batches = _batches(source, config.batch_size)

        def step(learner=learner, optimiser=optimiser, batches=batches, layout=layout):
            counts, label = next(batches)
            x = torch.from_numpy(np.array(prepare(counts)).transpose(0, 3, 1, 2)).contiguous(memory_format=layout)
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(learner(x), torch.from_numpy(np.array(label, np.int64)))
            loss.backward()
            optimiser.step()
            return loss.item()

        training[name] = step
    return training, scoring


def _onnx_runtime(network, pictures) -> Callable[[], Any]:
    import onnxruntime  # pyright: ignore[reportMissingImports]
    import torch  # pyright: ignore[reportMissingImports]

    file = io.BytesIO()
    torch.onnx.export(network, (pictures,), file, input_names=["x"], dynamo=False)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    x = pictures.numpy()
    return lambda: session.run(None, {"x": x})


def _torch_network(network: Network):
    """The same ResNet, with the same weights, in PyTorch."""
    import torch  # pyright: ignore[reportMissingImports]
    from torch import nn  # pyright: ignore[reportMissingImports]
    from torch.nn import functional  # pyright: ignore[reportMissingImports]

    def tensor(array):
        return torch.from_numpy(np.array(array[...]))

    def convolution(conv):
        kernel = tensor(conv.kernel).permute(3, 2, 0, 1).contiguous()
        width, stride = kernel.shape[-1], conv.strides if isinstance(conv.strides, int) else conv.strides[0]
        layer = nn.Conv2d(kernel.shape[1], kernel.shape[0], width, stride, padding=int(stride == 1), bias=False)
        layer.weight.data = kernel
        # Flax pads strided convolutions after the last pixel only.
        return layer if stride in (1, width) else nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), layer)

    def normalisation(norm):
        layer = nn.BatchNorm2d(norm.scale[...].shape[0], eps=norm.epsilon, momentum=1 - norm.momentum)
        layer.weight.data, layer.bias.data = tensor(norm.scale), tensor(norm.bias)
        layer.running_mean, layer.running_var = tensor(norm.mean), tensor(norm.var)
        return layer

    class Unit(nn.Module):
        def __init__(self, unit):
            super().__init__()
            self.stride, self.padding = unit.stride, unit.padding
            self.conv1, self.norm1 = convolution(unit.conv1), normalisation(unit.norm1)
            self.conv2, self.norm2 = convolution(unit.conv2), normalisation(unit.norm2)

        def forward(self, x):
            y = functional.relu(self.norm1(self.conv1(x)))
            y = self.norm2(self.conv2(y))
            if self.stride > 1:
                x = functional.avg_pool2d(x, 2)
            return functional.relu(y + functional.pad(x, (0, 0, 0, 0, 0, self.padding)))

    class ResNet(nn.Module):
        def __init__(self, part):
            super().__init__()
            self.stem = nn.Sequential(convolution(part.stem), normalisation(part.stem_norm), nn.ReLU())
            self.units = nn.Sequential(*(Unit(unit) for unit in part.units))
            self.dropout = nn.Dropout(part.dropout.rate)
            self.classes = nn.Linear(64, 2)
            self.classes.weight.data, self.classes.bias.data = tensor(part.classes.kernel).T, tensor(part.classes.bias)

        def forward(self, x):
            return self.classes(self.dropout(self.units(self.stem(x)).mean((2, 3))))

    return ResNet(network.parts[0])
