"""An odd row stops no service: the good ones are served, and what the service says is text."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.facility.session import State
from NexusCore.facility.sessions import Client, Sessions
from NexusCore.storage import open_database
from NexusCore.text import is_odd
from tests.tools.conftest import configure
from tests.tools.odd_rows import OddFacility
from tests.tools.programs import Done, run_command


@pytest.fixture(params=["sqlite", "mariadb", "mysql"])
def facility(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OddFacility]:
    url = request.getfixturevalue(f"{request.param}_url")
    monkeypatch.setenv("NEXUSCORE_DATABASE", url)
    database = open_database(url)
    yield OddFacility(database, tmp_path, state=State.TO_BE_BUILT)
    database.close()


def one_pass(service: str) -> Done:
    return run_command([sys.executable, "-m", f"Services.{service}", "--once"])


class TestServices:
    """One pass of each, with an odd value of each kind in each column."""

    @pytest.mark.parametrize("service", ["Builder", "Uploader", "Harvester"])
    def test_a_pass_survives_odd_rows(self, facility: OddFacility, tmp_path: Path, service: str) -> None:
        configure(
            facility.database,
            Edit("Facility.data_root", value=str(tmp_path)),
            Edit("Services.Builder.records", value=str(tmp_path / "records")),
            Edit("Services.Builder.file_delay", value=0.0),
            Edit("Services.Uploader.directory.path", value=str(tmp_path / "sent")),
            Edit("Instruments.FEI-Titan-TEM.harvester", value="ical"),
            Edit("Instruments.FEI-Titan-TEM.api_url", value=str(tmp_path / "calendar.ics")),
        )
        (tmp_path / "FEI-Titan-TEM").mkdir()
        (tmp_path / "calendar.ics").write_text("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n")
        done = one_pass(service)
        assert done.code in (0, 1), done
        assert "Traceback" not in done.err, done.err[-3000:]
        assert f"A pass of {service} failed" not in done.err, done.err[-3000:]
        assert not [line for line in done.err.splitlines() if any(map(is_odd, line.replace("\t", "")))]
        assert not re.search(r"^FORGED", done.err, re.MULTILINE)
        sessions = Sessions(facility.database, SYSTEM_CLOCK)
        good = sessions.get(facility.good.identifier)
        if service == "Builder":
            assert (good.state, good.attempts) == (State.BUILT, 2)  # there are no files any more; its record stays
            refused = [one for one in sessions.newest(count=9999) if "cannot be built, since" in (one.last_error or "")]
            assert refused
            assert all(one.state is State.ERROR for one in refused)

    def test_a_session_can_begin_and_end(self, facility: OddFacility) -> None:
        sessions, jane = Sessions(facility.database, SYSTEM_CLOCK), Client(user="jane", host="pc")
        begun = sessions.start("JEOL-JEM-TEM", jane)
        assert sessions.end(begun.identifier, jane).state is State.TO_BE_BUILT
