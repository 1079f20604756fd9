"""Masks whose values nobody explains, pixels marked by a value, and axes in any order: read right, or refused."""

import h5py
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onehit.geometries.errors import InputError
from onehit.simulate import FileConfig, FileSource
from onehit.simulate.inspecting.inspection import inspect_frames
from onehit.simulate.inspecting.oddities import oddities

RNG = np.random.default_rng(0)


def frames(count=12, shape=(16, 20)):
    """Rings, bright in the middle; every pixel is lit in some frame."""
    y, x = np.indices(shape)
    radius = np.hypot(y - (shape[0] - 1) / 2, x - (shape[1] - 1) / 2)
    size = RNG.uniform(0.6, 1.2, count)[:, None, None]
    return RNG.poisson(3 + 60 * np.cos(radius * size) ** 2 * np.exp(-radius / 8)).astype(np.int32)


def blocks(shape, rows, columns=None):
    bad = np.zeros(shape, bool)
    bad[rows, columns or slice(None)] = True
    return bad


SMALL = blocks((16, 20), slice(3, 5))
LARGE = blocks((16, 20), slice(0, 11))  # two thirds


def odd(source):
    return [oddity.says for oddity in oddities(source, inspect_frames(source, np.arange(len(source))))]


def write(folder, name="file.h5", **data):
    with h5py.File(folder / name, "w") as file:
        for key, value in data.items():
            file[key] = value
    return folder / name


@pytest.mark.parametrize("dark", [True, False], ids=["masked pixels show nothing", "they show what others do"])
@pytest.mark.parametrize("means", ["good", "bad"])
@pytest.mark.parametrize("where", ["beside", "npy", "other"])
def test_a_small_mask_is_read_right_whatever_its_values_mean(tmp_path, means, where, dark):
    counts = frames()
    counts[:, SMALL] *= not dark
    mask = (SMALL if means == "bad" else ~SMALL).astype(np.uint8)
    named = {"mask": mask} if where == "beside" else {}
    path = write(tmp_path, data=counts, **named)
    np.save(tmp_path / "m.npy", mask)
    given = {"npy": f"{tmp_path}/m.npy", "other": f"{write(tmp_path, 'm.h5', data=mask)}:/data", "beside": None}[where]
    source = FileSource(path, FileConfig(data="data", mask=given))
    np.testing.assert_array_equal(source.bad_pixel, SMALL)
    assert f"{'0' if means == 'good' else 'not 0'} = do not use (taken so" in source.frames.mask_meaning


def test_a_mask_that_hides_most_is_refused_where_the_pixels_contradict_and_where_nothing_is_clear(tmp_path):
    counts, mask = frames(), LARGE.astype(np.uint8)
    lit = write(tmp_path, "lit.h5", data=counts, mask=blocks((16, 20), slice(0, 8)))
    with pytest.raises(InputError, match=r"nothing tells whether 1 means good or bad.*--read.mask-polarity good"):
        FileSource(lit)
    counts[:, LARGE] = 0
    with pytest.raises(InputError, match=r"the frames look as if 1 meant bad: say which with --read\.mask-polarity"):
        FileSource(write(tmp_path, data=counts, mask=mask))
    half = blocks((16, 20), slice(0, 8))
    counts = frames()
    counts[:, half] = 0
    np.testing.assert_array_equal(FileSource(write(tmp_path, data=counts, mask=~half)).bad_pixel, half)
    source = FileSource(write(tmp_path, data=counts, mask=mask), FileConfig(mask_polarity="bad"))
    np.testing.assert_array_equal(source.bad_pixel, LARGE)


