"""The overview: what each service and instrument does now, and what needs somebody. Each part is read by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from NexusCore import identity
from NexusCore.clock import SECOND
from NexusCore.errors import EXIT_OK, NexusError
from NexusCore.facility.instrument_state import InstrumentState, instrument_states
from NexusCore.facility.record import Tally
from NexusCore.facility.transfer_file import FileState
from NexusCore.log.record import LogRecord
from NexusCore.log.store import LogFilter, newest
from NexusCore.settings import Settings
from NexusCore.status.process import PROCESS, STOPPED, ServiceProcess, processes
from NexusCore.status.store import StatusSample, latest
from NexusCore.storage import Database
from NexusCore.text import listed, one_line, shell_quote
from Tools.common.quantities import counted
from Tools.common.services import SERVICE_EFFECTS, PartnerReport, has_failed, is_in_use, is_silent, partner_reports
from Tools.common.time_parser import span

ERROR = 40
"""Level of the log."""
RECENT_ERROR = 86_400 * SECOND
"""Microseconds for which an error of a service is shown as recent."""
ALWAYS = ("Builder", "Harvester", "Uploader")
"""Services that every facility needs."""


@dataclass(frozen=True, slots=True)
class ServiceNow:
    """A service, as its status and its log show it."""

    name: str
    state: StatusSample | None
    """None if it has never reported."""
    running: tuple[ServiceProcess, ...] = ()
    """Its running processes, the newest last."""
    shown: ServiceProcess | None = None
    """The process that reported last, running or not."""
    error: LogRecord | None = None
    """Its newest error in the log."""
    gone: bool = False
    """Whether its process does not exist any more, on this machine, and did not say that it ends."""

    @property
    def stopped(self) -> bool:
        """Whether it was stopped."""
        return self.state is not None and self.state.value == STOPPED


@dataclass(frozen=True, slots=True)
class Overview:
    """The facility now."""

    services: list[ServiceNow] = field(default_factory=list)
    instruments: list[InstrumentState] = field(default_factory=list)
    partners: list[PartnerReport] = field(default_factory=list)
    """Calendars, destinations, stores and drop folders in use."""
    tallies: dict[str, Tally] = field(default_factory=dict)
    """Records that destinations lack."""
    others: int = 0
    """Values of channels that belong to no service."""
    failures: list[NexusError] = field(default_factory=list)
    """Why some of it could not be read."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        known = any(service.state is not None for service in self.services)
        return not (known or self.instruments or self.failures or self.others)

    @property
    def code(self) -> int:
        """Exit code."""
        return max((error.exit_code for error in self.failures), default=EXIT_OK)


class OverviewReader:
    """Reads the overview, again and again where that is wanted.

    Parameters
    ----------
    settings
        Where the databases are.
    status
        The database of the status.
    """

    def __init__(self, settings: Settings, status: Database) -> None:
        self._settings = settings
        self._status = status
        self._databases = {url: Database(url, create=False) for url in settings.databases if url != settings.status}
        self._databases[settings.status] = status

    def read(self, now: int) -> Overview:
        """Return the present overview.

        Raises
        ------
        NexusError
            If the status cannot be read. Why other parts could not be read is in the overview.
        """
        samples = latest(self._status)
        failures: list[NexusError] = []
        services = self._services(samples, now, failures)
        pids, destinations = self._configured(failures)
        instruments: list[InstrumentState] = []
        tallies: dict[str, Tally] = {}
        try:
            from NexusCore.clock import SYSTEM_CLOCK
            from NexusCore.facility.records import Records

            main = self._databases[self._settings.main]
            instruments = main.read(lambda reading: instrument_states(reading, pids or []))
            tallies = Records(main, SYSTEM_CLOCK).tallies()
        except NexusError as error:
            failures.append(error)
        partners = [
            report
            for report in partner_reports(samples)
            if is_in_use(report, pids, destinations) and not (report.kind.service == "Builder" and report.well)
        ]
        others = sum(sample.channel not in SERVICE_EFFECTS for sample in samples)
        return Overview(services, instruments, partners, tallies, others, _different(failures))

    def _services(self, samples: Sequence[StatusSample], now: int, failures: list[NexusError]) -> list[ServiceNow]:
        states = {sample.channel: sample for sample in samples if sample.name == "state"}
        shown = {sample.channel: sample.value or "" for sample in samples if sample.name == PROCESS}
        names = [name for name in SERVICE_EFFECTS if name in states or name in ALWAYS]
        running = processes(self._status, [name for name in names if name in shown], now)
        errors: dict[str, LogRecord] = {}
        try:
            log = self._databases[self._settings.log]
            for name in names if states else ():
                for record in newest(log, LogFilter(loggers=(name,), level=ERROR), 1):
                    errors[name] = record
        except NexusError as error:
            failures.append(error)
        here = identity.host()
        services = []
        for name in names:
            there = [process for process in running.get(name, ()) if not is_gone(process, here)]
            last = ServiceProcess.parse(shown.get(name, ""))
            gone = not there and last is not None and not last.ended and is_gone(last, here)
            services.append(ServiceNow(name, states.get(name), tuple(there), last, errors.get(name), gone))
        return services

    def _configured(self, failures: list[NexusError]) -> tuple[list[str] | None, list[str] | None]:
        """Return the instruments and destinations of the configuration; None if it cannot be read."""
        from Tools.common.configuration import open_configuration

        try:
            configuration = open_configuration()
            destinations = configuration.find("Services.Uploader.destinations")
            text = destinations.value if destinations is not None else ""
            return configuration.instruments(), [name.strip() for name in (text or "").split(",")]
        except NexusError as error:
            failures.append(error)
            return None, None


