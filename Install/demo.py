"""Demonstrates the way of a record with a sample session: calendar, session, files, record, upload.

``./install.sh demo`` runs it on the database of the settings, unless that serves a facility already: the services
would process its sessions too. Each run creates a session on the instrument Demo-TEM, which exists only in the
configuration.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from NexusCore.API import App
from NexusCore.clock import to_ts
from NexusCore.config.view import NamedConfiguration
from NexusCore.declare import declare_all
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, EXIT_REFUSED, NexusError
from NexusCore.facility import Records, Sessions
from NexusCore.facility.record_page import page_of
from NexusCore.facility.sessions import Client, Session, State
from NexusCore.resources import reported, sentence_of
from NexusCore.text import one_line

INSTRUMENT = "Demo-TEM"
PROJECT = Path(__file__).resolve().parent.parent
SERVICE_SECONDS = 300

DEMO_CALENDAR = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//NexusCore//Demonstration//EN
"""
EVENT = """\
BEGIN:VEVENT
UID:{start}-demo@nexuscore
DTSTAMP:{start}
DTSTART:{start}
DTEND:{end}
SUMMARY:Surface reconstruction of cycled NMC811
DESCRIPTION:Does the layered cathode turn into rock salt at its surface after 200 cycles?
ORGANIZER;CN=Ada Example:mailto:ada@example.org
END:VEVENT
"""
END = "END:VCALENDAR\n"


class FacilityExists(NexusError):
    """The database at {where} already serves a facility ({instruments}), whose sessions the demonstration would process
    too. Set NEXUSCORE_HOME to an empty folder, and no NEXUSCORE_DATABASE in the environment or a settings file.
    """  # noqa: D205  the docstring is the message

    exit_code = EXIT_REFUSED


def main() -> int:
    """Run the demonstration; return 0 if the result is a valid record."""
    app = App(tool="demo")
    try:
        return run(app)
    except NexusError as error:
        print(sentence_of(error), file=sys.stderr)
        return error.exit_code
    finally:
        app.shutdown()


def run(app: App) -> int:
    """Create a session, run the services on it, and report the result."""
    others = [pid for pid in app.get_config().keys("Instruments") if pid != INSTRUMENT]
    if others:
        raise FacilityExists(where=app.settings.main, instruments=", ".join(others[:3]))
    declare_all(app.settings.config)
    now = datetime.now().astimezone().replace(microsecond=0)
    folder = app.settings.home / "demo" / now.strftime("%Y-%m-%d_%H%M%S")
    print(f"1. The microscope {INSTRUMENT} leaves its files in {folder}.")
    session = make_session(app, folder, now)
    print(
        f"   A user worked from {session.start.astimezone():%H:%M} to {session.end.astimezone():%H:%M}; "  # type: ignore[union-attr]
        f"START and END are in the database ({app.settings.main})."
    )
    for number, (service, what) in enumerate(
        (
            ("Harvester", "finds the reservation in the calendar"),
            ("Builder", "reads the files and writes the record"),
            ("Uploader", "sends the record to its destination"),
        ),
        start=2,
    ):
        print(f"{number}. The {service} {what}.", flush=True)
        if not serve(service):
            return EXIT_FAILURE
    return report(app, session)


def make_session(app: App, folder: Path, now: datetime) -> Session:
    """Configure the instrument, and record a session as its user would."""
    from Services.Builder.sample import make_session as make_files

    sessions = Sessions(app.database(), app.clock)
    client = Client(user="ada", host="DEMO-PC")
    forgotten = sessions.open_on(INSTRUMENT)
    if forgotten is not None:
        sessions.end(forgotten.identifier, client)
    made = make_files(folder / "data", now - timedelta(hours=2))
    calendar = folder.parent / "calendar.ics"
    book(calendar, EVENT.format(start=_utc(made.start), end=_utc(made.end)))
    config = app.get_config()
    configure(config, folder / "data", calendar)
    session = sessions.start(INSTRUMENT, client, ts=to_ts(made.start))
    session = sessions.end(session.identifier, client, ts=to_ts(made.end))
    print(f"   It holds {len(made.files)} files in {len(made.bursts)} bursts.")
    return session


def book(calendar: Path, event: str) -> None:
    """Add an event to the calendar and keep those of earlier runs: a missing event would count as cancelled."""
    before = calendar.read_text("utf-8").removesuffix(END) if calendar.exists() else DEMO_CALENDAR
    calendar.write_text(before + event + END, encoding="utf-8", newline="\r\n")


def configure(config: NamedConfiguration, files: Path, calendar: Path) -> None:
    """Add the instrument to the configuration; no service needs a restart."""
    instrument = f"Instruments.{INSTRUMENT}"
    for name, value in {
        "name": "Demonstration TEM",
        "filestore_path": str(files),
        "harvester": "ical",
        "api_url": str(calendar),
    }.items():
        config.set(f"{instrument}.{name}", value, why="demonstration", create=True)


def serve(service: str) -> bool:
    """Run a pass of a service in a process of its own; show its output only if it fails."""
    done = subprocess.run(  # noqa: S603  our own service
        [sys.executable, "-m", f"Services.{service}", "--once"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=SERVICE_SECONDS,
        check=False,
    )
    if done.returncode:
        print(f"   It failed (exit code {done.returncode}):\n{done.stderr}", file=sys.stderr)
    return done.returncode == 0


def report(app: App, session: Session) -> int:
    """Print the result, and what to type next."""
    session = Sessions(app.database(), app.clock).get(session.identifier)
    records = Records(app.database(), app.clock)
    record = records.of_session(session.id)
    if record is None or session.state is not State.COMPLETED:
        print(
            one_line(f"The session is {session.state}: {session.last_error or 'no record was built'}"), file=sys.stderr
        )
        return EXIT_FAILURE
    copies = [upload.url or upload.remote_id or upload.destination for upload in records.uploads(record)]
    print(f"""
{record.files} files in {record.activities} activities became one record, valid under the schema:
  {record.path}
  its page, for people: {page_of(Path(record.path))}
  previews and metadata beside it: {Path(record.path).with_suffix(".files")}
  uploaded to: {", ".join(copies)}

What to type next (first: . {_shown(PROJECT / ".venv/bin/activate")}):
  TailLog -n 20                                   the log of the services
  TailStatus                                      their present status
  SessionTool show {session.identifier}
  ConfigTool list Instruments.{INSTRUMENT}
  ConfigTool Services.Builder.sensitivity=1.5     takes effect at the next session, without a restart""")
    return EXIT_OK


def _utc(moment: datetime) -> str:
    """Return a time in the form of iCalendar (RFC 5545, form 2)."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


if __name__ == "__main__":
    sys.exit(reported(main))
