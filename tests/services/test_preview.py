"""Previews: what is drawn of each kind of signal, and how little of a large one is read for it."""

from __future__ import annotations

import io
import warnings

import dask.array as da
import numpy as np
import pytest
from PIL import Image

from Services.Builder.extraction.extractors import Axis, Reading, Signal
from Services.Builder.extraction.extractors.kinds import kind_of
from Services.Builder.preview import SIZE, greys, png, text
from Services.Builder.preview.sampling import MOST_VALUES, Mean, fetched, means, plane
from Services.Builder.preview.scale_bar import bar_for, with_scale_bar

RGB = [("R", "u1"), ("G", "u1"), ("B", "u1")]


def drawn(data, *axes: Axis, column: str | None = None, kind: str = "") -> Image.Image:
    """Return the preview of an array, decoded."""
    reading = Reading("some format", "some reader", (Signal(data, axes, "", kind),), column=column)
    picture = Image.open(io.BytesIO(png(reading, kind_of(reading, "a"))))
    picture.load()
    return picture


def nm(size: int, name: str = "x", scale: float = 1.0) -> Axis:
    return Axis(size, name, "nm", scale)


def rising(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype="f4").reshape(shape)


@pytest.fixture(autouse=True)
def silent():
    """A preview warns of nothing: numbers of every sort come from files."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


class TestEveryKindIsDrawn:
    """001-33, 001-43: a PNG of at most 500 pixels a side for every kind of signal."""

    @pytest.mark.parametrize(
        ("data", "axes", "options"),
        [
            (rising(30, 40), (nm(30, "y"), nm(40)), {}),
            (rising(2000, 3), (nm(2000, "y"), nm(3)), {}),
            (rising(1, 7), (nm(1, "y"), nm(7)), {}),
            (np.zeros((5, 5)), (nm(5, "y"), nm(5)), {}),
            (np.full((5, 5), np.nan), (nm(5, "y"), nm(5)), {}),
            (np.array([[np.nan, 1], [np.inf, -np.inf]]), (nm(2, "y"), nm(2)), {}),
            (np.array([[True, False]] * 2), (nm(2, "y"), nm(2)), {}),
            (rising(9, 9) * (1 + 1j), (Axis(9, "y", "1/nm"), Axis(9, "x", "1/nm")), {}),
            (np.zeros((6, 5), RGB), (Axis(6), Axis(5)), {}),
            (np.zeros((6, 5), [(name, "u2") for name in "RGBA"]), (Axis(6), Axis(5)), {}),
            (rising(16), (Axis(16, "Energy", "keV"),), {"kind": "EDS_SEM"}),
            (np.zeros(16), (Axis(16, "Energy", "eV"),), {"kind": "EELS"}),
            (np.full(16, np.nan), (Axis(16, "Energy", "eV"),), {"kind": "EELS"}),
            (rising(1), (Axis(1, "Energy", "eV"),), {"kind": "EELS"}),
            (rising(3), (Axis(3, "Wavelength", "nm", values=(1.0, 2.0, 4.0)),), {}),
            (rising(50_000), (Axis(50_000, "Time", "s"),), {}),
            (rising(4, 5, 16), (nm(4, "y"), nm(5), Axis(16, "Energy", "keV")), {"kind": "EDS_TEM"}),
            (rising(16, 4, 5), (Axis(16, "Energy loss", "eV"), nm(4, "y"), nm(5)), {"kind": "EELS"}),
            (np.zeros((7, 16)), (nm(7), Axis(16, "Energy", "eV")), {"kind": "EELS"}),
            (rising(2, 3, 4, 16), (Axis(2), nm(3), nm(4), Axis(16, "Energy", "eV")), {"kind": "EELS"}),
            (rising(20, 8, 6), (Axis(20, "z"), nm(8, "y"), nm(6)), {}),
            (rising(2, 3, 8, 6), (Axis(2), Axis(3), nm(8, "y"), nm(6)), {}),
            (rising(3, 4, 8, 6), (nm(3), nm(4), Axis(8, "y", "1/nm"), Axis(6, "x", "1/nm")), {}),
            (rising(2, 3, 4, 8, 6), (Axis(2), nm(3), nm(4), Axis(8, "", "mrad"), Axis(6, "", "mrad")), {}),
        ],
    )
    def test_pictures_keep_to_the_size_limits(self, data, axes, options):
        for one in (data, da.from_array(data, chunks=-1)):
            picture = drawn(one, *axes, **options)
            assert picture.format == "PNG"
            assert max(picture.size) <= SIZE
            assert max(picture.size) >= SIZE - 60, "small images are enlarged"
            assert min(picture.size) >= 30, "a line stays visible"

    def test_an_image_is_true_to_scale(self):
        picture = drawn(rising(10, 10), nm(10, "y", 2.0), nm(10, "x", 1.0))
        assert picture.size == (250, 500)

    def test_a_colour_image_keeps_its_colours(self):
        data = np.zeros((20, 20), RGB)
        data["R"] = 250
        assert drawn(data, Axis(20), Axis(20)).getpixel((250, 250)) == (250, 0, 0)

    def test_grey_images_are_stored_as_grey(self):
        assert drawn(rising(20, 20), Axis(20), Axis(20)).mode == "L"

    def test_a_stack_shows_first_and_last(self):
        data = np.stack([np.full((10, 10), level, "f4") for level in range(3)])
        data[:, 0, 0] = 50  # so that no frame is of one value
        picture = drawn(data, Axis(3, "z"), Axis(10), Axis(10))
        assert picture.size == (500, 500)

    def test_text_is_set_in_lines(self):
        short, long = text.page("one line", SIZE), text.page("many\n" * 500, SIZE)
        assert short.width == long.width == SIZE
        assert short.height < 120 < long.height <= SIZE
        assert text.page("", SIZE).height < 120
        assert text.page("x" * 5000, SIZE).height <= SIZE

    def test_a_dollar_in_a_files_text_is_no_formula(self):
        one = Signal(rising(9), (Axis(9, "price $ {", "eV"),), "", "EELS", quantity="$1 _^ {")
        reading = Reading("some format", "some reader", (one,))
        assert png(reading, kind_of(reading, "a")).startswith(b"\x89PNG")


class TestContrast:
    """What matters is visible: outliers do not darken an image, a pattern's centre does not hide its reflections."""

    def test_hot_pixels_do_not_darken_the_rest(self):
        image = np.tile(np.linspace(0, 1, 100), (100, 1))
        image[3, 3] = 1e6
        assert greys.linear(image)[50].max() > 240

    def test_weak_reflections_are_seen_beside_the_beam(self):
        pattern = np.random.default_rng(1).uniform(0, 1, (100, 100))
        pattern[49:52, 49:52], pattern[20:23, 20:23] = 1e6, 300
        shown = greys.logarithmic(pattern)
        assert shown[50, 50] == 255
        assert shown[20, 20] > 60 > 10 * np.median(shown)

    def test_one_value_is_grey(self):
        assert (greys.linear(np.zeros((3, 3))) == 128).all()


