"""A bucket of Google Cloud Storage: the PC sends the bytes itself, to a resumable session that the Gateway opens."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from NexusCore.clock import SECOND, readable_time
from NexusCore.facility.stores.keys import below, key_file
from NexusCore.facility.stores.model import (
    GOOGLE,
    READ_SIZE,
    Incomplete,
    NameTaken,
    NewObject,
    Progress,
    Ref,
    StoredObject,
    StoreUnavailable,
    UploadGone,
    WrongContent,
    has_content,
)
from NexusCore.facility.transfer_settings import StoreSettings

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Bucket

TIMEOUT = (5.0, 15.0)
"""Seconds for connecting to the store, and for its silence."""
RETRY_SECONDS = 8.0
"""How long the library tries again what failed; a PC waits for the answer."""
UNIT = 256 * 1024
"""A session takes multiples of so many bytes, but for the last ones."""
_UPLOAD = "nexuscore-upload"


class GoogleStore:
    """A bucket.

    Parameters
    ----------
    settings
        Where it is. Without credentials, those of the machine count; with an `endpoint`, none are needed.
    chunk
        Bytes that a PC sends at once.
    """

    upload_kind = GOOGLE

    def __init__(self, settings: StoreSettings, chunk: int) -> None:
        self.name = settings.name
        self._settings = settings
        self._chunk = max(UNIT, chunk - chunk % UNIT)
        self._prefix = settings.prefix.strip("/")
        self._bucket = self._opened()

    def chunk_size(self, size: int) -> int:
        """Return the size of a chunk."""
        return self._chunk

    def check(self) -> None:
        """Raise if the bucket cannot be reached."""
        with self._reasons():
            for _ in self._bucket.client.list_blobs(self._bucket, prefix=self._prefix, max_results=1, **self._limits):
                pass

    def prepare(self, has_objects: Callable[[], bool]) -> None:
        """Do nothing: a bucket is itself or not there."""

    def status(self, name: str) -> StoredObject | None:
        """Return what the store says of an object."""
        blob = self._found(name)
        if blob is None:
            return None
        # Another server than Google's may keep the MD5 apart from the content, and not notice that this has changed.
        stated = None if self._settings.endpoint else blob.md5_hash
        md5 = base64.b64decode(stated).hex() if stated else None
        return StoredObject(int(blob.size or 0), str(blob.generation), md5, upload=(blob.metadata or {}).get(_UPLOAD))

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content of an object."""
        with self._reasons(), self._blob(name).open("rb", chunk_size=8 * READ_SIZE, **self._limits) as file:
            while data := file.read(READ_SIZE):
                yield data

    # -- an upload -----------------------------------------------------------------------------------------------------

    def begin(self, new: NewObject, replaces: str | None) -> Ref:
        """Open a session, which only creates this object, or replaces the version that it may replace."""
        blob = self._blob(new.name)
        blob.metadata = {_UPLOAD: new.upload, **_modified(new)}
        if new.size == 0:
            with self._reasons():
                blob.upload_from_string(
                    b"", if_generation_match=int(replaces or 0), content_type=_OCTETS, **self._limits
                )
            return {}
        with self._reasons():
            address = blob.create_resumable_upload_session(
                content_type=_OCTETS,
                size=new.size,
                if_generation_match=int(replaces or 0),
                checksum=None,
                **self._limits,
            )
        return {"address": address}

    def send(self, new: NewObject, ref: Ref, offset: int, data: bytes) -> int:
        """Send a chunk to the session."""
        if "address" not in ref:
            raise UploadGone
        end = offset + len(data)
        with self._reasons():
            answer = self._session().put(
                ref["address"],
                data=data,
                headers={"Content-Range": f"bytes {offset}-{end - 1}/{new.size}"},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        if answer.status_code == 412:
            raise NameTaken
        if answer.status_code in (404, 410):
            raise UploadGone
        if answer.status_code in (200, 201) and end == new.size:
            return end
        return self._received(answer)

    def progress(self, new: NewObject, ref: Ref) -> Progress:
        """Ask the session how much has arrived."""
        stored = self.status(new.name)
        if stored is not None and stored.upload == new.upload:
            return Progress(stored.size)
        if "address" not in ref:
            raise UploadGone
        with self._reasons():
            answer = self._session().put(
                ref["address"],
                headers={"Content-Range": f"bytes */{new.size}", "Content-Length": "0"},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        if answer.status_code in (404, 410, 412):
            raise UploadGone
        if answer.status_code in (200, 201):
            return Progress(new.size, address=ref["address"])
        return Progress(self._received(answer), address=ref["address"])

    def finish(self, new: NewObject, ref: Ref, replaces: str | None) -> None:
        """Look at the object that the session has made."""
        stored = self.status(new.name)
        if stored is None or stored.upload != new.upload:
            raise Incomplete(self.progress(new, ref).received)
        if has_content(self, new.name, stored, new.size, new.md5):
            return
        with self._reasons(), suppress(self._missing):
            self._blob(new.name).delete(if_generation_match=int(stored.version), **self._limits)
        raise WrongContent

    def abandon(self, new: NewObject, ref: Ref) -> None:
        """End the session; if that fails, it ends by itself after a week."""
        if "address" in ref:
            with suppress(StoreUnavailable), self._reasons():
                self._session().delete(ref["address"], timeout=TIMEOUT, allow_redirects=False)

    def write(self, name: str, content: bytes) -> None:
        """Replace a small object."""
        with self._reasons():
            self._blob(name).upload_from_string(content, content_type="application/json", **self._limits)

    # -- private -------------------------------------------------------------------------------------------------------

    @property
    def _limits(self) -> dict[str, Any]:
        from google.cloud.storage.retry import DEFAULT_RETRY

        return {"timeout": TIMEOUT, "retry": DEFAULT_RETRY.with_timeout(RETRY_SECONDS)}

    @property
    def _missing(self) -> type[Exception]:
        from google.api_core.exceptions import NotFound

        return NotFound

    def _opened(self) -> Bucket:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.storage import Client

        settings = self._settings
        options: dict[str, Any] = {"client_options": {"api_endpoint": settings.endpoint}} if settings.endpoint else {}
        with self._reasons():
            if settings.credentials:
                file = key_file(self.name, settings.credentials)
                client = Client.from_service_account_json(str(file), **options)
            elif settings.endpoint:
                client = Client(project="none", credentials=AnonymousCredentials(), **options)  # type: ignore[no-untyped-call]
            else:
                client = Client()
            return client.bucket(settings.bucket)

    def _received(self, answer: Any) -> int:
        """Return how many bytes a session has that is not complete; it goes on after a multiple of `UNIT`."""
        if answer.status_code != 308:
            raise StoreUnavailable(store=self.name, reason=f"its session answers {answer.status_code}")
        last = answer.headers.get("Range", "").rpartition("-")[2]
        received = int(last) + 1 if last.isdecimal() else 0
        return received - received % UNIT

    def _session(self) -> Any:
        from google.auth.transport.requests import AuthorizedSession

        return AuthorizedSession(self._bucket.client._credentials)  # type: ignore[no-untyped-call]

    def _blob(self, name: str) -> Blob:
        return self._bucket.blob(below(self._prefix, name))

    def _found(self, name: str) -> Blob | None:
        with self._reasons():
            return self._bucket.get_blob(below(self._prefix, name), **self._limits)

    @contextmanager
    def _reasons(self) -> Iterator[None]:
        """Raise the library's errors as ours, without addresses: that of a session is a permission."""
        import requests
        from google.api_core.exceptions import GoogleAPICallError, NotFound, PreconditionFailed, RetryError
        from google.auth.exceptions import GoogleAuthError

        try:
            yield
        except PreconditionFailed as error:
            raise UploadGone from error
        except NotFound as error:
            raise StoreUnavailable(
                store=self.name, reason=f"the bucket '{self._settings.bucket}' has no such thing"
            ) from error
        except GoogleAPICallError as error:
            reason = f"it answers {error.code}: {error.__class__.__name__}"
            raise StoreUnavailable(store=self.name, reason=reason) from error
        except (RetryError, GoogleAuthError, requests.RequestException, OSError, ValueError) as error:
            raise StoreUnavailable(store=self.name, reason=f"it does not answer ({type(error).__name__})") from error


_OCTETS = "application/octet-stream"


def _modified(new: NewObject) -> Mapping[str, str]:
    """Return the metadata with the source's modification time, as rclone and gsutil write it."""
    moment = readable_time(new.modified_ts)
    if moment is None:
        return {}
    return {
        "mtime": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "goog-reserved-file-mtime": str(new.modified_ts // SECOND),
    }
