"""What a sweep's worker does, and the records that it leaves: of each training, and of each cell.

    trainings/KEY/             run directory of a training, as `onehit train` makes them
    trainings/KEY.json         written when it has ended: seconds, threshold, versions, or why it failed
    cells/TRAINING/TEST.npz    label and score of each pattern, and the patterns that were hardest
    cells/TRAINING/TEST.json   written after it: summaries, seconds, versions, or why it failed
    *.begun                    beside a record that is worked on: how many processes have begun it since its last
                               checkpoint. Only a kill leaves it behind

Every file is there whole or not at all, so any stop leaves a sweep that goes on. Imports no JAX until it works.
"""

import json
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager, suppress
from dataclasses import asdict
from errno import EDQUOT, ENOSPC
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ...evaluate.config import EvaluateConfig
from ...geometries.errors import InputError
from ...simulate.config_io import from_dict, versions, write_whole
from ...simulate.progress import Track, no_track
from ...train.config import TrainConfig

if TYPE_CHECKING:  # import JAX
    from ...evaluate.robustness import Scored
    from ...train.classifier import Classifier
    from .plan import Test, Training

_LOOKS = (0.1, 0.4, 1.5, *[6.0] * 20)
"""Seconds between looks for a record."""

_MOST_KILLS = 3
"""Of processes at the same training or cell, before it has failed: what needs more memory than there is would kill for
ever, and what is interrupted, as where a job's time is over, goes on."""

_TASKS_A_CLEARING = 8
_done = count(1)
"""Numbers the tasks of this process."""

Task = dict[str, Any]
"""Plain values alone: `training` or `test` (a key), `config`, and of a test the keys of the `trainings` to score."""


def training_task(training: "Training") -> Task:
    """To train it."""
    return {"training": training.key, "config": _plain(training.config)}


def test_task(test: "Test", trainings: Sequence[str]) -> Task:
    """To score all of these on it, its patterns made once."""
    return {"test": test.key, "config": _plain(test.config), "trainings": list(trainings)}


test_task.__test__ = False  # type: ignore[attr-defined]  # pytest


def _plain(config: Any) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(config), default=str))


def common_text(folder: Path, shown: bool) -> str:
    """What `do_task` needs besides. shown: whether progress is."""
    return json.dumps({"here": str(Path.cwd()), "folder": str(folder.absolute()), "shown": shown})


def do_task(text: str, task: Task) -> Task:
    """Do it, and leave its records; returns the task. What fails is recorded, but for a full disk and a folder
    that does not show what others wrote, which are raised."""
    common = json.loads(text)
    track = no_track
    if common["shown"]:
        from ..progress import track
    # Files of particles and frames may be named from where the sweep was started.
    with chdir(common["here"]):
        (_train if "training" in task else _score)(Path(common["folder"]), task, track)
    if next(_done) % _TASKS_A_CLEARING == 0:
        # JAX keeps every program that a process has compiled, 50 MB for that of a simulation. Those on disk stay.
        import jax

        jax.clear_caches()
    return task


def training_record(folder: Path, training: str) -> Path:
    """The file that says how a training ended."""
    return folder / "trainings" / f"{training}.json"


def cell_record(folder: Path, training: str, test: str) -> Path:
    """The file that says what a cell's scores are."""
    return folder / "cells" / training / f"{test}.json"


def checkpoint_step(run: Path) -> int:
    """Of the last checkpoint of a run directory; 0 before the first."""
    history = run / "history.json"
    entries = json.loads(history.read_text()) if history.exists() else []
    return entries[-1]["step"] if entries else 0


