"""A session whose PC transfers its files has those that are verified in the store, whatever their times."""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from NexusCore.clock import SECOND
from NexusCore.facility import Instruments, Session, State, transfer_changes, transfer_end
from NexusCore.facility.session import Client
from NexusCore.facility.transfer_file import Content, FileReport, FileState, Place
from NexusCore.facility.transfer_settings import StoreSettings
from NexusCore.storage import Transaction
from Services.Builder.commands import dry_run
from Services.Builder.finding import transfer_cache
from Services.Builder.finding.transfer_cache import Fetch, TransferCache, TransferCacheTooSmall, WrongFetched
from Services.Builder.settings import BuilderSettings
from tests.gateway import transfers as gateway_transfers
from tests.gateway.transfers import google_server, s3_server
from tests.services.builder_facility import Stage, dry_run_output

PC = Client("ada", "titan-pc", "Europe/Oslo", 0)
YEAR = 365 * 86_400


class Bucket:
    """A store that is no folder."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.read_names: list[str] = []
        self.before: Callable[[str], None] = lambda name: None

    def opened(self, settings: StoreSettings) -> Bucket:
        return self

    def status(self, name: str) -> int | None:
        return len(self.objects[name]) if name in self.objects else None

    def read(self, name: str) -> Iterator[bytes]:
        self.read_names.append(name)
        self.before(name)
        content = self.objects[name]
        for first in range(0, len(content), 3):
            yield content[first : first + 3]


def facility(url: str, folder: Path) -> Iterator[Stage]:
    """Yield a facility on a database."""
    one = Stage(url, folder)
    yield one
    one.close()


@pytest.fixture
def stage(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    yield from facility(sqlite_url, tmp_path)


@pytest.fixture
def bucket(stage: Stage) -> Bucket:
    """Have a named store that is a bucket."""
    one = Bucket()
    stage.builder._transferred._open = one.opened
    stage.config["Services.Gateway.stores.cloud.kind"] = "s3"
    stage.config["Services.Gateway.stores.cloud.bucket"] = "facility"
    stage.config["Services.Gateway.stores.cloud.prefix"] = "raw data/"
    stage.config["Instruments.Titan.filestore_path"] = ""
    return one


def write(stage: Stage, act: Callable[[Transaction], object]) -> None:
    stage.app.database().write(act)


def verified(
    stage: Stage, session: Session, path: str, content: str, store: str = "", name: str | None = None, ago: float = 30
) -> Place:
    """Note that a file of a session is in a store; return where."""
    now = stage.clock.now()
    data = content.encode()
    folder, _, below = path.partition("/")
    what = Content(folder, below, len(data), now - int(ago * SECOND), hashlib.md5(data).hexdigest())
    place = Place(store, "Titan", name or (f"Titan/{path}" if store else path))

    def act(transaction: Transaction) -> None:
        file = transfer_changes.begin_upload(transaction, session.id, what, str(uuid.uuid4()), "chunks", {}, now)
        assert transfer_changes.set_verified(transaction, file, what, place, now)

    write(stage, act)
    return place


def transferred(
    stage: Stage,
    *paths: str,
    to: Path | Bucket | None = None,
    store: str = "",
    reports: tuple[FileReport, ...] = (),
    by: Client = PC,
) -> Session:
    """Let a session pass whose files have these paths and are in a store; their source's times are of last year."""
    session = stage.sessions.start("Titan", by)
    stage.clock.move(60)
    for number, path in enumerate(paths):
        place = verified(stage, session, path, f"content of {path}", store, ago=YEAR - number)
        if isinstance(to, Bucket):
            to.objects[place.object] = f"content of {path}".encode()
        else:
            file = (to or stage.files) / place.object
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"content of {path}")
            os.utime(file, (1, 1))
    now = stage.clock.now()
    write(stage, lambda transaction: transfer_changes.report(transaction, session.id, reports, now))
    session = stage.sessions.end(session.identifier, by, transfers=True)
    write(stage, lambda transaction: transfer_end.finish(transaction, session.identifier, by, now))
    stage.clock.move(30)
    return stage.sessions.get(session.identifier)


def built(stage: Stage, session: Session) -> str:
    stage.builder.once()
    found = stage.sessions.get(session.identifier)
    assert found.state is State.BUILT, found.last_error
    return stage.document(session)


PATHS = ("raw/a.dm4", "raw/day/map.rpl", "raw/day/map.raw", "notes/n.txt", "raw/x.zspy/.zarray", "raw/x.zspy/0.0")


