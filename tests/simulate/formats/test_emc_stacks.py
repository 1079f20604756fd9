import struct

import h5py
import numpy as np
import pytest
from onehit.geometries.errors import InputError
from onehit.simulate.formats.emc_stacks import open_binary, open_lists

# Three frames of 30 pixels: pixels with one photon, and {pixel: photons} of the others. One frame is dark.
FRAMES = [([3, 0, 29], {7: 2, 1: 300}), ([], {}), ([5], {6: 70000, 8: 2, 9: 1})]
PIXELS = 30
DENSE = np.array([[dict.fromkeys(ones, 1).get(i, multi.get(i, 0)) for i in range(PIXELS)] for ones, multi in FRAMES])
LISTS = {
    "place_ones": [ones for ones, _ in FRAMES],
    "place_multi": [list(multi) for _, multi in FRAMES],
    "count_multi": [list(multi.values()) for _, multi in FRAMES],
}


def header(count, pixels, kind=0):
    return struct.pack("<3i", count, pixels, kind).ljust(1024, b"\0")


HEADER = header(3, PIXELS)


def sparse(beginning=HEADER, **changes):
    lists = LISTS | changes
    lengths = {name: [len(one) for one in lists[f"place_{name}"]] for name in ("ones", "multi")}
    numbers = lengths | changes
    body = [*numbers["ones"], *numbers["multi"], *(n for many in LISTS for one in lists[many] for n in one)]
    return beginning + struct.pack(f"<{len(body)}i", *body)


def changed(name, frame, position, value):
    """One number of one list of one frame set to another."""
    lists = [list(one) for one in LISTS[name]]
    lists[frame][position] = value
    return {name: lists}


@pytest.fixture
def opened(tmp_path):
    def open_content(content):
        path = tmp_path / "photons.emc"
        path.write_bytes(content)
        return open_binary(path)

    return open_content


@pytest.fixture
def lists(tmp_path):
    """An HDF5 file as Dragonfly's writer leaves it, with changes."""

    def write(num_pix=(PIXELS,), **changes):
        with h5py.File(path := tmp_path / "photons.h5", "w") as file:
            file["num_pix"] = np.array(num_pix, np.int64)
            for name, arrays in (LISTS | changes).items():
                data_set = file.create_dataset(name, (0,), h5py.vlen_dtype(np.int32), maxshape=(None,), chunks=(1,))
                for i, array in enumerate(arrays):
                    data_set.resize((i + 1,))
                    data_set[i] = np.array(array, np.int32)
        return path

    return write


def test_unsorted_lists_and_single_photons_among_the_multiple_are_read(opened, lists):
    for stack in (opened(sparse()), open_lists(lists())):
        assert (stack.length, stack.pixels, stack.oddities) == (3, PIXELS, ())
        np.testing.assert_array_equal(stack.read(np.arange(3)), DENSE)
        np.testing.assert_array_equal(stack.read(np.array([2])), DENSE[[2]])
        assert stack.read(np.array([], int)).shape == (0, PIXELS)


@pytest.mark.parametrize("kind, dtype", [(1, "<i4"), (2, "<f8")])
def test_dense_frames(opened, kind, dtype):
    frames = np.arange(4 * 6).reshape(4, 6).astype(dtype) - 2
    frames = frames / 8 if kind == 2 else frames
    stack = opened(header(4, 6, kind) + frames.tobytes())
    assert (stack.format, stack.dtype) == (f"EMC (dense {np.dtype(dtype).name})", np.dtype(dtype))
    np.testing.assert_array_equal(stack.read(np.array([0, 3])), frames[[0, 3]])
    with pytest.raises(InputError, match="cut short"):
        opened(header(4, 6, kind) + frames.tobytes()[:-1])


