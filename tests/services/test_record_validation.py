"""Whether a document is a record, and what is said when it isn't."""

from __future__ import annotations

import os
import resource
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from NexusCore.errors import NexusError
from Services.Builder.model import Activity, Dataset, Experiment, Notes, Quantity, Sample
from Services.Builder.record.document import NAMESPACE, to_xml
from Services.Builder.record.validation import SCHEMA, SchemaUnusable, validate

REFERENCE = (
    Path(os.environ.get("NEXUSCORE_TEST_REFERENCE") or Path(__file__).parents[3] / "shared" / "reference")
    / "nexus-experiment.xsd"
)
needs_the_published_schema = pytest.mark.skipif(
    not REFERENCE.is_file(),
    reason=f"the published schema is not at {REFERENCE} (NEXUSCORE_TEST_REFERENCE names its folder)",
)

SCHEMA_OF = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element {}/></xs:schema>'
BAD_ENCODING = b'<?xml version="1.0" encoding="x"?><a/>'

SCAN = Dataset("a.tif", "Quanta/a.tif", "TIFF", "Image", meta={"HFW": Quantity(5.5, "µm"), "WD": Quantity(9, "mm")})
FIRST = Activity(0, datetime(2026, 11, 20, 9, 5, tzinfo=UTC), (SCAN,), {"HV": Quantity(15, "kV")}, "s1")
SECOND = Activity(1, datetime(2026, 11, 20, 9, 45, tzinfo=UTC), (Dataset("b.tif", "Quanta/b.tif", "TIFF", "Image"),))
RECORD = to_xml(
    Experiment(
        title="Grain boundaries",
        identifier="S-1",
        instrument_pid="Quanta",
        instrument_name="FEI Quanta 200",
        reservation_start=datetime(2026, 11, 20, 9, 0, tzinfo=UTC),
        samples=(Sample("Steel", "s1", elements=("Fe",)),),
        activities=(FIRST, SECOND),
        notes=(Notes("Reservation", ("Carbon coated.",)),),
    )
)


def changed(old: str, new: str, count: int = -1) -> bytes:
    text = RECORD.decode()
    assert old in text
    return text.replace(old, new, count).encode()


class TestWhatMakesARecordBelievable:
    """001-05, 001-48: NexusCore's schema refuses what leaves a reader guessing, with the line and the reason."""

    def test_a_good_record_has_no_faults(self) -> None:
        assert validate(RECORD) == []

    @pytest.mark.parametrize(
        ("old", "new", "line", "says"),
        [
            (' pid="Quanta"', "", 6, "Element 'instrument': The attribute 'pid' is required but missing."),
            ('<instrument pid="Quanta">FEI Quanta 200</instrument>', "", 7, "'reservationStart': This element is not"),
            ("09:00:00+00:00", "09:00:00", 7, "'2026-11-20T09:00:00' is not accepted by the pattern"),
            ("09:05:00+00:00", "09:05:00", 16, "'2026-11-20T09:05:00' is not accepted by the pattern"),
            ("2026-11-20T09:05", "2026-02-30T09:05", 16, "is not a valid value"),
            ("<startTime>2026-11-20T09:05:00+00:00</startTime>", "", 17, "'sampleID': This element is not expected"),
            (' seqno="0"', "", 15, "Element 'acquisitionActivity': The attribute 'seqno' is required but missing."),
            ('seqno="1"', 'seqno="0"', 29, "Duplicate key-sequence ['0'] in unique identity-constraint"),
            ("<sampleID>s1", "<sampleID>s9", 15, "No match found for key-sequence ['s9']"),
            (' type="Image"', "", 21, "Element 'dataset': The attribute 'type' is required but missing."),
            (' role="Experimental"', "", 21, "Element 'dataset': The attribute 'role' is required but missing."),
            ('type="Image"', 'type="Picture"', 21, "The value 'Picture' is not an element of the set {'Image', "),
            ("<name>a.tif", "<name>", 22, "Element 'name': The value has a length of '0'"),
            ("Quanta/a.tif", "", 23, "Element 'location': The value has a length of '0'"),
            ('<param name="HV"', "<param", 19, "Element 'param': The attribute 'name' is required but missing."),
            ('name="WD"', 'name="HFW"', 26, "Duplicate key-sequence ['HFW'] in unique identity-constraint"),
            (' xsi:type="TextEntry"', "", 38, "Element 'entry': The type definition is abstract."),
            ("<Fe/>", "<Unobtainium/>", 12, "Element 'Unobtainium': This element is not expected"),
            ("<Fe/>", "<Fe>yes</Fe>", 12, "Element 'Fe': Character content is not allowed"),
        ],
    )
    def test_a_fault_is_refused_with_its_line(self, old: str, new: str, line: int, says: str) -> None:
        faults = validate(changed(old, new, 1))
        assert any(fault.startswith(f"Line {line}: ") and says in fault for fault in faults), faults

    @needs_the_published_schema
    @pytest.mark.parametrize("old", [' pid="Quanta"', "+00:00", ' seqno="0"', ' type="Image"', ' role="Experimental"'])
    def test_the_published_schema_lets_it_pass(self, old: str) -> None:
        """Ours asks for more: these are not faults that both find."""
        assert validate(changed(old, ""), REFERENCE) == []
        assert validate(changed(old, "")) != []

    def test_a_sentence_shows_no_namespace(self) -> None:
        assert "data.nist.gov" not in " ".join(validate(changed(' role="Experimental"', ' part="x"')))

    def test_every_fault_is_named(self) -> None:
        assert len(validate(changed(' role="Experimental"', ""))) == 2


