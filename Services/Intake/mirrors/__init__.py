"""Mirrors: where copies of filed files go."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from NexusCore.errors import NexusError
from NexusCore.facility.file_copy import FileCopy


class MirrorAway(NexusError):
    """The mirror {mirror} cannot be used: {reason}."""


class CopyFailed(NexusError):
    """{path} was not copied to the mirror {mirror}: {reason}."""


class Mirror(Protocol):
    """A place for copies. A copy that is put a second time replaces only itself."""

    name: str
    reads: bool
    """Whether it reads its copies; else it can only compare them with the filed files."""

    def check(self) -> None:
        """Raise `MirrorAway` if it cannot be used now."""
        ...

    def put(self, copy: FileCopy, source: Path) -> None:
        """Make a copy of a file, and read it again; raises `CopyFailed`, `MirrorAway` or OSError.

        Parameters
        ----------
        copy
            What is to be made.
        source
            A file with the right content, and the name of the copy.
        """
        ...

    def fault(self, copy: FileCopy, source: Path) -> str | None:
        """Read a copy; return what is wrong with it, None if it is right.

        Parameters
        ----------
        copy
            What is to be there.
        source
            The filed file, for mirrors that compare; it may be missing, but not for those that can do nothing else.
        """
        ...

    def lend(self, copy: FileCopy, folder: Path) -> AbstractContextManager[Path | None]:
        """Lend a file with what a copy is now, to make another one from; None if the mirror cannot.

        Parameters
        ----------
        copy
            What is to be there.
        folder
            Where a file may be fetched to.
        """
        ...
