"""The rooms of ConfigUI, each by itself: text in cells, a line being typed, the outline, and what is new."""

from __future__ import annotations

import curses
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.store import REMOVE, SET, Change
from NexusCore.config.tree import Tree
from NexusCore.config.values import Limits
from NexusCore.config.view import NamedConfiguration
from NexusCore.config.watch import LiveConfiguration
from Tools.common import cells
from Tools.configui import describing
from Tools.configui.canvas import Canvas, Line, ScreenAttributes
from Tools.configui.outline import Outline, SearchPosition, split_at
from Tools.configui.recent_changes import FRESH_SECONDS, RecentChanges
from Tools.configui.text_line import TextLine
from Tools.configui.tree_menu import TreeItem, TreeMenu

TEXTS = st.text(
    st.characters(codec="utf-8") | st.sampled_from(list("ab /電ア鏡é\u0301\n\x1b\u202e👩\u200d🔬")), max_size=60
)
WIDTHS = st.integers(3, 50)
UNHURRIED = settings(deadline=None, database=None)


class Still:
    """A configuration in memory that changes when it is told to."""

    def __init__(self) -> None:
        self.nodes = Tree(cast(Any, None), "default", 1)
        self.callbacks: list[Callable[[ConfigParameter], object]] = []
        self._revision = 0

    def tree(self, _version: str | None) -> Tree:
        return self.nodes

    def add_callback(self, _tree: Tree, _path: str, callback: Callable[[ConfigParameter], object]) -> None:
        self.callbacks.append(callback)

    def change(
        self, path: str, value: str | None = "1", *, action: str = SET, comment: str = "", limits: Limits | None = None
    ) -> None:
        self._revision += 1
        stored = limits.to_json() if limits else None
        node = self.nodes.apply(Change(self._revision, 1, path, action, value, "string", comment, stored, 1))
        assert node is not None
        for callback in self.callbacks:
            callback(node.snapshot())

    @property
    def config(self) -> NamedConfiguration:
        return NamedConfiguration(cast(LiveConfiguration, self))


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> int:
        return int(self.seconds * 1_000_000)

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        raise AssertionError("nothing here waits")


class Paper:
    """Takes a picture for no terminal."""

    def __init__(self, rows: int, columns: int) -> None:
        self.size = (rows, columns)
        self.look = ScreenAttributes()

    def put(self, row: int, line: object, over: int = 0) -> None:
        assert 0 <= row < self.size[0]

    def clear(self) -> None: ...
    def show(self) -> None: ...
    def place_cursor(self, row: int, column: int, *, typing: bool = False) -> None: ...


@pytest.fixture
def still() -> Still:
    made = Still()
    for path in ("A.x", "B.c.titan", "B.c.y", "B.titan", "C"):
        made.change(path)
    return made


class TestCells:
    """A text never takes more cells than there are, and never commands the terminal."""

    @UNHURRIED
    @given(TEXTS, WIDTHS)
    def test_a_cut_text_fits_its_columns(self, text: str, columns: int) -> None:
        text = cells.plain(text)
        shown = cells.cut(text, columns)
        assert cells.width(shown) <= columns
        assert shown == text or shown.endswith("…")

    @UNHURRIED
    @given(TEXTS, WIDTHS, st.integers(1, 5))
    def test_wrapped_text_fits_its_box(self, text: str, columns: int, most: int) -> None:
        lines = cells.wrapped(cells.plain(text), columns, most)
        assert len(lines) <= most
        assert all(cells.width(line) <= columns for line in lines)

    @UNHURRIED
    @given(TEXTS)
    def test_what_is_shown_can_be_seen(self, text: str) -> None:
        assert cells.plain(text).isprintable()
        assert cells.in_place(text).isprintable()
        assert len(cells.in_place(text)) == len(text)

    def test_wide_and_odd_characters_are_handled(self) -> None:
        assert cells.width("電子é") == 5
        assert cells.cut("電子顯微鏡", 6) == "電子…"
        assert cells.plain("a\nb\x1b\x7f\u202e\xa0c") == "a\\nb\\x1b\\x7f\\u202e c"
        assert cells.in_place("a\nb\x1b\x7f\u202e\xa0c") == "a␊b␛␡� c"
        assert cells.wrapped("one two three", 8, 2) == ["one two", "three"]
        assert cells.wrapped("one two three", 8, 1) == ["one two…"]


class TestTextLine:
    """A line being typed is edited as in a shell, and its cursor is always in sight."""

    KEYS = st.lists(
        st.sampled_from(
            [
                "x",
                "電",
                " ",
                "\x01",
                "\x05",
                "\x17",
                curses.KEY_LEFT,
                curses.KEY_RIGHT,
                curses.KEY_BACKSPACE,
                curses.KEY_DC,
            ]
        ),
        max_size=30,
    )

    @UNHURRIED
    @given(TEXTS, KEYS, WIDTHS, st.booleans())
    def test_the_cursor_is_in_sight(self, text: str, keys: list[str | int], columns: int, hidden: bool) -> None:
        line = TextLine(text, hidden=hidden)
        for key in keys:
            assert line.press(key)
            shown, place = line.view(columns)
            assert cells.width(shown) <= columns
            assert 0 <= place < columns
            assert 0 <= line.place <= len(line.text)
            assert not hidden or set(shown) <= {"*", "…"}

    @pytest.mark.parametrize(
        ("keys", "text"),
        [
            ("\x17", "one two "),
            ("\x17\x17", "one "),
            ("\x15", ""),
            ("\x01\x0b", ""),
            ("\x01>\x05<", ">one two three<"),
        ],
    )
    def test_keys_of_a_shell(self, keys: str, text: str) -> None:
        line = TextLine("one two three")
        for key in keys:
            line.press(key)
        assert line.text == text

    def test_characters_are_no_keys(self) -> None:
        """The letter Ă has the number that curses gives to the arrow down."""
        line = TextLine(choices=("a", "b"))
        assert ord("Ă") == curses.KEY_DOWN
        line.press("Ă")
        assert line.text == "Ă"
        line.press(curses.KEY_DOWN)
        assert line.text == "a"


