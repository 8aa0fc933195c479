"""Queries a NEMO about a span of time: one list of each kind, for all tools that are instruments.

Rows hold the ids of their users and projects, which are asked for once, all together: a NEMO that is asked to put the
objects into the rows looks each of them up again for each row.

From its API as of 8.1: the ``_id`` names of filters are those that old versions know too; a filter that a version does
not know is ignored, so every row is looked at again. Times carry the offset of the facility's zone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from NexusCore.clock import to_ts
from NexusCore.facility import Instrument, Reservation
from NexusCore.text import shortened
from Services.Harvester.sources import Source, SourceFailed, complain
from Services.Harvester.sources.nemo.instances import Instance, tool_of
from Services.Harvester.sources.nemo.rows import ROW_READERS, NemoRow, numbers_in, uid_of
from Services.Harvester.sources.web import Visit, host_of

_LOOKED_UP = {"user": "users", "operator": "users", "project": "projects"}
"""Columns that hold an id, and the list of what it is the id of."""
IDS_AT_ONCE = 200
"""Ids in one request: the longest address that servers and proxies take is 4 to 8 KiB."""
_REQUESTED_FIELDS = {
    "tools": "id,name",
    "reservations": "id,start,end,tool,cancelled,missed,shortened,descendant,title,question_data,user,project",
    "usage_events": "id,start,end,tool,pre_run_data,run_data,user,operator,project",
    "users": "id,username,first_name,last_name",
    "projects": "id,name,application_identifier",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What an instance answered; a source of reservations."""

    name: str
    instance: Instance
    tools: Mapping[int, str]
    """All its tools, by number."""
    rows: Mapping[str, Sequence[NemoRow]]
    """Its reservations and usage events, under the names that its API has for them."""
    unfinished: Collection[str] = ()
    """UIDs of usage events that are wanted at any time."""

    def fetch(self, instrument: Instrument, start: datetime, end: datetime) -> list[Reservation]:
        """Return reservations and usage events of an instrument that share time with a span.

        Raises
        ------
        SourceFailed
            If the instance has no such tool.
        """
        tool = tool_in(self.tools, instrument)
        if tool is None:
            raise SourceFailed(where=host_of(self.instance.url), reason=no_tool(self.tools, instrument))
        span = (to_ts(start), to_ts(end))
        return [
            *self._of("reservations", tool, instrument, span),
            *self._of("usage_events", tool, instrument, span),
        ]

    def _of(self, what: str, tool: int, instrument: Instrument, span: tuple[int, int]) -> Iterator[Reservation]:
        for row in self.rows.get(what, ()):
            if row.get("tool") != tool:
                continue
            uid = uid_of(self.instance.url, what, row["id"])
            try:
                reservation = ROW_READERS[what](row, uid, self.instance, instrument, span[1])
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                reason = shortened(f"{type(error).__name__}: {error}", 150)
                complain(f"number {row['id']} of its {what} cannot be read ({reason})", uid)
                continue
            if (reservation.start_ts < span[1] and reservation.end_ts > span[0]) or uid in self.unfinished:
                yield reservation


def query(
    api: Api,
    instance: Instance,
    instruments: Sequence[Instrument],
    span: tuple[datetime, datetime],
    unfinished: Collection[str],
) -> Source:
    """Ask an instance about some instruments and a span; see `SharedSource.ask`.

    Parameters
    ----------
    api, instance
        The instance's API, and its settings.
    instruments, span, unfinished
        As for `SharedSource.ask`.
    """
    tools = {int(row["id"]): str(row["name"]) for row in api.rows("tools", {})}
    numbers = sorted({tool_in(tools, instrument) or 0 for instrument in instruments} - {0})
    if not numbers:  # an empty filter means everything
        return Answer("nemo", instance, tools, {})
    begun = {"tool_id__in": ",".join(map(str, numbers)), "start__lt": _moment(span[1])}
    ended = {**begun, "end__gt": _moment(span[0])}
    reservations = api.rows("reservations", ended)
    # An event that ends between these requests is in several answers; the later one is up to date.
    used = {row["id"]: row for row in api.rows("usage_events", ended)}
    used |= {row["id"]: row for row in api.rows("usage_events", {**begun, "end__isnull": "true"})}
    lost = numbers_in(unfinished, instance.url, "usage_events") - used.keys()
    used |= {row["id"]: row for row in api.of_ids("usage_events", lost)}
    known: dict[str, dict[int, NemoRow]] = {"users": {}, "projects": {}}
    for what, found in known.items():
        columns = [column for column, of in _LOOKED_UP.items() if of == what]
        ids = {row.get(column) for row in (*reservations, *used.values()) for column in columns}
        found.update(
            {row["id"]: row for row in api.of_ids(what, {number for number in ids if isinstance(number, int)})}
        )
    rows = {
        "reservations": [_with_objects(row, known) for row in reservations],
        "usage_events": [_with_objects(row, known) for row in used.values()],
    }
    return Answer("nemo", instance, tools, rows, unfinished)


