"""Renders the page of a record: one HTML file that needs no network, no scripts and no other file but the previews."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from NexusCore.facility.record_page.content import PageActivity, PageRecord, read_record, size_text
from NexusCore.text import counted

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
MANY_DATASETS = 500
"""Datasets from which on a page opens with the metadata of each folded in, so that it is there at once."""
_STAMP = re.compile(r"(?:^|(?<=\bfrom )|(?<=\bto ))\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d(?=[ .])")
"""A time as the Builder writes it into notes: before an event, and in the sentence about the session."""
_HIGHLIGHTS = 8
"""Pictures in the overview."""
_NARROWEST = 0.4
"""Per cent of the time line that even the shortest activity has."""


def record_page(document: bytes) -> bytes:
    """Return the page of a record, as HTML in UTF-8; the same record yields the same bytes.

    Parameters
    ----------
    document
        The record's XML. Links to its previews and metadata are relative: the page belongs beside it.

    Raises
    ------
    NotARecord
        If it is not XML.
    """
    record = read_record(document)
    datasets = record.datasets
    start, end = _span(record)
    style, script = (_source(name) for name in ("record.css", "record.js"))
    html = (
        _environment()
        .get_template("record.html")
        .render(
            record=record,
            start=start,
            end=end,
            style=style,
            script=script,
            script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            bars=[_bar(activity, start, end) for activity in record.activities],
            types=Counter(dataset.type for dataset in datasets).most_common(),
            bytes=sum(dataset.size or 0 for dataset in datasets),
            doubtful=sum(dataset.is_doubtful for dataset in datasets),
            highlights=_spread([dataset for dataset in datasets if dataset.previews], _HIGHLIGHTS),
            many=len(datasets) >= MANY_DATASETS,
        )
    )
    return html.encode("utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # imported only where a page is made

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"size": size_text, "length": length_text, "counted": counted, "day": _day, "zone": _zone}
    environment.filters |= {"time": _time, "minute": _minute, "dated": _dated}
    return environment


@cache
def _source(name: str) -> str:
    return (TEMPLATES / name).read_text("utf-8")


def length_text(seconds: float) -> str:
    """Return a length of time as a person says it: ``1 h 30 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return " ".join(filter(None, (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "")))


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _time(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}"


def _minute(moment: datetime) -> str:
    return f"{moment:%H:%M}"


def _dated(paragraph: str) -> str:
    """Return a paragraph with times as people write them; they are in the zone that the page names at its top."""

    def spelled(match: re.Match[str]) -> str:
        try:
            moment = datetime.fromisoformat(match[0])
        except ValueError:  # no such day
            return match[0]
        return f"{_day(moment)}, {_time(moment)}"

    return _STAMP.sub(spelled, paragraph)


def _zone(moment: datetime) -> str:
    offset = f"{moment:%z}"
    return f"UTC{offset[:3]}:{offset[3:5]}" if offset.strip("+-0") else "UTC"


def _span(record: PageRecord) -> tuple[datetime | None, datetime | None]:
    """Return from when to when something of the record was: its reservation, or what is known of its activities."""
    starts = [activity.start for activity in record.activities if activity.start]
    ends = [activity.end or activity.start for activity in record.activities if activity.end or activity.start]
    first = min([record.start, *starts] if record.start else starts, default=None)
    last = max([record.end, *filter(None, ends)] if record.end else list(filter(None, ends)), default=None)
    return first, last


def _bar(activity: PageActivity, start: datetime | None, end: datetime | None) -> tuple[float, float] | None:
    """Return where on the time line an activity begins, and how long it is there; in per cent."""
    if activity.start is None or start is None or end is None or end <= start:
        return None
    whole = (end - start).total_seconds()
    width = max(_NARROWEST, ((activity.end or activity.start) - activity.start).total_seconds() / whole * 100)
    left = min((activity.start - start).total_seconds() / whole * 100, 100 - width)
    return round(max(0.0, left), 2), round(min(width, 100.0), 2)


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many items, evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[index * len(items) // most] for index in range(most)]
