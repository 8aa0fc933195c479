"""All checks of Doctor, in the order of the report."""

from __future__ import annotations

from collections.abc import Iterator

from Tools.doctor.checks.outcome import Check


def checks() -> Iterator[Check]:
    """Yield every check; a new check is a line here.

    Modules of later checks are imported later, so that the first line appears at once.
    """
    from Tools.doctor.checks import disks, machine, settings

    yield Check("Disks", disks.full, at_once=True)
    yield Check("This machine", machine.versions, at_once=True)
    yield Check("This machine", machine.text, at_once=True)
    yield Check("This machine", machine.readers, at_once=True)
    yield Check("Settings", settings.files, at_once=True)
    yield Check("Settings", settings.variables, at_once=True)
    yield Check("Settings", settings.readable, at_once=True)

    from Tools.doctor.checks import databases

    yield Check("Databases", databases.databases)
    yield Check("Databases", databases.driver)

    from Tools.doctor.checks import configuration, credentials, instruments, journals, rows, services, sessions

    yield Check("Journals", journals.journals)
    yield Check("Configuration", configuration.configuration)
    yield Check("Configuration", configuration.declarations)
    yield Check("Configuration", configuration.saved_copy)
    yield Check("Instruments", instruments.instruments)
    yield Check("Credentials", credentials.credentials)
    yield Check("Services", services.services)
    yield Check("Sessions", sessions.sessions)
    yield Check("Sessions", sessions.reservations)
    yield Check("Sessions", sessions.uploads)
    yield Check("Rows", rows.rows)
    yield Check("Disks", disks.disks)
