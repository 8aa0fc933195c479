"""What the transfer asks of the Gateway, and of a store through addresses that the Gateway has signed.

Promises
--------
* This computer has no key of a store: each address is for one file, and its time is limited.
* A signed address is used with ``https`` only, or with ``http`` where the Gateway itself is reached like that, which
  is on the same machine. Redirects are not followed.
* What the Gateway answers is checked; an answer that cannot be is a `Lie`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Callable, Mapping, Protocol, Sequence, TypeVar
from urllib.parse import quote, urlsplit

import requests

from Logger.facility import FacilityError, Unreachable
from Logger.gateway_connection import MOST_BYTES, GatewayConnection, Json, Token, new_session, seconds_of
from Logger.times import text_of

CHUNK_SECONDS, CONNECT_SECONDS = 120.0, 10.0
"""Longest waits for the answer to a chunk, and for a connection to a store."""
STORE_AWAY = "The facility's store cannot be reached."
KINDS = ("chunks", "google", "s3")
STATES = ("open", "checking", "verified")
T = TypeVar("T")


class Lie(FacilityError):
    """An answer that cannot be true."""


@dataclass(frozen=True)
class UploadPart:
    """A part of an object that the store has already."""

    number: int
    size: int


@dataclass(frozen=True)
class FileUpload:
    """One file on its way, as the Gateway sees it."""

    identifier: str
    state: str
    """``open``, ``checking`` or ``verified``."""
    kind: str
    """Who takes the bytes: ``chunks`` the Gateway, ``google`` and ``s3`` the store."""
    chunk_size: int
    received: int
    """Bytes that have arrived."""
    address: str = ""
    parts: tuple[UploadPart, ...] = ()


@dataclass(frozen=True)
class StoreAnswer:
    """What a store answers."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    wait: float = 0.0


@dataclass(frozen=True)
class Wanted:
    """A file whose stored copy is damaged, and that this computer may have."""

    session: str
    folder: str
    path: str
    size: int
    md5: str


@dataclass(frozen=True)
class FileVersion:
    """The content of a file that is sent."""

    folder: str
    path: str
    size: int
    md5: str
    modified: int
    """Microseconds since the epoch."""


class Body(Protocol):
    """Bytes to send that are handed out piece by piece; see `Logger.transfer.sending`."""

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        ...

    def __len__(self) -> int:
        """Return how many there are in all."""
        ...


class TransferLink(Protocol):
    """The Gateway, for the transfer; used by one thread at a time. Every method may raise `FacilityError`."""

    def report(self, session: str, token: str, files: Sequence[Json]) -> None:
        """Say what became of files, at most 500."""
        ...

    def reported(self, session: str) -> list[Json]:
        """Return the files of a session that the Gateway knows."""
        ...

    def begin(self, session: str, token: str, version: FileVersion) -> FileUpload:
        """Begin an upload, or take it up again."""
        ...

    def status(self, session: str, token: str, upload: str) -> FileUpload:
        """Return an upload as it is now."""
        ...

    def put_chunk(self, session: str, token: str, upload: str, offset: int, body: Body, md5: str) -> int:
        """Hand the Gateway a chunk; return the bytes that it has then."""
        ...

    def sign_part(
        self, session: str, token: str, upload: str, number: int, size: int, md5: str
    ) -> tuple[str, dict[str, str]]:
        """Return address and headers for a part."""
        ...

    def put(self, address: str, headers: Mapping[str, str], body: Body | bytes) -> StoreAnswer:
        """Send bytes to a store."""
        ...

    def complete(self, session: str, token: str, upload: str) -> FileUpload:
        """Say that all bytes are sent."""
        ...

    def abandon(self, session: str, token: str, upload: str) -> None:
        """Give an upload up."""
        ...

    def transferred(self, session: str, token: str, request: str, body: Json) -> Json:
        """Say that a session's files are transferred."""
        ...

    def repairs(self, pid: str) -> list[Wanted]:
        """Return the files whose stored copies are to be repaired."""
        ...

    def release(self) -> None:
        """Close connections until the next call. Never raises."""
        ...