def _different(failures: Sequence[NexusError]) -> list[NexusError]:
    return list({str(error): error for error in failures}.values())


# -- what needs somebody -----------------------------------------------------------------------------------------------


def in_need(overview: Overview, now: int) -> Iterator[str]:
    """Yield a sentence for each thing that needs somebody, the worst first."""
    for error in overview.failures:
        yield one_line(str(error))
    started = [service for service in overview.services if service.state is not None]
    if started and all(service.stopped for service in started):
        yield "No service is running: Doctor says how to start them."
    for service in overview.services:
        yield from _of_service(service, now)
    for report in overview.partners:
        if not report.well and not report.slow and not is_old(report, overview, now):
            yield f"{report.kind.what} {report.name}: {report.sentence.rstrip('.')}."
    for instrument in overview.instruments:
        yield from _of_instrument(instrument)
    for name, tally in overview.tallies.items():
        if tally.refused:
            yield f"The destination {name} has refused {counted(tally.refused, 'record')}: Doctor says why."


def _of_service(service: ServiceNow, now: int) -> Iterator[str]:
    state, effect = service.state, SERVICE_EFFECTS[service.name]
    if state is None or service.stopped:
        return
    if service.gone and service.shown is not None:
        yield f"The {service.name} was killed or crashed (process {service.shown.pid}): {effect}."
    elif is_silent(state, now):
        yield f"The {service.name} reported last {span(now - state.ts)} ago: {effect}."
    elif has_failed(state):
        yield f"The last pass of the {service.name} {one_line(state.value or '').rstrip('.')}."
    homes: dict[tuple[str, str], list[ServiceProcess]] = {}
    for process in service.running:
        homes.setdefault((process.host, process.home), []).append(process)
    for (host, home), several in homes.items():
        if len(several) > 1:
            pids = listed([str(process.pid) for process in several])
            where = f"{home} on {host}"
            yield f"{len(several)} {service.name}s run on one home ({where}): processes {pids}. End all but one."


def _of_instrument(instrument: InstrumentState) -> Iterator[str]:
    pid = shell_quote(instrument.pid)
    if instrument.given_up:
        sessions = counted(instrument.given_up, "session")
        more = f"SessionTool list --state ERROR --instrument {pid}"
        yield f"{instrument.pid}: the record of {sessions} could not be built: {more}"
    for state, what in ((FileState.FAILED, "cannot be sent"), (FileState.DAMAGED, "damaged in the store")):
        if instrument.files.get(state):
            files = counted(instrument.files[state], "file")
            yield f"{instrument.pid}: {files} {what}: SessionTool transfer {pid} --state {state}"


def is_old(report: PartnerReport, overview: Overview, now: int) -> bool:
    """Return whether the service that made a report does not run any more."""
    states = {service.name: service.state for service in overview.services}
    state = states.get(report.kind.service)
    return state is None or state.value == STOPPED or is_silent(state, now)


def is_gone(process: ServiceProcess, here: str) -> bool:
    """Return whether a process is known not to exist any more: only those of this machine can be asked for."""
    if process.host != here or os.name != "posix":
        return False
    try:
        os.kill(process.pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # it is another user's
        return False
    return False
