"""What a record looks like: its content, its order, its texts and its numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from Services.Builder.model import Activity, Dataset, Experiment, Notes, Project, Quantity, Sample
from Services.Builder.record.document import NAMESPACE, split_setup, to_xml, written
from Services.Builder.record.validation import validate

UNHURRIED = settings(deadline=None, database=None)

ZURICH = ZoneInfo("Europe/Zurich")
NINE = datetime(2026, 11, 20, 9, 0, tzinfo=ZURICH)
NAIVE = NINE.replace(tzinfo=None)

OVERVIEW = Dataset(
    name="003 overview.dm4",
    location="FEI-Titan-TEM/mweber/2026-11-20/003 overview.dm4",
    format="Gatan DigitalMicrograph 4",
    type="Image",
    descriptions=("Low magnification, before the spectrum image",),
    preview="FEI-Titan-TEM/mweber/2026-11-20/003 overview.dm4.thumb.png",
    meta={"Magnification": Quantity(40000.0), "Data Type": Quantity("STEM_Imaging"), "Dwell Time": Quantity(8.0, "µs")},
)
EELS = Dataset(
    name="004 O-K + Ti-L.dm4",
    location="FEI-Titan-TEM/mweber/2026-11-20/004 O-K + Ti-L.dm4",
    format="Gatan DigitalMicrograph 4",
    type="SpectrumImage",
    meta={
        "Data Type": Quantity("STEM_EELS"),
        "Convergence Angle": Quantity(21.4, "mrad"),
        "Beam Current": Quantity(5.12e-05, "µA", warning=True),
        "Zero-Loss Locked": Quantity(True),
    },
)
UNREADABLE = Dataset(
    name="broken.dm3",
    location="FEI-Titan-TEM/mweber/2026-11-20/broken.dm3",
    format="unknown",
    type="Unknown",
    descriptions=("The file ends after 1024 of 40960 bytes.",),
)
FULL = Experiment(
    title="EELS of the LaAlO3/SrTiO3 interface",
    identifier="f81d3518-10af-4fab-9bd3-cfa2b0aea807",
    instrument_pid="FEI-Titan-TEM",
    instrument_name="FEI Titan TEM",
    instrument_ref="https://nemo.example.org/api/tools/?id=10",
    experimenters=("Maria Weber",),
    collaborators=("K. Müller", "A. Okafor"),
    reservation_start=NINE,
    reservation_end=NINE + timedelta(hours=3),
    reservation_ref="https://nemo.example.org/event_details/reservation/187/",
    motivation="Is the interface sharp?\r\nSecond try, after polishing.",
    samples=(
        Sample(
            name="LAO/STO 7",
            id="sample-1",
            ref="hdl:20.500/7",
            descriptions=("Lamella, 40 nm thick", "Cut along [100]"),
            elements=("Sr", "Ti", "O", "La", "Al"),
        ),
    ),
    projects=(
        Project(name="Oxide interfaces", division="641", group="02", project_id="P-7", ref="https://p.example.org/7"),
    ),
    activities=(
        Activity(
            number=0,
            start=NINE + timedelta(minutes=7, seconds=12, milliseconds=250),
            datasets=(OVERVIEW, EELS),
            setup={"Operation Mode": Quantity("SCANNING"), "Acceleration Voltage": Quantity(200.0, "kV")},
            sample_id="sample-1",
        ),
        Activity(number=1, start=NINE + timedelta(hours=1), datasets=(UNREADABLE,)),
    ),
    notes=(Notes("NexusCore", ("One file could not be read: broken.dm3.", "")),),
)
MINIMAL = Experiment(
    title="Session at the FEI Titan TEM",
    identifier="S-1",
    instrument_pid="FEI-Titan-TEM",
    instrument_name="FEI Titan TEM",
    activities=(Activity(number=0, start=NINE, datasets=(UNREADABLE,)),),
)

FULL_XML = f"""<?xml version='1.0' encoding='UTF-8'?>
<Experiment xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
pid="f81d3518-10af-4fab-9bd3-cfa2b0aea807">
  <title>EELS of the LaAlO3/SrTiO3 interface</title>
  <id>f81d3518-10af-4fab-9bd3-cfa2b0aea807</id>
  <summary ref="https://nemo.example.org/event_details/reservation/187/">
    <experimenter>Maria Weber</experimenter>
    <collaborator>K. Müller</collaborator>
    <collaborator>A. Okafor</collaborator>
    <instrument pid="FEI-Titan-TEM" ref="https://nemo.example.org/api/tools/?id=10">FEI Titan TEM</instrument>
    <reservationStart>2026-11-20T09:00:00+01:00</reservationStart>
    <reservationEnd>2026-11-20T12:00:00+01:00</reservationEnd>
    <motivation>Is the interface sharp?
