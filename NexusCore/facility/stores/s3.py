"""A bucket of S3, Amazon's or another server's: the PC sends parts itself, each with a permission of the Gateway."""

from __future__ import annotations

import base64
import configparser
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from NexusCore.clock import SECOND
from NexusCore.facility.stores.keys import below, key_file
from NexusCore.facility.stores.model import (
    READ_SIZE,
    S3,
    Incomplete,
    NameTaken,
    NewObject,
    Progress,
    Ref,
    SignedPart,
    StoredObject,
    StoredPart,
    StoreFull,
    StoreUnavailable,
    UploadGone,
    WrongContent,
    has_content,
)
from NexusCore.facility.transfer_settings import StoreSettings

READ_SECONDS, PATIENT_SECONDS = 15.0, 300.0
"""How long the server may be silent: while a PC waits, and while it puts the parts of a large object together."""
SIGNED_SECONDS = 900
"""How long the permission for a part is valid."""
LEAST_PART = 5 * 1024 * 1024
"""Bytes of a part, but for the last one; S3 takes no smaller ones."""
MOST_PARTS = 9_000
"""Parts of an object; S3 takes 10,000."""
_MEBIBYTE = 1024 * 1024
_UPLOAD = "nexuscore-upload"
_GONE = ("NoSuchUpload", "NoSuchKey", "404")
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412")
_FULL = ("QuotaExceeded", "EntityTooLarge", "507", "XMinioStorageFull")


