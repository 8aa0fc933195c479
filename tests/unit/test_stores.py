"""Stores: a directory without links and with little room, names, keys of buckets, and servers that do not answer."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from NexusCore.errors import ConfigException
from NexusCore.facility.stores import open_store
from NexusCore.facility.stores.directory import UPLOADS, DirectoryStore
from NexusCore.facility.stores.model import (
    Incomplete,
    NameTaken,
    NewObject,
    Store,
    StoredObject,
    StoreFull,
    StoreUnavailable,
    UploadGone,
    WrongContent,
    content_md5,
)
from NexusCore.facility.stores.names import candidates, name_mistake, with_number
from NexusCore.facility.transfer_settings import StoreSettings
from tests.disks import fill, mounted

SECOND = 1_000_000
MODIFIED = 1_790_000_000 * SECOND + 123_456


def new(data: bytes, name: str = "raw/a.dm4", **more: object) -> NewObject:
    values = {"name": name, "size": len(data), "md5": hashlib.md5(data).hexdigest(), "modified_ts": MODIFIED}
    return NewObject(**{**values, "upload": str(uuid.uuid4()), **more})  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    store = DirectoryStore("", tmp_path, 1024)
    store.prepare(lambda: False)
    return store


def stored(store: DirectoryStore, data: bytes, replaces: str | None = None, **more: object) -> NewObject:
    """Store an object."""
    item = new(data, **more)
    ref = store.begin(item, replaces)
    assert store.append(item, 0, data) == len(data)
    store.finish(item, ref, replaces)
    return item


class TestADirectory:
    """A file gets its name when it is whole and right, and replaces nothing that it should not."""

    def test_the_object_is_like_the_source(self, store: DirectoryStore, tmp_path: Path) -> None:
        """It has its content and modification time, and nothing else stays behind."""
        stored(store, b"content", name="raw/day/a.dm4")
        path = tmp_path / "raw" / "day" / "a.dm4"
        assert path.read_bytes() == b"content"
        assert path.stat().st_mtime_ns == MODIFIED * 1000
        assert path.stat().st_nlink == 1
        assert list((tmp_path / UPLOADS).iterdir()) == []
        assert content_md5(store, "raw/day/a.dm4") == hashlib.md5(b"content").hexdigest()

    @pytest.mark.parametrize("modified", [-(10**17), 10**17, -1])
    def test_times_of_wrong_clocks(self, store: DirectoryStore, tmp_path: Path, modified: int) -> None:
        stored(store, b"content", modified_ts=modified)
        assert (tmp_path / "raw" / "a.dm4").read_bytes() == b"content"

    def test_a_name_that_is_taken(self, store: DirectoryStore, tmp_path: Path) -> None:
        stored(store, b"first")
        with pytest.raises(NameTaken):
            stored(store, b"second")
        assert (tmp_path / "raw" / "a.dm4").read_bytes() == b"first"

    def test_a_version_that_may_be_replaced(self, store: DirectoryStore, tmp_path: Path) -> None:
        """Only if it is still that one."""
        stored(store, b"first")
        version = store.status("raw/a.dm4")
        assert version is not None
        stored(store, b"second", version.version)
        assert (tmp_path / "raw" / "a.dm4").read_bytes() == b"second"
        with pytest.raises(NameTaken):
            stored(store, b"third", version.version)
        assert (tmp_path / "raw" / "a.dm4").read_bytes() == b"second"

    def test_a_folder_has_the_name(self, store: DirectoryStore, tmp_path: Path) -> None:
        (tmp_path / "raw" / "a.dm4").mkdir(parents=True)
        assert store.status("raw/a.dm4") is not None
        with pytest.raises(NameTaken):
            stored(store, b"content")

    def test_a_file_system_without_hard_links(
        self, store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def link(*args: object, **more: object) -> None:
            raise OSError(errno.EOPNOTSUPP, "no links here")

        monkeypatch.setattr(os, "link", link)
        stored(store, b"first")
        assert (tmp_path / "raw" / "a.dm4").read_bytes() == b"first"
        with pytest.raises(NameTaken):
            stored(store, b"second")
        assert (tmp_path / "raw" / "a.dm4").read_bytes() == b"first"
        assert len(list((tmp_path / UPLOADS).iterdir())) == 1

    def test_wrong_content(self, store: DirectoryStore, tmp_path: Path) -> None:
        item = new(b"content")
        store.begin(item, None)
        store.append(item, 0, b"c0ntent")
        with pytest.raises(WrongContent):
            store.finish(item, {}, None)
        assert not (tmp_path / "raw").exists()
        with pytest.raises(UploadGone):
            store.progress(item, {})

    def test_a_crash_between_two_names(self, store: DirectoryStore, tmp_path: Path) -> None:
        """The hidden file has got its name, but not lost the old one."""
        item = new(b"content")
        store.begin(item, None)
        store.append(item, 0, b"content")
        (tmp_path / "raw").mkdir()
        os.link(tmp_path / UPLOADS / f"{item.upload}.part", tmp_path / "raw" / "a.dm4")
        store.finish(item, {}, None)
        assert (tmp_path / "raw" / "a.dm4").stat().st_nlink == 1

    def test_what_has_arrived_is_what_is_on_the_disk(self, store: DirectoryStore, tmp_path: Path) -> None:
        """Also if the last chunk was only written in part."""
        item = new(b"0123456789")
        store.begin(item, None)
        store.append(item, 0, b"0123")
        with (tmp_path / UPLOADS / f"{item.upload}.part").open("ab") as file:
            file.write(b"45")
        assert store.progress(item, {}).received == 6
        with pytest.raises(Incomplete) as refused:
            store.append(item, 8, b"89")
        assert refused.value.received == 6
        assert store.append(item, 4, b"456789") == 10
        store.finish(item, {}, None)

    def test_a_link_as_the_hidden_file(self, store: DirectoryStore, tmp_path: Path) -> None:
        item = new(b"content")
        (tmp_path / "victim").write_bytes(b"")
        (tmp_path / UPLOADS / f"{item.upload}.part").symlink_to(tmp_path / "victim")
        with pytest.raises(StoreUnavailable, match="in the way"):
            store.begin(item, None)
        with pytest.raises(StoreUnavailable, match="in the way"):
            store.append(item, 0, b"content")
        assert (tmp_path / "victim").read_bytes() == b""

    def test_forgotten_uploads_are_removed(self, store: DirectoryStore, tmp_path: Path) -> None:
        old, young = new(b"old"), new(b"young")
        for item in (old, young):
            store.begin(item, None)
        os.utime(tmp_path / UPLOADS / f"{old.upload}.part", (1_000_000, 1_000_000))
        (tmp_path / UPLOADS / "a person's note").write_text("stays")
        assert store.sweep(2_000_000 * SECOND) == 1
        assert store.progress(young, {}).received == 0
        with pytest.raises(UploadGone):
            store.progress(old, {})

    def test_a_root_that_is_not_mounted(self, tmp_path: Path) -> None:
        store = DirectoryStore("", tmp_path, 1024)
        with pytest.raises(StoreUnavailable, match="is not mounted"):
            store.prepare(lambda: True)
        assert not (tmp_path / UPLOADS).exists()

    def test_a_root_that_is_missing(self, tmp_path: Path) -> None:
        store = DirectoryStore("", tmp_path / "none", 1024)
        for step in (store.check, lambda: store.status("raw/a"), lambda: store.prepare(lambda: False)):
            with pytest.raises(StoreUnavailable, match="No such file"):
                step()


class TestADiskThatIsFull:
    """Nothing is half stored, and it goes on when there is room again."""

    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[Path]:
        with mounted(tmp_path / "disk", "256k") as disk:
            yield disk

    def test_before_it_begins(self, disk: Path) -> None:
        store = DirectoryStore("", disk, 1024)
        store.prepare(lambda: False)
        with pytest.raises(StoreFull):
            store.begin(new(b"x" * 300_000), None)
        assert list((disk / UPLOADS).iterdir()) == []

    def test_in_the_middle(self, disk: Path) -> None:
        store = DirectoryStore("", disk, 1024)
        store.prepare(lambda: False)
        data = os.urandom(100_000)
        item = new(data)
        store.begin(item, None)
        store.append(item, 0, data[:20_000])
        filler = fill(disk)
        with pytest.raises(StoreFull):
            store.append(item, 20_000, data[20_000:])
        received = store.progress(item, {}).received
        assert 20_000 <= received < 100_000
        filler.unlink()
        assert store.append(item, received, data[received:]) == 100_000
        store.finish(item, {}, None)
        assert (disk / "raw" / "a.dm4").read_bytes() == data


class TestNames:
    """A taken name gets a number, and stays a name that a file system takes."""

    @pytest.mark.parametrize(
        ("name", "second"),
        [
            ("raw/a.dm4", "raw/a (2).dm4"),
            ("raw/a", "raw/a (2)"),
            ("raw/.hidden", "raw/.hidden (2)"),
            ("raw/a.b.emd", "raw/a.b (2).emd"),
            ("é" * 125 + ".dm4", "é" * 123 + " (2).dm4"),
        ],
    )
    def test_the_second_of_a_name(self, name: str, second: str) -> None:
        assert with_number(name, 2) == second
        assert name_mistake(second) is None

    def test_the_name_that_it_has_comes_first(self) -> None:
        names = candidates("raw/a.dm4", "raw/a (3).dm4")
        assert [next(names) for _ in range(4)] == ["raw/a (3).dm4", "raw/a.dm4", "raw/a (2).dm4", "raw/a (4).dm4"]

    @pytest.mark.parametrize("path", ["a", "a/b.c", "x" * 255, "ü/ß", "con:1", "/".join("x" * 60)])
    def test_what_is_a_name(self, path: str) -> None:
        assert name_mistake(path) is None

    @pytest.mark.parametrize(
        "path", ["", "/a", "a/", "a//b", ".", "a/..", "a\\b", "a\x7f", "a\x85", "é" * 128, "\udc80"]
    )
    def test_what_is_none(self, path: str) -> None:
        assert name_mistake(path)


class TestMetadata:
    """What a store says of a content counts only where it can be trusted."""

    def test_of_a_whole_object_and_of_one_part(self) -> None:
        md5 = hashlib.md5(b"x").hexdigest()
        of_part = hashlib.md5(bytes.fromhex(md5)).hexdigest()
        assert StoredObject(1, "v", md5=md5).has(md5) is True
        assert StoredObject(1, "v", md5="0" * 32).has(md5) is False
        assert StoredObject(1, "v", part_md5=of_part).has(md5) is True
        assert StoredObject(1, "v", part_md5="0" * 32).has(md5) is None
        assert StoredObject(1, "v").has(md5) is None


@contextmanager
def silent_server() -> Iterator[str]:
    """Lend the address of a server that takes connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


