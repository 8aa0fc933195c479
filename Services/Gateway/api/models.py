"""Requests and answers as JSON.

Field names and meanings are those of docs/gateway.md. Unknown fields are refused: a mistyped one would be lost.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from NexusCore import sizes
from NexusCore.clock import readable_time
from NexusCore.facility import Event, Instrument, Reservation, Session
from NexusCore.facility.transfer_settings import TransferSettings
from NexusCore.text import odd_character

ZONE = 64
"""Characters of the name of a time zone."""


def _name(text: str) -> str:
    if text and not text.strip():
        raise ValueError("a name cannot be blank")
    odd = odd_character(text)
    if odd is not None:
        raise ValueError(f"a name cannot contain {odd}")
    return text


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is blank")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("the text contains a character that cannot be stored")
    if not sizes.fits(text, sizes.EVENT_DETAIL):
        raise ValueError(f"the text has more than {sizes.EVENT_DETAIL:,} bytes")
    return text


Name = Annotated[str, Field(min_length=1, max_length=sizes.NAME), AfterValidator(_name)]
"""A name of a user, a PC or an instrument."""
Remark = Annotated[str, Field(min_length=1, max_length=sizes.EVENT_DETAIL), AfterValidator(_text)]


class EventRequest(BaseModel):
    """What happened, by the PC's clock."""

    model_config = ConfigDict(extra="forbid")

    user: Name = Field(description="Account of the person at the instrument.")
    at: AwareDatetime = Field(description="When it happened, by the PC's clock, with an offset.")
    now: AwareDatetime = Field(description="What that clock shows when this request is sent.")
    zone: Annotated[str, Field(max_length=ZONE), AfterValidator(_name)] = Field(
        default="", description="Time zone of the PC: an IANA name, or an offset as +0100."
    )

    def content(self) -> dict[str, object]:
        """Return what stays the same when the request is sent again: `now` is then the present time again."""
        return self.model_dump(mode="json", exclude={"now"})


class EndRequest(EventRequest):
    """A session ends."""

    transfers: bool = Field(
        default=False,
        description="Its files are still on their way: its record waits for `transferred`, if the facility has switched"
        " file transfer on for the instrument.",
    )

    def content(self) -> dict[str, object]:
        """Return what stays the same; a client that does not know of transfers says the same as ever."""
        content = EventRequest.content(self)
        return content if self.transfers else {name: value for name, value in content.items() if name != "transfers"}


class StartRequest(EventRequest):
    """A session begins."""

    identifier: UUID = Field(description="Of the session; a new random UUID.")
    instrument: Name = Field(description="Pid of the instrument.")
    ends: EndedSession | None = Field(
        default=None, description="The open session that the user has decided to end; both happen together."
    )
    settle: bool = Field(
        default=False,
        description="The session began while the Gateway could not be reached. If another one is open, the one that "
        "began first ends when the other one began; the answer says whether this one has ended.",
    )


class EndedSession(BaseModel):
    """An open session that ends because its instrument's user has decided so."""

    model_config = ConfigDict(extra="forbid")

    identifier: UUID
    at: AwareDatetime = Field(description="When it ended, by the PC's clock; not after the new one's start.")


class RemarkRequest(EventRequest):
    """A note, or a problem with the instrument."""

    text: Remark


class BreakRequest(EventRequest):
    """A pause, or its end."""

    text: Remark | None = None


class HeartbeatRequest(BaseModel):
    """The PC is at work."""

    model_config = ConfigDict(extra="forbid")

    session: UUID | None = Field(default=None, description="The session that runs there, if one does.")


class SessionAnswer(BaseModel):
    """A session."""

    identifier: str
    instrument: str
    user: str
    state: str
    start: datetime | None
    end: datetime | None
    paused: bool


class StartAnswer(BaseModel):
    """A session that was started."""

    session: SessionAnswer
    session_token: str = Field(description="Needed besides the PC's token for all events of this session.")


class EventAnswer(BaseModel):
    """An event in a session."""

    id: int
    type: str
    at: datetime | None
    user: str
    computer: str
    text: str | None


class SessionDetails(BaseModel):
    """A session and its events, in order."""

    session: SessionAnswer
    events: list[EventAnswer]


class LastSession(BaseModel):
    """The newest session of an instrument."""

    session: SessionAnswer | None