def test_flags_of_which_some_lie_on_lit_pixels_are_refused_and_hot_pixels_are_not(tmp_path):
    counts = frames()
    counts[:, SMALL] = 0
    flags = 8 * SMALL.astype(np.uint16)
    flags[8, :5] |= 1  # hot ones
    source = FileSource(write(tmp_path, "hot.h5", data=counts, mask=flags))
    np.testing.assert_array_equal(source.bad_pixel, flags != 0)
    flags[8:11] |= 0x100  # which says nothing against a pixel in CXI
    path = write(tmp_path, "harmless.h5", data=counts, mask=flags)
    with pytest.raises(InputError, match=r"holds \[0, 8, 256, 257\], not .*, and 21% of the pixels that show"):
        FileSource(path)
    dim = np.zeros_like(counts)
    dim[0, ::4, ::4] = counts[0, ::4, ::4] + ~SMALL[::4, ::4]  # one pixel in sixteen is lit, and once
    with pytest.raises(InputError, match=r"% of the pixels that show something"):
        FileSource(write(tmp_path, "dim.h5", data=dim, mask=flags))
    source = FileSource(path, FileConfig(mask_polarity="cxi"))
    np.testing.assert_array_equal(source.bad_pixel, (flags & 0xFF) != 0)
    flags[8:16] |= 0x100  # so many that either reading hides most
    with pytest.raises(InputError, match=r"nothing tells .* 1 means bad: say which .* or cxi \(CXI's bits\)"):
        FileSource(write(tmp_path, "many.h5", data=counts, mask=flags))
    with pytest.raises(InputError, match=r"holds \[256, 264\], not two values alone: say which .* or cxi"):
        FileSource(write(tmp_path, "all.h5", data=counts, mask=(0x100 + 8 * SMALL).astype(np.uint16)))


@pytest.mark.parametrize("name", ["pixel_mask", "bad_map", "badpixels", "good_pixel", "is_good"])
def test_names_that_say_it_are_believed(tmp_path, name):
    bad = SMALL if "good" not in name else ~SMALL
    source = FileSource(write(tmp_path, data=frames(), **{name: bad}), FileConfig(data="data", mask=name))
    np.testing.assert_array_equal(source.bad_pixel, SMALL)


def test_masks_with_a_value_for_each_frame_are_decided_together(tmp_path):
    own = np.zeros((12, 16, 20), bool)
    own[np.arange(12), np.arange(12), 3] = True
    for name, mask in (("bad.h5", own), ("good.h5", ~own)):
        source = FileSource(write(tmp_path, name, data=frames(), mask=mask), FileConfig(data="data"))
        np.testing.assert_array_equal(source.masks([0, 5]), own[[0, 5]])


def test_several_masks_count_together_each_in_its_own_sense(tmp_path):
    other = blocks((16, 20), slice(None), slice(0, 2))
    path = write(tmp_path, data=frames(), mask=SMALL, artifacts=~other)
    np.save(tmp_path / "m.npy", spot := blocks((16, 20), 9, 9))
    source = FileSource(path, FileConfig(data="data", mask=("mask", "artifacts", f"{tmp_path}/m.npy")))
    np.testing.assert_array_equal(source.bad_pixel, SMALL | other | spot)
    assert not FileSource(path, FileConfig(data="data", mask="")).bad_pixel.any()
    with pytest.raises(InputError, match=r"--read\.mask nothing does not exist"):
        FileSource(path, FileConfig(data="data", mask=("mask", "nothing")))


@pytest.mark.parametrize(
    "kind, value",
    [
        (np.int32, -9999),
        (np.float32, -1000.5),
        (np.int32, -1),
        (np.uint16, 65535),
        (np.int32, 2**31 - 1),
        (np.uint32, 2**32 - 1),
        (np.int16, -(2**15)),
    ]
    + [(np.float32, np.nan), (np.float64, -np.inf), (np.float32, -1), (np.float64, 65535), (np.uint32, 65535)],
)
def test_what_holds_a_marker_in_every_frame_is_a_gap_and_said(tmp_path, kind, value):
    counts = frames().astype(kind)
    counts[:, SMALL] = value
    source = FileSource(write(tmp_path, data=counts))
    np.testing.assert_array_equal(source.bad_pixel, SMALL)
    assert any("pixels masked that hold the same marker in every frame: 40" in note for note in source.notes)
    assert source.flags().counted()["invalid"] == 0


