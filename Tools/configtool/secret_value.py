"""Values that others are not to see: asked for on the terminal or read from a file, not taken from the command line."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from NexusCore.config.changes import Change, Edit
from NexusCore.config.values import STRING, Limits, discreet
from NexusCore.errors import EXIT_REFUSED, NexusError
from Tools.common import files
from Tools.common.arguments import WrongUse
from Tools.common.parameters import is_secret
from Tools.common.terminal import Screen

LARGEST_VALUE_FILE = 1024 * 1024
"""Bytes of a file with a value; a longer value is refused in any case."""
TERMINAL = Path("/dev/tty")


class NoTerminalForSecret(NexusError):
    """There is no terminal to ask for the value of '{path}'. Use --from-file - to read it from the standard input."""

    exit_code = EXIT_REFUSED


class NothingTyped(NexusError):
    """No value was given for '{path}': nothing was changed."""

    exit_code = EXIT_REFUSED


class TwoValues(NexusError):
    """The two values typed for '{path}' are different: nothing was changed."""

    exit_code = EXIT_REFUSED


def is_one(before: Change | None) -> bool:
    """Return whether there is a parameter and it is a secret."""
    return before is not None and is_secret(before)


def given(arguments: Namespace, before: Change | None, screen: Screen) -> str | None:
    """Return the value that the user wants, from wherever it comes; None if there is none.

    Parameters
    ----------
    arguments
        The tool's: ``path``, ``value``, ``secret`` and ``from_file`` are used.
    before
        The parameter as it is.
    screen
        Where to warn.
    """
    secret = is_one(before) if arguments.secret is None else arguments.secret
    if arguments.from_file is not None:
        if arguments.value is not None:
            raise WrongUse(mistake="VALUE and --from-file exclude each other.", tool=screen.name)
        return _from_file(arguments, screen, secret=secret)
    if secret and arguments.value is None:
        return _typed(arguments.path)
    if secret and arguments.value:
        warn(arguments.path, screen)
    return str(arguments.value) if arguments.value is not None else None


def unseen(arguments: Namespace, before: Change | None) -> AbstractContextManager[None]:
    """Keep the value, if it is a secret or is to be one, out of the sentence that refuses it."""
    return discreet(Limits(secret=bool(arguments.secret) or is_one(before)))


def datatype(arguments: Namespace, before: Change | None) -> str | None:
    """Return the type of the value; that of a secret is not guessed, since 0123 or 1e5 may be a password."""
    if arguments.type or not (arguments.secret or is_one(before)):
        return str(arguments.type) if arguments.type else None
    return before.datatype if before is not None and is_one(before) else STRING


def marked(edit: Edit, secret: bool | None, before: Change | None) -> Edit:
    """Return the change so that the parameter is a secret from now on, or none any more; None leaves that as it is."""
    if secret is None:
        return edit
    limits = Limits.from_json(before.limits if before is not None else None)
    return replace(edit, limits=replace(limits, secret=secret), reveal=not secret)


def warn(path: str, screen: Screen) -> None:
    """Say who can read what was typed."""
    screen.fail(
        f"'{path}' is a secret, and other users can see it on the command line (ps, the shell's history). "
        f"{screen.name} set {path} --secret asks for it instead."
    )


def _from_file(arguments: Namespace, screen: Screen, *, secret: bool) -> str:
    name = arguments.from_file
    text = files.read_text(name, LARGEST_VALUE_FILE)
    if secret and name != files.STDIN and _is_open(name):
        screen.fail(f"Other users can read {name}. Close it with: chmod 600 {name}")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text and secret:
        raise NothingTyped(path=arguments.path)
    return text


def _is_open(name: str) -> bool:
    try:
        mode = Path(name).stat()
    except OSError:
        return False
    return os.name == "posix" and mode.st_mode & 0o044 != 0


def _typed(path: str) -> str:
    """Ask for a value, twice and without showing it."""
    if sys.platform != "win32":
        try:
            TERMINAL.open("r+b", buffering=0).close()
        except OSError:
            raise NoTerminalForSecret(path=path) from None
    from getpass import getpass

    try:
        value = getpass(f"Value of {path} (not shown): ")
        if not value:
            raise NothingTyped(path=path)
        again = getpass("The same again: ")
    except EOFError:
        raise NothingTyped(path=path) from None
    if again != value:
        raise TwoValues(path=path)
    return value