Second try, after polishing.</motivation>
  </summary>
  <sample id="sample-1" ref="hdl:20.500/7">
    <name>LAO/STO 7</name>
    <description>Lamella, 40 nm thick</description>
    <description>Cut along [100]</description>
    <elements>
      <O/>
      <Al/>
      <Ti/>
      <Sr/>
      <La/>
    </elements>
  </sample>
  <project>
    <name>Oxide interfaces</name>
    <division>641</division>
    <group>02</group>
    <project_id>P-7</project_id>
    <ref>https://p.example.org/7</ref>
  </project>
  <acquisitionActivity seqno="0">
    <startTime>2026-11-20T09:07:12.250000+01:00</startTime>
    <sampleID>sample-1</sampleID>
    <setup>
      <param name="Acceleration Voltage" unit="kV">200</param>
      <param name="Operation Mode">SCANNING</param>
    </setup>
    <dataset type="Image" role="Experimental">
      <name>003 overview.dm4</name>
      <location>FEI-Titan-TEM/mweber/2026-11-20/003 overview.dm4</location>
      <format>Gatan DigitalMicrograph 4</format>
      <description>Low magnification, before the spectrum image</description>
      <preview>FEI-Titan-TEM/mweber/2026-11-20/003 overview.dm4.thumb.png</preview>
      <meta name="Data Type">STEM_Imaging</meta>
      <meta name="Dwell Time" unit="µs">8</meta>
      <meta name="Magnification">40000</meta>
    </dataset>
    <dataset type="SpectrumImage" role="Experimental">
      <name>004 O-K + Ti-L.dm4</name>
      <location>FEI-Titan-TEM/mweber/2026-11-20/004 O-K + Ti-L.dm4</location>
      <format>Gatan DigitalMicrograph 4</format>
      <meta name="Beam Current" unit="µA" warning="true">5.12e-05</meta>
      <meta name="Convergence Angle" unit="mrad">21.4</meta>
      <meta name="Data Type">STEM_EELS</meta>
      <meta name="Zero-Loss Locked">true</meta>
    </dataset>
  </acquisitionActivity>
  <acquisitionActivity seqno="1">
    <startTime>2026-11-20T10:00:00+01:00</startTime>
    <dataset type="Unknown" role="Experimental">
      <name>broken.dm3</name>
      <location>FEI-Titan-TEM/mweber/2026-11-20/broken.dm3</location>
      <format>unknown</format>
      <description>The file ends after 1024 of 40960 bytes.</description>
    </dataset>
  </acquisitionActivity>
  <notes source="NexusCore">
    <entry xsi:type="TextEntry">
      <p>One file could not be read: broken.dm3.</p>
    </entry>
  </notes>
