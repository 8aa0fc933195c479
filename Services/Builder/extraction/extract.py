"""Extracts the metadata and the previews of one instrument file."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

import NexusCore
from NexusCore.errors import NexusError
from NexusCore.files import InTheWay, remove_below, write_below
from NexusCore.resources import is_disk_full
from Services.Builder.extraction.completeness import shortfall, tells_shortfall
from Services.Builder.extraction.context import NO_CONTEXT, ReadingContext
from Services.Builder.extraction.dataset_view import DatasetFiles, DatasetView
from Services.Builder.extraction.extractors import Reading, beside, candidates, formats
from Services.Builder.extraction.extractors.captured_output import capture_output
from Services.Builder.extraction.extractors.cleaning import one_line
from Services.Builder.extraction.extractors.dimensions import measures
from Services.Builder.extraction.extractors.document import MetadataContent, document, with_fingerprint
from Services.Builder.extraction.extractors.faults import FileRefused, NoSuchFile, Unreadable, failure_sentence, reason
from Services.Builder.extraction.extractors.hostile import disable_code_execution, refuse
from Services.Builder.extraction.extractors.kinds import UNKNOWN, Kind, kind_of
from Services.Builder.extraction.extractors.profile import NOTHING_KNOWN, Profile
from Services.Builder.extraction.fingerprints import fingerprints, missing_digests, size, without_digest
from Services.Builder.extraction.jobs import HASH_SECONDS
from Services.Builder.extraction.microscope import with_microscope
from Services.Builder.extraction.open_guard import restrict_reads
from Services.Builder.extraction.reader_sandbox import ANYONES, own_scratch, readable
from Services.Builder.extraction.signals.booked import labelled_quantities
from Services.Builder.extraction.signals.computed import computable, computed
from Services.Builder.extraction.signals.conditions import Conditions, Labelled, conditions_of, has_maps, names_elements
from Services.Builder.extraction.signals.libraries import exspy
from Services.Builder.model import Extraction, Identity, Quantity
from Services.Builder.preview.captions import caption
from Services.Builder.preview.order import preview_order

HASHED_AT_ONCE = 64 * 1024 * 1024
"""Bytes of a dataset up to which its SHA-256 is taken before the preview is drawn; of a larger one after it."""
QUICK_SECONDS = 5.0
"""Time for that; of a file on a slow disk it is taken after the preview, too."""
MOST_PREVIEWS = 24
"""Signals of one file that get a preview."""
_FIRST_YEAR = 1980
"""Earlier times are those of a clock that was never set."""


class Unopened(NexusError):
    """The file could not be opened: {reason}."""


def extract(
    path: Path,
    preview: Path | None,
    metadata: Path | None,
    companions: Sequence[Path] = (),
    profile: Profile = NOTHING_KNOWN,
    records: Path | None = None,
) -> Extraction:
    """Return what a file yields; a bad file yields a warning, never an exception.

    Parameters
    ----------
    path
        The file.
    preview
        Where to write the preview as PNG; None for no preview. Those of a file's other signals get a number before
        the extension.
    metadata
        Where to write the metadata as JSON; None not to.
    companions
        Other files of the same dataset.
    profile
        Corrections for the files of the instrument, and its time zone.
    records
        Folder that preview and metadata go below, over no links; None for those that they are in.
    """
    *_, last = stages(path, preview, metadata, companions, profile, records)
    return last


def stages(
    path: Path,
    preview: Path | None,
    metadata: Path | None,
    companions: Sequence[Path] = (),
    profile: Profile = NOTHING_KNOWN,
    records: Path | None = None,
    *,
    root: Path | None = None,
    identities: Sequence[Identity | None] = (),
    scratch: Path | None = None,
    hash_seconds: float = HASH_SECONDS,
    context: ReadingContext = NO_CONTEXT,
) -> Iterator[Extraction]:
    """Yield the extraction as it grows: first with the metadata, then with the previews, last with large files' hash.

    A caller that cannot wait for a preview, or loses the process that draws it, still has the metadata. Parameters as
    for `extract`, `DatasetFiles`, `DatasetView` and `Job`.
    """
    disable_code_execution()
    with suppress(ImportError):  # before any file is refused: their imports make folders elsewhere, and open them
        exspy()
    files = DatasetFiles(path, tuple(companions), root, tuple(identities))
    view = DatasetView(files, scratch)
    try:
        view.open()
    except FileNotFoundError:
        yield _unopened_extraction(files, profile, metadata, records, NoSuchFile(path=one_line(path)))
    except FileRefused as refused:
        yield _unopened_extraction(files, profile, metadata, records, refused)
    except OSError as error:
        yield _unopened_extraction(files, profile, metadata, records, Unopened(reason=reason(error, path)))
    else:
        with closing(view):
            yield from _stages(view, preview, metadata, profile, records, hash_seconds, context)


def _unopened_extraction(
    files: DatasetFiles, profile: Profile, metadata: Path | None, records: Path | None, why: NexusError
) -> Extraction:
    """Return the extraction of a dataset of which nothing was opened."""
    extraction = _extraction(files.path, None, UNKNOWN, profile, (str(why),))
    content = MetadataContent(None, None, profile, [_not_looked_at(path) for path in (files.path, *files.companions)])
    extraction = _with_fingerprints(extraction, content)
    return replace(
        extraction if metadata is None else _with_metadata_file(extraction, content, metadata, records, str),
        whole=False,
    )


def _stages(
    view: DatasetView,
    preview: Path | None,
    metadata: Path | None,
    profile: Profile,
    records: Path | None,
    hash_seconds: float,
    context: ReadingContext,
) -> Iterator[Extraction]:
    path = view.files.path
    with capture_output() as captured, _own_files(view) as elsewhere:
        reading, warnings, checked = _read(view, elsewhere)
        reading = reading and with_microscope(reading, context.column, path.stem)
    captured.remarks[:] = map(view.without_place, captured.remarks)
    captured.messages[:] = map(view.without_place, captured.messages)
    kind = kind_of(reading, path.stem) if reading else UNKNOWN
    remarks = (*map(view.without_place, warnings), *(f"The reader remarks: {remark}" for remark in captured.remarks))
    extraction = _extraction(path, reading, kind, profile, remarks)
    files = [view.path, *view.companions]
    small = sum(size(file) or 0 for file in files) <= HASHED_AT_ONCE
    quick = min(QUICK_SECONDS, hash_seconds) if small else None
    content = MetadataContent(reading, captured, profile, fingerprints(files, quick))
    extraction = _with_fingerprints(extraction, content)
    at_once = small and not without_digest(content.files)
    if metadata is not None:
        extraction = _with_metadata_file(extraction, content, metadata, records, view.without_place)
    if not (checked and view.changed()):
        yield extraction
    known = extraction
    if reading is not None and computable(reading.main, kind):
        with capture_output():
            extraction = _with_computed(extraction, reading, kind, profile, view)
    if preview is not None and reading is not None and kind.layout != "none":
        with capture_output():
            extraction = _with_previews(extraction, content, kind, preview, records, view, context)
        if not (checked and view.changed()):
            yield extraction
    if not at_once:
        if not (checked and view.changed()):
            yield replace(extraction, hashing=True)
        started = time.monotonic()
        content = replace(content, files=fingerprints(files, hash_seconds))
        extraction = _with_fingerprints(extraction, content)
        too_late = time.monotonic() - started > hash_seconds
        missing = tuple(missing_digests(content.files, hash_seconds, too_late))
        # With more time, another attempt may yield it.
        extraction = replace(
            extraction,
            warnings=(*extraction.warnings, *missing),
            whole=extraction.whole and not (too_late and missing),
        )
    final = at_once and not content.previews and extraction.meta == known.meta
    if metadata is not None and not final:  # the JSON names its previews
        extraction = _with_metadata_file(extraction, content, metadata, records, view.without_place)
    if checked and view.changed():  # what was looked into is not what was read
        for target in (extraction.preview, *extraction.further_previews):
            if target is not None:
                with suppress(OSError, InTheWay):  # what is at its place by now is not the preview
                    remove_below(records or target.parent, target)
        extraction = _unopened_extraction(
            view.files, profile, metadata, records, FileRefused(reason="it was changed while it was read")
        )
    yield extraction


def _read(view: DatasetView, elsewhere: Sequence[str]) -> tuple[Reading | None, list[str], bool]:
    """Read with the best format that can; say why the best one could not, and whether the file was looked into before.

    Parameters
    ----------
    view
        Shows the dataset.
    elsewhere
        The files that were refused by `open_guard`, as they are named.
    """
    path, checked = view.path, False
    try:
        if not path.is_dir() and path.stat().st_size == 0:
            return None, ["The file is empty."], False
        view.show_beside(beside(path, view.listing))
        checked = refuse(path, view.others())
        able = candidates(path)
    except FileRefused as refused:
        return None, [str(refused), *view.remarks, *shortfall(path)], checked
    except Exception as error:  # noqa: BLE001 - an edge: no fault of one file may end the session
        return None, [*_named(elsewhere), *view.remarks, str(Unopened(reason=reason(error, path)))], checked
    failures: list[str] = []
    if view.names_others:
        return None, view.remarks, checked
    for candidate in able:
        try:
            reading = candidate.read(path, view.companions)
        except FileRefused as refused:
            return None, [str(refused)], checked
        except Unreadable as error:
            failures.append(str(error))
        except Exception as error:  # noqa: BLE001 - an edge: a foreign reader raises what it likes; it is recorded
            failures.append(str(Unreadable(format=candidate.spec.name, reason=reason(error, path))))
        else:
            lacking = shortfall(path)
            if not elsewhere:
                return reading, [*view.remarks, *failures[:1], *reading.warnings, *lacking], checked
        if elsewhere:  # what was read may be of that file, in part or whole
            return None, [*_named(elsewhere), *view.remarks], checked
    return None, [*view.remarks, *(failures[:1] or [_unknown(path)]), *shortfall(path)], checked


def _unknown(path: Path) -> str:
    kinds = [candidate.spec.name for candidate in formats() if path.suffix.lower() in candidate.spec.extensions]
    if kinds:
        return f"The file's content is not what files of the kind '{path.suffix}' hold ({', '.join(kinds)})."
    return f"No reader is known for files of the kind '{path.suffix or path.name}'."


def _own_files(view: DatasetView) -> AbstractContextManager[list[str]]:
    """Let readers open the files of the view, and no other of the file store, as long as the block lasts."""
    return restrict_reads((f"{view.scratch}{os.sep}", *ANYONES), readable(), everywhere=own_scratch() is not None)


def _named(elsewhere: Sequence[str]) -> list[str]:
    return [f"The file names another one, {name}, that is not its own: neither is read." for name in elsewhere]


def _not_looked_at(path: Path) -> dict[str, Any]:
    return {"name": path.name, "size": None, "sha256": None}


def _extraction(
    path: Path, reading: Reading | None, kind: Kind, profile: Profile, warnings: tuple[str, ...]
) -> Extraction:
    incomplete = next(filter(tells_shortfall, warnings), "")
    if reading is None:
        return Extraction(
            path, "unknown", kind.dataset_type, kind.data_type, warnings=warnings, incomplete=bool(incomplete)
        )
    meta = dict(reading.meta)
    if reading.main is not None:
        meta.update(measures(reading.main, kind))
        if len(reading.signals) > 1:
            meta["Signals"] = Quantity(len(reading.signals))
    if incomplete and "Data Shape" in meta:
        meta["Data Shape"] = replace(meta["Data Shape"], warning=True, reason=incomplete)
    meta = profile.corrected(meta)
    return Extraction(
        path=path,
        format=reading.format,
        dataset_type=kind.dataset_type,
        data_type=kind.data_type,
        meta={name: meta[name] for name in sorted(meta)},
        acquired=_acquisition_time(reading.acquired, profile),
        acquired_doubtful=reading.clock_doubtful or "Creation Time" in profile.warn,
        warnings=warnings,
        incomplete=bool(incomplete),
        extractor=f"NexusCore {NexusCore.__version__}, {reading.reader}",
    )


def _with_fingerprints(extraction: Extraction, content: MetadataContent) -> Extraction:
    """Return the extraction with the size of all files of the dataset, and the SHA-256 of each."""
    sizes = [file["size"] for file in content.files]
    return replace(
        with_fingerprint(extraction, content),
        size=None if sizes[0] is None else sum(filter(None, sizes)),
        companion_sha256=tuple(file["sha256"] or "" for file in content.files[1:]),
    )


def _acquisition_time(moment: datetime | None, profile: Profile) -> datetime | None:
    """Return the time of acquisition with its zone; None where it is that of a clock that was never set."""
    if moment is None or moment.year < _FIRST_YEAR:
        return None
    try:
        return profile.aware(moment)
    except (ValueError, OverflowError, OSError):
        return None


def _with_metadata_file(
    extraction: Extraction, content: MetadataContent, target: Path, records: Path | None, shown: Callable[[str], str]
) -> Extraction:
    try:
        text = json.dumps(document(extraction, content), ensure_ascii=False, allow_nan=False)
        text = msgspec.json.format(text, indent=1)  # json's own takes ten times as long with an indent
        write_below(records or target.parent, target, shown(text).encode())
    except Exception as error:  # noqa: BLE001 - an edge: the record is worth more than its JSON; it is recorded
        return _with_warning(extraction, failure_sentence("The metadata could not be", "written as JSON", error), error)
    return replace(extraction, metadata_json=target)


def _with_computed(
    extraction: Extraction, reading: Reading, kind: Kind, profile: Profile, view: DatasetView
) -> Extraction:
    """Add the quantities that are computed from the main signal's values."""
    signal = reading.main
    assert signal is not None  # noqa: S101 - nothing is computed without one
    try:
        with _own_files(view) as elsewhere:
            values = profile.corrected(computed(signal, kind))
        if elsewhere:
            return extraction  # drawing says so
    except Exception as error:  # noqa: BLE001 - an edge: numbers of every sort come from files; it is recorded
        sentence = failure_sentence("Zero-loss peak and thickness could not be", "computed", error)
        return _with_warning(extraction, view.without_place(sentence), error)
    meta = {**extraction.meta, **values}
    return replace(extraction, meta={name: meta[name] for name in sorted(meta)})


