"""What the Harvester tells of calendars on its status channel, also after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import pytest

from NexusCore.errors import NexusError
from NexusCore.facility import Instrument, Reservation
from NexusCore.service import Pass
from NexusCore.status.store import latest
from Services.Harvester.service import Harvester
from Services.Harvester.sources import kinds
from Services.Harvester.sources.nemo import make
from Services.Harvester.sources.web import Token
from tests.processes import app_on, samples
from tests.services import harvesting
from tests.services.harvesting import Facility, status_of
from tests.services.test_harvester_ical import event, ics

facility = harvesting.facility
ONE = event("1", ":20260311T090000Z", ":20260311T100000Z")


@contextmanager
def restarted(facility: Facility) -> Iterator[Harvester]:
    """Return a Harvester in a process of its own, as far as status goes; what it tells is stored in the end."""
    app = app_on(facility.url, facility.home, facility.clock)
    try:
        yield Harvester(app)
    finally:
        app.shutdown(60)


def shown(facility: Facility) -> dict[str, str | None]:
    """Return what a person sees on the channel."""
    return {one.name: one.value for one in latest(facility.app.database()) if one.channel == "Harvester"}


class TestAfterARestart:
    """Elements that an earlier Harvester left on the channel are corrected, and its counters are continued."""

    def test_an_instrument_that_lost_its_calendar_meanwhile(self, facility: Facility) -> None:
        facility.instrument("Titan", ONE)
        facility.instrument("Quanta", ONE)
        facility.instrument("Broken").unlink()
        with restarted(facility) as harvester:
            harvester.once()
        assert shown(facility)["source Titan"] == "ok"
        facility.config["Instruments.Titan.harvester"] = ""
        facility.config.remove("Instruments.Broken")
        with restarted(facility) as harvester:
            harvester.once()
        now = {name: value for name, value in shown(facility).items() if name.startswith("source ")}
        gone = "not asked any more"
        assert now == {"source Titan": gone, "source Broken": gone, "source Quanta": "ok"}
        with restarted(facility) as harvester:
            harvester.once()
        assert [one for one in samples(facility.url, "Harvester") if one == ("source Titan", gone)] == [
            ("source Titan", gone)
        ], "said once"

    def test_counters_go_on_from_before(self, facility: Facility) -> None:
        for gone in (1, 2):
            path = facility.instrument("Titan", ONE)
            with restarted(facility) as harvester:
                harvester.once()
                path.write_bytes(ics())
                harvester.once()
                assert status_of(harvester, "reservations_gone") == gone
            assert shown(facility)["reservations_gone"] == str(gone)

    def test_when_that_database_is_away(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        """Calendars are read all the same, and what was left there is put right later."""

        def away(*_: object) -> None:
            raise NexusError

        facility.instrument("Titan", ONE)
        with restarted(facility) as harvester:
            harvester.once()
        facility.config["Instruments.Titan.harvester"] = ""
        facility.instrument("Quanta", ONE)
        with restarted(facility) as harvester:
            with monkeypatch.context() as patch:
                patch.setattr("Services.Harvester.status_reporter.latest", away)
                assert harvester.once() == Pass(done=1)
            harvester.once()
        assert shown(facility)["source Titan"] == "not asked any more"


class Unlucky(NexusError):
    """Read, but this is not what you think."""


@dataclass(frozen=True)
class WithWords:
    """A source whose failures sound as if they were none."""

    name: ClassVar[str] = "words"

    def fetch(self, instrument: Instrument, start: datetime, end: datetime) -> list[Reservation]:
        raise Unlucky


class TestWhetherItCouldBeRead:
    """Is what happened, not what the sentence about it says."""

    def test_a_failure_in_fair_words(self, facility: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        facility.instrument("Titan")
        facility.config["Instruments.Titan.harvester"] = "words"
        harvester = Harvester(facility.app)
        known = {**kinds(), "words": lambda config: WithWords()}
        monkeypatch.setattr("Services.Harvester.sources.kinds", lambda: known)
        assert harvester.once() == Pass(failed=1)
        assert status_of(harvester, "source Titan") == "Read, but this is not what you think."


class TestTokensOfTheEnvironment:
    """001-07: read from a file, they often bring a line break along."""

    @pytest.mark.parametrize(("given", "taken"), [("ab12\n", "ab12"), (" ab12\r\n", "ab12"), ("\n", "configured")])
    def test_spaces_around_it(
        self, facility: Facility, monkeypatch: pytest.MonkeyPatch, given: str, taken: str
    ) -> None:
        config = facility.app.get_config("Services.Harvester.nemo")
        make(config)
        config["instances.main.url"] = "https://nemo.example.org"
        config["instances.main.token"] = " configured\n"
        monkeypatch.setenv("NEXUSCORE_NEMO_MAIN_TOKEN", given)
        assert [instance.token for instance in make(config).instances] == [Token(taken)]
