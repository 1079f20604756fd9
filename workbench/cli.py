"""The command line: `onehit COMMAND --help` lists every option."""

import difflib
import io
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

from ..geometries.errors import InputError, InputWarning
from ..geometries.guard.platforms import check_platform
from ..simulate.cache import use_cache
from ..simulate.devices import ask_for
from ..simulate.interrupt import ended_as_by_ctrl_c
from .options import (
    Bench,
    Calibrate,
    Classify,
    Compare,
    Evaluate,
    Gallery,
    Gap,
    Inspect,
    Pack,
    Simulate,
    Study,
    Sweep,
    Tabulate,
    Train,
)
from .parsing import parse, take


def _study(command: Study) -> None:
    from .commands.study import run_study

    run_study(command.train, command.evaluate, command.out, command.strict)


def _simulate(command: Simulate) -> None:
    from .commands.data_set import run_simulation

    run_simulation(command)


def _train(command: Train) -> None:
    from .commands.study import print_validation, run_training

    metrics = run_training(command.train, command.run_directory, command.strict, command.distributed)
    if metrics is not None:
        print_validation(metrics, command.run_directory)


def _evaluate(command: Evaluate) -> None:
    from .commands.study import print_results, run_evaluation

    print_results(run_evaluation(command.evaluate, command.run_directory, command.strict), command.run_directory)


def _sweep(command: Sweep) -> int:
    from .commands.sweep import run_sweep

    return run_sweep(command)


def _compare(command: Compare) -> None:
    from .commands.compare import run_comparison

    run_comparison(command.compare.quick() if command.quick else command.compare, command.out, command.strict)


def _classify(command: Classify) -> None:
    from .commands.classify import run_classification

    run_classification(command)


def _calibrate(command: Calibrate) -> None:
    from .commands.calibrate import run_calibration

    run_calibration(command)


def _gap(command: Gap) -> None:
    from .commands.gap import run_gap

    run_gap(command)


def _pack(command: Pack) -> None:
    from .commands.classify import run_packing

    run_packing(command)


def _tabulate(command: Tabulate) -> None:
    from .commands.study import print_table

    print_table(command.run_directory)


def _inspect(command: Inspect) -> None:
    from .commands.inspect import run_inspection

    run_inspection(command)


def _gallery(command: Gallery) -> None:
    from .commands.gallery import run_gallery

    run_gallery(command)


def _bench(command: Bench) -> None:
    from .benchmarks.simulation import run_bench

    run_bench(command)


# What a command does is imported when it is run: help must not wait for JAX.
COMMANDS: dict[str, tuple[type, Callable[[Any], int | None]]] = {
    "study": (Study, _study),
    "simulate": (Simulate, _simulate),
    "train": (Train, _train),
    "evaluate": (Evaluate, _evaluate),
    "sweep": (Sweep, _sweep),
    "compare": (Compare, _compare),
    "classify": (Classify, _classify),
    "gap": (Gap, _gap),
    "calibrate": (Calibrate, _calibrate),
    "pack": (Pack, _pack),
    "tabulate": (Tabulate, _tabulate),
    "inspect": (Inspect, _inspect),
    "gallery": (Gallery, _gallery),
    "bench": (Bench, _bench),
}
"""By the name that is typed: the options, and what is done with them, which may give an exit code."""

_USAGE = "usage: onehit COMMAND [options]\n\n{commands}\n\nonehit COMMAND --help lists the command's options.\n"

_KEPT = ("study", "sweep", "train", "compare")
"""Commands that keep what they have done when they are interrupted."""


_NO_PLATFORM = (
    "JAX finds no {platforms}: unset {variable} to have it choose, or install what it needs "
    '(pip install "jax[cuda13]" and a driver for NVIDIA, see docs.jax.dev)'
)
_PLATFORM_VARIABLES = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME")


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 part of a sweep failed, 2 bad usage or input, 130 interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    _prepare_streams()
    plain = warnings.formatwarning
    warnings.formatwarning = _said_once(plain)
    try:
        check_platform()
        with ended_as_by_ctrl_c():
            code = _run(argv)
        sys.stdout.flush()  # while it can still be told that this fails
        return code
    except InputError as error:
        return _refused(str(error))
    except KeyboardInterrupt as interrupt:
        kept = str(interrupt) or ("the same command goes on from there" if argv[0] in _KEPT else "")
        print(f"\nonehit: interrupted{'; ' if kept else ''}{kept}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output (`| head`) has seen enough
        return 0
    except SystemExit as end:
        if end.code == 1:  # rich's, for a broken pipe
            return 0
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _refused(f"{where}{error.strerror or error}")
    except (RuntimeError, AssertionError):  # which JAX raises without a platform
        if (missing := _missing_platform()) is None:
            raise
        return _refused(missing)
    finally:
        warnings.formatwarning = plain
        _drop_unwritten()


def _said_once(plain: Callable[..., str]) -> Callable[..., str]:
    """What formats a warning about input as a line of ours, once: each of many sources may warn of the same file."""
    said: set[str] = set()

    def formatted(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> str:
        if not issubclass(category, InputWarning):
            return plain(message, category, *where, **more)
        line = f"onehit: {message}\n"
        if line in said:
            return ""
        said.add(line)
        return line

    return formatted


def _refused(reason: str) -> int:
    print(f"onehit: {reason}", file=sys.stderr)
    return 2


def _prepare_streams() -> None:
    """Have what a terminal cannot show replaced, and what nobody wants to see (`>&-`) dropped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _drop_unwritten() -> None:
    """Send what cannot be written to nowhere, or Python would try again when it ends, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _missing_platform() -> str | None:
    """What to say where the user has chosen a platform that JAX does not find; None where that is not so."""
    variable = next((name for name in _PLATFORM_VARIABLES if os.environ.get(name)), None)
    if variable is None:
        return None
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError):
        return _NO_PLATFORM.format(platforms=os.environ[variable], variable=variable)
    return None


def _run(argv: list[str]) -> int:
    if argv in (["--version"], ["version"]):
        from importlib.metadata import version

        print(f"onehit {version('onehit')}")
        return 0
    if not argv or argv[0] in ("--help", "-h"):
        print(_usage(), end="")
        return 0 if argv else 2
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"unknown command {name!r}: {hint}the commands are {', '.join(COMMANDS)}")
    run = COMMANDS[name][1]
    devices, rest = take("--devices", rest)
    if devices is not None:
        if not devices.isdecimal():
            raise InputError(f"--devices {devices}: give a number, 1 or more")
        ask_for(int(devices))
    if not {"--help", "-h"} & {*rest}:
        use_cache()
    return run(_parse(name, rest)) or 0


def _parse(name: str, argv: list[str]) -> Any:
    return parse(name, COMMANDS[name][0], argv)


def _usage() -> str:
    lines = [f"  {name:<10} {str(kind.__doc__).splitlines()[0]}" for name, (kind, _) in COMMANDS.items()]
    return _USAGE.format(commands="\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
