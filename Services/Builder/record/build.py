"""Builds a record from a session's files: the content of the experiment, and the place of the record on disk."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path

from NexusCore.clock import readable_time, to_datetime
from NexusCore.errors import NexusError
from NexusCore.facility import Event, Instrument, Reservation, Session
from NexusCore.facility.forgotten import by_nexuscore, ended_by
from NexusCore.facility.record_page import page_of
from NexusCore.facility.record_page.content import (
    END,
    NO_RESERVATION,
    ORIGINAL,
    SHEET,
    reason_name,
    session_sentence,
)
from NexusCore.facility.record_page.links import location_link, location_text
from NexusCore.facility.record_page.render import record_page
from NexusCore.facility.sessions import EventType
from NexusCore.facility.transfer_end import is_about_files
from NexusCore.files import Folder
from Services.Builder.model import (
    Activity,
    Dataset,
    Experiment,
    Extraction,
    FoundFile,
    Notes,
    Project,
    Quantity,
    Sample,
)
from Services.Builder.record.document import split_setup
from Services.Builder.record.names import as_text, beside
from Services.Builder.sample_matching import sample_of

_REMARKS = {EventType.NOTE: "", EventType.PROBLEM: "problem with the instrument: "}
"""Events with a text for the record, and what stands before it."""
_UNRELIABLE = "It is known to be unreliable on this instrument or in this format."
_NOT_ACQUIRED = "The file does not say when it was acquired: this is the time of its last change."
_CLOCK = "The clock that the file's time is from is known to be unreliable, on this instrument or in this file."
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class RecordNotWritten(NexusError):
    """No record can be written into the folder {folder} ({reason}).

    Another one is set with ConfigTool Services.Builder.records_path=FOLDER
    """


@dataclass(frozen=True, slots=True)
class RecordPaths:
    """Where one record and what belongs to it lie."""

    xml: Path
    files: Path
    """Folder of previews and metadata, beside the XML; it mirrors the folders of the raw files."""

    @classmethod
    def of(cls, folder: Path, session: Session, zone: tzinfo | None) -> RecordPaths:
        """Return the places of a session's record: named by day, instrument and identifier."""
        day = session.start.astimezone(zone).strftime("%Y-%m-%d")
        stem = _UNSAFE.sub("_", f"{day}_{session.instrument}_{session.identifier[:8]}")
        if len(session.identifier) > 36:  # the first characters of a URL are not distinctive
            stem = f"{stem}-{hashlib.sha256(session.identifier.encode()).hexdigest()[:8]}"
        return cls(folder / f"{stem}.xml", folder / f"{stem}.files")

    @property
    def page(self) -> Path:
        """Its page, beside it."""
        return page_of(self.xml)

    def beside(self, file: Path, root: Path, suffix: str) -> Path:
        """Return where a preview (``.png``) or metadata (``.json``) of a raw file go."""
        *folders, name = _relative(file, root).parts
        return self.files.joinpath(*map(as_text, folders), beside(name, suffix))

    def prepare(self) -> None:
        """Make the folders.

        Raises
        ------
        RecordNotWritten
            With the system's reason.
        InTheWay
            If the folder of previews is a link, or not a folder.
        """
        try:
            with Folder.open(self.xml.parent, create=True) as folder, folder.folder(self.files.name, create=True):
                pass
        except OSError as error:
            raise RecordNotWritten(folder=self.xml.parent, reason=error.strerror or error) from error


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known about a session besides its files."""

    session: Session
    instrument: Instrument
    zone: tzinfo | None
    """The zone that the record's times are written in; None for this machine's."""
    reservation: Reservation | None
    events: Sequence[Event]
    config_revision: int
    software: str
    remarks: Sequence[str] = ()
    """Sentences about its files."""
    files_url: str = ""
    """Address below which raw files can be had; "" for none."""


def experiment(
    facts: Facts,
    activities: Sequence[Sequence[FoundFile]],
    extractions: Mapping[Path, Extraction],
    data_root: Path,
    places: RecordPaths,
    sheets: Mapping[int, Path] | None = None,
) -> Experiment:
    """Return the record's content.

    Parameters
    ----------
    facts
        The session and what belongs to it.
    activities
        Its files, grouped, in order of time.
    extractions
        What each file yielded.
    data_root
        What the datasets' locations are relative to.
    places
        Where the record will lie; the previews' locations are relative to its folder.
    sheets
        Contact sheets, by the number of the activity.

    Notes
    -----
    The schema's reservationStart and reservationEnd are the times of the experiment: those of the session,
    where it was not booked.
    """
    session, instrument, booking = facts.session, facts.instrument, facts.reservation
    booked = None if booking is None or booking.usage else booking  # a use without a booking was not reserved
    start, end = (to_datetime(booked.start_ts), to_datetime(booked.end_ts)) if booked else (session.start, session.end)
    samples, sheets = samples_of(booking), sheets or {}
    day = session.start.astimezone(facts.zone).strftime("%Y-%m-%d")
    return Experiment(
        title=(booking.title if booking else None) or f"Experiment on the {instrument.name} on {day}",
        identifier=session.identifier,
        instrument_pid=instrument.pid,
        instrument_name=instrument.schema_name,
        instrument_ref=instrument.calendar_url or None,
        activities=tuple(
            _of_sample(
                _with_sheet(
                    _activity(number, files, extractions, data_root, places, facts), sheets.get(number), places
                ),
                files,
                extractions,
                samples,
            )
            for number, files in enumerate(activities)
        ),
        experimenters=((booking.user if booking else None) or session.user,),
        collaborators=booking.collaborators if booking else (),
        reservation_start=start.astimezone(facts.zone),
        reservation_end=end.astimezone(facts.zone) if end else None,
        reservation_id=booking.reservation_id if booking else None,
        reservation_ref=booking.url if booking else None,
        motivation=booking.purpose if booking else None,
        samples=samples,
        projects=_projects(booking),
        notes=_notes(facts),
    )


def store(document: bytes, places: RecordPaths) -> str:
    """Write a record, whole or not at all, and its page; return the SHA-256 of the record.

    Parameters
    ----------
    document
        The XML.
    places
        Where it goes; its folders are made.

    Raises
    ------
    RecordNotWritten
        With the system's reason.
    InTheWay
        If something else than a file has the record's name.
    """
    places.prepare()
    page = record_page(document)
    try:
        with Folder.open(places.xml.parent) as folder:
            # The record last: whoever sees a new one finds its page.
            _write(folder, places.page.name, page)
            _write(folder, places.xml.name, document)
    except OSError as error:
        raise RecordNotWritten(folder=places.xml.parent, reason=error.strerror or error) from error
    return hashlib.sha256(document).hexdigest()


def _write(folder: Folder, name: str, content: bytes) -> None:
    prefix = f".{name}."
    try:
        with folder.replacing(name, prefix=prefix) as file:
            file.write(content)
    finally:
        # Those of Builders that were killed over it, too: the holder of the session alone writes.
        for other in folder.names():
            if other.startswith(prefix):
                folder.remove(other)


def _activity(
    number: int,
    files: Sequence[FoundFile],
    extractions: Mapping[Path, Extraction],
    data_root: Path,
    places: RecordPaths,
    facts: Facts,
) -> Activity:
    found_extractions = [extractions[file.path] for file in files]
    # A file that nothing could be read from has nothing in common with others, and must not hide what they share.
    readable = [number for number, extraction in enumerate(found_extractions) if extraction.dataset_type != "Unknown"]
    setup, rests = split_setup([_with_reasons(found_extractions[number].meta) for number in readable])
    own = dict(zip(readable, rests, strict=True))
    datasets = tuple(
        _dataset(file, replace(extraction, meta=own.get(place, extraction.meta)), data_root, places, facts)
        for place, (file, extraction) in enumerate(zip(files, found_extractions, strict=True))
    )
    # The schema has a place for the start only.
    end = Quantity(max(file.modified for file in files).astimezone(facts.zone).isoformat())
    start = files[0].modified.astimezone(facts.zone)
    return Activity(number=number, start=start, datasets=datasets, setup={**setup, END: end})


def _with_sheet(activity: Activity, sheet: Path | None, places: RecordPaths) -> Activity:
    """Return an activity that names its contact sheet: the schema has no other place for it than the setup."""
    if sheet is None:
        return activity
    path = sheet.relative_to(places.xml.parent).as_posix()
    return replace(activity, setup={**activity.setup, SHEET: Quantity(path)})


def _of_sample(
    activity: Activity,
    files: Sequence[FoundFile],
    extractions: Mapping[Path, Extraction],
    samples: Sequence[Sample],
) -> Activity:
    """Return an activity with its sample; where it cannot be known, with the names of all."""
    sample = sample_of(((_relative(file.path, file.root), extractions[file.path].meta) for file in files), samples)
    if sample is not None or not samples:
        return replace(activity, sample_id=sample.id if sample else None)
    names = ", ".join(sample.name or sample.ref or str(sample.id) for sample in samples)
    note = Notes("NexusCore", (f"Its files do not say which of the session's samples they show: {names}.",))
    return replace(activity, notes=(note,))


def _with_reasons(meta: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Return metadata, and for each that is doubtful, why."""
    reasons = {reason_name(name): Quantity(one.reason or _UNRELIABLE) for name, one in meta.items() if one.warning}
    return {**meta, **reasons}


