"""A PC whose files are transferred, without a window: folders, an outbox, and the engine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from Logger.facility import EventKind, EventReceipt
from Logger.outbox import Outbox
from Logger.transfer.engine import EngineClocks, TransferEngine
from Logger.transfer.link import GatewayTransfers
from Logger.transfer.pending import PendingTransfers
from Logger.transfer.settings import StationTransfer
from Logger.transfer.state import TransferState
from Logger.transfer.views import TransferView
from Logger.uptime import Uptime
from tests.logger.facility import until

IGNORE = (".*", "*.tmp", "~$*", "*.part")


class TransferPC:
    """A PC.

    Parameters
    ----------
    folder
        For its watched folder, and for the logger's home.
    url
        The Gateway.
    **settings
        Of the transfer.
    """

    def __init__(self, folder: Path, url: str, **settings: Any) -> None:
        self.raw = folder / "raw"
        self.raw.mkdir(exist_ok=True)
        self.home = folder / "logger"
        self.url = url
        self.settings = replace(
            StationTransfer(on=True, folders=(("raw", str(self.raw)),), ignore=IGNORE, stable_seconds=0.1,
                            interval_seconds=0.1, chunk_size=64 * 1024),
            **settings,
        )  # fmt: skip
        self.outbox = Outbox(self.home / "pc.outbox", Uptime())
        self.pending = PendingTransfers(self.outbox)
        self.engine: TransferEngine | None = None

    def begin(self, session: str, token: str = "session-token") -> None:
        """Store a START that the facility knows."""
        self.outbox.add(EventKind.START, session, "Titan", "ann", transfer=self.settings)
        self.outbox.settle(self.outbox.waiting()[-1], EventReceipt(token=token))

    def end(self, session: str) -> None:
        """Store an END that the facility knows."""
        self.outbox.add(EventKind.END, session, "Titan", "ann")
        (event,) = self.outbox.waiting()
        assert event.transfers
        self.outbox.settle(event, EventReceipt(ended=True))
        if self.engine is not None:
            self.engine.wake()

    def start(self, patience: float = 600.0, workers: int = 2) -> TransferEngine:
        """Start an engine, as the logger does."""
        self.engine = TransferEngine(
            self.pending, TransferState(self.home / "pc.transfers"), lambda: GatewayTransfers(self.url, "token", ""),
            EngineClocks(Uptime(), chance=lambda: 0.0), workers, patience,
        )  # fmt: skip
        self.engine.wake()
        return self.engine

    def stop(self) -> None:
        if self.engine is not None:
            self.engine.stop()
            self.engine = None

    def write(self, name: str, content: bytes = b"data", mtime: float | None = None) -> Path:
        """Write a file into the watched folder."""
        path = self.raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if mtime is not None:
            os.utime(path, (mtime, mtime))
        return path

    def view(self, session: str) -> TransferView:
        assert self.engine is not None
        return self.engine.view(session) or TransferView(session)

    def stages(self, session: str) -> dict[str, str]:
        return {file.key.path: file.stage.value for file in self.view(session).files}

    def see(self, session: str, **stages: str) -> None:
        """Wait until files are in stages; ``__`` in a name stands for the dot."""
        wanted = {name.replace("__", "."): stage for name, stage in stages.items()}
        self.until(lambda: wanted.items() <= self.stages(session).items(), f"{wanted}, but {self.stages(session)}")

    @staticmethod
    def until(condition: Callable[[], bool], what: str) -> None:
        until(condition, what)

    def looked(self, session: str) -> None:
        """Wait until the first scan of a session is done and kept."""
        state = TransferState(self.home / "pc.transfers")
        self.until(lambda: session in (known := state.load().records) and known[session].looked, "the first scan")


def settled(condition: Callable[[], bool], seconds: float) -> bool:
    """Return whether something stays so for some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            return False
        time.sleep(0.02)
    return True
