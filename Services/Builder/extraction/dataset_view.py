"""Shows a reader the files of one dataset, as the search found them, and nothing else.

Readers open files by name, at any time, and any other name that they find in them. So each dataset gets a private
folder whose entries are links to descriptors that are open already (``/proc/self/fd/7``): the names are the dataset's
own, but what they lead to was opened without following links, is what the search saw, and cannot be exchanged any more.
A companion that is not in the folder is not there.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from NexusCore.files import open_below
from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.faults import FileRefused
from Services.Builder.finding.folders import is_dataset
from Services.Builder.model import Identity

_LINK_REMARK = "a link, or behind one: links in the file store are not followed"
_OWN_FOLDER = "view"
"""Name of the folder in the scratch folder of a process. HDF5 gets it in advance, so it is always the same."""
_DESCRIPTORS = "/proc/self/fd"


@dataclass(frozen=True, slots=True)
class DatasetFiles:
    """What a dataset consists of, as the search found it."""

    path: Path
    companions: tuple[Path, ...] = ()
    root: Path | None = None
    """Folder of the file store, which may be a link; below it none is followed. None for the folder of `path`."""
    identities: tuple[Identity | None, ...] = ()
    """Of the file and its companions; empty, or None, where they were not seen or cannot be compared."""

    @property
    def below_root(self) -> Path:
        """The file's path below the folder of the file store; its name alone where that is not known."""
        if self.root is None or not self.path.is_relative_to(self.root):
            return Path(self.path.name)
        return self.path.relative_to(self.root)


def view_folder(scratch: Path) -> Path:
    """Return where, in the scratch folder of a process, the files of a dataset are shown."""
    return scratch / _OWN_FOLDER


