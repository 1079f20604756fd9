"""What a sweep is made of: trainings, tests, and which of them are asked for. Writes nothing."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from ...evaluate.config import EvaluateConfig
from ...evaluate.protocols import test_set
from ...geometries.errors import InputError
from ...geometries.shapes import geometry, has_own_size
from ...simulate.file_config import FileConfig
from ...simulate.reading.file_source import FileSource
from ...simulate.sets.plan import frame_files, input_files
from ...train.config import TrainConfig
from ...train.loop import check_training, training_sources
from ..notices import tell
from ..options import Sweep
from ..parsing import check_dependent
from ..progress import track
from ..training import check_experiment, check_simulated, fits_experiment
from .axes import NOT_SWEPT, Axes, Point, at, named_values, option, parsed

MOST_CELLS = 100_000
SEEDS = ("seed", "test-seed")
"""Axes along which nothing but chance varies."""
_SHAPES = ("geometry", "simulation.geometry")
_OF_FILES = ("read_experiment", "expected")
"""Parts of the evaluation that real frames depend on: all that they depend on."""


class Training(NamedTuple):
    """One training. key: of its configuration and the files that it reads, the name of its run directory."""

    key: str
    point: Point
    config: TrainConfig


class Test(NamedTuple):
    """One set of patterns that trainings are scored on: of one geometry, or of the file with that name.

    config: its geometry and all that matters for it; everything else is the default.
    """

    __test__ = False  # pytest

    key: str
    point: Point
    config: EvaluateConfig
    file: str = ""


@dataclass(frozen=True)
class Plan:
    """A sweep. Made by `plan_sweep`.

    only: values that a cell must have to be worked on, by axis, or by `file`; baseline: those of the trainings that
    others are compared with; part: (K, N), of the chosen trainings every Nth from K on is worked on.
    """

    folder: Path
    trainings: tuple[Training, ...]
    tests: tuple[Test, ...]
    only: dict[str, list[str]]
    baseline: Point
    part: tuple[int, int] = (0, 1)

    @property
    def train_axes(self) -> list[str]:
        """Names of the axes, as typed."""
        return list(dict.fromkeys(name for training in self.trainings for name in training.point))

    @property
    def test_axes(self) -> list[str]:
        """Names of the axes, as typed."""
        return list(dict.fromkeys(name for test in self.tests for name in test.point))

    def cells(self) -> Iterator[tuple[Training, Test]]:
        """Those that are asked for."""
        first, parts = self.part
        for training in [*filter(self._chosen, self.trainings)][first::parts]:
            for test in filter(self._chosen, self.tests):
                yield training, test

    def _chosen(self, one: Training | Test) -> bool:
        axes, point = self.train_axes, one.point
        if isinstance(one, Test):
            axes, point = [*self.test_axes, "file"], {**point, "file": one.file}
        return all(point.get(name) in values for name, values in self.only.items() if name in axes)

    def run(self, training: Training) -> Path:
        """Its run directory."""
        return self.folder / "trainings" / training.key

    def counterparts(self) -> dict[str, Training]:
        """By key, for each training the one that has the baseline's values and else its own; none for the baseline
        itself, and where there is none."""
        if not self.baseline:
            return {}
        by_point = {_values(training.point): training for training in self.trainings}
        found = {
            training.key: by_point.get(_values({**training.point, **self.baseline})) for training in self.trainings
        }
        return {key: other for key, other in found.items() if other is not None and other.key != key}


def _values(point: Point) -> frozenset[tuple[str, Any]]:
    """However they were typed."""
    return frozenset((name, parsed(option(name), text)) for name, text in point.items())


def plan_sweep(command: Sweep) -> Plan:
    """The plan of a sweep, all of whose points are possible. Raises InputError for one that is not, and its reason."""
    train = Axes("train", command.train_axis, command.train_latin_hypercube, command.train_table)
    trainings: dict[str, Training] = {}
    points = train.points()
    for point in points:
        data = at(command.train, point).data
        point = {name: text for name, text in point.items() if _matters(name, data is not None)}
        config = at(command.train, point)
        with _named("training", label(point)):
            inputs = input_files(config.simulation) if data is None else _stamps(data, config.read_data)
        key = _key(config, inputs)
        trainings.setdefault(key, Training(key, point, config))
    used = {name for training in trainings.values() for name in training.point}
    if idle := [name for name in points[0] if name not in used]:
        what = (
            "frames of a file, and no training has --data"
            if idle[0].startswith("read-data")
            else "simulated patterns, and all trainings are on --data"
        )
        raise InputError(f"--train.axis {idle[0]} is about {what}: leave it out")
    plan = Plan(command.out, tuple(trainings.values()), tuple(_tests(command)), {}, {})
    if not plan.tests:
        raise InputError("there is nothing to test on: name a --geometry, or --test.file NAME=FILE")
    if (count := len(plan.trainings) * len(plan.tests)) > MOST_CELLS:
        raise InputError(
            f"{len(trainings):,} trainings and {len(plan.tests):,} tests are {count:,} cells; {MOST_CELLS:,} at most"
        )
    every = [one.point for one in (*plan.trainings, *plan.tests)]
    every += [{"file": test.file} for test in plan.tests if test.file]
    baseline = named_values(command.baseline, [training.point for training in plan.trainings], "--baseline")
    for name, values in baseline.items():
        if len(values) > 1:
            raise InputError(f"--baseline names {len(values)} values of {name}: name one")
    first = {name: value for name, (value,) in baseline.items()}
    plan = replace(plan, only=named_values(command.only, every, "--only"), baseline=first)
    if first and not plan.counterparts():
        raise InputError(
            "--baseline: no training differs from another in these values alone: there is nothing to compare"
        )
    return _checked(plan, command.strict)


def _matters(axis: str, on_file: bool) -> bool:
    """Whether a training on simulated patterns, or on those of a file, depends on that axis."""
    first, *others = option(axis).path
    if not on_file:
        return first != "read_data"
    # The instrument measures sizes in any frames.
    return first != "validation_count" and (first != "simulation" or others[0] == "instrument")


def label(point: Point, axes: Sequence[str] | None = None) -> str:
    """A point in words: values of these axes, or of all, with the last part of each one's name; shapes go without."""
    names = [name for name in point if axes is None or name in axes]
    short = [name.rpartition(".")[2] for name in names]
    said = {name: last if short.count(last) == 1 else name for name, last in zip(names, short, strict=True)}
    return ", ".join(point[name] if name in _SHAPES else f"{said[name]} {point[name] or 'none'}" for name in names)


