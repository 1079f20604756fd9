"""What was typed behind a command's name, made into its options and checked."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import MISSING, fields, is_dataclass, replace
from inspect import cleandoc
from pathlib import Path
from typing import Any, cast, get_args, get_origin, get_type_hints

from ..geometries.errors import InputError
from ..simulate.config import SimulationConfig
from ..simulate.file_config import FileConfig
from .options import Compare, Evaluate, Gap, Study, Sweep, Train

_CONFIG = {
    "--config": "--config FILE takes options from the JSON that an earlier output carries; those given here prevail."
}
_FROM = {"--from": "--from FILE takes them from a set itself: any file that onehit simulate wrote, or its folder."}
_LIKE = {
    "--like": "--like DIR takes the simulation that onehit calibrate fitted to frames, from the directory it wrote."
}
_PROTOCOL = {
    "--protocol": "--protocol poster, icosahedra, procedural or molecules takes those of an experiment that anyone can "
    "repeat.",
    "--preset": "--preset full trains four times as long.",
    "--structures": "--structures FOLDER, for --protocol molecules, has the structures (PDB, mmCIF, MRC or CCP4, gzip "
    "or not): half of them are trained on, the others scored.",
    "--half": "--half odd or even says which half is trained on: the 1st, 3rd ... by name (default), or the 2nd ...",
}
OF_THE_PROCESS = {
    "--devices": "--devices N has every process compute on N devices of its machine, the CPU being made into as many; "
    "default: all GPUs that JAX finds, or the CPU as one."
}
"""Options of every command that are of the process."""
_DEPENDENT: tuple[tuple[str, Callable[[SimulationConfig], bool], tuple[str, ...]], ...] = (
    (
        "arrivals.concentration-per-ml",
        lambda config: config.arrivals.concentration_per_ml is not None,
        ("arrivals.flow-ul-per-min", "arrivals.speed-m-per-s", "arrivals.transmission"),
    ),
    ("arrivals.density", lambda config: config.arrivals.is_on(), ("arrivals.grazing", "arrivals.stream-m")),
    (
        "background.frames",
        lambda config: config.background.frames is not None,
        (
            "background.frames-as",
            *(f"background.read.{field.name.replace('_', '-')}" for field in fields(FileConfig)),
        ),
    ),
    ("readout.psf-tails", lambda config: config.readout.psf_tails > 0, ("readout.psf-tail-px",)),
    ("readout.dark-electrons", lambda config: config.readout.dark_electrons > 0, ("readout.dark-spread",)),
)
"""An option, whether a simulation has it, and those that say nothing without it."""
_INSTEAD_OF_ARRIVALS = ("good-fraction", "particles", "separation", "brightness-spread", "beam.offset")
_APPENDED = {"map", "file"}
"""Ends of options that may be typed more than once: each adds one."""
_HELP = {"simulate": _CONFIG | _FROM | _LIKE, "gallery": _CONFIG | _LIKE}
_HELP |= {name: _CONFIG | _PROTOCOL | _LIKE for name in ("study", "sweep", "train", "evaluate")}


def given_by(name: str) -> dict[str, str]:
    """The options of a command that give the defaults of all others, and what help says of them."""
    return _HELP.get(name, _CONFIG)


def parse(name: str, kind: type, argv: list[str]) -> Any:
    """The options of a command, an instance of `kind`, from what was typed behind its name.

    Raises InputError for what contradicts itself or cannot be; tyro's own errors leave by SystemExit.
    """
    import tyro

    taken: dict[str, str] = {}
    for option in given_by(name):
        value, argv = take(option, argv)
        if value is not None:
            taken[option] = value
    preset = taken.pop("--preset", "quick")
    if preset not in ("quick", "full"):
        raise InputError(f"unknown preset {preset!r}: say quick or full")
    if preset == "full":
        taken.setdefault("--protocol", "icosahedra")
    molecules = {option: taken.pop(option, None) for option in ("--structures", "--half")}
    if taken.get("--protocol") != "molecules" and (more := [option for option, value in molecules.items() if value]):
        raise InputError(f"{more[0]} is for --protocol molecules: add that, or leave {more[0]} out")
    if len(taken) > 1:
        raise InputError(f"{' and '.join(taken)} are given; both say what the other options are: choose one")
    required = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    given, inputs = {}, None
    if kind is Gap and not taken and not {"--help", "-h"} & {*argv}:
        taken["--like"] = take("--like", argv)[0] or ""
    for option, value in taken.items():
        if required and (not argv or argv[0].startswith("-")):
            first_of_all = f"give {required[0].upper()} first: onehit {name} {required[0].upper()} ..."
            raise InputError(f"with {option}, {first_of_all}" if value else first_of_all)
        hints = get_type_hints(kind)
        first: dict[str, Any] = {
            field: (argv[0],) if get_origin(hints[field]) is tuple else argv[0] for field in required
        }
        if kind is Gap and option == "--like":  # which is an option of its own too
            from ..train.config import trained_with

            like = Path(value) if value else None
            trained = trained_with(like)
            if trained.data is not None:
                raise InputError(
                    f"--like {like} was trained with frames of {trained.data}, not with a simulation: leave --like out "
                    "and say what to compare with --simulation... or --config"
                )
            given["default"] = kind(file=(Path(argv[0]),), like=like, simulation=trained.simulation)
        elif option in ("--config", "--like"):
            from ..simulate.config_io import from_json

            file = Path(value) / "config.json" if option == "--like" else value
            given["default"] = from_json(file, name, kind, first)
        elif option == "--from":
            from ..simulate.config_io import from_dict
            from ..simulate.formats.manifest import recorded

            made_from = recorded(Path(value))
            inputs = made_from["inputs"]
            given["default"] = from_dict(made_from["simulate"] | first, kind, value)
        else:
            from ..evaluate.protocols import protocol

            found = protocol(value, preset == "full", *molecules.values())._asdict()
            parts = {f.name: found[f.name] for f in fields(kind) if f.name in found}
            given["default"] = kind(**{field: Path(path) for field, path in first.items()}, **parts)
    _check_repeated(kind, argv)
    description = "\n\n".join([cleandoc(str(kind.__doc__)), *(given_by(name) | OF_THE_PROCESS).values()])
    command = tyro.cli(kind, prog=f"onehit {name}", description=description, args=argv, **given)
    if name == "sweep" and given:
        command = _typed_axes_prevail(command, given["default"])
    _check_sizes(command, argv)
    _check_told(command, argv)
    if name != "simulate":
        _check_shares(command, name)
    if inputs is not None:
        from ..simulate.sets.plan import check_inputs

        check_inputs(inputs, command.simulation)
    return command


def _typed_axes_prevail(command: Any, default: Any) -> Any:
    """A sweep without the default's axes that were typed again; tyro appends what is typed to the default's."""

    def prevailing(before: tuple[tuple[str, ...], ...], both: tuple[tuple[str, ...], ...]):
        typed = both[len(before) :]
        names = {_plain(axis[0]) for axis in typed if axis}
        return (*(axis for axis in before if _plain(axis[0]) not in names), *typed)

    return replace(
        command,
        train_axis=prevailing(default.train_axis, command.train_axis),
        test_axis=prevailing(default.test_axis, command.test_axis),
    )


def _check_repeated(kind: type, argv: list[str]) -> None:
    """Raises InputError for an option of several values that is typed twice: the first ones would be forgotten."""
    several = {name.replace("_", "-") for name in _of_several_values(kind)} - _APPENDED
    typed = [argument.partition("=")[0] for argument in argv if argument.startswith("--")]
    for option in typed:
        last = option.removeprefix("--").rpartition(".")[2].replace("_", "-")
        if typed.count(option) > 1 and last in several:
            raise InputError(f"{option} is given {typed.count(option)} times: give it once, all values behind it")


def _of_several_values(kind: type) -> set[str]:
    """Names of the fields, of parts too, that take any number of values."""
    found: set[str] = set()
    for name, hint in get_type_hints(kind).items():
        if is_dataclass(hint):
            found |= _of_several_values(cast(type, hint))
        elif get_origin(hint) is tuple and Ellipsis in get_args(hint):
            found.add(name)
    return found


def _plain(name: str) -> str:
    return name.removeprefix("--").replace("_", "-")


def _check_sizes(command: Any, argv: list[str]) -> None:
    """Raises InputError for diameters, or joint samples of them, typed for particles that all have their own sizes."""
    typed = {argument.partition("=")[0].replace("_", "-") for argument in argv}
    if not any(argument.endswith(("diameter-nm", "population")) for argument in typed):
        return
    from ..geometries.shapes import has_own_size
    from ..simulate.populations import joint_columns

    for prefix, simulation, geometry in _sizes(command, is_unnamed=not isinstance(command, Gap)):
        if not all(map(has_own_size, geometry)):
            continue
        own = f"{', '.join(geometry)} has a size of its own, that of its atoms or voxels"
        if f"{prefix}diameter-nm" in typed:
            raise InputError(f"{prefix}diameter-nm is given, but {own}: leave the option out")
        if f"{prefix}population" in typed and "diameter_nm" in joint_columns(simulation.population, simulation):
            raise InputError(
                f"{prefix}population {simulation.population} has a column 'diameter_nm', but {own}: leave the column "
                "out"
            )


def _check_told(command: Any, argv: list[str]) -> None:
    """Raises InputError for an option that was typed where another one, on or off, leaves it without a say.

    The configuration cannot tell: it holds a default of each.
    """
    typed = {argument.partition("=")[0].replace("_", "-") for argument in argv}
    for read, files in _files(command).items():
        for option in sorted(typed):
            if option.startswith(f"{read}.") and not any(files.values()):
                raise InputError(f"{option} says nothing without {' or '.join(files)}: give that too, or leave it out")
    for prefix, simulation, _ in _sizes(command, is_unnamed=not isinstance(command, Gap)):
        check_dependent(typed, prefix, simulation)
        for option in _INSTEAD_OF_ARRIVALS:
            if f"{prefix}{option}" in typed and simulation.arrivals.is_on():
                raise InputError(
                    f"{prefix}{option} says nothing beside arrivals, from which numbers and places of particles "
                    "follow: leave one of the two out"
                )


def check_dependent(typed: Collection[str], prefix: str, simulation: SimulationConfig) -> None:
    """Raises InputError for a typed option of a simulation that says nothing without another one.

    typed: names with dashes; prefix: what those of this simulation begin with.
    """
    for needed, is_given, options in _DEPENDENT:
        for option in options:
            if f"{prefix}{option}" in typed and not is_given(simulation):
                raise InputError(
                    f"{prefix}{option} says nothing without {prefix}{needed}: give that too, or leave it out"
                )


def _files(command: Any) -> dict[str, dict[str, Any]]:
    """How options begin that say how a file is read, and by option what each command reads so, if anything."""
    if isinstance(command, Compare):
        return {"--read-experiment": {"--experiment": command.compare.experiment}}
    found: dict[str, dict[str, Any]] = {}
    if isinstance(command, Train | Study | Sweep):
        found["--read-data"] = {"--data": command.train.data}
    if isinstance(command, Evaluate | Study):
        found["--read-experiment"] = {"--experiment": command.evaluate.experiment}
    if isinstance(command, Sweep):
        axes = any(axis and _plain(axis[0]) == "data" for axis in command.train_axis)
        found["--read-data"]["--train.axis data"] = axes or command.train_table
        found["--read-experiment"] = {"--test.file": command.test_file}
    return found


def _check_shares(config: Any, name: str) -> None:
    """Raises InputError for particles that arrive at random where a command counts on the shares of hits."""
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, SimulationConfig) and value.arrivals.is_on():
            raise InputError(
                f"arrivals are for onehit simulate, and onehit {name} sets the shares of hits: simulate a file with "
                "them, to score it with --experiment or to train on it with --data"
            )
        if is_dataclass(value):
            _check_shares(value, name)


def _sizes(config: Any, is_unnamed: bool) -> Iterator[tuple[str, SimulationConfig, tuple[str, ...]]]:
    """Simulations, how their options begin, and the geometries of their particles.

    is_unnamed: whether options of a simulation right in it begin with nothing.
    """
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, SimulationConfig):
            # A test is scored on each of its own parent's geometries.
            geometry = config.geometry if field.name == "test" else value.geometry
            yield f"--{'' if is_unnamed else f'{field.name}.'}", value, geometry
        elif is_dataclass(value):
            yield from _sizes(value, is_unnamed=False)


def take(option: str, argv: list[str]) -> tuple[str | None, list[str]]:
    """The value of an option that gives the defaults of all others, and the arguments without it.

    Raises InputError for the option without a value.
    """
    for i, argument in enumerate(argv):
        if argument.startswith(f"{option}="):
            return argument.removeprefix(f"{option}="), argv[:i] + argv[i + 1 :]
        if argument == option:
            if i + 1 == len(argv):
                raise InputError(f"{option} needs a value: see onehit COMMAND --help")
            return argv[i + 1], argv[:i] + argv[i + 2 :]
    return None, argv
