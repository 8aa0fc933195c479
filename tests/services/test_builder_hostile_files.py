"""A file of the file store has no other file published, and no code run, whatever it says and becomes."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numcodecs
import numpy as np
import pytest
from lxml import etree
from PIL import Image

from NexusCore.facility import State
from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.workers import Workers
from Services.Builder.finding.files import TimeRange, find_files
from Services.Builder.model import Extraction, FoundFile
from tests.services.builder_facility import Facility
from tests.services.hostile_files import MAKERS, SECRET, SIDE, pickled_chunk, secret
from tests.services.signal_files import image

NX = {"nx": "https://data.nist.gov/od/dm/nexus/experiment/v1.0"}
ALWAYS = TimeRange("all", datetime(1980, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
REASONS = {
    "external_storage": "it keeps data in another file",
    "external_link": "it keeps data in another file",
    "soft_link_out": "it keeps data in another file",
    "virtual_dataset": "it keeps data in another file",
    "external_storage_hspy": "it keeps data in another file",
    "external_link_emd": "it keeps data in another file",
    "behind_a_user_block": "it keeps data in another file",
    "absolute_name": "The file names another one",
    "name_upwards": "The file names another one",
    "librarys_file": "The file names another one",
    "device": "The file names another one",
    "file_of_the_kernel": "The file names another one",
    "linked_chunk": "links in the file store are not followed",
    "pickled_chunk": "it asks for the codec 'pickle'",
    "named_in_ome": "The file names another one",
    "link_beside": "links in the file store are not followed",
    "postscript": "it is PostScript, which a program would have to run",
}
"""What the warning of each says."""


def found_in(store: Path) -> list[FoundFile]:
    return list(find_files(store, [ALWAYS]).files["all"])


def read(files: Sequence[FoundFile], store: Path, out: Path) -> dict[str, Extraction]:
    jobs = [
        Job(
            one.path,
            out / f"{one.path.name}.png",
            out / f"{one.path.name}.json",
            one.companions,
            root=store,
            identities=one.identities,
        )
        for one in files
    ]
    with Workers(1) as workers:
        return {one.path.name: one for one in workers.extract_all(jobs)}


def leaks(*folders: Path) -> Iterator[Path]:
    """Yield the files in which a part of the secret stands, in bytes or as the pixels of a picture."""
    for folder in folders:
        for one in folder.rglob("*"):
            if not one.is_file():
                continue
            if SECRET[:50] in one.read_bytes():
                yield one
            if one.suffix == ".png":
                with Image.open(one) as picture:
                    grey = np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), float).ravel()
                wanted = np.frombuffer(SECRET[: SIDE * SIDE], np.uint8).astype(float)
                if grey.std() and abs(np.corrcoef(grey, wanted)[0, 1]) > 0.5:
                    yield one


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Return a file store of hostile files, the folder of the secret, and one for what is made of them."""
    folder = tmp_path_factory.mktemp("hostile")
    store, hidden = folder / "store", secret(folder / "hidden")
    store.mkdir()
    for make in MAKERS.values():
        make(store, hidden)
    image(store / "harmless.hspy", SIDE)
    return store, hidden, folder / "out"


@pytest.fixture(scope="module")
def results(places: tuple[Path, Path, Path]) -> dict[str, Extraction]:
    store, _hidden, out = places
    return read(found_in(store), store, out)


class TestWhatAFileNamesIsNotRead:
    """Each way becomes a dataset with a warning that says why; the secret is nowhere."""

    @pytest.mark.parametrize("way", MAKERS)
    def test_it_is_a_dataset_with_a_reason(self, results, places, tmp_path, way):
        (tmp_path / "s").mkdir()
        name = MAKERS[way](tmp_path / "s", places[1]).name
        assert any(REASONS[way] in warning for warning in results[name].warnings), results[name].warnings
        assert (results[name].dataset_type, results[name].preview) == ("Unknown", None)

    def test_the_secret_is_nowhere(self, results, places):
        assert list(leaks(places[2])) == []
        assert not any(SECRET[:20].decode() in str(one) for one in results.values())

    def test_the_test_would_see_it(self, places, tmp_path):
        shutil.copy(places[1] / "secret.png", tmp_path / "a.png")
        shutil.copy(places[1] / "secret", tmp_path / "b")
        assert {one.name for one in leaks(tmp_path)} == {"a.png", "b"}

    def test_no_code_was_run(self, places, results):
        assert not (places[0] / "ran").exists()

    def test_a_harmless_file_among_them_is_read(self, results):
        harmless = results["harmless.hspy"]
        assert harmless.preview is not None and harmless.warnings == ()

    @pytest.mark.parametrize("way", MAKERS)
    def test_nor_without_the_kernels_help(self, places, tmp_path, way):
        """Read in this process, which is not confined, it is refused all the same."""
        (tmp_path / "store").mkdir()
        path = MAKERS[way](tmp_path / "store", places[1])
        found = extract(path, tmp_path / "out/p.png", tmp_path / "out/p.json")
        assert any(REASONS[way] in warning for warning in found.warnings), found.warnings
        assert list(leaks(tmp_path / "out")) == []
        assert not (tmp_path / "store/ran").exists()


