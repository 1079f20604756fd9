"""Sets of simulated patterns on disk that any stop leaves whole.

A set of at most one shard of patterns is one file, OUT. A longer one is cut into shards:

    OUT                       one virtual data set over the shards (cxi, hdf5), written last
    OUT.shards/manifest.json  the configuration and, once the set is complete, what is known of every file, see `Entry`
    OUT.shards/000000.cxi     the first shard (or .h5, .emc), then 000001.cxi, ...; never changed once it is there
    OUT.shards/000000.json    what the manifest will say of that shard. It is written after the shard and acknowledges
                              it: from then on the shard is kept whatever happens. Removed when the set is complete

Dragonfly's formats hold counts alone: beside X.emc, X.truth.h5 has the labels and the truth. X.detector.h5 is the
detector file of a short set; a long one has OUT.shards/detector.h5 and, instead of OUT, OUT.shards/photons.lst for
Dragonfly's `in_photons_list`.

Every file is encoded in memory, written under a temporary name (*.part), synced and renamed. A shard is a pure function
of the plan and its number: who makes which shard, and when, does not change a byte.
"""

import json
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from errno import EDQUOT, ENOSPC
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ...geometries.errors import InputError
from ...geometries.guard.hdf5_values import values
from ...geometries.guard.safe_hdf5 import find, open_hdf5, reading
from ..config_io import write_whole
from ..formats.dragonfly import detector_bytes
from ..formats.hdf5 import encode_virtual
from ..formats.manifest import MANIFEST, Entry, UnknownOrigin, fault, folder_of, read_manifest, recorded
from ..interrupt import interruptible
from ..source import Patterns
from .plan import DETECTOR, Plan, encoded, packed, simulated, unpacked
from .work import Crew, Work

Written = Generator[list[Entry], None, None]
Engine = Callable[[Plan, Iterable[int]], Written]
"""Makes the shards of these numbers by `write_shard`, anywhere and in any order; generates the entries of each."""

_LIST = "photons.lst"
_ENCODERS = 2
"""Threads that encode and write, and so shards that wait for them while the next one is simulated."""


def write_shard(plan: Plan, number: int) -> list[Entry]:
    """Simulate a shard and write its files, durably; returns their entries."""
    return _write(plan, number, simulated(plan, number))


def write_shards(plan: Plan, numbers: Iterable[int]) -> Written:
    """The engine of one process: a shard is simulated while those before it are encoded and written."""
    waiting = deque()
    with ThreadPoolExecutor(_ENCODERS) as pool:
        for number in numbers:
            waiting.append(pool.submit(_write, plan, number, simulated(plan, number)))
            while waiting and (len(waiting) > _ENCODERS or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def by(crew: Crew) -> Engine:
    """The engine of a crew: each shard is a task."""

    def engine(plan: Plan, numbers: Iterable[int]) -> Written:
        remedy, kept = "give workers more memory, or shards fewer patterns", "what is done is kept, --resume goes on"
        return crew(Work(f"{__name__}:write_packed", packed(plan), plan.folder, "shard", remedy, kept), numbers)

    return engine


def write_packed(text: str, number: int) -> list[Entry]:
    """`write_shard` of the plan that `packed` made the text of."""
    return write_shard(_unpacked(text), number)


@lru_cache(maxsize=1)
def _unpacked(text: str) -> Plan:
    return unpacked(text)


def missing(plan: Plan, numbers: Sequence[int] | None = None) -> list[int]:
    """Which shards, of these or of all, are not there as they were acknowledged. Reads all that are there."""
    numbers = range(plan.shards) if numbers is None else numbers
    if plan.shards == 1:
        return [0 for path in plan.files(0) if not path.exists()][:1]
    known = _entries(plan)
    return [n for n in numbers if n not in known or any(fault(plan.folder, entry) for entry in known[n])]


def begin(
    plan: Plan, resume: bool = False, numbers: Sequence[int] | None = None, say: Callable[[str], None] = print
) -> None:
    """Make the folder and what depends on no shard; the first step of `write_set`, with its arguments and errors."""
    folder = folder_of(plan.out)
    # Killed at once, a process leaves a folder with nothing but its temporary file.
    begun = folder.is_dir() and any(path.suffix != ".part" for path in folder.iterdir())
    there = folder if begun else next((path for path in (*plan.files(0), plan.out) if path.exists()), None)
    if there is not None:
        _refuse_another(plan, there, say)
        if not resume and numbers is None:
            raise InputError(f"{there} is there already: add --resume to go on, choose another name, or remove it")
    _remove_unfinished(plan, numbers)
    plan.folder.mkdir(exist_ok=True)
    if plan.shards > 1 and not begun:
        write_whole(plan.folder / MANIFEST, _as_json(plan.manifest()))
    if plan.detector is not None and not plan.detector.exists():
        write_whole(plan.detector, detector_bytes(plan.provenance))


def write_set(
    plan: Plan,
    engine: Engine = write_shards,
    numbers: Sequence[int] | None = None,
    resume: bool = False,
    track: Callable[[Written, int], Iterable[list[Entry]]] = lambda done, total: done,
    say: Callable[[str], None] = print,
) -> None:
    """Write what the set lacks.

    engine: default, `write_shards`; numbers: these shards only, which leaves the set to be completed by a later call;
    resume: go on with a set that is there, its shards checked and damaged ones made again; track: shows progress, given
    the entries of each shard as it is done and the number of shards to do; say: told what is out of the ordinary.

    Raises InputError where something else is in the way, and where the disk is full; KeyboardInterrupt after Ctrl-C.
    Every shard acknowledged by then is kept.
    """
    try:
        begin(plan, resume, numbers, say)
        known, todo = _entries(plan), missing(plan, numbers)
        for number in sorted(known.keys() & todo):
            say(f"shard {number} is damaged or missing: it is made again")
        with interruptible() as interrupted, closing(engine(plan, todo)) as written:
            for _ in track(written, len(todo)):
                if interrupted:
                    raise KeyboardInterrupt
        if numbers is None:
            _finish(plan)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_kept(plan)) from None
    except OSError as error:
        reason = "the disk is full" if error.errno in (ENOSPC, EDQUOT) else error.strerror or error
        raise InputError(f"{plan.out}: {reason}; {_kept(plan)}") from None


