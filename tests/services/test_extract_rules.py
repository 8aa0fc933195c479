"""The rules of extraction: what a signal is, what its quantities are called, how foreign values become clean ones."""

from __future__ import annotations

import json
import logging
import pickle
import re
import struct
import warnings
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import ClassVar
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from Services.Builder.extraction.extractors import (
    Axis,
    Reading,
    Signal,
    terms,
    terms_tiff,
)
from Services.Builder.extraction.extractors.captured_output import capture_output
from Services.Builder.extraction.extractors.cleaning import json_safe, one_line, rfc3339
from Services.Builder.extraction.extractors.dimensions import measures
from Services.Builder.extraction.extractors.faults import reason
from Services.Builder.extraction.extractors.kinds import kind_of
from Services.Builder.extraction.extractors.profile import (
    NOTHING_KNOWN,
    Profile,
    ProfileNotUnderstood,
    profile,
    profile_file,
)
from Services.Builder.extraction.extractors.quantities import KNOWN, factor, quantity, symbol
from Services.Builder.extraction.extractors.rosettasciio.read import moment, section
from Services.Builder.extraction.extractors.rosettasciio.vendors import vendors_for
from Services.Builder.extraction.extractors.settings import ini
from Services.Builder.extraction.extractors.signal import main_signal
from Services.Builder.extraction.extractors.tree import lookup, put
from Services.Builder.extraction.signals.completion import completed
from Services.Builder.model import DATASET_TYPES, Quantity

NM_Y, NM_X = Axis(8, "y", "nm", 0.5), Axis(6, "x", "nm", 0.5)
Q_Y, Q_X = Axis(8, "y", "1/nm", 0.1), Axis(6, "x", "1/nm", 0.1)
RAW_Y, RAW_X = Axis(8, "y"), Axis(6, "x")
LOSS = Axis(16, "Energy loss", "eV", 0.5, 300.0)
X_RAY = Axis(16, "Energy", "keV", 1.25)


def signal(*axes: Axis, kind: str = "", title: str = "", dtype: str = "f4") -> Signal:
    return Signal(np.zeros([axis.size for axis in axes], dtype), axes, title, kind)


def reading(one: Signal, column: str | None = None, mode: str | None = None) -> Reading:
    meta = {"Imaging Mode": Quantity(mode)} if mode else {}
    return Reading("some format", "some reader", (one,), meta, column=column)


