"""What the tests of ConfigUI look at: a small facility's configuration, on an emulated terminal."""

from __future__ import annotations

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import ConfigStore, Edit, HistoryEntry
from NexusCore.config.values import Limits
from NexusCore.storage import Database
from tests.tools.emulated import Emulated
from tests.tools.programs import command

INTERVAL = "Services.Builder.interval"
LONG = "電子顯微鏡/データ/" + "sehr-langer-Name-" * 12 + "Ende"

FACILITY = (
    Edit("Instruments.FEI-Titan-TEM.filestore_path", value="./Titan", comment="Folder of the instrument's files"),
    Edit("Instruments.FEI-Titan-TEM.computer_name", value="TITAN52331880"),
    Edit("Instruments.Quanta-FEG-650-SEM.filestore_path", value="./Quanta"),
    Edit(INTERVAL, value=30, comment="Seconds between two looks", limits=Limits(minimum=1, maximum=3600)),
    Edit("Services.Builder.enabled", value=True, comment="Whether records are built"),
    Edit("Services.Builder.colours", value="gray", limits=Limits(choices=("gray", "viridis", "inferno"))),
    Edit("Services.Harvester.token", value="s3cr3t", limits=Limits(secret=True, pattern=r"\w{4,}")),
    Edit("Services.Uploader.place", value=LONG),
    Edit("Services.Uploader.text", value="one\ntwo\x1b[31m"),
)


def ui(*words: str, rows: int = 24, columns: int = 80, **variables: str) -> Emulated:
    return Emulated(command("ConfigUI", *words), rows, columns, **variables)


def history(database: Database, path: str) -> list[HistoryEntry]:
    return ConfigStore(database, SYSTEM_CLOCK).history(1, path)


def value(database: Database, path: str) -> str | None:
    found = ConfigStore(database, SYSTEM_CLOCK).find(1, path)
    return found.value if found else None