def _with_previews(
    extraction: Extraction,
    content: MetadataContent,
    kind: Kind,
    target: Path,
    records: Path | None,
    view: DatasetView,
    context: ReadingContext,
) -> Extraction:
    """Draw the main signal into `target` and others beside it, the integrated ones first; a text has no signals."""
    reading = content.reading
    assert reading is not None  # noqa: S101 - what could not be read is not drawn
    booked, labelled = context.elements_of(view.files.below_root, extraction.meta), Labelled()
    for at in preview_order(reading.signals, reading.main)[:MOST_PREVIEWS] or [0]:
        signal = reading.signals[at] if reading.signals else None
        main = signal is reading.main
        single = reading if signal is None else replace(reading, signals=(signal,))
        shown = kind if main else kind_of(single, extraction.path.stem)
        place = target if main else target.with_name(f"{target.stem}.{at + 1}{target.suffix}")
        known = None if signal is None else replace(conditions_of(reading, signal, booked), labelled=labelled)
        if known is not None and names_elements(shown) and not known.elements:
            extraction = replace(extraction, elements_matter=True)
        try:
            from Services.Builder.preview import png

            name = extraction.path.stem
            words = caption(reading, signal, name) if signal is not None else ""
            with _own_files(view) as elsewhere:
                picture = png(single, shown, words, known)
            if elsewhere:  # the data may be in another file until they are drawn
                raise PermissionError(errno.EACCES, "it is not one of the dataset's own files", elsewhere[0])
            write_below(records or place.parent, place, picture)
        except Exception as error:  # noqa: BLE001 - an edge: numbers of every sort come from files; it is recorded
            subject = "No preview could be" if main else f"No preview of signal {at + 1} could be"
            extraction = _with_warning(extraction, view.without_place(failure_sentence(subject, "drawn", error)), error)
            continue
        content.previews[at] = place.name
        if main:
            extraction = replace(extraction, preview=target)
        else:
            extraction = replace(extraction, further_previews=(*extraction.further_previews, place))
        extraction = _with_element_maps(extraction, single, shown, place, records, view, known)
    meta = {**extraction.meta, **labelled_quantities(booked, labelled)}
    return replace(extraction, meta={name: meta[name] for name in sorted(meta)})


def _with_element_maps(
    extraction: Extraction,
    single: Reading,
    kind: Kind,
    beside_it: Path,
    records: Path | None,
    view: DatasetView,
    known: Conditions | None,
) -> Extraction:
    """Draw the element maps of a spectrum image of X-rays, as a further preview; other signals have none."""
    if not has_maps(kind):
        return extraction
    place = beside_it.with_name(f"{beside_it.stem}.maps{beside_it.suffix}")
    try:
        from Services.Builder.preview import element_maps

        with _own_files(view) as elsewhere:
            picture = element_maps.png(single, kind, known)
        if picture is None or elsewhere:  # the preview says what of another file
            return extraction
        write_below(records or place.parent, place, picture)
    except Exception as error:  # noqa: BLE001 - an edge, as for previews
        sentence = failure_sentence("No element maps could be", "drawn", error)
        return _with_warning(extraction, view.without_place(sentence), error)
    return replace(extraction, further_previews=(*extraction.further_previews, place))


def _with_warning(extraction: Extraction, sentence: str, error: Exception) -> Extraction:
    full = is_disk_full(error)
    return replace(
        extraction,
        warnings=(*extraction.warnings, sentence),
        whole=extraction.whole and not full,
        disk_full=extraction.disk_full or full,
    )
