"""Names and labels in previews: whatever a file calls things, nothing is cut off, nothing is taken for a formula."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from Services.Builder.extraction.extractors import Axis, Reading, Signal
from Services.Builder.extraction.extractors.kinds import kind_of
from Services.Builder.preview import png
from Services.Builder.preview.lettering import ELLIPSIS, fitted_label, legible, shortened, wrapped
from Services.Builder.preview.text import font

ODD_NAMES = [
    "a very long name of an axis that goes on and on, as a program made it from seven other names",
    "W" * 80,
    "电子能量损失谱的横坐标轴名称",
    "אנרגיה של אלקטרונים",
    "🔬🧪 energy",
    r"$\frac{1}{2$ _^ \alpha {",
    "left\u202eright",
    "tab\tand\nline",
]


@pytest.fixture(autouse=True)
def silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(*signals: Signal) -> np.ndarray:
    reading = Reading("some format", "some reader", signals)
    return np.asarray(Image.open(io.BytesIO(png(reading, kind_of(reading, "a"), signals[0].title))).convert("L"))


def edge(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))


class TestLabelsStayInside:
    """No ink touches the edge of a plot, whatever its axes are called and however long their numbers are."""

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_of_a_spectrum(self, name):
        data = np.linspace(1, 2, 50)
        pixels = drawn(Signal(data, (Axis(50, name, "eV", 0.1),), name, "EELS", quantity=name))
        assert edge(pixels).min() == 255
        assert pixels.min() < 128

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_of_a_line_scan(self, name):
        axes = Axis(7, name, "nm", 1e-7), Axis(50, name, "eV", 0.1)
        pixels = drawn(Signal(np.random.default_rng(1).uniform(1, 2, (7, 50)), axes, name, "EELS", quantity=name))
        assert edge(pixels).min() == 255

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_of_a_streak_image(self, name):
        axes = Axis(40, name, "ps", 123456.7), Axis(50, "wavelength " + name, "nm", 0.001, 1000.0)
        pixels = drawn(Signal(np.random.default_rng(1).uniform(1, 2, (40, 50)), axes, name, quantity=name))
        assert edge(pixels).min() == 255

    @pytest.mark.parametrize(("scale", "offset"), [(1e-9, 1.0), (1e9, -1e12), (1e-30, 0.0), (-3.3333e-5, 7.0)])
    def test_with_numbers_of_any_length(self, scale, offset):
        pixels = drawn(Signal(np.linspace(-1e-20, -2e-20, 50), (Axis(50, "Energy", "eV", scale, offset),)))
        assert edge(pixels).min() == 255

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_captions_stay_in_their_picture(self, name):
        axes = Axis(20, "y"), Axis(20, "x")
        plain, named = (drawn(Signal(np.full((20, 20), 7.0), axes, title)) for title in ("", name))
        assert plain.shape == named.shape
        changed = np.argwhere(plain != named)
        assert changed.size
        assert changed.min() > 0
        assert changed[:, 1].max() < named.shape[1] - 1
        assert changed[:, 0].max() < 40


class TestTexts:
    """A text is shortened by the letter, wrapped at spaces, and shown with characters that the typeface has."""

    def test_what_fits_stays(self):
        assert shortened("short", font(12), 500) == "short"

    def test_a_name_keeps_its_end(self):
        name = shortened("2026-11-20_sample_with_a_long_name_0042.dm4", font(12), 150, middle=True)
        assert name.startswith("2026")
        assert name.endswith("42.dm4")
        assert ELLIPSIS in name
        assert font(12).getlength(name) <= 150

    @pytest.mark.parametrize("name", ODD_NAMES)
    @pytest.mark.parametrize("room", [20, 40, 180])
    def test_no_line_is_wider_than_the_room(self, name, room):
        letters = font(12)
        lines = wrapped(legible(name), letters, room, 3)
        assert len(lines) <= 3
        widest = max(letters.getlength(line) for line in lines)
        assert widest <= max(room, letters.getlength("…"))

    def test_a_label_is_set_smaller_before_it_is_wrapped(self):
        text = "Intensity of something (a.u.)"
        room = font(11).getlength(text) + 1
        assert fitted_label(text, room, (12, 11, 10)) == (text, 11)
        assert "\n" in fitted_label(text, room / 2, (12, 11, 10))[0]

    def test_the_unit_of_a_long_name_stays(self):
        assert fitted_label("energy " * 30 + "(eV)", 150, (12,))[0].endswith("… (eV)")

    def test_what_the_typeface_lacks_is_a_box(self):
        assert legible("Fe 中 µm Å α") == "Fe □ µm Å α"
        assert legible("中文中文中文") == "□□□…"

    def test_nothing_steers_the_writing_direction(self):
        assert legible("a\u202egnp.exe\u200b") == "agnp.exe"
