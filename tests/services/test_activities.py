"""A session's files fall into activities where a microscopist would draw the line (001-04, 001-30, 001-31)."""

from __future__ import annotations

import math
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from NexusCore.errors import EXIT_FAILURE, EXIT_OK, EXIT_USAGE
from Services.Builder.grouping import density
from Services.Builder.grouping.activities import group_files, main
from Services.Builder.grouping.clusterer import ActivityClusterer
from Services.Builder.grouping.density import SensitivityRefused, TimesRefused, analyse
from Services.Builder.model import FoundFile

HOUR = 3600.0
PROJECT = Path(__file__).resolve().parents[2]
START = datetime(2020, 2, 23, 11, tzinfo=UTC)
THIRTEEN = (2, 3, 3, 3, 3, 3, 3, 2, 3, 3, 3, 3, 3)


def group(times: Sequence[float] | density.Floats, *, sensitivity: float = 1.0) -> list[tuple[int, ...]]:
    return list(analyse(times, sensitivity=sensitivity).groups)


def sizes(times: object, sensitivity: float = 1.0) -> list[int]:
    return [len(members) for members in group(np.asarray(times, float), sensitivity=sensitivity)]


def series(count: int, every: float, start: float = 0.0) -> list[float]:
    return [start + every * index for index in range(count)]


def groups_of(
    counts: tuple[int, ...], seed: int, within: tuple[float, float] = (2, 15), pause: tuple[float, float] = (120, 900)
) -> list[float]:
    """Make the times of groups of near-simultaneous files that are separated by minutes."""
    chance, now, times = random.Random(seed), 0.0, []
    for count in counts:
        for _ in range(count):
            times.append(now)
            now += chance.uniform(*within)
        now += chance.uniform(*pause)
    return times


def found(times: list[float]) -> list[FoundFile]:
    return [FoundFile(Path(f"/store/{n:04}.dm4"), START + timedelta(seconds=time), 1) for n, time in enumerate(times)]


UNHURRIED = settings(deadline=None, database=None, max_examples=50)
# Binary fractions, so that moving them by a whole number is exact.
file_times = st.lists(st.integers(0, 2**22).map(lambda number: number / 64), min_size=1, max_size=60)


class TestActivitiesOfKnownSessions:
    """001-31: the activities are those that a person doing it by hand would see, whatever the rhythm of the session."""

    def test_no_file_is_no_activity(self) -> None:
        assert group([]) == []

    def test_a_single_file_is_one_activity(self) -> None:
        assert group([1.6e9]) == [(0,)]

    @pytest.mark.parametrize("count", [2, 3, 500])
    def test_files_of_the_very_same_time_are_one_activity(self, count: int) -> None:
        assert sizes([1.6e9] * count) == [count]

    def test_equal_times_among_others_do_no_harm(self) -> None:
        assert sizes([0.0] * 5 + [HOUR] * 3) == [5, 3]

    def test_two_files_three_hours_apart_are_two(self) -> None:
        assert group([0, 3 * HOUR]) == [(0,), (1,)]

    @pytest.mark.parametrize("apart", [0.001, 3, 60, 300])
    def test_two_files_shortly_after_each_other_are_one(self, apart: float) -> None:
        assert sizes([0, apart]) == [2]

    def test_a_lone_file_does_not_join_what_others_separate(self) -> None:
        assert sizes([0, 60, 3 * HOUR]) == [2, 1]
        times = groups_of(THIRTEEN, seed=1)
        assert sizes([*times, times[-1] + 2 * HOUR]) == [*THIRTEEN, 1]

    @pytest.mark.parametrize("every", [0.1, 1, 30, 300, HOUR])
    def test_a_regular_series_stays_one(self, every: float) -> None:
        assert sizes(series(50, every)) == [50]

    @pytest.mark.parametrize("seed", range(10))
    def test_a_roughly_regular_series_stays_one(self, seed: int) -> None:
        chance = random.Random(seed)
        assert sizes(np.cumsum([chance.uniform(15, 45) for _ in range(50)])) == [50]

    @pytest.mark.parametrize("pause", [300, HOUR, 12 * HOUR])
    def test_two_regular_series_are_two(self, pause: float) -> None:
        first = series(50, 30)
        assert sizes(first + series(50, 30, first[-1] + pause)) == [50, 50]

    def test_two_series_of_different_rhythm_are_two(self) -> None:
        assert sizes(series(40, 60) + series(200, 2, 39 * 60 + HOUR)) == [40, 200]

    @pytest.mark.parametrize("seed", range(20))
    def test_the_thirteen_groups_of_the_example(self, seed: int) -> None:
        assert sizes(groups_of(THIRTEEN, seed)) == list(THIRTEEN)
        assert sizes(groups_of(THIRTEEN, seed, within=(5, 60), pause=(300, 1200))) == list(THIRTEEN)
        assert sizes(groups_of(THIRTEEN, seed, within=(0, 2), pause=(60, 90))) == list(THIRTEEN)

    def test_a_session_of_five_thousand_files(self) -> None:
        counts = tuple(random.Random(5).choices(range(1, 30), k=330))
        times = groups_of(counts, seed=5, pause=(300, 900))
        assert len(times) > 4800
        assert sizes(times) == list(counts)

    def test_a_session_left_open_for_a_year(self) -> None:
        assert sizes([*groups_of(THIRTEEN, seed=2), 365 * 24 * HOUR])[-1] == 1


