"""Shows how far the reading of a session's files has come: on the status channel, and as a bar on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from NexusCore.status import StatusHolder
from NexusCore.text import counted

if TYPE_CHECKING:
    from rich.progress import Progress


class StatusProgress:
    """Shows it as the element ``progress`` of a status channel.

    Parameters
    ----------
    status
        The channel.
    """

    def __init__(self, status: StatusHolder) -> None:
        self._status = status

    def show(self, done: int, total: int) -> None:
        """Show that so many of all files are done."""
        self._status["progress"] = f"{done} of {counted(total, 'file')}"

    def close(self) -> None:
        """Do nothing: the status stays."""


class BarProgress:
    """Shows it as a bar on standard error, above which other lines scroll; gone when all is done.

    Parameters
    ----------
    also
        Where it is shown, too.
    """

    def __init__(self, also: StatusProgress | None = None) -> None:
        self._also = also
        self._bar: Progress | None = None

    def show(self, done: int, total: int) -> None:
        """Show that so many of all files are done."""
        if self._also is not None:
            self._also.show(done, total)
        if done >= total:
            self.close()
            return
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
            self._bar.add_task("Reading files", total=total)
        self._bar.update(self._bar.task_ids[0], completed=done)

    def close(self) -> None:
        """Take the bar away."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.stop()


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
