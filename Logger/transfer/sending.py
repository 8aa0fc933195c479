"""One attempt to bring a file forward: look, hash, send, have it checked, and look again.

Promises
--------
* A file is verified only if the store says so, by MD5, and the file is still what it was when that was computed.
* What has arrived is not sent again, also after a restart.
* Every way in which this can fail ends in an `Attempt` with a reason; only a stop of the logger raises.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Callable, Mapping

from Logger.facility import FacilityError, Unreachable
from Logger.gateway_connection import GatewayProblem
from Logger.transfer.bandwidth import Bandwidth
from Logger.transfer.chunks import GatewayChunks
from Logger.transfer.google import GoogleResumable
from Logger.transfer.hashing import Stopped, md5_of
from Logger.transfer.kinds import SendingKind, Target, UploadExpired
from Logger.transfer.link import FileUpload, FileVersion, TransferLink
from Logger.transfer.names import why_not_storable
from Logger.transfer.opening import IN_USE, FileInUse, is_written, open_to_read
from Logger.transfer.s3 import S3Parts
from Logger.transfer.scanning import Signature, disk_of, look, same
from Logger.transfer.source import ChangedMeanwhile, FileSource, Yielded
from Logger.transfer.tracked import Blame, FileStage, TrackedFile

KINDS: Mapping[str, SendingKind] = {"chunks": GatewayChunks(), "google": GoogleResumable(), "s3": S3Parts()}
CHECK_PAUSE = 0.2
"""Seconds until the Gateway is asked again whether the store's copy is right."""
CLOSED = frozenset({"transfer-ended", "no-such-session", "wrong-session-token"})
"""Kinds of problems that concern the whole session: nothing more of it is taken."""
STAFF = frozenset({400, 401, 403})
"""Statuses of problems that concern all files, and that the facility's staff can solve: token, version."""
SWITCHED_OFF = "transfer-off"
"""The same, for the settings of the transfer."""
FOLDER_AWAY = "its watched folder cannot be read"
REMOVED = "it was removed before it was sent"
MOST_DISTORTED = 20
"""How often something else may arrive until it counts as the file's own trouble; that takes more than an hour."""
WRONG_CONTENT = "the store has received something else than was sent"


class SessionClosed(Exception):
    """The facility takes no more files of this session; the text says why."""


@dataclass(frozen=True)
class SendJob:
    """A file to bring forward."""

    file: TrackedFile
    root: str
    """Path of its watched folder."""
    token: str
    """The session's; empty for a repair."""
    disk: str = ""
    """The disk that the folder was on when the file was seen; empty if that is not known."""


@dataclass(frozen=True)
class Attempt:
    """What became of it."""

    file: TrackedFile
    """The file with its new stage."""
    wait: float = 0.0
    """Seconds that the next attempt waits at least."""
    failed: bool = False
    """Whether attempts become rarer."""
    detail: str = ""
    """For the debug log."""


class Sender:
    """Brings files forward; used by one thread.

    Parameters
    ----------
    link
        The Gateway.
    bandwidth
        What may be sent.
    stopped
        Returns whether the logger ends.
    """

    def __init__(self, link: TransferLink, bandwidth: Bandwidth, stopped: Callable[[], bool] = lambda: False) -> None:
        self._link = link
        self._bandwidth = bandwidth
        self._stopped = stopped

    def advance(self, job: SendJob, progress: Callable[[TrackedFile], None] = lambda file: None) -> Attempt:
        """Bring a file forward as far as possible.

        Parameters
        ----------
        job
            The file.
        progress
            Called with the file while it is sent; may raise `Yielded`.

        Raises
        ------
        Stopped
            If the logger ends.
        SessionClosed
            If the facility takes no more files of its session.
        """
        file = job.file
        try:
            obstacle = _obstacle(job)
            if obstacle is not None:
                return obstacle
            if not file.md5:
                with open_to_read(job.root, file.key.path) as opened:
                    md5 = md5_of(opened, self._stopped)
                _look_again(job)
                file = replace(file, md5=md5)  # kept also if what follows fails
            return self._transfer(replace(job, file=file), progress)
        except FileInUse:
            return Attempt(replace(file, stage=FileStage.LOCKED, reason=IN_USE, blame=Blame.FILE), failed=True)
        except ChangedMeanwhile:
            return _changed(job)
        except GatewayProblem as problem:
            return _problem(file, problem)
        except Unreachable as error:
            return _failed(file, str(error), Blame.AWAY, error.wait, error.detail)
        except FacilityError as error:
            return _failed(file, str(error), Blame.FILE, 0.0, error.detail)
        except OSError as error:
            return _unreadable(file, error)

    # -- private -------------------------------------------------------------------------------------------------------

    def _transfer(self, job: SendJob, progress: Callable[[TrackedFile], None]) -> Attempt:
        file, session, token = job.file, job.file.key.session, job.token
        size = file.signature.size
        if file.upload and file.stage is FileStage.CHECKING:
            upload = self._link.status(session, token, file.upload)
        else:
            modified = file.signature.mtime_ns // 1000
            version = FileVersion(file.key.folder, file.key.path, size, file.md5, modified)
            upload = self._link.begin(session, token, version)
        if upload.state == "open":
            with open_to_read(job.root, file.key.path) as opened:
                source = FileSource(opened, size, self._bandwidth)
                upload = self._send(job, source, upload, progress)
        _look_again(job)
        if upload.state == "verified":
            verified = replace(
                file, stage=FileStage.VERIFIED, reason="", sent=size, attempts=0, next_try=0, upload="",
                blame=Blame.NONE,
            )  # fmt: skip
            return Attempt(verified)
        checking = replace(
            file, stage=FileStage.CHECKING, reason="", sent=size, upload=upload.identifier, blame=Blame.NONE
        )  # fmt: skip
        return Attempt(checking, CHECK_PAUSE)

    def _send(
        self, job: SendJob, source: FileSource, upload: FileUpload, progress: Callable[[TrackedFile], None]
    ) -> FileUpload:
        sending = replace(job.file, stage=FileStage.SENDING, reason="", upload="", blame=Blame.NONE)

        def arrived(sent: int) -> None:
            if self._stopped():
                raise Stopped
            progress(replace(sending, sent=sent))

        source.progress = arrived
        progress(replace(sending, sent=upload.received))
        session, token = job.file.key.session, job.token
        try:
            KINDS[upload.kind].send(self._link, Target(session, token, upload), source)
        except UploadExpired:
            with suppress(FacilityError):
                self._link.abandon(session, token, upload.identifier)
            raise
        _look_again(job)  # so that the store is not told that all is there of a file that is not what it was
        return self._link.complete(session, token, upload.identifier)


