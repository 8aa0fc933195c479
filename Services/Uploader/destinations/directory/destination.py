"""Copies records, with their previews and metadata, into a folder.

Promises
--------
* A file is there whole or not at all: it is written under another name in the same folder, synced, read back, compared
  and then renamed. The XML comes last, so it never names what isn't there.
* A record's name belongs to its session; what another session or somebody else put there is left alone.
* The same record twice leaves one copy; a newer version replaces the older one, and what only that had goes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from NexusCore.facility import Record
from Services.Uploader.destinations import NotTaken, Receipt, digest, files_below, files_of
from Services.Uploader.destinations.whole import HIDDEN, replacing, writing_into

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Directory:
    """The destination ``directory``.

    Parameters
    ----------
    path
        The folder.
    may_create
        Make it if it isn't there.
    """

    name: ClassVar[str] = "directory"

    path: Path
    may_create: bool = False

    def check(self) -> list[str]:
        """Say whether the folder is there and can be written to."""
        place = self.path
        try:
            while self.may_create and not place.exists() and place != place.parent:
                place = place.parent
            if not place.exists():
                return [f"the folder {self.path} does not exist (is the share mounted?)"]
            if not place.is_dir():
                return [f"{place} is no folder"]
        except OSError as error:
            return [f"{place} cannot be reached: {error.strerror}"]
        return [] if os.access(place, os.W_OK | os.X_OK) else [f"this user may not write in {place}"]

    def put(self, record: Record) -> Receipt:
        """Copy a record and what belongs to it."""
        target = self.path / Path(record.path).name
        try:
            if target.exists() and target.samefile(record.path):
                return Receipt(self.name, target.name, target.as_uri(), "it lies in the Builder's own folder")
            if self.may_create:
                self.path.mkdir(parents=True, exist_ok=True)
            with writing_into(self.path) as first:
                if not first:
                    raise self._not_taken(record, f"another Uploader is writing into {self.path}")
                older = self._claim(record, target)
                self._place_all(record, target)
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise self._not_taken(record, f"{error.strerror or error}{where}") from error
        remark = f"it replaces the older version of the record of session {record.session}" if older else None
        return Receipt(self.name, target.name, target.as_uri(), remark)

    def fetch(self, receipt: Receipt) -> bytes:
        """Return the record as it lies in the folder."""
        return (self.path / receipt.remote_id).read_bytes()

    # -- whose name it is ----------------------------------------------------------------------------------------------

    def _claim(self, record: Record, target: Path) -> bool:
        """Make the record's name its session's; return whether an older version is to be replaced."""
        claim = self.path / HIDDEN / f"{target.name}.session"
        owner = claim.read_text("utf-8").strip() if claim.exists() else ""
        there = target.exists()
        same = there and digest(target) == record.sha256
        if owner and owner != record.session:
            raise self._not_taken(record, f"{target} is the record of another session, {owner}")
        if not owner:
            if not same and (there or files_of(target).exists()):
                raise self._not_taken(record, f"{target.name} in {self.path} was not put there by NexusCore")
            name = f"{record.session}\n".encode()
            _write(claim, [name], hashlib.sha256(name).hexdigest())
        return there and not same

    # -- copying -------------------------------------------------------------------------------------------------------

    def _place_all(self, record: Record, target: Path) -> None:
        xml = Path(record.path)
        source, copies = files_of(xml), files_of(target)
        wanted = {copies / file.relative_to(source): file for file in files_below(source)}
        for copy, file in wanted.items():
            _copy(file, copy, digest(file))
        _copy(xml, target, record.sha256)
        _remove_others(copies, wanted.keys())

    def _not_taken(self, record: Record, reason: str) -> NotTaken:
        return NotTaken(destination=self.name, title=record.title, reason=reason)


def _copy(source: Path, target: Path, sha256: str) -> None:
    """Put a copy in place, unless it is there already."""
    if target.is_file() and not target.is_symlink() and digest(target) == sha256:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    _write(target, _chunks(source), sha256)


def _write(target: Path, content: Iterable[bytes], sha256: str) -> None:
    """Write a file whole or not at all."""
    seen = hashlib.sha256()
    with replacing(target) as unfinished:
        with unfinished.open("xb") as file:
            for chunk in content:
                seen.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if seen.hexdigest() != sha256:
            raise OSError(errno.EBUSY, "It was changed while it was copied", str(target))
        if digest(unfinished) != sha256:
            raise OSError(errno.EIO, "What was written is not what is read back", str(target))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _remove_others(folder: Path, wanted: Collection[Path]) -> None:
    """Remove what only an older version had."""
    for place, _folders, names in os.walk(folder, topdown=False):
        for name in names:
            if Path(place, name) not in wanted:
                Path(place, name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            Path(place).rmdir()
