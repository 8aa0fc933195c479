"""Reads Tescan's settings: an INI file beside the image, else its lines between the binary parts of tag 50431."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from Services.Builder.extraction.extractors import terms_tiff
from Services.Builder.extraction.extractors.registry import HEAD
from Services.Builder.extraction.extractors.rosettasciio.read import read_by
from Services.Builder.extraction.extractors.settings import (
    MicroscopeSettings,
    beside,
    ini,
    moment,
    number,
    tiff_tags,
    with_settings,
)
from Services.Builder.extraction.extractors.signal import Reading
from Services.Builder.extraction.extractors.tescan_tiff.recognise import TESCAN_TAG

SAVING = timedelta(minutes=-1), timedelta(minutes=5)
"""How long before and after the acquisition, by two clocks that do not quite agree, a file is saved."""
WESTERNMOST, EASTERNMOST = timedelta(hours=-12), timedelta(hours=14)
"""The zones there are."""
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
_SETTING_LINE = re.compile(rb"(?<!\w)([A-Za-z]\w{1,40})=([^\r\n\0]*)")


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the image with RosettaSciIO and its settings from beside it or from the tag."""
    reading, tree = read_by("TIFF", path), _settings(path)
    acquired, doubtful = clock(moment(f"{_of(tree, 'Date')} {_of(tree, 'Time')}", _TIME_FORMAT), reading.acquired)
    known = MicroscopeSettings(
        format="Tescan TIFF",
        tree=tree,
        rules=terms_tiff.TESCAN,
        column="FIB" if "FIB" in tree else "SEM",
        pixel=(number(_of(tree, "PixelSizeY")), number(_of(tree, "PixelSizeX"))),
        acquired=acquired,
        clock_doubtful=doubtful,
    )
    return with_settings(reading, known)


def clock(header: datetime | None, saved: datetime | None) -> tuple[datetime | None, bool]:
    """Return the time of acquisition, and whether it is doubtful.

    Tescan documents the zone of neither clock. That the header's is UTC, and the tag DateTime the PC's local time when
    the file was saved, is inferred from one file of Essence 1.3.7: its header says 17:19:26, its tag 12:20:37 on the
    same day, which is New York's time 71 s later. So where the two are a whole or half number of hours apart, but for
    `SAVING`, the header is UTC and the difference is the PC's zone. Where they are within `SAVING` of each other, the
    clock is the PC's. Any other difference leaves the zone open.

    Parameters
    ----------
    header
        Date and Time of the settings; None where there are none.
    saved
        The tag DateTime; None where there is none, which leaves the header for local time, as of older programs.
    """
    if header is None or saved is None or saved.tzinfo is not None:
        return header, False
    apart = saved - header
    zone = timedelta(minutes=30) * round(apart / timedelta(minutes=30))
    if not SAVING[0] <= apart - zone <= SAVING[1] or not WESTERNMOST <= zone <= EASTERNMOST:
        return header, True
    return (header.replace(tzinfo=UTC).astimezone(timezone(zone)) if zone else header), False


def _of(tree: Mapping[str, Mapping[str, str]], key: str) -> str:
    return tree.get("MAIN", {}).get(key, "")


def _settings(path: Path) -> dict[str, dict[str, str]]:
    text = beside(path, ".hdr", f"-{path.suffix[1:]}.hdr")
    sections = ini(text) if text else {}
    if "MAIN" in sections:
        return sections
    with path.open("rb") as file:
        raw = tiff_tags(file.read(HEAD), path, TESCAN_TAG).get(TESCAN_TAG, b"")
    lines = {key.decode(): value.decode("utf-8", "replace").strip() for key, value in _SETTING_LINE.findall(bytes(raw))}
    return {"MAIN": lines, "SEM": lines}  # the tag has the lines, but not the sections' names