def _dataset(file: FoundFile, extraction: Extraction, data_root: Path, places: RecordPaths, facts: Facts) -> Dataset:
    def shown(preview: Path) -> str:
        return preview.relative_to(places.xml.parent).as_posix()

    location = location_text(_location(file.path, data_root) if file.location is None else file.location)
    link = location_link(facts.files_url, location)
    return Dataset(
        name=file.path.name,
        location=location,
        format=extraction.format,
        type=extraction.dataset_type,
        role=_role(file, extraction),
        descriptions=tuple(_descriptions(file, extraction)),
        preview=shown(extraction.preview) if extraction.preview is not None else None,
        further_previews=tuple(map(shown, extraction.further_previews)),
        meta={
            **extraction.meta,
            **_with_reasons(_nature(file, extraction, facts.zone)),
            **_provenance(file, extraction, shown),
            **({ORIGINAL: Quantity(link)} if link else {}),
        },
    )


def _nature(file: FoundFile, extraction: Extraction, zone: tzinfo | None) -> dict[str, Quantity]:
    """Return what a dataset is and when it was made: its own, never setup, even where others share it.

    A file that does not know when it was acquired has the time of its last modification instead, marked as unreliable.
    """
    created = extraction.acquired or file.modified.replace(microsecond=0)
    doubtful = extraction.acquired is None or extraction.acquired_doubtful
    reason = _NOT_ACQUIRED if extraction.acquired is None else _CLOCK
    return {
        "Data Type": Quantity(extraction.data_type),
        "Creation Time": Quantity(created.astimezone(zone).isoformat(), warning=doubtful, reason=reason),
    }