class GatewayTransfers:
    """The Gateway by HTTP.

    Parameters
    ----------
    url, token, certificates
        As for `Logger.gateway_connection.GatewayConnection`.
    """

    def __init__(self, url: str, token: Token, certificates: str) -> None:
        self._gateway = GatewayConnection(url, token, certificates)
        self._certificates = certificates
        self._plain = urlsplit(url).scheme == "http"
        self._store: requests.Session | None = None

    def report(self, session: str, token: str, files: Sequence[Json]) -> None:
        """Say what became of files, at most 500."""
        self._gateway.ask("POST", _path(session, "files"), body={"files": list(files)}, headers=_headers(token))

    def reported(self, session: str) -> list[Json]:
        """Return the files of a session that the Gateway knows."""
        found: list[Json] = []
        after: object = None
        while True:
            params = {"limit": "500"} if after is None else {"limit": "500", "after": str(after)}
            page = self._gateway.ask("GET", _path(session, "files"), params=params)
            found += page["files"]
            if page.get("next") is None or page["next"] == after:
                return found
            after = page["next"]

    def begin(self, session: str, token: str, version: FileVersion) -> FileUpload:
        """Begin an upload, or take it up again."""
        body = {
            "folder": version.folder, "path": version.path, "size": version.size, "md5": version.md5,
            "modified": text_of(version.modified),
        }  # fmt: skip
        return self._upload("POST", _path(session, "uploads"), token, version.size, body)

    def status(self, session: str, token: str, upload: str) -> FileUpload:
        """Return an upload as it is now."""
        return self._upload("GET", _path(session, "uploads", upload), token)

    def put_chunk(self, session: str, token: str, upload: str, offset: int, body: Body, md5: str) -> int:
        """Hand the Gateway a chunk; return the bytes that it has then."""
        headers = {**_headers(token), "Content-MD5": md5, "Content-Type": "application/octet-stream"}
        answer = self._gateway.ask(
            "PUT", _path(session, "uploads", upload, "chunk"), params={"offset": str(offset)}, data=body,
            headers=headers, patience=CHUNK_SECONDS,
        )  # fmt: skip
        return _count(answer.get("received"))

    def sign_part(
        self, session: str, token: str, upload: str, number: int, size: int, md5: str
    ) -> tuple[str, dict[str, str]]:
        """Return address and headers for a part."""
        body = {"number": number, "size": size, "md5": md5}
        answer = self._gateway.ask(
            "POST", _path(session, "uploads", upload, "parts"), body=body, headers=_headers(token)
        )
        headers = answer.get("headers") or {}
        if not isinstance(headers, dict):
            raise _lie("headers")
        return self._checked(answer.get("url")), {str(name): str(value) for name, value in headers.items()}

    def put(self, address: str, headers: Mapping[str, str], body: Body | bytes) -> StoreAnswer:
        """Send bytes to a store."""
        address = self._checked(address)
        if self._store is None:
            self._store = new_session()
        where = f"PUT to {urlsplit(address).hostname}"  # without the signature, which opens the object
        try:
            try:
                return self._put(address, headers, body, self._certificates or True)
            except requests.exceptions.SSLError:
                if not self._certificates:
                    raise
                # The facility's own authority signs its Gateway; a public store has a public one.
                return self._put(address, headers, body, True)
        except requests.exceptions.SSLError as error:
            raise Unreachable(
                "The certificate of the facility's store is not trusted by this computer.", where
            ) from error
        except Exception as error:  # noqa: BLE001  of requests, the system, or urllib3 while the answer is read
            raise Unreachable(STORE_AWAY, f"{where}: {type(error).__name__}") from None

    def complete(self, session: str, token: str, upload: str) -> FileUpload:
        """Say that all bytes are sent."""
        return self._upload("POST", _path(session, "uploads", upload, "complete"), token, body={})

    def abandon(self, session: str, token: str, upload: str) -> None:
        """Give an upload up."""
        self._gateway.ask("DELETE", _path(session, "uploads", upload), headers=_headers(token))

    def transferred(self, session: str, token: str, request: str, body: Json) -> Json:
        """Say that a session's files are transferred."""
        headers = {**_headers(token), "Idempotency-Key": request}
        return self._gateway.ask("POST", _path(session, "transferred"), body=body, headers=headers)

    def repairs(self, pid: str) -> list[Wanted]:
        """Return the files whose stored copies are to be repaired."""
        answer = self._gateway.ask("GET", f"/v1/instruments/{quote(pid, safe='')}/repairs")
        return _believed(lambda: [_wanted(found) for found in answer["files"]])

    def release(self) -> None:
        """Close connections until the next call."""
        self._gateway.release()
        store, self._store = self._store, None
        if store is not None:
            store.close()

    # -- private -------------------------------------------------------------------------------------------------------

    def _upload(
        self, method: str, path: str, token: str, size: int | None = None, body: Json | None = None
    ) -> FileUpload:
        answer = self._gateway.ask(method, path, body=body, headers=_headers(token))
        return _believed(lambda: _read_upload(answer, size))

    def _put(self, address: str, headers: Mapping[str, str], body: Body | bytes, verify: bool | str) -> StoreAnswer:
        assert self._store is not None  # noqa: S101  made by `put`
        rewind = getattr(body, "rewind", None)
        if rewind is not None:
            rewind()
        with self._store.request(
            "PUT", address, headers=dict(headers), data=body or b"", timeout=(CONNECT_SECONDS, CHUNK_SECONDS),
            verify=verify, allow_redirects=False, stream=True,
        ) as answer:  # fmt: skip
            content = answer.raw.read(MOST_BYTES, decode_content=True)
            wait = seconds_of(answer.headers.get("Retry-After", ""))
            return StoreAnswer(answer.status_code, answer.headers, content, wait)

    def _checked(self, address: object) -> str:
        scheme = urlsplit(address).scheme if isinstance(address, str) else ""
        if scheme != "https" and not (scheme == "http" and self._plain):
            raise Lie(
                "The facility's server names a store without https; the file is not sent there.", f"scheme '{scheme}'"
            )
        return str(address)


