"""The calls of eLabFTW's API v2 that the destination makes; every answer is checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from NexusCore.errors import NexusError
from Services.Uploader.destinations.web import ServerResponse, Site

SESSION_FIELD = "NexusCore session"
"""Name of the extra field that says which session an experiment is of."""
_PAGE = 100
_HTML = 1
"""Content type of a text; where none is given, the user's setting decides, which may be Markdown."""
_NORMAL = 1
"""State of what is neither archived nor deleted."""


class ElabftwNotUnderstood(NexusError):
    """The answer of {destination} to {what} cannot be understood. Is it an eLabFTW, and is the address right?"""  # noqa: D400


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of an experiment as the server has it."""

    id: int
    name: str
    sha256: str | None
    """None of a large file: the server does not hash those."""
    size: int


@dataclass(frozen=True, slots=True)
class ElabftwApi:
    """An eLabFTW.

    Parameters
    ----------
    site
        Its server.
    """

    site: Site

    def check_access(self) -> None:
        """Ask for anything, to see whether the key is let in."""
        what = "the list of experiments"
        self._rows(self._get("experiments", what, params={"limit": 1}), what)

    def experiments(self, session: str) -> list[int]:
        """Return the experiments of a session, oldest first, even if title or text were changed."""
        what = "the list of experiments"
        query = {"extended": f'extrafield:"{SESSION_FIELD}":"{session}"', "full": 1, "limit": _PAGE}
        rows = self._rows(self._get("experiments", what, params=query), what)
        # A filter that the server does not know is ignored, and everything comes.
        return sorted(int(row["id"]) for row in rows if _session_of(row) == session)

    def create(self, session: str, title: str, body: str) -> int:
        """Make an experiment that carries the session's mark from the start; return its id."""
        experiment = {"title": title, "body": body, "content_type": _HTML, "metadata": _session_mark(session)}
        return self._created_id(self._ask("POST", "experiments", "the new experiment", 201, json=experiment))

    def tags(self, experiment: int) -> set[str]:
        """Return the tags of an experiment."""
        what = "the list of tags"
        return {str(row.get("tag")) for row in self._rows(self._get(f"experiments/{experiment}/tags", what), what)}

    def tag(self, experiment: int, tag: str) -> None:
        """Tag an experiment; the server does not look whether it has the tag already."""
        self._ask("POST", f"experiments/{experiment}/tags", f"the tag '{tag}'", 201, json={"tag": tag})

    def attached(self, experiment: int) -> list[Attachment]:
        """Return the files of an experiment, oldest first."""
        what = "the list of files"
        rows = self._rows(self._get(f"experiments/{experiment}/uploads", what), what)
        files = [
            Attachment(
                id=int(row["id"]),
                name=str(row.get("real_name")),
                sha256=str(row.get("hash")) if row.get("hash_algorithm") == "sha256" and row.get("hash") else None,
                size=int(row.get("filesize") or 0),
            )
            for row in rows
            if int(row.get("state") or _NORMAL) == _NORMAL
        ]
        return sorted(files, key=lambda experiment: experiment.id)

    def attach(self, experiment: int, name: str, file: BinaryIO, instead_of: int | None = None) -> int:
        """Attach a file, instead of another one if that is given, which is archived; return its id."""
        place = f"experiments/{experiment}/uploads" + (f"/{instead_of}" if instead_of is not None else "")
        form = {"action": "replace"} if instead_of is not None else {"comment": "Added by NexusCore"}
        files = {"file": (name, file, "application/octet-stream")}
        return self._created_id(self._ask("POST", place, "a file", 201, data=form, files=files))

    def detach(self, experiment: int, attached: int) -> None:
        """Delete a file; one that is gone already is as good."""
        self._ask("DELETE", f"experiments/{experiment}/uploads/{attached}", "deleting a file", 204, 404)

    def content(self, experiment: int, attached: int) -> bytes:
        """Return the bytes of a file."""
        place = f"experiments/{experiment}/uploads/{attached}"
        return self._get(place, "reading the record back", params={"format": "binary"}).content

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _get(self, place: str, what: str, **more: Any) -> ServerResponse:
        return self.site.get(f"api/v2/{place}", what, **more)

    def _ask(self, method: str, place: str, what: str, *expected: int, **more: Any) -> ServerResponse:
        return self.site.ask(method, f"api/v2/{place}", what, expected, **more)

    def _created_id(self, answer: ServerResponse) -> int:
        """Return the id of what was made, which stands only in its address."""
        number = answer.location.rstrip("/").rpartition("/")[2]
        if not number.isdecimal():
            raise ElabftwNotUnderstood(destination=self.site.destination, what="something new")
        return int(number)

    def _rows(self, answer: ServerResponse, what: str) -> list[Mapping[str, Any]]:
        rows = answer.json()
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ElabftwNotUnderstood(destination=self.site.destination, what=what)
        return rows


def _session_mark(session: str) -> dict[str, Any]:
    return {"extra_fields": {SESSION_FIELD: {"type": "text", "value": session, "readonly": True}}}


def _session_of(row: Mapping[str, Any]) -> str | None:
    """Return the session that an experiment is marked with; the server hands its metadata out as a text."""
    metadata = row.get("metadata")
    try:
        response: Any = json.loads(metadata) if isinstance(metadata, str) else metadata
        return str(response["extra_fields"][SESSION_FIELD]["value"])
    except (ValueError, KeyError, TypeError):
        return None
