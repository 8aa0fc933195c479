"""``Doctor --bundle``: an archive with all that remote support needs, without secrets.

Promises
--------
* Passwords, tokens, secret parameters and the addresses of private calendars are masked everywhere.
* A part that cannot be collected is named; the others are there.
* The archive is written completely or not at all, and other users cannot read it.
"""

from __future__ import annotations

import io
import json
import os
import platform
import socket
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from NexusCore import __version__
from NexusCore.config.values import MASK
from NexusCore.delivery.segments import mapping_refused
from NexusCore.errors import EXIT_OK, EXIT_REFUSED, EXIT_UNREACHABLE, NexusError
from NexusCore.files import replace_file
from NexusCore.settings import KEYS, usual_files
from NexusCore.text import escape, json_text, one_line
from Tools.common.quantities import bytes_text, counted
from Tools.common.terminal import Screen
from Tools.common.time_parser import rfc3339
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.examination import examine
from Tools.doctor.checks.listing import checks
from Tools.doctor.checks.outcome import CheckResult, described
from Tools.doctor.checks.timeouts import all_within
from Tools.doctor.confidential import known_secrets
from Tools.doctor.redaction import Redactor
from Tools.doctor.secret_shapes import SECRET_NAME

LOG_LINES = 2000
SESSIONS_DESCRIBED = 200
"""Most sessions, and most uploads, in the archive."""
COLLECTING_SECONDS = 20.0
"""Seconds that collecting the parts may take."""

BUNDLE_CONTENTS = {
    "doctor.json": "the results of all checks",
    "settings.json": "the settings, and the files that they are read from",
    "configuration.json": "the configuration in force",
    "log.jsonl": f"the newest {LOG_LINES:,} lines of log, one JSON object per line",
    "status.json": "the last status of every program",
    "sessions.json": "sessions in ERROR or still open, and failed uploads",
    "journals.json": "the journals of this machine, without their records",
    "packages.txt": "the installed Python packages and their versions",
    "system.txt": "the machine: system, Python, time",
}

FREE_TEXT = ("log.jsonl", "status.json", "sessions.json")
"""Parts with text of programs, in which anything may be."""


class FileExists(NexusError):
    """The file {path} exists already; use --force to replace it."""

    exit_code = EXIT_REFUSED


class SecretsUnknown(NexusError):
    """Left out: the configuration, which knows the secrets to mask, could not be read."""


class CannotWrite(NexusError):
    """The archive {path} cannot be written: {reason}."""

    exit_code = EXIT_REFUSED


def write(name: str, screen: Screen, *, force: bool) -> int:
    """Write the archive; return the exit code."""
    path = Path(name or f"nexuscore-{socket.gethostname()}-{datetime.now().astimezone():%Y%m%d-%H%M%S}.zip")
    if path.exists() and not force:
        raise FileExists(path=path)
    screen.say("Collecting the files for support ...")
    with Case() as case:
        results = list(examine(case, checks()))
        parts, missing = _collect(case, results)
    _write(path, {"README.txt": _readme(parts, missing), **parts})
    screen.show(str(path))
    screen.say(
        f"{counted(len(parts) + 1, 'file')}, {bytes_text(path.stat().st_size)}. Passwords, tokens and other secrets "
        f"are masked. Check before you send it: unzip -p {path} | less"
    )
    for reason in dict.fromkeys(missing.values()):
        screen.say(f"Not in it: {', '.join(file for file in missing if missing[file] == reason)}. {reason}")
    return EXIT_UNREACHABLE if any(outcome.unreachable for _, outcome in results) else EXIT_OK