@pytest.mark.parametrize("kind, value", [(np.float32, 1e9), (np.int32, 99999), (np.uint8, 255), (np.float32, 3e38)])
@pytest.mark.parametrize("count", [12, 3, 1])
def test_what_always_holds_a_number_beyond_all_others_is_a_gap_and_said(tmp_path, kind, value, count):
    counts = np.minimum(frames(count), 200 if count == 12 else 20).astype(kind)
    counts[:, SMALL] = value
    source = FileSource(write(tmp_path, data=counts))
    np.testing.assert_array_equal(source.bad_pixel, SMALL)
    assert f"the same marker in every frame: 40 ({value:.7g} in 40)" in " ".join(source.notes)
    assert not any("the largest value" in line for line in odd(source))


@pytest.mark.parametrize("count", [1, 3])
def test_few_frames_of_pilatus_have_gaps_and_dead_pixels(tmp_path, count):
    counts = frames(count)
    counts[:, SMALL], counts[:, 9, 9] = -1, -2
    source = FileSource(write(tmp_path, data=counts))
    assert source.bad_pixel.any() == (count > 1) and (source.bad_pixel == (counts < 0).all(0)).all() == (count > 1)
    said = any(
        "unless negative numbers mark pixels (name them with --read.mask-values)" in line for line in odd(source)
    )
    assert said == (count == 1)
    named = FileSource(tmp_path / "file.h5", FileConfig(mask_values=(-1, -2)))
    assert named.flags().counted()["negative"] == 0


def test_bright_pixels_are_no_gaps_where_others_are_nearly_as_bright_or_all_frames_are_one(tmp_path):
    few = frames(3)
    few[:, SMALL] = 5 * few.max()
    for counts in (few, np.repeat(frames(1), 12, 0) * 100, np.minimum(frames(12), 30)):
        assert not FileSource(write(tmp_path, data=counts), FileConfig(axes="nyx")).bad_pixel.any()


def test_dead_pixels_below_zero_that_hold_numbers_of_their_own_are_gaps(tmp_path):
    """As a pedestal that is subtracted leaves them."""
    counts = frames().astype(np.float32)
    counts[:, SMALL] = -np.arange(40) - 3.5
    source = FileSource(write(tmp_path, data=counts))
    np.testing.assert_array_equal(source.bad_pixel, SMALL)
    assert any("every frame: 40 (negative numbers in 40)" in note for note in source.notes)


@pytest.mark.parametrize("how", ["[::-1]", "[:, ::-1]", ".T", ".T[::-1]"])
def test_a_mask_that_lies_otherwise_than_the_frames_is_called_odd_and_told_how(tmp_path, how):
    counts = frames(shape=(16, 16))
    bad = blocks((16, 16), slice(3, 5), slice(0, 9)) | blocks((16, 16), slice(0, 16), slice(7, 9))
    counts[:, bad] = 0
    inverse = {".T[::-1]": "[:, ::-1].T"}.get(how, how)
    wrong = eval("mask" + inverse, {"mask": bad})
    said = odd(FileSource(write(tmp_path, data=counts, bad_pixel=wrong)))
    (line,) = [one for one in said if "numpy's mask" in one]
    np.save(tmp_path / "mask.npy", eval(line.split("numpy's ")[1].split(" as ")[0], {"mask": wrong}))
    source = FileSource(tmp_path / "file.h5", FileConfig(mask=f"{tmp_path}/mask.npy", mask_polarity="bad"))
    np.testing.assert_array_equal(source.bad_pixel, bad)
    assert not any("numpy's mask" in one for one in odd(source))


def test_a_mask_that_lies_right_and_one_that_nothing_tells_are_not_called_odd(tmp_path):
    counts = frames()
    spot = blocks((16, 20), 4, slice(2, 19))
    assert not any("numpy's mask" in one for one in odd(FileSource(write(tmp_path, data=counts, bad_pixel=spot))))
    counts[:, spot] = 0
    assert not any("numpy's mask" in one for one in odd(FileSource(write(tmp_path, data=counts, bad_pixel=spot))))