class TestScaleBar:
    """A round length with its unit, at most a third of the width; none without a calibration."""

    @pytest.mark.parametrize(
        ("axis", "label"),
        [
            (Axis(1000, "x", "nm", 0.02), "5 nm"),
            (Axis(512, "x", "m", 4.4e-7), "50 µm"),
            (Axis(100, "x", "Å", 0.24), "0.5 nm"),
            (Axis(100, "x", "nm", 0.001), "20 pm"),
            (Axis(512, "x", "1/nm", 0.081), "10 nm⁻¹"),
            (Axis(16, "x", "1/nm", 0.17), "0.5 nm⁻¹"),
            (Axis(100, "x", "mrad", 0.5), "10 mrad"),
        ],
    )
    def test_a_bar_has_a_round_length(self, axis, label):
        share, found = bar_for(axis, 0.3)
        assert found == label
        assert 0.1 < share <= 0.3

    @pytest.mark.parametrize(
        "axis", [Axis(10), Axis(10, "x", "s"), Axis(10, "x", "nm", 0.0), Axis(10, "x", "parsnips")]
    )
    def test_none_without_a_length(self, axis):
        assert bar_for(axis, 0.3) is None

    def test_drawn_within_the_picture_where_asked(self):
        blank = Image.new("L", (300, 200), 128)
        below, above = with_scale_bar(blank, nm(300)), with_scale_bar(blank, nm(300), at_top=True)
        assert below.getpixel((150, 10)) == (128, 128, 128)
        assert np.asarray(below)[150:].max() == 255
        assert np.asarray(above)[:50].max() == 255

    def test_not_in_a_picture_too_small_for_it(self):
        stamp = Image.new("L", (60, 20))
        assert with_scale_bar(stamp, nm(60)) is stamp


class TestLargeDataAreSampled:
    """A stack of many GB on disk is shown from a few of its frames."""

    def stack(self, read: set, *shape: int) -> da.Array:
        def frame(block_info=None):
            where = block_info[None]["chunk-location"]
            read.add(where)
            return np.full(block_info[None]["chunk-shape"], sum(where), "f4")

        chunks = (*((1,) * length for length in shape[:-2]), *((length,) for length in shape[-2:]))
        return da.map_blocks(frame, chunks=chunks, dtype="f4", meta=np.empty((0,) * len(shape), "f4"))

    def test_a_stack_is_read_by_nine_frames(self):
        read: set = set()
        drawn(self.stack(read, 4000, 1000, 1000), Axis(4000, "time", "s"), nm(1000, "y"), nm(1000))
        assert len(read) == 9
        assert {(0, 0, 0), (3999, 0, 0)} <= read

    def test_an_image_is_thinned(self):
        (values,) = fetched(np.zeros((3, 3)), (slice(None), 1))
        assert values.shape == (3,)
        assert max(plane(np.zeros((9000, 7000), "u1"), (0, 1), {}, 1000).shape) <= 1000

    def test_means_take_samples(self):
        data = da.zeros((300, 300, 4096), chunks=(100, 100, 4096), dtype="u2")
        spectrum, overview = means(data, Mean((2,)), Mean((0, 1), 500))
        assert (spectrum.shape, overview.shape) == ((4096,), (300, 300))
        assert data.size > 20 * MOST_VALUES

    def test_means_are_means_in_the_order_asked_for(self):
        data = rising(2, 3, 4)
        first, second = means(data, Mean((2, 0)), Mean((1,)))
        np.testing.assert_allclose(first, data.mean(axis=1).T)
        np.testing.assert_allclose(second, data.mean(axis=(0, 2)))

    def test_what_is_no_number_is_left_out_of_a_mean(self):
        assert means(np.array([[1.0, np.nan, 3.0]]), Mean((0,)))[0] == pytest.approx([2.0])
