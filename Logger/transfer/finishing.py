"""Tells the Gateway that a session's files are transferred; safely sent again after a crash or a lost answer."""

from __future__ import annotations

import logging
from typing import Callable

from Logger.gateway_connection import GatewayProblem, Json
from Logger.times import text_of
from Logger.transfer.book import FileBook
from Logger.transfer.link import Lie, TransferLink
from Logger.transfer.names import reported_path
from Logger.transfer.pending import PendingTransfer, PendingTransfers
from Logger.transfer.scanning import Signature
from Logger.transfer.tracked import FileKey, FileStage, TrackedFile
from Logger.uptime import Uptime

_LOG = logging.getLogger(__name__)


class Finisher:
    """Ends transfers at the Gateway; used by one thread.

    Parameters
    ----------
    book
        The files.
    pending
        The sessions.
    known_files
        Returns how many files of a session the Gateway knows.
    uptime
        The clocks of this computer.
    """

    def __init__(
        self, book: FileBook, pending: PendingTransfers, known_files: Callable[[str], int], uptime: Uptime
    ) -> None:
        self._book = book
        self._pending = pending
        self._known_files = known_files
        self._uptime = uptime

    def finish(self, link: TransferLink, session: PendingTransfer) -> None:
        """End the transfer of a session whose files are all reported.

        Raises
        ------
        FacilityError
            If the Gateway cannot be reached, or does not accept it; it can be tried again.
        """
        closing = self._pending.close(session.session, self._uptime.now(), self._known_files(session.session))
        body: Json = {
            "user": session.user,
            "at": text_of(closing.at),
            "now": text_of(self._uptime.now()),
            "files": closing.files,
        }
        try:
            answer = link.transferred(session.session, session.token, closing.request, body)
        except GatewayProblem as problem:
            # It was not accepted, so another request has to be made: the number of files may be another one.
            self._pending.reopen(session.session)
            if problem.kind == "not-all-reported":
                self._adopt(link, session)
            raise
        verified, missing = answer.get("verified", 0), answer.get("missing", 0)
        _LOG.info("Session %s is transferred: %s files verified, %s missing.", session.session, verified, missing)
        self._pending.finish(session.session, f"{verified} verified, {missing} missing")

    def _adopt(self, link: TransferLink, session: PendingTransfer) -> None:
        """Take over files that the Gateway knows of this session and this computer does not any more.

        So it is after the file of transfers was damaged.
        """
        known = {(file.key.folder, reported_path(file.key.path)) for file in self._book.of(session.session)}
        for found in link.reported(session.session):
            try:
                key = FileKey(session.session, str(found["folder"]), str(found["path"]))
                stage = FileStage.VERIFIED if found["state"] in ("verified", "damaged") else FileStage.GONE
                size, md5 = int(found["size"]), str(found.get("md5") or "")
            except (KeyError, TypeError, ValueError) as error:
                raise Lie("The facility's server gives an answer that cannot be right.", str(error)) from error
            if key[1:] not in known:
                _LOG.warning("The Gateway knows %s/%s, which this computer has forgotten.", *key[1:])
                self._book.put(TrackedFile(key, Signature(size, 0, ""), stage, md5, sent=size))
