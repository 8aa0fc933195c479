"""Names the files that RosettaSciIO's readers look for beside a file, as far as the file or its name says.

Only these are shown to the readers (see `dataset_view`), and only where they are regular files of the same folder or
below it. What a search for files counts to the dataset is among them, so that a single file can be read without one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from xml.etree import ElementTree

Listing = Callable[[], Sequence[str]]
"""Returns the names in the file's own folder."""
_LARGEST_XML = 4_000_000
"""Bytes of an XML file that is looked through."""
_DIRECT_ELECTRON = re.compile(r"(\d{8}_\d+_).*movie\.mrc", re.IGNORECASE)


def names(path: Path, listing: Listing) -> Iterator[str]:
    """Yield names of files beside a file; those that are not there do no harm.

    Parameters
    ----------
    path
        The file. What was named before lies beside it by the time the next name is asked for.
    listing
        Lists its folder, for names that only a pattern describes.
    """
    by = _BY_EXTENSION.get(path.suffix.lower())
    if by is not None:
        yield from by(path, listing)


def _ends(*ends: str) -> Callable[[Path, Listing], Iterator[str]]:
    return lambda path, _listing: (path.stem + end for end in ends)


def _numbered(path: Path, form: str) -> Iterator[str]:
    for number in count(1):
        name = form.format(number)
        yield name
        if not (path.parent / name).exists():
            return


def _tvips(path: Path, _listing: Listing) -> Iterator[str]:
    base = path.name[: -len("000.tvips")]
    return _numbered(path, f"{base.replace('{', '{{').replace('}', '}}')}{{:03d}}{path.suffix}")


def _dectris(path: Path, _listing: Listing) -> Iterator[str]:
    if path.stem.endswith("_master"):
        yield path.stem.removesuffix("_master") + path.suffix
        base = path.stem.removesuffix("_master").replace("{", "{{").replace("}", "}}")
        yield from _numbered(path, f"{base}_data_{{:06d}}{path.suffix}")


def _direct_electron(path: Path, listing: Listing) -> Iterator[str]:
    if movie := _DIRECT_ELECTRON.fullmatch(path.name):
        ends = (".mrc", "info.txt", "scan_coordinates.csv")
        yield from (name for name in listing() if name.startswith(movie[1]) and name.endswith(ends))


def _mrc(path: Path, listing: Listing) -> Iterator[str]:
    yield from (f"{path.stem}.mrc.mdoc", f"{path.stem}.mdoc")  # SerialEM's
    yield from _direct_electron(path, listing)


def _impulse(path: Path, _listing: Listing) -> Iterator[str]:
    if "_Synchronized data" in path.name or "raw" in path.name:
        yield f"{path.name.rpartition('_')[0]}_Metadata.log"


def _empad(path: Path, _listing: Listing) -> Iterator[str]:
    from rsciio.empad import _api

    if path.stat().st_size > _LARGEST_XML:
        return
    # the reader's own way, so that no name is found here that it does not find, nor the other way round
    with suppress(Exception):  # another sort of XML, or a damaged one: its reader says so
        yield str(_api._parse_xml(str(path))[1]["raw_filename"])


def _jeol(path: Path, _listing: Listing) -> Iterator[str]:
    from rsciio.jeol import _api

    with path.open("rb") as file:
        file.seek(12)
        tree = _api._parsejeol(file)
    for sample in tree.get("SampleInfo", {}).values():
        for view in sample.get("ViewInfo", {}).values():
            for data in view.get("ViewData", {}).values():
                yield str(data["Filename"]).replace("\\", "/")


def _ome(path: Path, _listing: Listing) -> Iterator[str]:
    from Services.Builder.extraction.extractors.settings import tiff_tags

    with path.open("rb") as file:
        description = str(tiff_tags(file.read(4), path, 270).get(270, "")).strip()
    if description.endswith("OME>"):  # tifffile recognises it by this, not by the file's name
        try:
            root = ElementTree.fromstring(description)  # noqa: S314 - expat limits what entities expand to
        except (ElementTree.ParseError, ValueError):
            return
        yield from (name for element in root.iter() if (name := element.get("FileName")))


_BY_EXTENSION: Mapping[str, Callable[[Path, Listing], Iterator[str]]] = {
    ".emi": _ends(*(f"_{number}.ser" for number in range(1, 10))),
    ".rpl": _ends(".raw", ".RAW"),
    ".spd": _ends(".spc", ".ipr"),
    ".lsd": _ends(".spc", ".csv"),
    ".mib": _ends(".hdr", ".HDR"),
    ".tvips": _tvips,
    ".h5": _dectris,
    ".mrc": _mrc,
    ".csv": _impulse,
    ".xml": _empad,
    ".asw": _jeol,
    ".tif": _ome,
    ".tiff": _ome,
}
