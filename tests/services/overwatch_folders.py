"""Folders of received files and of runs, as Overwatch has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

TIME = "2015_11_24_18_05_10"
SECONDS = 1448384710
"""That time in Zurich, in seconds since the epoch."""


def received(folder: Path, *names: str) -> Path:
    """Put files into a folder; the content of each is its name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def tree(folder: Path) -> list[str]:
    """Return the files below a folder, and the empty folders with a slash behind them."""
    return sorted(_walk(folder, folder)) or ["./"]


def _walk(root: Path, folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _walk(root, path)
            if not any(path.iterdir()):
                yield f"{path.relative_to(root)}/"
        else:
            yield str(path.relative_to(root))


def contents(folder: Path) -> dict[str, str]:
    """Return the content of each file below a folder, by its path; links are not files."""
    return {name: (folder / name).read_text() for name in tree(folder) if not (folder / name).is_dir()}
