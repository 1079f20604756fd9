"""Checkpoints of a run: what training carries, written whole by orbax."""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from ..geometries.errors import InputError
from .preprocess import Standardisation
from .step import TrainState

SCORING = 1
"""Raised with every change after which the same weights give other scores: checkpoints of another are refused."""


class Checkpoint(NamedTuple):
    """State, and the standardisation of each view; the configuration stands in the run's config.json."""

    state: TrainState
    standardisation: tuple[Standardisation, ...]


class Checkpoints:
    """The `checkpoints` folder of a run directory; keeps the latest two."""

    def __init__(self, run: Path):
        self._run = run
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        # Unless it is told beforehand what "default" is, the item of a checkpoint that has no name, orbax warns that it
        # cannot read its metadata.
        handler, handlers = ocp.StandardCheckpointHandler(), ocp.handlers.DefaultCheckpointHandlerRegistry()
        for kind in (ocp.args.StandardSave, ocp.args.StandardRestore):
            handlers.add("default", kind, handler)
        folder = (run / "checkpoints").absolute()
        self._manager = ocp.CheckpointManager(folder, options=options, handler_registry=handlers)

    def save(self, checkpoint: Checkpoint, seconds: float) -> None:
        """seconds: that the training has taken so far."""
        step = int(checkpoint.state.step)
        if step not in self._manager.all_steps():
            tree = ocp.args.StandardSave(_as_tree(checkpoint))
            self._manager.save(step, args=tree, custom_metadata={"scoring": SCORING, "seconds": seconds})

    def latest(self, like: Checkpoint) -> Checkpoint | None:
        """The newest checkpoint, or None. `like` gives its structure, shapes and types.

        Raises InputError where it cannot be read or is of a version of onehit that scored otherwise.
        """
        step = self._manager.latest_step()
        if step is None:
            return None
        metadata = self._manager.metadata(step).custom_metadata or {}
        if metadata.get("scoring") != SCORING:
            raise InputError(f"{self._run} is of a version of onehit that scored otherwise: train in another directory")
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, _as_tree(like))
        try:
            tree = self._manager.restore(step, args=ocp.args.StandardRestore(shapes))
        except (ValueError, KeyError, FileNotFoundError) as error:
            raise InputError(
                f"the checkpoint of step {step} cannot be read ({str(error).splitlines()[0]}): "
                "remove its folder to go back to the one before"
            ) from None
        # Bound to no device, as those of a training are: for bound ones everything would be compiled anew.
        leaves = [jax.device_put(np.asarray(tree[k])) for k in sorted(tree)]
        return jax.tree.unflatten(jax.tree.structure(like), leaves)

    def seconds(self) -> float:
        """That the training had taken by the newest checkpoint."""
        step = self._manager.latest_step()
        return 0.0 if step is None else self._manager.metadata(step).custom_metadata["seconds"]

    def close(self) -> None:
        """Let go of the folder; nothing can be saved or read after."""
        self._manager.close()


def _as_tree(checkpoint: Checkpoint) -> dict[str, jax.Array]:
    """Leaves by number: plain arrays, whatever the libraries' container classes are called next year."""
    return {f"{i:04d}": leaf for i, leaf in enumerate(jax.tree.leaves(checkpoint))}
