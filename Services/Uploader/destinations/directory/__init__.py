"""A folder: on this machine, or a share that is mounted there."""

from __future__ import annotations

from pathlib import Path

from NexusCore.config import NamedConfiguration
from NexusCore.config.forms import PATH
from NexusCore.plugins import Credentials
from Services.Uploader.destinations.directory.destination import Directory

CREDENTIALS = Credentials.NONE


def make(config: NamedConfiguration, home: Path) -> Directory:
    """Return the destination with the settings it has now; those that are missing get their defaults."""
    default = home.absolute() / "uploaded"
    config.set_default(
        "path", "", form=PATH,
        comment="Folder that finished records are copied to; empty for 'uploaded' in the service's NEXUSCORE_HOME.",
    )  # fmt: skip
    path = Path(str(config["path"] or default)).expanduser().absolute()
    # Another folder has to be there: a share that isn't mounted must not be taken for an empty one.
    return Directory(path, may_create=path == default, with_page=True)