def _with_objects(row: NemoRow, known: Mapping[str, Mapping[int, NemoRow]]) -> NemoRow:
    """Return a row with users and projects in place of their ids; None in place of what the instance did not show."""
    objects = {column: known[what].get(row[column]) for column, what in _LOOKED_UP.items() if column in row}
    return {**row, **objects}


def tool_in(tools: Mapping[int, str], instrument: Instrument) -> int | None:
    """Return the number of an instrument's tool, by number or by name; None if there is none."""
    number = tool_of(instrument)
    if number is not None:
        return number if number in tools else None
    wanted = instrument.calendar_name or instrument.name
    return next((number for number, name in tools.items() if name == wanted), None)


def no_tool(tools: Mapping[int, str], instrument: Instrument) -> str:
    """Return why an instrument has no tool."""
    number = tool_of(instrument)
    what = (
        f"no tool with the id {number}"
        if number is not None
        else (f"no tool called '{instrument.calendar_name or instrument.name}'")
    )
    return f"it has {what}; it has {shortened(', '.join(sorted(tools.values())) or 'none', 200)}"


@dataclass(frozen=True, slots=True)
class Api:
    """The lists of an instance's API, as a user who visits it sees them."""

    visit: Visit
    url: str
    page_size: int
    most_rows: int

    def rows(self, what: str, params: Mapping[str, str]) -> list[NemoRow]:
        """Return all rows of a list, page by page.

        The addresses of further pages that it gives are not followed: behind a proxy they name another host.
        """
        rows: dict[Any, NemoRow] = {}
        params = {**params, "fields": _REQUESTED_FIELDS[what]}
        for page in range(1, 2 + self.most_rows // self.page_size):
            answer = self._page(what, {**params, "page_size": str(self.page_size), "page": str(page)})
            for row in answer["results"]:
                rows[row["id"]] = row
            if not answer["next"]:
                if answer["count"] != len(rows):
                    # A row that moved from one page to another was not cancelled.
                    raise self._failed(f"its {what} changed while they were read")
                return list(rows.values())
        raise self._failed(f"it has more than {self.most_rows} {what} in the time asked for")

    def of_ids(self, what: str, ids: Collection[int]) -> list[NemoRow]:
        """Return the rows of a list that have these ids; nothing is asked for none, which would mean all."""
        ordered = sorted(ids)
        parts = [ordered[place : place + IDS_AT_ONCE] for place in range(0, len(ordered), IDS_AT_ONCE)]
        return [row for part in parts for row in self.rows(what, {"id__in": ",".join(map(str, part))})]

    def _page(self, what: str, params: Mapping[str, str]) -> dict[str, Any]:
        content = self.visit.get(f"{self.url}/api/{what}/", params, accept="application/json")
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        if not _is_page(answer):
            raise self._failed("its answer is not that of the API of a NEMO")
        page: dict[str, Any] = answer
        return page

    def _failed(self, reason: str) -> SourceFailed:
        return SourceFailed(where=host_of(self.url), reason=reason)


def _is_page(answer: Any) -> bool:
    if not isinstance(answer, dict) or not {"count", "next", "results"} <= answer.keys():
        return False
    rows = answer["results"]
    return isinstance(rows, list) and all(isinstance(row, dict) and isinstance(row.get("id"), int) for row in rows)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
