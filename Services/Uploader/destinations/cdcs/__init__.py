"""A CDCS, the Configurable Data Curation System: records that can be searched, and read without login."""

from __future__ import annotations

from pathlib import Path

from NexusCore.config import NamedConfiguration
from NexusCore.config.forms import PATH, URL
from NexusCore.http import login_of
from Services.Uploader.destinations.cdcs.api import CdcsApi
from Services.Uploader.destinations.cdcs.destination import CDCS, Choice
from Services.Uploader.destinations.cdcs.files import Blobs, Files, Share
from Services.Uploader.destinations.cdcs.layouts import LAYOUTS, VIEWER, Layout, PlainLayout, ViewerFiles, ViewerLayout
from Services.Uploader.destinations.credentials import Key, key_of
from Services.Uploader.destinations.web import Site, upload_limits_of


def make(config: NamedConfiguration, home: Path) -> CDCS:
    """Return the destination with the settings it has now; those that are missing get their defaults."""
    default = config.set_default
    default("url", "", form=URL, comment="Address of the CDCS, such as https://cdcs.example.org.")
    default("public_url", "", form=URL, comment="Address under which readers reach it, where that is another one.")
    config.set_default(
        "token", "", comment="Token of the user whom the records belong to (or NEXUSCORE_CDCS_TOKEN).", secret=True
    )
    default("template", "Nexus Experiment Schema", comment="Title of the template of the records.")
    default("workspace", "", comment="Name of the workspace of the records; empty: the global public one.")
    default(
        "content_key",
        "xml_content",
        comment="What the server calls a record's XML (`content` where it is configured so).",
        choices=("xml_content", "content"),
    )
    default(
        "layout",
        VIEWER,
        comment="How records are sent: 'nexuslims' as the site's NexusLIMS viewer reads them, or 'plain', as they are.",
        choices=LAYOUTS,
    )
    default(
        "pid", False, comment="Whether a record of the layout 'nexuslims' brings its own PID: the session's identifier."
    )
    default(
        "files_path",
        "",
        form=PATH,
        comment="Folder that a web server shows, for previews and metadata; for the layout 'nexuslims' the one that "
        "the site's previewBaseUrl leads to. Empty, with the layout 'plain': CDCS blobs.",
    )
    default("files_url", "", form=URL, comment="For the layout 'plain': the address under which that folder is shown.")
    url = str(config["url"] or "").rstrip("/")
    limits, key = upload_limits_of(config), key_of(CDCS.name, config)
    site = Site(CDCS.name, url, limits, Key(f"Token {key}") if key else login_of(CDCS.name))
    api = CdcsApi(site, str(config["content_key"]))
    public = str(config["public_url"] or "").rstrip("/") or url
    share = Path(str(config["files_path"])).expanduser() if config["files_path"] else None
    files: Files
    layout: Layout
    if config["layout"] == VIEWER:
        files, layout = ViewerFiles(share), ViewerLayout(pid=bool(config["pid"]))
    else:
        files = Share(share, str(config["files_url"] or "")) if share else Blobs(api, public)
        layout = PlainLayout()
    choice = Choice(str(config["template"] or ""), str(config["workspace"] or ""))
    return CDCS(api, choice, files, public, layout)
