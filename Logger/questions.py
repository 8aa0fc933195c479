"""What is good to know at a session's start and end, but is waited for by nothing: bookings, settings, the file share.

Each question has a thread of its own; what it finds is handed over by a function that the caller gives.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Callable, Protocol

from Logger.facility import Booking, FacilityError, FacilityLink, OpenSession, Station
from Logger.share import ShareError

_LOG = logging.getLogger(__name__)


class ShareCheck(Protocol):
    """The file share of the facility; see `Logger.share.FileShare`."""

    def check(self) -> str:
        """Return the drive it can be reached by, or raise `ShareError`."""
        ...


@dataclass(frozen=True)
class FacilityNews:
    """What the facility says."""

    station: Station
    booking: Booking | None
    following: Booking | None
    empty: OpenSession | None
    """The last session of the instrument, if no files of it were found."""


class BackgroundQuestions:
    """Asks on threads.

    Parameters
    ----------
    make_facility
        Returns the facility; called for each question.
    share
        The file share; None if this computer has none in its settings.
    patience
        Seconds that the facility has for an answer.
    """

    def __init__(self, make_facility: Callable[[], FacilityLink], share: ShareCheck | None, patience: float) -> None:
        self._make_facility = make_facility
        self._share = share
        self._patience = patience

    def ask(self, pid: str, session: str, found: Callable[[FacilityNews], object]) -> None:
        """Ask the facility about an instrument and, besides a session, its last one."""
        _start(lambda: self._ask(pid, session, found), "look around")

    def check_share(self, failed: Callable[[str], object]) -> None:
        """See whether the file share can be reached, if there is one; hand over a sentence if it cannot."""
        share = self._share
        if share is not None:
            _start(lambda: _check(share, failed), "file share")

    def _ask(self, pid: str, session: str, found: Callable[[FacilityNews], object]) -> None:
        facility = self._make_facility()
        try:
            station, bookings = facility.station(self._patience), facility.bookings(pid)
            empty = facility.had_no_files(pid, session)
        except FacilityError as error:
            _LOG.info("Not known: settings and bookings. %s %s", error, error.detail)
        except Exception:  # noqa: BLE001  the edge of the thread
            _LOG.exception("A fault while looking around")
        else:
            found(FacilityNews(station, *bookings, empty))
        finally:
            facility.release()


def without_files(session: OpenSession) -> str:
    """Return a sentence about an earlier session of which no files were found."""
    day = f"{session.since.astimezone():%A, %d %B}"
    return f"The last session, of {session.user} on {day}, had no files: no record was made of it."


def _check(share: ShareCheck, failed: Callable[[str], object]) -> None:
    try:
        _LOG.info("The file share can be used; it is %s.", share.check())
    except ShareError as error:
        _LOG.warning("%s %s", error, error.detail)
        failed(str(error))
    except Exception:  # noqa: BLE001  the edge of the thread
        _LOG.exception("A fault while checking the file share")


def _start(work: Callable[[], object], name: str) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()
