"""Puts records into a CDCS, under the names of their files.

Promises
--------
* A record is there once: it is looked for before it is sent and again after a lost answer. Of duplicates the one of
  the lowest number stays, in every Uploader, so that no two delete each other's.
* It counts as sent when it is in its workspace: elsewhere, readers do not see it.
* A name belongs to its session; a record of that name that is not its own is left alone.
* What the server finds invalid is not sent again; its message is reported.
* What is sent is the record in a stated layout, and what is read back is compared with that. The PID that a site writes
  into it is kept when the record is sent again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from xml.sax.saxutils import escape

from NexusCore.facility import Record
from Services.Uploader.destinations import DestinationAway, NotTaken, Receipt, RecordRefused, content_of, obstacle
from Services.Uploader.destinations.cdcs.api import Ambiguous, CdcsApi, CdcsNotUnderstood, NotFound, Remote
from Services.Uploader.destinations.cdcs.files import Files, beside, linked_paths
from Services.Uploader.destinations.cdcs.layouts import Layout
from Services.Uploader.destinations.cdcs.pids import is_as_sent, site_pid, with_pid
from Services.Uploader.destinations.web import Unexpected, address_fault

_RECORD_REFUSED_STATUSES = (400, 413)
"""Answers to a record that say something of the record itself."""
_PASSING_MESSAGE = re.compile(
    r"\brights?\b|\bpermissions?\b|\bnot authenticated\b|\bAuthentication credentials\b|\bdatabase is locked\b",
    re.IGNORECASE,
)
"""What a 500 with a sentence says where the record is not at fault; all else is a validator's. Those of CDCS's own
(core_main_app 2.18) are about missing rights, which may be granted, and about SQLite, its database, being busy."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Where in the CDCS records go."""

    template: str
    """Title of the template."""
    workspace: str
    """Name of the workspace; empty for the global public one."""


@dataclass(frozen=True, slots=True)
class _Target:
    """The same, by the server's numbers."""

    template: int
    workspace: int


@dataclass(frozen=True, slots=True)
class CDCS:
    """The destination ``cdcs``.

    Parameters
    ----------
    api
        The server.
    choice
        Template and workspace.
    files
        Where previews and metadata go.
    public
        Address under which readers reach the server.
    layout
        How the record that is sent is arranged.
    """

    name: ClassVar[str] = "cdcs"

    api: CdcsApi
    choice: Choice
    files: Files
    public: str
    layout: Layout

    def check(self) -> list[str]:
        """Say whether the server lets this user in, and has the template and the workspace."""
        fault = address_fault(self.api.site.url)
        if fault:
            return [f"Services.Uploader.cdcs.url cannot be used: {fault}"]
        if self.api.site.authorise is None:
            return ["it requires a token: set Services.Uploader.cdcs.token, or NEXUSCORE_CDCS_TOKEN in the environment"]
        try:
            self._place()
        except (DestinationAway, Ambiguous, NotFound, CdcsNotUnderstood, Unexpected) as error:
            return [obstacle(error)]
        return self.files.check()

    def put(self, record: Record) -> Receipt:
        """Have a record and its files there, once."""
        with self.api.site.connected():
            return self._put(record)

    def _put(self, record: Record) -> Receipt:
        place = self._place()
        older = self._copies(record)
        document = content_of(Path(record.path))
        links = self.files.place(record, linked_paths(document, beside(record)), place.workspace)
        document = self.layout.arranged(document, links, record.session)
        kept = _copy_to_keep(older, place)
        if kept is not None:
            document = with_pid(document, site_pid(kept.content, record.session))
        content = document.decode()
        try:
            self._store(record, place, older, content)
        except RecordRefused:
            self.files.clear(record, "".join(copy.content for copy in older))
            raise
        remote = self._reduce_to_one(record, place, content)
        self.files.clear(record, content)
        remark = f"it replaces the older version of the record of session {record.session}" if older else None
        if any(is_as_sent(copy.content, content, record.session) for copy in older):
            remark = "it was there already"
        # With the site's own PID in it, it is not the same bytes any more.
        whole = remote.content if is_as_sent(remote.content, content, record.session) else content
        return Receipt(
            self.name,
            str(remote.id),
            f"{self.public}/data?id={remote.id}",
            remark,
            hashlib.sha256(whole.encode()).hexdigest(),
            site_pid(remote.content, record.session),
        )

    def fetch(self, receipt: Receipt) -> bytes:
        """Return the record as the server gives it away."""
        return self.api.content(int(receipt.remote_id))

    # -- the one copy --------------------------------------------------------------------------------------------------

    def _place(self) -> _Target:
        return _Target(self.api.template(self.choice.template), self.api.workspace(self.choice.workspace))

    def _copies(self, record: Record) -> list[Remote]:
        """Return what is there of a record, oldest first."""
        copies = self.api.find(record.title)
        if any(escape(record.session) not in copy.content for copy in copies):
            raise self._not_taken(record, f"there is a record '{record.title}' of another session")
        return copies

    def _store(self, record: Record, place: _Target, there: Sequence[Remote], content: str) -> None:
        """Send the record, unless it is there; look again if the answer gets lost."""
        same = _copy_to_keep(there, place)
        if same is not None and is_as_sent(same.content, content, record.session):
            return
        try:
            if same is not None:
                self._send(record, lambda: self.api.change(same.id, content))
            else:
                self._send(record, lambda: self.api.create(record.title, place.template, place.workspace, content))
        except DestinationAway:
            if not any(is_as_sent(copy.content, content, record.session) for copy in self._copies(record)):
                raise

    def _send(self, record: Record, request: Callable[[], None]) -> None:
        """Send a record's content; what the server finds wrong in it is final."""
        try:
            request()
        except Unexpected as error:
            message = str(error.facts["said"])
            invalid = error.status == 500 and not _PASSING_MESSAGE.search(message)
            if error.status not in _RECORD_REFUSED_STATUSES and not invalid:
                raise
            facts = {"destination": self.name, "title": record.title, "session": record.session}
            raise RecordRefused(**facts, reason=message) from None

    def _reduce_to_one(self, record: Record, place: _Target, content: str) -> Remote:
        """See to it that one copy is there, in its workspace; return it."""
        copies = self._copies(record)
        remaining = _copy_to_keep(copies, place)
        if remaining is None:
            raise self._not_taken(record, "it was accepted, but is missing in the list of records")
        if not is_as_sent(remaining.content, content, record.session):
            number = remaining.id
            self._send(record, lambda: self.api.change(number, content))
            remaining = next((copy for copy in self._copies(record) if copy.id == number), remaining)
        if remaining.workspace != place.workspace:
            self.api.assign(remaining.id, place.workspace)
        for copy in copies:
            if copy.id != remaining.id:
                self.api.delete(copy.id)
        return remaining

    def _not_taken(self, record: Record, reason: str) -> NotTaken:
        return NotTaken(destination=self.name, title=record.title, reason=reason)


def _copy_to_keep(copies: Sequence[Remote], place: _Target) -> Remote | None:
    """Return the copy that stays: a record keeps the version of the template that it was made with."""
    return next((copy for copy in copies if copy.template == place.template), None)
