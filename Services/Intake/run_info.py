"""The file `runInfo.yaml` in a run's folder, which holds what was in the names of its files: the HLT mode.

It is written as Overwatch writes it, by YAML 1.2, in which ``on`` and ``no`` are texts. It is replaced in one step: a
program that is killed leaves the old one or the new one, not half of it.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

from NexusCore.errors import NexusError
from NexusCore.files import write_below
from NexusCore.text import one_line

FILE = "runInfo.yaml"
MODE = "hltMode"
UNKNOWN_MODE = "U"
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
        info = yaml.load(path.read_bytes(), Loader=_loader())  # noqa: S506  a safe one
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
    return info[MODE]


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
    """
    import yaml

    path = folder / FILE
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