def _tests(command: Sweep) -> Iterator[Test]:
    base = command.evaluate
    axes = Axes("test", command.test_axis, command.test_latin_hypercube, command.test_table)
    implied = {"geometry": base.geometry} | ({"masked": ("", *base.masked)} if base.masked else {})
    if base.experiment is not None:
        raise InputError("--experiment is no option of a sweep: name the file with --test.file NAME=FILE")
    _check_unused(base)
    found: dict[str, Test] = {}
    for point in axes.points(implied):
        if about_files := [name for name in point if option(name).path[0] in _OF_FILES and not command.test_file]:
            raise InputError(f"--test.axis {about_files[0]} is about real frames: name them, --test.file NAME=FILE")
        point = {name: text for name, text in point.items() if option(name).path[0] not in _OF_FILES}
        config = at(base, point)
        if len(config.geometry) != 1 or len(config.masked) > 1:
            raise InputError(
                f"test {label(point)}: a test has one geometry, and one part of the detector hidden or none"
            )
        test = replace(config.test, geometry=config.geometry)
        config = EvaluateConfig(
            config.geometry, config.count, test, masked=config.masked, no_particle=0, test_seed=config.test_seed
        )
        with _named("test", label(point)):
            key = _key(config, input_files(test))
        found.setdefault(key, Test(key, point, config))
    # Not without any: with no geometry there are none, and yet real frames may be read in several ways.
    points = [point for point in axes.points() if command.test_file]
    called = {label({name: text for name, text in test.point.items() if name not in SEEDS}) for test in found.values()}
    for text in command.test_file:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise InputError(f"--test.file {text}: write NAME=FILE, the name as it is to stand in tables")
        if name in {test.file for test in found.values() if test.config.experiment != Path(path)}:
            raise InputError(f"--test.file {text}: another file has that name already")
        if name in called:
            raise InputError(f"--test.file {text}: simulated patterns are called {name} in tables: choose another name")
        if known := [t.file for t in found.values() if t.file != name and _is_same(t.config.experiment, Path(path))]:
            raise InputError(f"--test.file {text}: this file is called {known[0]} already: name it once")
        for point in points:
            point = {axis: text for axis, text in point.items() if option(axis).path[0] in _OF_FILES}
            config = at(base, point)
            config = EvaluateConfig(
                experiment=Path(path), read_experiment=config.read_experiment, expected=config.expected, no_particle=0
            )
            key = _key(config, _stamps(Path(path), config.read_experiment))
            found.setdefault(key, Test(key, point, config, name))
    yield from found.values()