class TestWhatASignalIs:
    """001-37, 001-38: type and data type follow from dimensions, units, mode and names."""

    @pytest.mark.parametrize(
        ("one", "column", "mode", "name", "expected"),
        [
            (signal(NM_Y, NM_X), "TEM", None, "a", ("Image", "TEM_Imaging", "image")),
            (signal(NM_Y, NM_X), "STEM", "DIFFRACTION", "a", ("Image", "STEM_Imaging", "image")),
            (signal(NM_Y, NM_X), "SEM", None, "a", ("Image", "SEM_Imaging", "image")),
            (signal(RAW_Y, RAW_X), None, None, "a", ("Image", "Imaging", "image")),
            (signal(Q_Y, Q_X), "TEM", None, "a", ("Diffraction", "TEM_Diffraction", "diffraction")),
            (signal(RAW_Y, RAW_X), "TEM", "DIFFRACTION", "a", ("Diffraction", "TEM_Diffraction", "diffraction")),
            (signal(RAW_Y, RAW_X), None, None, "Au_SAED_40cm", ("Diffraction", "TEM_Diffraction", "diffraction")),
            (signal(NM_Y, NM_X), "TEM", None, "after_SAED", ("Image", "TEM_Imaging", "image")),
            (signal(RAW_Y, RAW_X), None, None, "sadly", ("Image", "Imaging", "image")),
            (signal(Q_Y, Q_X, dtype="c8"), "STEM", None, "a", ("Diffraction", "STEM_FFT", "diffraction")),
            (signal(Q_Y, Q_X, title="FFT of A"), "STEM", None, "a", ("Diffraction", "STEM_FFT", "diffraction")),
            (signal(NM_Y, NM_X, kind="CL"), "SEM", None, "a", ("Image", "SEM_CL", "image")),
            (signal(NM_Y, NM_X, kind="EELS"), "STEM", None, "map", ("Image", "STEM_EELS", "image")),
            (signal(Q_Y, Q_X, kind="EELS"), "TEM", None, "a", ("Diffraction", "TEM_Diffraction", "diffraction")),
            (signal(RAW_Y, RAW_X, kind="EELS"), "TEM", "DIFFRACTION", "a",
             ("Diffraction", "TEM_Diffraction", "diffraction")),
            (signal(RAW_Y, RAW_X, kind="CL"), "TEM", "DIFFRACTION", "a", ("Image", "TEM_CL", "image")),
            (signal(LOSS, kind="EELS"), "STEM", None, "a", ("Spectrum", "STEM_EELS", "spectrum")),
            (signal(LOSS, kind="EELS"), None, None, "a", ("Spectrum", "TEM_EELS", "spectrum")),
            (signal(LOSS), "TEM", None, "a", ("Spectrum", "TEM_EELS", "spectrum")),
            (signal(LOSS), None, None, "a", ("Spectrum", "Spectroscopy", "spectrum")),
            (signal(X_RAY, kind="EDS_SEM"), None, None, "a", ("Spectrum", "SEM_EDS", "spectrum")),
            (signal(X_RAY), "TEM", None, "a", ("Spectrum", "TEM_EDS", "spectrum")),
            (signal(NM_Y, NM_X, X_RAY, kind="EDS_TEM"), "TEM", "", "", ("SpectrumImage", "STEM_EDS", "spectrum image")),
            (signal(LOSS, NM_Y, NM_X, kind="EELS"), "STEM", "", "", ("SpectrumImage", "STEM_EELS", "spectrum image")),
            (signal(NM_X, X_RAY, kind="EDS_SEM"), "SEM", None, "a", ("SpectrumImage", "SEM_EDS", "spectrum image")),
            (signal(NM_Y, NM_X, Q_Y, Q_X), "STEM", None, "a", ("Diffraction", "STEM_4D", "4D")),
            (signal(Axis(5, "time", "s"), Q_Y, Q_X), "TEM", None, "a", ("Diffraction", "TEM_Diffraction", "stack")),
            (signal(Axis(5, "z"), NM_Y, NM_X), "TEM", None, "a", ("Image", "TEM_Imaging", "stack")),
            (signal(Axis(9, "Time", "s")), None, None, "a", ("Misc", "Time_Series", "curve")),
            (signal(Axis(9, "x", "nm")), "TEM", None, "a", ("Misc", "TEM_Profile", "curve")),
            (signal(Axis(9, "Wavelength", "nm")), None, None, "a", ("Spectrum", "Optical_Spectroscopy", "spectrum")),
            (signal(Axis(9, "Raman shift", "1/cm")), None, None, "a", ("Spectrum", "Raman", "spectrum")),
        ],
    )  # fmt: skip
    def test_by_its_axes(self, one, column, mode, name, expected):
        kind = kind_of(reading(one, column, mode), name)
        assert (kind.dataset_type, kind.data_type, kind.layout) == expected
        assert kind.dataset_type in DATASET_TYPES

    def test_text_is_notes_and_nothing_is_unknown(self):
        assert kind_of(Reading("text", "text", text="x"), "a").dataset_type == "Notes"
        assert kind_of(Reading("f", "r"), "a").dataset_type == "Unknown"

    def test_dimensions_of_one_element_do_not_make_a_stack(self):
        kind = kind_of(reading(signal(Axis(1, "z"), NM_Y, NM_X), "TEM"), "a")
        assert (kind.layout, kind.measured) == ("image", (1, 2))

    def test_the_largest_signal_is_the_main_one_and_a_calibrated_one_wins(self):
        survey, spectra = signal(NM_Y, NM_X), signal(NM_Y, NM_X, X_RAY)
        thumbnail, picture = signal(RAW_Y, RAW_X), signal(NM_Y, NM_X)
        assert main_signal((survey, spectra)) is spectra
        assert main_signal((thumbnail, picture)) is picture
        assert main_signal(()) is None


