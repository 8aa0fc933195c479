"""Credentials: whether those of calendars and destinations are set. They are named, never shown."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from NexusCore import plugins
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.facility.instruments import Instruments
from NexusCore.plugins import Credentials, credentials_of
from NexusCore.text import listed, shell_quote, suggest
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem

SERVICE_ENVIRONMENT = Path("/etc/default/nexuscore")
"""File with the variables of the system's services."""
FACILITY = ("nexusLIMS_user", "nexusLIMS_pass")
"""User and password for all network resources without their own."""
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?(\w+)\s*=\s*(?:\"\"|'')?(.*)")


class Partner(NamedTuple):
    """A server outside NexusCore that a service talks to."""

    kind: str
    what: str
    """Its description in a sentence."""
    folder: str
    """Path of its settings."""
    needs: Credentials


def credentials(case: Case) -> Iterator[CheckResult]:
    """Check which credentials each calendar and destination in use would get."""
    config = case.configuration()
    names = _names(case.environment)
    yield from _unknown_kinds(config)
    yield from _without_address(config)
    partners = [*_calendars(config), *_destinations(config)]
    for partner in partners:
        yield from _partner(partner, config, names)
    if not partners:
        yield ok("No calendar or destination in use needs credentials.")
    yield from _halves(names, {partner.kind for partner in partners})


def _unknown_kinds(config: ReadOnlyConfiguration) -> Iterator[CheckResult]:
    for instrument in Instruments(config).all():
        known = plugins.names(plugins.SOURCES)
        if instrument.harvester and instrument.harvester not in known:
            path, kind = f"Instruments.{instrument.pid}.harvester", instrument.harvester
            right = _nearest(kind, known)
            command = f"ConfigTool {shell_quote(path)}={right}" if right else f"ConfigUI {shell_quote(path)}"
            yield problem(
                f"{path} is '{kind}', which is not a kind of calendar.{suggest(kind, known)}",
                f"Kinds: {', '.join(known)}. Correct it: {command}",
            )
    known = plugins.names(plugins.DESTINATIONS)
    wanted = destination_names(config)
    for kind in wanted:
        if kind not in known:
            rights = [name if name in known else _nearest(name, known) for name in wanted]
            names = ",".join(dict.fromkeys(filter(None, rights))) or "directory"
            yield problem(
                f"Services.Uploader.destinations has '{kind}', which is not a destination.{suggest(kind, known)}",
                f"Destinations: {', '.join(known)}. Correct it: ConfigTool Services.Uploader.destinations={names}",
            )


def _without_address(config: ReadOnlyConfiguration) -> Iterator[CheckResult]:
    for kind in filter(plugins.names(plugins.DESTINATIONS).__contains__, destination_names(config)):
        folder = f"Services.Uploader.{kind}"
        if any(node.path == f"{folder}.url" and not node.value for node in config.get_leaves(folder)):
            yield problem(
                f"The destination {kind} has no address: {folder}.url is not set.",
                f"Set it: ConfigTool {folder}.url=https://{kind}.example.org",
            )


def _nearest(name: str, known: Sequence[str]) -> str:
    """Return the known name that was probably meant; an empty text if there is none."""
    return next(iter(difflib.get_close_matches(name.lower(), known, n=1)), "")


def destination_names(config: ReadOnlyConfiguration) -> list[str]:
    """Return the destinations that records are sent to."""
    names = str(config["Services.Uploader.destinations"] or "").split(",")
    return [name.strip() for name in names if name.strip()]


