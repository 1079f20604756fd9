"""The poster's ResNet(n, m) for single hits against everything else."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from ..config import NetworkConfig


class ResidualUnit(nnx.Module):
    """Two 3 x 3 convolutions with an identity map around them (He et al. 2016, CVPR, figure 2)."""

    def __init__(self, features_in: int, features: int, stride: int, rngs: nnx.Rngs):
        self.stride, self.padding = stride, features - features_in
        self.conv1 = nnx.Conv(features_in, features, (3, 3), stride, use_bias=False, rngs=rngs)
        self.norm1 = nnx.BatchNorm(features, momentum=0.95, rngs=rngs)
        self.conv2 = nnx.Conv(features, features, (3, 3), use_bias=False, rngs=rngs)
        self.norm2 = nnx.BatchNorm(features, momentum=0.95, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch rows columns features_in"], train: bool
    ) -> Float[Array, "batch rows_out columns_out features_out"]:
        """Maps to maps, with a stride at a part of the resolution.

        train: normalise by the batch's own mean and variance, and move the running ones.
        """
        y = nnx.relu(self.norm1(self.conv1(x), use_running_average=not train))
        y = self.norm2(self.conv2(y), use_running_average=not train)
        if self.stride > 1:  # the identity at half the resolution, new features zero (option A of He et al.)
            x = nnx.avg_pool(x, (2, 2), (2, 2))
        return nnx.relu(y + jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, self.padding))))


class ResNet(nnx.Module):
    """Convolution to 64 x 64 x 16, n units at 32 x 32 x 32, m units at 16 x 16 x 64, pooling, two classes or three.

    Sizes are those of a 128 x 128 input and a stride of 2. Input (B, size, size, 1) float32, or half as wide for
    Patterson maps; output logits: (B, 2) bad, good; or (B, 3) no particle, another bad one, good.
    """

    def __init__(self, config: NetworkConfig, columns: int, rngs: nnx.Rngs):
        self.pooling = config.pooling
        self.stem = nnx.Conv(1, 16, (max(3, config.stride),) * 2, config.stride, use_bias=False, rngs=rngs)
        self.stem_norm = nnx.BatchNorm(16, momentum=0.95, rngs=rngs)
        first = [ResidualUnit(16 if i == 0 else 32, 32, 2 if i == 0 else 1, rngs) for i in range(config.n)]
        second = [ResidualUnit(32 if i == 0 else 64, 64, 2 if i == 0 else 1, rngs) for i in range(config.m)]
        self.units = nnx.List(first + second)
        self.dropout = nnx.Dropout(config.dropout)
        pooled = (config.size // (8 * config.stride)) * (columns // (8 * config.stride))
        features = 64 if config.pooling == "global" else 64 * pooled
        self.classes = nnx.Linear(features, config.classes, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch size columns 1"], train: bool = False, dropout_key: Key[Array, ""] | None = None
    ) -> Float[Array, "batch classes"]:
        """Logits. train: normalise by the batch and drop features, drawn from `dropout_key`."""
        x = nnx.relu(self.stem_norm(self.stem(x), use_running_average=not train))
        for unit in self.units:
            x = unit(x, train)
        x = x.mean((1, 2)) if self.pooling == "global" else nnx.avg_pool(x, (2, 2), (2, 2)).reshape(len(x), -1)
        x = self.dropout(x, deterministic=not train, rngs=dropout_key)
        return self.classes(x)


class Network(nnx.Module):
    """A ResNet for each view. Independent, since what is far from one view's training may be usual for the other."""

    def __init__(self, config: NetworkConfig, rngs: nnx.Rngs):
        # A Patterson map is symmetric about its origin, so half of it is enough.
        columns = [config.size // 2 if view == "patterson" else config.size for view in config.views]
        self.parts = nnx.List([ResNet(config, width, rngs) for width in columns])

    def __call__(
        self,
        views: Sequence[Float[Array, "batch size _ 1"]],
        train: bool = False,
        dropout_key: Key[Array, ""] | None = None,
    ) -> Float[Array, "views batch classes"]:
        """Logits of every part, for its view of the patterns."""
        return jnp.stack([part(x, train, dropout_key) for part, x in zip(self.parts, views, strict=True)])
