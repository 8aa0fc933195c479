"""001-42, 001-43: what a record names lies where the record leads, also on a server that keeps no folders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from NexusCore.facility import Record
from Services.Uploader.destinations.cdcs import files
from Services.Uploader.destinations.cdcs.files import Share, beside, linked_paths, with_addresses
from tests.services.uploading import experiment_xml, facility_on

DOCUMENT = b"""<?xml version='1.0' encoding='UTF-8'?>
<!-- kept --><Experiment xmlns="urn:x" about="s.files/a.png"><title>s.files</title>
 <preview>s.files/a.png</preview><preview> s.files/a.png </preview>
 <meta name="Metadata">s.files/a.dm3.json</meta><meta>s.files/none.png</meta><p>See s.files/a.png &amp; &lt;b&gt;</p>
</Experiment>"""
PATHS = {"s.files/a.png", "s.files/a.dm3.json", "s.files/unnamed.json"}


@pytest.fixture
def record(sqlite_url: str, tmp_path: Path) -> Iterator[Record]:
    with facility_on(sqlite_url, tmp_path) as one:
        yield one.experiment()


class TestLinks:
    """An element that is the path of a file comes to be its address; nothing else is touched."""

    def test_those_that_are_there(self) -> None:
        assert linked_paths(DOCUMENT, PATHS) == ["s.files/a.dm3.json", "s.files/a.png"]
        assert linked_paths(DOCUMENT, set()) == []

    def test_only_they_change(self) -> None:
        sent = with_addresses(DOCUMENT, {"s.files/a.png": "https://x/1?a=b&c", "s.files/a.dm3.json": "https://x/2"})
        changed = (
            sent.decode().replace("https://x/1?a=b&amp;c", "s.files/a.png").replace("https://x/2", "s.files/a.dm3.json")
        )
        assert changed.encode() == DOCUMENT
        assert sent != DOCUMENT

    def test_without_links_it_is_the_same(self) -> None:
        assert with_addresses(b"<a   b='c'/>", {}) == b"<a   b='c'/>"

    def test_nothing_is_looked_up(self, tmp_path: Path) -> None:
        """An entity that names a file of this machine stays what it is."""
        (tmp_path / "secret").write_text("s3cr3t")
        document = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]><a><b>f</b>&x;</a>'.encode()
        assert b"s3cr3t" not in with_addresses(document, {"f": "https://x/1"})

    def test_those_that_the_record_names(self, record: Record) -> None:
        folder = Path(record.path).with_suffix(".files")
        (folder / "b.png").write_text("picture")
        assert beside(record) == {f"{folder.name}/a.png"}


class TestBlobNames:
    """They say whose a file is and what is in it; they are short and plain."""

    def test_of_one_content(self, record: Record) -> None:
        file = Path(record.path).with_suffix(".files") / "a.png"
        before = files._name(record, file)
        assert before.startswith(files._prefix(record))
        assert before.endswith(".a.png")
        file.write_text("other")
        assert files._name(record, file) != before

    def test_of_any_file(self, record: Record) -> None:
        file = Path(record.path).with_suffix(".files") / f"{'größe-abc&' * 20}.png"
        file.write_text("x")
        name = files._name(record, file)
        assert len(name) == 200
        assert name.isascii()
        assert name.endswith("_gr_e-abc_.png")


class TestAFolderThatIsShown:
    """``files_path`` and ``files_url`` go together."""

    @pytest.mark.parametrize(
        ("url", "says"),
        [("", "it is not set"), ("files.example.org", "it is not an http or https address")],
    )
    def test_without_an_address(self, tmp_path: Path, url: str, says: str) -> None:
        assert Share(tmp_path, url).check() == [f"Services.Uploader.cdcs.files_url goes with files_path, but {says}"]

    def test_an_unmounted_share_is_reported(self, tmp_path: Path) -> None:
        (problem,) = Share(tmp_path / "share", "https://files.example.org").check()
        assert "does not exist" in problem

    def test_addresses_are_encoded(self, record: Record, tmp_path: Path) -> None:
        name = f"{record.session}.files/größe 1#2.png"
        Path(record.path).write_text(experiment_xml(record.session, "To see", "größe 1#2.png"))
        record = replace(record, sha256=hashlib.sha256(Path(record.path).read_bytes()).hexdigest())
        (Path(record.path).parent / name).write_text("x")
        (tmp_path / "share").mkdir()
        share = Share(tmp_path / "share", "https://files.example.org/x/")
        links = share.place(record, [name], 1)
        assert links == {name: f"https://files.example.org/x/{record.session}.files/gr%C3%B6%C3%9Fe%201%232.png"}
        assert (tmp_path / "share" / name).read_text() == "x"


def test_a_record_of_the_builder_has_such_links(record: Record, tmp_path: Path) -> None:
    """What the Builder names is found, and only the previews are changed."""
    document = experiment_xml(record.session, "x").encode()
    (path,) = linked_paths(document, beside(record))
    tree = etree.fromstring(with_addresses(document, {path: "https://x/1"}))
    assert [one.text for one in tree.iter("{*}preview")] == ["https://x/1"]
