"""Keeps mirrors: makes copies of what was filed, reads them again from time to time, and repairs what is damaged.

Promises
--------
* A copy counts as good when it was read again with the checksum of the file when it was filed.
* What could not be copied is tried again until it is done, at most a minute after the cause is gone.
* A damaged copy is made again from one that is good: the filed file, or a copy in another mirror.
* What is outstanding shows with its age; a mirror that is away holds up neither filing nor other mirrors.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path

from NexusCore.clock import SECOND, Clock
from NexusCore.config import NamedConfiguration
from NexusCore.errors import DatabaseUnreachable, NexusError
from NexusCore.facility.file_copies import FileCopies, Outstanding
from NexusCore.facility.file_copy import CopyState, FileCopy
from NexusCore.facility.intake_move import IntakeMove
from NexusCore.log import Log
from NexusCore.resources import sentence_of
from NexusCore.status import StatusHolder
from NexusCore.status.element import fitting
from NexusCore.storage import Database
from NexusCore.text import counted, one_line
from NexusCore.threads import start_thread
from Services.Intake.mirrors import CopyFailed, Mirror, MirrorAway
from Services.Intake.mirrors.kinds import make_mirror
from Services.Intake.places import mirror_fault
from Services.Intake.settings import COPIED_TO, MirrorSettings
from Services.Intake.targets import sha256_at

FIRST_RETRY_SECONDS = 10.0
LONGEST_RETRY_SECONDS = 60.0
AUDIT_SECONDS = 60.0
"""Seconds of one round that are spent on reading copies again."""
LOOK_BACK = 5000
"""Filings before the newest that are looked at again: numbers become visible in another order than they are given."""
WARN_SECONDS = 3600.0
"""Seconds between two warnings about copies of one mirror that could not be made."""
OK = "ok"


class NoSourceNow(NexusError):
    """{path} cannot be copied now: {reason}."""


class Copying:
    """Works on each mirror on a thread of its own.

    Parameters
    ----------
    database, config, clock
        The facility's own database, the folder `Services.Intake` of the configuration, and the time.
    status, log
        Where to report.
    stop
        Whether the service is to end.
    folder
        Where copies may be fetched to from one mirror for another.
    make
        Makes a mirror from its settings.
    """

    def __init__(
        self,
        database: Database,
        config: NamedConfiguration,
        clock: Clock,
        status: StatusHolder,
        log: Log,
        stop: Callable[[], bool],
        folder: Path,
        make: Callable[[MirrorSettings, Callable[[], bool]], Mirror] = make_mirror,
    ) -> None:
        self._copies = FileCopies(database, clock)
        self._config = config
        self._clock = clock
        self._status = status
        self._log = log
        self._stop = stop
        self._folder = folder
        self._make = make
        self._running: dict[str, Future[None]] = {}
        self._after: dict[MirrorSettings, int] = {}
        """Id of a filing up to which all have copies; a mirror with other settings begins again."""
        self._said: dict[str, str] = {}
        self._mirrors: dict[str, tuple[MirrorSettings, Mirror]] = {}
        """By name; each is kept as long as its settings are the same."""
        self._warned: dict[str, float] = {}
        """By mirror: when a copy that could not be made was last a warning, by the monotonic clock."""
        self.data_root: Path | None = None
        self.folders: Sequence[Path] = ()

    def go_on(
        self,
        mirrors: Sequence[MirrorSettings],
        *,
        wait: bool,
        data_root: Path | None = None,
        folders: Sequence[Path] = (),
    ) -> None:
        """Start a round for each mirror that has none.

        Parameters
        ----------
        mirrors
            Those in use.
        wait
            Whether to wait until the rounds have ended.
        data_root
            Paths of copies are relative to this folder, for files that are below it.
        folders
            Where files are received or filed: no mirror may be there, not even by a link.
        """
        self.data_root, self.folders = data_root or self.data_root, folders
        for name, future in list(self._running.items()):
            if future.done():
                del self._running[name]
                self._report_end(name, future)
        self._mirrors = {settings.name: (settings, self._mirror(settings)) for settings in mirrors}
        for settings in mirrors:
            if settings.name not in self._running and not self._stop():
                self._running[settings.name] = start_thread(self._bound(settings), f"mirror {settings.name}")
        if wait:
            self._wait()
        if mirrors or self._said:
            self._show(mirrors)

    def close(self, seconds: float) -> None:
        """Wait so long for the rounds to end."""
        wait(self._running.values(), timeout=seconds)

    def _wait(self) -> None:
        while wait(self._running.values(), timeout=0.2).not_done and not self._stop():
            pass
        for name, future in list(self._running.items()):
            if future.done():
                del self._running[name]
                self._report_end(name, future)

    def _bound(self, settings: MirrorSettings) -> Callable[[], None]:
        return lambda: self.round(settings)

    # -- one mirror ----------------------------------------------------------------------------------------------------

    def round(self, settings: MirrorSettings) -> None:
        """Make the copies that are due, and read some again; raises `MirrorAway` if the mirror cannot be used."""
        self._check_place(settings)
        self._expect(settings)
        mirror = self._mirror(settings)
        mirror.check()
        self._note_place(settings)
        self._make_due(mirror)
        before = self._clock.now() - int(settings.verify_hours * 3600 * SECOND)
        until = self._clock.monotonic() + AUDIT_SECONDS
        damaged = False
        while not self._stop() and (copies := self._copies.to_check(settings.name, before)):
            for copy in copies:
                if self._stop() or self._clock.monotonic() > until:
                    break
                damaged = self._audit(mirror, copy) or damaged
            else:
                continue
            break
        if damaged:
            self._make_due(mirror)

    def _check_place(self, settings: MirrorSettings) -> None:
        """Raise `MirrorAway` if the mirror is where files are received or filed, by whatever links."""
        if settings.kind == "directory":
            real = [Path(os.path.realpath(folder)) for folder in self.folders]
            fault = mirror_fault(Path(os.path.realpath(settings.path)), real)
            if fault is not None:
                raise MirrorAway(mirror=settings.name, reason=f"it is {settings.path}, {fault}")

    def _note_place(self, settings: MirrorSettings) -> None:
        """Have all copies made again if the mirror, which can be used, is in another place than they were made in."""
        path = f"mirrors.{settings.name}.{COPIED_TO}"
        before = self._config[path]
        if before == settings.place:
            return
        if before and (count := self._copies.begin_again(settings.name)):
            self._log.info(
                "The mirror %s is in another place: %s made again",
                settings.name,
                counted(count, "copy is", "copies are"),
            )
        self._config.set(path, settings.place, comment="Place of the copies that were made.", create=True)

    def _mirror(self, settings: MirrorSettings) -> Mirror:
        known = self._mirrors.get(settings.name)
        return known[1] if known is not None and known[0] == settings else self._make(settings, self._stop)

    def _disks(self, name: str) -> list[Path]:
        """Return the folder of a mirror on this machine, whose disk may be the one that is full."""
        settings, _ = self._mirrors.get(name, (None, None))
        return [Path(settings.path)] if settings is not None and settings.kind == "directory" else []

    def _expect(self, settings: MirrorSettings) -> None:
        # Before the list is read: what is under way then is looked at again in the next round.
        unsettled = self._copies.first_unsettled()
        after = self._after.get(settings, 0)
        while not self._stop() and (moves := self._copies.without(settings.name, after)):
            after = moves[-1].id
            wanted = [(move, self._path(move)) for move in moves if settings.takes(move.inbox) and move.sha256]
            self._copies.expect(settings.name, wanted)
        looked_back = after - LOOK_BACK if unsettled is None else min(after - LOOK_BACK, unsettled - 1)
        self._after[settings] = max(0, looked_back)

    def _path(self, move: IntakeMove) -> str:
        target = Path(move.target)
        if self.data_root is not None and self.data_root in target.parents:
            return target.relative_to(self.data_root).as_posix()
        return target.relative_to(target.anchor).as_posix()

    def _make_due(self, mirror: Mirror) -> None:
        while not self._stop() and (copies := self._copies.due(mirror.name)):
            for copy in copies:
                if self._stop():
                    return
                self._put(mirror, copy)

    def _put(self, mirror: Mirror, copy: FileCopy) -> None:
        try:
            with self._source(copy) as source:
                if source is None:
                    self._copies.lost(copy, "neither the filed file nor a copy of it has the content that was filed")
                    self._log.error("%s: there is nothing left to copy %s from", mirror.name, one_line(copy.target))
                    return
                mirror.put(copy, source)
        except DatabaseUnreachable:
            raise
        except (NexusError, OSError) as error:
            seconds = min(FIRST_RETRY_SECONDS * 2.0 ** min(copy.attempts, 10), LONGEST_RETRY_SECONDS)
            reason = sentence_of(error, self._disks(mirror.name))
            # Should it be this one alone that makes the mirror seem to be away, the next round begins with another.
            self._copies.failed(copy, reason, seconds)
            if isinstance(error, MirrorAway):
                raise
            if reason != copy.reason:
                self._log_failed(mirror.name, f"no copy of {one_line(copy.target)}: {one_line(reason)}")
            return
        self._copies.good(copy)
        if copy.state is CopyState.DAMAGED:
            self._log.warning("%s: the copy of %s was repaired", mirror.name, one_line(copy.target))

    def _log_failed(self, mirror: str, sentence: str) -> None:
        """Name a copy that could not be made: one an hour in a warning, which may be mailed; a full disk fails all."""
        now, warned = self._clock.monotonic(), self._warned.get(mirror)
        if warned is not None and now - warned < WARN_SECONDS:
            self._log.info("%s: %s", mirror, sentence)
            return
        self._warned[mirror] = now
        self._log.warning("%s: %s", mirror, sentence)

    @contextmanager
    def _source(self, copy: FileCopy) -> Iterator[Path | None]:
        """Lend a file with the content that was filed: that file itself, or a copy in another mirror; None for none.

        Raises
        ------
        NoSourceNow
            If a copy may be good, but cannot be read now.
        """
        target = Path(copy.target)
        if sha256_at(target.parent, (target.name,)) == copy.sha256:
            yield target
            return
        away: str | None = None
        if not target.parent.is_dir():
            away = f"there is no folder {target.parent}"  # its file system may not be mounted
        with ExitStack() as stack:
            for other in self._copies.good_elsewhere(copy):
                _, mirror = self._mirrors.get(other.mirror, (None, None))
                try:
                    path = None if mirror is None else stack.enter_context(mirror.lend(other, self._folder))
                except (NexusError, OSError) as error:
                    away = sentence_of(error)
                    continue
                if path is not None and sha256_at(path.parent, (path.name,)) == copy.sha256:
                    yield path
                    return
                stack.close()
        if away is not None:
            raise NoSourceNow(path=copy.target, reason=away)
        yield None

    def _audit(self, mirror: Mirror, copy: FileCopy) -> bool:
        """Read a copy again; return whether it is damaged."""
        target = Path(copy.target)
        if not mirror.reads and sha256_at(target.parent, (target.name,)) != copy.sha256:
            # It can only be compared with the filed file, which is another one now.
            self._copies.lost(copy, "the filed file has changed, so the copy cannot be compared with it")
            return False
        try:
            fault = mirror.fault(copy, target)
        except (CopyFailed, OSError) as error:
            if self._stop():
                return False
            mirror.check()  # raises if it concerns all copies
            # Such as a sector that cannot be read: the other copies are looked at all the same.
            fault = sentence_of(error)
        if fault is None:
            self._copies.good(copy)
            return False
        self._copies.damaged(copy, fault)
        self._log.warning("%s: the copy of %s is damaged: %s", mirror.name, one_line(copy.target), one_line(fault))
        return True

    # -- reports -------------------------------------------------------------------------------------------------------

    def _report_end(self, name: str, future: Future[None]) -> None:
        error = future.exception()
        sentence = OK if error is None else sentence_of(error)
        before = self._said.get(name, OK)
        if sentence != before:
            if error is None:
                self._log.info("The mirror %s can be used again", name)
            elif isinstance(error, (NexusError, OSError)):
                self._log.warning("%s", sentence)
            else:
                self._log.error("A round of the mirror %s failed", name, exc_info=error)
        self._said[name] = sentence

    def _show(self, mirrors: Sequence[MirrorSettings]) -> None:
        outstanding = self._copies.outstanding()
        now = self._clock.now()
        total = sum(outstanding[settings.name].copies for settings in mirrors if settings.name in outstanding)
        oldest = [outstanding[settings.name].oldest_ts for settings in mirrors if settings.name in outstanding]
        self._status["copies_outstanding"] = total
        self._status["copies_oldest_seconds"] = round((now - min(oldest)) / SECOND) if oldest else 0
        for settings in mirrors:
            due = outstanding.get(settings.name)
            age = "" if due is None else f", the oldest for {(now - due.oldest_ts) // SECOND} s"
            text = OK if due is None else f"{counted(due.copies, 'copy', 'copies')} outstanding{age}"
            self._status[f"copies {settings.name}"] = text
            self._status[f"mirror {settings.name}"] = fitting(self._sentence(settings.name, due))

    def _sentence(self, name: str, due: Outstanding | None) -> str:
        """Return what is wrong with a mirror: that of its last round, or of copies that are outstanding."""
        said = self._said.get(name, OK)
        return said if said != OK or due is None or due.reason is None else due.reason

    def report_outstanding(self) -> int:
        """Say what mirrors lack, for who waits for one pass; return how many copies, and mirrors that are away."""
        away = [name for name in self._mirrors if self._said.get(name, OK) != OK]
        total = 0
        for name, due in self._copies.outstanding().items():
            if name in self._mirrors:
                total += due.copies
                copies = counted(due.copies, "copy is", "copies are")
                self._log.warning("%s: %s outstanding: %s", name, copies, self._sentence(name, due))
        return total + len(away)