def _path(session: str, *parts: str) -> str:
    return "/".join(["/v1/sessions", *(quote(part, safe="") for part in (session, *parts))])


def _headers(token: str) -> dict[str, str]:
    return {"NexusCore-Session-Token": token} if token else {}


def _read_upload(answer: Json, size: int | None) -> FileUpload:
    parts = tuple(UploadPart(_count(part["number"]), _count(part["size"])) for part in answer.get("parts") or ())
    identifier = str(uuid.UUID(answer["upload"])) if answer.get("upload") else ""
    upload = FileUpload(
        identifier, str(answer["state"]), str(answer["kind"]), _count(answer["chunk_size"]), _count(answer["received"]),
        str(answer.get("address") or ""), parts,
    )  # fmt: skip
    if upload.state not in STATES or upload.kind not in KINDS or (not identifier and upload.state != "verified"):
        raise _lie(f"state {upload.state}, kind {upload.kind}")
    if size is not None and upload.received > size:
        raise _lie(f"received {upload.received} of {size}")
    return upload


def _wanted(found: Json) -> Wanted:
    return Wanted(
        str(uuid.UUID(found["session"])), str(found["folder"]), str(found["path"]), _count(found["size"]),
        str(found["md5"]),
    )  # fmt: skip


def _believed(read: Callable[[], T]) -> T:
    """Return what an answer says, or raise that it cannot be."""
    try:
        return read()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _lie(f"{type(error).__name__}: {error}") from error


def _count(number: object) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise _lie(f"{number!r} is not a number of bytes")
    return number


def _lie(detail: str) -> Lie:
    return Lie("The facility's server gives an answer that cannot be right.", detail)
