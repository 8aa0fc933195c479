"""docs/extending.md: each of its examples works in a copy of the project, and touches no file but those it names."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from NexusCore.clock import to_ts
from NexusCore.facility import Sessions
from NexusCore.facility.sessions import Client
from NexusCore.storage.revision import SCHEMA_REVISION
from tests.processes import PROJECT, app_on, rows
from Tools.common import completion

DOCUMENT = (PROJECT / "docs/extending.md").read_text()
BLOCK = re.compile(r"^```(python|diff)\n(.*?)^```$", re.M | re.S)
FILE = re.compile(r"^`([\w./]+)`$", re.M)
LIMIT = 200
GRAINS = "GRAINMAP 1\nstep 50\nvoltage 20\noperator Ada Example\ndata\n" + "1 1 2 2 3\n1 1 1 2 3\n" * 20
TOKEN = "s3cr3t-webdav-token"


def section(title: str) -> str:
    return re.split(rf"^## {title}$", DOCUMENT, flags=re.M)[1].split("\n## ")[0]


def blocks(title: str) -> list[tuple[str, str, str]]:
    """Return the blocks of a section, each with its file and language."""
    text = section(title)
    # The page's example is the migration after the newest, whichever that is.
    newest, free = SCHEMA_REVISION, f"{int(SCHEMA_REVISION) + 1:04}"
    text = text.replace("0008", "newest revision").replace("0009", free).replace("newest revision", newest)
    found = []
    for block in BLOCK.finditer(text):
        *_, file = FILE.findall(text[: block.start()])
        found.append((file, block[1], block[2]))
    return found


@dataclass
class Copy:
    """A copy of the project that a person extends."""

    root: Path

    def extend(self, title: str) -> set[str]:
        """Do what a section says; return the files that were touched."""
        touched = set()
        for file, language, content in blocks(title):
            path = self.root / file
            touched.add(file)
            if language == "python":
                assert not path.exists(), f"{file} is new"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
            else:
                lines = content.splitlines(keepends=True)
                before = "".join(line[1:] for line in lines if line[0] in " -")
                after = "".join(line[1:] for line in lines if line[0] in " +")
                there = path.read_text()
                assert there.count(before) == 1, f"docs/extending.md changes what is not in {file}:\n{before}"
                path.write_text(there.replace(before, after))
        return touched

    def run(self, *words: str, code: int = 0, **variables: str) -> str:
        """Run a program of the copy; return what it printed."""
        done = subprocess.run(
            [sys.executable, *words], cwd=self.root, env={**os.environ, "PYTHONPATH": str(self.root), **variables},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def module(self, *words: str, code: int = 0, **variables: str) -> str:
        return self.run("-m", *words, code=code, **variables)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    root = tmp_path / "extended"
    for room in ("NexusCore", "Services", "Tools"):
        shutil.copytree(PROJECT / room, root / room)
    return Copy(root)


class Shelf(BaseHTTPRequestHandler):
    """A WebDAV folder, for who shows the token."""

    files: ClassVar[dict[str, bytes]] = {}

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        let_in = self.headers["Authorization"] == f"Bearer {TOKEN}"
        if let_in:
            self.files[self.path] = content
        self._answer(201 if let_in else 403)

    def do_GET(self) -> None:
        self._answer(200, self.files[self.path])

    def _answer(self, status: int, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shelf() -> Iterator[str]:
    Shelf.files.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Shelf) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/records"
        server.shutdown()
        thread.join()


def session_of(url: str, home: Path, files: Path) -> str:
    """Have a session on SEM-1 an hour ago, which left a grain map; return its identifier."""
    start = datetime.now(UTC) - timedelta(hours=2)
    (files / "steel.grains").write_text(GRAINS)
    during = (start + timedelta(minutes=20)).timestamp()
    os.utime(files / "steel.grains", (during, during))
    app = app_on(url, home)
    try:
        sessions, user = Sessions(app.database(), app.clock), Client("ada", "sem-pc")
        session = sessions.start("SEM-1", user, ts=to_ts(start))
        sessions.end(session.identifier, user, ts=to_ts(start + timedelta(hours=1)))
        (files.parent / "roster.csv").write_text(
            "id,instrument,start,end,user,title\n"
            f"7,SEM-1,{start.isoformat()},{(start + timedelta(hours=1)).isoformat()},Ada Example,Grains of steel\n"
            "8,SEM-1,tomorrow,later,Nobody,Nothing\n"
        )
        return session.identifier
    finally:
        app.shutdown()


def credentials(copy: Copy, code: int, **variables: str) -> list[tuple[str, str]]:
    """Return what Doctor says about credentials; it gives up a check after a time, which a busy machine may need."""
    for _ in range(5):
        said = copy.module("Tools.Doctor", "--json", code=code, **variables)
        found = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        stated = [(one["grade"], one["sentence"]) for one in found if one["group"] == "Credentials"]
        if " within " not in str(stated):
            break
    return stated


def test_a_format_a_calendar_and_a_destination(
    copy: Copy, sqlite_url: str, tmp_path: Path, shelf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One folder each; every part of the project that lists formats, calendars or destinations knows them then."""
    touched = copy.extend("A file format") | copy.extend("A calendar") | copy.extend("A destination")
    assert len({str(Path(file).parent) for file in touched}) == 3, touched
    monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
    home = Path(os.environ["NEXUSCORE_HOME"])
    files = tmp_path / "files"
    files.mkdir()
    session = session_of(sqlite_url, home, files)

    table = copy.module("Services.Builder.commands.formats", str(files))
    assert re.search(r"^\| Grain map \| `\.grains` \|.*\| Image/SEM_Imaging \| nm \|", table, re.M), table
    assert "Kinds of calendar: caldav, ical, nemo, roster, sharepoint." in copy.module("Services.Harvester", "--help")
    assert "Destinations: cdcs, directory, elabftw, eln, webdav." in copy.module("Services.Uploader", "--help")

    settings = {
        "Instruments.SEM-1.filestore_path": files,
        "Instruments.SEM-1.harvester": "roster",
        "Instruments.SEM-1.api_url": tmp_path / "roster.csv",
        "Services.Uploader.destinations": "webdav",
    }
    copy.module("Tools.ConfigTool", *(f"{path}={value}" for path, value in settings.items()))
    # Nothing about the roster, which needs no credentials.
    assert credentials(copy, 1) == [("problem", "For the destination webdav, no credentials are set.")]

    said = copy.module("Services.Harvester", "--once")
    assert f"Read, but the row '8' of {tmp_path}/roster.csv cannot be read" in said
    assert rows(sqlite_url, "SELECT source, uid, title FROM reservation") == [("roster:SEM-1", "7", "Grains of steel")]
    copy.module("Services.Builder", "--once")
    ((path,),) = rows(sqlite_url, "SELECT path FROM record")
    record = Path(path).read_text()
    for part in ("Grains of steel", "steel.grains", "Grain map", "SEM_Imaging", "Acceleration Voltage"):
        assert part in record, part

    said = copy.module("Services.Uploader", "--once", code=1)
    assert "Services.Uploader.webdav.url cannot be used: it is not set" in said
    words = completion.assignments(Namespace(version=None), "Services.Uploader.webdav.")
    assert {f"Services.Uploader.webdav.{name}" for name in ("url", "token")} <= {word.rstrip("=") for word in words}
    copy.module("Tools.ConfigTool", f"Services.Uploader.webdav.url={shelf}")
    assert TOKEN not in copy.module("Services.Uploader", "--once", NEXUSCORE_WEBDAV_TOKEN=TOKEN)
    assert Shelf.files == {f"/records/{Path(path).name}": record.encode()}
    assert rows(sqlite_url, "SELECT identifier, state FROM session") == [(session, "COMPLETED")]
    assert credentials(copy, 0, NEXUSCORE_WEBDAV_TOKEN=TOKEN)[0][0] == "ok"


