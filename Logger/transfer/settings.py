"""How the files of this computer's instrument are transferred, as the facility has set it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Mapping

SMALLEST_CHUNK, LARGEST_CHUNK = 64 * 1024, 256 * 1024 * 1024
"""Bytes; what lies outside is not believed."""
SHORTEST_PAUSE = 0.05
"""Least seconds between two scans."""


@dataclass(frozen=True)
class StationTransfer:
    """Settings of `Instruments.<pid>.transfer`; without a facility that switches it on, nothing is transferred."""

    on: bool = False
    folders: tuple[tuple[str, str], ...] = ()
    """Names of folders, and their paths on this computer."""
    ignore: tuple[str, ...] = ()
    """Patterns of names, of files and folders, that are left out."""
    stable_seconds: float = 10.0
    """How long a file must stay unchanged before it is sent."""
    interval_seconds: float = 5.0
    """Seconds between two scans."""
    after_booked_end: str = "take"
    """``hold``: files that appear after the booked end wait for a click."""
    bandwidth: str = ""
    """See `Logger.transfer.bandwidth`."""
    chunk_size: int = 8 * 1024 * 1024
    """Bytes that are sent with one request."""

    @staticmethod
    def of(answer: object) -> StationTransfer:
        """Return the settings of an answer of the Gateway; off where it says nothing that can be used.

        Parameters
        ----------
        answer
            What stands under ``transfer`` of an instrument, or what `as_text` has written.
        """
        try:
            return _read(answer) if isinstance(answer, dict) and answer.get("on") is True else StationTransfer()
        except (KeyError, TypeError, ValueError):  # of a facility that is newer than this logger
            return StationTransfer()

    @staticmethod
    def of_text(text: str) -> StationTransfer:
        """Return the settings that `as_text` has written."""
        try:
            return StationTransfer.of(json.loads(text))
        except ValueError:
            return StationTransfer()

    def as_text(self) -> str:
        """Return the settings as text, for a file."""
        return json.dumps(asdict(self))


def _read(answer: dict[str, Any]) -> StationTransfer:
    found = answer["folders"]
    pairs = found.items() if isinstance(found, Mapping) else found
    folders = tuple((str(name), str(path)) for name, path in pairs)
    default = StationTransfer()
    return StationTransfer(
        on=bool(folders),
        folders=folders,
        ignore=tuple(str(pattern) for pattern in answer.get("ignore", ())),
        stable_seconds=max(0.0, float(answer.get("stable_seconds", default.stable_seconds))),
        interval_seconds=max(SHORTEST_PAUSE, float(answer.get("interval_seconds", default.interval_seconds))),
        after_booked_end=str(answer.get("after_booked_end", default.after_booked_end)),
        bandwidth=str(answer.get("bandwidth") or ""),
        chunk_size=min(LARGEST_CHUNK, max(SMALLEST_CHUNK, int(answer.get("chunk_size", default.chunk_size)))),
    )
