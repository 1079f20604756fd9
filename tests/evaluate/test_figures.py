"""Figures show what they were given. How they look is for eyes."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from onehit.evaluate import figures
from onehit.evaluate.metrics import summarise
from onehit.geometries.errors import InputError
from onehit.geometries.shapes import geometry

LABEL = np.repeat([1, 0], 50)
SCORE = np.concatenate([np.linspace(-1, 6, 50), np.linspace(-6, 1, 50)])
PERFECT = np.where(LABEL, 5.0, -5.0)
SCORES = {"icosahedron": (LABEL, PERFECT), "torus": (LABEL, SCORE), "a long name": (LABEL, SCORE)}


def pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def texts(figure: Figure) -> str:
    return " | ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def test_roc_shows_every_curve_and_its_value_at_zero_false_positives():
    scores = SCORES | {"with invalid": (LABEL, np.where(np.arange(100) % 10 == 0, -np.inf, SCORE))}
    figure = figures.roc_figure(scores)
    pixels(figure)
    assert len(figure.axes) == 2
    roc, errors = figure.axes
    curves = [line for line in roc.lines if line.get_marker() == "None"]
    dots = [line for line in errors.lines if line.get_marker() == "o"]
    assert len(curves) == len(dots) == 4
    for curve, dot, (label, score) in zip(curves, dots, scores.values(), strict=True):
        summary = summarise(label, score, 0)
        x, y = np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata())
        assert np.trapezoid(y, x) == pytest.approx(summary["auc"])
        assert dot.get_ydata()[0] == pytest.approx(summary["false_negative_rate_at_zero_fp"])
    assert all(name in texts(figure) for name in scores)


def test_roc_needs_both_labels():
    with pytest.raises(InputError, match="torus"):
        figures.roc_figure({"torus": (np.ones(3), np.arange(3.0))})


def test_a_geometry_keeps_its_colour_and_no_two_share_one():
    def colours(scores):
        roc = figures.roc_figure(scores).axes[0]
        return [line.get_color() for line in roc.lines if line.get_marker() == "None"]

    assert colours({"torus": SCORES["torus"]})[0] == colours(SCORES)[1]
    assert len(set(colours(SCORES))) == 3


@pytest.mark.parametrize("number", [1, 4, 5])
def test_confusion_has_a_table_each_with_its_counts(number):
    summaries = {f"shape {i}": summarise(LABEL, SCORE, 0.5 * i) for i in range(number)}
    figure = figures.confusion_figure(summaries, 1.25)
    pixels(figure)
    assert [panel.get_title(loc="left") for panel in figure.axes] == list(summaries)
    for panel, summary in zip(figure.axes, summaries.values(), strict=True):
        lost, passed = summary["false_negatives"], summary["false_positives"]
        shown = [text.get_text() for text in panel.texts]
        assert shown[::2] == [str(n) for n in (50 - lost, lost, passed, 50 - passed)]
    assert "1.25" in texts(figure)


def test_confusion_without_bad_patterns():
    figure = figures.confusion_figure({"torus": summarise([1, 1], [1, -1], 0)}, 0)
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "1",
        "50.0 %",
        "1",
        "50.0 %",
        "0",
        "–",
        "0",
        "–",
    ]


def test_histogram_counts_every_pattern_and_names_the_invalid():
    score = SCORE.copy()
    score[:3] = -np.inf
    figure = figures.score_histogram_figure({"icosahedron": (LABEL, PERFECT), "torus": (LABEL, score)}, 0.5)
    pixels(figure)
    assert len(figure.axes) == 2
    heights = [sum(bar.get_height() for bar in panel.patches) for panel in figure.axes]
    assert heights == [100, 97]
    assert "3 invalid" in figure.axes[1].get_title(loc="left")
    assert all(panel.lines[0].get_xdata()[0] == 0.5 for panel in figure.axes)


def test_gallery_greys_blind_pixels_and_leaves_no_empty_frame():
    counts = np.random.default_rng(0).poisson(3, (7, 16, 24))
    bad = np.zeros((16, 24), bool)
    bad[4:8] = True
    figure = figures.gallery_figure(counts, [f"no. {i}" for i in range(7)], bad, columns=4)
    panels = [panel for panel in figure.axes if panel.images]
    assert [panel.get_title() for panel in panels] == [f"no. {i}" for i in range(7)]
    assert len(figure.axes) == 8  # and one colour bar
    for panel, frame in zip(panels, counts, strict=True):
        drawn = panel.images[0].get_array()
        np.testing.assert_array_equal(np.ma.getmaskarray(drawn), bad)
        np.testing.assert_array_equal(drawn[~bad], frame[~bad])
    grey = np.all(pixels(figure) == (0xB8, 0xBF, 0xC6), axis=-1)
    assert grey.sum() > 1000
    unmasked = figures.gallery_figure(counts, [""] * 7, columns=4)
    assert not np.all(pixels(unmasked) == (0xB8, 0xBF, 0xC6), axis=-1).any()


@pytest.mark.parametrize(
    "counts", [np.zeros((1, 8, 8), np.uint16), np.full((2, 8, 8), np.nan), np.full((1, 4, 9), -0.3)]
)
def test_gallery_draws_frames_without_photons(counts):
    pixels(figures.gallery_figure(counts, ["dark"] * len(counts)))


def test_gallery_takes_one_mask_a_frame():
    bad = np.zeros((2, 8, 8), bool)
    bad[1] = True
    figure = figures.gallery_figure(np.ones((2, 8, 8)), ["seen", "blind"], bad)
    assert [np.ma.getmaskarray(panel.images[0].get_array()).all() for panel in figure.axes[:2]] == [
        False,
        True,
    ]


def test_gallery_names_wrong_shapes():
    with pytest.raises(InputError, match=r"\(8, 8\)"):
        figures.gallery_figure(np.ones((8, 8)), [""])
    with pytest.raises(InputError, match="2 titles for 1"):
        figures.gallery_figure(np.ones((1, 8, 8)), ["", ""])
    with pytest.raises(InputError, match=r"\(8, 9\)"):
        figures.gallery_figure(np.ones((1, 8, 8)), [""], np.zeros((8, 9), bool))


def test_shapes_are_drawn_with_their_extents_and_on_one_scale():
    def shares(*names):
        figure = figures.shapes_figure({name: geometry(name) for name in names}, columns=2)
        assert all(f"{name}\n{geometry(name).longest_extent:.2f}" in texts(figure) for name in names)
        rgb = pixels(figure).astype(int)
        solid = rgb[..., 2] - rgb[..., 0] > 30
        return [half.mean() for half in np.array_split(solid, 2, axis=1)]

    ball, finer = shares("sphere:subdivisions=2", "sphere")
    assert ball == pytest.approx(finer, rel=0.02)
    ball, rod = shares("sphere", "rod")
    # Its hexagon is w = 0.645 across its corners, 0.985 w across the line of sight, which looks down by 25 degrees.
    side, top = 0.985 * 0.645 * 3 * 0.645 * np.cos(np.radians(25)), 0.65 * 0.645**2 * np.sin(np.radians(25))
    assert rod / ball == pytest.approx((side + top) / (np.pi / 4), rel=0.05)


@pytest.mark.parametrize("number", [0, 1, 3, 200])
def test_training_draws_short_and_long_histories(number):
    history = [{"step": 10 * i, "loss": 0.7 / (i + 1), "accuracy": 0.5} for i in range(number)]
    validation = [{"step": 0, "auc": None}, {"step": 10, "auc": 0.75}]
    figure = figures.training_figure(history, validation[:number])
    pixels(figure)
    loss, quality = figure.axes
    if number:
        np.testing.assert_allclose(loss.lines[0].get_ydata(), [record["loss"] for record in history])
    if number > 1:
        assert list(quality.lines[-1].get_ydata()) == [0.75]


def test_nothing_to_draw_is_named():
    for call in (figures.roc_figure, lambda s: figures.confusion_figure(s, 0), figures.shapes_figure):
        with pytest.raises(InputError, match="nothing to draw"):
            call({})
