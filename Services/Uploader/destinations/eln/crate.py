"""What stands in the ``ro-crate-metadata.json`` of an archive.

The file format is that of The ELN Consortium (github.com/TheELNConsortium/TheELNFileFormat, SPECIFICATION.md): a ZIP
archive with one folder, named like the archive, that is an RO-Crate 1.1 (w3id.org/ro/crate/1.1).
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from NexusCore.clock import to_datetime
from NexusCore.facility import Record
from Services.Uploader.destinations.record_summary import About

METADATA_FILE = "ro-crate-metadata.json"
EXPERIMENT_FOLDER = "experiment"
"""Folder of the record and its files in the archive's own."""
_CRATE_VERSION = "https://w3id.org/ro/crate/1.1"
_MEDIA_TYPES = {".xml": "application/xml", ".json": "application/json", ".png": "image/png", ".html": "text/html"}
"""Types of the Builder's files; those of others are guessed."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the archive."""

    path: str
    """Path in the folder of the experiment."""
    file: Path
    size: int
    sha256: str
    content: bytes | None = None
    """What is in it; None to read it from the file."""


def metadata(record: Record, gist: About, parts: Sequence[Part], publisher: str, licence: str) -> bytes:
    """Return the description of a record's archive; the same record yields the same bytes.

    Parameters
    ----------
    record, gist
        The record, and what it is about.
    parts
        Its files.
    publisher, licence
        Name of the facility; address of the licence, or an empty text.
    """
    # Whole seconds: some readers take no more.
    built = to_datetime(record.built_ts).replace(microsecond=0).isoformat()
    people = [{"@id": f"#person-{n}", "@type": "Person", "name": name} for n, name in enumerate(gist.experimenters, 1)]
    files = [_file(part) for part in parts]
    experiment: dict[str, Any] = {
        "@id": f"./{EXPERIMENT_FOLDER}/",
        "@type": "Dataset",
        "name": gist.title or record.title,
        "identifier": record.session,
        "dateCreated": gist.start or built,
        "dateModified": built,
        "text": gist.html(record.session),
        "encodingFormat": "text/html",
        "keywords": ", ".join(filter(None, ("electron microscopy", gist.instrument))),
        "author": [{"@id": person["@id"]} for person in people],
        "hasPart": [{"@id": file["@id"]} for file in files],
    }
    root: dict[str, Any] = {
        "@id": "./",
        "@type": "Dataset",
        "name": record.title,
        "description": f"Record of an electron-microscopy session, made by {record.software}",
        "datePublished": built,
        "publisher": {"@id": "#publisher"},
        "hasPart": [{"@id": experiment["@id"]}, *experiment["hasPart"]],
    }
    rights = []
    if licence:
        root["license"] = {"@id": licence}
        rights = [{"@id": licence, "@type": "CreativeWork", "name": licence}]
    descriptor = {
        "@id": METADATA_FILE,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": _CRATE_VERSION},
        "dateCreated": built,
        "version": "1.0",
        "sdPublisher": {"@id": "#publisher"},
    }
    organisation = {"@id": "#publisher", "@type": "Organization", "name": publisher}
    graph = [descriptor, root, experiment, *files, *people, organisation, *rights]
    return json.dumps({"@context": f"{_CRATE_VERSION}/context", "@graph": graph}, ensure_ascii=False, indent=1).encode()


def _file(part: Part) -> dict[str, str]:
    name = part.path.rpartition("/")[2]
    suffix = Path(name).suffix.lower()
    return {
        "@id": f"./{EXPERIMENT_FOLDER}/{quote(part.path)}",
        "@type": "File",
        "name": name,
        "encodingFormat": _MEDIA_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream",
        "contentSize": str(part.size),
        "sha256": part.sha256,
    }