def _role(file: FoundFile, extraction: Extraction) -> str:
    """Return what part a dataset plays, as far as that can be known.

    A power spectrum is computed from an image; what its name or its folder's calls a calibration was
    taken for one, by the session's user. A master calibration cannot be recognised.
    """
    if extraction.data_type.endswith("FFT"):
        return "Derived"
    if any(name.lower().startswith("calib") for name in (file.path.name, file.path.parent.name)):
        return "UserCalibration"
    return "Experimental"


def _descriptions(file: FoundFile, extraction: Extraction) -> Iterator[str]:
    if file.companions:
        yield f"With {', '.join(path.name for path in file.companions)}"
    for warning in extraction.warnings:
        yield f"Warning: {warning}"


def _provenance(file: FoundFile, extraction: Extraction, shown: Callable[[Path], str]) -> dict[str, Quantity]:
    """Return the files' fingerprints, what read them, and where their metadata lie: never setup either."""
    size = extraction.size if extraction.size is not None else file.size
    everything = shown(extraction.metadata_json) if extraction.metadata_json is not None else ""
    texts = {"SHA-256": extraction.sha256, "Extractor": extraction.extractor, "Metadata": everything}
    digests = extraction.companion_sha256  # none of an unreadable file
    for companion, digest in zip(file.companions, digests, strict=False):
        texts[f"SHA-256 ({companion.name})"] = digest
    return {"File Size": Quantity(size, "B"), **{name: Quantity(text) for name, text in texts.items() if text}}


