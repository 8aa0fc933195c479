"""The layout ``nexuslims``: what the NexusLIMS viewer of a CDCS reads, and nothing else differs from the record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest
from lxml import etree

from NexusCore.config import NamedConfiguration
from NexusCore.facility import Record
from NexusCore.facility.record_page.links import location_text
from Services.Builder.model import Activity, Dataset, Experiment, Quantity, Sample
from Services.Builder.record.document import to_xml
from Services.Builder.record.names import beside
from Services.Builder.record.validation import validate
from Services.Uploader.destinations.cdcs import make
from Services.Uploader.destinations.cdcs.layouts import PlainLayout, ViewerFiles, ViewerLayout, viewer_path
from Services.Uploader.destinations.cdcs.pids import is_as_sent, site_pid, with_pid
from tests.processes import app_on
from tests.services.uploading import NOW
from tests.services.viewer import viewer_faults

SESSION = "0f8fad5b-d9cb-469f-a165-70867728950e"
TITLE = "2026-03-10_Titan_0f8fad5b"
NAMES = (
    "a.dm3", "50 % #2?.dm3", "Größe & <Form>.tif", "sub/a.dm3", "x.png", "a.thumb", "b.thumb.png", "c.thumb.png/d.tif",
    "50%25.dm3", "caf\udce9.dm3",
)  # fmt: skip
"""Names of raw files with what an address may not have as it is."""
SITE_PID = "https://cdcs.example.org/pid/rest/local/cdcs/A1B2"


def record_in(folder: Path, names: tuple[str, ...] = NAMES) -> Record:
    """Have a record with datasets of these names, each with preview and metadata, as the Builder writes it."""
    files = f"{TITLE}.files"
    datasets = []
    for name in names:
        raw = folder / "store" / "Titan" / name
        raw.parent.mkdir(parents=True, exist_ok=True)
        raw.write_text("data")
        made = {
            suffix: f"{files}/{PurePath(name).with_name(beside(PurePath(name).name, suffix))}"
            for suffix in (".png", ".json")
        }
        for path in made.values():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(PurePath(path).name)
        meta = {"Metadata": made[".json"], "Data Type": "TEM_Imaging", "Voltage": 200}
        datasets.append(
            Dataset(
                raw.name,
                location_text(f"Titan/{name}"),
                "Gatan DigitalMicrograph 3",
                "Image",
                preview=made[".png"],
                meta={key: Quantity(value) for key, value in meta.items()},
            )
        )
    document = to_xml(
        Experiment(
            title="Größe & <Form>",
            identifier=SESSION,
            instrument_pid="Titan",
            instrument_name="FEI Titan",
            activities=(Activity(0, NOW, tuple(datasets), sample_id="sample-1"),),
            samples=(Sample("NMC811", "sample-1"),),
            reservation_start=NOW,
            reservation_end=NOW,
        )
    )
    xml = folder / f"{TITLE}.xml"
    xml.write_bytes(document)
    return Record(1, 1, str(xml), TITLE, hashlib.sha256(document).hexdigest(), 1, "test", len(names), 1, 0, SESSION)


def paths_of(record: Record) -> list[str]:
    """Return the paths of a record's files as it names them."""
    xml = Path(record.path)
    return [
        path.relative_to(xml.parent).as_posix()
        for path in sorted(xml.with_suffix(".files").rglob("*"))
        if path.is_file()
    ]


@pytest.fixture
def record(tmp_path: Path) -> Record:
    (tmp_path / "shown").mkdir()
    (tmp_path / "records").mkdir()
    return record_in(tmp_path / "records")


@pytest.fixture
def config(sqlite_url: str, tmp_path: Path) -> Iterator[NamedConfiguration]:
    app = app_on(sqlite_url, tmp_path / "home")
    yield app.get_config("Services.Uploader.cdcs")
    app.shutdown()


def sent(record: Record, shown: Path, *, pid: bool = False) -> bytes:
    """Place the files of a record, and return what would be sent."""
    links = ViewerFiles(shown).place(record, paths_of(record), 1)
    return ViewerLayout(pid).arranged(Path(record.path).read_bytes(), links, SESSION)


