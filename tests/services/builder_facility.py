"""A facility with one instrument: run by the real programs, or by a Builder in the test's own process."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.clock import SYSTEM_CLOCK, to_datetime, to_ts
from NexusCore.facility import Record, Records, Session, Sessions
from NexusCore.facility.sessions import ALL, Client, Selection
from NexusCore.storage import open_database
from Services.Builder.commands import dry_run
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.pools import Pools
from Services.Builder.model import Extraction, Quantity
from Services.Builder.service import Builder
from Services.Builder.settings import BuilderSettings
from tests.clocks import SetClock, databases_follow
from tests.processes import adopt, app_on

PROJECT = Path(__file__).resolve().parents[2]
SECONDS = 280
"""Seconds for a pass over a whole session: they only end one that hangs, and a busy machine is slow."""
USER = Client(user="O'Brien", host="titan-pc")


@dataclass(frozen=True)
class Facility:
    """A facility with one instrument, on a database of its own."""

    url: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "NEXUSCORE_DATABASE": self.url, "NEXUSCORE_HOME": str(self.folder / "home")}

    @property
    def files(self) -> Path:
        return self.folder / "Titan"

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    def start(self, service: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", f"Services.{service}"],
            cwd=PROJECT,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def configure(self, *settings: str) -> None:
        self.run("Tools.ConfigTool", *settings)

    @property
    def sessions(self) -> Sessions:
        return Sessions(open_database(self.url), SYSTEM_CLOCK)

    def session(self, start: datetime, end: datetime) -> Session:
        one = self.sessions.start("FEI-Titan-TEM", USER, ts=to_ts(start))
        return self.sessions.end(one.identifier, USER, ts=to_ts(end))

    @property
    def records(self) -> Records:
        return Records(open_database(self.url), SYSTEM_CLOCK)

    def record(self, session: Session) -> Record:
        record = self.records.of_session(session.id)
        assert record is not None
        return record

    def deliver(self) -> None:
        """Have the log delivered that programs left: they wait a second for that at their end, and may need more."""
        adopt(self.url, self.folder / "home")

    def messages(self) -> list[str]:
        with open_database(self.url).reading() as reading:
            return [text for (text,) in reading.all("SELECT message FROM log_record ORDER BY id")]


class PatientClock(SetClock):
    """A clock that tests set; who waits does so for real, but not for long."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(min(seconds, 0.2))


class Readers(Pools):
    """Reads nothing, and says what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.jobs: list[Job] = []
        self.data_type = "TEM_Imaging"
        self.signals = 1
        self.draws_sheets = False
        self.sheets: list[Job] = []
        self.acquired: datetime | None = None
        self.started = 0
        self.before: Callable[[Job], None] = lambda job: None

    def start(self, files: int, settings: BuilderSettings) -> None:
        self.started += 1

    def close(self) -> None:
        pass

    def extract_all(
        self, jobs: Sequence[Job], settings: BuilderSettings, stop: Callable[[], bool]
    ) -> Generator[Extraction, None, None]:
        for job in jobs:
            if stop():
                return
            if job.sheet is not None:
                yield self._sheet(job)
                continue
            self.before(job)
            self.asked.append(job.path.name)
            self.jobs.append(job)
            assert job.preview is not None and job.metadata is not None
            job.metadata.parent.mkdir(parents=True, exist_ok=True)
            job.preview.write_bytes(b"\x89PNG of " + job.path.read_bytes())
            job.metadata.write_text("{}")
            meta = {"Dwell Time": Quantity(1.5, "µs")}
            further = tuple(job.preview.with_suffix(f".{number}.png") for number in range(2, self.signals + 1))
            for one in further:
                one.write_bytes(b"\x89PNG")
            digest, *others = (hashlib.sha256(one.read_bytes()).hexdigest() for one in (job.path, *job.companions))
            yield Extraction(
                path=job.path,
                format="a format of tests",
                dataset_type="Image",
                data_type=self.data_type,
                meta=meta,
                preview=job.preview,
                further_previews=further,
                metadata_json=job.metadata,
                extractor="test 1",
                sha256=digest,
                size=sum(one.stat().st_size for one in (job.path, *job.companions)),
                companion_sha256=tuple(others),
                acquired=self.acquired,
            )

    def _sheet(self, job: Job) -> Extraction:
        """Draw a contact sheet, or fail to."""
        self.sheets.append(job)
        if self.draws_sheets:
            assert job.preview is not None
            job.preview.write_bytes(b"\x89PNG of a sheet")
        preview = job.preview if self.draws_sheets else None
        return Extraction(job.path, "contact sheet", "Unknown", "Unknown", preview=preview)


class Stage:
    """A facility whose clock the test sets, with a Builder in the test's own process."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.files = folder / "Titan"
        self.files.mkdir()
        self.clock = PatientClock()
        self._following = databases_follow(self.clock)
        self._following.__enter__()
        self.app: App = app_on(url, folder / "home", self.clock)
        self.config = self.app.get_config()
        self.config["Instruments.Titan.filestore_path"] = str(self.files)
        self.sessions = Sessions(open_database(url), self.clock)
        self.records = Records(open_database(url), self.clock)
        self.readers = Readers()
        self.builder = Builder(self.app, self.readers)

    def close(self) -> None:
        self.builder.close()
        self.app.shutdown(5)
        self._following.__exit__(None, None, None)

    @property
    def now(self) -> datetime:
        return to_datetime(self.clock.now())

    def put(self, name: str, content: str = "content", ago: float = 10.0) -> Path:
        """Leave a file that was modified so many seconds ago: by default, it has settled."""
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        moment = (self.now - timedelta(seconds=ago)).timestamp()
        os.utime(path, (moment, moment))
        return path

    def session(self, *names: str, instrument: str = "Titan") -> Session:
        """Let a minute's session pass, with files of these names."""
        one = self.sessions.start(instrument, USER)
        self.clock.move(60)
        for name in names:
            self.put(name)
        return self.sessions.end(one.identifier, USER)

    def document(self, session: Session) -> str:
        record = self.records.of_session(session.id)
        assert record is not None
        return Path(record.path).read_text()

    def tables(self) -> dict[str, list[tuple[object, ...]]]:
        """Return all that is in the database."""
        with open_database(self.url).reading() as reading:
            return {name: reading.all(f"SELECT * FROM {name} ORDER BY 1, 2") for name in TABLES}


TABLES = (
    "config_parameter", "config_change", "config_secret", "config_revision", "session", "session_event",
    "reservation", "record", "upload", "status_sample", "log_record",
)  # fmt: skip


def dry_run_output(stage: Stage, monkeypatch: pytest.MonkeyPatch, selection: Selection = ALL) -> tuple[int, bytes, str]:
    """Make a dry run in this process; return its code, and what it printed."""
    monkeypatch.setenv("NEXUSCORE_DATABASE", stage.url)
    monkeypatch.setenv("NEXUSCORE_HOME", str(stage.folder / "home"))
    monkeypatch.setattr(dry_run, "Pools", lambda log: stage.readers)
    out, err = io.BytesIO(), io.StringIO()
    code = dry_run.print_records(selection, out, err, stage.clock)
    return code, out.getvalue(), err.getvalue()


def wait_for(condition: object, seconds: float = 60) -> None:
    """Wait for something another process does."""
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)
