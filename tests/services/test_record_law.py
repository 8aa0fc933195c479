"""Every document that is valid under NexusCore's schema is valid under the published Nexus Experiment schema."""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from lxml import etree

from Services.Builder.elements import ELEMENTS
from Services.Builder.model import (
    DATASET_TYPES,
    Activity,
    Dataset,
    Experiment,
    Notes,
    Project,
    Quantity,
    Sample,
)
from Services.Builder.record.document import NAMESPACE, XSI, to_xml
from Services.Builder.record.validation import SCHEMA, validate

XS = "http://www.w3.org/2001/XMLSchema"
REFERENCE = (
    Path(os.environ.get("NEXUSCORE_TEST_REFERENCE") or Path(__file__).parents[3] / "shared" / "reference")
    / "nexus-experiment.xsd"
)

needs_the_published_schema = pytest.mark.skipif(
    not REFERENCE.is_file(),
    reason=f"the published schema is not at {REFERENCE} (NEXUSCORE_TEST_REFERENCE names its folder)",
)

Change = Callable[[etree._Element], None]
Check = Callable[[etree._Element], bool]
Step = tuple[Change, int]

LAW = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

RICH = f"""<?xml version="1.0"?>
<Experiment xmlns="{NAMESPACE}" xmlns:r="{NAMESPACE}" xmlns:xsi="{XSI}" xmlns:xs="{XS}" pid="S-1">
  <title>EELS of an interface</title>
  <id>S-1</id>
  <summary ref="https://calendar.example.org/7">
    <experimenter>M. Sklodowska</experimenter><experimenter>P. Curie</experimenter>
    <collaborator>G. Bemont</collaborator>
    <instrument pid="FEI-Titan-TEM" ref="https://calendar.example.org/tools/1">FEI Titan</instrument>
    <reservationStart>2026-11-20T09:00:00+01:00</reservationStart>
    <reservationEnd>2026-11-20T12:00:00Z</reservationEnd>
    <motivation>Why not?</motivation>
  </summary>
  <sample id="a" ref="hdl:1/2"><name>LAO/STO</name><description>A lamella.</description><description>Thin.</description>
    <notes source="ELN"><entry xsi:type="r:TextEntry"><p>One.</p><p>Two.</p></entry></notes>
    <elements><La/><Al/><O/></elements></sample>
  <sample id="b"/>
  <project><name>Interfaces</name><division>641</division><group>02</group><project_id>7</project_id>
    <ref>https://projects.example.org/7</ref></project>
  <acquisitionActivity seqno="0"><startTime>2026-11-20T09:05:00.25+01:00</startTime><sampleID>a</sampleID>
    <setup><param name="Voltage" unit="kV">200</param><param name="Mode" warning="true">STEM</param></setup>
    <notes source="ELN"><entry xsi:type="TextEntry"><p>Drifts.</p></entry></notes>
    <dataset type="Image" role="Experimental"><name>a.dm4</name><location>Titan/a.dm4</location><format>DM4</format>
      <description>Overview</description><preview>a.png</preview><preview>b.png</preview>
      <meta name="Magnification">40000</meta><meta name="Camera Length" unit="mm" warning="false">135</meta></dataset>
    <dataset type="Unknown" role="Derived"><name>b</name><location>Titan/b</location></dataset>
  </acquisitionActivity>
  <acquisitionActivity seqno="1"><startTime>2026-11-20T10:00:00+01:00</startTime><setup/>
    <dataset type="Notes" role="UserCalibration"><name>c.txt</name><location>Titan/c.txt</location></dataset>
  </acquisitionActivity>
  <notes source="NexusCore"><entry xsi:type="TextEntry"><p>Built.</p></entry></notes>
</Experiment>""".encode()


def schema(path: Path) -> etree.XMLSchema:
    """Compile a schema straight with lxml: the law is about the files, not about `validate`."""
    return etree.XMLSchema(etree.parse(str(path)))


def tree() -> etree._Element:
    return etree.fromstring(RICH, etree.XMLParser(remove_blank_text=True))


@pytest.fixture(scope="module")
def lawful() -> Check:
    """Return a function that asserts the law for one document and says whether it was valid under our schema."""
    ours, published = schema(SCHEMA), schema(REFERENCE)

    def check(root: etree._Element) -> bool:
        if not ours.validate(root):
            return False
        assert published.validate(root), f"{published.error_log}\n{etree.tostring(root, pretty_print=True).decode()}"
        return True

    return check


def names_in(path: Path, kind: str) -> set[str]:
    return {str(one.get("name")) for one in etree.parse(str(path)).iter(f"{{{XS}}}{kind}") if one.get("name")}


# -- changing documents ------------------------------------------------------------------------------------------