class TestOneNameAndUnitPerQuantity:
    """001-36: a quantity has one name and one unit, whatever the vendor writes it in."""

    @pytest.mark.parametrize(
        ("name", "value", "unit", "expected"),
        [
            ("Acceleration Voltage", 200000.0, "V", Quantity(200, "kV")),
            ("Acceleration Voltage", "300", "kV", Quantity(300, "kV")),
            ("Stage X", -0.00040867137696, "m", Quantity(-408.671, "µm")),
            ("Stage Z", 0.0350339, "mm", Quantity(35.034, "µm")),
            ("Stage Alpha", 0.0121551, "rad", Quantity(0.696, "°")),
            ("Dwell Time", "0.000012", "s", Quantity(12, "µs")),
            ("Dwell Time", 3.2400001525878905e-05, "s", Quantity(32.4, "µs")),
            ("Magnification", "50.00 K X", None, Quantity(50000)),
            ("Pixel Size", 4.41942e-07, "m", Quantity(441.942, "nm")),
            ("Reciprocal Pixel Size", 98.0158, "1/µm", Quantity(0.0980158, "1/nm")),
            ("Beam Current", 6.25e-12, "A", Quantity(0.00625, "nA")),
            ("Operator", "007", None, Quantity("007")),
            ("Elements", ["Al", "Cu"], None, Quantity("Al, Cu")),
            ("Binning", (1, 26), None, Quantity("1 × 26")),
            ("Something New", 1.5, "T", Quantity(1.5, "T")),
            ("Stage X", 3.0, "parsnips", Quantity(3, "parsnips")),
            ("Acceleration Voltage", "300kV", "V", Quantity(300, "kV")),
            ("Sensor Bias", "120 V", None, Quantity(120, "V")),
            ("Chamber Pressure", "4.89E-07", "torr", Quantity(6.519464e-05, "Pa")),
            ("Dwell Time", 51.2, "µs", Quantity(51.2, "µs")),
        ],
    )
    def test_values_are_converted_to_the_usual_unit(self, name, value, unit, expected):
        assert quantity(name, value, unit) == expected

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "", "  ", [], {"a": 1}, np.float32("nan")])
    def test_what_says_nothing_is_left_out(self, value):
        assert quantity("Stage X", value, "m") is None

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Working Distance", -1.0),
            ("Camera Length", -255),
            ("Specimen", "Undefined"),
            ("Specimen", '""'),
            ("Operator", "Enter User Name"),
            ("Signal Name", "__unnamed__"),
            ("Comment", "The calibration files names are saved in the 'Original notes' array of the metadata."),
        ],
    )
    def test_what_programs_write_for_nothing_is_left_out(self, name, value):
        assert quantity(name, value, KNOWN[name].unit) is None

    def test_a_text_is_shown_without_its_quotation_marks(self):
        assert quantity("Specimen", '"Gold"') == Quantity("Gold")
        assert quantity("Comment", 'a "new" holder') == Quantity('a "new" holder')

    def test_a_switch_is_no_name(self):
        tags = {"dp_optibeam": ("OptiBeam Is", False), "dp_optimode": ("OptiBeam Mode", "Resolution")}
        assert terms.applied(terms_tiff.ZEISS_TIFF, {"CZ_SEM": tags}) == {"Lens Mode": Quantity("Resolution")}
        assert quantity("Lens Mode", False) is None

    def test_a_zero_that_means_unknown_is_left_out_and_another_is_kept(self):
        assert quantity("Beam Current", 0.0, "nA") is None
        assert quantity("Stage Alpha", 0.0, "°") == Quantity(0, "°")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("um", "µm"), ("μm", "µm"), ("1 / nm", "1/nm"), ("nm^-1", "1/nm"), ("1/um", "1/µm"), ("[]", None),
            ("", None), (None, None), ("Energy Loss (eV)", "eV"), ("Energy (EV)", "eV"), ("pix", None), ("mR", "mrad"),
            ("degrees", "°"), ("[n_m]", "nm"), ("[k_V]", "kV"), ("Volts", "V"),
            ("angstrom", "Å"), ("keV", "keV"), ("T", "T"), ("Secs", "s"), ("msec", "ms"), ("Mins", "min"), ("hrs", "h"),
        ],
    )  # fmt: skip
    def test_unit_symbols_are_normalised(self, text, expected):
        assert symbol(text) == expected

    def test_pixels_and_energies_from_the_axes(self):
        one = signal(NM_Y, NM_X, Axis(2048, "Energy", "eV", 10.0, -200.0), kind="EDS_TEM")
        found = measures(one, kind_of(reading(one, "TEM"), "a"))
        assert found == {
            "Data Shape": Quantity("6 × 8 × 2048"),
            "Step Size": Quantity(0.5, "nm"),
            "Dispersion": Quantity(10, "eV"),
            "Energy Range": Quantity("-0.2 to 20.27 keV"),
        }

    def test_pixels_that_are_not_square_have_two_sizes(self):
        one = signal(Axis(8, "y", "nm", 2.0), Axis(6, "x", "nm", 0.5))
        found = measures(one, kind_of(reading(one), "a"))
        assert (found["Pixel Size"].value, found["Pixel Size Y"].value) == (0.5, 2)

    def test_every_name_in_the_table_of_terms_is_one_that_is_shown_in_one_unit(self):
        tables = [value for name, value in vars(terms).items() if name.isupper()]
        assert sum(len(table) for table in tables) > 150
        assert {rule.name for table in tables for rule in table} <= set(KNOWN)
        for rule in (rule for table in tables for rule in table):
            known = KNOWN[rule.name].unit
            assert rule.unit is None or known is None or factor(rule.unit, known), rule


