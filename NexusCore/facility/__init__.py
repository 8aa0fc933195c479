"""What all parts share about the facility: instruments, sessions, reservations, records."""

from NexusCore.facility.instruments import Instrument, Instruments
from NexusCore.facility.records import Record, Records, Upload
from NexusCore.facility.reservations import Reservation, Reservations
from NexusCore.facility.sessions import Event, Session, Sessions, State

__all__ = [
    "Event",
    "Instrument",
    "Instruments",
    "Record",
    "Records",
    "Reservation",
    "Reservations",
    "Session",
    "Sessions",
    "State",
    "Upload",
]