TEXTS = (
    *("", " ", "x", "a  b", "\n", "0", "00", "+1", "-0", "-1", "1.5", "true", "1", "TRUE", "a", "b", " S-1 ", "%zz"),
    *(" Image ", "Image", "image", "Derived", "Normal", "2026-11-20T09:00:00", "2026-11-20T09:00:00Z", "2026-11-20Z"),
    *("2026-11-20T24:00:00+14:00", "2026-11-20T09:00:00+15:00", "-0044-03-15T12:00:00Z", "2026-02-30T09:00:00Z"),
)
ATTRIBUTES = (
    *("pid", "id", "ref", "source", "seqno", "name", "unit", "warning", "type", "role", "colid", "href"),
    *(f"{{{XSI}}}nil", f"{{{XSI}}}schemaLocation", f"{{{NAMESPACE}}}name"),
    "{http://www.w3.org/XML/1998/namespace}lang",
)
BUILT_IN = ("anyType", "anySimpleType", "string", "token", "NMTOKEN", "anyURI", "dateTime", "integer", "boolean", "ID")


def tags() -> list[str]:
    known = (names_in(SCHEMA, "element") | names_in(REFERENCE, "element")) - set(ELEMENTS)
    return [f"{{{NAMESPACE}}}{tag}" for tag in sorted(known | {"Og", "Fe", "foreign"})] + ["title", f"{{{XS}}}title"]


def types() -> list[str]:
    kinds = ("complexType", "simpleType")
    known = set().union(*(names_in(path, kind) for path in (SCHEMA, REFERENCE) for kind in kinds))
    return [f"r:{name}" for name in sorted(known)] + [f"xs:{name}" for name in BUILT_IN]


