"""The services: whether they are running, and what they report about calendars and destinations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from NexusCore.errors import NexusError
from NexusCore.facility.tokens import AccessTokens
from NexusCore.service import FAILED
from NexusCore.status.names import Channels
from NexusCore.status.store import StatusSample, latest
from NexusCore.text import one_line
from Tools.common.time_parser import span
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem

SERVICE_EFFECTS = {
    "Builder": "no records are built",
    "Gateway": "microscope PCs cannot report their sessions",
    "Harvester": "reservations are not updated",
    "Intake": "files stay in the drop folders",
    "Uploader": "records are not sent to their destinations",
}
"""The effect when a service is not running."""
STOPPED = "stopped"
PARTNERS = (("Harvester", "source ", "The calendar of"), ("Uploader", "destination ", "The destination"))
"""Channels, prefixes of the elements that report on a server outside NexusCore, and what it is."""
WELL = ("ok", "not asked any more", "not in use", "")
"""Reports that need no attention."""


def services(case: Case) -> Iterator[CheckResult]:
    """Check each service."""
    samples = latest(case.database(case.settings.status), Channels(tuple(SERVICE_EFFECTS)))
    now = case.clock.now()
    states = {sample.channel: sample for sample in samples if sample.name == "state"}
    for name, effect in SERVICE_EFFECTS.items():
        if name not in states and _is_not_needed(name, case):
            continue
        yield _service(name, effect, states, now)
    yield from _partners(samples, now)


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
    if state.expires is not None and state.expires < now:
        return problem(
            f"The {name} last reported its state {age} ago ('{one_line(state.value or '')}'): {effect}.",
            f"Its last log lines: TailLog --logger {name} -n 20. {_start(name)}",
        )
    if (state.value or "").startswith(FAILED):
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


def _partners(samples: Sequence[StatusSample], now: int) -> Iterator[CheckResult]:
    """Report the calendars and destinations that the services cannot use."""
    for channel, beginning, what in PARTNERS:
        for sample in samples:
            value = one_line(sample.value or "")
            if sample.channel == channel and sample.name.startswith(beginning) and value not in WELL:
                yield problem(
                    f"{what} {sample.name.removeprefix(beginning)}: {value.rstrip('.')} ({span(now - sample.ts)} ago).",
                    f"For details: TailLog --logger {channel} -p warning",
                )