@pytest.mark.parametrize("values", ["bits", "for each frame", "unclear"])
def test_masks_elsewhere_in_the_file_are_named_whatever_their_values(tmp_path, values):
    mask = np.where(SMALL, 1 + RNG.integers(0, 200, SMALL.shape), 0)
    mask = {"bits": mask, "for each frame": mask * np.ones((12, 1, 1), int), "unclear": 7 - mask}[values]
    path = write(tmp_path, counts=frames())
    with h5py.File(path, "a") as file:
        file["calibration/DeadMask"], file["calibration/flat"] = mask, RNG.random((16, 20))
    said = " ".join(odd(FileSource(path)))
    assert "use it with --read.mask calibration/DeadMask" in said and "flat" not in said
    assert ("looks like a mask, not 0 = bad, hiding 12.50%" in said) == (values == "bits")
    assert not any("DeadMask" in one for one in odd(FileSource(path, FileConfig(mask=""))))


def test_minus_one_among_noise_and_what_is_the_largest_only_at_times_are_no_gaps(tmp_path):
    noise = np.rint(RNG.normal(0, 3, (4, 16, 20))).astype(np.int16)
    noise[:, 2, 2] = -1
    assert not FileSource(write(tmp_path, data=noise)).bad_pixel.any()
    counts = frames().astype(np.uint16)
    counts[3, 8, 8] = 65535
    assert not FileSource(write(tmp_path, data=counts)).bad_pixel.any()


def test_a_pixel_without_data_is_masked_in_its_frame_alone_and_a_frame_without_many_is_invalid(tmp_path):
    values = frames().astype(np.float32)
    values[3, 8, 8], values[4, 9, 9], values[5, :8] = np.nan, np.inf, np.nan
    values[6, 1, 1] = 999
    source = FileSource(write(tmp_path, data=values), FileConfig(mask_values=(999,)))
    assert [tuple(one) for one in np.argwhere(source.masks(np.arange(12)))] == [(3, 8, 8), (4, 9, 9), (6, 1, 1)]
    assert source.masks([0, 1]).ndim == 2
    assert np.flatnonzero(source.flags().bits).tolist() == [5]


def test_a_file_in_which_nothing_is_left_is_odd(tmp_path):
    source = FileSource(write(tmp_path, data=np.full((3, 8, 8), 65535, np.uint16)))
    found = oddities(source, inspect_frames(source, np.arange(3)))
    assert any("no pixel is left unmasked" in one.says and "65535 in 64" in one.says for one in found)


@pytest.mark.parametrize("order", ["nyx", "yxn", "xyn", "n1yx", "nyx1", "1nyx", "ynx"])
def test_axes_come_as_they_are_named(tmp_path, order):
    counts = frames(5)
    letters = [letter for letter in order if letter != "1"]
    turned = counts.transpose(["nyx".index(letter) for letter in letters])
    turned = turned.reshape([1 if letter == "1" else counts.shape["nyx".index(letter)] for letter in order])
    mask = SMALL.transpose(["yx".index(letter) for letter in letters if letter != "n"])
    source = FileSource(write(tmp_path, data=turned, mask=mask), FileConfig(data="data", axes=order))
    np.testing.assert_array_equal(source.patterns(np.arange(5)).counts, counts)
    np.testing.assert_array_equal(source.patterns([3, 1]).counts, counts[[3, 1]])
    np.testing.assert_array_equal(source.bad_pixel, SMALL)


@pytest.mark.parametrize("mask", [SMALL, SMALL[None], np.repeat(SMALL[None], 5, axis=0)])
def test_an_axis_of_length_one_before_the_frames_is_named_by_the_user(tmp_path, mask):
    counts = frames(5)
    path = write(tmp_path, data=counts[None], mask=mask.astype(np.uint8))
    rows, columns = SMALL.shape
    say = rf"if these are 5 frames of {rows} x {columns}, say --read\.axes 1nyx; otherwise say"
    for masks in (None, ()):  # with the file's mask, which fits no module, and without
        with pytest.raises(InputError, match=say):
            FileSource(path, FileConfig(data="data", mask=masks))
    source = FileSource(path, FileConfig(data="data", axes="1nyx", mask_polarity="bad"))
    np.testing.assert_array_equal(source.patterns(np.arange(5)).counts, counts)
    assert (source.masks(np.arange(5)) == SMALL).all()


@pytest.mark.parametrize("axes", ["yx", "nyy", "1yx", "abc", "nmyx", "nxy1", ""])
def test_axes_that_do_not_fit_are_refused_with_an_example(tmp_path, axes):
    with pytest.raises(InputError, match=rf"--read.axes {axes} does not fit.*such as nyx or yxn"):
        FileSource(write(tmp_path, data=frames(5)), FileConfig(axes=axes))


