"""Secret values, typed on the terminal or read from a file instead of the command line."""

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
"""Most bytes of a file with a value; longer values are always refused."""
TERMINAL = Path("/dev/tty")


class NoTerminalForSecret(NexusError):
    """Typing the value of '{path}' needs a terminal. Use --from-file - to read it from the standard input."""

    exit_code = EXIT_REFUSED


class NothingTyped(NexusError):
    """No value was given for '{path}': nothing was changed."""

    exit_code = EXIT_REFUSED


class TwoValues(NexusError):
    """The two values typed for '{path}' are different: nothing was changed."""

    exit_code = EXIT_REFUSED


def is_secret_parameter(before: Change | None) -> bool:
    """Return whether a parameter exists and is a secret."""
    return before is not None and is_secret(before)


def given(arguments: Namespace, before: Change | None, screen: Screen) -> str | None:
    """Return the value from the command line, a file or the terminal; None if the user gave none.

    Parameters
    ----------
    arguments
        The tool's: ``path``, ``value``, ``secret`` and ``from_file`` are used.
    before
        The present parameter.
    screen
        Where to warn.
    """
    secret = is_secret_parameter(before) if arguments.secret is None else arguments.secret
    if arguments.from_file is not None:
        if arguments.value is not None:
            raise WrongUse(mistake="VALUE cannot be combined with --from-file.", tool=screen.name)
        return _from_file(arguments, screen, secret=secret)
    if secret and arguments.value is None:
        return _typed(arguments.path)
    if secret and arguments.value:
        warn(arguments.path, screen)
    return str(arguments.value) if arguments.value is not None else None


def unseen(arguments: Namespace, before: Change | None) -> AbstractContextManager[None]:
    """Keep a secret value out of the message that refuses it."""
    return discreet(Limits(secret=bool(arguments.secret) or is_secret_parameter(before)))


def datatype(arguments: Namespace, before: Change | None) -> str | None:
    """Return the type of the value; for a secret it is not guessed, because 0123 or 1e5 may be a password."""
    if arguments.type or not (arguments.secret or is_secret_parameter(before)):
        return str(arguments.type) if arguments.type else None
    return before.datatype if before is not None and is_secret_parameter(before) else STRING


def marked(edit: Edit, secret: bool | None, before: Change | None) -> Edit:
    """Return the change with the parameter made a secret, or a normal parameter; None keeps that as it is."""
    if secret is None:
        return edit
    limits = Limits.from_json(before.limits if before is not None else None)
    return replace(edit, limits=replace(limits, secret=secret), reveal=not secret)


def warn(path: str, screen: Screen) -> None:
    """Warn that others can read the command line."""
    screen.fail(
        f"Warning: '{path}' is a secret, and other users can see the command line (ps, shell history). "
        f"To type it hidden next time: {screen.name} set {path} --secret"
    )


def _from_file(arguments: Namespace, screen: Screen, *, secret: bool) -> str:
    name = arguments.from_file
    text = files.read_text(name, LARGEST_VALUE_FILE)
    if secret and name != files.STDIN and _is_open(name):
        screen.fail(f"Other users can read {name}. To prevent that: chmod 600 {name}")
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
    """Ask for a value twice, without showing it."""
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
        again = getpass("Repeat the value: ")
    except EOFError:
        raise NothingTyped(path=path) from None
    if again != value:
        raise TwoValues(path=path)
    return value