class S3Store:
    """A bucket.

    Parameters
    ----------
    settings
        Where it is. Without credentials, those of the machine count.
    chunk
        Bytes of a part, at least; large objects have larger parts.
    """

    upload_kind = S3

    def __init__(self, settings: StoreSettings, chunk: int) -> None:
        self.name = settings.name
        self._settings = settings
        self._chunk = max(LEAST_PART, chunk)
        self._prefix = settings.prefix.strip("/")
        self._client = self._opened(READ_SECONDS)
        self._patient = self._opened(PATIENT_SECONDS)

    def chunk_size(self, size: int) -> int:
        """Return the size of a part."""
        needed = -(-size // MOST_PARTS)
        return max(self._chunk, -(-needed // _MEBIBYTE) * _MEBIBYTE)

    def check(self) -> None:
        """Raise if the bucket cannot be reached."""
        with self._reasons():
            found = self._client.list_objects_v2(Bucket=self._settings.bucket, Prefix=self._prefix, MaxKeys=1)
        if "Name" not in found and "KeyCount" not in found:  # such as a web page, which the library takes for a list
            raise StoreUnavailable(store=self.name, reason="what answers is not an S3 server")

    def prepare(self, has_objects: Callable[[], bool]) -> None:
        """Do nothing: a bucket is itself or not there."""

    def status(self, name: str) -> StoredObject | None:
        """Return what the store says of an object."""
        try:
            with self._reasons():
                found = self._client.head_object(**self._key(name))
        except UploadGone:
            return None
        etag = str(found.get("ETag", "")).strip('"')
        # Another server than Amazon's may keep the MD5 apart from the content, and with a key of the customer's the tag
        # is no MD5.
        trusted = not self._settings.endpoint and found.get("ServerSideEncryption", "AES256") == "AES256"
        return StoredObject(
            size=int(found["ContentLength"]),
            version=etag,
            md5=etag if trusted and len(etag) == 32 else None,
            part_md5=etag.removesuffix("-1") if trusted and etag.endswith("-1") else None,
            upload=found.get("Metadata", {}).get(_UPLOAD),
        )

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content of an object."""
        with self._reasons():
            body = self._patient.get_object(**self._key(name))["Body"]
            try:
                yield from body.iter_chunks(READ_SIZE)
            finally:
                body.close()

    # -- an upload -----------------------------------------------------------------------------------------------------

    def begin(self, new: NewObject, replaces: str | None) -> Ref:
        """Begin an upload in parts; an empty object is stored at once."""
        metadata = _metadata(new)
        with self._reasons():
            if new.size == 0:
                self._client.put_object(**self._key(new.name), Body=b"", Metadata=metadata, **self._only(replaces))
                return {}
            answer = self._client.create_multipart_upload(**self._key(new.name), Metadata=metadata)
        return {"id": answer["UploadId"], "part": self.chunk_size(new.size)}

    def sign(self, new: NewObject, ref: Ref, number: int, size: int, md5: str) -> SignedPart:
        """Return the permission to send one part with these bytes."""
        if "id" not in ref:
            raise UploadGone
        part = {**self._key(new.name), "UploadId": ref["id"], "PartNumber": number}
        with self._reasons():
            url = self._client.generate_presigned_url(
                "upload_part", {**part, "ContentMD5": md5, "ContentLength": size}, ExpiresIn=SIGNED_SECONDS
            )
        return SignedPart(url, {"Content-MD5": md5, "Content-Length": str(size)}, SIGNED_SECONDS)

    def send(self, new: NewObject, ref: Ref, offset: int, data: bytes) -> int:
        """Send a part; the server compares it with its MD5."""
        if "id" not in ref:
            raise UploadGone
        number = offset // ref["part"] + 1
        md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        with self._reasons():
            self._client.upload_part(
                **self._key(new.name), UploadId=ref["id"], PartNumber=number, Body=data, ContentMD5=md5
            )
        return offset + len(data)

    def progress(self, new: NewObject, ref: Ref) -> Progress:
        """Return the parts that have arrived; those from the first one on, without gaps, count."""
        if "id" not in ref:
            raise UploadGone
        with self._reasons():
            pages = self._client.get_paginator("list_parts").paginate(**self._key(new.name), UploadId=ref["id"])
            parts = [
                StoredPart(int(part["PartNumber"]), int(part["Size"]), str(part["ETag"]))
                for page in pages
                for part in page.get("Parts", [])
            ]
        parts.sort(key=lambda part: part.number)
        received = 0
        for place, part in enumerate(parts, 1):
            if part.number != place:
                break
            received += part.size
        return Progress(received, tuple(parts))

    def finish(self, new: NewObject, ref: Ref, replaces: str | None) -> None:
        """Put the parts together, and look at the object."""
        stored = self.status(new.name)
        if new.size == 0:  # `begin` has stored it; some servers do not keep of which upload it is
            if stored is None or stored.size:
                raise UploadGone
            return
        if stored is None or stored.upload != new.upload:
            progress = self.progress(new, ref)
            if progress.received != new.size:
                raise Incomplete(progress.received)
            parts = [{"PartNumber": part.number, "ETag": part.etag} for part in progress.parts]
            if stored is not None and stored.version != replaces:
                raise NameTaken
            with self._reasons():
                self._patient.complete_multipart_upload(
                    **self._key(new.name),
                    UploadId=ref["id"],
                    MultipartUpload={"Parts": parts},
                    **self._only(replaces),
                )
            stored = self.status(new.name)
        if stored is not None and has_content(self, new.name, stored, new.size, new.md5):
            return
        with self._reasons():
            self._client.delete_object(**self._key(new.name))
        raise WrongContent

    def abandon(self, new: NewObject, ref: Ref) -> None:
        """Remove the parts that have arrived."""
        if "id" in ref:
            with suppress(UploadGone), self._reasons():
                self._client.abort_multipart_upload(**self._key(new.name), UploadId=ref["id"])

    def write(self, name: str, content: bytes) -> None:
        """Replace a small object."""
        with self._reasons():
            self._client.put_object(**self._key(name), Body=content, ContentType="application/json")

    # -- private -------------------------------------------------------------------------------------------------------

    def _opened(self, read_seconds: float) -> Any:
        import boto3
        from botocore.config import Config

        settings = self._settings
        keys = {}
        if settings.credentials:
            keys = _keys(self.name, settings.credentials)
        with self._reasons():
            return boto3.session.Session(**keys).client(
                "s3",
                region_name=settings.region or "us-east-1",
                endpoint_url=settings.endpoint or None,
                config=Config(
                    connect_timeout=5,
                    read_timeout=read_seconds,
                    retries={"total_max_attempts": 2},
                    signature_version="s3v4",
                    s3={"addressing_style": "path" if settings.endpoint else "auto"},
                    # Other servers do not know the newer checksums.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )

    def _key(self, name: str) -> dict[str, str]:
        return {"Bucket": self._settings.bucket, "Key": below(self._prefix, name)}

    def _only(self, replaces: str | None) -> dict[str, str]:
        """Return the condition that nothing else is replaced; other servers than Amazon's may not know it."""
        if self._settings.endpoint:
            return {}
        return {"IfNoneMatch": "*"} if replaces is None else {"IfMatch": f'"{replaces}"'}

    @contextmanager
    def _reasons(self) -> Iterator[None]:
        """Raise the library's errors as ours, without what it says: that may contain a key."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            if code in _GONE:
                raise UploadGone from error
            if code in _TAKEN:
                raise NameTaken from error
            if code in _FULL:
                raise StoreFull(store=self.name) from error
            reason = f"it answers {code} to {error.operation_name}"
            if code == "NoSuchBucket":
                reason = f"there is no bucket '{self._settings.bucket}'"
            raise StoreUnavailable(store=self.name, reason=reason) from error
        except (BotoCoreError, OSError, ValueError) as error:
            raise StoreUnavailable(store=self.name, reason=f"it does not answer ({type(error).__name__})") from error


def _keys(store: str, path: str) -> dict[str, str]:
    """Return the key in a file, which has the form of Amazon's own."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(key_file(store, path).read_text("utf-8"))
        section = parser[parser.sections()[0]]
        return {name: section[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    except (configparser.Error, IndexError, KeyError, UnicodeDecodeError, OSError):
        form = "[default], aws_access_key_id = ..., aws_secret_access_key = ..."
        raise StoreUnavailable(store=store, reason=f"{path} does not have the form {form}") from None


def _metadata(new: NewObject) -> dict[str, str]:
    """Return the metadata: the source's modification time as rclone writes it."""
    seconds, micros = divmod(new.modified_ts, SECOND)
    return {"mtime": f"{seconds}.{micros:06d}", _UPLOAD: new.upload}