@pytest.mark.parametrize("shape", [(16, 16), (30, 20), (18, 40)])
def test_frames_along_the_last_axis_are_noticed_by_lengths_or_by_numbers(tmp_path, shape):
    counts = frames(25, shape)
    np.testing.assert_array_equal(FileSource(write(tmp_path, data=counts)).patterns([4]).counts[0], counts[4])
    with pytest.raises(InputError, match=r"say --read\.axes yxn if so, or --read\.axes nyx"):
        FileSource(write(tmp_path, "turned.h5", data=counts.transpose(1, 2, 0)))
    np.save(tmp_path / "turned.npy", counts.transpose(1, 2, 0))
    with pytest.raises(InputError, match=r"say --read\.axes yxn"):
        FileSource(tmp_path / "turned.npy")


def hawk(**more):
    image = {"real": frames(1)[0][..., None].astype(np.float32), "mask": (~SMALL)[..., None].astype(np.int32)}
    flags = {"phased": np.array([0]), "shifted": np.array([0]), "scaled": np.array([0])}
    return image | flags | {"image_center": np.array([8.0, 7.0, 0.0])} | more


def test_an_image_of_hawk_is_one_frame(tmp_path):
    image = hawk()
    source = FileSource(write(tmp_path, **image))
    assert (source.frames.format, len(source), source.shape) == ("Hawk", 1, (16, 20))
    np.testing.assert_array_equal(source.patterns([0]).counts[0], image["real"][..., 0])
    np.testing.assert_array_equal(source.bad_pixel, SMALL)
    corner = {name: np.fft.ifftshift(image[name], (0, 1)) for name in ("real", "mask")}
    shifted = FileSource(write(tmp_path, "s.h5", **hawk(**corner, shifted=np.array([1]))))
    np.testing.assert_array_equal(shifted.patterns([0]).counts[0], image["real"][..., 0])
    np.testing.assert_array_equal(shifted.bad_pixel, SMALL)


@pytest.mark.parametrize("flag, what", [("phased", "complex amplitudes"), ("scaled", "amplitudes")])
def test_amplitudes_are_no_intensities(tmp_path, flag, what):
    with pytest.raises(InputError, match=f"holds {what} .*write their squared moduli"):
        FileSource(write(tmp_path, **hawk(**{flag: np.array([1])})))


def test_a_single_frame_is_a_stack_of_one(tmp_path):
    frame = frames(1)[0]
    source = FileSource(write(tmp_path, anything=frame, anything_mask=SMALL))
    np.testing.assert_array_equal(source.patterns([0]).counts, frame[None])


@settings(max_examples=25)
@given(
    bad=arrays(bool, (9, 11), elements=st.sampled_from([False] * 4 + [True])),
    means=st.sampled_from(["good", "bad"]),
    marker=st.sampled_from([None, 0, -1, 65535]),
    order=st.sampled_from(["nyx", "yxn", "n1yx", "nyx1"]),
    named=st.booleans(),
)
def test_a_stack_in_any_dialect_comes_back_equal_or_is_refused(tmp_path_factory, bad, means, marker, order, named):
    assume(bad.mean() < 0.5)  # of masks that nobody explains, the reading that leaves most is taken
    counts = frames(6, (9, 11))
    shown = counts.copy()
    if marker is not None:
        shown[:, bad] = marker
    letters = [letter for letter in order if letter != "1"]
    turned = shown.transpose(["nyx".index(letter) for letter in letters])
    turned = turned.reshape([1 if letter == "1" else shown.shape["nyx".index(letter)] for letter in order])
    path = write(tmp_path_factory.mktemp("any"), data=turned, mask=bad if means == "bad" else ~bad)
    try:
        source = FileSource(path, FileConfig(data="data", axes=order if named else None))
    except InputError as error:
        assert "--read." in str(error)
        return
    np.testing.assert_array_equal(source.bad_pixel, bad)
    np.testing.assert_array_equal(source.patterns(np.arange(6)).counts, shown)


