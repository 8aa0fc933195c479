"""The record as XML: an `Experiment` written as a document of the Nexus Experiment schema.

Nothing that a file, a calendar or a person may have put into the values breaks a record. Characters that XML does
not allow become U+FFFD, invalid addresses are percent-encoded, parameters whose names then
are equal are numbered, a text of more than a million characters is cut. What only a mistake in
NexusCore can get wrong (a time without a zone, a sample that is not there) is refused here or found by
`validation.validate`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from lxml import etree

from NexusCore.text import shortened
from Services.Builder.elements import ELEMENTS
from Services.Builder.model import Activity, Dataset, Experiment, Notes, Project, Quantity, Sample, Scalar

NAMESPACE = "https://data.nist.gov/od/dm/nexus/experiment/v1.0"
MOST_UNKNOWN = 50
"""Names of a sample's elements that are none and are listed all the same: anyone who books may have typed them."""
XSI = "http://www.w3.org/2001/XMLSchema-instance"
_PREFIXES: Any = {None: NAMESPACE, "xsi": XSI}  # Any: lxml's stubs do not know that None is the default namespace


def to_xml(experiment: Experiment) -> bytes:
    """Write a record; the same experiment yields the same bytes.

    Parameters
    ----------
    experiment
        The record's content. A blank title or instrument name is replaced by the identifier of its owner, any other
        blank text that the schema does not demand is left out.

    Returns
    -------
    bytes
        UTF-8 with an XML declaration, indented.

    Raises
    ------
    ValueError
        A time has no zone; the message names the field.
    """
    root = etree.Element(f"{{{NAMESPACE}}}Experiment", nsmap=_PREFIXES)
    root.set("pid", _line(experiment.identifier))
    _add(root, "title", _line(experiment.title) or _line(experiment.identifier))
    # Viewers label it "Reservation ID".
    _add(root, "id", _line(experiment.reservation_id) or _line(experiment.identifier))
    _add_summary(root, experiment)
    for sample in experiment.samples:
        _add_sample(root, sample)
    for project in experiment.projects:
        _add_project(root, project)
    for index, activity in enumerate(experiment.activities):
        _add_activity(root, activity, f"activities[{index}]")
    for notes in experiment.notes:
        _add_notes(root, notes)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def split_setup(metas: Sequence[Mapping[str, Quantity]]) -> tuple[dict[str, Quantity], list[dict[str, Quantity]]]:
    """Separate what all datasets of an activity share from what is each one's own.

    A quantity is shared when every dataset has it and the record would show the same value and unit for each (200 and
    200.0 kV are the same). It carries a warning when it does so in any of them. A single dataset shares nothing: all it
    has stays with it, where a person looks for it. A dataset without metadata (an unreadable file) has nothing in
    common with the others either, since nothing is known about how it was taken.

    Parameters
    ----------
    metas
        The metadata of each dataset of one activity.

    Returns
    -------
    setup, own : tuple of dict and list of dict
        The shared quantities; then the rest, one mapping per dataset, in the order given.
    """
    if len(metas) < 2:
        return {}, [dict(meta) for meta in metas]
    setup: dict[str, Quantity] = {}
    for name, first in metas[0].items():
        values = [meta[name] for meta in metas if name in meta]
        if len(values) == len(metas) and len({(written(value.value), value.unit) for value in values}) == 1:
            setup[name] = replace(first, warning=any(value.warning for value in values))
    return setup, [{name: value for name, value in meta.items() if name not in setup} for meta in metas]


