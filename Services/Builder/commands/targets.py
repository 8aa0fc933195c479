"""Checks where a command may write: never over an instrument's file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from NexusCore.errors import EXIT_USAGE, NexusError
from NexusCore.text import one_line


class WouldReplaceTheFile(NexusError):
    """{target} is the instrument file itself and must not be replaced."""

    exit_code = EXIT_USAGE


class WouldReplaceAnother(NexusError):
    """{target} exists and is not replaced, since its name does not end in .png or .json. Give another name."""

    exit_code = EXIT_USAGE


def check_targets(sources: Iterable[Path], *targets: Path | None) -> None:
    """Refuse to write over files that an instrument may have left.

    Parameters
    ----------
    sources
        The files that are read.
    targets
        Where a picture or JSON goes; None for one that is not asked for.

    Raises
    ------
    WouldReplaceTheFile, WouldReplaceAnother
        If a target is one of the sources, or another file whose name does not end in .png or .json.
    """
    read = [source for source in sources if source.exists()]
    for target in targets:
        if target is None or not target.exists():
            continue
        if any(target.samefile(source) for source in read):
            raise WouldReplaceTheFile(target=_shown(target))
        if target.is_file() and target.suffix.lower() not in (".png", ".json"):
            raise WouldReplaceAnother(target=_shown(target))


def _shown(path: Path) -> str:
    return one_line(str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