def drop(element: etree._Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def duplicate(element: etree._Element) -> None:
    if element.getparent() is not None:
        element.addnext(copy.deepcopy(element))


def swap(element: etree._Element) -> None:
    following = element.getnext()
    if following is not None:
        following.addnext(element)


def move_to_front(element: etree._Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.insert(0, element)


def empty(element: etree._Element) -> None:
    for child in list(element):
        element.remove(child)
    element.text = None


def comment_inside(element: etree._Element) -> None:
    element.insert(0, etree.Comment("seen"))


def rename(tag: str) -> Change:
    return lambda element: setattr(element, "tag", tag)


def write(text: str) -> Change:
    return lambda element: setattr(element, "text", text)


def insert(tag: str) -> Change:
    return lambda element: element.append(etree.Element(tag))


def mark(attribute: str, value: str | None) -> Change:
    def change(element: etree._Element) -> None:
        if value is not None:
            element.set(attribute, value)
        elif attribute in element.attrib:
            del element.attrib[attribute]

    return change


def changes() -> list[Change]:
    """Every change that can be made to an element, whatever it is."""
    return [
        *(drop, duplicate, swap, move_to_front, empty, comment_inside),
        *map(rename, tags()),
        *map(insert, tags()),
        *map(write, TEXTS),
        *itertools.starmap(mark, itertools.product(ATTRIBUTES, (None, *TEXTS))),
        *(mark(f"{{{XSI}}}type", name) for name in (None, *types())),
    ]


def change_at(root: etree._Element, change: Change, index: int) -> None:
    elements = list(root.iter(etree.Element))
    change(elements[index % len(elements)])


# -- random experiments ------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(st.deferred(lambda: st.sampled_from(changes())), st.integers(0, 200)), min_size=20, max_size=60
)
ANY_TEXT = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("&<>\"' \t\r\n\0\x0b\x1f\x85\ufffe\uffff\ud800é漢😀%#[]:/?"),
    max_size=12,
)
SOMETHING = ANY_TEXT.map(lambda text: "x" + text)
MAYBE = st.none() | ANY_TEXT
LINKS = MAYBE | ANY_TEXT.map(lambda text: "https://calendar.example.org/" + text)
TIMES = st.datetimes(
    datetime(1890, 1, 1),  # noqa: DTZ001  (the strategy adds the zone)
    datetime(2100, 1, 1),  # noqa: DTZ001  (likewise)
    timezones=st.timezones() | st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
VALUES = ANY_TEXT | st.integers() | st.floats() | st.booleans()
METAS = st.dictionaries(ANY_TEXT, st.builds(Quantity, VALUES, MAYBE, st.booleans()), max_size=4)
DATASETS = st.builds(
    Dataset,
    name=SOMETHING,
    location=SOMETHING,
    format=ANY_TEXT,
    type=st.sampled_from(DATASET_TYPES),
    role=st.sampled_from(["Experimental", "MasterCalibration", "UserCalibration", "Derived"]),
    descriptions=st.lists(ANY_TEXT, max_size=2).map(tuple),
    preview=MAYBE,
    meta=METAS,
)
SAMPLES = st.builds(
    Sample,
    name=MAYBE,
    ref=MAYBE,
    descriptions=st.lists(ANY_TEXT, max_size=2).map(tuple),
    elements=st.lists(st.sampled_from(ELEMENTS) | ANY_TEXT, max_size=5).map(tuple),
)
PROJECTS = st.builds(Project, name=MAYBE, division=MAYBE, group=MAYBE, project_id=MAYBE, ref=LINKS)
NOTES = st.builds(Notes, source=SOMETHING, paragraphs=st.lists(ANY_TEXT, max_size=2).map(tuple))


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    """Any experiment whose own facts hang together; every text in it may be anything."""
    samples = draw(st.lists(SAMPLES, max_size=2))
    ids = [draw(st.none() | ANY_TEXT.map(f"{index}-".__add__)) for index in range(len(samples))]
    activities = [
        Activity(
            number=number,
            start=draw(TIMES),
            datasets=tuple(draw(st.lists(DATASETS, min_size=1, max_size=2))),
            setup=draw(METAS),
            sample_id=draw(st.sampled_from([None, *ids])),
        )
        for number in range(draw(st.integers(1, 2)))
    ]
    return Experiment(
        title=draw(ANY_TEXT),
        identifier=draw(SOMETHING),
        instrument_pid=draw(SOMETHING),
        instrument_name=draw(ANY_TEXT),
        activities=tuple(activities),
        instrument_ref=draw(LINKS),
        experimenters=tuple(draw(st.lists(ANY_TEXT, max_size=2))),
        collaborators=tuple(draw(st.lists(ANY_TEXT, max_size=2))),
        reservation_start=draw(st.none() | TIMES),
        reservation_end=draw(st.none() | TIMES),
        reservation_ref=draw(LINKS),
        motivation=draw(MAYBE),
        samples=tuple(replace(sample, id=name) for sample, name in zip(samples, ids, strict=True)),
        projects=tuple(draw(st.lists(PROJECTS, max_size=2))),
        notes=tuple(draw(st.lists(NOTES, max_size=2))),
    )


# -- the law -----------------------------------------------------------------------------------------------------


@needs_the_published_schema
class TestOurSchemaIsPartOfThePublishedOne:
    """001-05, 001-47, 001-52: what we find valid, a repository that holds the published schema finds valid."""

    def test_the_document_with_everything_is_valid_under_both(self, lawful: Check) -> None:
        assert lawful(tree())

    def test_the_document_with_everything_has_every_element_and_attribute_of_our_schema(self) -> None:
        root = tree()
        used = {etree.QName(element).localname for element in root.iter()} | set(ELEMENTS)
        assert names_in(SCHEMA, "element") == used
        marks = {name for element in root.iter() for name in element.attrib}
        assert names_in(SCHEMA, "attribute") == marks - {f"{{{XSI}}}type"}

    def test_both_know_the_same_chemical_elements_as_the_writer(self) -> None:
        for path in (SCHEMA, REFERENCE):
            table = etree.parse(str(path)).find("{*}complexType[@name='PeriodicTableElementType']")
            assert table is not None
            assert tuple(one.get("name") for one in table.iter(f"{{{XS}}}element")) == ELEMENTS

    def test_any_single_change_to_it(self, lawful: Check) -> None:
        """Every change of the list above at every element: some 40,000 documents."""
        valid = total = 0
        original = tree()
        size = len(list(original.iter()))
        for change, index in itertools.product(changes(), range(size)):
            root = copy.deepcopy(original)
            change_at(root, change, index)
            valid += lawful(root)
            total += 1
        print(f"{total} documents, {valid} of them valid under our schema and so under the published one")
        assert valid > total / 50, "hardly any changed document was valid, so the law was hardly tried"

    @settings(LAW, max_examples=150)
    @given(STEPS)
    def test_a_walk_through_valid_documents(self, lawful: Check, steps: list[Step]) -> None:
        """Changes add up as long as the document stays valid under our schema."""
        self.walk(lawful, tree(), steps)

    @settings(LAW, max_examples=150)
    @given(experiments(), STEPS)
    def test_a_walk_from_any_record(self, lawful: Check, experiment: Experiment, steps: list[Step]) -> None:
        self.walk(lawful, etree.fromstring(to_xml(experiment), etree.XMLParser(remove_blank_text=True)), steps)

    @staticmethod
    def walk(lawful: Check, root: etree._Element, steps: list[Step]) -> None:
        kept = 0
        for change, index in steps:
            changed = copy.deepcopy(root)
            change_at(changed, change, index)
            if lawful(changed):
                root, kept = changed, kept + 1
        event(f"{kept} changes kept")


class TestNothingInTheValuesBreaksARecord:
    """001-05, 001-36, 001-47: whatever files, calendars and people put into the texts, the record is valid."""

    @pytest.mark.parametrize("rules", [None, pytest.param(REFERENCE, marks=needs_the_published_schema)])
    @settings(LAW, max_examples=300)
    @given(experiment=experiments())
    def test_any_experiment_gives_a_valid_record(self, rules: Path | None, experiment: Experiment) -> None:
        document = to_xml(experiment)
        assert validate(document, rules) == []
        assert to_xml(experiment) == document
