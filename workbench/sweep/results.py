"""What a sweep has found: its cells, means over seeds, paired differences."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ...evaluate.metrics import format_rate, paired_auc_difference, paired_difference
from .axes import Point, number, option, parsed
from .plan import SEEDS, Plan, Test, Training, describe, label
from .tasks import cell_record, read_record, training_record

ALL_FRAMES = "all frames"
_RATES = ("false_negative_rate", "false_positive_rate")


class Cell(NamedTuple):
    """A training and a test. state: done, failed or missing; record: what is known of the cell; trained: of the
    training."""

    training: Training
    test: Test
    state: str
    reason: str
    record: dict[str, Any]
    trained: dict[str, Any]

    @property
    def summary(self) -> dict[str, Any]:
        """Of all of its frames, if it is done."""
        return self.record["summaries"][ALL_FRAMES]


def cells_of(plan: Plan) -> list[Cell]:
    """All cells of the sweep, as they are now."""
    found = []
    for training in plan.trainings:
        trained = read_record(training_record(plan.folder, training.key)) or {}
        for test in plan.tests:
            record = read_record(cell_record(plan.folder, training.key, test.key)) or {}
            reason = record.get("failed", "")
            if "failed" in trained and not record:
                reason = f"the training failed: {trained['failed']}"
            state = "done" if "summaries" in record else "failed" if reason else "missing"
            found.append(Cell(training, test, state, reason, record, trained))
    return found


class Names:
    """Trainings and tests in few words: their values on axes that vary, seeds aside."""

    def __init__(self, plan: Plan):
        self._train, self._test = (_varying([one.point for one in ones]) for ones in (plan.trainings, plan.tests))

    def training(self, training: Training, but: Sequence[str] = ()) -> str:
        """Alike for trainings that differ in their seed alone. but: axes to leave out."""
        said = label(training.point, [name for name in self._train if name not in but])
        return said if said or but else "training"

    def test(self, test: Test) -> str:
        """Alike for tests that differ in their seed alone."""
        parts = [test.file, label(test.point, self._test)]
        return ", ".join(filter(None, parts)) or describe(test) or "test"


def _varying(points: list[Point]) -> list[str]:
    """Axes, seeds aside, with several values; all others where none varies."""
    names = [name for name in dict.fromkeys(name for point in points for name in point) if name not in SEEDS]
    varying = [name for name in names if len({point.get(name) for point in points}) > 1]
    return varying or names


class Map(NamedTuple):
    """A measure by training and test. spread: standard deviation over seeds; NaN where there are not two."""

    trainings: list[str]
    tests: list[str]
    mean: Float[np.ndarray, "trainings tests"]
    spread: Float[np.ndarray, "trainings tests"]


def measure_map(cells: Sequence[Cell], names: Names, measure: str) -> Map:
    """Mean and spread over seeds of what cells have; NaN where none has."""
    found: dict[tuple[str, str], list[float]] = {}
    for cell in cells:
        values = found.setdefault((names.training(cell.training), names.test(cell.test)), [])
        if cell.state == "done" and cell.summary[measure] is not None:
            values.append(cell.summary[measure])
    trainings, tests = (list(dict.fromkeys(pair[side] for pair in found)) for side in (0, 1))
    shape = len(trainings), len(tests)
    mean, spread = np.full(shape, np.nan), np.full(shape, np.nan)
    for (training, test), values in found.items():
        place = trainings.index(training), tests.index(test)
        if values:
            mean[place] = np.mean(values)
        if len(values) > 1:
            spread[place] = np.std(values, ddof=1)
    return Map(trainings, tests, mean, spread)


class Difference(NamedTuple):
    """Of a training's rates and AUC from its counterpart's with the baseline's values, on the same patterns, as
    fractions with their intervals. what: the values that differ; training: those that both have; all_lost: whether both
    lose every single hit, so that `lost` tells nothing of them."""

    what: str
    training: str
    test: str
    seeds: int
    patterns: int
    lost: tuple[float, list[float]] | None
    kept: tuple[float, list[float]] | None
    auc: tuple[float, list[float]] | None
    all_lost: bool


def differences(plan: Plan, cells: Sequence[Cell], names: Names) -> list[Difference]:
    """Over all seeds of which both have been scored, of the patterns that all of them judged; what no pattern tells
    is None."""
    done = {(cell.training.key, cell.test.key): cell for cell in cells if cell.state == "done"}
    found: dict[tuple[str, str, str], dict[str, list[tuple[Cell, Cell]]]] = {}
    counterparts = plan.counterparts()
    for cell in done.values():
        other = counterparts.get(cell.training.key)
        if other is not None and (other.key, cell.test.key) in done:
            values = ", ".join(other.point[name] or "none" for name in plan.baseline)
            what = f"{label(cell.training.point, [*plan.baseline])} against {values}"
            key = what, names.training(cell.training, [*plan.baseline]), names.test(cell.test)
            pairs = found.setdefault(key, {}).setdefault(cell.training.key, [])
            pairs.append((cell, done[other.key, cell.test.key]))
    result = []
    for (what, training, test), by_seed in found.items():
        shared = set.intersection(*({cell.test.key for cell, _ in pairs} for pairs in by_seed.values()))
        rows = [[pair for pair in pairs if pair[0].test.key in shared] for pairs in by_seed.values()]
        outcomes = [[_outcomes(plan, *pair) for pair in row] for row in rows if row]
        if not outcomes:
            continue
        labels, score, other_score, first, other = (
            np.array([np.concatenate([one[i] for one in row]) for row in outcomes]) for i in range(5)
        )
        judged = np.isfinite(np.concatenate([score, other_score])).all(0)
        labels, score, other_score, first, other = (
            each[:, judged] for each in (labels, score, other_score, first, other)
        )
        good = labels[0] == 1
        lost, kept = (
            paired_difference(*(outcome[:, chosen] == wrong for outcome in (first, other))) if chosen.any() else None
            for chosen, wrong in ((good, False), (~good, True))
        )
        ranked = paired_auc_difference(labels[0], score, other_score) if 0 < good.sum() < len(good) else None
        if ranked == (0.0, [0.0, 0.0]):  # both rank alike, often without an error: not that they always would
            ranked = None
        all_lost = bool(good.any()) and not (first | other)[:, good].any()
        result.append(Difference(what, training, test, len(outcomes), len(good), lost, kept, ranked, all_lost))
    return result


def _outcomes(
    plan: Plan, cell: Cell, other: Cell
) -> tuple[
    Int[np.ndarray, " patterns"],
    Float[np.ndarray, " patterns"],
    Float[np.ndarray, " patterns"],
    Bool[np.ndarray, " patterns"],
    Bool[np.ndarray, " patterns"],
]:
    """Labels of the patterns of a test, the scores that each of two trainings gives them, and which ones each keeps."""
    arrays = [read_scores(plan, one, ("label", "score")) for one in (cell, other)]
    one, two = (array["score"] for array in arrays)
    kept, kept_by_two = one >= cell.trained["threshold"], two >= other.trained["threshold"]
    return arrays[0]["label"], one, two, kept, kept_by_two


def read_scores(plan: Plan, cell: Cell, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Of label, score, worst, worst_titles and bad_pixel of a cell that is done, those that are named."""
    path = cell_record(plan.folder, cell.training.key, cell.test.key).with_suffix(".npz")
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in names}