class TestWhereTheyAre:
    """In the instrument's folder, in another directory, in a bucket that is mounted, or in one that is not."""

    def test_in_the_instruments_folder(self, stage: Stage) -> None:
        stage.put("raw/of another session.dm3", ago=45)
        session = transferred(stage, *PATHS[:4])
        document = built(stage, session)
        assert sorted(stage.readers.asked) == ["a.dm4", "map.rpl", "n.txt"]
        assert "With map.raw" in document
        assert f"<location>{stage.files}/raw/a.dm4</location>" in document

    def test_in_another_directory(self, stage: Stage, tmp_path: Path) -> None:
        archive = tmp_path / "archive"
        stage.config["Services.Gateway.stores.disk.kind"] = "directory"
        stage.config["Services.Gateway.stores.disk.path"] = str(archive)
        stage.config["Instruments.Titan.filestore_path"] = ""
        session = transferred(stage, *PATHS[:4], to=archive, store="disk")
        built(stage, session)
        assert {job.root for job in stage.readers.jobs} == {archive / "Titan"}, "a reader sees no other instrument"

    def test_in_a_bucket_that_is_mounted(self, stage: Stage, bucket: Bucket, tmp_path: Path) -> None:
        mount = tmp_path / "mount"
        stage.config["Facility.data_root"] = str(mount)
        stage.config["Instruments.Titan.filestore_path"] = "Titan"
        session = transferred(stage, *PATHS[:4], to=mount, store="cloud")
        document = built(stage, session)
        assert "<location>Titan/raw/a.dm4</location>" in document
        assert bucket.read_names == []

    def test_in_a_bucket(self, stage: Stage, bucket: Bucket) -> None:
        session = transferred(stage, *PATHS[:4], to=bucket, store="cloud")
        document = built(stage, session)
        assert sorted(stage.readers.asked) == ["a.dm4", "map.rpl", "n.txt"]
        assert "<location>raw data/Titan/raw/a.dm4</location>" in document, "its name in the store, not in our cache"
        assert str(stage.folder) not in document
        assert sorted(bucket.read_names) == sorted(f"Titan/{path}" for path in PATHS[:4])

    def test_a_dataset_that_is_a_folder(self, stage: Stage, bucket: Bucket) -> None:
        session = transferred(stage, *PATHS, to=bucket, store="cloud")
        maker = stage.builder._transferred
        settings = BuilderSettings.read(stage.config, stage.app.settings.home)
        found = maker.files_of(session, Instruments(stage.config).get("Titan"), "inclusive", settings, lambda: None)
        assert found is not None
        (folder,) = (file for file in found.settled if file.path.name == "x.zspy")
        assert folder.location == "raw data/Titan/raw/x.zspy"
        assert folder.size == sum(len(f"content of {path}") for path in PATHS[4:])
        maker.release()


Server = Callable[[Path], AbstractContextManager[gateway_transfers.Bucket]]


class TestRealBuckets:
    """On servers of both kinds, by the facility's own stores."""

    @pytest.mark.parametrize("server", [s3_server, google_server], ids=["S3", "Google Cloud Storage"])
    def test_files_are_fetched_and_checked(self, stage: Stage, tmp_path: Path, server: Server) -> None:
        (tmp_path / "server").mkdir()
        with server(tmp_path / "server") as backing:
            for name, value in backing.parameters("Titan").items():
                stage.config[name.replace("__", ".")] = value
            stage.config["Instruments.Titan.filestore_path"] = ""
            session = stage.sessions.start("Titan", PC)
            stage.clock.move(60)
            for path in ("raw/a.dm4", "raw/b.dm4", "raw/c.dm4", "raw/empty.txt"):
                content = "" if "empty" in path else f"content of {path}"
                place = verified(stage, session, path, content, store="bucket")
                backing.put(place.object, content.encode())
            backing.put("Titan/raw/b.dm4", b"Content of raw/b.dm4")
            backing.remove("Titan/raw/c.dm4")
            stage.sessions.end(session.identifier, PC)
            stage.clock.move(30)
            document = built(stage, session)
        assert sorted(stage.readers.asked) == ["a.dm4", "empty.txt"]
        assert "are not in the record: raw/b.dm4, raw/c.dm4." in document
        assert "<location>em/files/Titan/raw/a.dm4</location>" in document

    def test_a_server_that_is_away(self, stage: Stage, tmp_path: Path) -> None:
        """The session waits for it as for a file server; the key is in no message."""
        (tmp_path / "server").mkdir()
        with s3_server(tmp_path / "server") as backing:
            parameters = backing.parameters("Titan")
        for name, value in parameters.items():
            stage.config[name.replace("__", ".")] = value
        session = stage.sessions.start("Titan", PC)
        verified(stage, session, "raw/a.dm4", "x", store="bucket")
        stage.sessions.end(session.identifier, PC)
        stage.builder.once()
        found = stage.sessions.get(session.identifier)
        assert found.state is State.ERROR
        assert (found.last_error or "").startswith("The store 'bucket' cannot be used")
        assert "geheim" not in (found.last_error or "")


