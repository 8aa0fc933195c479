"""Previews of what a spectrometer resolves twice, of colours, of channels, and of files with many signals."""

from __future__ import annotations

import io

import dask.array as da
import numpy as np
import pytest
from PIL import Image

from Services.Builder.extraction.extractors import Axis, Reading, Signal
from Services.Builder.extraction.extractors.dimensions import readable
from Services.Builder.extraction.extractors.kinds import Kind, kind_of
from Services.Builder.preview import SIZE, png
from Services.Builder.preview.captions import caption
from Services.Builder.preview.channels import channel_names
from Services.Builder.preview.colour import pixels
from Services.Builder.preview.labels import ordinate, titled
from Services.Builder.preview.order import preview_order
from Services.Builder.preview.shown_dimensions import colour_axis, measured_plane, scan_plane

RGB8, RGB16, RGBA = ([(name, kind) for name in names] for names, kind in (("RGB", "u1"), ("RGB", "u2"), ("RGBA", "u1")))


def reading_of(*signals: Signal) -> Reading:
    return Reading("some format", "some reader", signals)


def drawn(signal: Signal) -> Image.Image:
    reading = reading_of(signal)
    return Image.open(io.BytesIO(png(reading, kind_of(reading, "a")))).convert("RGB")


def um(size: int, name: str) -> Axis:
    return Axis(size, name, "µm", 0.5, navigate=True)


def wavelength(size: int, unit: str = "nm", scale: float = 1.0, offset: float = 400.0) -> Axis:
    return Axis(size, "Wavelength", unit, scale, offset, navigate=False)


class TestSpectraResolvedTwice:
    """Of time- or angle-resolved spectra: the map of the specimen, and below it both measured axes."""

    @pytest.mark.parametrize(
        "second", [Axis(6, "Time", "ns", 0.1, navigate=False), Axis(6, "Angle", None, navigate=False)]
    )
    def test_the_map_is_of_the_specimen(self, second):
        data = np.zeros((10, 20, 6, 30))
        data[:, 10:] = 5  # the right half of the specimen is bright
        data[..., 0] += np.arange(6)
        signal = Signal(data, (um(10, "Y"), um(20, "X"), second, wavelength(30)))
        kind = kind_of(reading_of(signal), "a")
        assert scan_plane(signal, kind) == (0, 1)
        assert measured_plane(signal, kind) == (2, 3)
        picture = drawn(signal)
        assert max(picture.size) <= SIZE
        shown = np.asarray(picture.convert("L"), int)
        assert shown[20, 100] < 60 < 200 < shown[20, 400]

    def test_a_streak_image_has_both_axes(self):
        signal = Signal(np.random.default_rng(1).uniform(size=(50, 60)), (Axis(50, "Time", "ns"), wavelength(60)))
        assert measured_plane(signal, kind_of(reading_of(signal), "a")) in ((0, 1), None)
        assert max(drawn(signal).size) == SIZE

    def test_the_wavelength_runs_to_the_right(self):
        axes = wavelength(30), Axis(20, "Time", "ns", navigate=False)
        signal = Signal(np.zeros((30, 20)), axes)
        kind = kind_of(reading_of(signal), "a")
        if len(kind.measured) == 2:
            assert measured_plane(signal, kind) == (1, 0)

    def test_frames_before_the_map_are_frames(self):
        axes = Axis(3, "Time", "s"), um(4, "Y"), um(5, "X"), wavelength(30)
        signal = Signal(np.zeros((3, 4, 5, 30)), axes)
        kind = kind_of(reading_of(signal), "a")
        assert scan_plane(signal, kind) == (1, 2)
        assert measured_plane(signal, kind) is None

    def test_a_spectrum_of_two_dimensions_is_drawn_whatever_they_are_called(self):
        axes = um(4, "Y"), um(5, "X"), Axis(6, "something", None, navigate=False), wavelength(30)
        signal = Signal(np.random.default_rng(1).uniform(size=(4, 5, 6, 30)), axes)
        kind = Kind("SpectrumImage", "CL", "spectrum image", (0, 1), (2, 3))
        assert measured_plane(signal, kind) == (2, 3)
        assert png(reading_of(signal), kind).startswith(b"\x89PNG")

    def test_an_image_is_no_such_picture(self):
        for axes in ((um(4, "Y"), um(5, "X")), (Axis(4), Axis(5)), (Axis(4, "y", "1/nm"), Axis(5, "x", "1/nm"))):
            signal = Signal(np.zeros((4, 5)), axes)
            assert measured_plane(signal, kind_of(reading_of(signal), "a")) is None


