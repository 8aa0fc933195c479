"""Names decide beside few files, and yet the same files are found as if all of them were looked at (001-25..28)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from NexusCore.facility import file_walk
from NexusCore.facility.file_walk import FolderWalk, SeenFile, Unfollowed, dataset_folder
from NexusCore.facility.find_command import Find
from Services.Builder.finding.files import COMPANIONS, FileSearch, LateFiles, TimeRange, find_files
from tests.services.filestore import END, SECOND, SESSION, START, T0, needs_find, put, store

__all__ = ["store"]

UNHURRIED = settings(deadline=None, database=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
NOW = END + timedelta(hours=1)
HOUR = 3600 * SECOND
TODAY = datetime.now(UTC)
BORN = (TODAY - timedelta(days=1), TODAY + timedelta(days=1))
"""When the test's files are made, whatever time of modification they are given."""


def all_looked_at(
    find: Find, span: tuple[int, int], ignore: Sequence[str], companions: Mapping[str, Sequence[str]], until: int
) -> FolderWalk:
    """Choose among all files of the tree: by the time, or the name of a companion, or the folder of a dataset."""
    del until
    answer = find.run([b""], ("-mindepth", "1", "!", "-type", "d", *file_walk._PRINT))
    ignored = file_walk.name_matcher(ignore)
    first, last = (span[0] // SECOND - 1) * SECOND, (span[1] // SECOND + 1) * SECOND

    def matters(file: SeenFile) -> bool:
        named = file.path.lower().endswith(tuple(extension.encode() for extension in companions))
        return first < file.mtime <= last or named or dataset_folder(file.path) is not None

    parsed = [file_walk._parsed(record, find.start) for record in answer.records]
    seen = [entry for entry in parsed if not file_walk.is_ignored(entry.path, ignored)]
    files = [entry for entry in seen if isinstance(entry, SeenFile) and matters(entry)]
    return FolderWalk(files, [], unfollowed=[entry for entry in seen if isinstance(entry, Unfollowed)])


def both(root: Path, windows: Sequence[TimeRange], **options: Any) -> tuple[FileSearch, FileSearch]:
    """Search as it is done, and with all files looked at."""
    found = find_files(root, windows, **options)
    with mock.patch.object(file_walk, "_walk_by_find", all_looked_at):
        return found, find_files(root, windows, **options)


_stems = st.sampled_from(
    [b"a", b"b", b"a_1", b"a_10", b"a_000", b"a_001", b"a_master", b"a_data_000001", b"scan_x4_y4", b"\xe9\n", b".h"]
)
_extensions = st.sampled_from(
    [
        extension.encode()
        for extension in sorted({*COMPANIONS, *(one for mains in COMPANIONS.values() for one in mains)})
    ]
    + [b"", b".dm3", b".SER", b".Hdr", b".EMI", b".tmp"]
)
_folders = st.sampled_from([b"", b"", b"u/", b"u/v/", b"m.zspy/", b"m.zspy/0/", b"u/N.ZARR/", b".s/", b"x.tmp/", b"l/"])
_names = st.builds(lambda folder, stem, extension: folder + stem + extension, _folders, _stems, _extensions)
_hours = st.sampled_from([-50, -1, 0, 1, 2, 2, 2.5, 3, 4, 12, 40, 9000])
"""From the start of the session: it ends after 2, now is 3, late files are looked for until 26."""
_times = st.builds(
    lambda hours, around: int(hours * HOUR) + around, _hours, st.sampled_from([0, 0, 1, -1, SECOND // 2])
)
_kinds = st.sampled_from(["file"] * 6 + ["link", "pipe"])
_trees = st.dictionaries(_names, st.tuples(_kinds, _times), max_size=16)


def grow(root: Path, tree: Mapping[bytes, tuple[str, int]]) -> None:
    (root / "l").symlink_to("u")
    for name, (kind, moment) in tree.items():
        path = root / os.fsdecode(name)
        if path.parent.name == "l":
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "file":
            path.write_bytes(name)
        elif kind == "link":
            path.symlink_to("a.emi")
        else:
            os.mkfifo(path)
        os.utime(path, ns=(T0 + moment, T0 + moment), follow_symlinks=False)


def late(**changes: Any) -> LateFiles:
    # Not every file system says when a file was made: then it is late up to the margin, which here is after now.
    return LateFiles(BORN, END + timedelta(hours=10), END + timedelta(days=1), **changes)


NEXT = TimeRange("next", END + timedelta(minutes=30), END + timedelta(hours=2))
CHOICES: Sequence[Sequence[TimeRange]] = (
    [SESSION],
    [SESSION, NEXT],
    [TimeRange("late", START, END, late())],
    [TimeRange("late", START, END, late(until=NEXT.start)), NEXT],
    [TimeRange("not born", START, END, LateFiles((START, END), NOW, NOW + timedelta(days=2))), SESSION],
)


@needs_find
class TestAsIfAllFilesWereLookedAt:
    """001-26: with companions, folders as datasets, links, pipes, odd names and clocks that are ahead."""

    @given(
        _trees,
        st.sampled_from(CHOICES),
        st.sampled_from([None, frozenset({".emi", ".tif", ".zspy", ".h5"})]),
        st.sampled_from([timedelta(0), timedelta(minutes=50)]),
    )
    @example({b"a.emi": ("file", HOUR), b"a_1.ser": ("file", -50 * HOUR)}, CHOICES[0], None, timedelta(0))
    @example({b"a.emi": ("file", -HOUR), b"a_1.ser": ("file", HOUR)}, CHOICES[0], None, timedelta(0))
    @example({b"a.emi": ("file", 4 * HOUR), b"a_1.ser": ("file", 4 * HOUR)}, CHOICES[2], None, timedelta(0))
    @example({b"m.zspy/a": ("file", HOUR), b"m.zspy/0/b": ("file", -HOUR)}, CHOICES[0], None, timedelta(0))
    @example({b"m.zspy/a": ("file", HOUR), b"m.zspy/0/b": ("file", 9000 * HOUR)}, CHOICES[2], None, timedelta(0))
    @example({b"m.zspy/a": ("file", 4 * HOUR), b"m.zspy/0/b": ("file", 0)}, CHOICES[2], None, timedelta(0))
    @example(
        {b"a_000.tvips": ("file", 4 * HOUR), b"a_001.tvips": ("file", 9000 * HOUR)}, CHOICES[2], None, timedelta(0)
    )
    @UNHURRIED
    def test_the_same_files(
        self,
        tree: dict[bytes, tuple[str, int]],
        windows: Sequence[TimeRange],
        known: frozenset[str] | None,
        settle: timedelta,
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            grow(Path(folder), tree)
            found, wanted = both(Path(folder), windows, known=known, settle=settle, now=NOW)
        assert found.fallback is None
        assert found == wanted

    @pytest.mark.parametrize("ignore", [(), ("*.tmp", "[u]"), ("*",)])
    def test_whatever_is_left_out(self, store: Path, ignore: tuple[str, ...]) -> None:
        for name in ("a.emi", "x.tmp/b.emi", "u/c.emi", ".h/d.emi"):
            put(store / name)
            put(store / name.replace(".emi", "_1.ser"), -9000)
        found, wanted = both(store, [SESSION], ignore=ignore)
        assert found == wanted
        assert len(found.files["session"]) == (4 if not ignore else 2 if ignore[0] == "*.tmp" else 0)


@needs_find
class TestWhereNamesAreLookedAt:
    """001-27: find is asked for names only where there is a file that a companion may belong to."""

    @pytest.fixture
    def runs(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[list[bytes], Sequence[str]]]]:
        seen: list[tuple[list[bytes], Sequence[str]]] = []
        real = Find.run

        def run(find: Find, folders: Sequence[bytes], words: Sequence[str]) -> object:
            seen.append((list(folders), words))
            return real(find, folders, words)

        monkeypatch.setattr(Find, "run", run)
        return seen

    def test_beside_main_files_of_the_session(self, store: Path, runs: list[tuple[list[bytes], Sequence[str]]]) -> None:
        for name, seconds in [("a/1.emi", 10), ("a/1_1.ser", -10), ("b/2.emi", -10), ("c/3.dm3", 10), ("d/4.tif", 10)]:
            put(store / name, seconds)
        (one, _, _) = find_files(store, [SESSION]).files["session"]
        assert one.companions == (store / "a/1_1.ser",)
        assert [folders for folders, _ in runs] == [[b""], [b"a", b"d"]]
        assert [word for word in runs[1][1] if word.startswith("*")] == ["*.ser", "*.hdr"]
        assert not any(word.startswith("*.ser") for word in runs[0][1])

    def test_in_more_folders_than_a_command_line_holds(
        self, store: Path, runs: list[tuple[list[bytes], Sequence[str]]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(file_walk, "_COMMAND_SIZE", 20)
        for number in range(9):
            put(store / f"folder-{number}/a.mib", number)
            put(store / f"folder-{number}/a.hdr", -number - 1)
        found = find_files(store, [SESSION]).files["session"]
        assert [file.companions for file in found] == [(store / f"folder-{number}/a.hdr",) for number in range(9)]
        assert [len(folders) for folders, _ in runs] == [1, 2, 2, 2, 2, 1]

    def test_a_folder_that_is_gone_by_then_is_said(self, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put(store / "a/1.emi")
        put(store / "b.dm3")
        real = Find.run

        def run(find: Find, folders: Sequence[bytes], words: Sequence[str]) -> object:
            if list(folders) == [b"a"]:
                (store / "a").rename(store / "moved")
            return real(find, folders, words)

        monkeypatch.setattr(Find, "run", run)
        search = find_files(store, [SESSION])
        assert [file.path.name for file in search.files["session"]] == ["1.emi", "b.dm3"]
        assert search.unreadable == (f"{store}/a could not be searched: No such file or directory.",)
