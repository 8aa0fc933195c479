"""Requests and answers about files, as JSON."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from NexusCore.clock import readable_time, to_ts
from NexusCore.facility.stores.names import name_mistake
from NexusCore.facility.transfer_file import (
    PATH_LENGTH,
    REASON_LENGTH,
    REPORTED,
    Content,
    FileReport,
    FileState,
    TransferFile,
)
from Services.Gateway.api.models import EventRequest, SessionAnswer
from Services.Gateway.uploads import UploadView

MOST_FILES = 500
"""Files in one report, and in one answer."""
LARGEST = 1 << 50
"""Bytes of a file."""
_STATES = ", ".join(sorted(REPORTED))


def _path(text: str) -> str:
    mistake = name_mistake(text)
    if mistake is not None:
        raise ValueError(mistake)
    return text


def _reason(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text) or "\0" in text:
        raise ValueError("the text contains a character that cannot be stored")
    return text


def _reported(text: str) -> str:
    if text not in set(REPORTED):
        raise ValueError(f"a state is one of {_STATES}")
    return text


def _base64_md5(text: str) -> str:
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if size != 16:
        raise ValueError("an MD5 in base64 has 24 characters")
    return text


FolderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$", description="Name of a watched folder.")]
FilePath = Annotated[
    str,
    Field(min_length=1, max_length=PATH_LENGTH, description="Below that folder, with forward slashes."),
    AfterValidator(_path),
]
Bytes = Annotated[int, Field(ge=0, le=LARGEST)]
HexMD5 = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", description="In small hexadecimal digits.")]


class ReportedFile(BaseModel):
    """What a PC says of a file."""

    model_config = ConfigDict(extra="forbid")

    folder: FolderName
    path: FilePath
    size: Bytes
    modified: AwareDatetime = Field(description="When it was modified, by the PC's clock.")
    state: Annotated[str, AfterValidator(_reported), Field(description=f"One of {_STATES}.")]
    sent: Bytes = 0
    reason: Annotated[str, Field(max_length=REASON_LENGTH), AfterValidator(_reason)] | None = None
    next_try: AwareDatetime | None = None
    md5: HexMD5 | None = None

    def report(self) -> FileReport:
        """Return it as it is stored."""
        return FileReport(
            folder=self.folder,
            path=self.path,
            size=self.size,
            modified_ts=to_ts(self.modified),
            state=FileState(self.state),
            sent=self.sent,
            reason=self.reason or None,
            next_try_ts=None if self.next_try is None else to_ts(self.next_try),
            md5=self.md5,
        )


class ReportRequest(BaseModel):
    """The newest state of files."""

    model_config = ConfigDict(extra="forbid")

    files: Annotated[list[ReportedFile], Field(max_length=MOST_FILES)]


class ReportAnswer(BaseModel):
    """How many reports were taken."""

    taken: int


class FileAnswer(BaseModel):
    """A file of a session."""

    id: int
    folder: str
    path: str
    size: int
    modified: datetime | None
    md5: str | None
    state: str
    sent: int
    reason: str | None
    next_try: datetime | None
    object: str | None
    verified: datetime | None
    changed: datetime | None


class FileList(BaseModel):
    """Files of a session, in the order in which they were first reported."""

    files: list[FileAnswer]
    counts: dict[str, int] = Field(description="Number of all its files by state.")
    next: int | None = Field(description="Value of `after` for the next ones; null if there are none.")


class UploadRequest(BaseModel):
    """A file that is to be sent."""

    model_config = ConfigDict(extra="forbid")

    folder: FolderName
    path: FilePath
    size: Bytes
    md5: HexMD5
    modified: AwareDatetime

    def content(self) -> Content:
        """Return it as it is stored."""
        return Content(self.folder, self.path, self.size, to_ts(self.modified), self.md5)


class PartAnswer(BaseModel):
    """A part that the store has."""

    number: int
    size: int
    etag: str


class UploadAnswer(BaseModel):
    """An upload."""

    upload: str
    state: str = Field(description="open, checking or verified.")
    kind: str = Field(description="How the bytes get to the store: chunks, google or s3.")
    object: str = Field(description="Name in the store.")
    chunk_size: int = Field(description="Bytes of a chunk or a part, but for the last one.")
    received: int = Field(description="Bytes that the store has, from the beginning.")
    address: str | None = Field(description="Where to send the bytes, if the kind is google.")
    parts: list[PartAnswer]


class ChunkAnswer(BaseModel):
    """How much of a file has arrived."""

    received: int


class PartRequest(BaseModel):
    """A part that is to be sent to the store."""

    model_config = ConfigDict(extra="forbid")

    number: Annotated[int, Field(ge=1, le=10_000)]
    size: Annotated[int, Field(ge=1, le=LARGEST)]
    md5: Annotated[str, Field(max_length=24), AfterValidator(_base64_md5)] = Field(description="In base64.")


class SignedPartAnswer(BaseModel):
    """Permission to send a part."""

    url: str
    headers: dict[str, str]
    seconds: int


class CompleteRequest(BaseModel):
    """All bytes have been sent."""

    model_config = ConfigDict(extra="forbid")


class TransferredRequest(EventRequest):
    """The transfer of a session has ended."""

    files: Annotated[int, Field(ge=0, le=LARGEST, description="How many files the PC knows of.")]


class TransferredAnswer(SessionAnswer):
    """A session whose transfer has ended."""

    verified: int
    missing: int


class RepairAnswer(BaseModel):
    """A file whose copy in the store is damaged or missing."""

    session: str
    folder: str
    path: str
    size: int
    md5: str


class RepairList(BaseModel):
    """Files that are to be sent again, if the PC has them with the same MD5."""

    files: list[RepairAnswer]


class EmptyAnswer(BaseModel):
    """It was done."""


def file_answer(file: TransferFile) -> FileAnswer:
    """Return a file as it is answered."""
    return FileAnswer(
        id=file.id,
        folder=file.folder,
        path=file.path,
        size=file.size,
        modified=readable_time(file.modified_ts),
        md5=file.md5,
        state=file.state.value.lower(),
        sent=file.sent,
        reason=file.reason,
        next_try=readable_time(file.next_try_ts),
        object=file.object,
        verified=readable_time(file.verified_ts),
        changed=readable_time(file.changed_ts),
    )


def upload_answer(view: UploadView) -> UploadAnswer:
    """Return an upload as it is answered."""
    parts = [PartAnswer(number=part.number, size=part.size, etag=part.etag) for part in view.progress.parts]
    return UploadAnswer(
        upload=view.upload,
        state=view.state,
        kind=view.kind,
        object=view.object,
        chunk_size=view.chunk_size,
        received=view.progress.received,
        address=view.progress.address,
        parts=parts,
    )