class TestWhatWasFoundIsRead:
    """What takes the place of a file after the search is not read in its stead."""

    def swapped(self, tmp_path: Path, name: str, swap: Callable[[Path, Path], None]) -> Extraction:
        store, hidden = tmp_path / "store", secret(tmp_path / "hidden")
        (store / "day").mkdir(parents=True)
        Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(store / name)
        files = found_in(store)
        assert [one.path for one in files] == [store / name]
        swap(store / name, hidden)
        (found,) = read(files, store, tmp_path / "out").values()
        assert list(leaks(tmp_path / "out")) == []
        assert (found.dataset_type, found.preview, found.sha256) == ("Unknown", None, "")
        return found

    def test_a_link_to_a_picture_of_a_password(self, tmp_path):
        def swap(path: Path, hidden: Path) -> None:
            path.unlink()
            path.symlink_to(hidden / "secret.png")

        found = self.swapped(tmp_path, "day/a.png", swap)
        assert found.warnings == (
            "The file is not read: a.png is a link, or behind one: links in the file store are not followed.",
        )

    def test_a_folder_on_the_way_that_became_a_link(self, tmp_path):
        def swap(path: Path, hidden: Path) -> None:
            shutil.copy(hidden / "secret.png", hidden / path.name)
            path.unlink()
            path.parent.rmdir()
            path.parent.symlink_to(hidden)

        assert "links in the file store are not followed" in self.swapped(tmp_path, "day/a.png", swap).warnings[0]

    def test_a_replaced_file_is_not_read(self, tmp_path):
        def swap(path: Path, hidden: Path) -> None:
            (hidden / "secret.png").replace(path)

        found = self.swapped(tmp_path, "day/a.png", swap)
        assert "another file has taken the place of a.png since the search" in found.warnings[0]
        assert not found.whole, "another attempt may yield more"

    def test_a_pipe_is_not_read(self, tmp_path):
        def swap(path: Path, hidden: Path) -> None:
            path.unlink()
            os.mkfifo(path)

        # a pipe may get the inode that has just become free
        assert ("not a regular file" in (said := self.swapped(tmp_path, "day/a.png", swap).warnings[0])) or (
            "another file" in said
        )

    def test_a_companion_that_became_a_link_is_refused(self, tmp_path):
        store, hidden = tmp_path / "store", secret(tmp_path / "hidden")
        store.mkdir()
        (tmp_path / "other").mkdir()
        path = MAKERS["link_beside"](store, hidden)
        raw = path.with_suffix(".raw")
        raw.unlink()
        raw.write_bytes(bytes(SIDE * SIDE))
        files = found_in(store)
        assert files[0].companions == (raw,)
        raw.unlink()
        raw.symlink_to(hidden / "secret")
        found = read(files, store, tmp_path / "out")["beside.rpl"]
        assert "beside.raw is a link" in found.warnings[0] and found.preview is None
        assert list(leaks(tmp_path / "out")) == []


class TestWhatIsDatasetsOwn:
    """Files of several parts are read as before, where the parts are their own."""

    def test_a_detectors_master_file(self, tmp_path):
        with h5py.File(tmp_path / "scan_data_000001.h5", "w") as file:
            file["entry/data/data"] = np.arange(4 * 16 * 16, dtype=np.uint16).reshape(4, 16, 16)
        with h5py.File(tmp_path / "scan_master.h5", "w") as file:
            file["entry/data/data_000001"] = h5py.ExternalLink("scan_data_000001.h5", "/entry/data/data")
            file.create_group("entry/instrument")
            file["entry"].attrs["NX_class"] = "NXentry"
        (one,) = found_in(tmp_path)
        assert [path.name for path in one.companions] == ["scan_data_000001.h5"]
        found = read([one], tmp_path, tmp_path / "out")["scan_master.h5"]
        assert not any("another file" in warning for warning in found.warnings)

    def test_a_detectors_master_file_that_names_another(self, tmp_path):
        with h5py.File(tmp_path / "other.h5", "w") as file:
            file["data"] = np.zeros((4, 4))
        with h5py.File(tmp_path / "scan_master.h5", "w") as file:
            file["entry/data/data_000001"] = h5py.ExternalLink("other.h5", "/data")
            file.create_group("entry/instrument")
        found = read(found_in(tmp_path), tmp_path, tmp_path / "out")["scan_master.h5"]
        assert "it keeps data in another file, other.h5 (external link)" in found.warnings[0]

    def test_patterns_beside_their_xml(self, tmp_path):
        path = MAKERS["absolute_name"](tmp_path, secret(tmp_path / "hidden"))
        path.write_text('<root><pix_x>2</pix_x><pix_y>1</pix_y><raw_file filename="two.raw"/></root>')
        np.zeros((2, 130, 128), "<f4").tofile(tmp_path / "two.raw")
        found = read([one for one in found_in(tmp_path) if one.path == path], tmp_path, tmp_path / "out")[path.name]
        assert found.dataset_type == "Diffraction" and found.preview is not None, found.warnings


