"""A PC whose disk is full, with a Gateway: what it cannot store, the facility stores."""

from __future__ import annotations

from pathlib import Path

from Logger.states import Ended, Running
from Logger.transfer.settings import StationTransfer
from NexusCore.facility.sessions import State
from tests.disks import mounted
from tests.gateway.gateways import RunningGateway
from tests.logger.facility import until
from tests.logger.gateways import Microscope, configure_instrument
from tests.logger.test_full_disk import fill


def test_notes_and_the_end_of_a_session_whose_files_are_transferred(
    embedded_gateway: RunningGateway, tmp_path: Path
) -> None:
    """The END is stored on the PC as soon as there is room, and sent again, which changes nothing."""
    with mounted(tmp_path / "disk", "400k") as disk:
        scope = Microscope(embedded_gateway, disk, "FULL-PC")
        (tmp_path / "raw").mkdir()
        configure_instrument(embedded_gateway.main, scope.pid, filestore_path=str(tmp_path))
        course = scope.course()
        course.begin(Running)
        session = course.outbox.open_session()
        assert session is not None
        with course.outbox.transaction() as database:  # as if the transfer were on
            database.execute(
                "INSERT OR REPLACE INTO transfer (session, pid, user, start, settings) VALUES (?, ?, ?, ?, ?)",
                (session.identifier, scope.pid, "ada", session.start, StationTransfer().as_text()),
            )
        fill(disk)
        course.order(lambda: course.controller.note("the disk is full"), Running)
        course.order(lambda: course.controller.report_problem("no room"), Running)
        course.end(Ended)
        assert scope.events() == ["START", "NOTE", "PROBLEM", "END"]
        (disk / "filler").unlink()
        until(lambda: course.outbox.has_end(session.identifier), "the end is stored here")
        until(lambda: not course.outbox.waiting(), "it is sent again")
        assert scope.events() == ["START", "NOTE", "PROBLEM", "END"]
        assert scope.all()[0].state is State.TO_BE_BUILT
        scope.close()
