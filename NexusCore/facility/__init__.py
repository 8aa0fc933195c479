"""What all parts share about the facility: instruments, sessions, reservations, records."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from NexusCore.facility.instruments import Instrument, Instruments
    from NexusCore.facility.records import Record, Records, Upload
    from NexusCore.facility.reservations import Reservation, Reservations
    from NexusCore.facility.sessions import Event, Session, Sessions, State
    from NexusCore.facility.transfers import Transfers

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
    "Transfers",
    "Upload",
]

if not TYPE_CHECKING:
    import lazy_loader

    # Modules are imported at first use: a tool that lists sessions does not need the rest.
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "instruments": ["Instrument", "Instruments"],
            "records": ["Record", "Records", "Upload"],
            "reservations": ["Reservation", "Reservations"],
            "sessions": ["Event", "Session", "Sessions", "State"],
            "transfers": ["Transfers"],
        },
    )
