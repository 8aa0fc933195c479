"""The calls of the REST API of CDCS (core-main-app 2.x) that the destination makes; every answer is checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from NexusCore.config.store import near_miss
from NexusCore.errors import NexusError
from Services.Uploader.destinations.web import ServerResponse, Site

_PAGES = 1000
"""Pages of a list after which it is given up."""


class NotFound(NexusError):
    """{destination} has no {what} '{title}'; there are: {known}.{hint}"""  # noqa: D400


class Ambiguous(NexusError):
    """{destination} has {count} of the {what} '{title}'; give each a name of its own."""


class CdcsNotUnderstood(NexusError):
    """The answer of {destination} to {what} cannot be understood. Is it a CDCS, and is the address right?"""  # noqa: D400


@dataclass(frozen=True, slots=True)
class Remote:
    """A record as the server has it."""

    id: int
    template: int
    workspace: int | None
    content: str


@dataclass(frozen=True, slots=True)
class Blob:
    """A file as the server has it."""

    id: int
    name: str
    workspace: int | None


@dataclass(frozen=True, slots=True)
class CdcsApi:
    """A CDCS.

    Parameters
    ----------
    site
        Its server.
    content_key
        What it calls a record's XML.
    """

    site: Site
    content_key: str = "xml_content"

    # -- what there is -------------------------------------------------------------------------------------------------

    def workspace(self, title: str) -> int:
        """Return the id of the workspace of a name; of the global public one, which has no owner, for an empty name.

        Raises
        ------
        NotThere, NotOne
            If this user sees none, or several.
        """
        what = "the list of workspaces"
        rows = self._rows(self.site.get("rest/workspace/read_access", what), what)
        if title:
            matches = [row for row in rows if row.get("title") == title]
        else:
            matches = [row for row in rows if row.get("is_public") is True and row.get("owner") is None]
        return self._only(matches, "workspace", title or "(the global public one)", rows)

    def template(self, title: str) -> int:
        """Return the id of the current version of the template of a title.

        Raises
        ------
        NotThere, NotOne
            If there is none that is in use, or several.
        """
        what = "the list of templates"
        answer = self.site.get("rest/template-version-manager/global/", what, params={"is_disabled": "false"})
        rows = [row for row in self._rows(answer, what) if not row.get("is_disabled")]
        matches = [{"id": row.get("current")} for row in rows if row.get("title") == title]
        return self._only(matches, "template", title, rows)

    def _only(
        self, matches: Sequence[Mapping[str, Any]], what: str, title: str, rows: Sequence[Mapping[str, Any]]
    ) -> int:
        if len(matches) > 1:
            raise Ambiguous(destination=self.site.destination, count=len(matches), what=what, title=title)
        if not matches:
            known = [str(row.get("title")) for row in rows]
            raise NotFound(
                destination=self.site.destination,
                what=what,
                title=title,
                known=", ".join(known) or "none",
                hint=near_miss(title, known),
            )
        return int(matches[0]["id"])

    # -- records -------------------------------------------------------------------------------------------------------

    def find(self, title: str) -> list[Remote]:
        """Return this user's records of a title, oldest first."""
        return sorted((self._remote(row) for row in self._pages(title)), key=lambda remote: remote.id)

    def _pages(self, title: str) -> Iterator[Mapping[str, Any]]:
        what = "the list of records"
        for page in range(1, _PAGES):
            response = self.site.get("rest/data/", what, params={"title": title, "page": page}).json()
            if not isinstance(response, dict) or not isinstance(response.get("results"), list):
                raise CdcsNotUnderstood(destination=self.site.destination, what=what)
            # A filter that the server does not know is ignored, and everything comes.
            yield from (row for row in response["results"] if row.get("title") == title)
            if response.get("next") is None:
                return

    def create(self, title: str, template: int, workspace: int, content: str) -> None:
        """Make a record."""
        record = {"title": title, "template": str(template), "workspace": str(workspace), self.content_key: content}
        self.site.ask("POST", "rest/data/", "the new record", (201,), json=record)

    def change(self, record: int, content: str) -> None:
        """Give a record another content."""
        self.site.ask("PATCH", f"rest/data/{record}/", "the changed record", (200,), json={self.content_key: content})

    def assign(self, record: int, workspace: int) -> None:
        """Put a record into a workspace; unlike with all others, this path ends without a slash."""
        self.site.ask("PATCH", f"rest/data/{record}/assign/{workspace}", "putting it into the workspace", (200,))

    def delete(self, record: int) -> None:
        """Delete a record; one that is gone already is as good."""
        self.site.ask("DELETE", f"rest/data/{record}/", "deleting a record", (204, 404))

    def content(self, record: int) -> bytes:
        """Return the bytes of a record."""
        return self.site.get(f"rest/data/download/{record}/", "reading the record back").content

    def _remote(self, row: Mapping[str, Any]) -> Remote:
        # The answers of all versions have it under one of the two names, independent of `content_key`.
        content = row.get("xml_content", row.get("content"))
        return Remote(int(row["id"]), int(row["template"]), _id_of(row), str(content or ""))

    # -- blobs ---------------------------------------------------------------------------------------------------------

    def blobs(self, prefix: str) -> list[Blob]:
        """Return this user's blobs whose names begin with a text, oldest first."""
        what = "the list of blobs"
        wanted = {"filename": f"^{re.escape(prefix)}", "regex": "true"}
        rows = self._rows(self.site.get("rest/blob/", what, params=wanted), what)
        blobs = [Blob(int(row["id"]), str(row["filename"]), _id_of(row)) for row in rows]
        return sorted((file for file in blobs if file.name.startswith(prefix)), key=lambda file: file.id)

    def add_blob(self, name: str, file: BinaryIO) -> Blob:
        """Store a file."""
        files = {"blob": (name, file, "application/octet-stream")}
        answer = self.site.ask("POST", "rest/blob/", "a file", (201,), data={"filename": name}, files=files)
        row = answer.json()
        if not isinstance(row, dict) or row.get("filename") != name:
            raise CdcsNotUnderstood(destination=self.site.destination, what="a file")
        return Blob(int(row["id"]), name, _id_of(row))

    def assign_blob(self, blob: int, workspace: int) -> None:
        """Put a blob into a workspace."""
        self.site.ask("PATCH", f"rest/blob/{blob}/assign/{workspace}", "putting a file into the workspace", (200,))

    def delete_blob(self, blob: int) -> None:
        """Delete a blob; one that is gone already is as good."""
        self.site.ask("DELETE", f"rest/blob/{blob}/", "deleting a file", (204, 404))

    # -- answers -------------------------------------------------------------------------------------------------------

    def _rows(self, answer: ServerResponse, what: str) -> list[Mapping[str, Any]]:
        rows = answer.json()
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise CdcsNotUnderstood(destination=self.site.destination, what=what)
        return rows


def _id_of(row: Mapping[str, Any]) -> int | None:
    """Return the id of the workspace of a record or blob."""
    workspace = row.get("workspace")
    return int(workspace) if workspace is not None else None