def _location(path: Path, data_root: Path) -> str:
    """Return where a file is: relative to the file store where it lies in it."""
    return (path.relative_to(data_root) if path.is_relative_to(data_root) else path).as_posix()


def _relative(path: Path, root: Path) -> Path:
    """Return `path` below `root`; without its anchor where it lies elsewhere."""
    return path.relative_to(root) if path.is_relative_to(root) else path.relative_to(path.anchor)


def samples_of(booking: Reservation | None) -> tuple[Sample, ...]:
    """Return the samples of a reservation as a record has them; none without one."""
    return tuple(
        Sample(
            name=sample.name,
            id=f"sample-{number}",
            ref=sample.pid,
            descriptions=(sample.description,) if sample.description else (),
            elements=sample.elements,
        )
        for number, sample in enumerate(booking.samples if booking else (), start=1)
    )


def _projects(booking: Reservation | None) -> tuple[Project, ...]:
    if booking is None or not (booking.project or booking.project_id):
        return ()
    return (Project(name=booking.project, project_id=booking.project_id),)


def _notes(facts: Facts) -> tuple[Notes, ...]:
    written = tuple(
        f"{_when(readable_time(event.ts), facts.zone)} {event.user}: {_remark(event.type, event.detail)}"
        for event in facts.events
        if event.type in _REMARKS and event.detail
    )
    session = facts.session
    end = _when(session.end, facts.zone) if session.end else "not yet"
    ender = ended_by(facts.events)
    provenance = (
        session_sentence(session.user, _when(session.start, facts.zone), end),
        *((f"It was ended by {ender}.",) if by_nexuscore(ender) else ()),
        *((NO_RESERVATION,) if facts.reservation is None else ()),
        *facts.remarks,
        f"Made by {facts.software} under configuration revision {facts.config_revision}.",
    )
    log = (Notes("Session log", written),) if written else ()
    return (*log, Notes("Instrument", _described(facts.instrument)), Notes("NexusCore", provenance))


def _described(instrument: Instrument) -> tuple[str, ...]:
    """Return what the configuration says of an instrument; its addresses in the network are nobody's business."""
    known = {
        "Name": instrument.name if instrument.name != instrument.pid else "",
        "Identifier": instrument.pid,
        "Location": instrument.location,
        "Property tag": instrument.property_tag,
        "Calendar": instrument.calendar_name,
        "Calendar's page": instrument.calendar_url,
        "Time zone": instrument.timezone,
    }
    return tuple(f"{name}: {value}" for name, value in known.items() if value)


def _remark(event: EventType, detail: str) -> str:
    if event is EventType.PROBLEM and is_about_files(detail):
        return f"warning: {'; '.join(detail.splitlines())}"
    return f"{_REMARKS[event]}{detail}"


def _when(moment: datetime | None, zone: tzinfo | None) -> str:
    if moment is None:
        return "(at a time that cannot be read)"
    return moment.astimezone(zone).isoformat(sep=" ", timespec="seconds")