def _obstacle(job: SendJob) -> Attempt | None:
    """Return why a file cannot be sent now, if it cannot be.

    Raises
    ------
    OSError
        If it cannot be opened; `FileInUse` if another program writes it.
    """
    file = job.file
    found = look(job.root, file.key.path)
    if found is None:
        return _missing(job)
    if not same(found, file.signature):
        return _grown(file, found)
    odd = why_not_storable(file.key.path)
    if odd:
        return _never(file, odd)
    if is_written(job.root, file.key.path):
        raise FileInUse(errno.EBUSY, IN_USE)
    return None


def _look_again(job: SendJob) -> None:
    found = look(job.root, job.file.key.path)
    if found is None or not same(found, job.file.signature):
        raise ChangedMeanwhile


def _changed(job: SendJob) -> Attempt:
    found = look(job.root, job.file.key.path)
    return _missing(job) if found is None else _grown(job.file, found)


def _missing(job: SendJob) -> Attempt:
    """Return that a file is gone, unless it is its folder that is away; that of a share may be there, and empty."""
    disk = disk_of(job.root)
    if not disk or job.disk not in ("", disk):
        return _failed(job.file, FOLDER_AWAY, Blame.FILE, 0.0, "")
    return Attempt(replace(job.file, stage=FileStage.GONE, reason=REMOVED, upload="", blame=Blame.NONE))


def _grown(file: TrackedFile, signature: Signature) -> Attempt:
    """Return that a file has changed; it has to become stable again."""
    new = replace(
        file, signature=signature, stage=FileStage.GROWING, md5="", reason="it is still changing", sent=0, attempts=0,
        next_try=0, upload="", blame=Blame.FILE,
    )  # fmt: skip
    return Attempt(new)


def _problem(file: TrackedFile, problem: GatewayProblem) -> Attempt:
    if problem.kind in CLOSED:
        raise SessionClosed(str(problem)) from problem
    if problem.kind == "wrong-content":
        return _distorted(file, problem)
    blame = Blame.AWAY if problem.status in STAFF or problem.kind == SWITCHED_OFF else Blame.FILE
    return _failed(replace(file, upload=""), str(problem), blame, 0.0, problem.detail)


def _distorted(file: TrackedFile, problem: GatewayProblem) -> Attempt:
    """Return that something else has arrived; the MD5 is computed again.

    Another one means that the file is changed without a new time stamp. The same one means that the line or the store
    distorts what it is given, which the file's patience after the END is not for; but neither is that without end.
    """
    same_again = file.distorted_md5 in ("", file.md5)
    number = file.distorted + 1 if same_again else 1
    blame = Blame.LINE if same_again and number < MOST_DISTORTED else Blame.FILE
    again = replace(file, md5="", upload="", distorted=number, distorted_md5=file.md5)
    return _failed(again, WRONG_CONTENT, blame, 0.0, problem.detail)


def _unreadable(file: TrackedFile, error: OSError) -> Attempt:
    reason = f"it cannot be read: {error.strerror or error}"
    return _failed(file, reason, Blame.FILE, 0.0, str(error))


def _never(file: TrackedFile, reason: str) -> Attempt:
    """Return that a file cannot be sent as it is called, however often it is tried."""
    failed = replace(file, stage=FileStage.FAILED, reason=reason, next_try=0, upload="", blame=Blame.FILE)
    return Attempt(failed, wait=float("inf"))


def _failed(file: TrackedFile, reason: str, blame: Blame, wait: float, detail: str) -> Attempt:
    failed = replace(
        file, stage=FileStage.FAILED, reason=reason, upload="", attempts=file.attempts + 1, blame=blame
    )  # fmt: skip
    return Attempt(failed, wait, failed=True, detail=detail)


__all__ = ["Attempt", "SendJob", "Sender", "SessionClosed", "Stopped", "Yielded"]
