import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from onehit.evaluate.map_figure import two_quantities_figure


def test_a_map_shows_the_rates_where_patterns_tell_them():
    def field(low, high, lost, kept, n_bad=20):
        return {"low": low, "high": high, "n_good": 20, "n_bad": n_bad} | {
            "false_negative_rate": lost,
            "false_positive_rate": kept,
        }

    fields = [
        field([1e3, 0.0], [1e4, 1.0], 0.25, 0.75),
        field([1e4, 0.0], [1e5, 1.0], 0.5, 1.0),
        field([1e4, 1.0], [1e5, 2.0], 0.0, 0.125, n_bad=4),
    ]
    figure = two_quantities_figure(("photons", "separation"), {"icosahedron": fields, "torus": fields[:1]})
    FigureCanvasAgg(figure).draw()
    lost, kept, *others = figure.axes
    assert len(others) == 2 and "torus" in others[0].get_title("left")
    written = [[text.get_text() for text in axes.texts] for axes in (lost, kept)]
    assert written == [["25.0", "50.0", "0"], ["75.0", "100"]]
    shade = lost.collections[0].get_array()
    assert shade is not None
    np.testing.assert_array_equal(np.ma.filled(shade, np.nan), [[0.25, 0.5], [np.nan, 0.0]])
    assert [tick.get_text() for tick in lost.get_xticklabels()] == ["1e+03", "1e+04", "1e+05"]
    assert (lost.get_xlabel(), lost.get_ylabel()) == ("photons", "separation")
