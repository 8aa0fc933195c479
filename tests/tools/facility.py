"""A facility with two instruments, and sessions there, for the tests of SessionTool."""

from __future__ import annotations

from pathlib import Path

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.facility.records import Records
from NexusCore.facility.sessions import Client, Session, Sessions, State
from NexusCore.storage import Database
from tests.tools.conftest import configure
from tests.tools.programs import Done, run

BUILDER = Client(user="Builder", host="server")
JANE = Client(user="jane", host="pc")
RECORD = """<?xml version='1.0' encoding='UTF-8'?>
<Experiment xmlns="https://data.nist.gov/od/dm/nexus/experiment/v1.0" pid="x">
  <title>Gold on carbon</title>
  <acquisitionActivity seqno="1">
    <startTime>2026-11-20T09:00:00+01:00</startTime>
    <dataset type="Image" role="Experimental"><name>a.dm4</name><location>Titan/a.dm4</location><format>Gatan</format>
      <description>Warning: no scale</description><preview>titan.files/a.png</preview><meta name="x">1</meta></dataset>
    <dataset type="Spectrum"><name>b.dm4</name><location>Titan/b.dm4</location></dataset>
  </acquisitionActivity>
  <acquisitionActivity seqno="2">
    <startTime>2026-11-20T10:00:00+01:00</startTime>
    <dataset type="SpectrumImage"><name>c.dm4</name><location>Titan/c.dm4</location></dataset>
  </acquisitionActivity>
</Experiment>
"""


def built(
    sessions: Sessions, facility: Database, state: State, error: str | None = None, path: Path | None = None
) -> Session:
    """Return a session of which a Builder has tried to make the record."""
    if path is not None:
        path.write_text(RECORD)
    session = sessions.end(sessions.start("FEI-Titan-TEM", JANE).identifier, JANE)
    claimed = sessions.claim(BUILDER, "b1", 60)
    assert claimed is not None
    writer = Records(facility, SYSTEM_CLOCK).writer(
        session.id, path=str(path or "/records/titan.xml"), title="Gold on carbon", sha256="0" * 64, config_revision=7,
        software="NexusCore 1", files=40, activities=13,
    )  # fmt: skip
    assert sessions.finish(claimed, "b1", state, error, also=writer if state is State.BUILT else None)
    return sessions.get(session.identifier)


def tool(*words: str) -> Done:
    return run("SessionTool", *words)


def furnished(database: Database) -> Database:
    """Put two instruments into a database."""
    for pid in ("FEI-Titan-TEM", "JEOL-JEM-TEM"):
        configure(database, Edit(f"Instruments.{pid}.filestore_path", value=f"./{pid}"))
    return database