</Experiment>
"""


def texts(experiment: Experiment, tag: str) -> list[str]:
    """All texts of one kind of element in the record."""
    root = etree.fromstring(to_xml(experiment))
    return [element.text or "" for element in root.iter(f"{{{NAMESPACE}}}{tag}")]


def marks(experiment: Experiment, tag: str, attribute: str) -> list[str | None]:
    """All values of one attribute in the record."""
    root = etree.fromstring(to_xml(experiment))
    return [element.get(attribute) for element in root.iter(f"{{{NAMESPACE}}}{tag}")]


def with_meta(meta: dict[str, Quantity]) -> Experiment:
    dataset = replace(UNREADABLE, meta=meta)
    return replace(MINIMAL, activities=(Activity(0, NINE, (dataset,)),))


class TestARecordSaysAllThatIsKnown:
    """001-47: a record is an XML document with everything in its place, and a valid one."""

    def test_the_full_record(self) -> None:
        """001-36..38, 001-45..46: setup and metadata, dataset types and data types as the extractors named them."""
        assert to_xml(FULL).decode() == FULL_XML
        assert validate(to_xml(FULL)) == []

    def test_the_same_experiment_gives_the_same_bytes(self) -> None:
        reordered = replace(OVERVIEW, meta=dict(reversed(list(OVERVIEW.meta.items()))))
        first = replace(FULL.activities[0], datasets=(reordered, EELS))
        assert to_xml(replace(FULL, activities=(first, *FULL.activities[1:]))) == to_xml(FULL)

    def test_without_a_reservation_the_summary_still_holds_the_instrument(self) -> None:
        """001-21: no matching event in the calendar."""
        summary = etree.fromstring(to_xml(MINIMAL)).find("{*}summary")
        assert summary is not None
        assert [(etree.QName(one).localname, one.text, dict(one.attrib)) for one in summary] == [
            ("instrument", "FEI Titan TEM", {"pid": "FEI-Titan-TEM"})
        ]
        assert validate(to_xml(MINIMAL)) == []

    def test_and_the_times_where_they_are_known(self) -> None:
        """001-21: instrument, date and time."""
        known = replace(MINIMAL, reservation_start=NINE, reservation_end=NINE + timedelta(hours=1))
        assert texts(known, "instrument") == ["FEI Titan TEM"]
        assert texts(known, "reservationStart") == ["2026-11-20T09:00:00+01:00"]
        assert texts(known, "reservationEnd") == ["2026-11-20T10:00:00+01:00"]
        assert validate(to_xml(known)) == []

    def test_an_identifier_may_be_an_address(self) -> None:
        address = "https://nemo.example.org/api/usage_events/?id=31&x=" + "1" * 200
        record = replace(MINIMAL, identifier=address)
        assert texts(record, "id") == [address]
        assert marks(record, "Experiment", "pid") == [address]
        assert validate(to_xml(record)) == []

    def test_a_blank_title_and_a_blank_instrument_name_give_way_to_identifiers(self) -> None:
        record = replace(MINIMAL, title=" \n", instrument_name="")
        assert texts(record, "title") == ["S-1"]
        assert texts(record, "instrument") == ["FEI-Titan-TEM"]

    def test_blank_texts_leave_no_empty_elements(self) -> None:
        blank = replace(
            MINIMAL,
            experimenters=(" ", "Maria Weber"),
            motivation=" \r\n",
            reservation_ref=" ",
            samples=(Sample(name="", descriptions=("",)),),
            projects=(Project(name=" "),),
            notes=(Notes("Reservation", ("", " ")),),
        )
        root = etree.fromstring(to_xml(blank))
        assert texts(blank, "experimenter") == ["Maria Weber"]
        assert [len(one) for one in root.iter("{*}sample", "{*}project")] == [0, 0]
        assert not list(root.iter("{*}motivation", "{*}notes"))
        assert validate(to_xml(blank)) == []

    def test_what_is_no_element_is_kept_in_words(self) -> None:
        record = replace(MINIMAL, samples=(Sample(elements=("Fe", "Steel", "O", "Fe", " ", "<b>")),))
        assert texts(record, "description")[0] == "Further elements named: <b>, Steel"
        assert [len(one) for one in etree.fromstring(to_xml(record)).iter("{*}elements")] == [2]
        many = replace(MINIMAL, samples=(Sample(elements=tuple(f"x{number:04}" for number in range(1234))),))
        assert texts(many, "description")[0].endswith("x0048, x0049 and 1,184 more")
        assert validate(to_xml(record)) == []


class TestTextStandsAsItWas:
    """001-36: names and values appear verbatim; nothing is escaped twice, and nothing breaks the record."""

    def test_markup_is_escaped_once(self) -> None:
        record = with_meta({"A&B <x>": Quantity("\"A&B\" < 'C' & &amp; ]]>", unit="<&>")})
        assert b"A&amp;amp;B" not in to_xml(record)
        assert b'name="A&amp;B &lt;x&gt;"' in to_xml(record)
        assert texts(record, "meta") == ["\"A&B\" < 'C' & &amp; ]]>"]
        assert marks(record, "meta", "name") == ["A&B <x>"]
        assert marks(record, "meta", "unit") == ["<&>"]

    def test_characters_that_xml_forbids_become_replacement_characters(self) -> None:
        record = with_meta({"Comment\x00": Quantity("a\x00b\x1fc\x0bd\ud800e\ufffef\uffffg")})
        assert texts(record, "meta") == ["a�b�c�d�e�f�g"]
        assert marks(record, "meta", "name") == ["Comment�"]
        assert validate(to_xml(record)) == []

    def test_a_file_name_that_is_not_unicode(self) -> None:
        name = b"M\xfcnze.tif".decode("utf-8", "surrogateescape")
        record = replace(MINIMAL, activities=(Activity(0, NINE, (replace(UNREADABLE, name=name, location=name),)),))
        assert texts(record, "name") == ["M�nze.tif"]
        assert validate(to_xml(record)) == []

    def test_file_names_and_places_keep_every_blank(self) -> None:
        """A path is looked up later: not one character of it may change."""
        path = " a  b/\tc\nd\r.tif "
        dataset = replace(UNREADABLE, name=path, location=path, preview=path)
        record = replace(MINIMAL, activities=(Activity(0, NINE, (dataset,)),))
        assert (texts(record, "name"), texts(record, "location"), texts(record, "preview")) == ([path], [path], [path])

    def test_a_text_too_long_for_a_careful_parser_is_cut(self) -> None:
        record = with_meta({"Log": Quantity("漢" * 4_000_000)})
        assert texts(record, "meta") == ["漢" * 999_999 + "…"]
        assert validate(to_xml(record)) == []

    def test_lines_are_single_lines(self) -> None:
        """The schema's tokens lose their double blanks anyway; a no-break space is no such blank."""
        record = replace(with_meta({" a\n b ": Quantity("x\t\ty\u00a0z ")}), title=" A\r\n  title ")
        assert texts(record, "title") == ["A title"]
        assert texts(record, "meta") == ["x y\u00a0z"]
        assert marks(record, "meta", "name") == ["a b"]

    def test_parameters_are_sorted_and_none_gets_lost(self) -> None:
        names = ("b", "a\n", "a", "", "C", "\t")
        meta = {name: Quantity(number) for number, name in enumerate(names, start=1)}
        record = with_meta(meta)
        assert dict(zip(marks(record, "meta", "name"), texts(record, "meta"), strict=True)) == {
            "C": "5",
            "Unnamed": "4",
            "Unnamed (2)": "6",
            "a": "3",
            "a (2)": "2",
            "b": "1",
        }
        assert marks(record, "meta", "name") == ["C", "Unnamed", "Unnamed (2)", "a", "a (2)", "b"]
        assert validate(to_xml(record)) == []

    def test_a_value_may_be_empty_and_a_blank_unit_is_none(self) -> None:
        record = with_meta({"Operator": Quantity("", unit=" ")})
        assert texts(record, "meta") == [""]
        assert marks(record, "meta", "unit") == [None]
        assert validate(to_xml(record)) == []

    @pytest.mark.parametrize(
        ("given", "stands"),
        [
            ("https://nemo.example.org/r/7/?a=1&b=2#x", "https://nemo.example.org/r/7/?a=1&b=2#x"),
            ("https://cal.example.org/my calendar/é", "https://cal.example.org/my%20calendar/%C3%A9"),
            ("https://cal.example.org/100%/a%20b", "https://cal.example.org/100%25/a%20b"),
            ("https://cal.example.org/?filter[id]=7", "https://cal.example.org/?filter%5Bid%5D=7"),
            ("mailto:desk@example.org", "mailto:desk@example.org"),
            ("reservations/7", "reservations/7"),
            ("Tel: 1234 #5 #6", "Tel%3A%201234%20%235%20%236"),
            ("http://host:port/", "http%3A%2F%2Fhost%3Aport%2F"),
            ("://", "%3A%2F%2F"),
        ],
    )
    def test_what_is_no_address_becomes_one(self, given: str, stands: str) -> None:
        record = replace(MINIMAL, reservation_ref=given)
        assert marks(record, "summary", "ref") == [stands]
        assert validate(to_xml(record)) == []