class SessionList(BaseModel):
    """The newest sessions of an instrument, newest first."""

    sessions: list[SessionAnswer]


class LoggerSettings(BaseModel):
    """What the session logger shows."""

    close_delay: float
    support_address: str
    ask_user: bool


class InstrumentTransfer(BaseModel):
    """How files of an instrument are transferred."""

    on: bool
    folders: dict[str, str] = Field(description="Paths on the PC of the folders that are watched, by name.")
    ignore: list[str] = Field(description="Patterns of file names that are left out.")
    stable_seconds: float
    interval_seconds: float
    after_booked_end: str = Field(description="take or hold: what becomes of files that appear after the booked end.")
    bandwidth: str = Field(description="Such as 08:00-18:00=20; =100, in MB/s by the PC's local time.")
    chunk_size: int


class InstrumentAnswer(BaseModel):
    """An instrument of this PC."""

    pid: str
    name: str
    location: str
    timezone: str
    computer_name: str
    logger: LoggerSettings
    transfer: InstrumentTransfer


class InstrumentList(BaseModel):
    """The instruments that the token is for."""

    instruments: list[InstrumentAnswer]


class ReservationAnswer(BaseModel):
    """A booking."""

    title: str | None
    user: str | None
    start: datetime | None
    end: datetime | None


class ReservationPair(BaseModel):
    """The present booking of an instrument, and the next one."""

    now: ReservationAnswer | None
    next: ReservationAnswer | None


class VersionAnswer(BaseModel):
    """What this Gateway is, and which clients it understands."""

    server: str
    version: str
    api: int
    oldest_api: int
    oldest_client: str
    now: datetime


class HealthAnswer(BaseModel):
    """The Gateway and its database answer."""

    status: str


class HeartbeatAnswer(BaseModel):
    """The heartbeat was noted."""

    computer: str
    now: datetime


class ProblemAnswer(BaseModel):
    """What is wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


def session_answer(session: Session, *, paused: bool) -> SessionAnswer:
    """Return a session as it is answered; why a record failed is for the facility's staff."""
    return SessionAnswer(
        identifier=session.identifier,
        instrument=session.instrument,
        user=session.user,
        state=session.state.value,
        start=readable_time(session.start_ts),
        end=readable_time(session.end_ts),
        paused=paused,
    )


def event_answer(event: Event) -> EventAnswer:
    """Return an event as it is answered."""
    return EventAnswer(
        id=event.id,
        type=event.type.value,
        at=readable_time(event.ts),
        user=event.user,
        computer=event.host,
        text=event.detail,
    )


def instrument_answer(
    instrument: Instrument, logger: LoggerSettings, transfer: TransferSettings, chunk_size: int
) -> InstrumentAnswer:
    """Return an instrument as it is answered: not where its files and calendars are."""
    return InstrumentAnswer(
        pid=instrument.pid,
        name=instrument.name,
        location=instrument.location,
        timezone=instrument.timezone,
        computer_name=instrument.computer_name,
        logger=logger,
        transfer=InstrumentTransfer(
            on=transfer.on,
            folders=dict(transfer.folders),
            ignore=list(transfer.ignore),
            stable_seconds=transfer.stable_seconds,
            interval_seconds=transfer.interval_seconds,
            after_booked_end=transfer.after_booked_end,
            bandwidth=transfer.bandwidth,
            chunk_size=chunk_size,
        ),
    )


def reservation_answer(reservation: Reservation | None) -> ReservationAnswer | None:
    """Return a booking as it is answered."""
    if reservation is None:
        return None
    return ReservationAnswer(
        title=reservation.title,
        user=reservation.user,
        start=readable_time(reservation.start_ts),
        end=readable_time(reservation.end_ts),
    )


PROBLEMS: dict[int | str, dict[str, object]] = {
    status: {"model": ProblemAnswer, "description": what, "content": {"application/problem+json": {}}}
    for status, what in {
        400: "The request cannot be read, or the client is incompatible.",
        401: "No valid token.",
        403: "Not for this token.",
        404: "No such thing on the instruments of this token.",
        409: "It conflicts with the present state.",
        413: "The body is too large.",
        422: "The request has mistakes.",
        429: "Too many requests.",
        503: "The database does not answer.",
        507: "The facility's store is full.",
    }.items()
}
"""The problems that any request may be answered with, for the description of the API."""