class TestTheViewerShowsIt:
    """Every rule of the viewer, for names with every character that an address cannot have."""

    def test_with_each_preview_and_file(self, record: Record, tmp_path: Path) -> None:
        shown, store = tmp_path / "shown", tmp_path / "records" / "store"
        document = sent(record, shown)
        assert viewer_faults(document, shown, store) == []
        assert validate(document) == []
        texts = [element.text for element in etree.fromstring(document).iter("{*}preview")]
        assert texts[0] == f"/{TITLE}.files/a.dm3.thumb.png"
        assert texts[1] == f"/{TITLE}.files/50%20%25%20%232%3F.dm3.thumb.png"
        assert (shown / f"{TITLE}.files" / "50 % #2?.dm3.thumb.png").read_text() == "50 % #2?.dm3.png"

    def test_the_record_as_it_is_breaks_the_rules(self, record: Record, tmp_path: Path) -> None:
        """So the rules are strict enough to fail."""
        faults = viewer_faults(Path(record.path).read_bytes(), tmp_path / "shown", tmp_path / "records" / "store")
        assert {fault.partition(":")[0] for fault in faults} == {
            "Experiment/@pid", "format", "location", "preview", "metadata",
        }  # fmt: skip

    def test_only_the_stated_changes(self, record: Record, tmp_path: Path) -> None:
        """Taken back one by one, they leave the Builder's record."""
        root = etree.fromstring(sent(record, tmp_path / "shown"))
        original = etree.fromstring(Path(record.path).read_bytes())
        root.set("pid", SESSION)
        for new, old in zip(root.iter("{*}dataset"), original.iter("{*}dataset"), strict=True):
            for tag in ("location", "preview", "meta[@name='Metadata']"):
                found, was = new.find(f"{{*}}{tag}"), old.find(f"{{*}}{tag}")
                assert found is not None
                assert was is not None
                found.text = was.text
            form, was = new.find("{*}meta[@name='Format']"), old.find("{*}format")
            assert form is not None
            assert was is not None
            assert form.text == was.text
            names = [meta.get("name") or "" for meta in new.iter("{*}meta")]
            assert names == sorted(names)
            new.remove(form)
            old.remove(was)
        blank = etree.XMLParser(remove_blank_text=True)
        first, second = (
            etree.tostring(etree.fromstring(etree.tostring(one), blank), method="c14n") for one in (root, original)
        )
        assert first == second

    def test_a_rebuilt_record_takes_its_old_files_away(self, record: Record, tmp_path: Path) -> None:
        shown = tmp_path / "shown"
        sent(record, shown)
        newer = record_in(tmp_path / "records", NAMES[:1])
        sent(newer, shown)
        files = sorted(path.name for path in (shown / f"{TITLE}.files").rglob("*") if path.is_file())
        assert files == ["a.dm3.json", "a.dm3.thumb.png"]

    def test_names_stay_distinct(self) -> None:
        """No two files of a record get one name."""
        names = [PurePath(f"{name}{suffix}") for name in (*NAMES, "a", "a.thumb.png") for suffix in (".png", ".json")]
        assert len({viewer_path(name) for name in names}) == len(names)


class TestOddRecords:
    """What another schema, or another maker, writes."""

    def test_a_file_in_a_bucket(self) -> None:
        document = b"<r><dataset><location>gs://bucket/Titan/a b.dm3</location></dataset></r>"
        arranged = ViewerLayout().arranged(document, {}, "r")
        assert b"<location>/Titan/a%20b.dm3</location>" in arranged

    def test_metadata_of_that_name_already(self) -> None:
        document = b'<r><dataset><format>DM3</format><meta name="Format">12</meta></dataset></r>'
        arranged = ViewerLayout().arranged(document, {}, "r")
        assert b'<dataset><meta name="Format">12</meta><meta name="Format (2)">DM3</meta></dataset>' in arranged

    def test_its_session_stays_in_it(self) -> None:
        """Without the PID, the Uploader would not know the record as its own."""
        document = f'<r xmlns="urn:r" pid="{SESSION}"><id>4711</id></r>'.encode()
        arranged = ViewerLayout().arranged(document, {}, SESSION)
        assert etree.fromstring(arranged).findtext("{*}notes/{*}entry/{*}p") == f"Session {SESSION}."
        assert arranged == ViewerLayout().arranged(document, {}, SESSION), "the same bytes each time"

    def test_the_pid_where_it_is_asked_for(self, record: Record, tmp_path: Path) -> None:
        assert etree.fromstring(sent(record, tmp_path / "shown", pid=True)).get("pid") == SESSION

    def test_plain_changes_nothing_but_links(self, record: Record) -> None:
        document = Path(record.path).read_bytes()
        assert PlainLayout().arranged(document, {}, SESSION) == document


class TestPids:
    """PIDs that a site writes are kept, and do not count as a change."""

    def test_one_of_the_site_is_not_a_difference(self) -> None:
        assert is_as_sent(f'<r pid="{SITE_PID}"><a/></r>', "<?xml version='1.0'?>\n<r><a></a></r>", SESSION)
        assert not is_as_sent(f'<r pid="{SITE_PID}"><b/></r>', "<r><a/></r>", SESSION)
        assert not is_as_sent(f'<r pid="{SESSION}"><a/></r>', "<r><a/></r>", SESSION), "ours is what was sent before"
        assert not is_as_sent("no XML", "<r/>", SESSION)

    def test_it_is_sent_again(self) -> None:
        assert site_pid(f'<r pid="{SITE_PID}"/>', SESSION) == SITE_PID
        assert site_pid(f'<r pid="{SESSION}"/>', SESSION) is None
        assert site_pid("<r/>", SESSION) is None
        assert b"A1B2" in with_pid(b"<r/>", SITE_PID)
        assert with_pid(b"<r/>", None) == b"<r/>"
        assert with_pid(b'<r pid="own"/>', SITE_PID) == b'<r pid="own"/>'


class TestSettings:
    """001-51: the layout is a setting; what goes with it is asked for."""

    @pytest.mark.parametrize("layout", ["nexuslims", "plain"])
    def test_the_folder_is_asked_for(self, config: NamedConfiguration, tmp_path: Path, layout: str) -> None:
        make(config, tmp_path)
        config["layout"] = layout
        obstacles = make(config, tmp_path).files.check()
        if layout == "plain":
            assert obstacles == []
        else:
            assert "set Services.Uploader.cdcs.files_path" in obstacles[0]
            config["files_path"] = str(tmp_path)
            assert make(config, tmp_path).files.check() == []
