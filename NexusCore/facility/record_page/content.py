"""What a page shows of a record: read from its XML, whatever program wrote it.

Texts are as they stand there, on one line, with characters that mislead a reader escaped; links are only those that are
safe to follow. The template adds nothing but its own words.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from NexusCore.errors import NexusError
from NexusCore.facility.record_page.groups import grouped
from NexusCore.facility.record_page.links import file_link, web_link
from NexusCore.text import escape, one_line

METADATA, ORIGINAL, END, CREATED, SIZE = "Metadata", "Original File", "End Time", "Creation Time", "File Size"
"""Metadata that the page shows in a place of its own: two links, and what every dataset has."""
SHEET = "Contact Sheet"
"""Likewise, of an activity: the picture of all its previews."""
REASON = re.compile(r"Warning \((.+)\)")
"""Name of the metadatum that says why another one is doubtful; `reason_name` makes it."""
NO_RESERVATION = "No reservation was found for this session: user and times are those of the session."
"""Sentence in the notes of a record."""
_SESSION = re.compile(r"Session of (?P<user>.*) from (?P<start>\S+ \S+) to (?P<end>\S+ \S+)\.")
"""Sentence in the notes of a record; `session_sentence` makes it."""
_WARNING = "Warning: "
_FACTS = (
    "Magnification", "Horizontal Field Width", "Camera Length", "Pixel Size", "Dwell Time", "Exposure Time",
    "Acceleration Voltage", "Convergence Angle", "Beam Current", "Stage Tilt", "Stage Alpha", "Frames",
)  # fmt: skip
_MOST_FACTS = 3
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


class NotARecord(NexusError):
    """No page can be made of the record, since it is not what NexusCore writes: {reason}."""


@dataclass(frozen=True, slots=True)
class PageValue:
    """A metadatum."""

    name: str
    value: str
    unit: str = ""
    doubtful: bool = False
    reason: str = ""
    """Why it is doubtful; "" where the record does not say."""


Groups = tuple[tuple[str, tuple[PageValue, ...]], ...]
"""Metadata by heading."""


@dataclass(frozen=True, slots=True)
class PageDataset:
    """A dataset."""

    id: str
    """Anchor on the page."""
    name: str
    location: str
    type: str
    role: str
    format: str
    data_type: str
    created: datetime | None
    created_doubtful: bool
    size: int | None
    remarks: tuple[str, ...]
    warnings: tuple[str, ...]
    previews: tuple[str, ...]
    """Links, relative to the record."""
    metadata: str | None
    """Link to the JSON with all metadata of the file, likewise."""
    original: str | None
    """Link to the raw file."""
    facts: tuple[PageValue, ...]
    """What a person asks for first."""
    groups: Groups

    @property
    def is_doubtful(self) -> bool:
        """Whether something about it is; that a file does not know when it was acquired does not count."""
        return bool(self.warnings) or any(
            value.doubtful and value.name != CREATED for _, values in self.groups for value in values
        )


@dataclass(frozen=True, slots=True)
class PageNotes:
    """Notes from one source."""

    source: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageActivity:
    """An acquisition activity."""

    number: int
    """From 1."""
    start: datetime | None
    end: datetime | None
    sample: str
    setup: Groups
    notes: tuple[PageNotes, ...]
    datasets: tuple[PageDataset, ...]
    sheet: str | None = None
    """Link to the picture of all its previews, relative to the record."""


@dataclass(frozen=True, slots=True)
class PageSample:
    """A sample."""

    name: str
    reference: str
    link: str | None
    descriptions: tuple[str, ...]
    elements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageProject:
    """A project."""

    name: str
    details: tuple[str, ...]
    link: str | None


@dataclass(frozen=True, slots=True)
class PageRecord:
    """A record."""

    title: str
    identifier: str
    """The session's."""
    user: str
    """Who was logged on at the instrument; "" where the record does not say."""
    experimenters: tuple[str, ...]
    collaborators: tuple[str, ...]
    instrument: str
    instrument_pid: str
    instrument_link: str | None
    start: datetime | None
    """Of the session; where the record does not say, of the reservation."""
    end: datetime | None
    booked: tuple[datetime | None, datetime | None]
    """Beginning and end of the reservation."""
    reservation_id: str
    """Its identifier; "" where there is none."""
    reservation: str | None
    """Link to its reservation."""
    motivation: tuple[str, ...]
    """By paragraphs."""
    samples: tuple[PageSample, ...]
    projects: tuple[PageProject, ...]
    activities: tuple[PageActivity, ...]
    notes: tuple[PageNotes, ...]
    warnings: tuple[str, ...]
    """About the session and its files as a whole."""

    @property
    def was_reserved(self) -> bool:
        """Whether it does not say that there was no reservation."""
        return not any(NO_RESERVATION in note.paragraphs for note in self.notes)

    @property
    def datasets(self) -> list[PageDataset]:
        """All datasets."""
        return [dataset for activity in self.activities for dataset in activity.datasets]