class TestInstrumentProfiles:
    """001-36, 001-40: what is known to be wrong on one microscope is put right, or marked, in every format."""

    META: ClassVar = {"Spot Size": Quantity(3), "Camera Length": Quantity(100, "mm"), "Stage Beta": Quantity(0, "°")}

    def test_each_kind_of_correction_is_applied(self):
        found = profile(
            {
                "rename": "Spot Size = Gun Lens",
                "scale": "Camera Length = 1.07; Gun Lens = 2",
                "set": "Instrument = Titan 80-300; Spherical Aberration = 1.2 mm; Operator = 007; Defocus = 0.1 µm",
                "drop": "Stage Beta; Nothing Like It",
                "warn": "Camera Length",
            }
        ).corrected(self.META)
        assert found == {
            "Gun Lens": Quantity(6),
            "Camera Length": Quantity(107, "mm", warning=True),
            "Instrument": Quantity("Titan 80-300"),
            "Spherical Aberration": Quantity(1.2, "mm"),
            "Operator": Quantity("007"),
            "Defocus": Quantity(100, "nm"),
        }

    def test_none_changes_nothing(self):
        assert NOTHING_KNOWN.corrected(self.META) == profile({}).corrected(self.META) == self.META
        assert profile({"drop": "", "warn": None, "set": "  "}) == NOTHING_KNOWN

    def test_a_file_of_the_facilitys_own(self, tmp_path):
        path = tmp_path / "FEI-Titan-TEM.toml"
        path.write_text('drop = ["Stage Beta"]\n[scale]\n"Camera Length" = 1.07\n[set]\nInstrument = "Titan"\n')
        found = profile_file(path, ZoneInfo("Asia/Tokyo"))
        assert found.zone == ZoneInfo("Asia/Tokyo")
        assert found.corrected(self.META) == {
            "Spot Size": Quantity(3),
            "Camera Length": Quantity(107, "mm"),
            "Instrument": Quantity("Titan"),
        }

    @pytest.mark.parametrize(
        ("entries", "said"),
        [
            ({"scale": "Camera Length = much"}, "'much' for Camera Length is not a number"),
            ({"scale": "Camera Length = nan"}, "'nan' for Camera Length is not a number"),
            ({"rename": "Spot Size"}, "'Spot Size' is not of the form 'name = value'"),
            ({"scael": "x = 1"}, "'scael' is not understood: there are only rename, scale, set, drop, warn"),
        ],
    )
    def test_a_mistake_is_said_in_a_sentence(self, entries, said):
        with pytest.raises(ProfileNotUnderstood, match=re.escape(said)):
            profile(entries)

    def test_a_file_that_is_no_toml(self, tmp_path):
        (tmp_path / "a.toml").write_text("drop = [")
        with pytest.raises(ProfileNotUnderstood, match=r"file a\.toml"):
            profile_file(tmp_path / "a.toml")

    def test_it_reaches_a_process(self):
        one = profile({"warn": "Stage X"}, ZoneInfo("Europe/Oslo"))
        assert pickle.loads(pickle.dumps(one)) == one


