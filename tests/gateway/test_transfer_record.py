"""From a PC's disk into a record: sent to the Gateway, stored, read again by the Builder; the real programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from lxml import etree

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.facility import Records, Sessions, State
from NexusCore.storage import open_database
from tests.gateway.gateways import RunningGateway, clock
from tests.gateway.transfers import (
    Backing,
    Directory,
    google_server,
    reported,
    s3_server,
    set_parameters,
    transferring,
)
from tests.processes import LIMIT, PROJECT

NX = {"nx": "https://data.nist.gov/od/dm/nexus/experiment/v1.0"}


def directory(folder: Path) -> AbstractContextManager[Backing]:
    return nullcontext(Directory(folder))


def build(gateway: RunningGateway, home: Path, identifier: str) -> etree._Element:
    """Have the Builder make a session's record; return it."""
    done = subprocess.run(
        [sys.executable, "-m", "Services.Builder", "--once", "--session", identifier],
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", "NEXUSCORE_DATABASE": gateway.main, "NEXUSCORE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    database = open_database(gateway.main)
    session = Sessions(database, SYSTEM_CLOCK).get(identifier)
    assert session.state is State.BUILT, done.stderr
    record = Records(database, SYSTEM_CLOCK).of_session(session.id)
    database.close()
    assert record is not None
    return etree.fromstring(Path(record.path).read_bytes())


def texts(record: etree._Element, path: str) -> list[str]:
    return [str(found.text) for found in record.iterfind(f".//{path}", NX)]


@pytest.mark.parametrize("serve", [directory, google_server, s3_server], ids=["directory", "google", "s3"])
def test_files_that_a_pc_sends_stand_in_the_record(
    serve: Callable[[Path], AbstractContextManager[Backing]], sqlite_template: Path, tmp_path: Path
) -> None:
    """With the ones that could not be sent; their old times, and what else is in the folder, do not matter."""
    shutil.copyfile(sqlite_template, tmp_path / "nexus.db")
    (tmp_path / "store").mkdir()
    gateway = RunningGateway(f"sqlite:///{tmp_path}/nexus.db", tmp_path, chunk_size=256 * 1024)
    try:
        with serve(tmp_path / "store") as backing:
            sender = transferring(gateway, backing)
            if isinstance(backing, Directory):
                (tmp_path / "store/of nobody.txt").write_text("left by hand")
            sender.send("day 1/grid.txt", b"grid 3, position 7")
            sender.send("log.csv", b"time,pressure\n0,1e-7\n")
            sender.report(
                reported("day 1/grid.txt", b"grid 3, position 7"),
                reported("b.dm4", b"12345", state="locked", reason="locked by another program"),
            )
            assert sender.end().status_code == 200
            assert sender.transferred(3).json()["missing"] == 1
            record = build(gateway, tmp_path / "home", sender.session.identifier)
    finally:
        gateway.close()
    assert sorted(texts(record, "nx:dataset/nx:name")) == ["grid.txt", "log.csv"]
    prefix = f"{tmp_path}/store/" if serve is directory else f"em/files/{sender.prefix}"
    assert sorted(texts(record, "nx:location")) == [f"{prefix}raw/day 1/grid.txt", f"{prefix}raw/log.csv"]
    assert any(
        "warning: not transferred: raw/b.dm4 (locked by another program)" in text for text in texts(record, "nx:p")
    )


def test_files_of_a_pc_that_is_ten_minutes_slow(embedded_gateway: RunningGateway, tmp_path: Path) -> None:
    """The Gateway measures its clock with each event, and the Builder corrects its files' times by that."""
    slow = -600.0
    pc = embedded_gateway.pc()
    files = tmp_path / "files"
    files.mkdir()
    set_parameters(
        embedded_gateway.main,
        **{f"Instruments__{pc.pids[0]}__filestore_path": str(files), f"Instruments__{pc.pids[0]}__file_times": "pc"},
    )
    names = []
    for number in range(2):
        session = pc.start(at=clock(slow), now=clock(slow))
        note = files / f"note {number}.txt"
        note.write_text("grid 3")
        moment = time.time_ns() + int(slow * 1e9)
        os.utime(note, ns=(moment, moment))
        assert session.post("end", at=clock(slow), now=clock(slow)).status_code == 200
        names.append(session.identifier)
    for number, identifier in enumerate(names):
        record = build(embedded_gateway, tmp_path / "home", identifier)
        assert texts(record, "nx:dataset/nx:name") == [f"note {number}.txt"]
        assert any("s slow; they are corrected" in text for text in texts(record, "nx:p"))
