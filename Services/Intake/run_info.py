"""The file `runInfo.yaml` in a run's folder, which holds what was in the names of its files: the HLT mode.

It is written as Overwatch writes it, by YAML 1.2, in which ``on`` and ``no`` are texts. It is replaced in one step: a
program that is killed leaves the old one or the new one, not half of it.
"""

from __future__ import annotations

import errno
import logging
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from NexusCore.errors import NexusError
from NexusCore.files import Folder, InTheWay, write_below
from NexusCore.text import kind_of, one_line, shortened

FILE = "runInfo.yaml"
MODE = "hltMode"
UNKNOWN_MODE = "U"
MOST_BYTES = 65_536
"""Of the file; Overwatch writes a dozen."""
LONGEST_MODE = 64
"""Characters of a mode; those of Overwatch have up to three."""
_BOOL = "tag:yaml.org,2002:bool"

_LOG = logging.getLogger(__name__)


class RunInfoUnreadable(NexusError):
    """{path} cannot be read: {reason}. Correct it, or write it again with writeRunInfoToFile(..., forceWrite=True)."""


class RunInfoNotAMapping(RunInfoUnreadable, TypeError):
    """{path} is not a mapping such as {{hltMode: B}}, but {kind}. Correct it, or write it again with
    writeRunInfoToFile(..., forceWrite=True).
    """  # noqa: D205  the docstring is the message


class RunInfoWithoutMode(RunInfoUnreadable, KeyError):
    """{path} has no {mode}. Correct it, or write it again with writeRunInfoToFile(..., forceWrite=True)."""

    __str__ = Exception.__str__  # a KeyError's puts the sentence into quotes


class ModeRefused(NexusError, ValueError):
    """The HLT mode '{mode}' is not stored: use up to {most} letters on one line."""


def stored_mode(folder: Path) -> Any:
    """Return the HLT mode in a run's folder; "U" if the file does not exist or may not be read.

    Raises
    ------
    RunInfoUnreadable
        If the file is not YAML, or has no mode.
    """
    import yaml

    path = folder / FILE
    try:
        info = yaml.load(_content(folder), Loader=_loader())  # noqa: S506  a safe one
    except FileNotFoundError:
        _LOG.debug("Run info file doesn't exist for run directory %s", one_line(str(folder)))
        return UNKNOWN_MODE
    except OSError as error:
        _LOG.warning("%s cannot be read (%s): its HLT mode is unknown", one_line(str(path)), error.strerror)
        return UNKNOWN_MODE
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: an impossible date, for one
        reason = " ".join(one_line(str(error)).replace("\\n", " ").split())
        raise RunInfoUnreadable(path=path, reason=f"it is not YAML ({reason})") from None
    if not isinstance(info, dict):
        kind = "empty" if info is None else f"of the type {type(info).__name__}"
        raise RunInfoNotAMapping(path=path, kind=kind)
    if MODE not in info:
        raise RunInfoWithoutMode(path=path, mode=MODE)
    mode = info[MODE]
    if mode is not None and not isinstance(mode, str | int | float):
        raise RunInfoUnreadable(path=path, reason=f"its {MODE} is no text, but {kind_of(mode)}")
    if not _is_mode(str(mode)):
        raise RunInfoUnreadable(path=path, reason=f"its {MODE} is not up to {LONGEST_MODE} letters on one line")
    return mode


def _is_mode(text: str) -> bool:
    return len(text) <= LONGEST_MODE and text.isprintable()


def _content(folder: Path) -> bytes:
    """Return the content of the file; neither a link is followed, nor a pipe waited for, nor too much read."""
    try:
        with Folder.open(folder) as place, place.open_file(FILE) as file:
            content = file.read(MOST_BYTES + 1)
    except InTheWay as error:
        if (folder / FILE).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from None
        raise RunInfoUnreadable(path=folder / FILE, reason=f"it is {error.facts['kind']}, not a file") from None
    if len(content) > MOST_BYTES:
        raise RunInfoUnreadable(path=folder / FILE, reason=f"it has more than {MOST_BYTES:,} bytes")
    return content


def write_mode(folder: Path, mode: str | None, *, overwrite: bool) -> None:
    """Write the HLT mode into a run's folder, which is created if missing.

    Parameters
    ----------
    folder, mode
        Where, and the mode; without one it is "U".
    overwrite
        Replace a file that exists; otherwise it stays as it is.

    Raises
    ------
    InTheWay
        If a folder or a link has the name of the file.
    ModeRefused
        If the mode has more than a few letters.
    """
    import yaml

    path = folder / FILE
    if mode and not _is_mode(str(mode)):
        raise ModeRefused(mode=shortened(one_line(str(mode)), LONGEST_MODE), most=LONGEST_MODE)
    if not overwrite and path.exists():
        return
    info = {MODE: mode or UNKNOWN_MODE}
    plain = str(info[MODE]).isprintable()  # other characters are escaped: a line separator would come back as a blank
    text = yaml.dump(info, Dumper=_dumper(), default_flow_style=None, allow_unicode=plain)
    write_below(folder, path, text.encode())


@lru_cache(maxsize=1)
def _loader() -> Any:
    import yaml

    return _only_true_and_false(yaml.SafeLoader)


@lru_cache(maxsize=1)
def _dumper() -> Any:
    import yaml

    return _only_true_and_false(yaml.SafeDumper)


def _only_true_and_false(kind: Any) -> Any:
    """Return a loader or dumper for which only true and false are booleans, as in YAML 1.2; in 1.1 yes and on are."""
    resolvers = {
        first: [(tag, pattern) for tag, pattern in candidates if tag != _BOOL or first in "tTfF"]
        for first, candidates in kind.yaml_implicit_resolvers.items()
    }
    return type(kind.__name__, (kind,), {"yaml_implicit_resolvers": resolvers})
