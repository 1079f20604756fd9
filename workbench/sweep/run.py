"""Who trains and scores what when: trainings first, then tests, each of which scores many trainings at once."""

import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...simulate.sets.work import Crew, Work
from .plan import Plan, Test, Training
from .tasks import (
    Task,
    awaited,
    cell_record,
    common_text,
    read_record,
    record_failure,
    records,
    test_task,
    training_record,
    training_task,
)

DO_TASK = "onehit.workbench.sweep.tasks:do_task"
TRAININGS_AT_ONCE = 4
"""That one task scores on the same patterns, which takes longer than to make these once more for others. So workers
share the scoring of few tests, numbers come early, and a kill costs so many cells at most."""
_SCORED_AS_FAST = 5
"""As trained: patterns a second. For what is left to do, and dry runs."""
_RATED_PIXELS = 128 * 128
"""Of the network that --rate is for; work goes with the pixels."""
_CANDIDATES_AS_FAST = 3
"""The same of patterns that are made and scored to find the hard ones among them."""


class Queue:
    """The tasks that can be done now: `done` tells what was done, and more may follow.

    A test's patterns are made once for a group of trainings, when all of these are trained. retry: whether what failed
    is to be done again.
    """

    def __init__(self, plan: Plan, retry: bool = False):
        def ended(path: Path) -> dict[str, Any] | None:
            record = read_record(path)
            return None if retry and "failed" in (record or {}) else record

        self._plan = plan
        self.lacking: dict[str, list[Test]] = {}
        trainings: dict[str, Training] = {}
        for training, test in plan.cells():
            failed = (ended(training_record(plan.folder, training.key)) or {}).get("failed")
            if failed is None and ended(cell_record(plan.folder, training.key, test.key)) is None:
                self.lacking.setdefault(training.key, []).append(test)
                trainings[training.key] = training
        keys = list(trainings)
        self._groups = [keys[i : i + TRAININGS_AT_ONCE] for i in range(0, len(keys), TRAININGS_AT_ONCE)]
        self.untrained = {key: trainings[key] for key in keys if ended(training_record(plan.folder, key)) is None}
        self.simulated = sum(test.config.count for group in self._groups for test in self._tests(group))
        self._ready = deque(training_task(training) for training in self.untrained.values())
        self._waiting = set(self.untrained)
        self._release()

    def __iter__(self) -> "Queue":
        return self

    def __next__(self) -> Task:
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()

    def done(self, task: Task) -> None:
        """Tell of it."""
        if "training" in task:
            self._waiting.discard(task["training"])
            self._release()

    def _release(self) -> None:
        ready = [group for group in self._groups if not self._waiting.intersection(group)]
        self._groups = [group for group in self._groups if group not in ready]
        for group in ready:
            records = {key: read_record(training_record(self._plan.folder, key)) or {} for key in group}
            trained = [key for key in group if "failed" not in records[key]]
            tests = self._tests(trained)
            tasks = [test_task(test, [k for k in trained if test in self.lacking[k]]) for test in tests]
            self._ready.extendleft(reversed(tasks))

    def _tests(self, group: list[str]) -> list[Test]:
        return list({test.key: test for key in group for test in self.lacking[key]}.values())


def forget_failures(plan: Plan) -> None:
    """Have what failed among the chosen cells done again."""
    for training, test in plan.cells():
        for record in (training_record(plan.folder, training.key), cell_record(plan.folder, training.key, test.key)):
            if "failed" in (read_record(record) or {}):
                record.unlink()


def work_off(plan: Plan, queue: Queue, crew: Crew, shown: bool, refresh: Callable[[], None]) -> None:
    """Do all that is to be done. shown: whether each task shows its own progress; refresh: called when there is more to
    be seen, at most every minute.

    Raises InputError as the crew does; KeyboardInterrupt after Ctrl-C.
    """
    kept = "what is done is kept, the same command goes on"

    def given_up(task: Task, reason: str) -> Task:
        record_failure(plan.folder, task, reason)
        return task

    work = Work(
        DO_TASK,
        common_text(plan.folder, shown),
        plan.folder.absolute(),
        "task",
        "give workers more memory, or have fewer of them",
        kept,
        given_up,
    )
    left = _Left(queue)
    last = time.monotonic()
    for task in crew(work, queue):
        ended = [awaited(path) for path in records(plan.folder, task)]
        queue.done(task)
        left.tell(task, sum("failed" in record for record in ended))
        if time.monotonic() - last >= 60:
            refresh()
            last = time.monotonic()


