"""Damaged files of every format: each gives a dataset with a warning, none an exception, a hang or a lost session."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.workers import Workers
from Services.Builder.finding.files import TimeRange, find_files
from Services.Builder.model import DATASET_TYPES, Extraction, FoundFile
from tests.services.instrument_files import DATA, real

LONG = bool(os.environ.get("NEXUSCORE_TEST_LONG"))
FILES = 1000 if LONG else 100
SECONDS_PER_FILE = 60.0
pytestmark = [
    real,
    pytest.mark.timeout(3000 if LONG else 600),
]
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def truncated(content: bytearray, chance: Random) -> bytearray:
    """Cut the file off, often within its header."""
    keep = chance.choice((chance.randrange(64), chance.randrange(4096), chance.randrange(len(content) + 1)))
    return content[:keep]


def flipped(content: bytearray, chance: Random) -> bytearray:
    """Change some bytes, half the time within the header only."""
    within = min(len(content), chance.choice((512, 8192, len(content), len(content))))
    for _ in range(chance.choice((1, 8, 64, 512))):
        content[chance.randrange(within)] = chance.randrange(256)
    return content


def holed(content: bytearray, chance: Random) -> bytearray:
    """Overwrite a stretch with zeros, as a copy that broke off and was resumed."""
    start = chance.randrange(len(content))
    length = min(chance.choice((16, 512, 65536)), len(content) - start)
    content[start : start + length] = bytes(length)
    return content


def whole(content: bytearray, _chance: Random) -> bytearray:
    """Leave the content as it is: this one gets a wrong extension."""
    return content


MUTATIONS = (truncated, flipped, holed, whole)


class Mutants:
    """Writes damaged copies when they are asked for; remembers what was done to each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[Path, str] = {}
        found = find_files(DATA, [TimeRange("all", *_ALWAYS)]).files["all"]
        self.originals = sorted(found, key=lambda one: one.path)
        self.extensions = sorted({one.path.suffix for one in self.originals})

    def jobs(self, count: int) -> Iterator[Job]:
        for number in range(count):
            yield self._job(number, self.originals[number % len(self.originals)])

    def _job(self, number: int, original: FoundFile) -> Job:
        chance = Random(number)
        mutate = MUTATIONS[(number // len(self.originals)) % len(MUTATIONS) if LONG else number % len(MUTATIONS)]
        content = mutate(bytearray(original.path.read_bytes()), chance)
        others = [one for one in self.extensions if one.lower() != original.path.suffix.lower()]
        suffix = chance.choice(others) if mutate is whole else original.path.suffix
        folder = self.folder / str(number)
        folder.mkdir()
        for one in original.companions:
            shutil.copy(one, folder)
        path = folder / f"{original.path.stem}{suffix}"
        path.write_bytes(content)
        self.made[path] = f"{number}: {original.path.name} {mutate.__name__}"
        return Job(path, folder / "preview.png", folder / "metadata.json", original.companions)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> list[tuple[str, Extraction]]:
    """What each damaged file yielded, with what had been done to it; the files themselves are gone by then."""
    mutants = Mutants(tmp_path_factory.mktemp("mutants"))
    found = []
    with Workers(2, seconds_per_file=SECONDS_PER_FILE, memory_mb=2048) as workers:
        for one in workers.extract_all(mutants.jobs(FILES)):
            found.append((mutants.made.pop(one.path), one))
            assert one.preview is None or one.preview.is_file()
            assert one.warnings or one.metadata_json is not None
            shutil.rmtree(one.path.parent)
    assert mutants.made == {}, "files without an answer"
    return found


class TestAMutatedFileGivesADataset:
    """001-32: a thousand damaged files of every format (a hundred unless NEXUSCORE_TEST_LONG is set)."""

    def test_one_for_each(self, results):
        assert len(results) == FILES
        assert {one.dataset_type for _what, one in results} <= set(DATASET_TYPES)
        kinds = Counter(one.dataset_type for _what, one in results)
        doubtful = sum(bool(one.warnings) for _what, one in results)
        print(f"{FILES} files: {doubtful} with warnings; {dict(kinds)}")

    def test_the_unreadable_say_why_in_a_sentence(self, results):
        for what, one in results:
            assert one.dataset_type != "Unknown" or one.warnings, what
            for sentence in one.warnings:
                assert sentence.isprintable() and len(sentence) < 400 and "Traceback" not in sentence, (what, sentence)

    def test_no_reader_exceeds_its_time_limit(self, results):
        """A damaged file may send a library into a loop: seldom, and it is given up by its processor time."""
        assert [(what, one.warnings) for what, one in results if "longer than" in " ".join(one.warnings)] == []
        busy = [(what, one.warnings[-1]) for what, one in results if "processor time" in " ".join(one.warnings)]
        print(f"{len(busy)} given up by their processor time: {busy}")
        assert len(busy) <= max(1, FILES // 200)

    def test_what_is_read_has_a_preview_or_a_reason(self, results):
        assert [what for what, one in results if not one.preview and not one.warnings] == []

    def test_no_process_is_lost(self, results):
        """A process may crash in a foreign reader, at the price of a second; it should happen seldom."""
        lost = [(what, one.warnings[-1]) for what, one in results if not one.whole]
        print(f"{len(lost)} processes lost: {lost}")
        assert len(lost) <= FILES // 50