class TestMissingFiles:
    """What the store does not have is named in the record."""

    @pytest.fixture
    def stage(self, database_url: str, tmp_path: Path) -> Iterator[Stage]:
        """Lend it on each kind of database."""
        yield from facility(database_url, tmp_path)

    def test_what_is_missing_stands_in_the_record(self, stage: Stage) -> None:
        """As warnings, in the words of the events; they are no problems with the instrument."""
        now = stage.clock.now()
        locked = FileReport("raw", "b.dm4", 5, now, FileState.LOCKED, reason="locked by another program")
        held = FileReport("raw", "c.dm4", 5, now, FileState.HELD)
        stage.put("raw/b.dm4")
        document = built(stage, transferred(stage, "raw/a.dm4", reports=(locked, held)))
        assert stage.readers.asked == ["a.dm4"]
        assert "ada: warning: not transferred: raw/b.dm4 (locked by another program); held back: raw/c.dm4" in document
        assert "problem with the instrument" not in document

    def test_one_that_was_lost_or_damaged_since(self, stage: Stage) -> None:
        session = transferred(stage, "raw/a.dm4", "raw/b.dm4", "raw/c.dm4", "raw/d.dm4")
        (stage.files / "raw/b.dm4").unlink()
        (stage.files / "raw/c.dm4").write_text("shorter")
        (stage.files / "raw/d.dm4").unlink()
        (stage.files / "raw/d.dm4").symlink_to("/etc/hostname")
        document = built(stage, session)
        assert stage.readers.asked == ["a.dm4"]
        assert (
            "Warning: Files that the store does not have as they were transferred are not in the record: "
            "raw/b.dm4, raw/c.dm4, raw/d.dm4." in document
        )


class TestWhichOnes:
    """Those that are verified, as far as the search would take them."""

    def test_settings_of_the_search_hold(self, stage: Stage) -> None:
        stage.config["Services.Builder.strategy"] = "exclusive"
        stage.config["Services.Builder.ignore"] = "*.bak, test"
        session = transferred(stage, "raw/a.dm4", "raw/a.dm4.bak", "raw/test/b.dm4", "raw/huge.zip")
        built(stage, session)
        assert stage.readers.asked == ["a.dm4"]

    def test_none_of_them(self, stage: Stage) -> None:
        locked = FileReport("raw", "b.dm4", 5, stage.clock.now(), FileState.LOCKED)
        stage.put("of nobody.dm3", ago=-30)
        session = transferred(stage, reports=(locked,))
        stage.builder.once()
        assert stage.sessions.get(session.identifier).state is State.NO_FILES_FOUND
        assert stage.readers.asked == []

    def test_a_session_without_any_is_searched_for(self, stage: Stage) -> None:
        session = stage.session("a.dm3")
        assert "a.dm3" in built(stage, session)

    def test_a_store_that_is_not_mounted_is_an_error(self, stage: Stage) -> None:
        session = transferred(stage, "raw/a.dm4")
        stage.files.rename(stage.folder / "away")
        stage.builder.once()
        found = stage.sessions.get(session.identifier)
        assert (found.state, "cannot be searched (no such folder)" in (found.last_error or "")) == (State.ERROR, True)
        (stage.folder / "away").rename(stage.files)
        stage.clock.move(4000)
        built(stage, session)

    def test_a_store_that_does_not_exist(self, stage: Stage) -> None:
        session = transferred(stage, "raw/a.dm4", store="nowhere")
        stage.builder.once()
        assert "there is no store 'nowhere'" in (stage.sessions.get(session.identifier).last_error or "")

    @pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "raw/../../secret.txt", "", "Titan/../x"])
    def test_a_name_that_leads_elsewhere(self, stage: Stage, bucket: Bucket, name: str) -> None:
        """The table is written by the Gateway alone, but nothing here relies on that."""
        (stage.folder / "secret.txt").write_text("x")
        stage.config["Instruments.Titan.filestore_path"] = str(stage.files)
        session = transferred(stage, "raw/a.dm4")
        for path in ("raw/b.dm4", "raw/../../../c.dm4"):
            verified(stage, session, path, "x", name=name or None)
            verified(stage, session, f"more/{path}", "x", store="cloud", name=name or None)
        bucket.objects = dict.fromkeys(("../secret.txt", "/etc/hostname", "raw/../../secret.txt", "Titan/../x"), b"x")
        stage.builder.once()
        assert {one for one in stage.readers.asked if "c.dm4" in one} == set()
        assert all(job.path.resolve().is_relative_to(stage.folder) for job in stage.readers.jobs)
        assert not any("secret" in one or "hostname" in one for one in stage.readers.asked)

    def test_their_times_are_those_of_their_sources(self, stage: Stage) -> None:
        """Corrected by the clock of the PC, where that is said."""
        stage.config["Instruments.Titan.file_times"] = "pc"
        session = transferred(stage, "raw/a.dm4", by=replace(PC, clock_offset=-600 * SECOND))
        assert "whose clock was 600.0 s slow" in built(stage, session)


