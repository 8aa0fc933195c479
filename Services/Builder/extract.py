"""Extracts the metadata and the preview of one instrument file.

Examples
--------
Show what the Builder makes of a file, without any database::

    python -m Services.Builder.extract 0001.dm3
    python -m Services.Builder.extract 0001.dm3 --preview 0001.png --json 0001.json

The metadata go to standard output as JSON, remarks to standard error, the previews into the current folder
(``0001.dm3.png``), where they replace nothing. Times that a file gives without a time zone are
taken to be in the time zone of the machine that extracts (set TZ to extract for another one); the Builder takes them
to be in the instrument's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import NexusCore
from NexusCore.errors import EXIT_OK, EXIT_USAGE, NexusError
from Services.Builder.extractors import Reading, candidates
from Services.Builder.extractors.cleaning import one_line
from Services.Builder.extractors.dimensions import measures
from Services.Builder.extractors.document import Content, document, identified
from Services.Builder.extractors.faults import Unreadable, reason
from Services.Builder.extractors.kinds import UNKNOWN, Kind, kind_of
from Services.Builder.extractors.listening import listening
from Services.Builder.extractors.profile import NOTHING_KNOWN, Profile
from Services.Builder.fingerprints import fingerprints, lacking, size
from Services.Builder.model import Extraction, Quantity
from Services.Builder.names import beside

HASHED_AT_ONCE = 64 * 1024 * 1024
"""Bytes of a dataset up to which its SHA-256 is taken before the preview is drawn; of a larger one after it."""
MOST_PREVIEWS = 12
"""Signals of one file that get a preview."""
_FIRST_YEAR = 1980
"""Earlier times are those of clocks that nobody has set."""


class NoSuchFile(NexusError):
    """There is no file '{path}'."""


class Unopened(NexusError):
    """The file could not be opened: {reason}."""


class WouldReplaceTheFile(NexusError):
    """{target} is the instrument file itself, which is not to be replaced."""

    exit_code = EXIT_USAGE


def extract(
    path: Path,
    preview: Path | None,
    metadata: Path | None,
    companions: Sequence[Path] = (),
    profile: Profile = NOTHING_KNOWN,
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
    """
    *_, last = stages(path, preview, metadata, companions, profile)
    return last


def stages(
    path: Path,
    preview: Path | None,
    metadata: Path | None,
    companions: Sequence[Path] = (),
    profile: Profile = NOTHING_KNOWN,
) -> Iterator[Extraction]:
    """Yield the extraction as it grows: first with the metadata, then with the previews, last with large files' hash.

    Whoever cannot wait for a preview, or loses the process that draws it, still has the metadata. Parameters as for
    `extract`.
    """
    with listening() as heard:
        reading, warnings = _read(path, companions)
    kind = kind_of(reading, path.stem) if reading else UNKNOWN
    remarks = (*warnings, *(f"The reader remarks: {one}" for one in heard.remarks))
    found = _extraction(path, reading, kind, profile, remarks)
    files = [path, *companions]
    at_once = sum(size(one) or 0 for one in files) <= HASHED_AT_ONCE
    content = Content(reading, heard, profile, fingerprints(files, at_once))
    found = _identified(found, content, at_once)
    if metadata is not None:
        found = _written(found, content, metadata)
    yield found
    if preview is not None and reading is not None and kind.layout != "none":
        with listening():
            found = _drawn(found, content, kind, preview)
        yield found
    if not at_once:
        content = replace(content, files=fingerprints(files, True))
        found = _identified(found, content, True)
    if metadata is not None and not (at_once and len(content.previews) < 2):
        found = _written(found, content, metadata)
    yield found


def _read(path: Path, companions: Sequence[Path]) -> tuple[Reading | None, list[str]]:
    """Read with the best format that can; say why the best one could not."""
    try:
        if not path.is_dir() and path.stat().st_size == 0:
            return None, ["The file is empty."]
        able = candidates(path)
    except FileNotFoundError:
        return None, [str(NoSuchFile(path=one_line(path)))]
    except Exception as error:  # noqa: BLE001 - an edge: whatever is wrong with one file must not end the session
        return None, [str(Unopened(reason=reason(error, path)))]
    failures: list[str] = []
    for one in able:
        try:
            reading = one.read(path, companions)
        except Unreadable as error:
            failures.append(str(error))
        except Exception as error:  # noqa: BLE001 - an edge: a foreign reader raises what it likes; it is recorded
            failures.append(str(Unreadable(format=one.spec.name, reason=reason(error, path))))
        else:
            return reading, [*failures[:1], *reading.warnings]
    return None, failures[:1] or [f"No reader is known for files of the kind '{path.suffix or path.name}'."]


def _extraction(
    path: Path, reading: Reading | None, kind: Kind, profile: Profile, warnings: tuple[str, ...]
) -> Extraction:
    if reading is None:
        return Extraction(path, "unknown", kind.dataset_type, kind.data_type, warnings=warnings)
    meta = dict(reading.meta)
    if reading.main is not None:
        meta.update(measures(reading.main, kind))
        if len(reading.signals) > 1:
            meta["Signals"] = Quantity(len(reading.signals))
    meta = profile.corrected(meta)
    return Extraction(
        path=path,
        format=reading.format,
        dataset_type=kind.dataset_type,
        data_type=kind.data_type,
        meta={name: meta[name] for name in sorted(meta)},
        acquired=_acquired(reading.acquired, profile),
        acquired_doubtful=reading.clock_doubtful or "Creation Time" in profile.warn,
        warnings=warnings,
        extractor=f"NexusCore {NexusCore.__version__}, {reading.reader}",
    )


