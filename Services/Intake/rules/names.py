"""Names of files: which may be filed, and what a name made by a rule may contain."""

from __future__ import annotations

import os
import re

from NexusCore.text import odd_character

LONGEST_NAME = 255
"""Bytes of one name in a folder; most file systems take no longer one."""
LONGEST_PATH = 3000
"""Bytes of a path below its root; the system takes 4,095 for the whole path."""
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,200}")
_NOT_IN_A_FOLDER_NAME = re.compile(r"[^\w.@+\- ]")


def fault_of(name: str) -> str | None:
    """Return why a name in a folder is refused; None if it is fine.

    Other programs of the facility have to store and show these names, so a name is text without control characters.
    """
    if _PLAIN.fullmatch(name):  # as most are
        return None
    if name in ("", ".", ".."):
        return "it is empty" if not name else f"'{name}' is not a name"
    if "/" in name or "\0" in name:
        return "it has a slash"
    odd = odd_character(name)
    if odd is not None:
        what = "a byte that is not UTF-8" if any("\udc80" <= character <= "\udcff" for character in name) else odd
        return f"it has {what}"
    if "\\" in name:
        return "it has a backslash, which Windows takes for a folder"
    if len(os.fsencode(name)) > LONGEST_NAME:
        return f"it has {len(os.fsencode(name))} bytes; at most {LONGEST_NAME} are possible"
    return None


def target_fault(parts: tuple[str, ...]) -> str | None:
    """Return why a path below the target is refused; None if it is fine."""
    for part in parts:
        fault = fault_of(part)
        if fault is not None:
            return f"a name in it cannot be used: {fault}"
        if part.startswith("."):
            return f"'{part}' would be hidden"
    if len(os.fsencode("/".join(parts))) > LONGEST_PATH:
        return f"it has more than {LONGEST_PATH} bytes"
    return None


def as_folder_name(text: str) -> str:
    """Return the name of a person, or of anything else from outside, as the name of a folder."""
    name = _NOT_IN_A_FOLDER_NAME.sub("_", text).strip(" .")
    return name.lstrip("-") or "_"


def numbered(name: str, number: int) -> str:
    """Return a name with a number before its suffix: ``a (2).dm4``."""
    stem, dot, suffix = name.rpartition(".")
    if not stem or not dot:
        return f"{name} ({number})"
    return f"{stem} ({number}).{suffix}"
