"""What a record is about, read from its XML: for places where people look for it by such things."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from Services.Uploader.destinations.record_files import parse_xml


@dataclass(frozen=True, slots=True)
class About:
    """The gist of a record; what it does not say is empty."""

    title: str = ""
    experimenters: tuple[str, ...] = ()
    instrument: str = ""
    start: str = ""
    """When its reservation, or else its first activity, began; as the record says it."""
    motivation: str = ""
    datasets: int = 0

    def html(self, session: str) -> str:
        """Return it as a paragraph or two."""
        facts = (
            ("Instrument", self.instrument),
            ("Experimenter", ", ".join(self.experimenters)),
            ("Start", self.start),
            ("Datasets", str(self.datasets)),
            ("Session", session),
        )
        rows = "".join(f"<li>{name}: {escape(value)}</li>" for name, value in facts if value)
        return f"<p>{escape(self.motivation)}</p><ul>{rows}</ul>" if self.motivation else f"<ul>{rows}</ul>"


def about(document: bytes) -> About:
    """Return the gist of a record; of one that another schema rules, as much as has the same names.

    Raises
    ------
    lxml.etree.XMLSyntaxError
        If it is not XML.
    """
    root = parse_xml(document)

    def texts(*path: str) -> list[str]:
        elements = root.findall("/".join(f"{{*}}{name}" for name in path))
        return [text for text in ((element.text or "").strip() for element in elements) if text]

    def first(*alternatives: list[str]) -> str:
        return next((texts[0] for texts in alternatives if texts), "")

    return About(
        title=first(texts("title")),
        experimenters=tuple(texts("summary", "experimenter")),
        instrument=first(texts("summary", "instrument")),
        start=first(texts("summary", "reservationStart"), texts("acquisitionActivity", "startTime")),
        motivation=first(texts("summary", "motivation")),
        datasets=len(root.findall("{*}acquisitionActivity/{*}dataset")),
    )
