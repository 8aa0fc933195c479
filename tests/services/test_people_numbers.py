"""Numbers as people and their PCs write them, and units of x and y."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors.dimensions import measures
from Services.Builder.extraction.extractors.kinds import Kind
from Services.Builder.extraction.extractors.people_numbers import decimal_mark, decimal_point
from Services.Builder.extraction.extractors.quantities import alike, dimension, factor, quantity, symbol
from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.signal import Axis, Signal, in_one_unit
from Services.Builder.extraction.extractors.terms import Rule, applied
from Services.Builder.model import Quantity


class TestDecimalMarks:
    """A comma may be a decimal mark or divide thousands; what it is, is not guessed."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1,5 kV", "1.5 kV"), ("1,5kV", "1.5kV"), ("0,123", "0.123"), ("12,34567", "12.34567"),
            ("-0,5e-3", "-0.5e-3"),
            ("1.234,5", "1234.5"), ("1,234.5", "1234.5"), ("1.234.567,8 nm", "1234567.8 nm"), ("1,234,567", "1234567"),
            ("1.234.567", "1234567"), ("1'234.5", "1234.5"), ("1\u202f234,5", "1234.5"), ("\u22125,25 µm", "-5.25 µm"),
            ("200", "200"), ("1.234", "1.234"), ("1234,567", "1234.567"), ("1.5E+3", "1.5E+3"),
        ],
    )  # fmt: skip
    def test_clear_ones(self, text: str, expected: str) -> None:
        assert decimal_point(text) == (expected, "")

    @pytest.mark.parametrize(
        "text", ["1,2,3", "1, 2", "2.4.1", "1,23,456", "12:30:05", "1,5 2,5", "x 1,5", "", "1.2,3,4"]
    )
    def test_lists_versions_and_times_stay(self, text: str) -> None:
        assert decimal_point(text) == (text, "")

    def test_an_open_one_says_so(self) -> None:
        assert decimal_point("1,234 nm") == ("1,234 nm", "'1,234 nm' may be 1.234 or 1234: its comma is unclear.")
        assert decimal_point("1,234 nm", ",") == ("1.234 nm", "")
        assert decimal_point("1,234 nm", ".") == ("1234 nm", "")

    def test_the_files_other_numbers_tell(self) -> None:
        assert decimal_mark({"a": "0,5", "b": {"c": "200 kV"}}) == ","
        assert decimal_mark({"a": "0.25 nm"}) == "."
        assert decimal_mark({"a": "0,5", "b": "0.5"}) is None
        assert decimal_mark({"a": "1,234", "b": "2019-01-01", "c": "v2.4"}) is None

    def test_in_a_quantity(self) -> None:
        assert quantity("Acceleration Voltage", "1,5 kV") == Quantity(1.5, "kV")
        assert quantity("Acceleration Voltage", "15.000,0", "V") == Quantity(15, "kV")
        doubtful = quantity("Magnification", "50,000 x")
        assert doubtful == Quantity("50,000 x", warning=True)
        assert doubtful is not None
        assert "50.000 or 50000" in doubtful.reason
        assert quantity("Comment", "1,234") == Quantity("1,234"), "a text is none of a number"

    def test_in_settings(self) -> None:
        assert (number("1,5e-9"), number("0.25"), number(3), number("1,234"), number(None)) == (1.5e-9, 0.25, 3, 0, 0)

    def test_on_an_axis(self, tmp_path: Path) -> None:
        """The reader of EMSA files hands on as a text what it cannot read as a number."""
        head = "#FORMAT : EMSA/MAS Spectral Data File\n#VERSION : 1.0\n#NPOINTS : 4\n#DATATYPE : Y\n#XUNITS : eV\n"
        head += "#SIGNALTYPE : ELS\n#XPERCHAN : 0,5\n#OFFSET : -10,0\n#BEAMKV : 200,0\n"
        (tmp_path / "a.msa").write_text(f"{head}#SPECTRUM : Spectral Data Starts Here\n1, 2, 3, 4,\n#ENDOFDATA : \n")
        found = extract(tmp_path / "a.msa", None, None)
        assert (found.dataset_type, found.meta["Dispersion"]) == ("Spectrum", Quantity(0.5, "eV"))
        assert found.meta["Energy Range"] == Quantity("-10 to -8.5 eV")
        assert found.meta["Acceleration Voltage"] == Quantity(200, "kV")

    def test_by_rules(self) -> None:
        rule = Rule("Mag", "Magnification")
        assert applied((rule,), {"Mag": "50,000", "WD": "4.5 mm"}) == {"Magnification": Quantity(50000)}
        assert applied((rule,), {"Mag": "50,000"}) == {"Magnification": Quantity("50,000", warning=True)}

    @given(st.text(max_size=70))
    def test_no_text_is_too_odd(self, text: str) -> None:
        quantity("Working Distance", text, "mm")
        decimal_mark({"a": text, "b": [text]})

    @given(st.floats(-1e6, 1e6).map(lambda number: round(number, 2)))
    def test_every_number_comes_back(self, number: float) -> None:
        german = f"{number:,.2f}".translate(str.maketrans(",.", ".,"))
        assert float(decimal_point(german)[0]) == number
        assert float(decimal_point(f"{number:,.2f}")[0]) == number