def _identified(found: Extraction, content: Content, hashed: bool) -> Extraction:
    """Return the extraction with the size of all files of the dataset, and the SHA-256 of each."""
    sizes = [one["size"] for one in content.files]
    return replace(
        identified(found, content),
        size=None if sizes[0] is None else sum(filter(None, sizes)),
        companion_sha256=tuple(one["sha256"] or "" for one in content.files[1:]),
        warnings=(*found.warnings, *(lacking(content.files) if hashed else ())),
    )


def _acquired(moment: datetime | None, profile: Profile) -> datetime | None:
    """Return the time of acquisition with its zone; None where it is that of a clock nobody has set."""
    if moment is None or moment.year < _FIRST_YEAR:
        return None
    try:
        return profile.aware(moment)
    except (ValueError, OverflowError, OSError):
        return None


def _written(found: Extraction, content: Content, target: Path) -> Extraction:
    try:
        text = json.dumps(document(found, content), ensure_ascii=False, indent=1, allow_nan=False)
        replace_file(target, text.encode())
    except Exception as error:  # noqa: BLE001 - an edge: the record is worth more than its JSON; it is recorded
        return _warned(found, f"The metadata could not be written as JSON: {reason(error)}.")
    return replace(found, metadata_json=target)


def _drawn(found: Extraction, content: Content, kind: Kind, target: Path) -> Extraction:
    """Draw the main signal into `target` and the others beside it; a text has no signals."""
    reading = content.reading
    assert reading is not None  # noqa: S101 - what could not be read is not drawn
    for at, one in enumerate(reading.signals or (None,)):
        main = one is reading.main
        if not main and len(content.previews) >= MOST_PREVIEWS:
            continue
        single = reading if one is None else replace(reading, signals=(one,))
        place = target if main else target.with_name(f"{target.stem}.{at + 1}{target.suffix}")
        try:
            from Services.Builder.preview import png

            replace_file(place, png(single, kind if main else kind_of(single, found.path.stem)))
        except Exception as error:  # noqa: BLE001 - an edge: numbers of every sort come from files; it is recorded
            which = "preview" if main else f"preview of signal {at + 1}"
            found = _warned(found, f"No {which} could be drawn: {reason(error)}.")
            continue
        content.previews[at] = place.name
        if main:
            found = replace(found, preview=target)
        else:
            found = replace(found, further_previews=(*found.further_previews, place))
    return found


def _warned(found: Extraction, sentence: str) -> Extraction:
    return replace(found, warnings=(*found.warnings, sentence))


def replace_file(target: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    made = argparse.ArgumentParser(
        prog="python -m Services.Builder.extract",
        description="Show the metadata of an instrument file as JSON, and draw its previews.",
        epilog="examples: %(prog)s 0001.dm3 | %(prog)s 0001.dm3 --preview 0001.png --json 0001.json",
    )
    made.add_argument("file", type=Path, metavar="FILE", help="the instrument file")
    made.add_argument(
        "--preview",
        type=Path,
        metavar="PNG",
        help="draw the preview into this file (default: FILE's name with .png, in the current folder)",
    )
    made.add_argument("--json", type=Path, metavar="JSON", help="write all metadata into this file")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = parser().parse_args(argv)
    path: Path = arguments.file
    try:
        _check(path, arguments.preview, arguments.json)
    except NexusError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    remarks: list[str] = []
    if arguments.preview is not None:
        found = extract(path, arguments.preview, arguments.json)
    else:
        with tempfile.TemporaryDirectory(prefix="nexuscore-") as folder:
            found = extract(path, Path(folder, beside(path.name, ".png")), arguments.json)
            remarks += [_kept(one) for one in (found.preview, *found.further_previews) if one is not None]
    shown = document(found, Content(files=fingerprints([path], True)))
    sys.stderr.writelines(f"{sentence}\n" for sentence in (*found.warnings, *remarks))
    told = {key: value for key, value in shown.items() if value}
    try:
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, `head` for one, has seen enough; nor may the flush at exit complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_OK


def _check(path: Path, *targets: Path | None) -> None:
    if not path.exists():
        raise NoSuchFile(path=one_line(path))
    for target in targets:
        if target is not None and target.exists() and target.samefile(path):
            raise WouldReplaceTheFile(target=one_line(target))


def _kept(drawn: Path) -> str:
    """Put a preview into the current folder and say so; whatever lies there already, an image of the user's, stays."""
    place = Path(drawn.name)
    content = drawn.read_bytes()
    try:
        with place.open("xb") as file:
            file.write(content)
    except FileExistsError:
        if not place.is_file() or place.read_bytes() != content:
            return f"{one_line(place)} exists and is not replaced; --preview says where else the preview may go."
    except OSError as error:
        return f"The preview could not be written here: {reason(error)}."
    return f"Preview: {one_line(place)}"


if __name__ == "__main__":
    sys.exit(main())
