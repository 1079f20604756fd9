"""What is kept of compiled programs, by processes of their own: JAX reads its variables when it is imported."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest
from filelock import FileLock
from onehit.simulate import cache
from onehit.simulate.cache import MOST_BYTES, PROGRAMS, cache_folder, kept, use_cache

# Prints a result, and how many programs came from the cache.
SCRIPT = """
import sys
from onehit.simulate.cache import use_cache
use_cache()
import jax
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name) if name.endswith("cache_hits") else None)
results = [int(jax.jit(lambda x: x + i)(1)) for i in range(int(sys.argv[1]))]
print(sum(results), len(hits))
"""
OURS = ("JAX_", "_ONEHIT", "ONEHIT_", "XDG_", "TF_CPP")


@pytest.fixture
def variables(tmp_path):
    """Of a user with an empty home and no settings; JAX keeps programs that are quick to compile too."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return rest | {"HOME": str(tmp_path / "home"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


@pytest.fixture
def here(variables, monkeypatch):
    """The variables, for this process."""
    monkeypatch.setattr(os, "environ", variables)
    monkeypatch.setattr(cache, "_said", set())
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    return variables


def start(variables, programs=1):
    command = [sys.executable, "-c", SCRIPT, str(programs)]
    return subprocess.Popen(command, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(variables, programs=1):
    """Hits, and the lines on standard error."""
    with start(variables, programs) as process:
        out, error = process.communicate()
    assert process.returncode == 0, error
    result, hits = map(int, out.split())
    assert result == sum(1 + i for i in range(programs))
    return hits, error.splitlines()


def entries(folder):
    return sorted(Path(folder).rglob("*-cache"))


def test_what_was_compiled_is_not_compiled_again(variables, tmp_path):
    assert run(variables) == (0, [])
    (entry,) = entries(tmp_path / "home" / ".cache" / "onehit")
    assert entry.parent.name.startswith(PROGRAMS) and entry.parent.stat().st_mode & 0o777 == 0o700
    assert run(variables) == (1, [])


def test_it_can_be_moved(variables, tmp_path):
    variables["ONEHIT_CACHE"] = str(tmp_path / "elsewhere")
    assert run(variables) == (0, [])
    assert entries(tmp_path / "elsewhere") and not (tmp_path / "home").exists()


@pytest.mark.parametrize("off", ["off", "OFF", "Off", "0"])
def test_off_is_no_folder_in_whatever_case(here, off):
    here["ONEHIT_CACHE"] = off
    assert cache_folder() is None


def test_it_can_be_switched_off(variables, tmp_path):
    assert run(variables | {"ONEHIT_CACHE": "off"}) == (0, [])
    assert not any(tmp_path.iterdir())


def test_a_folder_that_the_user_chose_for_jax_is_taken_as_it_is(here, tmp_path):
    here["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path / "mine")
    before = dict(here)
    use_cache()
    assert here == before


@pytest.mark.parametrize(("before", "after"), [(None, "3"), ("1", "3"), ("0", "0"), ("2", "2")])
def test_xla_is_silent_in_a_notebook_too_unless_the_user_asks_for_its_log(here, before, after):
    """JAX sets 1 where it is imported, and commands that a notebook starts inherit that."""
    if before is not None:
        here["TF_CPP_MIN_LOG_LEVEL"] = before
    use_cache()
    assert here["TF_CPP_MIN_LOG_LEVEL"] == after


def test_damaged_entries_are_a_line_for_each_kind_of_damage_and_replaced(variables):
    run(variables, 6)
    damaged = entries(variables["HOME"])
    for number, entry in enumerate(damaged):
        entry.write_bytes((b"", b"garbage", entry.read_bytes()[:-9])[number % 3])
    hits, lines = run(variables, 6)
    assert hits == 0 and 0 < len(lines) <= 3
    assert all(line.startswith("onehit: ") and str(damaged[0].parent) in line for line in lines)
    assert run(variables, 6) == (6, [])


def test_an_entry_whose_writer_was_killed_is_one_line_at_most(variables):
    """JAX 0.12 takes it for an old one; before, it stumbled over it until it was dropped."""
    run(variables)
    (entry,) = entries(variables["HOME"])
    left = entry.with_name("jit_f-0123-cache")
    left.write_bytes(b"half")
    hits, lines = run(variables, 2)
    assert hits == 1 and len(lines) <= 1
    if lines:
        assert lines[0].startswith("onehit: ") and not left.exists()
    else:
        assert jax.__version_info__ >= (0, 11)
    assert run(variables, 3)[1] == [] and run(variables, 3) == (3, [])


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_one_line(variables, tmp_path, name):
    (tmp_path / "file").write_text("years of work")
    variables["ONEHIT_CACHE"] = str(tmp_path / name)
    hits, lines = run(variables)
    assert hits == 0 and len(lines) == 1
    assert lines[0].startswith(f"onehit: {tmp_path / name} cannot be used as a cache (") and "=off" in lines[0]
    assert (tmp_path / "file").read_text() == "years of work"


def test_a_folder_that_cannot_be_written_is_one_line_and_child_processes_do_not_say_it_again(here, monkeypatch, capsys):
    folder = kept(PROGRAMS)
    monkeypatch.setattr(os, "access", lambda path, mode: path != folder)
    use_cache()
    use_cache()
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "read-only" in error
    assert here["ONEHIT_CACHE"] == "off" and "JAX_COMPILATION_CACHE_DIR" not in here


def test_a_folder_that_others_may_write_to_is_not_trusted(here, capsys):
    """Who can write a program there can have anything run."""
    folder = kept(PROGRAMS)
    assert folder is not None
    folder.chmod(0o777)
    assert kept(PROGRAMS) is None
    assert "others may write to it" in capsys.readouterr().err


def test_a_user_without_a_home_has_no_cache(here, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: Path("~/.cache/onehit"))
    assert cache_folder() is None


def test_processes_side_by_side_share_it(variables):
    together = [start(variables, 8) for _ in range(3)]
    for process in together:
        out, error = process.communicate()
        assert (process.returncode, error) == (0, "") and out.startswith("36 ")
    assert run(variables, 8) == (8, [])


def test_it_waits_for_another_process_that_writes(variables):
    run(variables)
    folder = entries(variables["HOME"])[0].parent
    with FileLock(folder / ".lockfile"):
        waiting = start(variables)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(4)
    out, error = waiting.communicate()
    assert out == "1 1\n" and error == ""


def test_it_is_bounded(variables, here):
    run(variables, 3)
    sizes = [entry.stat().st_size for entry in entries(variables["HOME"])]
    bound = sum(sizes) + max(sizes) // 2
    assert run(variables | {"JAX_COMPILATION_CACHE_MAX_SIZE": str(bound)}, 8) == (3, [])
    assert sum(entry.stat().st_size for entry in entries(variables["HOME"])) <= bound
    use_cache()
    assert here["JAX_COMPILATION_CACHE_MAX_SIZE"] == str(MOST_BYTES)


def test_each_kind_of_machine_has_its_own(here, tmp_path, monkeypatch):
    """Programs of another CPU may hold instructions that this one lacks; those of one thread are slow on many."""
    cpu = tmp_path / "cpuinfo"
    monkeypatch.setattr(cache, "_CPU", cpu)
    folders = set()
    for text in ("model\t: 1\nflags\t: sse avx\n", "model\t: 1\nflags\t: sse avx avx512f\n", "CPU part\t: 0xd0c\n"):
        cpu.write_text(f"processor\t: 0\ncpu MHz\t: 2000\n{text}\nprocessor\t: 1\n")
        folders |= {kept(PROGRAMS)}
        cpu.write_text(f"processor\t: 0\ncpu MHz\t: 2700\n{text}\nprocessor\t: 1\n")
        assert kept(PROGRAMS) in folders
    here["NPROC"] = "1"
    assert len(folders | {kept(PROGRAMS)}) == 4
    cpu.unlink()
    assert kept(PROGRAMS) not in folders


def test_a_folder_inherited_from_another_machine_is_replaced(here, monkeypatch):
    use_cache()
    first = here["JAX_COMPILATION_CACHE_DIR"]
    monkeypatch.setattr(cache, "_machine", lambda: "another")
    use_cache()
    assert first != here["JAX_COMPILATION_CACHE_DIR"] == str(kept(PROGRAMS))
    here["ONEHIT_CACHE"] = "off"
    use_cache()
    assert "JAX_COMPILATION_CACHE_DIR" not in here


def test_other_warnings_are_shown_as_they_are(here, monkeypatch):
    shown = []
    monkeypatch.setattr(cache, "_show", lambda *arguments: shown.append(arguments))
    use_cache()
    warnings.showwarning("something else", UserWarning, "file.py", 3)
    assert shown == [("something else", UserWarning, "file.py", 3)]


def test_a_command_gives_the_same_bytes_from_the_cache(variables, tmp_path):
    del variables["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"]
    small = ["--instrument.shape", "16", "16", "--instrument.pixel-size-m", "4.8e-3", "--geometry", "cube"]
    small += ["--amplitude", "exact", "--good-fraction", "1"]

    def onehit(*arguments):
        command = [sys.executable, "-m", "onehit.workbench.cli", *arguments]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "cpu_aot_loader" not in done.stderr and "onehit: " not in done.stderr

    onehit("simulate", "--help")
    assert not (tmp_path / "home").exists()
    found = []
    for name in ("first.h5", "second.h5"):
        onehit("simulate", name, "--count", "32", *small)
        # Small programs are kept only where the machine was slow to compile them; the simulation always is.
        simulation = [entry for entry in entries(variables["HOME"]) if "jit_compiled" in entry.name]
        with h5py.File(tmp_path / name) as file:
            found.append((np.asarray(file["counts"]).tobytes(), simulation))
    assert found[0] == found[1] and found[0][1]
