"""The services: whether they are running, and what they report about calendars and destinations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from NexusCore import plugins
from NexusCore.errors import NexusError
from NexusCore.facility.instruments import Instruments
from NexusCore.facility.tokens import AccessTokens
from NexusCore.status.names import Channels
from NexusCore.status.process import STOPPED
from NexusCore.status.store import StatusSample, latest
from NexusCore.text import one_line
from Tools.common.services import (
    SERVICE_EFFECTS,
    PartnerReport,
    has_failed,
    is_in_use,
    is_silent,
    partner_reports,
)
from Tools.common.time_parser import span
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.credentials import destination_names
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem


def services(case: Case) -> Iterator[CheckResult]:
    """Check each service."""
    samples = latest(case.database(case.settings.status), Channels(tuple(SERVICE_EFFECTS)))
    now = case.clock.now()
    states = {sample.channel: sample for sample in samples if sample.name == "state"}
    for name, effect in SERVICE_EFFECTS.items():
        if name not in states and _is_not_needed(name, case):
            continue
        yield _service(name, effect, states, now)
    yield from _partners(case, samples, states, now)


def _is_not_needed(name: str, case: Case) -> bool:
    """Return whether nothing needs a service that has never run."""
    if name == "Gateway":
        return not _has_tokens(case)
    if name == "Intake":
        with suppress(NexusError):  # a configuration that cannot be read is reported by another check
            return not case.configuration().keys("Services.Intake.inboxes")
    return False


def _has_tokens(case: Case) -> bool:
    with suppress(NexusError):  # a database that does not answer is reported by other checks
        return bool(AccessTokens(case.database(case.settings.main), case.clock).all())
    return False


def _service(name: str, effect: str, states: Mapping[str, StatusSample], now: int) -> CheckResult:
    state = states.get(name)
    if state is None:
        return note(f"The {name} has never run: {effect}.", _start(name))
    age = span(now - state.ts)
    if state.value == STOPPED:
        return note(f"The {name} was stopped {age} ago: {effect}.", _start(name))
    if is_silent(state, now):
        return problem(
            f"The {name} last reported its state {age} ago ('{one_line(state.value or '')}'): {effect}.",
            f"Its last log lines: TailLog --logger {name} -n 20. {_start(name)}",
        )
    if has_failed(state):
        return problem(
            f"The {name} is running, but its last pass {one_line(state.value or '').rstrip('.')} ({age} ago).",
            f"For details: TailLog --logger {name} -p warning -n 20",
        )
    return ok(f"The {name} is running: '{one_line(state.value or '')}', {age} ago.")


def _start(name: str) -> str:
    service = f"nexuscore-{name.lower()}"
    if Path(f"/etc/init.d/{service}").exists() or Path(f"/etc/systemd/system/{service}.service").exists():
        return f"Start it: service {service} start"
    return f"Start it: python -m Services.{name}, or with the system: sudo ./install.sh service {name.lower()}"


def _partners(
    case: Case, samples: Sequence[StatusSample], states: Mapping[str, StatusSample], now: int
) -> Iterator[CheckResult]:
    """Report the calendars, destinations, stores and drop folders that the services cannot use."""
    pids, destinations = _configured(case)
    for report in partner_reports(samples):
        if report.well or not is_in_use(report, pids, destinations):
            continue
        if report.kind.service == "Builder":
            continue  # the check of the instruments looks at their folders itself
        yield _partner(report, states.get(report.kind.service), now)


def _configured(case: Case) -> tuple[list[str] | None, list[str] | None]:
    """Return the instruments with a kind of calendar, and the destinations, that exist; None if that is unknown.

    One that does not exist is reported, with the right name, by the check of the credentials.
    """
    try:
        config = case.configuration()
    except NexusError:
        return None, None
    sources, kinds = plugins.names(plugins.SOURCES), plugins.names(plugins.DESTINATIONS)
    pids = [instrument.pid for instrument in Instruments(config).all() if instrument.harvester in sources]
    return pids, [name for name in destination_names(config) if name in kinds]


def _partner(report: PartnerReport, state: StatusSample | None, now: int) -> CheckResult:
    service, age = report.kind.service, span(now - report.ts)
    what, sentence = f"{report.kind.what} {report.name}", report.sentence.rstrip(".")
    stop = "" if sentence.endswith("?") else "."
    if state is None or state.value == STOPPED or is_silent(state, now):
        return note(f"{what}, when the {service} last reported, {age} ago: {sentence}{stop}", _start(service))
    if report.slow:
        return note(f"{what} {sentence} ({age} ago): it may only be slow.")
    return problem(f"{what}: {sentence} ({age} ago).", f"For details: TailLog --logger {service} -p warning")
