"""What is not damage is not called so: each fault has its own words, and its cure."""

import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.geometries.guard import faults, hdf5_process
from onehit.geometries.guard.faults import fault
from onehit.geometries.guard.safe_hdf5 import open_hdf5, reading
from onehit.simulate.reading.recognise import open_frames

COUNTS = np.arange(48, dtype=np.uint16).reshape(3, 4, 4)
_WRITER = """
import h5py, numpy as np, sys
files = []
for name, libver in (("plain", None), ("latest", "latest"), ("swmr", "latest")):
    file = h5py.File(f"{sys.argv[1]}/{name}.h5", "w", libver=libver)
    counts = np.arange(48, dtype=np.uint16).reshape(3, 4, 4)
    file.create_dataset("counts", data=counts, maxshape=(None, 4, 4), chunks=(1, 4, 4))
    if name == "swmr":
        file.swmr_mode = True
    file.flush()
    files.append(file)
print(flush=True)
sys.stdin.read()
"""


def test_files_of_a_writer_are_read_where_it_allows_that_or_named_as_its(tmp_path):
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        frames = open_frames(tmp_path / "swmr.h5")
        np.testing.assert_array_equal(frames.read(np.arange(3)), COUNTS)
        assert frames.oddities == ("the file is being written: what it has now is read",)
        for name in ("plain", "latest"):
            with pytest.raises(InputError, match=rf"{name}.h5 is being written by another program: wait .* or copy it"):
                open_frames(tmp_path / f"{name}.h5")
        writer.kill()
    with pytest.raises(InputError, match=r"or its writer was killed: .*h5clear -s on the copy"):
        open_frames(tmp_path / "latest.h5")


@pytest.mark.parametrize(
    "error, message",
    [
        (
            OSError("(unable to lock file, errno = 11, error message = 'x')"),
            "is being written by another program: wait",
        ),
        (
            OSError("(unable to lock file, errno = 37, error message = 'x')"),
            "without locks .*HDF5_USE_FILE_LOCKING=FALSE",
        ),
        (
            OSError("(unable to lock file, errno = 95, error message = 'x')"),
            "without locks .*HDF5_USE_FILE_LOCKING=FALSE",
        ),
        (OSError("(file is already open for write (may use <h5clear file>))"), "is being written, or .*h5clear"),
        (OSError("(file signature not found)"), "is no HDF5 file, or its beginning is damaged: give an HDF5 file"),
        (PermissionError(13, "Permission denied"), "may not be read .*Permission denied.*: ask its owner"),
        (OSError("open file: errno = 13, error message = 'Permission denied'"), "may not be read .*: ask its owner"),
        (IsADirectoryError(21, "Is a directory"), "is a folder: give a file in it"),
        (OSError(24, "Too many open files"), r"too many files are open: raise the limit \(ulimit -n\)"),
        (OSError("read failed: errno = 5, error message = 'Input/output error'"), "from its disk or over the network"),
        (FileNotFoundError(2, "No such file"), "does not exist any more"),
        (OSError(12, "Cannot allocate memory"), "needs more memory than there is .*GB are free.*end other programs"),
        (MemoryError("Unable to allocate 7.45 EiB for an array"), "needs more memory than there is .*7.45 EiB"),
        (MemoryError("Unable to allocate 7.45 KiB for an array"), "is damaged or incomplete"),
        (OSError("memory allocation failed for a chunk"), "is damaged or incomplete"),
        (
            OSError("errno = 22, error message = 'Invalid argument'"),
            "is damaged or incomplete .*: copy or write it again",
        ),
        (RuntimeError("bad\n  checksum"), r"is damaged or incomplete \(bad checksum\): copy or write it again"),
    ],
)
def test_each_fault_has_its_words(monkeypatch, error, message):
    monkeypatch.setattr(faults, "_free_bytes", lambda: 2**32)
    with pytest.raises(InputError, match=message) as caught, reading("a.h5"):
        raise error
    assert str(caught.value).startswith("a.h5 ") and "\n" not in str(caught.value)
    assert str(fault("a.h5", " ".join(str(error).split()) or "MemoryError")) == str(caught.value)


def test_little_memory_is_no_damage(monkeypatch):
    monkeypatch.setattr(faults, "_free_bytes", lambda: 2**28)
    for error in (MemoryError(), OSError("memory allocation failed for a chunk")):
        assert (
            "needs more memory than there is" in str(fault("a.h5", error)) and "0.3 GB are free" in faults.free_memory()
        )
    monkeypatch.setattr(faults, "_free_bytes", lambda: None)
    assert "how much is free is unknown" in str(fault("a.h5", MemoryError()))


def test_a_truncated_file_says_where_it_ends(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["counts"] = COUNTS
    content = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(content[:1000])
    with pytest.raises(InputError, match=f"is truncated: it ends at byte 1000, and says {len(content)}: copy it again"):
        open_hdf5(tmp_path / "a.h5")


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["counts"] = COUNTS
    hdf5_process._stop()  # the next file starts another
    yield tmp_path / "a.h5"
    hdf5_process._stop()


def test_a_process_that_does_not_start_is_no_damage(path, tmp_path, monkeypatch):
    server = tmp_path / "server.py"
    monkeypatch.setattr(hdf5_process, "_SERVER", server)
    cure = (
        "does not start .{}.: it needs about 0.3 GB of memory, .* free; end other programs, or raise the limits .ulimit"
    )
    for code, reason in {"raise MemoryError": "MemoryError", "raise SystemExit(3)": "it ends with 3"}.items():
        server.write_text(code)
        with pytest.raises(InputError, match=cure.format(reason)):
            open_hdf5(path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(InputError, match=cure.format(".*No such file.*")):
        open_hdf5(path)
    monkeypatch.undo()
    open_hdf5(path)


@pytest.mark.parametrize(
    "number, message",
    [
        (
            signal.SIGKILL,
            "is not read: .* was killed, most likely for want of memory .*GB are free.*: end other programs",
        ),
        (signal.SIGALRM, "is damaged or incomplete .HDF5 comes to no end within 30 s"),
        (signal.SIGSEGV, "is damaged or incomplete .HDF5 breaks down on it"),
    ],
)
def test_how_the_process_ended_says_what_was_wrong(path, tmp_path, monkeypatch, number, message):
    server = tmp_path / "server.py"
    server.write_text(f"import os; print(flush=True); input(); os.kill(os.getpid(), {int(number)})")
    monkeypatch.setattr(hdf5_process, "_SERVER", server)
    with pytest.raises(InputError, match=message):
        open_hdf5(path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space of the process")
def test_a_limit_on_memory_below_our_own_is_kept_to(path):
    """The process may not raise what a shell or a batch system allows it."""
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**29, 3 * 2**29))
from onehit.geometries.guard.safe_hdf5 import open_hdf5
print(open_hdf5({str(path)!r})["counts"].shape)
"""
    command = [sys.executable, "-c", code]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    assert subprocess.run(command, capture_output=True, env=environment, check=True).stdout.strip() == b"(3, 4, 4)"
