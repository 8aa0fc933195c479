"""A microscope's PC behind a Gateway: settings, outbox and logger, and a wire between them that can be cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from Logger.gateway_facility import GatewayFacility
from Logger.uptime import Uptime
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import ConfigStore, Edit, Origin
from NexusCore.facility.sessions import Session, Sessions
from NexusCore.storage import open_database
from tests.gateway.gateways import PC, RunningGateway
from tests.logger.facility import Course, until


class Microscope:
    """An instrument with a PC that has a token.

    Parameters
    ----------
    gateway
        The Gateway that it talks to.
    folder
        For the outbox.
    name
        Of the PC; the instrument is named after it.
    url
        Where the PC reaches the Gateway, if not at its own address.
    """

    def __init__(self, gateway: RunningGateway, folder: Path, name: str, url: str = "") -> None:
        self.pid, self.name, self.url = f"Instrument-{name}", name, url or gateway.url
        self._gateway, self._folder = gateway, folder
        self._courses: list[Course] = []
        configure_instrument(gateway.main, self.pid, name=f"The {name}", computer_name=name)
        self.pc: PC = gateway.pc(self.pid, name=name)
        until(lambda: bool(self.pc.get("instruments").json()["instruments"]), "the Gateway knows the instrument")
        self.database = open_database(gateway.main)
        self.sessions = Sessions(self.database, SYSTEM_CLOCK)

    def facility(self, url: str = "", token: str = "", certificates: str = "") -> GatewayFacility:
        return GatewayFacility(url or self.url, token or self.pc.secret, certificates, self.name, Uptime())

    def course(self, computer: str = "pc", **options: Any) -> Course:
        """Return a logger at this microscope."""
        self._courses.append(Course(self._folder / self.name / computer, self.facility, **options))
        return self._courses[-1]

    def all(self) -> list[Session]:
        """Return the sessions of the instrument, oldest first."""
        return self.sessions.newest(self.pid)[::-1]

    def events(self, session: Session | None = None) -> list[str]:
        """Return what happened in a session, the newest if none is given."""
        return [event.type.value for event in self.sessions.events(session or self.all()[-1])]

    def close(self) -> None:
        for course in self._courses:
            course.controller.stop()
        self.database.close()


def configure_instrument(url: str, pid: str, **values: str) -> None:
    database = open_database(url)
    store = ConfigStore(database, SYSTEM_CLOCK)
    edits = [Edit(f"Instruments.{pid}.{name}", value=value) for name, value in values.items()]
    store.apply(store.version_id("default"), "default", edits, Origin("jane", "desk", "test", "to begin with"))
    database.close()
