"""Fourier transforms in previews: whole, with the zero frequency in the middle, whatever half a file stores."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from Services.Builder.extraction.extractors import Axis, Reading, Signal
from Services.Builder.extraction.extractors.kinds import kind_of
from Services.Builder.preview import png
from Services.Builder.preview.fourier import centred
from tests.services.instrument_files import DATA, real

SIZE = 64


@pytest.fixture
def image() -> np.ndarray:
    """An image with fringes along one diagonal: 5 periods down and 9 to the right."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    fringes = np.cos(2 * np.pi * (5 * rows + 9 * columns) / SIZE)
    return (fringes + 3 + 0.01 * np.random.default_rng(3).normal(size=fringes.shape)).astype("f4")


def spots(moduli: np.ndarray) -> set[tuple[int, int]]:
    """Return the three largest values' places, from the middle."""
    places = np.argsort(moduli, axis=None)[-3:]
    return {
        (int(row) - moduli.shape[0] // 2, int(column) - moduli.shape[1] // 2)
        for row, column in zip(*np.unravel_index(places, moduli.shape), strict=True)
    }


EXPECTED = {(0, 0), (5, 9), (-5, -9)}


class TestATransformIsWholeAndCentred:
    """A spot and its counterpart stand where they belong, on both sides of the zero frequency."""

    def test_stored_as_it_is_computed(self, image):
        assert spots(centred(np.fft.fft2(image))) == EXPECTED

    def test_stored_with_the_zero_frequency_in_the_middle(self, image):
        shifted = np.fft.fftshift(np.fft.fft2(image))
        np.testing.assert_allclose(centred(shifted), np.abs(shifted), rtol=1e-5)

    @pytest.mark.parametrize("width", [SIZE, SIZE - 1])
    def test_stored_as_half_of_its_columns(self, image, width):
        half = np.fft.rfft2(image[:, :width]).astype("c8")
        whole = np.abs(np.fft.fftshift(np.fft.fft2(image[:, :width])))
        assert centred(half).shape == (SIZE, width)
        np.testing.assert_allclose(centred(half), whole, rtol=1e-3, atol=1e-2)

    def test_stored_as_half_with_the_rows_in_order(self, image):
        half = np.fft.fftshift(np.fft.rfft2(image), axes=0)
        assert spots(centred(half)) == EXPECTED

    def test_moduli_stored_as_half(self, image):
        assert spots(centred(np.abs(np.fft.rfft2(image)))) == EXPECTED

    def test_completed_by_the_reader_with_left_and_right_turned(self, image):
        packed = np.fft.fftshift(np.fft.rfft2(image), axes=0)
        turned = np.hstack((packed[:, ::-1], np.conjugate(packed[:, 1:-1])))
        assert spots(np.abs(turned)) != EXPECTED
        assert spots(centred(turned)) == EXPECTED

    def test_without_a_zero_frequency_nothing_is_moved(self):
        for flat in (np.zeros((8, 8), "c8"), np.full((8, 8), np.nan), np.ones((8, 5), "c8"), np.ones((2, 2), "c8")):
            np.testing.assert_array_equal(centred(flat), np.abs(flat))

    def test_a_complex_image_with_its_brightest_pixel_at_the_edge_is_no_half(self):
        wave = np.exp(1j * np.random.default_rng(2).uniform(0, 6, (16, 9)))
        wave[3, 0] = 40
        np.testing.assert_allclose(centred(wave), np.abs(wave), rtol=1e-5)


class TestAPreviewOfATransform:
    """The preview shows the whole transform, and its scale bar measures it."""

    def test_its_spots_are_at_their_places(self, image):
        half = np.fft.rfft2(image).astype("c8")
        axes = Axis(SIZE, "y", "1/nm", 0.1), Axis(SIZE // 2 + 1, "x", "1/nm", 0.1)
        reading = Reading("some format", "some reader", (Signal(half, axes, "FFT of a"),))
        picture = Image.open(io.BytesIO(png(reading, kind_of(reading, "a"))))
        assert picture.size == (500, 500)
        shown, scale = np.asarray(picture.convert("L")), 500 / SIZE
        for row, column in EXPECTED:
            at = round((row + SIZE / 2 + 0.5) * scale), round((column + SIZE / 2 + 0.5) * scale)
            assert shown[at] > 200
        mirrored = round((-5 + SIZE / 2 + 0.5) * scale), round((9 + SIZE / 2 + 0.5) * scale)
        assert shown[mirrored] < 128


@real
class TestTransformsOfInstruments:
    """What the programs stored is the same on both sides of the zero frequency, which is in the middle."""

    @pytest.mark.parametrize(
        ("name", "stored", "shown"),
        [
            ("emd_velox/FFTComplexEven.emd", (70, 36), (70, 70)),
            ("dm_nexus/Titan_FFT.dm3", (512, 512), (512, 512)),
        ],
    )
    def test_whole_and_symmetric(self, name, stored, shown):
        from Services.Builder.extraction.extractors.rosettasciio.read import read

        (signal,) = (one for one in read(DATA / name).signals if one.data.dtype.kind == "c")
        data = np.asarray(signal.data)
        assert data.shape == stored
        moduli = centred(data)
        assert moduli.shape == shown
        middle = shown[0] // 2, shown[1] // 2
        assert np.unravel_index(np.argmax(moduli), shown) == middle
        turned = moduli[1:, 1:][::-1, ::-1]
        np.testing.assert_allclose(moduli[1:, 1:], turned, rtol=1e-3, atol=1e-3 * float(np.median(moduli)))
