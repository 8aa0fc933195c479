"""Puts each record into eLabFTW as an experiment with its files.

Promises
--------
* There is one experiment for a session: it carries the session's identifier from the moment it is made, and is looked
  for by that before one is made, and again after an answer that got lost.
* Title, text and tags are written once: what people write there is theirs. Only the files follow the record.
* A file that is there already is not sent again; a newer version replaces it, and the server keeps the older one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from NexusCore.facility import Record
from Services.Uploader.destinations import (
    DestinationAway,
    NotTaken,
    Receipt,
    RecordRefused,
    content_of,
    digest_of,
    obstacle,
    open_of,
)
from Services.Uploader.destinations.elabftw.api import Attachment, ElabftwApi, ElabftwNotUnderstood
from Services.Uploader.destinations.record_files import files_beside
from Services.Uploader.destinations.record_summary import about
from Services.Uploader.destinations.web import Unexpected, address_fault

_REFUSED_STATUSES = (400, 413, 422)
"""Answers that say something of what was sent."""
_LONGEST_FILE_NAME = 200
"""Characters of the name of a file."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class ELabFTW:
    """The destination ``elabftw``.

    Parameters
    ----------
    api
        The server.
    tags
        What each experiment is tagged with.
    """

    name: ClassVar[str] = "elabftw"

    api: ElabftwApi
    tags: tuple[str, ...] = ()

    def check(self) -> list[str]:
        """Say whether the server lets this key in."""
        fault = address_fault(self.api.site.url)
        if fault:
            return [f"Services.Uploader.elabftw.url cannot be used: {fault}"]
        if self.api.site.authorise is None:
            return ["it requires an API key: set Services.Uploader.elabftw.token, or NEXUSCORE_ELABFTW_TOKEN"]
        try:
            self.api.check_access()
        except (DestinationAway, ElabftwNotUnderstood, Unexpected) as error:
            return [obstacle(error)]
        return []

    def put(self, record: Record) -> Receipt:
        """Have the experiment of a record and its files there, once."""
        try:
            experiments = self.api.experiments(record.session)
            experiment = experiments[0] if experiments else self._create(record)
            remarks = self._tag(record, experiment)
            xml = self._attach_all(record, experiment)
        except Unexpected as error:
            if error.status in _REFUSED_STATUSES:
                facts = {"destination": self.name, "title": record.title, "session": record.session}
                raise RecordRefused(**facts, reason=f"{error.facts['said']} ({error.facts['what']})") from None
            raise
        except OSError as error:
            reason = f"{error.strerror} ({error.filename})"
            raise NotTaken(destination=self.name, title=record.title, reason=reason) from None
        if experiments:
            remarks.append("the experiment was there already")
        url = f"{self.api.site.url}/experiments.php?mode=view&id={experiment}"
        return Receipt(self.name, f"{experiment}/{xml}", url, "; ".join(remarks) or None)

    def fetch(self, receipt: Receipt) -> bytes:
        """Return the record as it is attached to its experiment."""
        experiment, _, xml = receipt.remote_id.partition("/")
        return self.api.content(int(experiment), int(xml))

    def _create(self, record: Record) -> int:
        gist = about(content_of(Path(record.path)))
        try:
            return self.api.create(record.session, gist.title or record.title, gist.html(record.session))
        except DestinationAway:
            experiments = self.api.experiments(record.session)
            if not experiments:
                raise
            return experiments[0]

    def _tag(self, record: Record, experiment: int) -> list[str]:
        """Tag an experiment whose record is not attached yet; return sentences on tags that the server refuses.

        A team may let only administrators make new tags; the record is not at fault, and is sent without them.
        """
        xml = Path(record.path)
        if not self.tags or any(upload.name == _name(xml, xml) for upload in self.api.attached(experiment)):
            return []
        there, refused = self.api.tags(experiment), []
        for tag in self.tags:
            if tag not in there:
                try:
                    self.api.tag(experiment, tag)
                except Unexpected as error:
                    refused.append(f"it does not take the tag '{tag}' ({str(error.facts['said']).rstrip('.')})")
        return refused

    def _attach_all(self, record: Record, experiment: int) -> int:
        """Attach the record and its files, and detach what only an older version had; return the id of the record."""
        xml = Path(record.path)
        # The record comes last: one that is there has its files.
        wanted = {_name(xml, file): file for file in (*files_beside(xml), xml)}
        there: dict[str, Attachment] = {}
        surplus = []
        for upload in self.api.attached(experiment):
            if upload.name in there:
                surplus.append(there[upload.name])  # sent twice, its first answer lost
            there[upload.name] = upload
        ids = {name: self._attach(experiment, name, xml, file, there) for name, file in wanted.items()}
        # What people have attached is theirs: only names that are given here are taken away.
        gone = [upload for name, upload in there.items() if name not in wanted]
        for upload in (*surplus, *gone):
            if upload.name.startswith(_prefix(xml)):
                self.api.detach(experiment, upload.id)
        return ids[_name(xml, xml)]

    def _attach(self, experiment: int, name: str, xml: Path, file: Path, there: Mapping[str, Attachment]) -> int:
        old = there.get(name)
        if old is not None and _same(old, xml, file):
            return old.id
        with open_of(xml, file) as opened:
            return self.api.attach(experiment, name, opened, instead_of=old.id if old is not None else None)


def _same(old: Attachment, xml: Path, file: Path) -> bool:
    if old.sha256 is not None:
        return digest_of(xml, file) == old.sha256
    return file.stat(follow_symlinks=False).st_size == old.size


def _name(record: Path, file: Path) -> str:
    """Return the name of a file there, without folders, of characters that no server changes."""
    if file == record:
        return f"{_prefix(record)}xml"
    path = file.relative_to(record.parent).as_posix().encode("utf-8", "surrogateescape")
    start = f"{_prefix(record)}{hashlib.sha256(path).hexdigest()[:8]}."
    return start + _UNSAFE.sub("_", file.name)[len(start) - _LONGEST_FILE_NAME :]


def _prefix(record: Path) -> str:
    return f"{_UNSAFE.sub('_', record.stem)}."