class TestReadersThatRunWhatAFileSays:
    """They are not used."""

    def test_netcdf_files_are_not_read(self, tmp_path):
        (tmp_path / "a.nc").write_bytes(b"CDF\1" + bytes(60))
        found = extract(tmp_path / "a.nc", None, None)
        assert found.warnings == (
            "The file is not read: the reader of netCDF files would run what is written in them as a program.",
        )

    @pytest.mark.parametrize("name", ["ps.png", "ps.jpg", "ps.tif", "ps.bmp"])
    def test_postscript_under_any_name(self, tmp_path, name):
        (tmp_path / name).write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\nshowpage\n")
        assert extract(tmp_path / name, None, None).warnings == (
            "The file is not read: it is PostScript, which a program would have to run.",
        )

    def test_postscript_as_text_is_text(self, tmp_path):
        (tmp_path / "ps.txt").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\nshowpage\n")
        found = extract(tmp_path / "ps.txt", None, None)
        assert (found.format, found.warnings) == ("plain text", ())

    @pytest.mark.parametrize("name", ["a.zspy", "a.ZARR"])
    def test_a_file_with_the_name_of_a_folder(self, tmp_path, name):
        (tmp_path / name).write_bytes(b"no folder")
        (warning,) = extract(tmp_path / name, None, None).warnings
        kind = Path(name).suffix
        assert warning == (
            f"The file is not read: what is called {kind} is a folder, and this is a file of another kind."
        )

    def test_an_hdf5_file_that_is_changed_meanwhile(self, tmp_path, monkeypatch):
        """What was looked into is not what was read: nothing of it stays."""
        path = image(tmp_path / "a.hspy", SIDE)
        content = path.read_bytes()

        def draw(*_arguments: object) -> bytes:
            path.write_bytes(content)
            return b"a picture"

        monkeypatch.setattr("Services.Builder.preview.png", draw)
        found = extract(path, tmp_path / "p.png", tmp_path / "p.json")
        assert found.warnings == ("The file is not read: it was changed while it was read.",)
        assert (found.preview, found.whole, (tmp_path / "p.png").exists()) == (None, False, False)


class TestAnOlderNumcodecs:
    """Before 0.15.2 the codec `pickle` unpickled whatever it was given."""

    def test_its_pickle_is_taken_away(self, tmp_path, monkeypatch):
        monkeypatch.setattr(numcodecs.pickles, "ALLOW_UNSAFE_PICKLE_DECODE", True)
        numcodecs.register_codec(numcodecs.Pickle)
        # as if not looked into
        monkeypatch.setattr("Services.Builder.extraction.extract.refuse", lambda path, companions: False)
        found = extract(pickled_chunk(tmp_path, tmp_path), tmp_path / "p.png", tmp_path / "p.json")
        assert found.preview is None and found.warnings
        assert not (tmp_path / "ran").exists()


class TestTheWholeWay:
    """By the real programs: nothing of the secret in the home, the records, the database, the upload, the log."""

    def test_a_session_of_hostile_files(self, tmp_path):
        facility = Facility(f"sqlite:///{tmp_path}/nexus.db", tmp_path)
        hidden = secret(tmp_path / "hidden")
        facility.files.mkdir()
        (tmp_path / "upload").mkdir()
        facility.run("NexusCore.storage.migrate")
        facility.configure(
            "Instruments.FEI-Titan-TEM.filestore_path=" + str(facility.files),
            f"Services.Builder.records_path={tmp_path / 'records'}",
            "Services.Uploader.destinations=directory",
            f"Services.Uploader.directory.path={tmp_path / 'upload'}",
        )
        for make in MAKERS.values():
            make(facility.files, hidden)
        image(facility.files / "harmless.hspy", SIDE)
        past = time.time() - 600
        for one in facility.files.rglob("*"):
            os.utime(one, (past, past), follow_symlinks=False)
        middle = datetime.fromtimestamp(past, UTC)
        session = facility.session(middle - timedelta(minutes=5), middle + timedelta(minutes=5))
        facility.run("Services.Builder", "--once")
        facility.run("Services.Uploader", "--once")
        assert facility.sessions.get(session.identifier).state is State.COMPLETED
        record = etree.parse(facility.record(session).path)
        warned = {
            one.findtext("nx:name", namespaces=NX)
            for one in record.iterfind(".//nx:dataset", NX)
            if "Warning:" in (one.findtext("nx:description", namespaces=NX) or "")
        }
        assert len(warned) == len(MAKERS)
        shown = {one.findtext("nx:name", namespaces=NX) for one in record.iterfind(".//nx:dataset[nx:preview]", NX)}
        assert "harmless.hspy" in shown - warned
        kept = tmp_path / "everything"
        kept.mkdir()
        for name in ("home", "records", "upload"):
            shutil.move(tmp_path / name, kept / name)
        for one in tmp_path.glob("nexus.db*"):
            shutil.copy(one, kept)
        assert list(leaks(kept)) == []
        assert not (facility.files / "ran").exists()
