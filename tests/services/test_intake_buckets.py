"""Mirrors in buckets of Google Cloud Storage (its emulator) and S3 (rclone's server)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from NexusCore.facility.stores.google import GoogleStore
from NexusCore.facility.stores.model import StoreUnavailable
from NexusCore.facility.stores.s3 import S3Store
from Services.Intake.mirrors.fetched import fetched_file
from tests.clocks import SetClock, databases_follow
from tests.gateway.transfers import Bucket, S3Bucket, free_port, google_server, s3_server
from tests.processes import messages, rows
from tests.services.filing import RUN_FILED, Station, station_on
from tests.services.test_intake_copies import HOUR, once, states

PART = 5 * 1024 * 1024
CHUNK = 256 * 1024
"""Google's least; S3 has parts of 5 MiB at least."""


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with google_server(tmp_path_factory.mktemp("google")) as bucket:
        yield bucket


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with s3_server(tmp_path_factory.mktemp("s3")) as bucket:
        yield bucket


@pytest.fixture
def clock() -> Iterator[SetClock]:
    clock = SetClock()
    with databases_follow(clock):
        yield clock


class Mirrored:
    """A station with a mirror in a bucket, where it has a folder of its own."""

    def __init__(self, station: Station, bucket: Bucket, folder: str) -> None:
        self.station = station
        self.bucket = bucket
        self.folder = folder
        parameters = {
            name.rpartition("__")[2]: value
            for name, value in bucket.parameters("x").items()
            if "stores__bucket" in name
        }
        station.root.mirror("vault", **{**parameters, "prefix": f"em/files/{folder}"})
        station.root.rule("overwatch", target=".", ready="rename")

    def get(self, name: str = RUN_FILED) -> bytes | None:
        return self.bucket.get(f"{self.folder}/{name}")

    def put(self, content: bytes, name: str = RUN_FILED) -> None:
        self.bucket.put(f"{self.folder}/{name}", content)

    def remove(self, name: str = RUN_FILED) -> None:
        self.bucket.remove(f"{self.folder}/{name}")

    def reason(self) -> str:
        ((reason,),) = rows(self.station.url, "SELECT reason FROM file_copy WHERE mirror = 'vault'")
        return str(reason)

    def lines(self) -> list[str]:
        self.station.app.shutdown(10)
        return messages(self.station.url, "Intake")