def read_record(path: Path) -> dict[str, Any] | None:
    """None where there is none yet. Raises InputError for a damaged one."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): remove it, and the same command makes it again") from None


def awaited(path: Path) -> dict[str, Any]:
    """A record that was written, perhaps on another machine: a shared folder may show it later. Raises InputError where
    it does not within two minutes."""
    for seconds in (0.0, *_LOOKS):
        time.sleep(seconds)
        with suppress(OSError):
            os.listdir(path.parent)  # has NFS forget that it was not there
        if (found := read_record(path)) is not None:
            return found
    raise InputError(
        f"{path} was written by a worker and is not seen here {sum(_LOOKS):.0f} s later: give a folder that all share; "
        "the same command goes on"
    )


def records(folder: Path, task: Task) -> list[Path]:
    """The files that say how it ended."""
    return [training_record(folder, task["training"])] if "training" in task else _cells(folder, task)


def record_failure(folder: Path, task: Task, reason: str, details: str = "") -> None:
    """Of a training, or of all cells of a test."""
    content = {"failed": reason, "details": details, "versions": versions()}
    for path in records(folder, task):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(content, indent=1) + "\n")
        _note(path).unlink(missing_ok=True)


def _cells(folder: Path, task: Task) -> list[Path]:
    return [cell_record(folder, training, task["test"]) for training in task["trainings"]]


def _train(folder: Path, task: Task, track: Track) -> None:
    record = training_record(folder, task["training"])
    run = record.with_suffix("")
    # A worker that its scheduler believes dead may still be at it: what it has done by then counts.
    with FileLock(record.with_suffix(".lock")):
        if read_record(record) is not None:
            return

        def work() -> None:
            from ..training import train_run

            with _begun(record, checkpoint_step(run)):
                metrics = train_run(from_dict(task["config"], TrainConfig, "the sweep"), run, track)
            found = {name: metrics["training"][name] for name in ("seconds", "patterns_per_second")}
            found |= {"threshold": metrics["threshold"], "versions": versions()}
            write_whole(record, json.dumps(found, indent=1) + "\n")

        _recorded(folder, task, work)


def _score(folder: Path, task: Task, track: Track) -> None:
    config = from_dict(task["config"], EvaluateConfig, "the sweep")

    def work(keys: list[str]) -> None:
        from ...train.classifier import Classifier

        start = time.perf_counter()
        with ExitStack() as stack:
            for key in keys:
                stack.enter_context(_begun(cell_record(folder, key, task["test"])))
            classifiers = [Classifier.load(folder / "trainings" / key) for key in keys]
            found = _scores(config, classifiers, track)
        seconds = (time.perf_counter() - start) / len(keys)
        for key, (scored, summaries) in zip(keys, found, strict=True):
            _write_cell(cell_record(folder, key, task["test"]), scored, summaries, seconds)

    keys = task["trainings"]
    for key in keys:
        awaited(training_record(folder, key))  # a folder that is late is no fault of a cell
    if not _recorded(folder, task, lambda: work(keys), record=len(keys) == 1):
        for key in keys:  # one of them, or the test itself
            alone = {**task, "trainings": [key]}
            _recorded(folder, alone, lambda key=key: work([key]))


def _scores(
    config: EvaluateConfig, classifiers: "list[Classifier]", track: Track
) -> "list[tuple[Scored, dict[str, dict[str, Any]]]]":
    """Scores and summaries, by which frames they are of."""
    from ...evaluate.robustness import score_experiment, score_geometry
    from ...simulate.reading.file_source import FileSource

    if config.experiment is not None:
        source = FileSource(config.experiment, config.read_experiment, "--read-experiment")
        return [score_experiment(classifier, source, config.expected, track) for classifier in classifiers]
    hidden = next(iter(config.masked), "")
    found = score_geometry(classifiers, config, config.geometry[0], track, hidden)
    return [(scored, {"all frames": scored.summary}) for scored in found]


def _write_cell(record: Path, scored: "Scored", summaries: dict[str, dict[str, Any]], seconds: float) -> None:
    import numpy as np

    content = BytesIO()
    arrays = {"label": scored.label.astype(np.int8), "score": scored.score.astype(np.float32)}
    arrays |= {"worst": scored.worst.astype(np.float32), "bad_pixel": scored.bad_pixel}
    np.savez_compressed(content, worst_titles=np.array(scored.worst_titles, str), **arrays)
    record.parent.mkdir(parents=True, exist_ok=True)
    write_whole(record.with_suffix(".npz"), content.getvalue())
    found = {"summaries": summaries, "seconds": round(seconds, 2), "versions": versions()}
    write_whole(record, json.dumps(found, indent=1) + "\n")


def _note(record: Path) -> Path:
    return record.with_suffix(".begun")


@contextmanager
def _begun(record: Path, step: int = 0) -> Iterator[None]:
    """Count who begins what the record will be of, until it ends in any way but a kill.

    step: of its last checkpoint. Raises InputError where too many have been killed at it since then.
    """
    note = _note(record)
    before = read_record(note) or {}
    kills = before["times"] if before.get("step") == step else 0
    if kills >= _MOST_KILLS:
        where = f" after step {step:,}" if step else ""
        raise InputError(f"its process was killed {kills} times{where}: give it more memory, or more time")
    record.parent.mkdir(parents=True, exist_ok=True)
    write_whole(note, json.dumps({"times": kills + 1, "step": step}) + "\n")
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def _recorded(folder: Path, task: Task, work: Callable[[], None], record: bool = True) -> bool:
    """Whether the work was done; otherwise why not is recorded, if asked for."""
    try:
        work()
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise
        return _failed(folder, task, error, record)
    except Exception as error:
        return _failed(folder, task, error, record)
    return True


def _failed(folder: Path, task: Task, error: Exception, record: bool) -> bool:
    lines = str(error).strip().splitlines() or [""]
    reason = lines[0] if isinstance(error, InputError) else f"{type(error).__name__}: {lines[0]}"
    if record:
        record_failure(folder, task, reason, traceback.format_exc())
    return False