class TestTheCache:
    """What is fetched from a bucket is kept, as far as there is room, and always has the right content."""

    def test_building_again_fetches_nothing(self, stage: Stage, bucket: Bucket) -> None:
        session = transferred(stage, "raw/a.dm4", "raw/b.dm4", to=bucket, store="cloud")
        built(stage, session)
        bucket.read_names.clear()
        stage.sessions.requeue(session.identifier, PC)
        built(stage, session)
        assert (bucket.read_names, sorted(stage.readers.asked)) == ([], ["a.dm4", "b.dm4"]), "nor reads anything again"

    def test_a_flipped_byte_in_the_cache_is_fetched_again(self, stage: Stage, bucket: Bucket) -> None:
        session = transferred(stage, "raw/a.dm4", "raw/b.dm4", to=bucket, store="cloud")
        built(stage, session)
        (cached,) = (stage.app.settings.home / "cache/transfers").glob("*/raw/a.dm4")
        status = cached.stat()
        cached.write_text("Content of raw/a.dm4")
        os.utime(cached, ns=(status.st_mtime_ns,) * 2)
        bucket.read_names.clear()
        stage.sessions.requeue(session.identifier, PC)
        built(stage, session)
        assert bucket.read_names == ["Titan/raw/a.dm4"]
        assert cached.read_text() == "content of raw/a.dm4"

    def test_a_wrong_object_is_not_taken(self, stage: Stage, bucket: Bucket) -> None:
        session = transferred(stage, *(f"raw/{letter}.dm4" for letter in "abcd"), to=bucket, store="cloud")
        bucket.objects["Titan/raw/a.dm4"] = b"Content of raw/a.dm4"
        bucket.objects["Titan/raw/b.dm4"] += b" and more"
        del bucket.objects["Titan/raw/d.dm4"]
        document = built(stage, session)
        assert stage.readers.asked == ["c.dm4"]
        assert "are not in the record: raw/a.dm4, raw/b.dm4, raw/d.dm4." in document
        assert {path.name for path in stage.app.settings.home.glob("cache/transfers/*/raw/*")} == {"c.dm4"}

    def test_it_is_closed_to_other_users(self, stage: Stage, bucket: Bucket) -> None:
        built(stage, transferred(stage, "raw/a.dm4", to=bucket, store="cloud"))
        assert (stage.app.settings.home / "cache/transfers").stat().st_mode & 0o077 == 0

    def test_a_dry_run(self, stage: Stage, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dry_run, "open_for_reading", bucket.opened)
        transferred(stage, "raw/a.dm4", to=bucket, store="cloud")
        code, document, _ = dry_run_output(stage, monkeypatch)
        assert (code, b"<name>a.dm4</name>" in document) == (0, True)

    def test_a_stop_ends_the_fetching(self, stage: Stage, bucket: Bucket) -> None:
        session = transferred(stage, "raw/a.dm4", "raw/b.dm4", to=bucket, store="cloud")
        bucket.before = lambda name: stage.app.stop_event.set()
        stage.builder.once()
        stage.app.stop_event.clear()
        assert (stage.sessions.get(session.identifier).state, len(bucket.read_names)) == (State.TO_BE_BUILT, 1)
        assert list(stage.app.settings.home.glob("cache/transfers/*/raw/*")) == [], "nothing half fetched stays"

    def test_a_store_that_hangs_does_not_hold_up_a_stop(self, stage: Stage, bucket: Bucket) -> None:
        session = transferred(stage, "raw/a.dm4", to=bucket, store="cloud")
        released = threading.Event()

        def hang(name: str) -> None:
            stage.app.stop_event.set()
            released.wait(60)

        bucket.before = hang
        stage.builder.once()
        assert not released.is_set(), "nobody waited for it"
        stage.app.stop_event.clear()
        released.set()
        assert stage.sessions.get(session.identifier).state is State.TO_BE_BUILT

    def test_a_session_that_is_larger_than_the_cache(self, stage: Stage, bucket: Bucket) -> None:
        stage.config["Services.Builder.transfer_cache_gib"] = 0.001
        session = stage.sessions.start("Titan", PC)
        stage.clock.move(60)
        place = verified(stage, session, "raw/a.dm4", "x" * 1_100_000, store="cloud")
        bucket.objects[place.object] = b"x" * 1_100_000
        stage.sessions.end(session.identifier, PC)
        stage.builder.once()
        error = stage.sessions.get(session.identifier).last_error or ""
        assert "more than the 0.001 GiB of the Builder's cache" in error
        assert "ConfigTool Services.Builder.transfer_cache_gib=" in error