def test_minus_one_in_every_one_of_many_frames_is_a_gap_also_among_noise(tmp_path):
    noise = np.rint(RNG.normal(0, 3, (12, 16, 20))).astype(np.int16)
    noise[:, SMALL] = -1
    np.testing.assert_array_equal(FileSource(write(tmp_path, data=noise)).bad_pixel, SMALL)


def test_gaps_of_every_file_of_a_list_are_masked_in_its_frames(tmp_path):
    first, second = frames(3).astype(np.uint16), frames(3).astype(np.uint16)
    first[:, 3], second[:, 7] = 65535, 65535
    for name, counts in (("a", first), ("b", second)):
        np.save(tmp_path / f"{name}.npy", counts)
    source = FileSource([tmp_path / "a.npy", tmp_path / "b.npy"])
    assert np.flatnonzero(source.masks([0, 3])[0].all(1)).tolist() == [3]
    assert np.flatnonzero(source.masks([0, 3])[1].all(1)).tolist() == [7]


def test_shifted_and_other_images_are_not_one_source(tmp_path):
    files = [write(tmp_path, f"{flag}.h5", **hawk(shifted=np.array([flag]))) for flag in (0, 1)]
    with pytest.raises(InputError, match="differ in is_fft_shifted: False, True"):
        FileSource(files)


@pytest.mark.parametrize("where", ["m.npy", "m.h5:/mask"])
def test_masks_of_other_files_are_turned_with_the_axes(tmp_path, where):
    counts = frames(5, (20, 20))
    mask = blocks((20, 20), slice(3, 5))
    np.save(tmp_path / "m.npy", mask.T)
    write(tmp_path, "m.h5", mask=mask.T)
    path = write(tmp_path, data=counts.transpose(0, 2, 1))
    source = FileSource(path, FileConfig(axes="nxy", mask=f"{tmp_path}/{where}", mask_polarity="bad"))
    np.testing.assert_array_equal(source.patterns([2]).counts[0], counts[2])
    np.testing.assert_array_equal(source.bad_pixel, mask)


def test_a_few_frames_along_the_last_axis_are_no_pictures(tmp_path):
    with pytest.raises(InputError, match=r"say --read\.axes yxn"):
        FileSource(write(tmp_path, data=frames(11, (40, 32)).transpose(1, 2, 0)), FileConfig(shape=(32, 32)))


def test_values_that_mask_may_be_fractions_and_nan(tmp_path):
    values = frames().astype(np.float32)
    values[:, 4, 4], values[2, 5:12] = 0.1, np.nan
    source = FileSource(write(tmp_path, data=values), FileConfig(mask_values=(0.1, float("nan"))))
    assert source.masks([0])[0, 4, 4] and source.masks([2])[0, 5:12].all() and not source.flags().bits.any()


@pytest.mark.parametrize(
    "other",
    [{"rot": np.tile(np.eye(3), (5, 1, 1))}, {"weights": np.ones((5, 16, 20))}, {"lit": np.ones((5, 16, 20), bool)}],
)
def test_which_of_several_stacks_is_meant_is_not_guessed(tmp_path, other):
    for images in ({"images": frames(5)[:, None]}, {"image": frames(1)[0]} if "rot" in other else {"m": frames(5)}):
        with pytest.raises(InputError, match=r"say which data set holds the frames with --read\.data"):
            FileSource(write(tmp_path, f"{[*images]}.h5", **images, **other))


def test_frames_that_are_not_there_are_an_error(tmp_path):
    source = FileSource(write(tmp_path, data=frames(5)))
    for indices in ([4, 5], [-1], [99]):
        with pytest.raises(IndexError, match="has frames 0 to 4"):
            source.patterns(indices)


@pytest.mark.parametrize("path", ["loop", ".", "", "x" * 300, "a\0b", "x" * 300 + ".lst"])
def test_paths_that_lead_nowhere_end_in_one_line(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError):
        FileSource(path)
    np.save(tmp_path / "a.npy", frames(3))
    with pytest.raises(InputError):
        FileSource(tmp_path / "a.npy", FileConfig(mask=path or "nothing"))
    with pytest.raises(InputError):
        FileSource(tmp_path / "a.npy", FileConfig(shape=(10**9, 10**9)))
