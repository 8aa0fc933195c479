"""The services as operators know them: what each is for, and what its status says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from NexusCore.status.process import FAILED, STOPPED
from NexusCore.status.store import StatusSample
from NexusCore.text import one_line

SERVICE_EFFECTS = {
    "Builder": "no records are built",
    "Gateway": "microscope PCs cannot report their sessions",
    "Harvester": "reservations are not updated",
    "Intake": "files stay in the drop folders",
    "Uploader": "records are not sent to their destinations",
}
"""The effect when a service is not running."""
UNUSED = ("not asked any more", "not in use", "")
"""Reports on others that are not in use."""
WELL = ("ok", *UNUSED)
"""Reports on others that need no attention."""
NO_DESTINATION = "none"
"""Stands for the destination where the configuration names none."""
SLOW = "has been at work"
"""How a report begins that may be about nothing but a slow server."""


@dataclass(frozen=True, slots=True)
class PartnerKind:
    """A kind of things outside NexusCore that a service reports on."""

    service: str
    prefix: str
    """How the names of the elements begin."""
    what: str
    """Its description in a sentence."""


PARTNER_KINDS = (
    PartnerKind("Builder", "file store ", "The file store of"),
    PartnerKind("Harvester", "source ", "The calendar of"),
    PartnerKind("Uploader", "destination ", "The destination"),
    PartnerKind("Gateway", "store ", "The store"),
    PartnerKind("Intake", "inbox ", "The drop folder"),
)


@dataclass(frozen=True, slots=True)
class PartnerReport:
    """What a service says of a calendar, a destination, a store or a drop folder."""

    kind: PartnerKind
    name: str
    sentence: str
    ts: int
    """When it was reported, in microseconds since the epoch, UTC."""

    @property
    def well(self) -> bool:
        """Whether it needs no attention."""
        return self.sentence in WELL

    @property
    def slow(self) -> bool:
        """Whether it may only be slow."""
        return self.sentence.startswith(SLOW)


def partner_reports(samples: Iterable[StatusSample]) -> Iterator[PartnerReport]:
    """Yield what the services report on others."""
    for sample in samples:
        for kind in PARTNER_KINDS:
            if sample.channel == kind.service and sample.name.startswith(kind.prefix):
                name = sample.name.removeprefix(kind.prefix)
                yield PartnerReport(kind, name, one_line(sample.value or ""), sample.ts)


def is_in_use(report: PartnerReport, pids: Sequence[str] | None, destinations: Sequence[str] | None) -> bool:
    """Return whether something that a service reported on is still in use.

    Parameters
    ----------
    report
        The report: it may be older than the configuration, if its service does not run.
    pids, destinations
        Instruments and destinations of the configuration; None if it cannot be read.
    """
    if report.sentence in UNUSED:
        return False
    known = {"Builder": pids, "Harvester": pids, "Uploader": destinations}.get(report.kind.service)
    return known is None or report.name in known or report.name == NO_DESTINATION


def is_silent(state: StatusSample, now: int) -> bool:
    """Return whether a service ended without saying so, or cannot report."""
    return state.value != STOPPED and state.expires is not None and state.expires < now


def has_failed(state: StatusSample) -> bool:
    """Return whether the last pass of a service failed."""
    return (state.value or "").startswith(FAILED)
