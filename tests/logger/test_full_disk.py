"""A PC whose disk is full: what its facility can store itself is stored there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from Logger.states import Ended, Failed, OpenSessionQuestion, Overtaken, Running
from tests.disks import mounted
from tests.logger.facility import Course, Facility
from tests.logger.network import Network


def fill(disk: Path) -> None:
    """Leave no byte on a disk."""
    file = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(file, b"x" * 4096):
            pass
    except OSError as error:
        assert error.errno == errno.ENOSPC
    finally:
        os.close(file)


def started(facility: Facility, disk: Path) -> Course:
    facility.folder = disk
    course = facility.course()
    course.begin(Running)
    fill(disk)
    return course


def test_a_session_can_be_ended(small_facility: Facility, tmp_path: Path) -> None:
    """Its note is stored, too."""
    with mounted(tmp_path / "disk", "256k") as disk:
        course = started(small_facility, disk)
        course.order(lambda: course.controller.note("the disk is full"), Running)
        course.end(Ended)
        assert small_facility.events() == ["START", "NOTE", "END"]
        course.controller.stop()


def test_the_next_start_learns_that_it_has_ended(small_facility: Facility, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "256k") as disk:
        started(small_facility, disk).end(Ended)
        (disk / "filler").unlink()
        course = small_facility.course()
        course.begin(OpenSessionQuestion)
        course.order(course.controller.go_on, Running)
        course.shown(lambda state: isinstance(state, Overtaken))
        course.begin(Running)
        assert small_facility.events(small_facility.all()[0]) == ["START", "END"]
        course.controller.stop()


def test_without_the_facility_nothing_is_said_to_be_stored(
    small_facility: Facility, tmp_path: Path, network: type[Network]
) -> None:
    """The user is told, and the session runs on."""
    with mounted(tmp_path / "disk", "256k") as disk:
        small_facility.folder = disk
        course = small_facility.course(network)
        course.begin(Running)
        fill(disk)
        network.cut = True
        failed = course.end(Failed)
        assert failed.session is not None and "disk" in failed.detail
        (disk / "filler").unlink()
        network.cut = False
        course.end(Ended)
        course.controller.stop()
