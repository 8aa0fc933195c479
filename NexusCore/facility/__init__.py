"""What all parts share about the facility: instruments, sessions, reservations, records."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

if not TYPE_CHECKING:
    _ROOMS = {"Event": "sessions", "State": "sessions", "Upload": "records"}

    def __getattr__(name: str) -> object:
        """Import a module when one of its names is first used: a tool that lists sessions does not need the rest."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        room = _ROOMS.get(name) or f"{name.removesuffix('s').lower()}s"
        return getattr(import_module(f"NexusCore.facility.{room}"), name)