def sentence(found: Difference) -> str:
    """A difference in words: "fluctuation-strength 0 0.5 against 0 0, torus: -11.0 points lost [-14.0, -8.0]"."""
    parts = [
        f"{_points(rate[0])} points {what} [{_points(rate[1][0])}, {_points(rate[1][1])}]"
        for rate, what in ((found.lost, "of single hits lost"), (found.kept, "of others kept"))
        if rate is not None
    ]
    if found.auc is not None:
        parts.append("AUC {:+.4f} [{:+.4f}, {:+.4f}]".format(found.auc[0], *found.auc[1]))
    if found.all_lost:
        parts.append("both lose every single hit, so that only AUC can tell them apart")
    return f"{found.what}, {' on '.join(filter(None, (found.training, found.test)))}: {'; '.join(parts)}"


def _points(rate: float) -> str:
    return f"{100 * rate:+.1f}"


class Lines(NamedTuple):
    """A measure along a numeric axis. curves: by name, x, mean and standard deviation of all that has that x."""

    axis: str
    curves: dict[str, tuple[list[float], list[float], list[float]]]


def measure_lines(plan: Plan, cells: Sequence[Cell], names: Names, measure: str) -> list[Lines]:
    """One for each axis, seeds aside, with two or more numbers: a curve for each test along an axis of the trainings,
    for each training along one of the tests, their other axes averaged over. None where two values share a place."""
    result = []
    sides: tuple[tuple[list[str], Callable[[Cell], Point], Callable[[Cell], str]], ...] = (
        (plan.train_axes, lambda cell: cell.training.point, lambda cell: names.test(cell.test)),
        (plan.test_axes, lambda cell: cell.test.point, lambda cell: names.training(cell.training)),
    )
    for axes, point, curve in sides:
        for axis in axes:
            places = {text: number(option(axis), text) for cell in cells if (text := point(cell).get(axis)) is not None}
            different = {parsed(option(axis), text) for text in places}  # which may be typed in several ways
            if axis in SEEDS or None in places.values() or not 2 <= len(different) == len(set(places.values())):
                continue
            found: dict[str, dict[float, list[float]]] = {}
            for cell in cells:
                text = point(cell).get(axis)
                if text is None or cell.state != "done" or cell.summary[measure] is None:
                    continue
                place = places[text]
                assert place is not None
                found.setdefault(curve(cell), {}).setdefault(place, []).append(cell.summary[measure])
            curves = {name: _along(values) for name, values in found.items()}
            if curves:
                result.append(Lines(axis, curves))
    return result