class TestAxesAreReadable:
    """Wavelengths are in nm, X-ray energies in keV; an ordinate says what it is."""

    @pytest.mark.parametrize(
        ("unit", "scale", "offset"), [("m", 1e-9, 4e-7), ("µm", 0.001, 0.4), ("Å", 10, 4000), ("nm", 1, 400)]
    )
    def test_wavelengths_are_in_nanometres(self, unit, scale, offset):
        shown = readable(Axis(100, "Wavelength", unit, scale, offset))
        assert shown.unit == "nm"
        assert shown.ends == pytest.approx((400, 499))
        uneven = readable(Axis(2, "Wavelength", unit, values=(offset, offset + 3 * scale)))
        assert uneven.ends == pytest.approx((400, 403))

    def test_lengths_stay_what_they_are(self):
        assert readable(Axis(100, "x", "µm")).unit == "µm"

    def test_energies(self):
        assert readable(Axis(2048, "Energy", "eV", 10.0)).unit == "keV"
        assert readable(Axis(2048, "Energy", "eV", 1.0)).unit == "eV"
        assert readable(Axis(2, "Energy", "eV", values=(0.0, 20_000.0))).ends == pytest.approx((0, 20))

    def test_names_and_units(self):
        assert titled(Axis(3, "x", "1/nm"), "Position") == "Spatial frequency (nm⁻¹)"
        assert titled(Axis(3, "", "eV"), "Position") == "Energy (eV)"
        assert titled(Axis(3), "Position") == "Position"

    def test_ordinates(self):
        counted = Signal(np.zeros(3, "u2"), (Axis(3),), signal_type="EDS_SEM")
        assert ordinate(counted) == "Counts"
        assert ordinate(Signal(np.zeros(3), (Axis(3),))) == "Intensity (a.u.)"
        assert ordinate(Signal(np.zeros(3), (Axis(3),), quantity="Current (nA)")) == "Current (nA)"
        assert ordinate(Signal(np.zeros(3), (Axis(3),), quantity="Temperature (Celsius)")) == "Temperature (°C)"
        assert ordinate(Signal(np.zeros(3), (Axis(3),), quantity="X-rays (a.u.)")) == "X-rays (a.u.)"


