"""The secrets of the facility that this machine knows, so that they can be masked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from NexusCore.config import snapshot
from NexusCore.config.secrets import SecretRow, possible
from NexusCore.config.values import MASK, Limits
from NexusCore.errors import NexusError
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.credentials import SERVICE_ENVIRONMENT
from Tools.doctor.secret_shapes import SECRET_NAME, passwords_in

SHORTEST = 4
"""Fewest characters of a variable's value that is masked everywhere; shorter values are switches, not secrets."""
LONG_ENOUGH = 8
"""Fewest characters of the path in a calendar's address that is masked by itself."""
CALENDAR_PATH_END = ".api_url"
"""Parameters with addresses of calendars: knowing the address is enough to read the calendar."""


class Secrets(NamedTuple):
    """The secrets that were found."""

    known: set[str]
    complete: bool
    """Whether the configuration could be read."""


def known_secrets(case: Case) -> Secrets:
    """Return every secret in settings, variables and the configuration with its history."""
    secrets = {url.password for url in case.settings.databases}
    secrets |= set(_of_variables(case.environment.items())) | set(_of_variables(_defaults(case)))
    complete = False
    for rows in (_saved(case), _stored(case)):
        secrets |= set(_of_parameters(rows or ()))
        complete = complete or rows is not None
    return Secrets({secret for secret in secrets if secret}, complete)


def _of_variables(variables: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in variables:
        yield from passwords_in(value)
        if SECRET_NAME.search(name) and name != "PWD" and len(value) >= SHORTEST:  # PWD is the folder
            yield value


def _defaults(case: Case) -> Iterator[tuple[str, str]]:
    """Yield the variables of the system's services."""
    path = Path(case.environment.get("NEXUSCORE_DEFAULTS") or SERVICE_ENVIRONMENT)
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        name, sign, value = line.strip().removeprefix("export ").partition("=")
        if sign:
            yield name.strip(), value.strip().strip("\"'")


def _saved(case: Case) -> list[SecretRow] | None:
    """Return the parameters of the snapshot on this machine; None without a snapshot."""
    saved = snapshot.load(case.snapshot_file())
    if saved is None:
        return None
    return [(change.path, change.value, change.limits) for _, changes in saved.versions.values() for change in changes]


def _stored(case: Case) -> list[SecretRow] | None:
    """Return the parameters in the database that may be secrets; None if not all can be read."""
    try:
        with case.database(case.settings.config).reading() as reading:
            return possible(reading)
    except NexusError:
        return None


def _of_parameters(rows: Iterable[SecretRow]) -> Iterator[str]:
    for path, value, limits in rows:
        if value == MASK:  # a placeholder for a value stored elsewhere
            continue
        if value and (Limits.readable(limits).secret or SECRET_NAME.search(path.rpartition(".")[2])):
            yield value
        elif value and path.endswith(CALENDAR_PATH_END) and "://" in value:
            address = value.partition("?")[0]
            place = address.partition("://")[2].partition("/")[2]
            yield from (value, address, *((place,) if len(place) >= LONG_ENOUGH else ()))
