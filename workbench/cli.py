"""The command line: `onehit COMMAND --help` lists every option."""

import difflib
import os
import sys
from dataclasses import MISSING, fields
from inspect import cleandoc

from ..geometries.errors import InputError
from .commands import COMMANDS

_USAGE = "usage: onehit COMMAND [options]\n\n{commands}\n\nonehit COMMAND --help lists the command's options.\n"


_CONFIG_HELP = "--config FILE takes options from the JSON that an earlier output carries; those given here prevail."


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 2 bad usage or input, 130 interrupted (a training has saved its state)."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        return _run(argv)
    except InputError as error:
        print(f"onehit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nonehit: interrupted; a training goes on when the same command is given again", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"onehit: {where}{error.strerror or error}", file=sys.stderr)
        return 2


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
    _parse(name, rest).run()
    return 0


def _parse(name: str, argv: list[str]):
    import tyro

    kind = COMMANDS[name]
    path, argv = _take_config(argv)
    given = {}
    if path is not None:
        from ..simulate.config_io import from_json

        required = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
        if required and (not argv or argv[0].startswith("-")):
            raise InputError(
                f"with --config, give {required[0].upper()} first: onehit {name} {required[0].upper()} ..."
            )
        given["default"] = from_json(path, name, kind, {field: argv[0] for field in required})
    description = f"{cleandoc(str(kind.__doc__))}\n\n{_CONFIG_HELP}"
    return tyro.cli(kind, prog=f"onehit {name}", description=description, args=argv, **given)


def _take_config(argv: list[str]) -> tuple[str | None, list[str]]:
    """The value of --config, which gives the defaults of all other options, and the arguments without it."""
    for i, argument in enumerate(argv):
        if argument.startswith("--config="):
            return argument.removeprefix("--config="), argv[:i] + argv[i + 1 :]
        if argument == "--config":
            if i + 1 == len(argv):
                raise InputError("--config needs a file name")
            return argv[i + 1], argv[:i] + argv[i + 2 :]
    return None, argv


def _usage() -> str:
    lines = [f"  {name:<10} {str(kind.__doc__).splitlines()[0]}" for name, kind in COMMANDS.items()]
    return _USAGE.format(commands="\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