class _Left:
    """Tells on standard error what is done and how long the rest may take."""

    def __init__(self, queue: Queue):
        self._lacking = queue.lacking
        self._start = time.monotonic()
        self._trainings, self._cells = len(queue.untrained), sum(map(len, queue.lacking.values()))
        self._trained = self._scored = self._failed = 0
        self._effort = {key: training_effort(training) for key, training in queue.untrained.items()}
        self._effort |= {test.key: test_effort(test) for tests in queue.lacking.values() for test in tests}
        self._all = sum(self._effort[key] for key in queue.untrained)
        self._all += sum(self._effort[test.key] for tests in queue.lacking.values() for test in tests)
        self._done = 0.0

    def tell(self, task: Task, failed: int) -> None:
        """failed: how many of the task's records are of failures."""
        if "training" in task:
            self._trained += 1
            self._done += self._effort[task["training"]]
        else:
            self._scored += len(task["trainings"])
            self._done += self._effort[task["test"]] * len(task["trainings"])
        self._failed += failed
        if failed and "training" in task:  # which leaves its cells undone
            lost = self._lacking[task["training"]]
            self._cells -= len(lost)
            self._all -= sum(self._effort[test.key] for test in lost)
        seconds = (time.monotonic() - self._start) * (self._all / self._done - 1)
        parts = [f"{self._trained}/{self._trainings} trainings", f"{self._scored}/{self._cells} cells"]
        parts += [f"{self._failed} failed"] if self._failed else []
        parts += [f"{seconds:.0f} s left"] if self._scored < self._cells else []
        print(f"sweep: {', '.join(parts)}", file=sys.stderr, flush=True)


def training_effort(training: Training) -> float:
    """In patterns trained, validation included."""
    config = training.config
    return config.steps * config.batch_size + _mined(training) + config.validation_count / _SCORED_AS_FAST


def _mined(training: Training) -> float:
    """Candidates beyond those that a step without any makes, in patterns trained."""
    config = training.config
    return config.steps // 3 * config.batch_size * (config.candidates - 1) / _CANDIDATES_AS_FAST


def test_effort(test: Test) -> float:
    """Of one training's scores, in patterns trained."""
    return test.config.count / _SCORED_AS_FAST


test_effort.__test__ = False  # type: ignore[attr-defined]  # pytest


def estimate(plan: Plan, queue: Queue, rate: float, processes: int) -> str:
    """How much there is to do, and how long so many processes need for it that train so many patterns a second each,
    but for trainings that were done here before: these say how fast they were."""
    records = (read_record(training_record(plan.folder, training.key)) or {} for training in plan.trainings)
    measured = [record["patterns_per_second"] for record in records if "patterns_per_second" in record]
    pixels = [training.config.network.size**2 for training in plan.trainings]
    rate, whose = (
        (sum(measured) / len(measured), "as here before")
        if measured
        else (rate * _RATED_PIXELS * len(pixels) / sum(pixels), "--rate")
    )
    axes = f" ({', '.join(plan.test_axes)})" if plan.test_axes else ""
    trained = sum(t.config.steps * t.config.batch_size for t in queue.untrained.values())
    validated = sum(t.config.validation_count for t in queue.untrained.values())
    cells = [test for tests in queue.lacking.values() for test in tests]
    scored = sum(test.config.count for test in cells)
    mined = sum(map(_mined, queue.untrained.values()))
    seconds = (trained + mined + (validated + scored) / _SCORED_AS_FAST) / rate / processes
    count = len(plan.trainings) * len(plan.tests)
    return (
        f"{len(plan.trainings):,} trainings, {len(plan.tests):,} tests{axes}, {count:,} cells; to do: "
        f"{len(queue.untrained):,} trainings of {trained:,} patterns in all, validated on {validated:,}, and "
        f"{len(cells):,} cells, {queue.simulated:,} patterns made for them and {scored:,} scored. "
        f"About {max(1, round(seconds / 60)):,} minutes in {processes} process{'es' if processes > 1 else ''}, at "
        f"{rate:,.0f} patterns trained a second ({whose}) and {_SCORED_AS_FAST} times as many scored; nothing "
        "was written"
    )
