"""eLabFTW, an electronic lab notebook: an experiment for each record, with its files attached (API v2, from 5.1 on)."""

from __future__ import annotations

from pathlib import Path

from NexusCore.config import NamedConfiguration
from NexusCore.config.forms import URL
from Services.Uploader.destinations.credentials import Key, key_of
from Services.Uploader.destinations.elabftw.api import ElabftwApi
from Services.Uploader.destinations.elabftw.destination import ELabFTW
from Services.Uploader.destinations.web import Site, upload_limits_of


def make(config: NamedConfiguration, home: Path) -> ELabFTW:
    """Return the destination with the settings it has now; those that are missing get their defaults."""
    default = config.set_default
    default("url", "", form=URL, comment="Address of the eLabFTW, such as https://eln.example.org.")
    config.set_default("token", "", comment="API key that can write (or NEXUSCORE_ELABFTW_TOKEN).", secret=True)
    default("tags", "NexusCore", comment="Tags that each experiment gets, with commas.")
    url = str(config["url"] or "").rstrip("/")
    limits, key = upload_limits_of(config), key_of(ELabFTW.name, config)
    site = Site(ELabFTW.name, url, limits, Key(key) if key else None)
    tags = tuple(tag.strip() for tag in str(config["tags"] or "").split(",") if tag.strip())
    return ELabFTW(ElabftwApi(site), tags)