def read_record(document: bytes) -> PageRecord:
    """Return what a record says.

    Raises
    ------
    NotARecord
        If it is not XML, or has a document type definition.
    """
    root = _parsed(document)
    summary = _first(root, "summary")
    instrument = _first(summary, "instrument")
    samples = {element.get("id", ""): _sample(element) for element in _children(root, "sample")}
    notes = tuple(map(_notes, _children(root, "notes")))
    known = (_SESSION.fullmatch(text) for note in notes for text in note.paragraphs)
    session = next((found.groupdict() for found in known if found), {})
    start, end = _moment(_text(summary, "reservationStart")), _moment(_text(summary, "reservationEnd"))
    identifier, written = one_line(root.get("pid", "")), _text(root, "id")
    return PageRecord(
        title=_text(root, "title"),
        identifier=identifier or written,
        user=session.get("user", ""),
        experimenters=_texts(summary, "experimenter"),
        collaborators=_texts(summary, "collaborator"),
        instrument=_text(summary, "instrument"),
        instrument_pid=one_line(instrument.get("pid", "")),
        instrument_link=web_link(instrument.get("ref")),
        start=_moment(session.get("start", "")) or start,
        end=_moment(session.get("end", "")) or end,
        booked=(start, end),
        reservation_id=written if identifier not in ("", written) else "",
        reservation=web_link(summary.get("ref")),
        motivation=tuple(filter(None, escape(_first(summary, "motivation").text or "").splitlines())),
        samples=tuple(samples.values()),
        projects=tuple(map(_project, _children(root, "project"))),
        activities=tuple(
            _activity(element, number, samples)
            for number, element in enumerate(_children(root, "acquisitionActivity"), start=1)
        ),
        notes=tuple(PageNotes(note.source, tuple(_without_warnings(note.paragraphs))) for note in notes),
        warnings=tuple(_warnings(chain.from_iterable(note.paragraphs for note in notes))),
    )


def session_sentence(user: str, start: str, end: str) -> str:
    """Return the sentence about who had a session, and when: ISO 8601 with a space, or other words for the end."""
    return f"Session of {user} from {start} to {end}."


def reason_name(name: str) -> str:
    """Return the name of the metadatum that says why another one is doubtful."""
    return f"Warning ({name})"


def size_text(size: int) -> str:
    """Return a number of bytes as a person says it: ``7.3 MB``."""
    number = float(size)
    for unit in _UNITS[:-1]:
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} {_UNITS[-1]}"


# -- its parts ---------------------------------------------------------------------------------------------------------


def _activity(element: ET.Element, number: int, samples: Mapping[str, PageSample]) -> PageActivity:
    setup = _values(_children(_first(element, "setup"), "param"))
    end, sheet = setup.pop(END, None), setup.pop(SHEET, None)
    sample = samples.get(_text(element, "sampleID"))
    return PageActivity(
        number=number,
        start=_moment(_text(element, "startTime")),
        end=_moment(end.value) if end else None,
        sample=sample.name if sample and len(samples) > 1 else "",
        setup=grouped(setup.values()),
        notes=tuple(map(_notes, _children(element, "notes"))),
        datasets=tuple(
            _dataset(child, f"d{number}-{place}") for place, child in enumerate(_children(element, "dataset"), start=1)
        ),
        sheet=file_link(sheet.value) if sheet else None,
    )


