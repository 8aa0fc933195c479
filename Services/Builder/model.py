"""What a record is made of: the values that pass between the Builder's packages.

All are frozen; every package takes some of these and returns others, and none of them knows the database.
Times are aware `datetime`s; sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from NexusCore.facility.file_walk import Identity as Identity

DATASET_TYPES = ("Image", "Spectrum", "SpectrumImage", "Diffraction", "Notes", "Misc", "Unknown")
"""The controlled vocabulary of `dataset/@type` in the Nexus Experiment schema."""

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Quantity:
    """The value of one metadatum, as a microscopist would write it."""

    value: Scalar
    unit: str | None = None
    """Unit symbol as in the SI brochure (``kV``, ``nm``, ``µs``, ``mrad``); None for a number without one, or text."""
    warning: bool = False
    """The value is known to be unreliable on this instrument or in this format."""
    reason: str = field(default="", compare=False)
    """Why, in a sentence; "" where it is not known."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a session as the file search saw it."""

    path: Path
    """Absolute path; of a folder, where that is the dataset (see `folders`)."""
    modified: datetime
    size: int
    """Bytes, of all files of the dataset."""
    companions: tuple[Path, ...] = ()
    """Other files of the same dataset (the .ser of an .emi, the .raw of an .rpl): no datasets of their own."""
    identities: tuple[Identity | None, ...] = field(default=(), compare=False)
    """Of the file and its companions; None for a folder. With another one, it is another file under the same name."""
    root: Path = field(default=Path("/"), compare=False)
    """Folder of the file store that it was found below."""
    location: str | None = field(default=None, compare=False)
    """Where the record says that it is; None for its path."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one file yielded: the answer of an extractor, never an exception."""

    path: Path
    format: str
    """Display name of the format (``Gatan DigitalMicrograph 3``), or ``unknown``."""
    dataset_type: str
    """One of `DATASET_TYPES`; ``Unknown`` where the content could not be read."""
    data_type: str
    """Technique and kind with underscores (``STEM_EELS``, ``TEM_Imaging``, ``SEM_EDS``); ``Unknown`` likewise."""
    meta: Mapping[str, Quantity] = field(default_factory=dict)
    """Metadata by display name, flat, one name per quantity (``Acceleration Voltage``)."""
    acquired: datetime | None = None
    """Time of acquisition written in the file; None where it holds none."""
    preview: Path | None = None
    """PNG, where one could be drawn."""
    further_previews: tuple[Path, ...] = ()
    """PNGs of the file's other signals, the integrated ones first."""
    metadata_json: Path | None = None
    """The file's metadata as JSON, beside the preview."""
    warnings: tuple[str, ...] = ()
    """Sentences for a person: why something of this file is missing or doubtful."""
    extractor: str = ""
    """Name and version of what read the file."""
    sha256: str = ""
    """SHA-256 of the file's content in hexadecimal digits; "" where it was not read to the end."""
    size: int | None = None
    """Bytes of all files of the dataset; None where its main file could not be looked at."""
    whole: bool = True
    """False where the process that read the file was lost over it: another attempt may yield more."""
    in_time: bool = True
    """False where the time for all files of the session was over before this one had been read to its end."""
    disk_full: bool = False
    """Its preview or metadata found no room on the disk: another attempt may yield them."""
    companion_sha256: tuple[str, ...] = ()
    """SHA-256 of each of the dataset's other files, in their order; "" as above."""
    hashing: bool = False
    """It is not final: all but the SHA-256 of its files is there, which is being taken."""
    acquired_doubtful: bool = False
    """The time of acquisition is known to be unreliable, on this instrument or in this file."""
    elements_matter: bool = False
    """Its previews name elements, and the file names none: those of the session's samples decide."""
    incomplete: bool = False
    """The file announces more than it holds; one of the warnings says what."""


@dataclass(frozen=True, slots=True)
class SheetEntry:
    """A dataset on a contact sheet."""

    name: str
    note: str = ""
    """What it is, when it was acquired and the like; two lines."""
    preview: bytes | None = None
    """PNG; None where there is none."""


@dataclass(frozen=True, slots=True)
class ContactSheet:
    """What a contact sheet shows."""

    title: str
    entries: tuple[SheetEntry, ...]
    more: int = 0
    """Datasets that it has no room for."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One file as it stands in the record."""

    name: str
    location: str
    """Path relative to the facility's file store, with forward slashes, as `links.location_text` writes it."""
    format: str
    type: str
    """One of `DATASET_TYPES`."""
    role: str = "Experimental"
    descriptions: tuple[str, ...] = ()
    preview: str | None = None
    """Path of the preview relative to the record's data folder, with forward slashes."""
    further_previews: tuple[str, ...] = ()
    """Likewise, of the file's other signals."""
    meta: Mapping[str, Quantity] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Activity:
    """An acquisition activity: datasets taken in one go, with what they have in common."""

    number: int
    """Place in the sequence, from 0."""
    start: datetime
    datasets: tuple[Dataset, ...]
    setup: Mapping[str, Quantity] = field(default_factory=dict)
    """Metadata whose name, value and unit are the same in every dataset of the activity."""
    sample_id: str | None = None
    notes: tuple[Notes, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """A specimen examined in the experiment."""

    name: str | None = None
    id: str | None = None
    """Unique in the record; `Activity.sample_id` refers to it."""
    ref: str | None = None
    """External persistent identifier."""
    descriptions: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    """Symbols of the elements in it (``Fe``)."""


@dataclass(frozen=True, slots=True)
class Project:
    """The project an experiment belongs to."""

    name: str | None = None
    division: str | None = None
    group: str | None = None
    project_id: str | None = None
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Notes:
    """Free text about the experiment."""

    source: str
    """Where it is from (``Reservation``, ``NexusCore``)."""
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Experiment:
    """A whole record, before it becomes XML."""

    title: str
    identifier: str
    instrument_pid: str
    instrument_name: str
    activities: tuple[Activity, ...]
    instrument_ref: str | None = None
    experimenters: tuple[str, ...] = ()
    collaborators: tuple[str, ...] = ()
    reservation_start: datetime | None = None
    reservation_end: datetime | None = None
    reservation_ref: str | None = None
    reservation_id: str | None = None
    """What the reservation is called in its calendar; the record's `id`, else it is the session's identifier."""
    motivation: str | None = None
    samples: tuple[Sample, ...] = ()
    projects: tuple[Project, ...] = ()
    notes: tuple[Notes, ...] = ()