def _collect(case: Case, results: Iterable[tuple[str, CheckResult]]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the redacted files by name, and the reasons why others are missing."""
    makers: dict[str, Callable[[], object]] = {
        "doctor.json": lambda: [described(group, outcome) for group, outcome in results],
        "settings.json": partial(_settings, case),
        "configuration.json": partial(_configuration, case),
        "log.jsonl": partial(_log, case),
        "status.json": partial(_status, case),
        "sessions.json": partial(_sessions, case),
        "journals.json": partial(_journals, case),
        "packages.txt": _packages,
        "system.txt": _system,
    }
    secrets = known_secrets(case)
    redactor = Redactor(secrets.known)
    if not secrets.complete:
        makers.update(dict.fromkeys(FREE_TEXT, _left_out))
    done = all_within(COLLECTING_SECONDS, makers)
    parts, missing = {}, {}
    for file in makers:
        try:
            if file not in done:
                raise TimeoutError(f"It was not collected within {COLLECTING_SECONDS:g} s.")
            parts[file] = redactor.joined(_text(file, redactor.value(done[file].result())))
        except Exception as error:  # noqa: BLE001  the edge of a part: it is reported as missing, the others are there
            reason = str(error) if isinstance(error, NexusError) else f"{type(error).__name__}: {error}"
            missing[file] = redactor.text(reason)
    return parts, missing


def _left_out() -> object:
    raise SecretsUnknown


def _text(file: str, content: object) -> str:
    if isinstance(content, str):
        return escape(content)
    if file.endswith(".jsonl"):
        assert isinstance(content, list), "one object per line"  # noqa: S101
        return "".join(json_text(entry) + "\n" for entry in content)
    return json_text(content, indent=2) + "\n"


def _readme(parts: Mapping[str, str], missing: Mapping[str, str]) -> str:
    lines = [
        f"NexusCore {__version__} on {socket.gethostname()}, collected by Doctor --bundle.",
        f"{datetime.now().astimezone().isoformat(timespec='seconds')}",
        "",
        "Passwords, tokens, secret parameters, the queries of web addresses and the addresses of calendars are masked",
        "as *****. Names of people, sessions, folders and machines are not: support needs them.",
        "",
        *(f"{file.ljust(20)}{BUNDLE_CONTENTS[file]}" for file in parts),
    ]
    if missing:
        lines += ["", "Not in it:", *(f"{file.ljust(20)}{one_line(reason)}" for file, reason in missing.items())]
    return "\n".join(lines) + "\n"


def _write(path: Path, files: Mapping[str, str]) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"{path.stem}/{name}", text.encode("utf-8", "backslashreplace"))
    try:
        replace_file(path, content.getvalue())
    except OSError as error:
        raise CannotWrite(path=path, reason=error.strerror or error) from error


# -- the parts ---------------------------------------------------------------------------------------------------------


def _settings(case: Case) -> dict[str, object]:
    settings = case.settings
    return {
        "configuration": str(settings.config),
        "status": str(settings.status),
        "log": str(settings.log),
        "main": str(settings.main),
        "embedded": settings.main.embedded,
        "home": str(settings.home),
        "journal_size": settings.journal_size,
        "journal_sync": settings.journal_sync,
        "journal_not_mapped": mapping_refused(settings.home),
        "files": [{"path": str(path), "there": path.exists()} for path in usual_files(case.environment)],
        "variables_set": sorted(name for name in case.environment if name in KEYS or name.upper().startswith("NEXUS")),
    }


def _configuration(case: Case) -> dict[str, object]:
    config = case.configuration()
    return {
        "version": config.version,
        "revision": config.revision,
        "from": "the copy on this machine" if config.from_snapshot else "the database",
        "parameters": json.loads(config.serialize()),
    }


def _log(case: Case) -> list[dict[str, object]]:
    from NexusCore.log.store import LogFilter, newest

    records = newest(case.database(case.settings.log), LogFilter(), LOG_LINES)
    return [{"time": rfc3339(record.ts), **record._asdict()} for record in records]


def _status(case: Case) -> list[dict[str, object]]:
    from NexusCore.status.store import latest

    return [
        {
            "channel": sample.channel,
            "name": sample.name,
            "value": MASK if SECRET_NAME.search(sample.name) else sample.value,
            "time": rfc3339(sample.ts),
            "expires": rfc3339(sample.expires),
        }
        for sample in latest(case.database(case.settings.status))
    ]


def _sessions(case: Case) -> dict[str, list[dict[str, object]]]:
    from NexusCore.facility.attention import unfinished

    with case.database(case.settings.main).reading() as reading:
        return unfinished(reading, SESSIONS_DESCRIBED)


def _journals(case: Case) -> list[dict[str, object]]:
    from Tools.doctor import journal_commands
    from Tools.doctor.checks.journals import cursors, identities
    from Tools.doctor.journals import entries

    return [journal_commands.described(summary) for summary in entries(case.settings, cursors(case), identities(case))]


def _packages() -> str:
    packages = {f"{distribution.metadata['Name']} {distribution.version}" for distribution in metadata.distributions()}
    return "".join(f"{package}\n" for package in sorted(packages, key=str.lower))


def _system() -> str:
    facts: list[tuple[str, Any]] = [
        ("system", " ".join(platform.uname())),
        ("python", sys.version.replace("\n", " ")),
        ("executable", sys.executable),
        ("encodings", f"{sys.getfilesystemencoding()}, {sys.stdout.encoding if sys.stdout else None}"),
        ("processors", os.cpu_count()),
        ("load", ", ".join(f"{load:.2f}" for load in os.getloadavg())),
        ("time", datetime.now().astimezone().isoformat()),
        ("zone", time.tzname),
    ]
    return "".join(f"{name.ljust(12)}{value}\n" for name, value in facts)