def _is_same(one: Path | None, other: Path) -> bool:
    """Whether both paths are of the same file."""
    return one is not None and one.resolve() == other.resolve()


def _check_unused(base: EvaluateConfig) -> None:
    """Raise InputError for what a study would score besides, and a sweep does not, unless its protocol asks for it."""
    usual = [EvaluateConfig(), *([test_set(base.protocol)] if base.protocol else [])]
    for typed, instead in NOT_SWEPT.items():
        value = getattr(base, typed.replace("-", "_"))
        if (
            typed not in ("experiment", "protocol")
            and value
            and value not in [getattr(one, typed.replace("-", "_")) for one in usual]
        ):
            raise InputError(f"--{typed} is no option of a sweep: {instead}")


def _key(config: Any, inputs: Any) -> str:
    """Of a configuration and what its files are: others have other keys."""
    content = json.dumps([asdict(config), inputs], default=str, sort_keys=True)
    return sha256(content.encode()).hexdigest()[:16]


def _stamps(frames: Path, read: FileConfig) -> list[list[Any]]:
    """Name, size and time of files of frames, which may be too large to be read for a hash of theirs."""
    try:
        stats = [(path.absolute(), path.stat()) for path in frame_files(frames, read)]
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}") from None
    return [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in stats]


def _checked(plan: Plan, strict: bool) -> Plan:
    """The plan, with the number of frames of each file that is a test. Raises InputError for the first point, or pair
    of points, that is impossible. Says how files are read."""
    known: set[str] = set()
    files: dict[Any, FileSource] = {}
    for training in plan.trainings:
        with _named("training", training):
            config = training.config
            check_training(config)
            names = config.simulation.geometry if config.data is None else ()
            check_dependent([f"--{name}" for name in training.point], "--simulation.", config.simulation)
            _check_geometry(names, known, training.point, "simulation.diameter-nm")
            if config.data is not None:
                read = config.data, config.read_data, config.network.size, config.false_positive_rate, config.confidence
                if read not in files:
                    files[read] = FileSource(config.data, config.read_data, "--read-data")
                    tell(files[read], "--read-data", strict)
                    training_sources(config, track)
    tests: list[Test] = []
    for test in plan.tests:
        with _named("test", test):
            config = test.config
            config.check()
            real = None
            if config.experiment is None:
                _check_geometry(config.geometry, known, test.point, "test.diameter-nm")
                check_dependent([f"--{name}" for name in test.point], "--test.", config.test)
            else:
                real = check_experiment(config, plan.trainings[0].config)
                tell(real, "--read-experiment", strict, plan.trainings[0].config)
        for training in plan.trainings:
            with _named("training", training, "on test", test):
                if real is None:
                    check_simulated(config, training.config)
                else:
                    fits_experiment(config, training.config, real)
        tests.append(test if real is None else test._replace(config=replace(config, count=len(real))))
    return replace(plan, tests=tuple(tests))


def _check_geometry(names: Sequence[str], known: set[str], point: Point, sizes: str) -> None:
    for name in names:
        if name not in known:
            geometry(name)
            known.add(name)
    if sizes in point and names and all(map(has_own_size, names)):
        raise InputError(f"{sizes} is given, but {', '.join(names)} has a size of its own: leave the axis out")


@contextmanager
def _named(*words: str | Training | Test) -> Iterator[None]:
    """Has what is wrong say of which point."""
    try:
        yield
    except InputError as error:
        parts = [word if isinstance(word, str) else describe(word) for word in words]
        raise InputError(f"{' '.join(filter(None, parts))}: {error}") from None


def describe(one: Training | Test) -> str:
    """A training or a test in words, with the file's name."""
    file = one.file if isinstance(one, Test) else ""
    return ", ".join(filter(None, [file, label(one.point)]))
