"""A question to the facility whose answer is waited for no longer than a user would."""

from __future__ import annotations

import logging
import queue
import threading
from typing import Callable, Optional, Tuple, Union

from Logger.facility import FacilityError, FacilityLink, OpenSession, Station, Unreachable

Answer = Union[Tuple[Station, Optional[OpenSession]], FacilityError]
_LOG = logging.getLogger(__name__)


def ask_in_time(make_facility: Callable[[], FacilityLink], patience: float, seconds: float) -> Answer:
    """Return the instrument of this computer and the session that is open on it, or why they are not known.

    Parameters
    ----------
    make_facility
        Returns the facility, for a thread of its own: the request may take longer, but nothing waits for it.
    patience
        Seconds after which the request is given up.
    seconds
        Seconds that its answer is waited for.
    """
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    threading.Thread(target=_ask, args=(make_facility, patience, answers), name="question", daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return Unreachable("The facility's server does not answer in time.")


def names_of_bookings(facility: FacilityLink, pid: str) -> tuple[str, ...]:
    """Return who has booked an instrument now, and next, as far as that is known."""
    try:
        pair = facility.bookings(pid)
    except FacilityError:
        return ()
    return tuple(dict.fromkeys(booking.user for booking in pair if booking is not None and booking.user))


def _ask(make_facility: Callable[[], FacilityLink], patience: float, answers: queue.SimpleQueue[Answer]) -> None:
    facility = make_facility()
    try:
        station = facility.station(patience)
        answers.put((station, facility.open_session(station.pid)))
    except FacilityError as error:
        answers.put(error)
    except Exception as error:  # noqa: BLE001  the edge of the thread: its answer is waited for
        _LOG.exception("A fault while asking")
        answers.put(FacilityError(f"Unexpected error: {type(error).__name__}: {error}."))
    finally:
        facility.release()
