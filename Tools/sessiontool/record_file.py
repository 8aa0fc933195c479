"""The files of a session in its record: the XML, read without the packages of the Builder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from Tools.common.files import read_xml


@dataclass(frozen=True, slots=True)
class RecordedDataset:
    """A file in a record."""

    name: str
    location: str
    """Path; relative if it is in the file store."""
    type: str
    """Of the schema's vocabulary: Image, Spectrum, SpectrumImage ..."""
    format: str
    preview: str | None
    remarks: tuple[str, ...]
    """Warnings of the extraction."""


@dataclass(frozen=True, slots=True)
class RecordedActivity:
    """Files that were acquired together."""

    number: str
    start: str
    """As in the record: RFC 3339."""
    datasets: tuple[RecordedDataset, ...]


def activities(path: str) -> list[RecordedActivity]:
    """Return the activities of a record.

    Raises
    ------
    FileUnusable
        If the file cannot be read here.
    """
    return [
        RecordedActivity(
            number=activity.get("seqno", ""),
            start=_text(activity, "startTime"),
            datasets=tuple(_dataset(child) for child in _children(activity, "dataset")),
        )
        for activity in _children(read_xml(path), "acquisitionActivity")
    ]


def _dataset(element: Element) -> RecordedDataset:
    return RecordedDataset(
        name=_text(element, "name"),
        location=_text(element, "location"),
        type=element.get("type", ""),
        format=_text(element, "format"),
        preview=_text(element, "preview") or None,
        remarks=tuple(description.text or "" for description in _children(element, "description")),
    )


def _children(element: Element, name: str) -> Iterator[Element]:
    """Yield the child elements with a name, in any version of the schema's namespace."""
    return (child for child in element if child.tag.rpartition("}")[2] == name)


def _text(element: Element, name: str) -> str:
    return next((child.text or "" for child in _children(element, name)), "")
