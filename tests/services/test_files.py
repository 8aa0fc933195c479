"""A session's files are those modified during it, whatever their names, by find or without (001-25..28)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from NexusCore.facility import file_walk
from NexusCore.facility.file_walk import FileStoreUnreadable
from NexusCore.facility.find_command import Find
from Services.Builder.finding.files import FileSearch, TimeRange, WindowRefused, find_files
from tests.services.filestore import BOTH, END, SECOND, SESSION, START, T0, names, put, store
from tests.services.instrument_files import DATA, real

__all__ = ["store"]


@pytest.mark.parametrize("find", BOTH)
class TestFilesOfTheSession:
    """001-25: all files in the tree whose modification time lies in the timespan are returned, and only those."""

    def test_the_whole_tree_is_searched(self, store: Path, find: str | None) -> None:
        paths = [put(store / "a.dm3", 10), put(store / "user/b.dm3", 20), put(store / "user/2026/11/c.dm3", 30)]
        assert [file.path for file in find_files(store, [SESSION], find=find).files["session"]] == paths

    def test_a_file_is_described_as_it_is(self, store: Path, find: str | None) -> None:
        path = put(store / "a.dm3", 1.5, size=77)
        (file,) = find_files(store, [SESSION], find=find).files["session"]
        assert (file.path, file.size, file.companions) == (path, 77, ())
        assert file.modified == START + timedelta(seconds=1.5)

    def test_both_ends_belong_to_it_and_a_nanosecond_more_does_not(self, store: Path, find: str | None) -> None:
        for name, seconds, nanoseconds in [("0", 0, -1), ("1", 0, 0), ("2", 7200, 0), ("3", 7200, 1)]:
            put(store / name, seconds, nanoseconds=nanoseconds)
        assert names(find_files(store, [SESSION], find=find)) == ["1", "2"]

    def test_microseconds_decide_what_belongs(self, store: Path, find: str | None) -> None:
        # 1795165200.000003 is no binary fraction: as floats these would not be told apart reliably
        window = TimeRange("w", START + timedelta(microseconds=3), START + timedelta(microseconds=5))
        for microsecond in range(2, 7):
            put(store / str(microsecond), nanoseconds=1000 * microsecond - 60 * SECOND)
        put(store / "late", nanoseconds=5001 - 60 * SECOND)
        assert names(find_files(store, [window], find=find), "w") == ["3", "4", "5"]

    def test_an_instant_is_a_session(self, store: Path, find: str | None) -> None:
        put(store / "a", 60)
        window = TimeRange("w", START + timedelta(seconds=60), START + timedelta(seconds=60))
        assert names(find_files(store, [window], find=find), "w") == ["a"]

    def test_times_before_the_epoch(self, store: Path, find: str | None) -> None:
        path = put(store / "a")
        os.utime(path, ns=(-1_250_000_000, -1_250_000_000))
        moment = datetime(1970, 1, 1, tzinfo=UTC) - timedelta(seconds=1.25)
        assert names(find_files(store, [TimeRange("w", moment, moment)], find=find), "w") == ["a"]

    def test_the_time_zone_of_the_window_does_not_matter(self, store: Path, find: str | None) -> None:
        put(store / "a")
        zone = timezone(timedelta(hours=-7))
        window = TimeRange("session", START.astimezone(zone), END.astimezone(zone))
        assert names(find_files(store, [window], find=find)) == ["a"]

    def test_files_are_in_order_of_time_then_path(self, store: Path, find: str | None) -> None:
        for name, seconds in [("c", 5), ("b", 5), ("z", 1), ("a", 9), ("b-1", 5), ("d/x", 5)]:
            put(store / name, seconds)
        found = find_files(store, [SESSION], find=find).files["session"]
        assert names(find_files(store, [SESSION], find=find)) == ["z", "b", "b-1", "c", "x", "a"]
        assert list(found) == sorted(found, key=lambda file: (file.modified, file.path))

    def test_an_empty_folder_gives_an_empty_answer(self, store: Path, find: str | None) -> None:
        """001-29: that nothing was found is an answer."""
        assert find_files(store, [SESSION], find=find) == FileSearch({"session": ()}, {"session": ()}, ())

    def test_one_walk_answers_for_several_sessions(
        self, store: Path, find: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        walks: list[str] = []

        def counted(name: str, real: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object) -> object:
                walks.append(name)
                return real(*arguments)

            return call

        for place, name in ((Find, "run"), (file_walk, "_scan")):
            monkeypatch.setattr(place, name, counted(name, getattr(place, name)))
        for minute in range(0, 300, 10):
            put(store / f"{minute:03}.dm3", 60 * minute)
        windows = [
            TimeRange(f"w{hour}", START + timedelta(hours=hour), START + timedelta(hours=hour + 1)) for hour in range(4)
        ]
        search = find_files(store, [*windows, TimeRange("all", START, START + timedelta(days=1))], find=find)
        assert walks == ["run" if find else "_scan"]
        assert names(search, "w1") == [f"{minute:03}.dm3" for minute in range(60, 130, 10)]
        assert len(search.files["all"]) == 30
        for window in windows:
            assert find_files(store, [window], find=find).files == {window.identifier: search.files[window.identifier]}

    def test_no_sessions_no_walk(self, tmp_path: Path, find: str | None) -> None:
        assert find_files(tmp_path / "missing", [], find=find) == FileSearch({}, {}, ())

    def test_a_relative_root_gives_absolute_paths(
        self, store: Path, find: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = put(store / "a")
        monkeypatch.chdir(store.parent)
        assert [file.path for file in find_files(Path("store"), [SESSION], find=find).files["session"]] == [path]


@pytest.mark.parametrize("find", BOTH)
class TestWhatCounts:
    """001-25, 001-28: what is no file of data does not become part of a record."""

    def test_hidden_and_temporary_files_are_left_out(self, store: Path, find: str | None) -> None:
        for name in [
            ".hidden.dm3", "a.tmp", "B.TMP", "~$notes.docx", "x.dm3.part", "Thumbs.db", "thumbs.DB", "desktop.ini",
            ".DS_Store", ".snapshot/kept.dm3", "$RECYCLE.BIN/gone.dm3", "lost+found/a.dm3", "a/.b/c/d.dm3",
        ]:  # fmt: skip
            put(store / name)
        put(store / "tmp/a~$.dm3")
        assert names(find_files(store, [SESSION], find=find)) == ["a~$.dm3"]

    def test_patterns_are_a_choice(self, store: Path, find: str | None) -> None:
        for name in ["a.log", "B.LOG", "c.dm3", "[1].dm3", "1.dm3", ".h", "x/y.dm3", r"a\b"]:
            put(store / name)
        patterns = ("*.log", "[[]1].dm3", "?", "a/b", r"a\b", "")
        assert names(find_files(store, [SESSION], ignore=patterns, find=find)) == [".h", "1.dm3", "c.dm3"]
        assert len(find_files(store, [SESSION], ignore=(), find=find).files["session"]) == 8

    def test_the_root_itself_is_never_ignored(self, store: Path, find: str | None) -> None:
        put(store / ".nexus.tmp/a")
        put(store / ".nexus.tmp/b")
        assert names(find_files(store / ".nexus.tmp", [SESSION], find=find)) == ["a", "b"]
        with pytest.raises(FileStoreUnreadable):
            find_files(store / "missing", [SESSION], ignore=("*",), find=find)

    def test_exclusive_finds_known_extensions_only(self, store: Path, find: str | None) -> None:
        """001-28: only files that the system can read, in the strategy 'exclusive'."""
        for name in ["a.dm3", "b.DM3", "c.txt", "d", "dm3", "e.dm3.bak", "f.dm3/g", "h.ser"]:
            put(store / name)
        search = find_files(store, [SESSION], known=frozenset({".dm3", ".ser"}), find=find)
        assert names(search) == ["a.dm3", "b.DM3", "h.ser"]
        assert len(find_files(store, [SESSION], find=find).files["session"]) == 8

    def test_a_link_hides_nothing_and_is_not_followed(self, store: Path, tmp_path: Path, find: str | None) -> None:
        put(tmp_path / "outside/secret.dm3")
        put(store / "a.dm3")
        put(store / "folder/b.dm3")
        (store / "0-out").symlink_to(tmp_path / "outside")
        (store / "folder/0-circle").symlink_to(store)
        (store / "0-again.dm3").symlink_to(store / "a.dm3")
        (store / "0-broken.dm3").symlink_to(store / "missing")
        search = find_files(store, [TimeRange("session", START, datetime(2100, 1, 1, tzinfo=UTC))], find=find)
        assert names(search) == ["a.dm3", "b.dm3"]
        assert search.unreadable == ()
        assert [(path.name, kind) for path, kind in search.unfollowed["session"]] == [
            (name, "a link") for name in ("0-again.dm3", "0-broken.dm3", "0-out", "0-circle")
        ]

    def test_the_root_may_be_a_link(self, store: Path, find: str | None) -> None:
        put(store / "real/a.dm3")
        (store / "link").symlink_to(store / "real")
        (file,) = find_files(store / "link", [SESSION], find=find).files["session"]
        assert file.path == store / "link/a.dm3"

    def test_what_is_no_regular_file(self, store: Path, find: str | None) -> None:
        os.mkfifo(store / "pipe")
        os.utime(store / "pipe", ns=(T0, T0))
        (store / "link").symlink_to("pipe")
        os.utime(store / "link", ns=(T0 - 1, T0 - 1), follow_symlinks=False)
        (store / ".hidden").symlink_to("pipe")
        search = find_files(store, [SESSION, TimeRange("before", START - timedelta(hours=1), START)], find=find)
        assert names(search) == []
        assert search.unfollowed == {
            "session": ((store / "pipe", "a pipe"),),
            "before": ((store / "link", "a link"), (store / "pipe", "a pipe")),
        }

    @pytest.mark.parametrize(
        "name",
        [b"caf\xe9.dm3", b"two\nlines.dm3", b" spaces  .dm3", b"-name.dm3", b"a'b\"c`d$(e).dm3", b"back\\slash.dm3",
         b"tab\tand\x01.dm3", "µ-Ω-電子.dm3".encode(), b"*?[x].dm3", b"%s.dm3"],
    )  # fmt: skip
    def test_names_are_bytes(self, store: Path, find: str | None, name: bytes) -> None:
        paths = [put(os.fsencode(store) + b"/" + name, 1), put(os.fsencode(store) + b"/sub " + name + b"/" + name, 2)]
        assert [file.path for file in find_files(store, [SESSION], find=find).files["session"]] == paths
        assert names(find_files(paths[1].parent, [SESSION], find=find)) == [os.fsdecode(name)]


@pytest.mark.parametrize("find", BOTH)
class TestDatasetsOfSeveralFiles:
    """001-25, 001-32: the files of one dataset stay together."""

    def test_companions_join_their_main_file(self, store: Path, find: str | None) -> None:
        kinds = {
            "a.emi": ["a_1.ser", "a_2.ser", "a_10.ser"],
            "b.rpl": ["b.raw"],
            "c.mib": ["c.hdr"],
            "d.tif": ["d.hdr"],
            "e.spd": ["e.ipr", "e.spc"],
            "f.lsd": ["f.csv", "f.spc"],
            "G.EMI": ["G_1.SER"],
            "h_000.tvips": ["h_001.tvips", "h_002.tvips"],
            "i.xml": ["i.raw"],
        }
        for main, companions in kinds.items():
            for name in [main, *companions]:
                put(store / name)
        found = find_files(store, [SESSION], find=find).files["session"]
        assert {file.path.name: sorted(path.name for path in file.companions) for file in found} == {
            main: sorted(companions) for main, companions in kinds.items()
        }
        emi = next(file for file in found if file.path.name == "a.emi")
        assert [path.name for path in emi.companions] == ["a_1.ser", "a_2.ser", "a_10.ser"]

    def test_a_raw_file_whose_xml_has_another_name(self, store: Path, find: str | None) -> None:
        """An EMPAD's lies in a folder with its XML; where there are two, only the content says which is its own."""
        for name in ("1/acquisition_1.xml", "1/scan_x4_y4.raw", "2/run.XML", "2/series_x8.raw", "2/other.raw"):
            put(store / name)
        for name in ("3/a.xml", "3/b.xml", "3/scan_x4_y4.raw"):
            put(store / name)
        found = find_files(store, [SESSION], find=find).files["session"]
        assert {file.path.name: [path.name for path in file.companions] for file in found} == {
            "acquisition_1.xml": ["scan_x4_y4.raw"], "run.XML": ["series_x8.raw"], "other.raw": [], "a.xml": [],
            "b.xml": [], "scan_x4_y4.raw": [],
        }  # fmt: skip

    def test_a_companion_without_its_main_file_stands_on_its_own(self, store: Path, find: str | None) -> None:
        for name in [
            "a_1.ser",
            "b.raw",
            "c.hdr",
            "d.spc",
            "sub/e.hdr",
            "e.mib",
            "f.emi",
            "f.ser",
            "f_x.ser",
            "F_1.ser",
            "g_001.tvips",
            "g_002.tvips",
            "h.tvips",
        ]:
            put(store / name)
        found = find_files(store, [SESSION], find=find).files["session"]
        assert len(found) == 13
        assert not any(file.companions for file in found)

    def test_its_size_is_that_of_all(self, store: Path, find: str | None) -> None:
        put(store / "a.rpl", size=3)
        put(store / "a.raw", size=4000)
        assert [one.size for one in find_files(store, [SESSION], find=find).files["session"]] == [4003]

    def test_one_companion_has_one_main_file(self, store: Path, find: str | None) -> None:
        for name in ["a.mib", "a.tif", "a.hdr"]:
            put(store / name)
        found = find_files(store, [SESSION], find=find).files["session"]
        assert [(file.path.name, len(file.companions)) for file in found] == [("a.mib", 1), ("a.tif", 0)]

    def test_a_dataset_is_dated_by_its_main_file(self, store: Path, find: str | None) -> None:
        put(store / "a.emi", 7199)
        put(store / "a_1.ser", 7201)
        before, after = SESSION, TimeRange("next", END + timedelta(microseconds=1), END + timedelta(hours=1))
        search = find_files(store, [before, after], find=find)
        (file,) = search.files["session"]
        assert (file.path.name, [path.name for path in file.companions]) == ("a.emi", ["a_1.ser"])
        # its main file is not of the next session, which would otherwise lose it
        assert names(search, "next") == ["a_1.ser"]

    def test_exclusive_keeps_companions_of_unknown_extension(self, store: Path, find: str | None) -> None:
        for name in ["a.rpl", "a.raw", "b.raw"]:
            put(store / name)
        (file,) = find_files(store, [SESSION], known=frozenset({".rpl"}), find=find).files["session"]
        assert file.companions == (store / "a.raw",)

    @real
    def test_companions_of_real_files_are_found(self, store: Path, find: str | None) -> None:
        everything = TimeRange("all", datetime(1980, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
        found = find_files(DATA, [everything], find=find).files["all"]
        together = {file.path.name: len(file.companions) for file in found if file.companions}
        assert together == {
            "Titan_TEM_2_HAADF_STEM_dataZeroed.emi": 1,
            "Titan_TEM_4_eds_line_scan_1_dataZeroed.emi": 1,
            "Titan_TEM_8_emi_list_eds_SI2_dataZeroed.emi": 3,
            "128x128-TEM_search.emi": 1,
            "16x16_STEM_BF_DF_acquire.emi": 2,
            "Quad_1_Frame_CounterDepth_12_Rows_256.mib": 1,
            "test_ripple_sdim-2_ndim-1_uint16_meta.rpl": 1,
            "tescan-pfib_dataZeroed.tif": 1,
            "test_00_master.h5": 1,
        }


@pytest.mark.parametrize("find", BOTH)
class TestFoldersThatAreOneDataset:
    """001-25, 001-28: a format that keeps an array as a folder of chunks yields one dataset, not one for each chunk."""

    EVERYTHING = TimeRange("all", START - timedelta(days=9), END + timedelta(days=9))

    def test_as_old_as_its_newest_file_and_as_large_as_all(self, store: Path, find: str | None) -> None:
        put(store / "map.zspy/.zattrs", -100, size=10)  # written before the session
        put(store / "map.zspy/Experiments/1/data/0.0", 50, size=20)
        put(store / "map.zspy/Experiments/1/data/0.1", 60, size=30)
        before = TimeRange("before", START - timedelta(hours=1), START)
        search = find_files(store, [SESSION, before], find=find)
        (file,) = search.files["session"]
        assert (file.path, file.size, file.companions) == (store / "map.zspy", 60, ())
        assert file.modified == START + timedelta(seconds=60)
        assert search.files["before"] == ()

    def test_the_names_in_it_do_not_count(self, store: Path, find: str | None) -> None:
        for name in [
            "a.zspy/1.dm3", "a.zspy/2.raw", "a.zspy/x.tmp", "a.zspy/.hidden/y", "a.zspy/inner.zarr/z", "2.rpl",
            "B.ZARR/0", "user/.snapshot/c.zspy/0", ".d.zspy/0", "e.zspy", ".zspy/f",
        ]:  # fmt: skip
            put(store / name, size=1)
        found = find_files(store, [SESSION], find=find).files["session"]
        assert {str(one.path.relative_to(store)): one.size for one in found} == {
            "2.rpl": 1, "B.ZARR": 1, "a.zspy": 5, "e.zspy": 1,
        }  # fmt: skip
        assert not any(one.companions for one in found)

    def test_exclusive_asks_for_the_folders_extension(self, store: Path, find: str | None) -> None:
        for name in ["a.zspy/0.0", "b.zarr/1.dm3", "c.folder/2.dm3"]:
            put(store / name)
        known = frozenset({".zspy", ".dm3"})
        assert names(find_files(store, [SESSION], known=known, find=find)) == ["a.zspy", "2.dm3"]

    def test_it_has_settled_when_all_of_it_has(self, store: Path, find: str | None) -> None:
        put(store / "a.zspy/0.0", 10)
        put(store / "a.zspy/0.1", 99)
        now = START + timedelta(seconds=100)
        search = find_files(store, [SESSION], settle=timedelta(seconds=60), now=now, find=find)
        assert (names(search), len(search.unsettled["session"])) == ([], 1)

    def test_a_root_below_such_a_folder_is_searched_as_any(self, store: Path, find: str | None) -> None:
        for name in ["a.dm3", "b/c.dm3", ".hidden/d.dm3", "e.tmp"]:
            put(store / "outer.zarr/root" / name)
        assert names(find_files(store / "outer.zarr/root", [self.EVERYTHING], find=find), "all") == ["a.dm3", "c.dm3"]


@pytest.mark.parametrize("find", BOTH)
class TestFilesStillBeingWritten:
    """A file that was changed a moment ago is not taken for finished."""

    NOW = START + timedelta(seconds=100)

    def test_a_young_file_is_unsettled(self, store: Path, find: str | None) -> None:
        for name, seconds in [("old", 39), ("edge", 40), ("young", 40.000001), ("now", 100), ("ahead", 130)]:
            put(store / name, seconds)
        search = find_files(store, [SESSION], settle=timedelta(seconds=60), now=self.NOW, find=find)
        assert names(search) == ["old", "edge"]
        assert [file.path.name for file in search.unsettled["session"]] == ["young", "now", "ahead"]

    def test_a_dataset_is_as_young_as_its_youngest_file(self, store: Path, find: str | None) -> None:
        put(store / "a.emi", 10)
        put(store / "a_1.ser", 99)
        search = find_files(store, [SESSION], settle=timedelta(seconds=60), now=self.NOW, find=find)
        assert names(search) == []
        assert len(search.unsettled["session"][0].companions) == 1

    def test_a_clock_far_ahead_does_not_keep_a_session_waiting(self, store: Path, find: str | None) -> None:
        put(store / "a.emi", 10)
        put(store / "a_1.ser", 365 * 86400)
        search = find_files(store, [SESSION], settle=timedelta(seconds=60), now=self.NOW, find=find)
        assert (names(search), search.unsettled["session"]) == (["a.emi"], ())

    def test_without_settle_every_file_is_settled(self, store: Path, find: str | None) -> None:
        put(store / "a", 99)
        assert names(find_files(store, [SESSION], now=self.NOW, find=find)) == ["a"]

    def test_the_clock_of_the_system_is_the_default(self, store: Path, find: str | None) -> None:
        (store / "a").touch()
        window = TimeRange("w", START - timedelta(days=9999), START + timedelta(days=9999))
        search = find_files(store, [window], settle=timedelta(days=1), find=find)
        assert (len(search.files["w"]), len(search.unsettled["w"])) == (0, 1)


class TestWindow:
    """000-01: a session is a beginning and an end in time."""

    def test_without_a_time_zone(self) -> None:
        with pytest.raises(WindowRefused, match="'x' cannot be searched for: its times have no time zone"):
            TimeRange("x", START.replace(tzinfo=None), END)

    def test_the_wrong_way_round(self) -> None:
        with pytest.raises(WindowRefused, match="ends before it starts"):
            TimeRange("x", END, START)

    def test_one_identifier_twice(self, store: Path) -> None:
        with pytest.raises(WindowRefused, match="asked for twice"):
            find_files(store, [SESSION, replace(SESSION, end=END + timedelta(hours=1))])
