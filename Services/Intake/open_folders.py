"""Opens folders by absolute path below roots that the operator has named, so that no link below them is followed."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path, PurePath

from NexusCore.files import Folder
from Services.Intake.moving import Spot

MOST_OPEN = 256
"""Folders that are kept open."""


class OpenFolders:
    """Folders that are open; to be closed.

    Parameters
    ----------
    roots
        Absolute paths of drop folders and targets. Their own paths may have links; below them none is followed, nor
        anywhere on a path that is below no root.
    """

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = sorted(set(roots), key=lambda root: -len(root.parts))
        self._open: OrderedDict[PurePath, Folder] = OrderedDict()

    def __enter__(self) -> OpenFolders:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all folders."""
        while self._open:
            self._open.popitem()[1].__exit__(None, None, None)

    def spot(self, path: Path, *, create: bool = False) -> Spot:
        """Return a path as a name in its open folder.

        Parameters
        ----------
        path
            Absolute.
        create
            Create missing folders below the root; the root itself is never created, since what is missing may be a
            file system that is not mounted.

        Raises
        ------
        InTheWay, OSError
            If there is something else on the way, or a link.
        """
        return Spot(self._folder(path.parent, create=create), path.name)

    def sync(self) -> None:
        """Flush the names in all folders that were used to the disk."""
        for folder in self._open.values():
            folder.sync()

    def remove_empty(self, path: Path) -> None:
        """Remove a folder below a root, and those above it, as long as they are empty."""
        root = self._root_of(path)
        while path != root and root in path.parents:
            try:
                spot = self.spot(path)
                if (known := self._open.pop(path, None)) is not None:
                    known.__exit__(None, None, None)
                os.rmdir(spot.name, dir_fd=spot.folder.descriptor)
            except OSError:
                return
            path = path.parent

    def remove_empty_below(self, path: Path) -> None:
        """Remove the folders in a folder that are empty."""
        folder = self._folder(path, create=False)
        for name in folder.names():
            folder.remove_empty(name)

    def _folder(self, path: PurePath, *, create: bool) -> Folder:
        known = self._open.get(path)
        if known is not None:
            self._open.move_to_end(path)
            return known
        root = self._root_of(Path(path))
        with Folder.open(root) as top:
            folder = top.below(path.relative_to(root), create=create)
        self._open[path] = folder
        if len(self._open) > MOST_OPEN:
            # Not one that a caller may just have got: it moves from one folder to another one.
            with self._open.popitem(last=False)[1] as oldest:
                oldest.sync()
        return folder

    def _root_of(self, path: Path) -> Path:
        return next((root for root in self._roots if root == path or root in path.parents), Path(path.anchor))