class DatasetView:
    """A folder with the files of a dataset, while they are read.

    Parameters
    ----------
    files
        The dataset.
    scratch
        Folder of this process alone, in which one view at a time is shown; None for a temporary one.
    """

    def __init__(self, files: DatasetFiles, scratch: Path | None = None) -> None:
        self.files = files
        self.remarks: list[str] = []
        """Sentences on files beside the dataset that its reader asked for and that are not shown."""
        self.names_others = False
        """Whether the dataset names files that cannot be its own, outside its folder."""
        self._scratch = scratch
        self._temporary: Path | None = None
        self._opened: dict[int, tuple[int, ...]] = {}
        self._parent = -1

    def open(self) -> None:
        """Open the files and show them; `close` has to follow only where this succeeds.

        Raises
        ------
        FileRefused
            A file is a link, not a regular file, or not the one that the search found.
        OSError
            It cannot be opened.
        """
        if self._scratch is None:
            self._temporary = self.scratch = Path(os.path.realpath(tempfile.mkdtemp(prefix="nexuscore-view-")))
        else:
            self.scratch = Path(os.path.realpath(self._scratch))
        self.folder = view_folder(self.scratch)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700)
        _keep_names_of(self.folder)
        try:
            self._show_all()
        except BaseException:
            self.close()
            raise

    @property
    def path(self) -> Path:
        """Name of the dataset's main file in the view."""
        return self.folder / self.files.path.name

    @property
    def companions(self) -> list[Path]:
        """Names of its companions in the view; those that are missing are named, too."""
        return [self.folder / self._place(companion) for companion in self.files.companions]

    def others(self) -> list[Path]:
        """Return the files that are shown beside the main one, companions or not, in the same folder."""
        return [path for path in sorted(self.folder.iterdir()) if path != self.path and path.is_symlink()]

    def listing(self) -> list[str]:
        """Return the names in the dataset's own folder."""
        folder = os.open(os.curdir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._parent)
        try:
            return os.listdir(folder)  # noqa: PTH208 - a descriptor has no path
        finally:
            os.close(folder)

    def close(self) -> None:
        """Take the view away, and close the files."""
        _forget_names_of(self.folder)
        shutil.rmtree(self._temporary or self.folder, ignore_errors=True)
        for descriptor in self._opened:
            os.close(descriptor)
        self._opened.clear()
        if self._parent >= 0:
            os.close(self._parent)
            self._parent = -1

    def changed(self) -> bool:
        """Return whether one of the files was changed since it was opened."""
        return any(_state(os.fstat(descriptor)) != state for descriptor, state in self._opened.items())

    def show_beside(self, names: Iterable[str | PurePath]) -> None:
        """Show regular files of the dataset's folder, or below it, that its format is read with, where they are there.

        What is a link, or lies elsewhere, is not shown, and noted in `remarks`.
        """
        for name in map(PurePath, names):
            target = self.folder / name
            if name.is_absolute() or os.pardir in name.parts:
                shown = one_line(name)
                self.remarks.append(f"The file names another one, {shown}, outside its folder: neither is read.")
                self.names_others = True
            elif name.parts and not os.path.lexists(target):
                with suppress(OSError):
                    try:
                        self._show(self._parent, name.parts, target, None)
                    except FileRefused as refused:
                        self.remarks.append(f"A file beside it is not read: {refused.facts['reason']}.")

    def without_place(self, text: str) -> str:
        """Return a text of a reader with the names of files as they are in the dataset's own folder."""
        return text.replace(f"{self.folder}{os.sep}", "").replace(str(self.folder), ".")

    # -- opening ---------------------------------------------------------------------------------------------------

    def _show_all(self) -> None:
        path, root = self.files.path, self.files.root
        if root is None or not path.is_relative_to(root):
            root = path.parent
        top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            parts = path.relative_to(root).parts
            if len(parts) > 1:
                self._parent = self._open(top, parts[:-1], os.O_PATH | os.O_DIRECTORY)
            else:
                self._parent = os.dup(top)
            identities = self.files.identities or (None,) * (1 + len(self.files.companions))
            self._show(self._parent, parts[-1:], self.path, identities[0])
            for companion, identity in zip(self.files.companions, identities[1:], strict=True):
                if companion.is_relative_to(root):
                    with suppress(FileNotFoundError):
                        parts = companion.relative_to(root).parts
                        self._show(top, parts, self.folder / self._place(companion), identity)
        finally:
            os.close(top)

    def _place(self, companion: Path) -> Path:
        parent = self.files.path.parent
        return companion.relative_to(parent) if companion.is_relative_to(parent) else Path(companion.name)

    def _open(self, folder: int, parts: Sequence[str], flags: int = os.O_RDONLY) -> int:
        try:
            return open_below(folder, parts, flags)
        except ValueError as error:
            raise FileRefused(reason=f"'{one_line(PurePath(*parts))}' is not the name of a file") from error
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise FileRefused(reason=f"{one_line(PurePath(*parts))} is {_LINK_REMARK}") from None
            if error.errno == errno.ENXIO:  # a socket, or a device without a driver
                raise FileRefused(reason=f"{one_line(PurePath(*parts))} is not a regular file") from None
            raise

    def _show(self, folder: int, parts: Sequence[str], target: Path, expected: Identity | None) -> None:
        descriptor = self._open(folder, parts)
        status = os.fstat(descriptor)
        self._opened[descriptor] = _state(status)
        name = one_line(PurePath(*parts))
        if expected is not None and expected != (status.st_dev, status.st_ino):
            raise FileRefused(reason=f"another file has taken the place of {name} since the search")
        target.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISREG(status.st_mode):
            target.symlink_to(f"{_DESCRIPTORS}/{descriptor}")
        elif stat.S_ISDIR(status.st_mode):
            target.mkdir()
            if is_dataset(target):
                self._show_members(descriptor, parts, target)
        else:
            raise FileRefused(reason=f"{name} is not a regular file")

    def _show_members(self, folder: int, parts: Sequence[str], target: Path) -> None:
        for name in sorted(os.listdir(folder)):
            inner, place = (*parts, name), target / name
            try:
                descriptor = self._open(folder, (name,))
            except FileRefused:
                raise FileRefused(reason=f"{one_line(PurePath(*inner))} is {_LINK_REMARK}") from None
            status = os.fstat(descriptor)
            self._opened[descriptor] = _state(status)
            if stat.S_ISREG(status.st_mode):
                place.symlink_to(f"{_DESCRIPTORS}/{descriptor}")
            elif stat.S_ISDIR(status.st_mode):
                place.mkdir()
                self._show_members(descriptor, inner, place)
            else:
                raise FileRefused(reason=f"{one_line(PurePath(*inner))} is not a regular file")


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


# -- names stay names ----------------------------------------------------------------------------------------------

_views: list[str] = []
_resolved = os.path.realpath


def _realpath(path: str | os.PathLike[str], *, strict: bool = False) -> str:
    """Return the name of a file in a view as it is.

    Some libraries (tifffile) resolve a name once and open the result: that would be the file's place in the file store,
    where by then another one may be.
    """
    name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - as in os.path
    if any(name.startswith(view) for view in _views):
        return name
    return _resolved(path, strict=strict)


def _keep_names_of(folder: Path) -> None:
    os.path.realpath = _realpath  # type: ignore[assignment]
    _views.append(f"{folder}{os.sep}")


def _forget_names_of(folder: Path) -> None:
    with suppress(ValueError):
        _views.remove(f"{folder}{os.sep}")