class TestReadersMetadataAreCompleted:
    """The mapping that a reader returns is applied, and vendors' own units are known."""

    def test_paths_are_found_however_their_keys_are_spelled(self):
        tree = {"Info": {"Exposure (s)": 2.0, "High tension_kV": 300.0}, "a.b": {"c": 1}}
        assert lookup(tree, "Info.Exposure_s") == 2.0
        assert lookup(tree, "Info.High_tension_kV") == 300.0
        assert lookup(tree, "a.b.c") == 1
        assert lookup(tree, "Info.Nothing") is None
        assert lookup(tree, "") is None

    def test_a_function_gets_branches_as_hyperspys_trees(self):
        tags: dict[str, object] = {"Tags": {"Exposure (s)": 0.5, "Deep": {"Er": 1}}}
        mapping = {"Tags": ("A.sum", lambda tree: tree.Exposure_s + tree.get_item("Deep.Er"))}
        found = completed({"data": np.zeros(1), "metadata": {}, "original_metadata": tags, "mapping": mapping})
        assert found.metadata == {"A": {"sum": 1.5}}

    def test_a_failing_function_costs_only_its_entry(self):
        mapping = {"V": ("A.bad", lambda _value: 1 / 0), "W": ("A.good", None), "X": None, "Y": ("A.absent", None)}
        tags = {"V": 1, "W": 2, "X": 3}
        with capture_output() as heard:
            found = completed(
                {"data": np.zeros(1), "metadata": {"A": {}}, "original_metadata": tags, "mapping": mapping}
            )
        assert found.metadata == {"A": {"good": 2}}
        assert any("division by zero" in message for message in heard.messages)

    def test_put_makes_branches(self):
        tree = {"a": 1}
        put(tree, "b.c.d", 2)
        assert tree == {"a": 1, "b": {"c": {"d": 2}}}

    def test_the_microscope_a_file_says_more_of(self):
        column, reported = section(
            {"Acquisition_instrument": {"SEM": {"x": {"y": 1}}, "TEM": {"a": 1, "b": 2}, "k": 3}}
        )
        assert (column, reported) == ("TEM", {"a": 1, "b": 2, "k": 3})
        assert section({}) == (None, {})

    def test_settings_as_ini_keep_their_spelling(self):
        assert ini("[SEM]\r\nStageX=0.1\r\nBroken\r\n[FIB]\nHV=3") == {
            "SEM": {"StageX": "0.1", "Broken": ""},
            "FIB": {"HV": "3"},
        }
        assert ini("no section = 1") == {}

    def test_windows_clock_of_digitalmicrograph_is_utc(self):
        tags = {"DataBar": {"Acquisition Date": "7/31/2019", "Acquisition Time (OS)": 1.3209060852325026e17}}
        ((vendor, tree),) = vendors_for("DigitalMicrograph", {"ImageList": {"TagGroup0": {"ImageTags": tags}}})
        assert vendor.acquired(tree) == datetime(2019, 7, 31, 15, 34, 12, tzinfo=UTC)


class TestTimesAreAware:
    """001-39: the time of acquisition has an offset; without one in the file it is that of the machine's zone."""

    @pytest.fixture(autouse=True)
    def in_berlin(self, monkeypatch):
        import time

        monkeypatch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
        monkeypatch.undo()
        time.tzset()

    @pytest.mark.parametrize(
        ("general", "expected"),
        [
            ({"date": "2019-07-31", "time": "11:34:12"}, "2019-07-31T11:34:12+02:00"),
            ({"date": "2019-12-31", "time": "11:34:12"}, "2019-12-31T11:34:12+01:00"),
            ({"date": "2019-07-31", "time": "11:34:12", "time_zone": "UTC"}, "2019-07-31T11:34:12Z"),
            ({"date": "2019-07-31", "time": "11:34:12", "time_zone": "+09:00"}, "2019-07-31T11:34:12+09:00"),
            ({"date": "2019-07-31", "time": "11:34:12", "time_zone": "America/New_York"}, "2019-07-31T11:34:12-04:00"),
            # some readers convert to the machine's zone and give today's abbreviation, whatever the date
            ({"date": "2019-07-31", "time": "11:34:12", "time_zone": "CET"}, "2019-07-31T11:34:12+02:00"),
            ({"date": "2019-07-31", "time": "11:34:12-05:00", "time_zone": "EST"}, "2019-07-31T11:34:12-05:00"),
            ({"date": "2019-07-31", "time": "11:34:12.123456789"}, "2019-07-31T11:34:12.123456+02:00"),
        ],
    )
    def test_times_get_the_right_offset(self, general, expected):
        assert rfc3339(NOTHING_KNOWN.aware(moment({"General": general}))) == expected

    def test_the_instruments_zone_counts_before_the_machines(self):
        there = Profile(zone=ZoneInfo("America/New_York"))
        naive = moment({"General": {"date": "2019-07-31", "time": "11:34:12"}})
        assert rfc3339(there.aware(naive)) == "2019-07-31T11:34:12-04:00"
        known = moment({"General": {"date": "2019-07-31", "time": "11:34:12", "time_zone": "UTC"}})
        assert rfc3339(there.aware(known)) == "2019-07-31T11:34:12Z"
        # what a reader converted to the machine's zone stays in it
        converted = moment({"General": {"date": "2019-07-31", "time": "11:34:12", "time_zone": "UTC"}}, trusted=False)
        assert rfc3339(there.aware(converted)) == "2019-07-31T11:34:12+02:00"

    @pytest.mark.parametrize(
        "general", [{}, {"date": "2019-07-31"}, {"date": "", "time": ""}, {"date": 5, "time": "x"}]
    )
    def test_no_time_is_no_time(self, general):
        assert moment({"General": general}) is None


