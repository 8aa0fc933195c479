"""A folder of ``.eln`` archives, which electronic lab notebooks import: one for each record."""

from __future__ import annotations

from pathlib import Path

from NexusCore.config import NamedConfiguration
from NexusCore.config.forms import PATH
from NexusCore.plugins import Credentials
from Services.Uploader.destinations.eln.destination import ELN

CREDENTIALS = Credentials.NONE


def make(config: NamedConfiguration, home: Path) -> ELN:
    """Return the destination with the settings it has now; those that are missing get their defaults."""
    default = home.absolute() / "eln"
    config.set_default(
        "path", "", form=PATH,
        comment="Folder for .eln archives of finished records; empty for 'eln' in the service's NEXUSCORE_HOME.",
    )  # fmt: skip
    config.set_default("publisher", "NexusCore", comment="Name of the facility, as the archives state it.")
    config.set_default(
        "license", "", comment="Address of the licence that the records are under; empty: none is named."
    )
    path = Path(str(config["path"] or default)).expanduser().absolute()
    # Another folder has to be there: a share that isn't mounted must not be taken for an empty one.
    return ELN(path, str(config["publisher"] or "NexusCore"), str(config["license"] or ""), may_create=path == default)