def _dataset(element: ET.Element, identifier: str) -> PageDataset:
    values = _values(_children(element, "meta"))
    metadata, original = values.pop(METADATA, None), values.pop(ORIGINAL, None)
    created, size, descriptions = values.get(CREATED), values.get(SIZE), _texts(element, "description")
    previews = (file_link(preview.text) for preview in _children(element, "preview"))
    return PageDataset(
        id=identifier,
        name=one_line(_raw(element, "name")),
        location=one_line(_raw(element, "location")),
        type=element.get("type", ""),
        role=element.get("role", ""),
        format=_text(element, "format"),
        data_type=values["Data Type"].value.replace("_", " ") if "Data Type" in values else "",
        created=_moment(created.value) if created else None,
        created_doubtful=created.doubtful if created else False,
        size=int(size.value) if size and size.value.isdecimal() else None,
        remarks=tuple(_without_warnings(descriptions)),
        warnings=tuple(_warnings(descriptions)),
        previews=tuple(preview for preview in previews if preview),
        metadata=file_link(metadata.value) if metadata else None,
        original=web_link(original.value) if original else None,
        facts=tuple(values[name] for name in _FACTS if name in values)[:_MOST_FACTS],
        groups=grouped(values.values()),
    )


def _values(elements: Iterable[ET.Element]) -> dict[str, PageValue]:
    """Return metadata by name, each with the reason why it is doubtful."""
    texts = {one_line(element.get("name", "")): element for element in elements}
    reasons = {match[1]: one_line(texts[name].text or "") for name in texts if (match := REASON.fullmatch(name))}
    return {
        name: PageValue(
            name=name,
            value=one_line(element.text or ""),
            unit=one_line(element.get("unit", "")),
            doubtful=element.get("warning") in ("true", "1"),
            reason=reasons.get(name, ""),
        )
        for name, element in texts.items()
        if not ((match := REASON.fullmatch(name)) and match[1] in texts)
    }


def _sample(element: ET.Element) -> PageSample:
    return PageSample(
        name=_text(element, "name") or one_line(element.get("id", "")),
        reference=one_line(element.get("ref", "")),
        link=web_link(element.get("ref")),
        descriptions=_texts(element, "description"),
        elements=tuple(_tag(child) for child in _first(element, "elements")),
    )


def _project(element: ET.Element) -> PageProject:
    names = [_text(element, name) for name in ("name", "project_id", "division", "group")]
    name, *details = filter(None, names) if any(names) else [""]
    return PageProject(name, tuple(details), web_link(_text(element, "ref")))


def _notes(element: ET.Element) -> PageNotes:
    paragraphs = (_texts(entry, "p") for entry in _children(element, "entry"))
    return PageNotes(one_line(element.get("source", "")), tuple(chain.from_iterable(paragraphs)))


def _warnings(sentences: Iterable[str]) -> Iterator[str]:
    return (sentence.removeprefix(_WARNING) for sentence in sentences if sentence.startswith(_WARNING))


def _without_warnings(sentences: Iterable[str]) -> Iterator[str]:
    return (sentence for sentence in sentences if not sentence.startswith(_WARNING))


# -- XML ---------------------------------------------------------------------------------------------------------------


class _RecordTree(ET.TreeBuilder):
    """Builds a tree; a document type definition, which the known attacks need, is refused."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise NotARecord(reason="it has a document type definition")


def _parsed(document: bytes) -> ET.Element:
    parser = ET.XMLParser(target=_RecordTree())  # noqa: S314  no document type definition, so no entity
    try:
        parser.feed(document)
        return parser.close()
    except (ET.ParseError, LookupError, ValueError) as error:  # LookupError: an unknown encoding
        raise NotARecord(reason=f"it is not valid XML ({error})") from None


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: ET.Element, name: str) -> Iterator[ET.Element]:
    """Yield the child elements with a name, in any version of the schema's namespace."""
    return (child for child in element if _tag(child) == name)


def _first(element: ET.Element, name: str) -> ET.Element:
    return next(_children(element, name), ET.Element(name))


def _raw(element: ET.Element, name: str) -> str:
    return _first(element, name).text or ""


def _text(element: ET.Element, name: str) -> str:
    return one_line(" ".join(_raw(element, name).split()))


def _texts(element: ET.Element, name: str) -> tuple[str, ...]:
    texts = (one_line(" ".join((child.text or "").split())) for child in _children(element, name))
    return tuple(filter(None, texts))


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
