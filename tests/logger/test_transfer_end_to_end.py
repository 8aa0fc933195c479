"""A session's files through the real Gateway into real stores, on a bad line, with a logger that is killed.

The short version is for every run; with ``NEXUSCORE_TEST_LONG=1`` there are 500 files, 100 kills and three stores.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from Logger.states import Ended, Running
from NexusCore.facility.session import State
from tests.gateway.gateways import RunningGateway
from tests.gateway.transfers import CHUNK, Backing, Bucket, Directory, google_server, s3_server, set_parameters
from tests.logger.chaos import ChaosLine
from tests.logger.facility import until
from tests.logger.transfer_scope import TransferScope
from tests.logger.transferring import IGNORE

LONG = bool(os.environ.get("NEXUSCORE_TEST_LONG"))
FOREVER = "changes for ever.log"
SECRET = rb"geheim(?!\$parole)"
"""The key of the S3 server; a password in an example of Python's own documentation begins alike."""
YEAR, DAY = 365 * 86_400, 86_400


@dataclass(frozen=True)
class Extent:
    """How much happens."""

    files: int
    kills: int
    disturbed: float
    """Share of the requests."""
    large: int
    """Bytes of the largest file."""
    limit: float
    """Seconds for the rest, once all has happened."""


SHORT_RUN = Extent(files=80, kills=3, disturbed=0.15, large=3_000_000, limit=60)
LONG_RUN = Extent(files=500, kills=34, disturbed=0.1, large=16_000_000, limit=600)


@pytest.fixture
def gateway(sqlite_url: str, tmp_path: Path) -> Iterator[RunningGateway]:
    gateway = RunningGateway(sqlite_url, tmp_path, chunk_size=CHUNK)
    yield gateway
    gateway.close()


@contextmanager
def backing_of(kind: str, folder: Path) -> Iterator[tuple[Backing, ChaosLine | None]]:
    """Run a store, with a bad line to it where the PC reaches it itself."""
    if kind == "directory":
        (folder / "store").mkdir()
        yield Directory(folder / "store"), None
        return
    with (s3_server if kind == "s3" else google_server)(folder) as bucket:
        assert isinstance(bucket, Bucket)
        line = ChaosLine(int(bucket.endpoint.rpartition(":")[2]), seed=2)
        yield replace(bucket, endpoint=line.url), line
        line.close()


@dataclass
class Instrument:
    """What an instrument does with its files meanwhile."""

    raw: Path
    extent: Extent
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    forever: threading.Event = field(default_factory=threading.Event)

    def write_all(self) -> None:
        """Write the files, one after the other."""
        for number in range(self.extent.files):
            path = self.raw / f"grid {number % 5}" / f"image {number:03} ünï.tif"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(self.chance.randbytes(int(self.chance.random() ** 4 * 1_000_000)))
            if number % 10 == 3:
                os.utime(path, (time.time() + DAY,) * 2)
            if number % 10 == 6:
                os.utime(path, (time.time() - YEAR,) * 2)
        (self.raw / "large.dm4").write_bytes(self.chance.randbytes(self.extent.large))
        (self.raw / "empty.txt").write_bytes(b"")

    def keep_changing(self) -> None:
        """Change one file for ever."""
        while not self.forever.wait(0.05):
            (self.raw / FOREVER).write_bytes(self.chance.randbytes(500))

    def meddle(self) -> None:
        """Rename, replace, grow and lock files while they are sent."""
        for number in range(0, self.extent.files, 8):
            path = self.raw / f"grid {number % 5}" / f"image {number:03} ünï.tif"
            path.rename(path.with_name(f"renamed {number}.tif"))
        for number in range(1, self.extent.files, 8):
            path = self.raw / f"grid {number % 5}" / f"image {number:03} ünï.tif"
            new = path.with_name("new.tmp")
            new.write_bytes(self.chance.randbytes(50_000))
            new.rename(path)
        with (self.raw / "grows.mrc").open("wb") as growing, (self.raw / "locked.dm4").open("wb") as locked:
            locked.write(b"\0" * 200_000)
            locked.flush()
            for _ in range(15):
                growing.write(self.chance.randbytes(30_000))
                growing.flush()
                time.sleep(0.1)
            locked.seek(0)
            locked.write(self.chance.randbytes(200_000))