def test_a_status_element(copy: Copy, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
    assert copy.extend("A status element") == {"cooler.py"}
    assert copy.run("cooler.py") == ""
    shown = copy.module("Tools.TailStatus", "--csv", "Cooler").splitlines()[1:]
    assert [line.split(",")[1:4] for line in shown] == [
        ["Cooler", "readings", "3"],
        ["Cooler", "state", "cold"],
        ["Cooler", "temperature", "-20.0"],
    ]
    (temperature,) = (line for line in shown if "temperature" in line)
    assert temperature.split(",")[4], "it expires"
    copy.module("Tools.TailStatus", "--exit-on", "Cooler:state=cold", "--timeout", "5m")


def test_an_option_of_a_tool(copy: Copy, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
    assert copy.extend("An option of a tool") == {
        "Tools/TailStatus.py", "Tools/tailstatus/showing.py", "Tools/tailstatus/reading.py",
    }  # fmt: skip
    copy.extend("A status element")
    copy.run("cooler.py")
    shown = copy.module("Tools.TailStatus", "--names", "Cooler")
    assert shown == "Cooler:readings\nCooler:state\nCooler:temperature\n"
    assert "--names" in copy.module("Tools.TailStatus", "--help")
    assert "not allowed with" in copy.module("Tools.TailStatus", "--names", "--json", code=2)


TABLE_IN_USE = """
import sys
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.facility.maintenance import Maintenance
from NexusCore.storage import open_database
from tests.core.tables import differences
assert differences(sys.argv[1]) == [], "the migrations lead to the schema"
maintenance = Maintenance(open_database(sys.argv[1]), SYSTEM_CLOCK)
maintenance.begin("SEM-1", "New filament")
maintenance.begin("SEM-1", "Größe £, 電子")
print([visit.reason for visit in maintenance.visits("SEM-1")], maintenance.visits("sem-1"))
"""


def test_a_table(copy: Copy, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes to a database that is in use, on each kind; programs and Doctor know it."""
    monkeypatch.setenv("NEXUSCORE_DATABASE", database_url)
    copy.extend("A table")
    assert "up to date" in copy.module("NexusCore.storage.migrate")
    both = os.pathsep.join(map(str, (copy.root, PROJECT)))
    said = copy.run("-c", TABLE_IN_USE, database_url, PYTHONPATH=both)
    assert said == "['Größe £, 電子', 'New filament'] []\n"
    assert "up to date" in copy.module("NexusCore.storage.migrate"), "once more changes nothing"
    assert rows_of_doctor(copy) == 0
    copy.run("-c", SPOIL, database_url)
    assert rows_of_doctor(copy) == 1


SPOIL = """
import sys
from NexusCore.storage import open_database
with open_database(sys.argv[1]).transaction() as transaction:
    transaction.run("UPDATE maintenance SET start_ts = :far WHERE reason = 'New filament'", far=2**62)
"""
"""Writes a time that no calendar has."""


def rows_of_doctor(copy: Copy) -> int:
    """Return how many rows of the table Doctor cannot read."""
    done = subprocess.run(
        [sys.executable, "-m", "Tools.Doctor", "--rows", "--json"], cwd=copy.root, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(copy.root)}, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    return sum(json.loads(line).get("table") == "maintenance" for line in done.stdout.splitlines())


def test_the_table_names_every_section() -> None:
    """What the page lists at its beginning is what it explains, with the files that each touches."""
    named = re.findall(r"^\| \[[^]]+\]\(#([\w-]+)\) \|(.*)\|$", DOCUMENT, re.M)
    titles = re.findall(r"^## (.+)$", DOCUMENT, re.M)
    assert [anchor for anchor, _ in named] == [title.lower().replace(" ", "-") for title in titles]
    for title, (_, files) in zip(titles, named, strict=True):
        known = [one.rstrip("/") for one in re.findall(r"`([\w./<>]+)`", files)] or ["cooler.py"]
        known += ["Tools/tailstatus", "Tools/TailStatus.py"] if title == "An option of a tool" else []
        known += ["NexusCore/facility/maintenance.py"] if title == "A table" else []
        for file, _, _ in blocks(title):
            assert any(file.startswith(one) for one in known), (title, file)
