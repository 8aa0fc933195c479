"""The page of a record: all that the record says, for people; it needs no network, and nothing in it is run."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from NexusCore.facility.record_page import page_of
from NexusCore.facility.record_page.content import NotARecord, read_record, reason_name, session_sentence, size_text
from NexusCore.facility.record_page.groups import GROUPS, grouped
from NexusCore.facility.record_page.links import file_link, location_bytes, location_link, location_text, web_link
from NexusCore.facility.record_page.render import MANY_DATASETS, length_text, record_page
from Services.Builder.extraction.extractors.quantities import KNOWN
from Services.Builder.model import Activity, Dataset, Experiment, Notes, Quantity, Sample
from Services.Builder.record.document import to_xml
from tests.services.builder_facility import Stage
from tests.services.test_record_xml import FULL, NINE, OVERVIEW, UNHURRIED

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
REASON = "The file does not say when it was acquired."


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    one = Stage(sqlite_url, tmp_path)
    yield one
    one.close()


def page(experiment: Experiment) -> html.HtmlElement:
    return html.document_fromstring(record_page(to_xml(experiment)).decode())


def text(element: html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


def with_dataset(**changes: object) -> Experiment:
    dataset = replace(OVERVIEW, **changes)  # type: ignore[arg-type]
    return replace(FULL, activities=(Activity(0, NINE, (dataset,)),))


class TestWhatItShows:
    """The overview on top, then each activity with its datasets."""

    def test_the_overview(self) -> None:
        found = page(FULL)
        assert [text(one) for one in found.iter("h1")] == ["EELS of the LaAlO3/SrTiO3 interface"]
        facts = {text(one.find("dt")): text(one.find("dd")) for one in found.find_class("facts")[0].iter("div")}
        assert facts["Experimenter"] == "Maria Weber"
        assert facts["With"] == "K. Müller, A. Okafor"
        assert facts["When"] == "20 November 2026, 09:00 – 12:00 UTC+01:00"
        assert facts["Project"] == "Oxide interfaces P-7 · 641 · 02"
        assert facts["Data"].startswith("3 datasets in 2 activities")
        assert "LAO/STO 7 hdl:20.500/7" in text(found.find_class("samples")[0])
        assert [text(one) for one in found.find_class("element")] == ["O", "Al", "Ti", "Sr", "La"]
        assert "Second try, after polishing." in text(found.find_class("motivation")[0])
        assert "One file could not be read: broken.dm3." in text(found.find(".//footer"))

    def test_the_session_is_not_its_reservation(self) -> None:
        """Two sessions of one reservation can be told apart: by time, identifier and who was logged on."""
        sentence = session_sentence("zed", "2026-11-20 09:07:30+01:00", "2026-11-20 09:41:02+01:00")
        found = page(replace(FULL, reservation_id="187", notes=(Notes("NexusCore", (sentence,)),)))
        facts = {text(one.find("dt")): text(one.find("dd")) for one in found.find_class("facts")[0].iter("div")}
        assert facts["When"] == "20 November 2026, 09:07 – 09:41 UTC+01:00"
        assert facts["Reservation"] == "20 November 2026, 09:00 – 12:00 · in the calendar 187"
        assert facts["Session"] == f"{FULL.identifier} logged on: zed"

    def test_times_in_the_notes_are_written_as_the_others(self) -> None:
        log = Notes(
            "Session log",
            ("2026-11-20 09:07:30+01:00 zed: started 2026-01-02 03:04:05+01:00", "2026-13-40 09:07:30+01:00 zed: odd"),
        )
        sentence = session_sentence("zed", "2026-11-20 09:07:30+01:00", "2026-11-21 09:41:02+01:00")
        found = page(replace(FULL, notes=(log, Notes("NexusCore", (sentence,)))))
        (notes,) = (text(one) for one in found.find_class("notes"))
        assert notes == (
            "20 November 2026, 09:07:30 zed: started 2026-01-02 03:04:05+01:00 2026-13-40 09:07:30+01:00 zed: odd"
        )
        assert "Session of zed from 20 November 2026, 09:07:30 to 21 November 2026, 09:41:02." in text(
            found.find(".//footer")
        )

    def test_a_dataset_of_another_day_shows_its_day(self) -> None:
        def shown(created: str) -> str:
            found = page(with_dataset(meta={**OVERVIEW.meta, "Creation Time": Quantity(created)}))
            (article,) = found.iter("article")
            return text(article.find_class("some")[0])

        assert shown("2026-11-20T09:07:12+01:00").startswith("09:07:12")
        assert shown("2025-03-04T09:07:12+01:00").startswith("4 March 2025, 09:07:12")

    def test_a_dataset_with_all_that_is_known_of_it(self) -> None:
        meta = {
            **OVERVIEW.meta,
            "Creation Time": Quantity("2026-11-20T09:07:12+01:00", warning=True),
            reason_name("Creation Time"): Quantity(REASON),
            "Stage X": Quantity(12.5, "µm"),
            "File Size": Quantity(7_340_032, "B"),
            "Original File": Quantity("https://files.example.org/em/a%20b.dm4"),
            "Metadata": Quantity("r.files/a b.dm4.json"),
        }
        preview = "r.files/100 %/a b.dm4.png"
        found = page(
            with_dataset(meta=meta, preview=preview, descriptions=("With a.raw", "Warning: It ends <too> early."))
        )
        (article,) = found.iter("article")
        (picture,) = article.iter("img")
        assert picture.get("src") == "r.files/100%20%25/a%20b.dm4.png"
        assert (picture.get("loading"), picture.get("alt")) == ("lazy", "Preview of 003 overview.dm4")
        assert [one.get("href") for one in article.find_class("links")[0].iter("a")] == [
            "https://files.example.org/em/a%20b.dm4",
            "r.files/a%20b.dm4.json",
        ]
        assert [text(one) for one in article.find_class("warning")] == ["It ends <too> early."]
        assert "doubtful" in article.classes
        groups = {text(one.find("dt")): text(one) for one in article.iter("dl")}
        assert list(groups) == ["Microscope", "Detector", "Stage", "Signal", "File"]
        assert "Stage X12.5 µm" in groups["Stage"]
        assert f"2026-11-20T09:07:12+01:00 doubtful: {REASON}" in groups["File"]
        assert "7.34 MB (7,340,032 B)" in groups["File"]
        assert "Warning (" not in text(article)

    def test_an_activity_has_its_times_its_sample_and_its_setup(self) -> None:
        setup = {"Acceleration Voltage": Quantity(200.0, "kV"), "End Time": Quantity("2026-11-20T09:12:30+01:00")}
        activity = Activity(0, NINE, (OVERVIEW, OVERVIEW), setup=setup, sample_id="b", notes=(Notes("x", ("Dry.",)),))
        found = page(replace(FULL, samples=(Sample("A", "a"), Sample("B", "b")), activities=(activity,)))
        (about,) = found.find_class("about")
        assert text(about) == (
            "Activity 1 09:00:00 – 09:12:30 2 datasets in 12 min · sample B Dry. "
            "Setup of all its datasets MicroscopeAcceleration Voltage200 kV"
        ).replace("12 min", length_text(750))

    def test_that_there_was_no_reservation(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        stage.builder.once()
        record = stage.records.of_session(session.id)
        assert record is not None
        found = html.parse(str(page_of(Path(record.path)))).getroot()
        assert "Reservation none was found" in text(found.find_class("facts")[0]).replace(
            "Reservationnone", "Reservation none"
        )
        assert (Path(record.path).parent / found.find(".//article//img").get("src")).is_file()

    def test_every_known_quantity_has_a_heading(self) -> None:
        assert dict(grouped(Value(name) for name in KNOWN)).get("Other", ()) == ()

    def test_no_quantity_has_two_headings(self) -> None:
        names = [name for heading in GROUPS.values() for name in heading]
        assert sorted(names) == sorted(set(names))

    def test_many_datasets_are_all_there(self) -> None:
        datasets = tuple(replace(OVERVIEW, name=f"{number}.dm4") for number in range(MANY_DATASETS))
        found = page(replace(FULL, activities=(Activity(0, NINE, datasets),)))
        assert [text(one) for one in found.iter("h4")] == [one.name for one in datasets]
        assert all("Magnification: 40000" in text(one) for one in found.iter("article"))
        assert {one.get("loading") for one in found.iter("img")} == {"lazy"}


class Value:
    """A metadatum without a value."""

    def __init__(self, name: str) -> None:
        self.name = name


class TestNothingInItIsRun:
    """What a file, a reservation or a person says is text; links lead to the web or to the record's own files."""

    def everywhere(self) -> Experiment:
        evil = Quantity(EVIL, EVIL)
        dataset = Dataset(
            EVIL, EVIL, EVIL, "Image", descriptions=(EVIL, f"Warning: {EVIL}"), preview=EVIL, meta={EVIL: evil}
        )
        notes = (Notes(EVIL, (EVIL,)), Notes("NexusCore", (EVIL, f"Warning: {EVIL}")))
        return replace(
            FULL, title=EVIL, identifier=EVIL, instrument_name=EVIL, instrument_pid=EVIL, experimenters=(EVIL,),
            collaborators=(EVIL,), motivation=EVIL, notes=notes, samples=(Sample(EVIL, "s", EVIL, (EVIL,)),),
            projects=(replace(FULL.projects[0], name=EVIL, division=EVIL),),
            activities=(Activity(0, NINE, (dataset, dataset), setup={EVIL: evil}, notes=notes),),
        )  # fmt: skip

    def test_any_text_stays_text(self) -> None:
        found = page(self.everywhere())
        assert len(list(found.iter("script"))) == 1
        assert {one.get("src") for one in found.iter("img")} <= {None, file_link(EVIL)}
        handlers = {name for one in found.iter("*") for name in one.attrib if name.startswith("on")}
        assert handlers == set()
        assert text(found.find(".//h1")) == EVIL

    def test_only_our_script_is_allowed(self) -> None:
        """And nothing from the network: the page brings a policy that says so."""
        found = page(FULL)
        (policy,) = (one.get("content") for one in found.iter("meta") if one.get("http-equiv"))
        (script,) = found.iter("script")
        digest = b64encode(hashlib.sha256(str(script.text).encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}'" in policy
        assert policy.startswith("default-src 'none'; img-src 'self' file: data:;")
        sources = {
            value for one in found.iter("*") for name, value in one.items() if name in ("src", "srcset", "action")
        }
        assert not [source for source in sources if re.match(r"[a-z]+:|//", source)]
        assert not list(found.iter("link", "iframe", "object", "embed", "form", "base"))

    @pytest.mark.parametrize(
        "address",
        [
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "//evil.example.org",
            "https:",
            " ",
            "http://[",
            None,
        ],
    )
    def test_other_schemes_are_no_links(self, address: str | None) -> None:
        assert web_link(address) is None
        meta = {"Original File": Quantity(address or "x"), "Metadata": Quantity("/etc/passwd")}
        found = page(replace(with_dataset(meta=meta), instrument_ref=address, reservation_ref=address))
        assert [one.get("href") for one in found.iterfind(".//article//a")] == [file_link(OVERVIEW.preview)]

    @pytest.mark.parametrize("path", ["/etc/passwd", "../x.png", "a/../x", "a//b", "", None, "a\\b"])
    def test_a_files_own_folder_is_not_left(self, path: str | None) -> None:
        assert file_link(path) is None

    def test_a_name_with_a_colon_is_no_scheme(self) -> None:
        assert file_link("javascript:alert(1)/x.png") == "javascript%3Aalert(1)/x.png"

    @pytest.mark.parametrize(
        "document", [b"", b"no XML", b'<!DOCTYPE a [<!ENTITY x "y">]><Experiment>&x;</Experiment>']
    )
    def test_what_is_no_record_has_no_page(self, document: bytes) -> None:
        with pytest.raises(NotARecord):
            read_record(document)


class TestPeopleCanReadIt:
    """With a keyboard, a screen reader, on paper, on a phone, without scripts."""

    def test_headings_landmarks_and_names(self) -> None:
        found = page(FULL)
        assert found.get("lang") == "en"
        assert [len(list(found.iter(tag))) for tag in ("h1", "main", "header", "footer", "nav")] == [1, 1, 1, 1, 1]
        levels = [int(one.tag[1]) for one in found.iter("h1", "h2", "h3", "h4")]
        assert all(after - before <= 1 for before, after in pairwise(levels))
        assert all(one.get("alt") for one in found.iter("img"))
        labels = {one.get("for") for one in found.iter("label")}
        controls = [one for one in found.iter("input", "select") if one.getparent().tag != "label"]
        assert controls and all(one.get("id") in labels for one in controls)
        ids = [one.get("id") for one in found.iter("*") if one.get("id")]
        assert len(ids) == len(set(ids))
        anchors = [one.get("href")[1:] for one in found.iter("a") if one.get("href").startswith("#")]
        assert anchors and set(anchors) <= set(ids)

    def test_without_scripts_nothing_useless_is_shown(self) -> None:
        style = str(page(FULL).find(".//style").text)
        assert "html:not(.js) .script { display: none; }" in style
        assert "@media print" in style
        assert "prefers-color-scheme: dark" in style

    def test_the_same_record_yields_the_same_bytes(self) -> None:
        assert record_page(to_xml(FULL)) == record_page(to_xml(FULL))

    def test_a_browser_runs_it(self, tmp_path: Path) -> None:
        """Its policy lets its own script run, and nothing is asked for besides its previews."""
        browser = shutil.which("chromium") or shutil.which("google-chrome")
        if browser is None:
            pytest.skip("there is no chromium: apt-get install chromium")
        target = tmp_path / "record.html"
        target.write_bytes(record_page(to_xml(FULL)))
        done = subprocess.run(
            [browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile",
             "--dump-dom", target.as_uri()],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        found = html.document_fromstring(done.stdout)
        assert "js" in found.classes, done.stderr
        assert text(found.get_element_by_id("theme")) in ("Dark", "Light")


class TestLocations:
    """A name of any bytes is text in the record, different from any other's, and its link leads to the file."""

    @UNHURRIED
    @given(st.lists(st.binary(min_size=1, max_size=12), min_size=2, max_size=2, unique=True))
    def test_different_names_stay_different(self, names: list[bytes]) -> None:
        first, second = (location_text(name.decode("utf-8", "surrogateescape")) for name in names)
        assert first != second
        assert [location_bytes(first), location_bytes(second)] == names

    @pytest.mark.parametrize(
        ("name", "location", "link"),
        [
            (b"Titan/a.dm3", "Titan/a.dm3", "Titan/a.dm3"),
            (b"a\xff.dm3", "a%FF.dm3", "a%FF.dm3"),
            (b"a%FF.dm3", "a%25FF.dm3", "a%25FF.dm3"),
            (b"50 %#?.dm3", "50 %#?.dm3", "50%20%25%23%3F.dm3"),
            ("größe.tif".encode(), "größe.tif", "gr%C3%B6%C3%9Fe.tif"),
        ],
    )
    def test_links(self, name: bytes, location: str, link: str) -> None:
        assert location_text(name.decode("utf-8", "surrogateescape")) == location
        assert location_link("https://files.example.org/em/", location) == f"https://files.example.org/em/{link}"

    def test_no_link_without_an_address_or_outside_the_file_store(self) -> None:
        assert location_link("", "a.dm3") is None
        assert location_link("javascript:x", "a.dm3") is None
        assert location_link("https://files.example.org", "/mnt/a.dm3") is None


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (7_340_032, "7.34 MB"), (999_900, "1 MB"), (3 * 10**18, "3e+03 PB")]
)
def test_sizes_as_a_person_says_them(size: int, words: str) -> None:
    assert size_text(size) == words


@pytest.mark.parametrize(("seconds", "words"), [(5, "5 s"), (750, "12 min"), (5400, "1 h 30 min"), (3600, "1 h")])
def test_lengths_as_a_person_says_them(seconds: float, words: str) -> None:
    assert length_text(seconds) == words
