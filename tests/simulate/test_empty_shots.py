"""Recorded empty shots under simulated hits: the very frames, their mean, their masks, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest
from onehit.geometries import InputError
from onehit.geometries.errors import InputWarning
from onehit.simulate import FileConfig, FileSource, InstrumentConfig, SimulatedSource, SimulationConfig
from onehit.simulate import empty_shots as module
from onehit.simulate.beamline.pixels import assemble
from onehit.simulate.config import BackgroundConfig, ReadoutConfig
from onehit.simulate.empty_shots import empty_shots, simulated_source
from onehit.simulate.reading import file_source
from onehit.simulate.sets.plan import check_inputs, packed, plan_set
from onehit.workbench import cli

pytestmark = pytest.mark.filterwarnings("ignore::onehit.geometries.errors.InputWarning")
ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(5)
SIZE, COUNT = 16, 12
RATE = RNG.uniform(1.0, 3.0, (SIZE, SIZE))
SHOTS = RNG.poisson(RATE, (COUNT, SIZE, SIZE))
MASK = RNG.random((SIZE, SIZE)) < 0.1
QUICK = SimulationConfig(
    instrument=InstrumentConfig(shape=(SIZE, SIZE), pixel_size_m=4.8e-3, beamstop_radius_m=6e-3, gap_m=0.0),
    geometry=("cube",),
    good_fraction=1.0,
    amplitude="exact",
    photons=(1e-9, 1e-9),
)


def written(path, **content):
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            file[name] = value
    return str(path)


@pytest.fixture
def dark(tmp_path):
    return written(tmp_path / "dark.h5", counts=SHOTS.astype(np.uint16), bad_pixel=MASK)


def over(frames, frames_as="frames", read=None, **changes):
    background = BackgroundConfig(frames=frames, frames_as=frames_as, read=read or FileConfig())
    return replace(QUICK, background=background, **changes)


def test_the_very_frame_lies_under_a_hit_without_photons_and_masks_are_joined(dark):
    source = simulated_source(over(dark, readout=ReadoutConfig(dead_pixels=0.1)), seed=4)
    alone = SimulatedSource(replace(QUICK, readout=ReadoutConfig(dead_pixels=0.1)), seed=4)
    np.testing.assert_array_equal(source.bad_pixel, alone.bad_pixel | MASK)
    assert (alone.bad_pixel & ~MASK).any() and (MASK & ~alone.bad_pixel).any()
    patterns = jax.tree.map(np.asarray, source.patterns(np.arange(60)))
    drawn = patterns.truth.drawn["background_frame"]
    np.testing.assert_array_equal(patterns.counts, np.where(source.bad_pixel, 0, SHOTS[drawn]))
    # All are drawn, by (seed, i) alone.
    assert set(drawn) == set(range(COUNT))
    np.testing.assert_array_equal(source.patterns([41, 7]).truth.drawn["background_frame"], drawn[[41, 7]])
    assert (np.asarray(source.reseeded(5).patterns(np.arange(60)).truth.drawn["background_frame"]) != drawn).any()
    assert any("12 frames are drawn from" in note for note in source.notes)


def test_every_command_says_how_they_were_read():
    for folder in ("train", "evaluate", "workbench/commands"):
        for path in (ROOT / folder).rglob("*.py"):
            # Which says nothing, and reads nothing.
            assert "SimulatedSource(" not in path.read_text(), f"{path}: make it by simulated_source"


def test_hits_and_the_frames_read_out_noise_are_rounded_together(tmp_path):
    numbers = (100 + 7.5 * SHOTS + RNG.normal(0, 3, SHOTS.shape)).astype(np.float32)
    read = FileConfig(adu_per_photon=7.5, adu_offset=100.0, mask="")
    path = written(tmp_path / "raw.h5", counts=numbers)
    lit = replace(QUICK, photons=(300.0, 300.0))
    hits = np.asarray(SimulatedSource(lit, 1).patterns(np.arange(40)).counts)
    source = simulated_source(over(path, read=read, photons=lit.photons), 1)
    patterns = jax.tree.map(np.asarray, source.patterns(np.arange(40)))
    charge = (numbers - 100) / 7.5
    sums = hits + charge[patterns.truth.drawn["background_frame"]]
    expected = np.where(source.bad_pixel, 0, np.maximum(np.rint(sums), 0))
    assert (patterns.counts != expected).mean() < 1e-3  # another program may round a rare count otherwise
    assert (sums - hits < -0.5)[hits > 0].any()  # a photon that the noise hides
    # Without a hit they are what any other command reads.
    dim = simulated_source(over(path, read=read), 1).patterns(np.arange(8))
    as_read = FileSource(path, read).patterns(np.asarray(dim.truth.drawn["background_frame"])).counts
    np.testing.assert_array_equal(dim.counts, np.where(source.bad_pixel, 0, as_read))


def test_the_mean_is_light_that_is_counted(dark):
    count = 800
    source = simulated_source(over(dark, "mean", readout=ReadoutConfig(quantum_efficiency=0.5)), 2)
    patterns = jax.tree.map(np.asarray, source.patterns(np.arange(count)))
    good, mean = ~source.bad_pixel, SHOTS.mean(0)
    seen = patterns.counts[:, good]
    assert (patterns.counts[:, ~good] == 0).all()
    # Poisson statistics about the frames' own mean, whatever the efficiency, in every pixel.
    deviation = (seen.mean(0) - mean[good]) / np.sqrt(mean[good] / count)
    assert np.mean(deviation**2) == pytest.approx(1, abs=0.35) and abs(deviation).max() < 5
    assert seen.var(0).mean() == pytest.approx(mean[good].mean(), rel=0.03)
    np.testing.assert_allclose(patterns.truth.background, 2 * mean[good].sum(), rtol=1e-5)
    assert "background_frame" not in patterns.truth.drawn


def test_pixels_without_data_in_a_frame(tmp_path, monkeypatch):
    monkeypatch.setattr(file_source, "_BLOCK_BYTES", 2 * 4 * SIZE * SIZE)  # two frames at a time
    shots = SHOTS.astype(np.float32)
    shots[3, 5, 6] = shots[4, 1, 1] = np.nan
    shots[7] = np.nan
    path = written(tmp_path / "dark.h5", counts=shots)
    whole = empty_shots(over(path))
    np.testing.assert_array_equal(whole.number, [n for n in range(COUNT) if n != 7])
    assert np.argwhere(whole.bad_pixel).tolist() == [[1, 1], [5, 6]] and "; it has 12" in whole.notes[-1]
    mean = empty_shots(over(path, "mean"))
    others = [n for n in range(COUNT) if n not in (3, 7)]
    assert not mean.bad_pixel.any() and mean.charge.shape == (1, SIZE, SIZE)
    assert mean.charge[0, 5, 6] == pytest.approx(SHOTS[others, 5, 6].mean())


def test_no_more_frames_are_kept_than_memory_may_hold(dark, monkeypatch):
    monkeypatch.setattr(module, "_MOST_BYTES", 4 * 4 * SIZE * SIZE)
    shots = empty_shots(over(dark))
    np.testing.assert_array_equal(shots.number, [0, 3, 7, 11])
    np.testing.assert_array_equal(shots.charge, np.where(MASK, 0, SHOTS[[0, 3, 7, 11]]))
    assert "4 frames are drawn from, a whole one for each pattern; it has 12" in shots.notes[-1]


def test_pictures_become_frames_of_panels(tmp_path):
    config = InstrumentConfig("agipd-1m", binning=32)
    instrument = config.instrument()
    slab = RNG.poisson(2, (3, *instrument.shape))
    picture, gap = assemble(slab, instrument)
    shots = empty_shots(over(written(tmp_path / "dark.h5", counts=picture, bad_pixel=gap), instrument=config))
    assert shots.bad_pixel.mean() < 0.2
    np.testing.assert_array_equal(shots.charge, np.where(shots.bad_pixel, 0, slab))


def test_the_command_writes_hits_among_recorded_frames(dark, tmp_path):
    out = tmp_path / "set.h5"
    options = "--instrument.shape 16 16 --instrument.pixel-size-m 4.8e-3 --instrument.gap-m 0 --geometry cube"
    options += " --good-fraction 1 --amplitude exact --photons 1e-9 1e-9 --count 9"
    argv = ["simulate", str(out), *options.split(), "--background.frames", dark, "--background.frames-as", "frames"]
    with pytest.warns(InputWarning, match=f"{dark}: 12 frames are drawn from"):
        assert cli.main(argv) == 0
    with h5py.File(out) as file:
        drawn = file["truth/background_frame"][:]
    read = FileSource(out)
    assert (read.bad_pixel & MASK == MASK).all()
    np.testing.assert_array_equal(read.patterns(range(9)).counts, np.where(read.bad_pixel, 0, SHOTS[drawn]))


def test_sets_depend_on_the_frames_wherever_they_are_made(dark, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("mask.npy", MASK)
    config = over("dark.*", read=FileConfig(mask="mask.npy", mask_polarity="bad"))
    plan = plan_set(tmp_path / "set.cxi", config, 0, 8)
    assert set(plan.inputs) == {"dark.h5", "mask.npy"}
    there = json.loads(packed(plan))
    assert set(there["inputs"]) == {dark, str(tmp_path / "mask.npy")}
    background = there["simulation"]["background"]
    assert (background["frames"], background["read"]["mask"]) == (f"{tmp_path}/dark.*", [f"{tmp_path}/mask.npy"])
    written(dark, counts=SHOTS[::-1])
    with pytest.raises(InputError, match=r"dark.h5 has changed since"):
        check_inputs(plan.inputs, config)


NUMBERS = np.rint(2000 + RNG.normal(0, 10, SHOTS.shape))
PEAKS = np.rint(50 + 20 * RNG.poisson(0.3, SHOTS.shape) + RNG.normal(0, 2, SHOTS.shape))


@pytest.mark.parametrize(
    ("content", "read", "message"),
    [
        ({"counts": SHOTS[:, :8, :8]}, {}, r"8 x 8 pixels, the instrument 16 x 16: .* --background.read.geom"),
        ({"counts": SHOTS, "bad_pixel": MASK | True}, {}, r"no pixel is left unmasked: give another --background.read"),
        ({"counts": SHOTS + 0.3}, {}, r"no whole numbers of photons.*: give --background.read.adu-per-photon"),
        ({"counts": SHOTS - 2}, {"mask": ""}, r"no whole numbers of photons.*: give --background.read.adu-per-photon"),
        ({"counts": NUMBERS}, {}, r"vary less than photons do: .*give --background.read.adu-per-photon"),
        ({"counts": 20 * SHOTS}, {}, r"multiples of 20 alone, .*: give --background.read.adu-per-photon"),
        ({"counts": PEAKS}, {}, r"data numbers, no photons \(it looks like .*: give --background.read.adu-per-photon"),
        ({"counts": SHOTS * np.nan}, {}, r"no pixel is left|no frame without NaN or Inf on good pixels: mask them"),
        ({"counts": SHOTS}, {"adu_per_photon": -1.0}, r"--background.read.adu-per-photon is -1.0"),
    ],
)
@pytest.mark.parametrize("frames_as", ["mean", "frames"])
def test_frames_that_make_no_background_are_refused(content, read, message, frames_as, tmp_path):
    path = written(tmp_path / "dark.h5", **content)
    with pytest.raises(InputError, match=message) as caught:
        empty_shots(over(path, frames_as, FileConfig(**read)))
    assert "\n" not in str(caught.value)


def test_other_mistakes_take_one_line(dark, tmp_path):
    for make, message in (
        (lambda: empty_shots(over(str(tmp_path / "no.h5"))), r"no.h5.*no such file|does not exist"),
        (lambda: empty_shots(over(dark, noise=False)), "carry their own: say --background.frames-as mean, or leave"),
        (lambda: SimulatedSource(over(dark)), r"dark.h5 was not read: make the source with onehit.simulate.simulated"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            make()
        assert "\n" not in str(caught.value)
    hides = written(tmp_path / "half.h5", counts=SHOTS, bad_pixel=np.arange(SIZE)[:, None] + np.zeros(SIZE) < 15)
    blocked = replace(QUICK.instrument, beamstop_radius_m=0.0, gap_m=0.2)
    with pytest.raises(InputError, match=r"leave no pixel: give another --background.read.mask"):
        simulated_source(over(hides, instrument=blocked))
