"""The list of a session's files that is stored beside them when their transfer ends."""

from __future__ import annotations

from NexusCore.clock import readable_time
from NexusCore.facility import Session
from NexusCore.facility.transfer_end import why
from NexusCore.facility.transfer_file import FileState, TransferFile
from NexusCore.facility.transfers import Transfers
from NexusCore.text import json_text
from Services.Gateway.store_room import StoreRoom, manifest_name

VERSION = 1
"""Of the form of the list."""


def write_manifest(transfers: Transfers, stores: StoreRoom, session: Session, chunk: int) -> None:
    """Store the list of a session's files in each store that has some of them.

    Raises
    ------
    StoreUnavailable, StoreFull
        If it cannot be stored.
    """
    files = list(transfers.all(session.id))
    names = {file.store for file in files if file.object is not None} or {stores.settings(session.instrument).store}
    content = json_text(_content(session, files), indent=1).encode()
    for name in sorted(names):
        store = stores.of(session.instrument, name, chunk)
        store.write(manifest_name(session.instrument, name, session.identifier), content)


def _content(session: Session, files: list[TransferFile]) -> dict[str, object]:
    verified = [file for file in files if file.state is FileState.VERIFIED]
    removed = [file for file in files if file.state is FileState.GONE]
    missing = [file for file in files if file.state not in (FileState.VERIFIED, FileState.GONE)]
    return {
        "manifest": VERSION,
        "session": session.identifier,
        "instrument": session.instrument,
        "user": session.user,
        "start": _time(session.start_ts),
        "end": _time(session.end_ts),
        "files": [
            {
                **_named(file),
                "store": file.store,
                "object": file.object,
                "size": file.size,
                "md5": file.md5,
                "modified": _time(file.modified_ts),
                "verified": _time(file.verified_ts),
            }
            for file in verified
        ],
        "missing": [{**_named(file), "state": file.state.value, "reason": why(file)} for file in missing],
        "removed": [_named(file) for file in removed],
    }


def _named(file: TransferFile) -> dict[str, object]:
    return {"folder": file.folder, "path": file.path}


def _time(ts: int | None) -> str | None:
    moment = readable_time(ts)
    return None if moment is None else moment.isoformat()