class TestForeignValuesBecomeClean:
    """Metadata in JSON and XML hold no control characters, no NaN and no huge arrays."""

    def test_text_is_cleaned_and_cut(self):
        assert one_line("A\x00\x07 B\r\n\tC\udc80 ") == "A B C"
        assert one_line(b"\xb5m") == "µm"
        assert one_line("x" * 600).endswith("…")

    def test_any_value_becomes_strict_json(self):
        class Colour(Enum):
            RED = 1

        value = {
            "nan": float("nan"), "numpy": np.float32(0.5), "array": np.zeros((100, 100)), "few": np.arange(3),
            "long": list(range(1000)), "raw": b"abc\0\0", "binary": b"\0\1\2", "enum": Colour.RED, 5: {1, 2},
            "when": datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), "path": Path("/a"), "odd": object, "c": 1 + 2j,
            "bad": "x\x00y\ud800", "bytes_": np.bytes_(b"Number"), "infinite": [float("inf"), 1],
        }  # fmt: skip
        safe = json.loads(json.dumps(json_safe(value), allow_nan=False))
        assert safe["nan"] is None and safe["infinite"] == [None, 1]
        assert safe["array"] == {"array": [100, 100], "type": "float64"}
        assert safe["few"] == [0, 1, 2]
        assert safe["long"] == {"numbers": 1000, "minimum": 0, "maximum": 999}
        assert (safe["raw"], safe["binary"], safe["enum"], safe["bad"]) == ("abc", "<3 bytes>", "RED", "xy")
        assert safe["when"] == "2020-01-02T03:04:05+00:00"
        assert safe["5"] == [1, 2]

    def test_a_tree_without_end_ends(self):
        endless = {}
        endless["again"] = endless
        assert json.dumps(json_safe(endless))


class TestFaultsAreSentences:
    """A reader's exception becomes a reason that a person understands."""

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (struct.error("unpack requires a buffer of 4 bytes"), "the file ends too early"),
            (ValueError("cannot reshape array of size 3"), "the file ends too early"),
            (OSError("Unable to open file (file signature not found)"), "it is not a complete HDF5 file"),
            (MemoryError(), "it needs more memory than one file is allowed"),
            (PermissionError(13, "no", "/x"), "this process may not read it"),
            (FileNotFoundError(2, "no", "/data/sub/b.img"), "it needs the file sub/b.img, which is missing"),
            (RuntimeError("what\nis\x00 this."), "its reader gave up (RuntimeError: what is this)"),
        ],
    )
    def test_each_exception_has_a_sentence(self, error, expected):
        assert reason(error, Path("/data/a.asw")) == expected


class TestReadersAreHeardNotSeen:
    """What readers warn, log and print is kept and reaches neither terminal nor log."""

    def test_everything_is_collected(self, capfd, caplog):
        with capture_output() as heard:
            warnings.warn("odd calibration", UserWarning, stacklevel=1)
            warnings.warn("old code", DeprecationWarning, stacklevel=1)
            logging.getLogger("rsciio.tia").error("lazy %s", "msa")
            print("Traceback-like noise")
        out = capfd.readouterr()
        assert (out.out, out.err, caplog.records) == ("", "", [])
        assert heard.remarks == ["odd calibration"]
        assert heard.messages[0] == "ERROR rsciio.tia: lazy msa"
        assert heard.messages[-1] == "Traceback-like noise"
        assert not any("old code" in message for message in heard.messages)

    def test_loggers_are_put_back_after_an_exception(self):
        logger = logging.getLogger("rsciio")
        before = list(logger.handlers), logger.propagate
        with pytest.raises(KeyError), capture_output():
            raise KeyError
        assert (logger.handlers, logger.propagate) == before