def mixture(plan: Plan) -> dict[str, int]:
    """Patterns of each kind in a complete set, by name, those that occur; read from its files."""
    count = np.zeros(len(plan.provenance.kinds), int)
    for number in range(plan.shards):
        path = next(iter(plan.files(number)))
        with reading(path), open_hdf5(path) as file:
            truth = find(file, "truth/kind") or find(file, "entry_1/truth/kind")
            assert truth is not None  # we wrote it
            count += np.bincount(values(truth), minlength=len(count))
    return {name: int(n) for name, n in zip(plan.provenance.kinds, count, strict=True) if n}


def _write(plan: Plan, number: int, patterns: Patterns) -> list[Entry]:
    first = number * plan.shard
    label = np.asarray(patterns.label)[: plan.count - first]
    entries = []
    for path, content in encoded(plan, number, patterns):
        write_whole(path, content)
        digest = sha256(content).hexdigest()
        entries.append(
            {"file": path.name, "first": first, "count": len(label), "bytes": len(content), "sha256": digest}
        )
    entries[-1]["label"] = "".join(map(str, label))
    if plan.shards > 1:
        write_whole(plan.record(number), json.dumps(entries))
    return entries


def _refuse_another(plan: Plan, path: Path, say: Callable[[str], None]) -> None:
    try:
        there = recorded(path)
    except UnknownOrigin:
        raise InputError(f"{path} exists and is something else: choose another name, or remove it") from None
    here = json.loads(_as_json(plan.manifest()))
    for content in (there, here):
        content["simulate"] = {name: content["simulate"].get(name) for name in ("count", "seed", "simulation")}
    for name in ("simulate", "inputs", "format", "shard"):
        if name in there and (found := _difference(there[name], here[name], name)):
            raise InputError(f"{path} holds another set ({found}): choose another name, or remove it")
    if there["versions"] != here["versions"]:
        found = _difference(there["versions"], here["versions"], "version")
        say(f"{path} was begun with other software ({found}): patterns may differ from it by rounding")


def _difference(there: Any, here: Any, name: str) -> str | None:
    if isinstance(there, dict) and isinstance(here, dict):
        found = (_difference(there.get(key), here.get(key), f"{name}.{key}") for key in there | here)
        return next(filter(None, found), None)
    return None if there == here else f"its {name.removeprefix('simulate.')} is {there}, not {here}"


def _remove_unfinished(plan: Plan, numbers: Sequence[int] | None) -> None:
    """Temporary files of processes that were killed; those of some shards only where others may be at work."""
    shards = range(plan.shards) if numbers is None else numbers
    mine = {path.name for n in shards for path in (*plan.files(n), plan.record(n))}
    if numbers is None:
        mine |= {plan.out.name, MANIFEST, DETECTOR, _LIST, plan.out.with_suffix("." + DETECTOR).name}
    for folder in {plan.out.parent, plan.folder}:
        for part in folder.glob("*.part"):
            if part.name.rsplit(".", 2)[0] in mine:
                part.unlink(missing_ok=True)


def _entries(plan: Plan) -> dict[int, list[Entry]]:
    """What is known of the shards that were acknowledged, by number."""
    known: dict[int, list[Entry]] = {}
    if plan.shards > 1 and (plan.folder / MANIFEST).exists():
        for entry in read_manifest(plan.folder)["files"]:
            known.setdefault(entry["first"] // plan.shard, []).append(entry)
        for path in plan.folder.glob("[0-9]*.json"):
            known[int(path.stem)] = json.loads(path.read_text())
    return known


def _finish(plan: Plan) -> None:
    """Write what stands for the whole of a long set; its records are no longer needed."""
    if plan.shards == 1:
        return
    known = _entries(plan)
    entries = [entry for number in range(plan.shards) for entry in known[number]]
    counts = [entry for entry in entries if "label" in entry]
    if plan.detector is not None:
        write_whole(plan.folder / _LIST, "".join(f"{entry['file']}\n" for entry in counts))
    write_whole(plan.folder / MANIFEST, _as_json(plan.manifest(entries)))
    if plan.detector is None:
        paths = [f"{plan.folder.name}/{entry['file']}" for entry in counts]
        first = (plan.folder / counts[0]["file"]).read_bytes()
        write_whole(plan.out, encode_virtual(first, paths, [entry["count"] for entry in counts]))
    for number in range(plan.shards):
        plan.record(number).unlink(missing_ok=True)


def _kept(plan: Plan) -> str:
    if plan.shards == 1:
        return "nothing was written"
    return f"{len(_entries(plan))} of {plan.shards} shards are done and kept: --resume goes on"


def _as_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"
