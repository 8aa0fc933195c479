"""Reads a project of JEOL's Analysis Station (.ASW) of which some views are missing.

RosettaSciIO's reader gives the whole project up for one file that is not there, or cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def signals(path: Path) -> list[dict[str, Any]] | None:
    """Return the dictionaries of the views that are there; None where all or none are, which is left to the reader."""
    if path.suffix.lower() != ".asw":
        return None
    from rsciio.jeol import _api

    with path.open("rb") as file:
        file.seek(12)
        tree = _api._parsejeol(file)
    views = {name: view for name, view in _views(tree) if (path.parent / name).is_file()}
    listed = {name for name, _view in _views(tree)}
    if not views or len(views) == len(listed):
        return None
    found: list[dict[str, Any]] = []
    for name, view in views.items():
        for dictionary in _read(path.parent / name):
            dictionary["original_metadata"].update(asw=tree, asw_viewdata=view)
            found.append(dictionary)
    return found or None


def _views(tree: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the name of each view's file, relative to the project's, and what the project says of it."""
    for sample in tree.get("SampleInfo", {}).values():
        for view in sample.get("ViewInfo", {}).values():
            for data in view.get("ViewData", {}).values():
                yield str(data["Filename"]).replace("\\", "/"), data


def _read(path: Path) -> list[dict[str, Any]]:
    from rsciio.jeol import _api

    for lazy in (True, False):
        try:
            return list(_api.file_reader(str(path), lazy=lazy))
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001, S112 - a foreign reader raises what it likes; the view counts as missing
            continue
    return []
