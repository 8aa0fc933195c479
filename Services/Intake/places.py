"""Which folders may be what: an inbox, a target and a mirror that lie in each other would feed each other for ever."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from NexusCore.facility.inboxes import INBOXES_FOLDER, Inbox


def inbox_fault(inbox: Inbox, others: Iterable[Inbox], data_root: Path | None) -> str | None:
    """Return why a folder cannot be an inbox; None if it can.

    Parameters
    ----------
    inbox
        Its settings.
    others
        All inboxes.
    data_root
        Where the facility's data are; None if the configuration does not say.
    """
    if inbox.path == Path(inbox.path.anchor):
        return "the whole machine cannot be a drop folder; use a folder of its own"
    if data_root is not None and (inbox.path == data_root or (inbox.subfolders and inbox.path in data_root.parents)):
        return f"which has all data in it (Facility.data_root is {data_root}); use a folder of its own"
    for other in others:
        if other.subfolders and other.path in inbox.path.parents:
            flag = f"{INBOXES_FOLDER}.{other.name}.subfolders"
            return f"which is in the folder of the inbox '{other.name}'; use another one, or set {flag} to False"
    return None


def mirror_fault(path: Path, folders: Iterable[Path]) -> str | None:
    """Return why a folder cannot be a mirror; None if it can.

    Parameters
    ----------
    path
        Of the mirror.
    folders
        Drop folders, and those in which files are filed.
    """
    for folder in folders:
        if path == folder or folder in path.parents:
            return f"which is in {folder}, where files are received or filed; use a folder apart from these"
        if path in folder.parents:
            return f"which has {folder} in it, where files are received or filed; use a folder apart from these"
    return None


def loops(inboxes: Sequence[Inbox], roots: dict[str, list[Path]], *, certain: bool) -> list[tuple[str, ...]]:
    """Return the names of inboxes whose files come back to them, in the order in which they go round.

    Parameters
    ----------
    inboxes
        All of them.
    roots
        By name of the inbox: the targets of its rules.
    certain
        Leave out those of which files only may come back, since an inbox is somewhere below a target.
    """
    leads = {
        inbox.name: [
            other.name
            for other in inboxes
            if other.name != inbox.name and any(_reaches(root, other, certain) for root in roots[inbox.name])
        ]
        for inbox in inboxes
    }
    found: dict[frozenset[str], tuple[str, ...]] = {}
    for start in leads:
        ways: list[tuple[str, ...]] = [(start,)]
        seen = {start}
        while ways:
            way = ways.pop(0)
            for name in leads[way[-1]]:
                if name == start:
                    found.setdefault(frozenset(way), way)
                elif name not in seen:
                    seen.add(name)
                    ways.append((*way, name))
    return list(found.values())


def _reaches(root: Path, inbox: Inbox, certain: bool) -> bool:
    if root == inbox.path or (inbox.subfolders and inbox.path in root.parents):
        return True
    return not certain and root in inbox.path.parents