def sources(raw: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return all files but the one that changes for ever: content, time and inode."""
    return {
        path.relative_to(raw).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in sorted(raw.rglob("*"))
        if path.is_file() and path.name != FOREVER
    }


def compare(scope: TransferScope, file: dict[str, Any], content: bytes) -> str:
    """Return how a file differs from its object; empty if it does not."""
    if file["state"] != "verified":
        return f"{file['state']}: {file['reason']}"
    stored = scope.backing.get(file["object"])
    if stored == content:
        return ""
    first = next((at for at, (one, two) in enumerate(zip(stored, content, strict=False)) if one != two), len(stored))
    return f"{file['object']}: {len(stored)} bytes for {len(content)}, which differ from {first} on"


@pytest.mark.timeout(3600 if LONG else 300)
@pytest.mark.parametrize("kind", ["directory", "s3", "google"] if LONG else ["directory"])
class TestOnABadLine:
    """Kills of the logger, cuts, flipped bytes, lost answers, 429 and 503: every object equals its file."""

    def test_every_byte_arrives(self, gateway: RunningGateway, tmp_path: Path, kind: str) -> None:
        extent = LONG_RUN if LONG else SHORT_RUN
        line = ChaosLine(int(gateway.url.rpartition(":")[2]))
        with backing_of(kind, tmp_path) as (backing, store_line):
            scope = TransferScope(gateway, tmp_path, "SCOPE", backing, line.url, ignore=";".join(IGNORE))
            try:
                self.run(scope, extent, [line] if store_line is None else [line, store_line])
            finally:
                scope.close()
                line.close()

    def run(self, scope: TransferScope, extent: Extent, lines: list[ChaosLine]) -> None:
        course = scope.course()
        session = course.begin(Running).session.identifier
        scope.launch(patience=3.0)
        until(lambda: (scope.home / "pc.transfers").exists(), "the first scan")
        time.sleep(0.5)
        instrument = Instrument(scope.raw, extent)
        changing = threading.Thread(target=instrument.keep_changing)
        changing.start()
        for line in lines:
            line.share = extent.disturbed
        instrument.write_all()
        meddling = threading.Thread(target=instrument.meddle)
        meddling.start()
        for _ in range(extent.kills):
            time.sleep(instrument.chance.uniform(1.0, 3.0))
            scope.kill()
            scope.launch(patience=3.0)
        meddling.join()
        before = sources(scope.raw)
        time.sleep(1.0)
        self.end(scope, course, session, extent)
        instrument.forever.set()
        changing.join()
        assert sources(scope.raw) == before, "no source is touched"
        self.check(scope, session, before)
        again = sum(line.sent_again for line in lines)
        disturbed = sum(line.chunks_disturbed for line in lines)
        print(f"{extent}: sent again {again}, chunks disturbed {disturbed}, {[dict(line.disturbed) for line in lines]}")
        assert again <= disturbed + 2 * extent.kills, "at most one chunk is sent twice for each cut, by each worker"
        assert sum(sum(line.disturbed.values()) for line in lines) > 10

    @staticmethod
    def end(scope: TransferScope, course: object, session: str, extent: Extent) -> None:
        course.end(Ended)  # type: ignore[attr-defined]
        deadline = time.monotonic() + extent.limit
        while scope.sessions.get(session).state is not State.TO_BE_BUILT:
            assert time.monotonic() < deadline, (scope.counts(session), scope.errors.read_text()[-3000:])
            time.sleep(0.2)

    @staticmethod
    def check(scope: TransferScope, session: str, before: dict[str, tuple[bytes, int, int]]) -> None:
        files = {file["path"]: file for file in scope.files(session)}
        prefix = scope.backing.prefix(scope.pid)
        differences = {name: compare(scope, files[name], content) for name, (content, *_) in before.items()}
        assert {name: found for name, found in differences.items() if found} == {}
        assert files["empty.txt"]["object"] == f"{prefix}raw/empty.txt"
        problems = [event.detail for event in scope.sessions.events(scope.all()[-1]) if event.type.value == "PROBLEM"]
        lines = "\n".join(map(str, problems)).splitlines()
        assert lines == [f"not transferred: raw/{FOREVER} (it is still changing)"], "complete but 1"


@pytest.mark.parametrize("kind", ["s3", "google"])
class TestStores:
    """Straight into a store, by addresses that the Gateway has signed: no key of it is on the PC."""

    def test_files_large_and_small(self, gateway: RunningGateway, tmp_path: Path, kind: str) -> None:
        with backing_of(kind, tmp_path) as (backing, line):
            assert line is not None
            scope = TransferScope(gateway, tmp_path, "SCOPE", backing)
            try:
                course = scope.course()
                session = course.begin(Running).session.identifier
                scope.launch()
                until(lambda: (scope.home / "pc.transfers").exists(), "the first scan")
                time.sleep(0.5)
                content = {"empty.txt": b"", "small.tif": b"x" * 1000, "large.dm4": os.urandom(6_000_000)}
                for name, data in content.items():
                    (scope.raw / name).write_bytes(data)
                until(lambda: scope.counts(session).get("verified") == 3, "all are verified")
                stored = {name: backing.get(f"{backing.prefix(scope.pid)}raw/{name}") for name in content}
                assert stored == content
                assert len(line.chunks) >= 3, "the bytes went straight to the store"
                assert places_of(scope, SECRET) == []
                assert places_of(scope, re.escape(scope.pc.secret.encode())) != [], "the search finds what is there"
                course.end(Ended)
                until(lambda: scope.sessions.get(session).state is State.TO_BE_BUILT, "the transfer is finished")
            finally:
                scope.close()


class TestASecondLook:
    """A byte that a store has lost is found by the Gateway, and repaired from the PC while it can."""

    def test_a_flipped_byte(self, gateway: RunningGateway, tmp_path: Path) -> None:
        with backing_of("directory", tmp_path) as (backing, _):
            scope = TransferScope(gateway, tmp_path, "SCOPE", backing)
            try:
                course = scope.course()
                session = course.begin(Running).session.identifier
                scope.launch(repairs=True)
                until(lambda: (scope.home / "pc.transfers").exists(), "the first scan")
                time.sleep(0.5)
                (scope.raw / "a.dm4").write_bytes(content := os.urandom(500_000))
                until(lambda: scope.counts(session).get("verified") == 1, "it is verified")
                course.end(Ended)
                until(lambda: scope.sessions.get(session).state is State.TO_BE_BUILT, "the transfer is finished")
                backing.put("raw/a.dm4", bytes([content[0] ^ 1]) + content[1:])
                set_parameters(gateway.main, Services__Gateway__verify_hours=0.0001)
                until(lambda: backing.get("raw/a.dm4") == content, "it is repaired")
                until(lambda: scope.counts(session) == {"verified": 1}, "it is verified again")
            finally:
                scope.close()


def places_of(scope: TransferScope, secret: bytes) -> list[str]:
    """Return where a secret, as a regular expression, is in the memory of the process or in a file of the logger."""
    pattern = re.compile(secret)
    found = [str(path) for path in scope.home.rglob("*") if path.is_file() and pattern.search(path.read_bytes())]
    maps = Path(f"/proc/{scope.process_id}/maps").read_text().splitlines()
    with Path(f"/proc/{scope.process_id}/mem").open("rb", 0) as memory:
        for entry in maps:
            span, rights = entry.split()[:2]
            first, last = (int(number, 16) for number in span.split("-"))
            if not rights.startswith("rw"):
                continue
            memory.seek(first)
            with suppress(OSError):  # pages of the kernel's
                if pattern.search(memory.read(last - first)):
                    found.append(entry)
    return found
