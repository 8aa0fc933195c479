"""A logger without a window, for the transfer alone: a process that can be killed.

``python -m tests.logger.headless_transfer JSON`` with `home`, `url`, `token`, `patience`, `stable`, `constants` of
`Logger.transfer.retrying`, `repairs` (an instrument) and `raw` (its folder); it ends with its input.
"""

from __future__ import annotations

import json
import logging
import select
import sys
from dataclasses import replace
from pathlib import Path

from Logger.outbox import Outbox
from Logger.transfer import reporting, retrying
from Logger.transfer.engine import EngineClocks, TransferEngine
from Logger.transfer.link import GatewayTransfers
from Logger.transfer.pending import PendingTransfer, PendingTransfers
from Logger.transfer.state import TransferState
from Logger.uptime import Uptime


class _Quick(PendingTransfers):
    """Sessions that wait less than a second, which the Gateway's settings do not allow."""

    seconds = 0.3

    def all(self) -> list[PendingTransfer]:
        quick = {"stable_seconds": self.seconds, "interval_seconds": self.seconds}
        return [replace(one, settings=replace(one.settings, **quick)) for one in super().all()]


def main() -> None:
    asked = json.loads(sys.argv[1])
    for name, value in asked["constants"].items():
        setattr(retrying, name, value)
    _Quick.seconds = asked["stable"]
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(threadName)s %(message)s")
    home = Path(asked["home"])
    engine = TransferEngine(
        _Quick(Outbox(home / "pc.outbox", Uptime())),
        TransferState(home / "pc.transfers"),
        lambda: GatewayTransfers(asked["url"], asked["token"], ""),
        EngineClocks(Uptime()),
        patience=asked["patience"],
    )
    engine.wake()
    if asked["repairs"]:
        reporting.REPAIR_SECONDS = 0.5
        engine.watch_repairs(asked["repairs"], [("raw", asked["raw"])])
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.2)[0]:
        engine.wake()  # the session is started and ended by another process
    engine.stop()


if __name__ == "__main__":
    main()