def _calendars(config: ReadOnlyConfiguration) -> Iterator[Partner]:
    pids_by_kind: dict[str, list[str]] = {}
    for instrument in Instruments(config).all():
        if instrument.harvester not in plugins.names(plugins.SOURCES):
            continue
        needs = credentials_of(plugins.SOURCES, instrument.harvester)
        # A calendar in a local file needs no credentials.
        remote = needs is Credentials.NEEDED or instrument.api_url.lower().startswith(("http:", "https:"))
        if remote and needs is not Credentials.NONE:
            pids_by_kind.setdefault(instrument.harvester, []).append(instrument.pid)
    for kind, pids in pids_by_kind.items():
        what = f"the calendars ({kind}) of {', '.join(pids)}"
        yield Partner(kind, what, f"Services.Harvester.{kind}", credentials_of(plugins.SOURCES, kind))


def _destinations(config: ReadOnlyConfiguration) -> Iterator[Partner]:
    known = plugins.names(plugins.DESTINATIONS)
    for kind in filter(known.__contains__, destination_names(config)):
        needs = credentials_of(plugins.DESTINATIONS, kind)
        if needs is not Credentials.NONE:
            yield Partner(kind, f"the destination {kind}", f"Services.Uploader.{kind}", needs)


def _partner(partner: Partner, config: ReadOnlyConfiguration, names: Mapping[str, str]) -> Iterator[CheckResult]:
    own = f"NEXUSCORE_{partner.kind.upper()}"
    # A kind with several servers has a token for each, with the server's name in the middle.
    tokens = [(name,) for name in names if name.startswith(f"{own}_") and name.endswith("_TOKEN")]
    ways = (*tokens, (f"{own}_USER", f"{own}_PASSWORD"), FACILITY)
    secrets = [node for node in config.get_leaves(partner.folder) if node.limits.secret]
    configured = [node.path for node in secrets if node.value]
    complete = next((way for way in ways if all(name in names for name in way)), None)
    if configured:
        yield ok(f"For {partner.what}, the configuration has {listed(configured)}.")
    elif complete is not None:
        yield ok(f"For {partner.what}, {' and '.join(complete)} would be used ({names[complete[0]]}).")
    else:
        settings = "".join(f", or the parameter {node.path}" for node in secrets)
        login = f"{own}_USER and {own}_PASSWORD in {SERVICE_ENVIRONMENT}{settings}."
        if partner.needs is Credentials.OPTIONAL:
            yield note(
                f"For {partner.what}, no credentials are set; that is right if anyone may read them.",
                f"If not, set {login}",
            )
        else:
            yield problem(f"For {partner.what}, no credentials are set.", f"Set {own}_TOKEN, or {login}")


def _halves(names: Mapping[str, str], kinds: Collection[str]) -> Iterator[CheckResult]:
    """Report users without a password, and passwords without a user; a problem only where one is in use."""
    used = {f"NEXUSCORE_{kind.upper()}" for kind in kinds}
    for name, where in names.items():
        for mine, other in (("_USER", "_PASSWORD"), ("_PASSWORD", "_USER"), ("_user", "_pass"), ("_pass", "_user")):
            if name.endswith(mine) and name.removesuffix(mine) + other not in names:
                kind = name.removesuffix(mine)
                needed = bool(kinds) if name in FACILITY else any(kind.startswith(own) for own in used)
                sentence = f"{name} is set ({where}), but {kind}{other} is not, so neither is used."
                yield problem(sentence, f"Set both, or none, in {SERVICE_ENVIRONMENT}.") if needed else note(sentence)


def _names(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the names of variables that hold credentials, and where each is set."""
    places = {name: "set in this shell" for name, value in environment.items() if value and _is_ours(name)}
    path = Path(environment.get("NEXUSCORE_DEFAULTS") or SERVICE_ENVIRONMENT)
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return places
    for line in lines:
        assignment = _ASSIGNMENT.fullmatch(line)
        if assignment and assignment[2].strip() and _is_ours(assignment[1]):
            places[assignment[1]] = f"set for the services, in {path}"
    return places


def _is_ours(name: str) -> bool:
    return name in FACILITY or re.fullmatch(r"NEXUSCORE_[A-Z0-9_]+_(TOKEN|USER|PASSWORD)", name) is not None