class TestDocumentsAreReadWithoutRisk:
    """001-48: what is no XML, or tries to be more than a document, is refused in a sentence; nothing is loaded."""

    @pytest.mark.parametrize(
        "document",
        [b"", b" ", b"<", b"<a>", b"<a>&nbsp;</a>", b"\xff\xfe\x00", b'<a b="\x01"/>', BAD_ENCODING],
    )
    def test_what_is_no_xml(self, document: bytes) -> None:
        (fault,) = validate(document)
        assert fault.startswith("Line 1: ")

    def test_a_truncated_record(self) -> None:
        faults = validate(RECORD[:-40])
        assert faults
        assert all(fault.startswith("Line ") for fault in faults)

    def test_faults_do_not_carry_over(self) -> None:
        assert validate(b"<a>") == validate(b"<a>")
        assert validate(changed(' pid="S-1"', "")) == validate(changed(' pid="S-1"', ""))
        assert validate(RECORD) == []

    def test_another_vocabulary_is_refused(self) -> None:
        assert validate(b"<html/>") == [
            "Line 1: Element 'html': No matching global declaration available for the validation root."
        ]

    @pytest.mark.parametrize(
        "root", ["<Experiment><title>&b10;</title></Experiment>", "<Experiment/>", '<Experiment pid="&b10;"/>']
    )
    def test_an_entity_bomb_is_not_set_off(self, root: str) -> None:
        """Set off, it would fill 100 GB."""
        levels = [f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 11)]
        bomb = f'<!DOCTYPE r [<!ENTITY b0 "xxxxxxxxxx">{"".join(levels)}]>'
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert len(validate(f"{bomb}{root}".encode())) == 1
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "kilobytes"

    def test_an_external_entity_is_not_read(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("secret")
        declared = f'<!DOCTYPE r [<!ENTITY x SYSTEM "{(tmp_path / "secret").as_uri()}">]>'
        (fault,) = validate(f"{declared}<Experiment><title>&x;</title></Experiment>".encode())
        assert "no document type declaration" in fault

    def test_a_dtd_is_not_loaded(self, tmp_path: Path) -> None:
        (tmp_path / "r.dtd").write_text('<!ENTITY x "y">')
        declared = f'<!DOCTYPE Experiment SYSTEM "{(tmp_path / "r.dtd").as_uri()}"><Experiment'
        (fault,) = validate(RECORD.replace(b"<Experiment", declared.encode(), 1))
        assert "no document type declaration" in fault


class TestAFacilityMayNameItsOwnSchema:
    """001-05, 001-48: `Services.Builder.schema_path`; a file that cannot be used ends the work with exit code 2."""

    def test_the_facilitys_schema_counts(self, tmp_path: Path) -> None:
        own = tmp_path / "unser schéma #1.xsd"
        own.write_text(SCHEMA_OF.format('name="a"'))
        assert validate(b"<a/>", own) == []
        assert validate(RECORD, own) != []

    def test_it_may_be_of_several_files(self, tmp_path: Path) -> None:
        (tmp_path / "part.xsd").write_text(SCHEMA.read_text("utf-8"), "utf-8")
        whole = tmp_path / "whole.xsd"
        whole.write_text(
            '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" '
            f'targetNamespace="{NAMESPACE}"><xs:include schemaLocation="part.xsd"/></xs:schema>'
        )
        assert validate(RECORD, whole) == []

    def test_a_changed_file_is_read_again(self, tmp_path: Path) -> None:
        own = tmp_path / "own.xsd"
        for name in ("a", "b", "a"):
            own.write_text(SCHEMA_OF.format(f'name="{name}"'))
            seen = own.stat().st_mtime_ns
            os.utime(own, ns=(seen, seen + ord(name) * 10**9))
            assert validate(f"<{name}/>".encode(), own) == []

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (None, "No such file or directory"),
            (b"", "mpty"),
            (b"not xml", "Start tag expected"),
            (b"<a/>", "not a schema document"),
            (SCHEMA_OF.format('name="a" type="b"').encode(), "'b'"),
        ],
    )
    def test_one_that_cannot_be_used(self, tmp_path: Path, content: bytes | None, reason: str) -> None:
        own = tmp_path / "own.xsd"
        if content is not None:
            own.write_bytes(content)
        with pytest.raises(SchemaUnusable) as caught:
            validate(RECORD, own)
        assert isinstance(caught.value, NexusError)
        assert caught.value.exit_code == 2
        sentence = str(caught.value)
        assert sentence.startswith(f"The schema file {own}, against which records are checked, cannot be used: ")
        assert "ConfigTool Services.Builder.schema_path=<file>" in sentence
        assert reason in sentence

    def test_a_folder_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(SchemaUnusable):
            validate(RECORD, tmp_path)

    @needs_the_published_schema
    def test_the_published_one(self) -> None:
        assert validate(RECORD, REFERENCE) == []
        assert validate(changed('type="Image"', 'type="Picture"'), REFERENCE) != []

    def test_threads_do_not_mix_their_faults(self) -> None:
        documents = [RECORD, *(changed("<sampleID>s1", f"<sampleID>s{n}") for n in range(2, 5))]
        expected = [validate(document) for document in documents]
        wrong: list[list[str]] = []

        def check(document: bytes, faults: list[str]) -> None:
            wrong.extend(found for found in (validate(document) for _ in range(50)) if found != faults)

        threads = [threading.Thread(target=check, args=pair) for pair in zip(documents, expected, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert wrong == []
        assert not any(thread.is_alive() for thread in threads)