class TestUnits:
    """Units measure the same whatever prefix they have; reciprocal ones stay reciprocal."""

    @pytest.mark.parametrize(
        "text", ["1/nm", "1 / nm", "nm^-1", "nm⁻¹", "nm-1", "nm**-1", "nm$^{-1}$", "[n_m^-1]", "inverse nm"]
    )
    def test_reciprocal_nanometres(self, text: str) -> None:
        assert (symbol(text), dimension(symbol(text))) == ("1/nm", "reciprocal")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1/Å", "1/Å"), ("1/A", "1/Å"), ("Å⁻¹", "1/Å"), ("1/angstrom", "1/Å"), ("cm⁻¹", "1/cm"), ("1/cm", "1/cm"),
            ("rad", "rad"), ("mrad", "mrad"), ("mRad", "mrad"), ("deg", "°"), ("degrees", "°"), ("nanometers", "nm"),
            ("micrometers", "µm"), ("A", "A"),
        ],
    )  # fmt: skip
    def test_others(self, text: str, expected: str) -> None:
        assert symbol(text) == expected

    def test_factors(self) -> None:
        assert factor("µm", "nm") == pytest.approx(1000)
        assert factor("1/Å", "1/nm") == pytest.approx(10)
        assert factor("°", "mrad") == pytest.approx(17.453293)
        assert factor("nm", "1/nm") is None

    def test_equal_but_for_rounding(self) -> None:
        assert alike(1.0, "nm", 0.001, "µm")
        assert alike(0.2501, "nm", 0.25, "nm")
        assert not alike(1.0, "nm", 1.0, "µm")
        assert not alike(1.0, "nm", 1.0, None)
        assert not alike(1.0, "nm", 1.0, "1/nm")


class TestXAndY:
    """Height and width in different units are one picture's."""

    def sizes(self, y: Axis, x: Axis) -> dict[str, Quantity]:
        import numpy as np

        signal = Signal(np.zeros((y.size, x.size)), in_one_unit((y, x)))
        kind = Kind("Image", "TEM_Imaging", "image", (), (0, 1))
        return {name: value for name, value in measures(signal, kind).items() if name.startswith("Pixel")}

    def test_the_same_size(self) -> None:
        y, x = Axis(8, "y", "nm", 250.0, 1000.0), Axis(6, "x", "µm", 0.25, 1.0)
        assert self.sizes(y, x) == {"Pixel Size": Quantity(250, "nm")}
        unified = in_one_unit((y, x))[0]
        assert (unified.unit, unified.scale, unified.offset) == ("µm", pytest.approx(0.25), pytest.approx(1.0))

    def test_other_sizes(self) -> None:
        sizes = self.sizes(Axis(8, "y", "nm", 500.0), Axis(6, "x", "µm", 0.25))
        assert sizes == {"Pixel Size": Quantity(250, "nm"), "Pixel Size Y": Quantity(500, "nm")}

    def test_a_height_without_a_unit_has_no_size(self) -> None:
        assert self.sizes(Axis(8, "y"), Axis(6, "x", "nm", 0.5)) == {"Pixel Size": Quantity(0.5, "nm")}

    def test_what_measures_something_else_stays(self) -> None:
        axes = (Axis(4, "x", "µm", 1.0), Axis(8, "E", "eV", 2.0), Axis(8, "q", "1/nm", 2.0))
        assert in_one_unit(axes) == axes
        scan = (Axis(4, "x", "nm", 1.0, navigate=True), Axis(8, "y", "mm", 2.0, navigate=False))
        assert in_one_unit(scan) == scan, "a scan and a detector are two pictures"
