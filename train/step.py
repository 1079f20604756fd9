"""One optimiser step, and the state it carries: arrays only.

The network is split into arrays once and merged inside the jitted functions: a jitted function that takes an nnx
module drops the batch statistics' updates, and `nnx.jit` spends 10 ms a call in Python.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Integer

from .config import NetworkConfig, TrainConfig, View
from .networks.resnet import Network
from .preprocess import Standardisation, network_views, random_flips

_AGREE = 10.0
"""How far apart the log-odds of two views may be that still count alike: see docs/record/robustness.md."""

_TELLS: dict[View, tuple[float, float]] = {"log": (1.0, 0.5), "patterson": (0.5, 1.0), "poster": (1.0, 1.0)}
"""Of three classes, how much a view counts against no particle, and against several: see docs/record/robustness.md."""


class TrainState(NamedTuple):
    """Everything that training carries from step to step; a JAX pytree."""

    parameters: optax.Params
    batch_statistics: nnx.State
    optimiser: optax.OptState
    step: Int[Array, ""]


class Schedule(NamedTuple):
    """The numbers of an optimisation. They are traced: other ones compile nothing anew."""

    steps: int | Integer[Array, ""]
    learning_rate: float | Float[Array, ""]
    weight_decay: float | Float[Array, ""]

    @classmethod
    def of(cls, config: TrainConfig) -> "Schedule":
        """Those of a configuration."""
        return cls(config.steps, config.learning_rate, config.weight_decay)

    def rate(self, step: Integer[Array, ""]) -> Float[Array, ""]:
        """Learning rate: linear over the first twentieth, then half a cosine down to zero."""
        warmup = jnp.maximum(1, self.steps // 20)
        decayed = (step - warmup) / jnp.maximum(1, self.steps - warmup)
        return self.learning_rate * jnp.where(step < warmup, step / warmup, 0.5 + 0.5 * jnp.cos(jnp.pi * decayed))

    def optimiser(self) -> optax.GradientTransformation:
        """AdamW."""
        return optax.adamw(lambda step: self.rate(jnp.asarray(step)), weight_decay=self.weight_decay)


def first_state(config: TrainConfig) -> TrainState:
    """Random weights from the configuration's seed."""
    _, parameters, statistics = split_network(config.network, config.seed)
    return TrainState(parameters, statistics, Schedule.of(config).optimiser().init(parameters), jnp.int32(0))


def split_network(config: NetworkConfig, seed: int = 0):
    """The network's structure (hashable), parameters and batch statistics."""
    return nnx.split(Network(config, nnx.Rngs(seed)), nnx.Param, nnx.BatchStat)


@partial(jax.jit, static_argnames=("views", "structure"), donate_argnums=0)
def train_step(
    state: TrainState,
    counts: Float[Array | np.ndarray, "batch size size"],
    bad: Bool[Array | np.ndarray, "*masks size size"],
    class_: Integer[Array | np.ndarray, " batch"],
    standardisation: tuple[Standardisation, ...],
    seed: Integer[Array | np.ndarray, ""] | int,
    schedule: Schedule,
    *,
    views: tuple[View, ...],
    structure,
) -> tuple[TrainState, Float[Array, ""], Float[Array, ""]]:
    """One step on counts of known class, the last of which is good: the next state, and the loss and accuracy before.

    Is compiled anew for another network or batch, not for another schedule or seed.
    """
    # Another stream than that of the patterns, whose keys are fold_in(key(seed), index).
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 2**32 - 1), state.step)
    flip_key, dropout_key = jax.random.split(key)
    counts, bad = random_flips(flip_key, counts, bad)
    inputs = network_views(counts, bad, standardisation, views)

    def loss_function(parameters):
        network = nnx.merge(structure, parameters, state.batch_statistics, copy=True)
        logits = network(inputs, train=True, dropout_key=dropout_key)
        # Summed, so that each part learns as if it were alone.
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.broadcast_to(class_, logits.shape[:2]))
        return losses.mean(1).sum(), (logits, nnx.state(network, nnx.BatchStat))

    (loss, (logits, statistics)), gradient = jax.value_and_grad(loss_function, has_aux=True)(state.parameters)
    updates, optimiser_state = schedule.optimiser().update(gradient, state.optimiser, state.parameters)
    parameters = optax.apply_updates(state.parameters, updates)
    accuracy = jnp.mean((score(logits, views) > 0) == (class_ == logits.shape[-1] - 1))
    return TrainState(parameters, statistics, optimiser_state, state.step + 1), loss, accuracy


@partial(jax.jit, static_argnames=("structure", "views"))
def log_odds(
    parameters,
    batch_statistics,
    counts: Float[Array | np.ndarray, "batch size size"],
    bad: Bool[Array | np.ndarray, "*masks size size"],
    standardisation: tuple[Standardisation, ...],
    *,
    structure,
    views: tuple[View, ...],
) -> Float[Array, " batch"]:
    """Log-odds of good, for counts of the network's size: those of the views, combined."""
    network = nnx.merge(structure, parameters, batch_statistics)
    return score(network(network_views(counts, bad, standardisation, views)), views)


def score(logits: Float[Array, "views batch classes"], views: tuple[View, ...]) -> Float[Array, " batch"]:
    """Log-odds of good.

    Of two classes those of the views, `combined`. Of three there are log-odds against no particle and against anything
    else, each a weighted mean over the views times their number; good is what neither of the two is. The log view
    doubts a body with a hole, whose fringes it takes for those of two; the Patterson map doubts a small one, in which
    it sees no structure.
    """
    against = logits[..., -1:] - logits[..., :-1]
    if against.shape[-1] == 1:
        return combined(against[..., 0])
    weight = jnp.array([_TELLS[view] for view in views])
    weight *= len(views) / weight.sum(0)
    return -jax.nn.logsumexp(-(weight[:, None] * against).sum(0), axis=-1)


def combined(log_odds: Float[Array | np.ndarray, "views batch"]) -> Float[Array, " batch"]:
    """One score of the views' log-odds: their sum as far as they agree, less where one of them doubts.

    So many times their soft minimum. The sum would let a view that is sure by mistake outvote another that is not.
    """
    views = len(log_odds)
    return views * _AGREE * (jnp.log(views) - jax.nn.logsumexp(-log_odds / _AGREE, axis=0))