class TestTimesCarryTheirZone:
    """001-39: times are ISO 8601 with their offset from UTC."""

    def test_utc_is_an_offset_like_any_other(self) -> None:
        record = replace(MINIMAL, reservation_start=NINE.astimezone(UTC))
        assert texts(record, "reservationStart") == ["2026-11-20T08:00:00+00:00"]

    def test_the_hour_that_happens_twice(self) -> None:
        first = datetime(2026, 10, 25, 2, 30, tzinfo=ZURICH)
        record = replace(MINIMAL, reservation_start=first, reservation_end=first.replace(fold=1))
        assert texts(record, "reservationStart") == ["2026-10-25T02:30:00+02:00"]
        assert texts(record, "reservationEnd") == ["2026-10-25T02:30:00+01:00"]

    def test_offsets_that_xml_schema_does_not_know_become_utc(self) -> None:
        odd = datetime(1890, 1, 1, 12, 0, tzinfo=timezone(timedelta(minutes=29, seconds=46)))
        record = replace(MINIMAL, reservation_start=odd, reservation_end=NINE.astimezone(timezone(timedelta(hours=18))))
        assert texts(record, "reservationStart") == ["1890-01-01T11:30:14+00:00"]
        assert texts(record, "reservationEnd") == ["2026-11-20T08:00:00+00:00"]
        assert validate(to_xml(record)) == []

    @pytest.mark.parametrize(
        ("field", "record"),
        [
            ("reservation_start", replace(MINIMAL, reservation_start=NAIVE)),
            ("reservation_end", replace(MINIMAL, reservation_end=NAIVE)),
            ("activities[1].start", replace(FULL, activities=(FULL.activities[0], Activity(1, NAIVE, ())))),
        ],
    )
    def test_a_time_without_one_is_refused_by_name(self, field: str, record: Experiment) -> None:
        with pytest.raises(ValueError, match="has no time zone: 2026-") as caught:
            to_xml(record)
        assert str(caught.value).startswith(field)