def test_what_stands_in_the_rest_of_the_header_is_an_oddity(opened):
    stack = opened(sparse(HEADER[:100] + b"note".ljust(924, b"\0")))
    assert stack.oddities == ("bytes 12 to 1024 of the header are not empty, and ignored",)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "has 0 bytes, less than an EMC file's header"),
        (HEADER[:1000], "has 1000 bytes, less"),
        (header(0, PIXELS), "claims 0 frames of 30 pixels"),
        (header(-1, PIXELS), "claims -1 frames"),
        (header(3, -7), "3 frames of -7 pixels"),
        (header(1, 2**26 + 1), "of 67108865 pixels; at least one frame, of 1 to 67108864"),
        (header(1, 0x7FFFFFFF, 2), "of 2147483647 pixels"),
        (header(3, PIXELS, 3), "is of type 3; EMC files are 0"),
        (header(2**31 - 1, PIXELS), "claims 2147483647 frames, too many for its 1024 bytes"),
        (header(2**31 - 1, 2**26, 2), "instead of 1152921504069977088"),
        (sparse()[:-1], "instead of 1104: it is cut short"),
        (sparse() + b"\0", "has something behind its end"),
        (sparse(ones=[3, -1, 2]), r"frame 1 \(1 in all\) claims -1 pixels with one photon and 0 with more, of 30"),
        (sparse(multi=[2, 0, 30]), r"frame 2 \(1 in all\) claims 1 pixels with one photon and 30 with more, of 30"),
        (sparse(multi=[2, -1, 4]), r"frame 1 \(1 in all\) claims 0 pixels with one photon and -1 with more, of 30"),
        (sparse(ones=[2**31 - 1] * 3, multi=[2**31 - 1] * 3), r"frame 0 \(3 in all\) claims 2147483647 pixels"),
        (sparse(ones=[4, 0, 1]), "cut short"),
    ],
)
def test_impossible_headers_lengths_and_sizes_are_refused(opened, content, message):
    with pytest.raises(InputError, match=message):
        opened(content)


@pytest.mark.parametrize(
    "change, frame, message",
    [
        (changed("place_ones", 0, 1, PIXELS), 0, "has photons in pixels 1 to 30 of 30"),
        (changed("place_ones", 0, 1, -1), 0, "has photons in pixels -1 to 29 of 30"),
        (changed("place_multi", 2, 0, 2**31 - 1), 2, "has photons in pixels 5 to 2147483647"),
        (changed("place_multi", 2, 0, -(2**31)), 2, "has photons in pixels -2147483648"),
        (changed("count_multi", 0, 1, 0), 0, "has 0 photons in a pixel"),
        (changed("count_multi", 2, 2, -5), 2, "has -5 photons in a pixel"),
        (changed("place_ones", 0, 0, 29), 0, "names a pixel twice"),
        (changed("place_multi", 0, 0, 1), 0, "names a pixel twice"),
        (changed("place_multi", 2, 1, 5), 2, "names a pixel twice"),
    ],
)
def test_damaged_frames_are_named_and_the_others_read(opened, lists, change, frame, message):
    for stack in (opened(sparse(**change)), open_lists(lists(**change))):
        others = np.setdiff1d(np.arange(3), frame)
        np.testing.assert_array_equal(stack.read(others), DENSE[others])
        with pytest.raises(InputError, match=f"frame {frame} {message}.*: it is damaged"):
            stack.read(np.arange(3))