def written(value: Scalar) -> str:
    """Write a value as a person would: ``200``, ``1.5``, ``5.12e-05``, ``true``.

    Of a float 15 significant digits are kept: a number written with no more digits comes out as it was, and
    rounding errors behind them (0.30000000000000004) does not. Infinities and NaN are spelled as XML Schema
    spells them.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, float):
        return _line(str(value))
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "INF" if value > 0 else "-INF"
    return format(value or 0.0, ".15g")  # "or": minus zero is zero


# -- parts of the record -----------------------------------------------------------------------------------------


def _add_summary(root: etree._Element, experiment: Experiment) -> None:
    summary = _add(root, "summary", ref=_link(experiment.reservation_ref))
    _add_each(summary, "experimenter", map(_line, experiment.experimenters))
    _add_each(summary, "collaborator", map(_line, experiment.collaborators))
    pid = _line(experiment.instrument_pid)
    name = _line(experiment.instrument_name) or pid
    _add(summary, "instrument", name, pid=pid, ref=_link(experiment.instrument_ref))
    if experiment.reservation_start is not None:
        _add(summary, "reservationStart", _moment(experiment.reservation_start, "reservation_start"))
    if experiment.reservation_end is not None:
        _add(summary, "reservationEnd", _moment(experiment.reservation_end, "reservation_end"))
    _add_each(summary, "motivation", [_prose(experiment.motivation)])


def _add_sample(root: etree._Element, sample: Sample) -> None:
    element = _add(root, "sample", id=_line(sample.id), ref=_line(sample.ref))
    _add_each(element, "name", [_line(sample.name)])
    _add_each(element, "description", map(_line, sample.descriptions))
    named = {_line(symbol) for symbol in sample.elements}
    if unknown := sorted(filter(None, named - set(ELEMENTS))):
        more = f" and {len(unknown) - MOST_UNKNOWN:,} more" if len(unknown) > MOST_UNKNOWN else ""
        _add(element, "description", f"Further elements named: {', '.join(unknown[:MOST_UNKNOWN])}{more}")
    if known := [symbol for symbol in ELEMENTS if symbol in named]:
        elements = _add(element, "elements")
        for symbol in known:
            _add(elements, symbol)


def _add_project(root: etree._Element, project: Project) -> None:
    element = _add(root, "project")
    for tag in ("name", "division", "group", "project_id"):
        _add_each(element, tag, [_line(getattr(project, tag))])
    _add_each(element, "ref", [_link(project.ref)])


def _add_activity(root: etree._Element, activity: Activity, where: str) -> None:
    element = _add(root, "acquisitionActivity", seqno=str(activity.number))
    _add(element, "startTime", _moment(activity.start, f"{where}.start"))
    _add_each(element, "sampleID", [_line(activity.sample_id)])
    if activity.setup:
        _add_parameters(_add(element, "setup"), "param", activity.setup)
    for notes in activity.notes:
        _add_notes(element, notes)
    for dataset in activity.datasets:
        _add_dataset(element, dataset)


def _add_dataset(activity: etree._Element, dataset: Dataset) -> None:
    element = _add(activity, "dataset", type=_line(dataset.type), role=_line(dataset.role))
    _add(element, "name", _text(dataset.name))
    _add(element, "location", _text(dataset.location))
    _add_each(element, "format", [_line(dataset.format)])
    _add_each(element, "description", map(_prose, dataset.descriptions))
    _add_each(element, "preview", map(_text, (dataset.preview, *dataset.further_previews)))
    _add_parameters(element, "meta", dataset.meta)


def _add_notes(root: etree._Element, notes: Notes) -> None:
    paragraphs = [paragraph for paragraph in map(_line, notes.paragraphs) if paragraph]
    if paragraphs:
        entry = _add(_add(root, "notes", source=_line(notes.source)), "entry")
        entry.set(f"{{{XSI}}}type", "TextEntry")
        _add_each(entry, "p", paragraphs)


def _add_parameters(parent: etree._Element, tag: str, quantities: Mapping[str, Quantity]) -> None:
    labelled: dict[str, Quantity] = {}
    for name in sorted(quantities):
        label = stem = _line(name) or "Unnamed"
        copies = 1
        while label in labelled:
            copies += 1
            label = f"{stem} ({copies})"
        labelled[label] = quantities[name]
    for label, quantity in sorted(labelled.items(), key=lambda item: item[0]):
        warning = "true" if quantity.warning else ""
        _add(parent, tag, written(quantity.value), name=label, unit=_line(quantity.unit), warning=warning)


def _add(parent: etree._Element, tag: str, text: str = "", **attributes: str) -> etree._Element:
    """Append an element; attributes without content are left out."""
    element = etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}")
    element.text = text or None
    for name, value in attributes.items():
        if value:
            element.set(name, value)
    return element


def _add_each(parent: etree._Element, tag: str, texts: Iterable[str]) -> None:
    for text in texts:
        if text:
            _add(parent, tag, text)


# -- kinds of text -----------------------------------------------------------------------------------------------

# Char of XML 1.0, section 2.2, turned round; Python's lone surrogates (from file names that are not UTF-8) among them.
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# RFC 3986 without the oddities (addresses in brackets): a scheme and what it addresses, or a path without a colon.
_LINK_PATTERN = re.compile(
    r"""
    (?: [a-z][a-z0-9+.\-]* :
        (?: // (?:[\w\-.~%!$&'()*+,;=:]*@)? [\w\-.~%]+ (?: :\d{1,5})? (?=[/?\#]|\Z)  |  (?!//) )
        [\w\-.~%!$&'()*+,;=:@/]*
      | (?!//) [\w\-.~%!$&'()*+,;=@/]+
    )
    (?: \? [\w\-.~%!$&'()*+,;=:@/?]* )?
    (?: \# [\w\-.~%!$&'()*+,;=:@/?]* )?
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)


# A careful parser refuses a document with a text of more than 10 MB; four bytes a character at the most.
_LONGEST_TEXT = 1_000_000


def _text(value: str | None) -> str:
    return _NOT_IN_XML.sub("\ufffd", shortened(value or "", _LONGEST_TEXT))


def _line(value: str | None) -> str:
    # Only what xs:token collapses: a no-break space between a number and its unit stays one.
    return re.sub("[ \t\r\n]+", " ", _text(value)).strip(" ")


def _prose(value: str | None) -> str:
    return _text(value).replace("\r\n", "\n").replace("\r", "\n").strip()


def _link(value: str | None) -> str:
    stray = re.sub("%(?![0-9A-Fa-f]{2})", "%25", _line(value))
    encoded = quote(stray, safe="%:/?#@!$&'()*+,;=~")
    return encoded if _LINK_PATTERN.fullmatch(encoded) else quote(_line(value), safe="")


def _moment(value: datetime, field: str) -> str:
    offset = value.utcoffset()
    if offset is None:
        raise ValueError(f"{field} has no time zone: {value.isoformat()}")
    # Neither RFC 3339 nor XML Schema knows offsets with seconds (local mean times), or beyond 14 hours.
    if offset % timedelta(minutes=1) or abs(offset) > timedelta(hours=14):
        value = value.astimezone(UTC)
    return value.isoformat()