class TestNumbersAreWrittenAsAPersonWould:
    """001-36: 200 kV is written 200, and not 200.0."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (200.0, "200"),
            (200, "200"),
            (1.5, "1.5"),
            (-35.25, "-35.25"),
            (0.1 + 0.2, "0.3"),
            (0.0001, "0.0001"),
            (5.12e-05, "5.12e-05"),
            (300000.0, "300000"),
            (1234567.875, "1234567.875"),
            (6.02214076e23, "6.02214076e+23"),
            (-0.0, "0"),
            (True, "true"),
            (False, "false"),
            (10**30, "1" + "0" * 30),
            ("200.0", "200.0"),
            ("", ""),
            (math.nan, "NaN"),
            (math.inf, "INF"),
            (-math.inf, "-INF"),
        ],
    )
    def test_values_are_written_without_spurious_digits(self, value: float | str, text: str) -> None:
        assert written(value) == text

    @UNHURRIED
    @given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
    def test_what_somebody_wrote_comes_out_with_the_same_value(self, number: object) -> None:
        assert float(written(float(str(number)))) == float(str(number))

    @UNHURRIED
    @given(st.floats(min_value=-1e308, max_value=1e308))
    def test_no_float_loses_more_than_its_sixteenth_digit(self, number: float) -> None:
        assert math.isclose(float(written(number)), number, rel_tol=5e-15)


QUANTITIES = st.builds(Quantity, st.sampled_from([1, 2.0, "x"]), st.sampled_from([None, "nm"]))


class TestWhatDatasetsShareIsTheSetup:
    """001-45, 001-46: what all datasets of an activity have in common stands once, the rest with each."""

    VOLTAGE = Quantity(200.0, "kV")

    def test_equal_in_name_value_and_unit(self) -> None:
        first = {"Voltage": self.VOLTAGE, "Mode": Quantity("STEM"), "Dose": Quantity(4e4), "Pixel": Quantity(1, "nm")}
        second = {"Mode": Quantity("STEM"), "Dose": Quantity(2e4), "Pixel": Quantity(1, "Å")}
        second["Voltage"] = Quantity(200, "kV")
        setup, own = split_setup([first, second])
        assert setup == {"Voltage": self.VOLTAGE, "Mode": Quantity("STEM")}
        assert own == [{name: one[name] for name in ("Dose", "Pixel")} for one in (first, second)]

    def test_a_quantity_that_one_of_them_lacks_is_not_shared(self) -> None:
        metas = [{"Voltage": self.VOLTAGE}, {"Voltage": self.VOLTAGE}, {}]
        assert split_setup(metas) == ({}, metas)

    def test_a_single_dataset_keeps_everything(self) -> None:
        assert split_setup([{"Voltage": self.VOLTAGE}]) == ({}, [{"Voltage": self.VOLTAGE}])

    def test_nothing_gives_nothing(self) -> None:
        assert split_setup([]) == ({}, [])

    def test_a_warning_on_one_of_them_is_kept(self) -> None:
        doubtful = replace(self.VOLTAGE, warning=True)
        assert split_setup([{"V": self.VOLTAGE}, {"V": doubtful}]) == ({"V": doubtful}, [{}, {}])

    def test_true_is_not_one_and_nan_is_nan(self) -> None:
        metas = [{"a": Quantity(True), "b": Quantity(math.nan)}, {"a": Quantity(1), "b": Quantity(math.nan)}]
        setup, own = split_setup(metas)
        assert list(setup) == ["b"]
        assert own == [{"a": Quantity(True)}, {"a": Quantity(1)}]

    @UNHURRIED
    @given(st.lists(st.dictionaries(st.sampled_from("abc"), QUANTITIES), max_size=4))
    def test_together_they_are_what_came_in(self, metas: list[dict[str, Quantity]]) -> None:
        setup, own = split_setup(metas)
        assert [{**setup, **one} for one in own] == metas
        assert not any(name in one for one in own for name in setup)
