"""Shows the whole way of a record on a sample session: calendar, session, files, record, upload.

Run by ``./install.sh demo``, on the database that the settings name, unless it serves a facility already: the services
would work on its sessions, too. Each run makes a session of its own on the instrument Demo-TEM, which exists in the
configuration only.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from set_defaults import set_defaults

from NexusCore.API import App
from NexusCore.clock import to_ts
from NexusCore.config.view import NamedConfiguration
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, EXIT_REFUSED, NexusError
from NexusCore.facility import Records, Sessions
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


class FacilityThere(NexusError):
    """The database at {where} serves a facility already ({instruments}), and the demonstration would work on its
    sessions, too. Give it a place of its own: an empty folder in NEXUSCORE_HOME, and no NEXUSCORE_DATABASE or settings
    file that names another database.
    """  # noqa: D205  the docstring is the message

    exit_code = EXIT_REFUSED


def main() -> int:
    """Run the demonstration; return 0 if a valid record came out."""
    app = App(tool="demo")
    try:
        return run(app)
    except NexusError as error:
        print(sentence_of(error), file=sys.stderr)
        return error.exit_code
    finally:
        app.shutdown()


def run(app: App) -> int:
    """Make a session, let the services work on it, and tell what happened."""
    others = [pid for pid in app.get_config().keys("Instruments") if pid != INSTRUMENT]
    if others:
        raise FacilityThere(where=app.settings.main, instruments=", ".join(others[:3]))
    set_defaults(app.settings.config)
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
    return tell(app, session)


def make_session(app: App, folder: Path, now: datetime) -> Session:
    """Configure the instrument and leave a session behind, as its user would."""
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
    """Put an event into the calendar, beside those of earlier runs: one that were missing would count as cancelled."""
    before = calendar.read_text("utf-8").removesuffix(END) if calendar.exists() else DEMO_CALENDAR
    calendar.write_text(before + event + END, encoding="utf-8", newline="\r\n")


def configure(config: NamedConfiguration, files: Path, calendar: Path) -> None:
    """Tell the configuration about the instrument: it needs no restart of any service."""
    instrument = f"Instruments.{INSTRUMENT}"
    for name, value in {
        "name": "Demonstration TEM",
        "filestore_path": str(files),
        "harvester": "ical",
        "api_url": str(calendar),
    }.items():
        config.set(f"{instrument}.{name}", value, why="demonstration", create=True)


def serve(service: str) -> bool:
    """Run one pass of a service as its own process; show its lines only if it fails."""
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


def tell(app: App, session: Session) -> int:
    """Say what came out, and what to type next."""
    session = Sessions(app.database(), app.clock).get(session.identifier)
    records = Records(app.database(), app.clock)
    record = records.of_session(session.id)
    if record is None or session.state is not State.COMPLETED:
        print(
            one_line(f"The session is {session.state}: {session.last_error or 'no record was made'}"), file=sys.stderr
        )
        return EXIT_FAILURE
    copies = [upload.url or upload.remote_id or upload.destination for upload in records.uploads(record)]
    print(f"""
{record.files} files in {record.activities} activities became one record, valid under the schema:
  {record.path}
  previews and metadata beside it: {Path(record.path).with_suffix(".files")}
  uploaded to: {", ".join(copies)}

What to type next (first: . {_shown(PROJECT / ".venv/bin/activate")}):
  TailLog -n 20                                   what the services said
  TailStatus                                      what they are doing now
  SessionTool show {session.identifier}
  ConfigTool list Instruments.{INSTRUMENT}
  ConfigTool Services.Builder.sensitivity=1.5     takes effect at the next session, without a restart""")
    return EXIT_OK


def _utc(moment: datetime) -> str:
    """Return a time as iCalendar writes it (RFC 5545, form 2)."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


if __name__ == "__main__":
    sys.exit(reported(main))