def strict_reader(content: bytes):
    """The frames of a sparse file, by its description, or None where anything contradicts it."""
    if len(content) < 1024 or len(content) % 4:
        return None
    numbers = list(struct.unpack(f"<{len(content) // 4}i", content))
    (count, pixels, kind), body = numbers[:3], numbers[256:]
    lengths = body[: 2 * count]
    if kind != 0 or not (0 < count <= len(body) // 2 and 0 < pixels <= 2**26) or min(lengths) < 0:
        return None
    ones, multi = lengths[:count], lengths[count:]
    if len(body) != 2 * count + sum(ones) + 2 * sum(multi):
        return None
    at, parts = 2 * count, []
    for sizes in (ones, multi, multi):
        parts.append([])
        for size in sizes:
            parts[-1].append(body[at : at + size])
            at += size
    frames = []
    for place_ones, place_multi, count_multi in zip(*parts, strict=True):
        place = place_ones + place_multi
        if len(set(place)) < len(place) or not all(0 <= i < pixels for i in place) or min(count_multi, default=1) < 1:
            return None
        frames.append(dict.fromkeys(place_ones, 1) | dict(zip(place_multi, count_multi, strict=True)))
    return pixels, frames


def test_damage_is_refused_exactly_where_it_can_be_seen(opened):
    whole, rng = sparse(), np.random.default_rng(0)
    places = np.concatenate([np.arange(12), np.arange(1024, len(whole))])
    seen = unseen = 0
    for trial in range(800):
        content = bytearray(whole)
        for place in rng.choice(places, rng.integers(1, 3)):
            content[place] = rng.choice([0, 1, 2, 255, rng.integers(256)])
        if trial % 8 == 0:
            del content[rng.integers(len(content)) :]
        elif trial % 8 == 1:
            content += rng.bytes(4 * rng.integers(1, 3))
        expected = strict_reader(bytes(content))
        # Refused for another reason: the format's dense types.
        if struct.unpack_from("<i", content.ljust(12, b"\0"), 8)[0] in (1, 2):
            continue
        try:
            stack = opened(bytes(content))
            found = stack.read(np.arange(stack.length))
        except InputError as error:
            assert expected is None and "\n" not in str(error), f"{error}: {bytes(content)!r}"
            seen += 1
            continue
        assert expected is not None, bytes(content)
        pixels, lit = expected
        assert found.shape == (len(lit), pixels)
        assert [{int(i): int(frame[i]) for i in np.flatnonzero(frame)} for frame in found] == lit
        unseen += 1
    assert seen > 300 and unseen > 100


def test_a_file_is_neither_read_whole_nor_held_open(tmp_path):
    # 5 GB of which the disk holds a few blocks: what is not asked for is holes.
    path, count, pixels = tmp_path / "large.emc", 1200, 2**20
    ones = np.full(count, pixels, "<i4")
    ones[-1] = 2
    multi = np.zeros(count, "<i4")
    multi[-1] = 1
    end = 1024 + 8 * count + 4 * int(ones.sum(dtype=np.int64))
    with path.open("wb") as file:
        file.write(header(count, pixels) + ones.tobytes() + multi.tobytes())
        file.seek(end - 8)
        file.write(struct.pack("<4i", 5, 7, 6, 1000))
    stack = open_binary(path)
    (frame,) = stack.read(np.array([count - 1]))
    assert {int(i): int(frame[i]) for i in np.flatnonzero(frame)} == {5: 1, 6: 1000, 7: 1}

    with path.open("r+b") as file:
        file.truncate(end - 10)
    with pytest.raises(InputError, match="frame 1199 is gone: the file has been cut since it was opened"):
        stack.read(np.array([count - 1]))
    path.unlink()
    with pytest.raises(InputError, match="No such file"):
        stack.read(np.array([0]))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"num_pix": (0,)}, "claims 3 frames of 0 pixels"),
        ({"num_pix": (-30,)}, "of -30 pixels"),
        ({"num_pix": (2**40,)}, "of 1099511627776 pixels"),
        ({"num_pix": (5, 6)}, "num_pix is missing, or not one whole number"),
        ({name: [] for name in LISTS}, "claims 0 frames"),
        ({"count_multi": LISTS["count_multi"][:2]}, r"has \[3, 3, 2\] entries of .*its writer was stopped"),
    ],
)
def test_impossible_hdf5_files_are_refused(lists, change, message):
    with pytest.raises(InputError, match=message):
        open_lists(lists(**change))


def test_hdf5_lists_of_different_lengths_are_refused(lists):
    stack = open_lists(lists(count_multi=[[2, 300], [], [70000, 2]]))
    with pytest.raises(InputError, match="frame 2 has 2 counts for 3 pixels: it is damaged"):
        stack.read(np.array([2]))


@pytest.mark.parametrize("name", ["num_pix", *LISTS])
def test_hdf5_files_that_lack_something_are_refused(lists, name):
    with h5py.File(path := lists(), "a") as file:
        del file[name]
    with pytest.raises(InputError, match=f"{name} is missing|has no {name}"):
        open_lists(path)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"shape": (3,), "dtype": np.int32}, "no row of variable-length lists of int32"),
        ({"shape": (3,), "dtype": h5py.vlen_dtype(np.float64)}, "no row of variable-length lists"),
        ({"shape": (3, 1), "dtype": h5py.vlen_dtype(np.int32)}, "no row of variable-length lists"),
        ({"shape": (3,), "dtype": h5py.vlen_dtype(np.int32)}, "claims 3 lists, which were not all written"),
        (
            {"shape": (3,), "dtype": h5py.vlen_dtype(np.int32), "chunks": (1,)},
            "claims 3 lists, which were not all written",
        ),
        (
            {"shape": (3,), "dtype": h5py.vlen_dtype(np.int32), "chunks": (3,), "compression": "gzip"},
            "place_multi is compressed or in other files",
        ),
    ],
)
def test_lists_of_another_kind_are_refused(lists, options, message):
    with h5py.File(path := lists(), "a") as file:
        del file["place_multi"]
        file.create_dataset("place_multi", **options)
    with pytest.raises(InputError, match=message):
        open_lists(path)


def test_lists_in_other_files_are_not_followed(lists, tmp_path):
    path = lists()
    path.rename(tmp_path / "other.h5")
    with h5py.File(lists(), "a") as file:
        del file["place_ones"]
        file["place_ones"] = h5py.ExternalLink("other.h5", "place_ones")
    with pytest.raises(InputError, match="external link"):
        open_lists(path)
