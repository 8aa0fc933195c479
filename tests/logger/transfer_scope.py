"""A microscope whose PC transfers its files to the real Gateway, with or without a window."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from Logger.outbox import Outbox
from Logger.uptime import Uptime
from tests.gateway.gateways import RunningGateway
from tests.gateway.transfers import Backing, set_parameters
from tests.logger.facility import Course, until
from tests.logger.gateways import Microscope
from tests.processes import PROJECT

QUICK = {"FIRST_PAUSE": 0.1, "LONGEST_AWAY": 1.0, "LONGEST_LOCKED": 1.0, "LONGEST_FAILED": 1.0}


class TransferScope(Microscope):
    """A microscope.

    Parameters
    ----------
    gateway, folder, name, url
        As for `Microscope`.
    backing
        Where its files go.
    **settings
        Of the transfer.
    """

    def __init__(
        self, gateway: RunningGateway, folder: Path, name: str, backing: Backing, url: str = "", **settings: Any
    ) -> None:
        self.raw = folder / f"raw-{name}"
        self.raw.mkdir()
        self.home = folder / name / "pc"
        self.backing = backing
        super().__init__(gateway, folder, name, url)
        values = {"on": True, "folders__raw": str(self.raw), "stable_seconds": 1, "interval_seconds": 1, **settings}
        parameters = {f"Instruments__{self.pid}__transfer__{key}": value for key, value in values.items()}
        set_parameters(gateway.main, **parameters, **backing.parameters(self.pid))
        until(lambda: self.transfer["on"], "the Gateway knows the settings")
        self._process: subprocess.Popen[str] | None = None
        self.errors = folder / f"{name}.err"

    @property
    def transfer(self) -> dict[str, Any]:
        return dict(self.pc.get(f"instruments/{self.pid}").json().get("transfer", {"on": False}))

    def outbox(self) -> Outbox:
        return Outbox(self.home / "pc.outbox", Uptime())

    def course(self, computer: str = "pc", **options: Any) -> Course:
        """Return a logger without a transfer of its own: that is another process, which can be killed."""
        return super().course(computer, **options)

    def launch(self, patience: float = 600.0, stable: float = 0.3, *, repairs: bool = False) -> None:
        """Start the process that transfers."""
        asked = {
            "home": str(self.home), "url": self.url, "token": self.pc.secret, "patience": patience, "constants": QUICK,
            "stable": stable, "repairs": self.pid if repairs else "", "raw": str(self.raw),
        }  # fmt: skip
        with self.errors.open("a") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.logger.headless_transfer", json.dumps(asked)],
                cwd=PROJECT, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=err, text=True, env={**os.environ},
            )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", self.errors.read_text()

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it like a power cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.communicate()
            self._process = None

    def close(self) -> None:
        self.kill()
        super().close()

    def files(self, session: str) -> list[dict[str, Any]]:
        """Return the files of a session as the Gateway knows them."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            page = self.pc.get(f"sessions/{session}/files", params={"after": after}).json()
            found += page["files"]
            if page["next"] is None:
                return found
            after = page["next"]

    def counts(self, session: str) -> dict[str, int]:
        return dict(self.pc.get(f"sessions/{session}/files", params={"limit": 1}).json()["counts"])
