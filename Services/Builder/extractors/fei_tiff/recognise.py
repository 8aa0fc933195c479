"""Recognises a TIFF by FEI's private tags 34680 (SFEG, settings as INI) and 34682 (Helios)."""

from __future__ import annotations

from pathlib import Path

from Services.Builder.extractors.plain_tiff.recognise import TIFF


def recognise(head: bytes, path: Path) -> bool:
    """Tell whether the first page carries the settings."""
    if not head.startswith(TIFF):
        return False
    from tifffile import TiffFile, TiffFileError

    try:
        with TiffFile(path) as file:
            return bool(file.is_fei)
    except (TiffFileError, ValueError, IndexError, OSError):
        return False