def _along(values: dict[float, list[float]]) -> tuple[list[float], list[float], list[float]]:
    x = sorted(values)
    spread = [float(np.std(values[place], ddof=1)) if len(values[place]) > 1 else 0.0 for place in x]
    return x, [float(np.mean(values[place])) for place in x], spread


def worst_cells(cells: Iterable[Cell], count: int) -> list[Cell]:
    """Those that lose most single hits at the frozen threshold; of as many, those that keep most others."""

    def badness(cell: Cell) -> tuple[float, float]:
        lost, kept = (cell.summary[rate] for rate in _RATES)
        return -(lost or 0.0), -(kept or 0.0)

    return sorted((cell for cell in cells if cell.state == "done"), key=badness)[:count]


def in_words(cell: Cell, names: Names) -> str:
    """The cell's training and test, with their seeds where there are several."""
    seeds = ", ".join(filter(None, (label(one.point, SEEDS) for one in (cell.training, cell.test))))
    said = f"{names.training(cell.training)} on {names.test(cell.test)}"
    return f"{said} ({seeds})" if seeds else said


def overview(cells: Sequence[Cell]) -> str:
    """How many are done, failed and missing."""
    counts = {state: sum(cell.state == state for cell in cells) for state in ("done", "failed", "missing")}
    return f"{counts['done']:,} of {len(cells):,} cells done" + "".join(
        f", {counts[state]:,} {state}" for state in ("failed", "missing") if counts[state]
    )


def lost_in_words(cell: Cell) -> str:
    """Its share of single hits lost."""
    return f"{format_rate(cell.summary['false_negative_rate'])} % of the single hits lost"
