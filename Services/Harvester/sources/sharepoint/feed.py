"""The Atom feed of a SharePoint list as reservations, by way of a stylesheet.

From articles on ``ListData.svc`` and a sample of its feed: times have no zone, a filter's time of day is ignored, long
lists come in pages, and of a recurring event there is one row, which ends when the last occurrence does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from lxml import etree

from NexusCore.clock import to_ts
from NexusCore.facility import Instrument, Reservation
from NexusCore.facility.reservations import BookedSample
from NexusCore.text import shortened
from Services.Harvester.sources import SourceFailed, complain, source_of
from Services.Harvester.sources.text import MOST_PEOPLE, MOST_SAMPLES, consent, line, link, parse_xml, text
from Services.Harvester.sources.web import Visit, host_of, too_many

_ATOM = "{http://www.w3.org/2005/Atom}"
_NEXUS = "{https://data.nist.gov/od/dm/nexus/experiment/v1.0}"
_ONE_DAY = timedelta(days=1)
_UID_LENGTH = 200
_OWN_STYLESHEET = Path(__file__).parent / "reservations.xslt"


def pages(
    visit: Visit, url: str, expand: str, zone: tzinfo | None, span: tuple[datetime, datetime]
) -> Iterator[etree._Element]:
    """Yield the pages of a list's feed.

    Parameters
    ----------
    visit
        Of the server.
    url
        Address of the list.
    expand
        Columns that hold people, with commas.
    zone
        The instrument's, in which the list's times are; None for this machine's.
    span
        Start and end of the time asked for.
    """
    where = host_of(url)
    address = urlunsplit(urlsplit(url)._replace(query="", fragment=""))
    start, end = (moment.astimezone(zone) for moment in span)
    first, last = (start - _ONE_DAY).date(), (end + 2 * _ONE_DAY).date()
    params = {"$filter": f"StartTime lt datetime'{last}' and EndTime ge datetime'{first}'"}
    if expand:
        params["$expand"] = expand
    fetched = []
    while params not in fetched:
        fetched.append(params)
        feed = parse_xml(visit.get(address, params, accept="application/atom+xml"), where)
        if feed.tag != f"{_ATOM}feed":
            raise SourceFailed(where=where, reason="its answer is not an Atom feed")
        yield feed
        further = next((link for link in feed.findall(f"{_ATOM}link") if link.get("rel") == "next"), None)
        if further is None:
            return
        # Only the page is taken from the answer, not the server.
        params = dict(parse_qsl(urlsplit(further.get("href") or "").query, keep_blank_values=True))
    raise SourceFailed(where=where, reason="its pages form a loop")


def bookings(
    feeds: Iterable[etree._Element],
    where: str,
    instrument: Instrument,
    span: tuple[datetime, datetime],
    stylesheet: str,
    most: int,
) -> list[Reservation]:
    """Return the reservations in the pages of a list that share time with a span.

    Parameters
    ----------
    feeds
        The `pages`.
    where
        Host, for messages.
    instrument
        Whose they are; its time zone is that of the list.
    span
        Start and end, half open.
    stylesheet
        Path of the facility's own stylesheet; empty for the built-in one.
    most
        How many there may be.

    Raises
    ------
    SourceFailed
        If the list, or the stylesheet, cannot be read, or if there are more than `most`.
    """
    translate = _stylesheet(Path(stylesheet).expanduser() if stylesheet else _OWN_STYLESHEET, where)
    start, end = map(to_ts, span)
    reservations: list[Reservation] = []
    for feed in feeds:
        for node in _translate(translate, feed, where):
            reservation = _read(node, instrument)
            if reservation is not None and reservation.start_ts < end and reservation.end_ts > start:
                reservations.append(reservation)
            if len(reservations) > most:
                raise too_many(where, most)
    return reservations


def _stylesheet(path: Path, where: str) -> etree.XSLT:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        nothing = etree.XSLTAccessControl.DENY_ALL  # type: ignore[attr-defined]  # the stubs do not know it
        return etree.XSLT(etree.parse(path, parser), access_control=nothing)
    except (OSError, etree.LxmlError) as error:
        reason = f"the stylesheet {path} cannot be used ({line(str(error), 150)})"
        raise SourceFailed(where=where, reason=reason) from None


def _translate(translate: etree.XSLT, feed: etree._Element, where: str) -> list[etree._Element]:
    try:
        root = translate(feed).getroot()
    except etree.LxmlError as error:
        raise SourceFailed(where=where, reason=f"the stylesheet fails on it ({line(str(error), 150)})") from None
    if root is None or root.tag != f"{_NEXUS}reservations":
        raise SourceFailed(where=where, reason="the stylesheet does not yield <reservations>")
    return list(root.findall(f"{_NEXUS}reservation"))


def _read(node: etree._Element, instrument: Instrument) -> Reservation | None:
    uid = line(node.get("id"), _UID_LENGTH)
    title = _line(node, "title")
    what = f"the booking {uid or shortened(repr(title), 60)}"
    if uid is None:
        complain(f"{what} has no id")
        return None
    if node.get("recurring") == "yes":
        complain(f"{what} recurs, and the feed does not say when; it was left out", uid)
        return None
    times = [_line(node, f"summary/{name}") for name in ("reservationStart", "reservationEnd")]
    try:
        start, end = (_ts(moment or "", instrument.zone) for moment in times)
    except ValueError:
        complain(f"{what} has no start and end that can be read", uid)
        return None
    summary = node.find(f"{_NEXUS}summary")
    return Reservation(
        source=source_of("sharepoint", instrument),
        uid=uid,
        instrument=instrument.pid,
        start_ts=start,
        end_ts=end,
        cancelled=node.get("cancelled") == "yes",
        title=title,
        user=_line(node, "summary/experimenter"),
        user_id=line(node.get("account")),
        collaborators=tuple(_lines(node, "summary/collaborator"))[:MOST_PEOPLE],
        purpose=text(node.findtext(_path("summary/motivation"))),
        samples=tuple(_samples(node))[:MOST_SAMPLES],
        project=_line(node, "project/name"),
        project_id=_line(node, "project/project_id"),
        reservation_id=uid,
        url=link(summary.get("ref")) if summary is not None else None,
        consent=consent(node.get("consent")),
    )


def _samples(node: etree._Element) -> Iterator[BookedSample]:
    for sample in node.findall(f"{_NEXUS}sample"):
        description = text(sample.findtext(_path("description")))
        booked = BookedSample(
            _line(sample, "name"), line(sample.get("ref")), description, tuple(_lines(sample, "element"))
        )
        if booked != BookedSample():
            yield booked


def _ts(moment: str, zone: tzinfo | None) -> int:
    time = datetime.fromisoformat(moment)
    if time.tzinfo is None:
        time = time.replace(tzinfo=zone) if zone is not None else time.astimezone()
    return to_ts(time)


def _path(path: str) -> str:
    return "/".join(f"{_NEXUS}{step}" for step in path.split("/"))


def _line(node: etree._Element, path: str) -> str | None:
    return line(node.findtext(_path(path)))


def _lines(node: etree._Element, path: str) -> Iterator[str]:
    return filter(None, (line(element.text) for element in node.findall(_path(path))))