class TestEveryFileIsInOneActivity:
    """001-30: grouping neither loses nor doubles a file, and activities follow each other in time."""

    @given(file_times, st.floats(0, 1e6))
    @example([0.0, 1 / 64], 5e-324)
    @settings(UNHURRIED, max_examples=50)
    def test_every_index_once(self, times: list[float], sensitivity: float) -> None:
        members = [index for activity in group(times, sensitivity=sensitivity) for index in activity]
        assert sorted(members) == list(range(len(times)))

    @given(file_times)
    @UNHURRIED
    def test_activities_are_contiguous_in_time(self, times: list[float]) -> None:
        grouping = analyse(times)
        in_order = [times[index] for activity in grouping.groups for index in activity]
        assert in_order == sorted(times)
        assert len(grouping.boundaries) == len(grouping.groups) - 1
        for boundary, before, after in zip(grouping.boundaries, grouping.groups[:-1], grouping.groups[1:], strict=True):
            assert times[before[-1]] - min(times) <= boundary <= times[after[0]] - min(times)

    @given(file_times)
    @UNHURRIED
    def test_files_of_one_time_stay_together(self, times: list[float]) -> None:
        for activity in group(times + times):
            assert len(activity) == 2 * len({index % len(times) for index in activity})

    @given(file_times, st.randoms(use_true_random=False))
    @UNHURRIED
    def test_the_order_in_which_they_come_does_not_matter(self, times: list[float], chance: random.Random) -> None:
        shuffled = chance.sample(times, len(times))
        grouped = [[times[index] for index in activity] for activity in group(times)]
        assert [[shuffled[index] for index in activity] for activity in group(shuffled)] == grouped

    @given(file_times, st.integers(-(2**31), 2**31))
    @UNHURRIED
    def test_the_origin_of_time_does_not_matter(self, times: list[float], origin: int) -> None:
        assert group([time + origin for time in times]) == group(times)

    @given(st.integers(0, 1000), st.floats(0.5, 10))
    @UNHURRIED
    def test_groups_far_apart_stay_the_same_at_another_pace(self, seed: int, pace: float) -> None:
        times = np.array(groups_of(THIRTEEN, seed, within=(2, 10), pause=(300, 900)))
        assert sizes(times * pace) == list(THIRTEEN)

    @given(file_times)
    @UNHURRIED
    def test_what_happens_within_seconds_is_one(self, times: list[float]) -> None:
        longest = max(times) - min(times) or 1.0
        assert sizes(np.array(times) / longest * 20) == [len(times)]

    @given(st.integers(2, 60), st.floats(0.01, HOUR / 2))
    @UNHURRIED
    def test_no_regular_series_is_cut_in_the_middle(self, count: int, every: float) -> None:
        assert sizes(series(count, every)) in ([count], [1] * count)

    @pytest.mark.parametrize("times", [[0.0, math.nan], [math.inf, 0.0], [[0.0, 1.0]]])
    def test_what_is_no_time_is_refused(self, times: list[float]) -> None:
        with pytest.raises(TimesRefused, match="finite numbers of seconds"):
            group(times)