def fetch(cache: TransferCache, identifier: str, *contents: bytes) -> Path:
    """Have files in the cache."""
    folder = cache.take(identifier, sum(map(len, contents)))
    for number, content in enumerate(contents):
        bucket = Bucket()
        bucket.objects["object"] = content
        digest = hashlib.md5(content).hexdigest()
        wanted = Fetch(PurePosixPath("raw", str(number)), "object", len(content), digest, 10**15)
        cache.fetch(folder, wanted, lambda bucket=bucket: bucket, lambda: None)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[TransferCache]:
    one = TransferCache(tmp_path / "cache", 100)
    yield one
    one.release()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[TransferCache]:
    """Lend the same cache, as another Builder has it."""
    one = TransferCache(tmp_path / "cache", 100)
    yield one
    one.release()


class TestItsLimit:
    """The sessions that were not used for longest make room; one in use stays."""

    def age(self, *folders: Path) -> None:
        for number, folder in enumerate(folders):
            os.utime(folder.with_name(f"{folder.name}.lock"), (1000 + number, 1000 + number))

    def test_the_one_not_used_for_longest_goes(self, cache: TransferCache) -> None:
        first, second, third = (fetch(cache, name, b"x" * 30) for name in ("first", "second", "third"))
        self.age(first, second, third)
        fetch(cache, "first", b"x" * 30)  # used again
        fourth = fetch(cache, "fourth", b"x" * 20, b"y" * 20)
        assert [one.exists() for one in (first, second, third, fourth)] == [True, False, True, True]
        assert sum(path.stat().st_size for path in cache.folder.rglob("*") if path.is_file()) <= 100

    def test_one_in_use_stays(self, cache: TransferCache, other: TransferCache) -> None:
        used = fetch(other, "used", b"x" * 60)
        self.age(used)
        fetch(cache, "new", b"y" * 60)
        assert (used / "raw/0").read_bytes() == b"x" * 60
        other.release()
        fetch(cache, "newer", b"z" * 60)
        assert not used.exists()

    def test_two_builders_do_not_write_one_session(self, cache: TransferCache, other: TransferCache) -> None:
        fetch(cache, "session", b"x")
        with pytest.raises(transfer_cache.TransferCacheInUse):
            other.take("session", 1)

    def test_too_large(self, cache: TransferCache) -> None:
        with pytest.raises(TransferCacheTooSmall):
            cache.take("session", 101)

    def test_a_wrong_content_leaves_nothing(self, cache: TransferCache) -> None:
        folder = cache.take("session", 3)
        bucket = Bucket()
        bucket.objects["object"] = b"abd"
        wanted = Fetch(PurePosixPath("a"), "object", 3, hashlib.md5(b"abc").hexdigest(), 0)
        with pytest.raises(WrongFetched):
            cache.fetch(folder, wanted, lambda: bucket, lambda: None)
        assert list(folder.iterdir()) == []
