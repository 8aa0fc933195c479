"""A facility in trouble at 3 a.m., for the tests of the overview and its picture in the documentation."""

from __future__ import annotations

from NexusCore.clock import SECOND, SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.facility.session import State
from NexusCore.facility.sessions import Sessions
from NexusCore.status.process import ServiceProcess
from NexusCore.storage import Database
from tests.tools.conftest import configure, log, report
from tests.tools.facility import BUILDER, JANE, built

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
HOME = "/var/lib/nexuscore"


def beat(database: Database, service: str, state: str, *processes: ServiceProcess, ago: int = 4 * SECOND) -> None:
    """Show a service with the processes that report it, which did so last some time ago."""
    ts = SYSTEM_CLOCK.now() - ago
    for process in processes:
        report(database, (ts, service, "process", str(process), ts + 30 * SECOND))
    report(database, (ts, service, "state", state, ts + 30 * SECOND))


def troubled(database: Database) -> None:
    """Put a facility into a database where much goes well, and some does not."""
    now = SYSTEM_CLOCK.now()
    for pid in ("FEI-Titan-TEM", "JEOL-JEM-TEM", "Zeiss-LEO-SEM"):
        configure(database, Edit(f"Instruments.{pid}.filestore_path", value=f"./{pid}"))
        configure(database, Edit(f"Instruments.{pid}.harvester", value="nemo"))
    configure(database, Edit("Services.Uploader.destinations", value="directory,cdcs"))
    sessions = Sessions(database, SYSTEM_CLOCK)
    built(sessions, database, State.BUILT)
    sessions.start("FEI-Titan-TEM", JANE, ts=now - 2 * HOUR)
    other = sessions.end(sessions.start("JEOL-JEM-TEM", JANE, ts=now - 5 * HOUR).identifier, JANE)
    for _ in range(3):
        claimed = sessions.claim(BUILDER, "b1", 60)
        assert claimed is not None and claimed.id == other.id
        sessions.finish(claimed, "b1", State.ERROR, "The folder ./JEOL-JEM-TEM cannot be read", retry_seconds=0.0)
    first, second = (ServiceProcess(pid, "server", now - 3 * HOUR, HOME) for pid in (4711, 5022))
    beat(database, "Builder", "idle", first, second)
    beat(database, "Gateway", "idle", ServiceProcess(811, "server", now - 50 * HOUR, HOME))
    beat(database, "Harvester", "idle", ServiceProcess(812, "server", now - 50 * HOUR, HOME))
    beat(database, "Uploader", "uploading", ServiceProcess(813, "server", now - 50 * HOUR, HOME), ago=40 * MINUTE)
    report(
        database,
        (now - MINUTE, "Harvester", "source FEI-Titan-TEM", "ok", None),
        (
            now - 5 * MINUTE,
            "Harvester",
            "source JEOL-JEM-TEM",
            "nemo.example.org does not answer",
            None,
        ),
        (now - 40 * MINUTE, "Uploader", "destination directory", "ok", None),
        (now - MINUTE, "Gateway", "store archive", "the bucket em-archive does not answer", None),
        (now - MINUTE, "Camera", "temperature", "-20.5", None),
    )
    log(database, "The folder ./JEOL-JEM-TEM cannot be read", level=40, logger="Builder", ts=now - 20 * MINUTE)
    log(database, "Out of memory", level=50, logger="Uploader", ts=now - 41 * MINUTE)
    _transferring(database, now)


def _transferring(database: Database, now: int) -> None:
    """Have files of the open session on their way."""
    session = Sessions(database, SYSTEM_CLOCK).open_on("FEI-Titan-TEM")
    assert session is not None
    with database.transaction() as transaction:
        for number, state in enumerate(["waiting"] * 11 + ["sending", "failed"]):
            transaction.insert(
                "transfer_file", session_id=session.id, folder="", path=f"{number}.dm4", path_sha256=f"{number:064}",
                size=1, modified_ts=now, state=state, sent=0, attempts=0, store="archive", changed_ts=now - 9 * MINUTE,
            )  # fmt: skip
