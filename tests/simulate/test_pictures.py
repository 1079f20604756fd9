"""Panel detectors as classifiers see them."""

import numpy as np
from onehit.simulate.beamline.instrument import InstrumentConfig
from onehit.simulate.beamline.pixels import hidden_pixels, picture_shape
from onehit.simulate.source import Patterns, SimulatedSource, as_pictures


class Panels(SimulatedSource):
    """A source of panels whose pixels all count one photon."""

    instrument = InstrumentConfig("agipd-1m", binning=8).instrument()
    shape, name = instrument.shape, "panels"
    bad_pixel = hidden_pixels(instrument)

    def __init__(self):
        pass

    def patterns(self, indices):
        return Patterns(np.ones((len(indices), *self.shape), np.int32), np.asarray(indices), None)


def test_panels_become_pictures_that_keep_every_pixel_and_mark_the_gaps():
    source = as_pictures(Panels())
    patterns = source.patterns([1, 0])
    assert source.shape == source.bad_pixel.shape == picture_shape(Panels.instrument)
    assert patterns.counts.shape == (2, *source.shape)
    assert (patterns.counts.sum((1, 2)) == np.prod(Panels.shape)).all()
    np.testing.assert_array_equal(patterns.counts[0] == 0, source.bad_pixel)
    np.testing.assert_array_equal(patterns.label, [1, 0])
