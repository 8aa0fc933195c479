"""Repairs: a stored copy was found damaged or missing, and this computer may still have the file.

A file is sent again only if it has exactly the MD5 that the store should have.
"""

from __future__ import annotations

import logging
import threading
from typing import Callable, Sequence

from Logger.transfer.bandwidth import Bandwidth
from Logger.transfer.hashing import Stopped, md5_of
from Logger.transfer.link import TransferLink, Wanted
from Logger.transfer.opening import open_to_read
from Logger.transfer.priority import lower_priority
from Logger.transfer.scanning import Signature, look
from Logger.transfer.sending import Sender, SendJob, SessionClosed
from Logger.transfer.tracked import FileKey, FileStage, TrackedFile

CHECKS = 600
"""How often the Gateway is asked whether a repaired copy is right."""
_LOG = logging.getLogger(__name__)


class Repairs:
    """Repairs one file after the other, on a thread that exists as long as there are any.

    Parameters
    ----------
    make_link
        Makes a link to the Gateway.
    bandwidth
        What may be sent.
    stopped
        Ends it.
    """

    def __init__(self, make_link: Callable[[], TransferLink], bandwidth: Bandwidth, stopped: threading.Event) -> None:
        self._make_link = make_link
        self._bandwidth = bandwidth
        self._stopped = stopped
        self._others: dict[tuple[str, str, str], Signature] = {}
        """Files that are not what is wanted, as they were then: they are not hashed again each minute."""
        self.threads: list[threading.Thread] = []

    def add(self, wanted: Sequence[Wanted], root: Callable[[str], str]) -> None:
        """Repair files, unless some are being repaired.

        Parameters
        ----------
        wanted
            The files.
        root
            Returns the path of a watched folder; empty if there is none of that name.
        """
        if any(thread.is_alive() for thread in self.threads):
            return
        found = [(one, root(one.folder)) for one in wanted]
        self.threads = [threading.Thread(target=self._repair_all, args=(found,), name="transfer repairs", daemon=True)]
        self.threads[0].start()

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _repair_all(self, wanted: Sequence[tuple[Wanted, str]]) -> None:
        lower_priority()
        link = self._make_link()
        sender = Sender(link, self._bandwidth, self._stopped.is_set)
        for one, root in wanted:
            if self._stopped.is_set():
                break
            try:
                if root:
                    self._repair(sender, one, root)
            except Stopped:
                break
            except SessionClosed as error:
                _LOG.warning("%s/%s cannot be repaired: %s", one.folder, one.path, error)
            except Exception:  # noqa: BLE001  the edge of the thread: the next one may succeed
                _LOG.exception("A fault while %s/%s was repaired", one.folder, one.path)
        link.release()

    def _repair(self, sender: Sender, wanted: Wanted, root: str) -> None:
        signature = self._unchanged(wanted, root)
        if signature is None:
            return
        file = TrackedFile(FileKey(wanted.session, wanted.folder, wanted.path), signature, md5=wanted.md5)
        for _ in range(CHECKS):
            attempt = sender.advance(SendJob(file, root, ""))
            file = attempt.file
            if file.stage is not FileStage.CHECKING or self._stopped.wait(attempt.wait):
                break
        if file.stage is FileStage.VERIFIED:
            _LOG.info("%s/%s is repaired.", wanted.folder, wanted.path)
        else:
            _LOG.warning("%s/%s is not repaired: %s %s", wanted.folder, wanted.path, file.reason, attempt.detail)

    def _unchanged(self, wanted: Wanted, root: str) -> Signature | None:
        """Return what the file is if it still has the content that is wanted."""
        found = look(root, wanted.path)
        key = (wanted.folder, wanted.path, wanted.md5)
        if found is None or found.size != wanted.size or self._others.get(key) == found:
            return None
        try:
            with open_to_read(root, wanted.path) as opened:
                if md5_of(opened, self._stopped.is_set) == wanted.md5:
                    return found
        except OSError as error:
            _LOG.info("%s/%s cannot be read: %s", wanted.folder, wanted.path, error)
            return None
        self._others[key] = found
        return None