class TestSensitivity:
    """001-30: more sensitive separates more, less sensitive less."""

    def test_a_higher_one_splits_a_series(self) -> None:
        assert sizes(series(50, 30)) == [50]
        assert sizes(series(50, 30), sensitivity=50) == [1] * 50

    def test_a_lower_one_joins_groups(self) -> None:
        times = groups_of(THIRTEEN, seed=3)
        assert 1 < len(sizes(times, sensitivity=0.1)) < 13 < len(sizes(times, sensitivity=5))

    @given(st.integers(0, 10_000))
    @settings(UNHURRIED, max_examples=25)
    def test_activities_never_become_fewer(self, seed: int) -> None:
        times = groups_of((1, 4, 2, 9, 3), seed, within=(1, 100), pause=(60, 2000))
        counts = [len(sizes(times, sensitivity)) for sensitivity in (0, 0.1, 0.3, 1, 3, 10, 1e6)]
        assert counts == sorted(counts)
        assert (counts[0], counts[-1]) == (1, len(times))

    @pytest.mark.parametrize("sensitivity", [-1, math.nan, math.inf])
    def test_what_is_no_sensitivity_is_refused(self, sensitivity: float) -> None:
        with pytest.raises(SensitivityRefused, match="0 or more"):
            group([0, 1], sensitivity=sensitivity)


def refitted(times: np.ndarray[tuple[int], np.dtype[np.float64]], width: float) -> float:
    """Compute the likelihood as the textbook has it: the density is made anew without each file in turn."""
    total = 0.0
    for index, time in enumerate(times):
        others = np.delete(times, index)
        height = np.exp(-0.5 * ((others - time) / width) ** 2).sum() / (width * math.sqrt(2 * math.pi))
        total += math.log((height + 1 / times[-1]) / len(times))
    return total - 0.5 * (math.log(width / density.EXPECTED) / density.SPREAD) ** 2


class TestLeaveOneOutWithoutRefitting:
    """001-30: the kernel's width is the one that leave-one-out cross-validation finds, without its refits."""

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("width", [10, 47, 300, 2500])
    def test_the_likelihood_is_that_of_refitting(self, seed: int, width: float) -> None:
        times = np.array(groups_of((1, 4, 2, 9, 3, 12), seed, within=(1, 60)))
        assert density._likelihood(times, width) == pytest.approx(refitted(times, width), abs=0.01 * len(times))

    @pytest.mark.parametrize("seed", range(10))
    def test_the_width_is_that_of_refitting(self, seed: int) -> None:
        times = np.array(groups_of((1, 4, 2, 9, 3, 12), seed, within=(1, 60)))
        widths = np.geomspace(density.NARROWEST_KERNEL, times[-1], 100)
        best = max(widths, key=lambda width: refitted(times, width))
        assert analyse(times).bandwidth == pytest.approx(best, rel=0.2)


class TestFilesOfASession:
    """001-30: files are grouped by the times at which they were modified."""

    def test_groups_are_tuples_of_files_in_order_of_time(self) -> None:
        files = found([0, 5, 2 * HOUR, 2 * HOUR + 4, 2 * HOUR + 9])
        assert group_files(files[::-1]) == [tuple(files[:2]), tuple(files[2:])]

    def test_files_of_one_time_are_in_order_of_their_paths(self) -> None:
        files = found([0, 0, 0])
        assert group_files([files[1], files[2], files[0]]) == [tuple(files)]

    def test_no_files_give_no_groups(self) -> None:
        assert group_files([]) == []

    def test_high_sensitivity_separates_all_files(self) -> None:
        assert len(group_files(found(series(50, 30)), 50)) == 50