@pytest.fixture
def station(sqlite_url: str, tmp_path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    monkeypatch.setattr("Services.Intake.mirrors.bucket.CHUNK", CHUNK)
    with station_on(sqlite_url, tmp_path, clock) as one:
        yield one


@pytest.fixture(params=["google", "s3"])
def mirrored(request: pytest.FixtureRequest, station: Station, tmp_path: Path) -> Mirrored:
    return Mirrored(station, request.getfixturevalue(request.param), tmp_path.name)


@pytest.fixture
def in_s3(station: Station, s3: Bucket, tmp_path: Path) -> Mirrored:
    return Mirrored(station, s3, tmp_path.name)


class TestCopies:
    """Each file gets into the bucket in chunks, and counts when what is there has its MD5."""

    @pytest.mark.parametrize("size", [0, 4, PART + 1000])
    def test_copied(self, mirrored: Mirrored, tmp_path: Path, size: int) -> None:
        content = random.Random(size).randbytes(size)
        mirrored.station.drop(content=content)
        intake = mirrored.station.intake()
        once(intake)
        assert mirrored.get() == content
        assert states(mirrored.station) == {("vault", RUN_FILED): "good"}
        assert intake.status["mirror vault"].get_value() == "ok"
        once(intake)
        intake.close()
        assert (tmp_path / "data" / RUN_FILED).read_bytes() == content

    def test_somebody_elses_object_stays(self, mirrored: Mirrored) -> None:
        mirrored.put(b"them")
        mirrored.station.drop()
        intake = mirrored.station.intake()
        once(intake)
        intake.close()
        assert mirrored.get() == b"them"
        assert "there is another object of that name" in mirrored.reason()

    def test_what_is_there_already_is_not_sent_again(self, mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
        """As after a crash between the end of an upload and its entry in the table."""
        mirrored.put(b"data")
        for store in (GoogleStore, S3Store):
            monkeypatch.setattr(store, "begin", None)
        mirrored.station.drop()
        intake = mirrored.station.intake()
        once(intake)
        intake.close()
        assert states(mirrored.station) == {("vault", RUN_FILED): "good"}

    def test_a_connection_that_breaks(self, mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
        """What has arrived is not sent again."""
        store: Any = S3Store if mirrored.bucket.kind == "s3" else GoogleStore
        send, offsets = store.send, []

        def breaks(self: Any, new: Any, ref: Any, offset: int, data: bytes) -> int:
            offsets.append(offset)
            received = send(self, new, ref, offset, data)
            if len(offsets) == 1:
                raise StoreUnavailable(store="vault", reason="the connection broke")
            return int(received)

        monkeypatch.setattr(store, "send", breaks)
        content = random.Random(1).randbytes(PART + 1000)
        mirrored.station.drop(content=content)
        intake = mirrored.station.intake()
        once(intake)
        intake.close()
        assert mirrored.get() == content
        assert offsets == sorted(set(offsets))

    def test_the_end_of_intake(self, in_s3: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
        """It leaves no parts in the bucket that would cost money for ever, and the next one makes the copy."""
        send = S3Store.send

        def ends(self: S3Store, *arguments: Any) -> int:
            in_s3.station.app.stop_event.set()
            return send(self, *arguments)

        content = random.Random(1).randbytes(2 * PART)
        in_s3.station.drop(content=content)
        with monkeypatch.context() as patch:
            patch.setattr(S3Store, "send", ends)
            intake = in_s3.station.intake()
            once(intake)
            intake._copying.close(30)
            intake.close()
        assert in_s3.get() is None
        assert isinstance(in_s3.bucket, S3Bucket)
        uploads = in_s3.bucket._client().list_multipart_uploads(Bucket=in_s3.bucket.folder.name)
        assert uploads.get("Uploads", []) == []
        in_s3.station.app.stop_event.clear()
        in_s3.station.app.clock.move(60)  # type: ignore[attr-defined]
        intake = in_s3.station.intake()
        once(intake)
        intake.close()
        assert in_s3.get() == content

    def test_an_object_that_the_store_does_not_take(
        self, in_s3: Mirrored, monkeypatch: pytest.MonkeyPatch, clock: SetClock
    ) -> None:
        """It holds up no other one."""
        begin = S3Store.begin

        def refuses(self: S3Store, new: Any, replaces: str | None) -> Any:
            if "bad" in new.name:
                raise StoreUnavailable(store="vault", reason="it answers KeyTooLongError to PutObject")
            return begin(self, new, replaces)

        monkeypatch.setattr(S3Store, "begin", refuses)
        for name in ("EMChistos_1_B_bad.root", "EMChistos_1_B_good.root"):
            in_s3.station.drop(name)
        intake = in_s3.station.intake()
        once(intake)
        intake.close()
        assert sorted(states(in_s3.station).values()) == ["good", "waiting"]
        assert any(line.endswith("it answers KeyTooLongError to PutObject.") for line in in_s3.lines())


class TestAudit:
    """A copy that is not what it was is found, named, and made again from a good one."""

    @pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
    def test_a_damaged_copy(self, mirrored: Mirrored, clock: SetClock, damage: str) -> None:
        mirrored.station.drop(content=b"histograms")
        intake = mirrored.station.intake()
        once(intake)
        if damage == "missing":
            mirrored.remove()
        else:
            mirrored.put(b"hist0grams" if damage == "flipped" else b"hist")
        clock.move(23 * HOUR)
        once(intake)
        assert states(mirrored.station) == {("vault", RUN_FILED): "good"}, "it is not time yet"
        clock.move(2 * HOUR)
        once(intake)
        intake.close()
        assert mirrored.get() == b"histograms"
        assert states(mirrored.station) == {("vault", RUN_FILED): "good"}
        said = [line for line in mirrored.lines() if line.startswith("vault: the copy of")]
        reasons = {"flipped": "its content has changed", "cut": "4 bytes instead of 10", "missing": "it is missing"}
        assert reasons[damage] in said[0]
        assert said[1].endswith(f"{RUN_FILED} was repaired")

    def test_the_md5_that_the_store_states(
        self, mirrored: Mirrored, clock: SetClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is enough, where it can be trusted and the filed file is there to compare with; nothing is fetched."""
        mirrored.station.drop(content=b"histograms")
        intake = mirrored.station.intake()
        once(intake)
        store: Any = S3Store if mirrored.bucket.kind == "s3" else GoogleStore
        status, read = store.status, store.read
        fetches = []

        def stated(self: Any, name: str) -> Any:
            return replace(status(self, name), md5="a93e2ed7a2a9b2fd0ce1a2b8ad1bb2bc")

        def fetch(self: Any, name: str) -> Iterator[bytes]:
            fetches.append(name)
            return iter(read(self, name))

        monkeypatch.setattr(store, "status", stated)
        monkeypatch.setattr(store, "read", fetch)
        clock.move(25 * HOUR)
        mirror = intake._copying._mirrors["vault"][1]
        (copy,) = intake._copying._copies.to_check("vault", clock.now())
        assert mirror.fault(copy, Path(copy.target)) == "its content has changed"
        assert fetches == []
        Path(copy.target).write_text("edited by its user")
        assert mirror.fault(copy, Path(copy.target)) is None, "read, and right"
        assert fetches == [RUN_FILED]
        intake.close()

    def test_from_a_directory_and_for_one(self, mirrored: Mirrored, tmp_path: Path, clock: SetClock) -> None:
        """The filed file is another one by now."""
        other = tmp_path / "other"
        other.mkdir()
        mirrored.station.root.mirror("other", path=str(other))
        mirrored.station.drop()
        intake = mirrored.station.intake()
        once(intake)
        (tmp_path / "data" / RUN_FILED).write_text("edited by its user")
        (other / RUN_FILED).write_text("rotten")
        clock.move(25 * HOUR)
        for _ in range(2):
            once(intake)
        assert (other / RUN_FILED).read_text() == "data"
        assert list((mirrored.station.home / "intake-fetched").iterdir()) == []
        mirrored.remove()
        clock.move(25 * HOUR)
        for _ in range(2):
            once(intake)
        intake.close()
        assert mirrored.get() == b"data"
        assert (tmp_path / "data" / RUN_FILED).read_text() == "edited by its user"

    def test_a_mirror_that_has_the_only_good_copy_is_away(
        self, in_s3: Mirrored, tmp_path: Path, clock: SetClock
    ) -> None:
        """The other copy is not lost: it is made when that one answers again."""
        other = tmp_path / "other"
        other.mkdir()
        in_s3.station.root.mirror("other", path=str(other))
        in_s3.station.drop()
        intake = in_s3.station.intake()
        once(intake)
        (tmp_path / "data" / RUN_FILED).write_text("edited by its user")
        (other / RUN_FILED).write_text("rotten")
        in_s3.station.root.mirror("vault", endpoint=f"http://127.0.0.1:{free_port()}")
        clock.move(25 * HOUR)
        once(intake)
        assert states(in_s3.station)["other", RUN_FILED] == "damaged"
        in_s3.station.root.mirror("vault", endpoint=in_s3.bucket.endpoint)
        clock.move(60)
        once(intake)
        intake.close()
        assert (other / RUN_FILED).read_text() == "data"


class TestAway:
    """A bucket that cannot be reached holds up nothing, and is named once, without its key."""

    def test_it_does_not_answer(self, in_s3: Mirrored, clock: SetClock) -> None:
        in_s3.station.root.mirror("vault", endpoint=f"http://127.0.0.1:{free_port()}")
        in_s3.station.drop()
        intake = in_s3.station.intake()
        for _ in range(2):
            once(intake)
            clock.move(30)
        assert (
            intake.status["mirror vault"].get_value().startswith("The mirror vault cannot be used: it does not answer")
        )
        assert states(in_s3.station) == {("vault", RUN_FILED): "waiting"}
        in_s3.station.root.mirror("vault", endpoint=in_s3.bucket.endpoint)
        once(intake)
        intake.close()
        assert in_s3.get() == b"data"
        assert len([line for line in in_s3.lines() if line.startswith("The mirror vault")]) == 2

    def test_there_is_no_such_bucket(self, mirrored: Mirrored) -> None:
        mirrored.station.root.mirror("vault", bucket="nobodys")
        mirrored.station.drop()
        intake = mirrored.station.intake()
        once(intake)
        intake.close()
        assert "nobodys" in intake.status["mirror vault"].get_value()

    def test_a_key_that_others_may_read(self, in_s3: Mirrored, tmp_path: Path) -> None:
        """The file with it is looked at again and again, so that it can be mended or exchanged."""
        key = tmp_path / "key.ini"
        key.write_text("[default]\naws_access_key_id = key\naws_secret_access_key = geheim\n")
        key.chmod(0o644)
        in_s3.station.root.mirror("vault", credentials=str(key))
        in_s3.station.drop()
        intake = in_s3.station.intake()
        once(intake)
        assert f"run: chmod 600 {key}" in intake.status["mirror vault"].get_value()
        key.chmod(0o600)
        once(intake)
        intake.close()
        assert in_s3.get() == b"data"
        assert not [line for line in in_s3.lines() if "geheim" in line]


class TestSettings:
    """What is wrong with them is said, with the parameter."""

    @pytest.mark.parametrize(
        ("parameters", "sentence"),
        [
            ({"kind": "google"}, "mirrors.b.bucket is not set, which a mirror of the kind google needs"),
            ({"kind": "s3", "bucket": "b", "endpoint": "minio:9000"}, "mirrors.b.endpoint is 'minio:9000'; use a URL"),
            ({"kind": "ftp"}, "mirrors.b.kind is 'ftp'; use directory, rsync, google or s3."),
        ],
    )
    def test_mistakes(self, station: Station, parameters: dict[str, str], sentence: str) -> None:
        station.root.mirror("b", **parameters)
        intake = station.intake()
        once(intake)
        intake.close()
        assert sentence in intake.status["settings"].get_value()

    def test_a_bucket_has_its_parameters(self, station: Station) -> None:
        station.root.mirror("b", kind="s3")
        station.root.mirror("d", path="/d")
        station.intake().close()
        assert "credentials" in station.config.keys("Services.Intake.mirrors.b")
        assert "credentials" not in station.config.keys("Services.Intake.mirrors.d")


def test_fetched_files_of_a_killed_intake_go(tmp_path: Path) -> None:
    """And not those of one that works."""
    folder = tmp_path / "fetched"
    (folder / "left").mkdir(parents=True)
    (folder / "left/a.root").write_text("x")
    with fetched_file(folder, "a.root") as (path, file), fetched_file(folder, "a.root") as (other, _):
        file.write(b"content")
        file.flush()
        assert set(folder.rglob("a.root")) == {path, other}
        assert path.read_bytes() == b"content"
    assert list(folder.iterdir()) == []