class TestOutline:
    """Lines are those of open folders; a search goes through the whole tree, in its order."""

    def test_rows_are_those_of_open_folders(self, still: Still) -> None:
        outline = Outline(still.config)
        assert [row.node.path for row in outline.rows()] == ["A", "B", "C"]
        outline.open_to("B.c.y")
        assert [(row.node.path, row.depth) for row in outline.rows()] == [
            ("A", 0), ("B", 0), ("B.c", 1), ("B.c.titan", 2), ("B.c.y", 2), ("B.titan", 1), ("C", 0)
        ]  # fmt: skip

    def test_names_values_and_comments_are_searched(self, still: Still) -> None:
        still.change("C", "Titan2")
        still.change("A.x", comment="Of the titan")
        still.change("S", "titan", limits=Limits(secret=True))
        outline = Outline(still.config)
        assert [node.path for node in outline.matches("TITAN")] == ["A.x", "B.c.titan", "B.titan", "C"]
        assert [node.path for node in outline.matches("titan of")] == ["A.x"]
        assert outline.matches(" ") == []

    @pytest.mark.parametrize(
        ("path", "step", "place"),
        [
            ("A", 1, SearchPosition("B.c.titan", 1, 2)),
            ("B.c.titan", 1, SearchPosition("B.titan", 2, 2)),
            ("B.titan", 1, SearchPosition("B.c.titan", 1, 2)),
            ("C", -1, SearchPosition("B.titan", 2, 2)),
            ("B.c.titan", -1, SearchPosition("B.titan", 2, 2)),
            ("B.c.y", -1, SearchPosition("B.c.titan", 1, 2)),
            ("B.titan", 0, SearchPosition("B.titan", 2, 2)),
        ],
    )
    def test_from_match_to_match(self, still: Still, path: str, step: int, place: SearchPosition) -> None:
        assert Outline(still.config).match("titan", path, step) == place
        assert Outline(still.config).match("nowhere", path, step) is None

    def test_words_in_a_text(self) -> None:
        assert split_at("FEI-Titan", "titan") == ["FEI-", "Titan", ""]
        assert split_at("a.b", "") == ["a.b"]
        assert split_at("a.b", ".") == ["a", ".", "b"]


class TestNews:
    """What changed bears a mark for a while, and so do the folders that it is in."""

    def test_marks_come_and_go(self, still: Still) -> None:
        clock = Hand()
        news = RecentChanges(still.config, clock)
        assert not news.take()
        still.change("B.c.y", "2")
        assert news.take()
        assert [path for path in ("A", "B", "B.c", "B.c.y", "B.titan") if news.is_fresh(path)] == ["B", "B.c", "B.c.y"]
        clock.seconds = FRESH_SECONDS - 1
        still.change("B.titan", action=REMOVE)
        assert news.take()
        clock.seconds = FRESH_SECONDS
        assert news.take()
        assert [path for path in ("B", "B.c", "B.c.y", "B.titan") if news.is_fresh(path)] == ["B", "B.titan"]
        assert not news.take()


class TestDescribing:
    """Type and limits are told in words."""

    @pytest.mark.parametrize(
        ("limits", "words"),
        [
            (Limits(), "string"),
            (Limits(minimum=0, maximum=10), "string, 0 to 10"),
            (Limits(minimum=0.5), "string, at least 0.5"),
            (Limits(maximum=3), "string, at most 3"),
            (Limits(choices=("a", "b")), "string, one of a, b"),
            (Limits(pattern="a+", secret=True), "string, of the pattern a+, secret"),
            (Limits(path_exists=True), "string, an existing file or folder"),
        ],
    )
    def test_limits_are_described_in_words(self, limits: Limits, words: str) -> None:
        still = Still()
        still.change("x", limits=limits)
        assert describing.kind(still.config.get("x")) == words


class TestDrawing:
    """Of many thousand lines, those are drawn that can be seen."""

    @pytest.mark.parametrize("rows", [10, 24, 60])
    def test_only_what_is_seen(self, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
        still = Still()
        for number in range(5000):
            still.change(f"Big.parameter{number:04}")
        drawn: list[str] = []
        line = TreeItem.line

        def counted(item: TreeItem) -> Line:
            drawn.append(item.node.path)
            return line(item)

        monkeypatch.setattr(TreeItem, "line", counted)
        paper = cast(Canvas, Paper(rows, 80))
        menu = TreeMenu(
            still.config, paper, RecentChanges(still.config, Hand()), str, still.config.get("Big.parameter2500")
        )
        menu.draw()
        assert len(drawn) < rows
        assert "Big.parameter2500" in drawn
        menu.step(1)
        menu.draw()
        assert drawn[-1] == "Big.parameter2501"

    def test_a_parameter_that_holds_others(self) -> None:
        """A program can put parameters below a parameter; both can be reached."""
        still = Still()
        still.change("a", "value")
        still.change("a.b", "below")
        paper = cast(Canvas, Paper(24, 80))
        menu = TreeMenu(still.config, paper, RecentChanges(still.config, Hand()), str, still.config.get("a"))
        menu.go_in()
        assert [(item.node.path, describing.shown(item.node)) for item in menu.items] == [
            ("a", "value"), ("a.b", "below")
        ]  # fmt: skip