def run(*arguments: object, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TZ": "UTC"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def session(tmp_path: Path) -> list[Path]:
    """Make files of two activities."""
    paths = [tmp_path / name for name in ("a1.dm4", "a2.dm4", "b1.dm4")]
    for path, seconds in zip(paths, (0, 8, 2 * HOUR), strict=True):
        path.touch()
        os.utime(path, (START.timestamp() + seconds,) * 2)
    return paths


class TestCommandLine:
    """001-30: whoever wonders about the activities of a record can look at how they came about."""

    def test_it_prints_the_groups(self, session: list[Path]) -> None:
        done = run("-m", "Services.Builder.grouping.activities", *session)
        assert (done.returncode, done.stderr) == (EXIT_OK, "")
        assert done.stdout.splitlines()[0].startswith("Files: 3, activities: 2, kernel width: ")
        assert "Activity 1, 2020-02-23 11:00:00 to 11:00:08, files: 2" in done.stdout
        assert f"Activity 2, 2020-02-23 13:00:00 to 13:00:00, files: 1\n  13:00:00  {session[2]}\n" in done.stdout

    def test_sensitivity_0_gives_one_activity(self, session: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--sensitivity", "0", *map(str, session)]) == EXIT_OK
        assert capsys.readouterr().out.startswith("Files: 3, activities: 1\n")

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_plot_writes_a_figure(self, session: list[Path], tmp_path: Path, count: int) -> None:
        assert main([*map(str, session[:count]), "--plot", str(tmp_path / "out.png")]) == EXIT_OK
        assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")

    @pytest.mark.parametrize("name", ["the source", "another.dm3"])
    def test_a_figure_replaces_no_instrument_file(self, session: list[Path], tmp_path: Path, name: str) -> None:
        """Neither one that is read, whatever its name, nor one that is no picture by its name."""
        picture = tmp_path / "b.png"
        picture.write_bytes(b"an instrument's")
        target = picture if name == "the source" else tmp_path / name
        target.write_bytes(b"an instrument's")
        assert main([*map(str, session), str(picture), "--plot", str(target)]) == EXIT_USAGE
        assert target.read_bytes() == b"an instrument's"

    def test_times_are_shown_with_their_dates(self, session: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
        """A time without its date would be taken for one of the first day."""
        os.utime(session[2], (0, session[2].stat().st_mtime + 3 * 86_400))
        assert main(["--sensitivity", "0", *map(str, session)]) == EXIT_OK
        out = capsys.readouterr().out
        assert "Activity 1, 2020-02-23 11:00:00 to 2020-02-26 13:00:00, files: 3" in out
        assert f"  2020-02-26 13:00:00  {session[2]}\n" in out

    def test_the_figure_has_four_panels_and_the_boundaries(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from matplotlib.figure import Figure

        from Services.Builder.grouping.activity_plot import draw

        drawn: list[Figure] = []
        monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
        times = np.array(groups_of(THIRTEEN, seed=6))
        draw(times, ActivityClusterer().fit(times[:, np.newaxis]), tmp_path / "out.png")
        assert [axes.get_title(loc="left")[:3] for axes in drawn[0].axes] == ["(a)", "(b)", "(c)", "(d)"]
        assert drawn[0].axes[3].get_title(loc="left") == "(d) 13 activities"
        assert len(drawn[0].axes[3].collections[1].get_segments()) == 12  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("arguments", "code", "sentence"),
        [
            (["missing.dm4"], EXIT_FAILURE, "missing.dm4 cannot be looked at (No such file or directory)."),
            (["{}", "--sensitivity", "-1"], EXIT_USAGE, "of 0 or more, not -1.0."),
            (["{}", "--plot", "missing/out.png"], EXIT_FAILURE, "The figure cannot be written to missing/out.png"),
            (["{}", "--plot", "out.zzz"], EXIT_FAILURE, "The figure cannot be written to out.zzz"),
        ],
    )
    def test_what_cannot_be_done_is_one_sentence(
        self, session: list[Path], capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, sentence: str
    ) -> None:
        assert main([argument.format(session[0]) for argument in arguments]) == code
        output = capsys.readouterr()
        assert sentence in output.err
        assert output.err.count("\n") == 1
        assert output.out == ""

    def test_matplotlib_is_imported_for_a_plot_only(self) -> None:
        done = run("-c", "import Services.Builder.grouping.activities, sys; print('matplotlib' in sys.modules)")
        assert done.stdout == "False\n"


class TestDocumentation:
    """The page about the method shows what the program does."""

    def test_the_session_of_the_figure_has_thirteen_activities(self, tmp_path: Path) -> None:
        folder = tmp_path / "session"
        folder.mkdir()
        page = (PROJECT / "docs/activities.md").read_text("utf-8")
        estimator, example = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        assert run("-c", f"{estimator}print(clusterer.labels_)", folder=folder).stdout == "[0 0 0 1 1 1]\n"
        assert run("-c", example, folder=folder).returncode == 0
        times = [path.stat().st_mtime for path in sorted(folder.iterdir())]
        assert sizes(times) == list(THIRTEEN)
        assert (PROJECT / "docs/activities.png").read_bytes().startswith(b"\x89PNG")

    def test_the_table_of_examples(self) -> None:
        pairs = [time for time in series(50, 60) for _ in range(2)]
        assert sizes(pairs) == [2] * 50
        assert sizes(series(3, 3 * HOUR)) == [1, 1, 1]
        assert sizes(series(50, 30) + series(50, 30, 49 * 30 + 120)) == [100]
