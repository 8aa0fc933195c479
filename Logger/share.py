r"""The file share of the facility, as an optional step: it is looked at when a session starts and when it ends.

The commands are those that people would type (docs/logger.md lists them)::

    ping <server> -n 1            the server's address, since names are sometimes not resolved
    net use                       what is mapped already: that is used, and left as it is
    net use H: \\<address>\<share>
    net use H: /del /y            only what was mapped here

Passwords are never on a command line: the account that is logged on has to be allowed to use the share.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import PureWindowsPath
from typing import Callable, Iterator, Sequence

PING_SECONDS, NET_SECONDS = 10.0, 30.0
LETTERS = "HIJKLMNOPQRSTUVWXYZGFED"
"""Drive letters in the order in which they are tried; the first ones of the alphabet are disks."""
_MAPPED = re.compile(r"\b([A-Z]):\s+(\\\\\S.*?)(?:\s{2,}|$)", re.MULTILINE)
_ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")

_LOG = logging.getLogger(__name__)
Command = Callable[[Sequence[str], float], "tuple[int, str]"]
"""Runs a command within some seconds; returns its exit code and what it said."""


class ShareError(Exception):
    """The share cannot be used; the text is a sentence for the user.

    Parameters
    ----------
    sentence
        For the user.
    detail
        For the debug log.
    """

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.detail = detail


class FileShare:
    r"""A share of a file server.

    Parameters
    ----------
    path
        ``\\server\share``, with folders behind it if only those are of interest.
    command
        Runs a command.
    drives
        Returns the drive letters that are in use.
    is_there
        Returns whether a path can be read.

    Raises
    ------
    ShareError
        If `path` is not the path of a share.
    """

    def __init__(
        self,
        path: str,
        command: Command | None = None,
        drives: Callable[[], set[str]] | None = None,
        is_there: Callable[[str], bool] = os.path.exists,
    ) -> None:
        self._server, self._share, self._folder = _parts(path)
        self._command = command or _run
        self._drives = drives or _used_letters
        self._is_there = is_there

    def check(self) -> str:
        """Reach the share, see that its folder can be read, and leave everything as it was; return the drive.

        Raises
        ------
        ShareError
            If it cannot be reached or read.
        """
        with self.reached() as drive:
            return drive

    @contextmanager
    def reached(self) -> Iterator[str]:
        """Lend the drive that the share is on, as ``H:``; what was mapped for it is removed afterwards.

        Raises
        ------
        ShareError
            If it cannot be reached or read.
        """
        address = self._address()
        listed = self._mapped()
        drive = next((drive for drive, place in listed if self._is_ours(place, address)), "")
        if drive:
            _LOG.info("The file share is on %s already.", drive)
            self._look(drive)
            yield drive
            return
        drive = self._free({letter[0] for letter, _ in listed})
        place = rf"\\{address}\{self._share}"
        code, said = self._net("use", drive, place)
        if code:
            raise ShareError("The file share cannot be reached.", f"net use {drive} {place}: {code}, {said}")
        try:
            self._look(drive)
            yield drive
        finally:
            code, said = self._net("use", drive, "/del", "/y")
            if code:
                _LOG.warning("The drive %s stays mapped: %d, %s", drive, code, said)

    # -- private -------------------------------------------------------------------------------------------------------

    def _address(self) -> str:
        """Return the server's IPv4 address, or its name where that is not found."""
        code, said = self._command([_system("PING.EXE"), self._server, "-n", "1"], PING_SECONDS)
        for found in _ADDRESS.findall(said):
            if all(int(part) < 256 for part in found.split(".")):
                return str(found)
        _LOG.info("The address of %s was not found (%d): %s", self._server, code, said)
        return self._server

    def _mapped(self) -> list[tuple[str, str]]:
        """Return the mapped drives and where they lead."""
        code, said = self._net("use")
        if code:
            _LOG.warning("Mapped drives cannot be listed: %d, %s", code, said)
        return [(f"{letter}:", place.strip()) for letter, place in _MAPPED.findall(said)]

    def _is_ours(self, place: str, address: str) -> bool:
        server, _, share = place[2:].partition("\\")
        return server.lower() in (self._server.lower(), address) and share.lower() == self._share.lower()

    def _free(self, mapped: set[str]) -> str:
        used = self._drives() | mapped  # one that is not connected at the moment is listed, but no drive
        for letter in LETTERS:
            if letter not in used:
                return f"{letter}:"
        raise ShareError("The file share cannot be reached: all drive letters of this computer are in use.")

    def _look(self, drive: str) -> None:
        place = f"{drive}\\{self._folder}"
        if not self._is_there(place):
            raise ShareError("The file share was reached, but its folder cannot be read.", place)

    def _net(self, *arguments: str) -> tuple[int, str]:
        return self._command([_system("NET.EXE"), *arguments], NET_SECONDS)


def _parts(path: str) -> tuple[str, str, str]:
    parts = PureWindowsPath(path.strip()).parts
    match = re.fullmatch(r"\\\\([^\\]+)\\([^\\]+)\\", parts[0]) if parts else None
    if match is None or re.search(r'[\x00-\x1f"*?<>|/]', path) or path.strip().startswith("\\\\-"):
        raise ShareError(rf"The path of the file share is '{path}'; write it as \\server\share.")
    return match[1], match[2], "\\".join(parts[1:])


def _system(program: str) -> str:
    """Return the path of a program of Windows: one in the working folder must not be taken for it."""
    return str(PureWindowsPath(os.environ.get("SYSTEMROOT", "C:\\Windows"), "System32", program))


def _run(arguments: Sequence[str], seconds: float) -> tuple[int, str]:
    """Run a command without a window."""
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        done = subprocess.run(  # noqa: S603  system programs by their path, without a shell
            list(arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=seconds, check=False, creationflags=flags,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return -1, f"no answer within {seconds:g} s"
    except OSError as error:
        return -1, str(error)
    # The code page of the console, which is not that of the windows.
    encoding = "oem" if sys.platform == "win32" else "utf-8"
    return done.returncode, done.stdout.decode(encoding, "replace").replace("\r\n", "\n").strip()


if sys.platform == "win32":
    import ctypes

    def _used_letters() -> set[str]:
        mask = ctypes.windll.kernel32.GetLogicalDrives()
        return {chr(ord("A") + number) for number in range(26) if mask >> number & 1}

else:

    def _used_letters() -> set[str]:
        raise ShareError("File shares are mapped on Windows only; remove share from the settings.")
