"""The rules of the NexusLIMS viewer of a CDCS site, as its stylesheet and scripts have them (NexusLIMS-CDCS 3.18)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from lxml import etree

_THUMBNAIL = ".thumb.png"


def viewer_faults(document: bytes, shown: Path, store: Path) -> list[str]:
    """Return why the viewer would not show a record whole.

    Parameters
    ----------
    document
        The record as the site has it.
    shown, store
        The folders that ``previewBaseUrl`` and ``datasetBaseUrl`` lead to.
    """
    root = etree.fromstring(document)
    faults = [] if root.get("pid") is None else ["Experiment/@pid: the viewer makes a link of it"]
    if not root.findtext("{*}id"):
        faults.append("id: 'Reservation ID' stays empty")
    samples = {sample.get("id") for sample in root.iterfind("{*}sample")}
    for activity in root.iterfind("{*}acquisitionActivity"):
        sample = activity.findtext("{*}sampleID")
        if sample is not None and sample not in samples:
            faults.append(f"sampleID: there is no sample {sample}")
        for dataset in activity.iterfind("{*}dataset"):
            faults.extend(_dataset_faults(dataset, shown, store))
    return faults


def _dataset_faults(dataset: etree._Element, shown: Path, store: Path) -> Iterator[str]:
    if dataset.find("{*}format") is not None:
        yield "format: the table has a column too many, and the page never opens"
    yield from _link_faults("location", dataset.findtext("{*}location") or "", store)
    for preview in dataset.iterfind("{*}preview"):
        text = preview.text or ""
        if not text.endswith(_THUMBNAIL):
            yield f"preview: {text} does not end in {_THUMBNAIL}"
        yield from _link_faults("preview", text, shown)
    first = dataset.findtext("{*}preview")
    if first is not None:
        yield from _link_faults("metadata", first.partition(_THUMBNAIL)[0] + ".json", shown)


def _link_faults(what: str, text: str, folder: Path) -> Iterator[str]:
    """Yield what is wrong with an address that the viewer makes of a base and a text."""
    if not text.startswith("/"):
        yield f"{what}: {text} does not begin with a slash"
    elif quote_from_bytes(unquote_to_bytes(text)) != text.replace("%2E", "."):
        yield f"{what}: {text} is not percent-encoded"
    elif not (folder / os.fsdecode(unquote_to_bytes(text))[1:]).is_file():
        yield f"{what}: nothing is shown at {text}"
