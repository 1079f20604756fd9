"""Checkpoints of a run: what training carries, written whole by orbax."""

from pathlib import Path
from typing import NamedTuple

import jax
import orbax.checkpoint as ocp

from ..geometries.errors import InputError
from .preprocess import Standardisation
from .step import TrainState


class Checkpoint(NamedTuple):
    """State, and the standardisation of each view; the configuration stands in the run's config.json."""

    state: TrainState
    standardisation: tuple[Standardisation, ...]


class Checkpoints:
    """The `checkpoints` folder of a run directory; keeps the latest two."""

    def __init__(self, run: Path):
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager((run / "checkpoints").absolute(), options=options)

    def save(self, checkpoint: Checkpoint) -> None:
        step = int(checkpoint.state.step)
        if step not in self._manager.all_steps():
            self._manager.save(step, args=ocp.args.StandardSave(_as_tree(checkpoint)))

    def latest(self, like: Checkpoint) -> Checkpoint | None:
        """The newest checkpoint, or None. `like` gives its structure, shapes and types."""
        step = self._manager.latest_step()
        if step is None:
            return None
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, _as_tree(like))
        try:
            tree = self._manager.restore(step, args=ocp.args.StandardRestore(shapes))
        except (ValueError, KeyError, FileNotFoundError) as error:
            raise InputError(
                f"the checkpoint of step {step} cannot be read ({str(error).splitlines()[0]}): "
                "remove its folder to go back to the one before"
            ) from None
        return jax.tree.unflatten(jax.tree.structure(like), [tree[k] for k in sorted(tree)])

    def close(self) -> None:
        self._manager.close()


def _as_tree(checkpoint: Checkpoint) -> dict[str, jax.Array]:
    """Leaves by number: plain arrays, whatever the libraries' container classes are called next year."""
    return {f"{i:04d}": leaf for i, leaf in enumerate(jax.tree.leaves(checkpoint))}