class TestBuckets:
    """What is wrong with a bucket is said in a sentence, and its key stays secret."""

    @pytest.mark.parametrize(
        ("settings", "sentence"),
        [
            ({"kind": ""}, "use one of directory, google, s3"),
            ({"kind": "ftp"}, "stores.b.kind is 'ftp'"),
            ({"kind": "directory"}, "stores.b.path is not set"),
            ({"kind": "directory", "path": "data"}, "not an absolute path"),
            ({"kind": "google"}, "stores.b.bucket is not set"),
        ],
    )
    def test_settings_that_are_not_complete(self, settings: dict[str, str], sentence: str) -> None:
        with pytest.raises(ConfigException, match=sentence):
            open_store(StoreSettings("b", **settings), 1024)

    @pytest.mark.parametrize("kind", ["google", "s3"])
    def test_a_key_that_others_can_read(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "key"
        path.write_text("geheim")
        path.chmod(0o644)
        for where, sentence in ((path, "chmod 600"), (tmp_path / "none", "No such file"), (tmp_path, "is not a file")):
            with pytest.raises(StoreUnavailable, match=sentence):
                open_store(StoreSettings("b", kind=kind, bucket="b", credentials=str(where)), 1024)

    @pytest.mark.parametrize("kind", ["google", "s3"])
    def test_a_key_that_is_none(self, tmp_path: Path, kind: str) -> None:
        """Nothing of it is shown."""
        path = tmp_path / "key"
        path.write_text("geheim\n[x")
        path.chmod(0o600)
        with pytest.raises(StoreUnavailable) as refused:
            open_store(StoreSettings("b", kind=kind, bucket="b", credentials=str(path)), 1024)
        assert "geheim" not in str(refused.value)
        assert "geheim" not in repr(StoreSettings("b", credentials="geheim"))

    @pytest.mark.parametrize(("kind", "package"), [("google", "google.cloud.storage"), ("s3", "boto3")])
    def test_a_library_that_is_not_installed(self, kind: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(StoreUnavailable, match=r"pip install 'NexusCore\[gateway\]'"):
            open_store(StoreSettings("b", kind=kind, bucket="b", endpoint="http://127.0.0.1:1"), 1024)

    @pytest.mark.parametrize("kind", ["google", "s3"])
    def test_a_server_that_is_away(self, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from NexusCore.facility.stores import google, s3

        monkeypatch.setattr(google, "TIMEOUT", (0.2, 0.2))
        monkeypatch.setattr(google, "RETRY_SECONDS", 0.2)
        monkeypatch.setattr(s3, "READ_SECONDS", 0.2)
        key = tmp_path / "s3.ini"
        key.write_text("[default]\naws_access_key_id = key\naws_secret_access_key = geheim\n")
        key.chmod(0o600)
        with silent_server() as address:
            settings = StoreSettings("b", kind=kind, bucket="b", endpoint=address)
            if kind == "s3":
                settings = StoreSettings("b", kind=kind, bucket="b", endpoint=address, credentials=str(key))
            store: Store = open_store(settings, 1024)
            for step in (store.check, lambda: store.status("raw/a.dm4"), lambda: store.begin(new(b"x"), None)):
                with pytest.raises(StoreUnavailable, match="does not answer") as refused:
                    step()
                assert "geheim" not in str(refused.value)