class TestColours:
    """A colour stays the colour that it is, whatever numbers a file stores it in."""

    @pytest.mark.parametrize(
        ("kind", "orange"),
        [
            (RGB8, (255, 128, 0)),
            (RGB16, (65535, 32896, 0)),
            (RGB16, (4095, 2055, 0)),
            (RGB16, (255, 128, 0)),
            ([(name, "f4") for name in "RGB"], (1.0, 0.5, 0.0)),
            ([(name, "f8") for name in "RGB"], (1.0, 0.5, float("nan"))),
        ],
    )
    def test_of_structured_pixels(self, kind, orange):
        image = np.zeros((8, 9), kind)
        image[:, :] = orange
        colour = drawn(Signal(image, (Axis(8), Axis(9)))).getpixel((250, 250))
        assert colour == pytest.approx((255, 128, 0), abs=1)

    def test_what_is_transparent_shows_white(self):
        image = np.zeros((1, 3), RGBA)
        image[0] = [(0, 0, 0, 0), (200, 0, 0, 255), (0, 0, 0, 127)]
        assert pixels(image)[0].tolist() == [[255, 255, 255], [200, 0, 0], [128, 128, 128]]

    def test_opacity_that_was_never_set_hides_nothing(self):
        image = np.zeros((1, 1), RGBA)
        image[0, 0] = (10, 20, 30, 0)
        assert pixels(image)[0].tolist() == [[10, 20, 30]]

    @pytest.mark.parametrize("place", [0, 2])
    def test_of_planes_and_of_numbers_beside_one_another(self, place):
        image = np.moveaxis(np.full((8, 9, 3), (1.0, 0.5, 0.0), "f4"), 2, place)
        axes = [Axis(8, "y"), Axis(9, "x")]
        axes.insert(place, Axis(3, "RGB"))
        for data in (image, da.from_array(image)):
            signal = Signal(data, tuple(axes))
            assert colour_axis(signal) == place
            assert drawn(signal).getpixel((250, 250)) == (255, 128, 0)

    def test_three_frames_are_no_colours(self):
        assert colour_axis(Signal(np.zeros((3, 8, 9)), (Axis(3, "z"), Axis(8), Axis(9)))) is None
        assert colour_axis(Signal(np.zeros((3, 8)), (Axis(3, "RGB"), Axis(8)))) is None

    def test_of_a_stack(self):
        stack = np.zeros((2, 8, 9), RGB8)
        stack["B"][1] = 255
        assert (0, 0, 255) in {
            color for _, color in drawn(Signal(stack, (Axis(2, "z"), Axis(8), Axis(9)))).getcolors(99999)
        }


class TestChannels:
    """The tiles of a stack have the names of its channels, where the file knows them."""

    @pytest.mark.parametrize(
        "tree",
        [
            {"ImageJ": {"Labels": ["DAPI", "GFP"]}},
            {"a": {"channel_names": ("DAPI", "GFP")}},
            {"ImageDescription": '<OME><Channel ID="1" Name="DAPI"/><ome:Channel Color="3" Name="GFP" ID="2"/></OME>'},
        ],
    )
    def test_from_the_files_metadata(self, tree):
        signal = Signal(np.zeros((2, 8, 9)), (Axis(2, "c"), Axis(8), Axis(9)), original_metadata=tree)
        assert channel_names(signal, kind_of(reading_of(signal), "a")) == ["DAPI", "GFP"]

    @pytest.mark.parametrize(
        "tree", [{}, {"Labels": ["a"]}, {"Labels": ["a", "a"]}, {"Labels": [1, 2]}, {"x": ["a", "b"]}]
    )
    def test_none_is_made_up(self, tree):
        signal = Signal(np.zeros((2, 8, 9)), (Axis(2, "c"), Axis(8), Axis(9)), original_metadata=tree)
        assert channel_names(signal, kind_of(reading_of(signal), "a")) == []


class TestManySignals:
    """What sums up the others is drawn first, parts of a detector last."""

    def test_the_order(self):
        titles = ["DF4-A", "SuperXG11", "Fe", "HAADF", "Sum spectrum", "EDS"]
        signals = [Signal(np.zeros((4, 4)), (Axis(4), Axis(4)), title) for title in titles]
        main = signals[5]
        assert [titles[at] for at in preview_order(signals, main)] == [
            "EDS", "Sum spectrum", "HAADF", "Fe", "DF4-A", "SuperXG11",
        ]  # fmt: skip

    def test_a_map_says_what_it_shows(self):
        def said(title: str, *others: str, name: str = "a") -> str:
            signals = [Signal(np.zeros((4, 4)), (Axis(4), Axis(4)), one) for one in (title, *others)]
            return caption(reading_of(*signals), signals[0], name)

        assert said("Fe") == "Fe"
        assert said("Fe Kα") == "Fe Kα"
        assert said("HAADF", "BF") == "HAADF"
        assert said("IMG1") == ""
        assert said("Image", "Image") == ""
        assert said("a", "b") == ""
