"""Elements of a status channel as variables of a program (003-36..47), without any database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from NexusCore.status import (
    NoSuchElementException,
    OnChangeStatusReporter,
    Status2DElement,
    StatusElement,
    StatusException,
    StatusHolder,
)
from NexusCore.text import one_line
from tests.processes import LIMIT


class Reported(OnChangeStatusReporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("told")
        self.seen: list[tuple[str, Any]] = []

    def report(self, element: StatusElement) -> None:
        self.seen.append((element.name, element.get_value()))


@pytest.fixture
def status() -> StatusHolder:
    return StatusHolder("Module")


class TestMakingElements:
    """Elements come into being by assignment or by name (003-36..38), and go again."""

    def test_an_assignment_creates_an_element(self, status: StatusHolder) -> None:
        """003-36."""
        status["state"] = "Initializing"
        assert status["state"].get_value() == "Initializing"
        assert str(status["state"]) == "state=Initializing"
        assert "state" in status

    def test_new_creates_an_element_with_or_without_value(self, status: StatusHolder) -> None:
        """003-37."""
        assert status.new("n").get_value() is None
        assert status.new("m", 5, expire_time=10).get_value() == 5
        assert status["m"] == 5

    def test_by_the_longer_names(self, status: StatusHolder) -> None:
        made = status.create_status_element("made", 1)
        assert status.get_status_element("made") is made
        assert status.get_or_create_status_element("made") is made
        assert status.get_or_create_status_element("implicit").get_value() is None
        with pytest.raises(StatusException, match="already has an element 'made'"):
            status.create_status_element("made", 2)
        assert made.get_value() == 1
        assert status.get_or_create_status_element("counted", 3, expire_time=5).get_value() == 3
        assert status.get_or_create_status_element("counted", 9).get_value() == 3
        loose = StatusElement("loose", status, 6)
        assert ("loose" in status, loose.get_value()) == (False, 6)
        loose.set_value(7)
        assert status.add_status_element(loose) is status["loose"] is loose
        assert [one.get_name() for one in status.get_elements()] == ["made", "implicit", "counted", "loose"]
        assert (list(status), status.keys()) == (["made", "implicit", "counted", "loose"],) * 2

    def test_by_asking_for_one(self, status: StatusHolder) -> None:
        """As a program does that sets its first value so: 003-36."""
        status["unseen"].set_value(1)
        status["counted"].inc()
        assert (status["unseen"].get_value(), status["counted"].get_value()) == (1, 1)
        assert status["seen"].get_value() is None

    def test_the_holder_as_older_programs_make_it(self) -> None:
        status = StatusHolder("UnitTest", threading.Event())
        assert (status.get_name(), StatusHolder("B", stop_event=threading.Event()).get_name()) == ("UnitTest", "B")
        status["x"] = 1
        assert status["x"] == 1

    def test_a_removed_element_is_gone_and_can_return(self, status: StatusHolder) -> None:
        status["x"] = 1
        status.remove_status_element("x")
        assert "x" not in status
        for refused in (
            lambda: status.get_status_element("x"),
            lambda: status.remove_status_element("x"),
            lambda: status.remove_status_element(StatusElement("x")),
        ):
            with pytest.raises(NoSuchElementException, match="Status element 'x' does not exist in channel 'Module'"):
                refused()
        status["x"] = 2
        assert status["x"] == 2
        status.remove_status_element(status["x"])
        assert "x" not in status

    @pytest.mark.parametrize("name", ["", " x", "x ", "n" * 129, "half\udc80", 5, None])
    def test_a_name_that_is_none(self, status: StatusHolder, name: Any) -> None:
        for refused in (
            lambda: status.new(name, 1),
            lambda: status.__setitem__(name, 1),
            lambda: status.new2d(name, (1, 1)),
            lambda: status.get_or_create_status_element(name),
            lambda: status.add_status_element(StatusElement(name)),
            lambda: StatusHolder(name),
        ):
            with pytest.raises(StatusException, match=r"is not a valid name|which no name may contain"):
                refused()
        assert status.get_elements() == []

    @pytest.mark.parametrize(
        ("name", "which"),
        [
            ("new\nline", "U+000A at position 4"),
            ("\x1b[2J", "U+001B at position 1"),
            ("a\u202eb", "U+202E at position 2"),
        ],
    )
    def test_a_name_that_could_command_a_terminal(self, status: StatusHolder, name: str, which: str) -> None:
        for refused in (lambda: status.new(name, 1), lambda: StatusHolder(name)):
            with pytest.raises(StatusException) as raised:
                refused()
            assert f"contains {which}, which no name may contain" in str(raised.value)
            assert one_line(str(raised.value)) == str(raised.value)

    def test_one_element_however_many_threads_make_it(self, status: StatusHolder) -> None:
        """No change gets lost because two threads began with it at once."""
        begin = threading.Barrier(8)
        found: list[StatusElement] = []

        def make() -> None:
            begin.wait()
            found.append(status.get_or_create_status_element("shared"))

        threads = [threading.Thread(target=make) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert len(found) == 8
        assert len(set(map(id, found))) == 1


class TestMadeAgain:
    """An element is one object however often it is made: who holds or watches it goes on doing so (003-37, 38)."""

    def test_new_returns_the_existing_element(self, status: StatusHolder) -> None:
        element, event, reported = status.new("n", 1, expire_time=5), threading.Event(), Reported()
        status.add_reporter(reported)
        element.add_event_on_change(event)
        assert status.new("n") is element
        assert status["n"] == 1
        status["n"] = 2
        assert (event.is_set(), element.get_value(), reported.seen) == (True, 2, [("n", 2)])
        event.clear()
        assert status.new("n", 3) is element
        assert (event.is_set(), element.get_value(), reported.seen[1:]) == (True, 3, [("n", 3)])

    def test_what_is_asked_for_last_holds(self) -> None:
        """The last word of a program, which does not go stale."""
        stored: list[bytes] = []
        status = StatusHolder("Module", append=stored.append, now=lambda: 1_000_000)
        status.new("state", "idle", expire_time=30)
        status.new("state", "stopped")
        status.new("state", "stopped", expire_time=1)
        found = [tuple(msgspec.msgpack.decode(one)[3:]) for one in stored]
        assert found == [("idle", 31_000_000), ("stopped", None), ("stopped", 2_000_000)]

    def test_with_two_dimensions(self, status: StatusHolder) -> None:
        grid, event = status.new2d("map", (2, 1), 5), threading.Event()
        grid.add_event_on_change(event)
        assert status.new2d("map", (2, 1)) is grid
        assert grid.get_value() == [[5], [5]], "it keeps what it has"
        assert not event.is_set()
        assert status.new2d("map", (2, 1), 6).get_value() == [[6], [6]]
        assert event.is_set()
        event.clear()
        assert status.new2d("map", (1, 3)) is grid
        assert (grid.size, grid.get_value(), event.is_set()) == ((1, 3), [[0, 0, 0]], True)
        grid[0, 2] = 9
        assert status["map"] == [[0, 0, 9]]

    def test_by_adding_one_of_the_same_name(self, status: StatusHolder) -> None:
        element, event, other = status.new("n", 1), threading.Event(), StatusElement("n")
        element.add_event_on_change(event)
        other.set_value(2, timestamp=5)
        assert status.add_status_element(other) is element
        assert (status["n"] is element, element.get_value(), element.get_timestamp()) == (True, 2, 5)
        assert event.is_set()
        assert status.add_status_element(element) is element

    def test_of_another_kind(self, status: StatusHolder) -> None:
        plain, grid = status.new("plain", 1), status.new2d("grid", (1, 1))
        wrong: list[Callable[[], object]] = [
            lambda: status.new2d("plain", (1, 1)),
            lambda: status.add_status_element(Status2DElement("plain", status, (1, 1))),
            lambda: status.add_status_element(StatusElement("grid")),
        ]
        for refused in wrong:
            with pytest.raises(StatusException, match="of another kind"):
                refused()
        assert (status["plain"] is plain, plain.get_value(), status["grid"] is grid) == (True, 1, True)


class TestValues:
    """An element holds its value in the type it was set; it compares like the value (003-09, 42, 44, 45, 47)."""

    @pytest.mark.parametrize("value", ["text", "", 0, -5, 2**70, 0.1, True, None, b"bytes", [1, 2], {"a": 1}, (1,)])
    def test_the_type_stays(self, status: StatusHolder, value: Any) -> None:
        """003-42."""
        status["x"] = value
        assert status["x"].get_value() == value
        assert type(status["x"].get_value()) is type(value)

    def test_an_element_compares_like_its_value(self, status: StatusHolder) -> None:
        """003-47."""
        status["n"], status["m"], status["text"] = 5, 6, "0"
        n, m = status["n"], status["m"]
        assert n == 5
        assert n != 6
        assert n < 6 <= m
        assert m > 5 >= n
        assert n < m and n <= m and m > n and m >= n and n != m
        assert status["text"] != 0
        assert status["text"] == "0"

    def test_two_elements_compare_by_value(self, status: StatusHolder) -> None:
        status["a"], status["b"] = 1, 1
        assert status["a"] == status["b"]
        status["a"] = float("nan")
        assert status["a"] == status["a"], "an element equals itself"
        assert len({status["a"], status["b"]}) == 2, "they can be kept in sets all the same"

    def test_inc_and_dec_count_from_zero(self, status: StatusHolder) -> None:
        """003-42."""
        status["n"] = 0
        for _ in range(3):
            status["n"].inc()
        status["n"].dec()
        status["n"].inc(10)
        status["n"].dec(0.5)
        assert status["n"].get_value() == 11.5
        status.new("fresh").inc()
        assert status["fresh"].get_value() == 1
        assert type(status["fresh"].get_value()) is int

    @pytest.mark.parametrize("value", ["text", [1], {"a": 1}])
    def test_what_cannot_be_counted(self, status: StatusHolder, value: Any) -> None:
        status["x"] = value
        with pytest.raises(StatusException, match="which cannot be counted"):
            status["x"].inc()
        assert status["x"] == value

    def test_as_a_number(self, status: StatusHolder) -> None:
        status["n"] = "2"
        assert (float(status["n"]), int(status["n"])) == (2.0, 2)
        status["n"] = 2.75
        assert (float(status["n"]), int(status["n"])) == (2.75, 2)

    def test_when_it_was_set(self) -> None:
        """003-41."""
        times = iter(range(1_000_000, 9_000_000, 1_000_000))
        status = StatusHolder("Module", now=lambda: next(times))
        element = status.new("n")
        assert element.get_timestamp() == 1
        element.set_value(5)
        element.set_value(5)
        assert element.get_timestamp() == 2
        element.set_value(6, timestamp=100.5)
        assert element.get_timestamp() == 100.5

    def test_what_is_being_stored_is_not_taken_for_stored(self) -> None:
        """Who sets the same value as another thread may be killed as soon as the call returns."""
        stored, begun, go = [], threading.Event(), threading.Event()

        def slowly(payload: bytes) -> None:
            begun.set()
            go.wait(LIMIT)
            stored.append(payload)

        status = StatusHolder("Module", append=slowly)
        seen: list[int] = []

        def set_it() -> None:
            status["n"] = 1
            seen.append(len(stored))

        first, second = threading.Thread(target=set_it), threading.Thread(target=set_it)
        first.start()
        begun.wait(LIMIT)
        second.start()
        second.join(0.1)
        go.set()
        for thread in (first, second):
            thread.join(LIMIT)
        assert seen == [1, 1]

    def test_counting_by_several_threads(self, status: StatusHolder) -> None:
        status["n"] = 0

        def count() -> None:
            for _ in range(2000):
                status["n"].inc()

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert status["n"].get_value() == 8000

    @pytest.mark.parametrize("value", ["x" * 1025, "ä" * 513, "\U0001f52c" * 257, list(range(1000))])
    def test_a_value_that_is_too_long_is_refused(self, status: StatusHolder, value: Any) -> None:
        """003-45: the sentence says both lengths, and the element keeps what it had."""
        status["x"] = "before"
        with pytest.raises(StatusException, match=r"has \d+ bytes, at most 1024"):
            status["x"] = value
        assert status["x"] == "before"

    @pytest.mark.parametrize("value", ["x" * 1024, "ä" * 512, "\U0001f52c" * 256])
    def test_a_value_of_1024_bytes_fits(self, status: StatusHolder, value: str) -> None:
        """003-45."""
        status["x"] = value
        assert status["x"] == value

    @pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1, 1e13, "soon"])
    def test_an_expiry_that_is_none(self, status: StatusHolder, seconds: Any) -> None:
        """003-44."""
        with pytest.raises(StatusException, match="seconds"):
            status.new("x", 1, expire_time=seconds)

    @pytest.mark.parametrize("timestamp", ["now", None.__class__, b"1"])
    def test_a_time_that_is_none(self, status: StatusHolder, timestamp: Any) -> None:
        """003-41."""
        with pytest.raises(StatusException, match="not a number of seconds"):
            status.new("x", 1).set_value(2, timestamp=timestamp)
        assert status["x"] == 1


class TestGrids:
    """Elements with two dimensions hold whole numbers from 0 to 255 (003-38, 46)."""

    def test_whole_and_by_cell(self, status: StatusHolder) -> None:
        """The value is a list of columns, so that ``value[x][y]`` is the cell ``(x, y)``."""
        grid = status.new2d("map", (2, 3), initial_value=7)
        assert grid.get_value() == [[7, 7, 7], [7, 7, 7]]
        grid.set_value((1, 2), 255)
        grid[0, 0] = 0
        assert grid.get_value() == [[0, 7, 7], [7, 7, 255]]
        assert grid.get_value()[1][2] == grid.get_value((1, 2)) == grid[1, 2] == 255
        grid.set_value([[1, 2, 3], (4, 5, 6)])
        assert status["map"] == [[1, 2, 3], [4, 5, 6]]
        status["map"] = [[0, 0, 0], [0, 0, 0]]
        assert status["map"].get_value() == [[0, 0, 0], [0, 0, 0]]

    def test_initial_values_are_zero_unless_given(self, status: StatusHolder) -> None:
        assert status.new2d("a", (1, 2)).get_value() == [[0, 0]]
        assert status.new2d("b", (1, 2), [[1, 2]]).get_value() == [[1, 2]]

    def test_made_by_itself(self, status: StatusHolder) -> None:
        assert Status2DElement("c", None, (1, 1)).get_value() == [[0]]
        grid = Status2DElement("d", status, (2, 1), 4)
        assert "d" not in status
        status.add_status_element(grid)
        assert status["d"] is grid
        assert grid.get_value() == [[4], [4]]

    def test_a_cell_counts_up_and_down(self, status: StatusHolder) -> None:
        grid = status.new2d("map", (2, 2))
        grid.inc((0, 1))
        grid.inc((0, 1), 5)
        grid.dec((0, 1))
        assert grid.get_value() == [[0, 5], [0, 0]]
        for wrong in ((), (1,), ((0, 2),), ((0,),), ((0, 0), -1), ((0, 0), 0.5)):
            with pytest.raises(StatusException, match="'map'"):
                grid.inc(*wrong)
        assert grid.get_value() == [[0, 5], [0, 0]]

    def test_what_is_handed_out_is_a_copy(self, status: StatusHolder) -> None:
        grid = status.new2d("map", (1, 2))
        grid.get_value()[0][0] = 5
        columns = [[1, 1]]
        grid.set_value(columns)
        columns[0][0] = 9
        assert grid.get_value() == [[1, 1]]

    @pytest.mark.parametrize("size", [(0, 1), (1, 0), (-1, 1), (1.0, 1), (True, 1), ("a", 1), (1,), (1, 2, 3), 5, None])
    def test_a_size_that_is_none(self, status: StatusHolder, size: Any) -> None:
        """003-38: two whole numbers above 0."""
        with pytest.raises(StatusException, match="two whole numbers above 0"):
            status.new2d("map", size)

    def test_one_that_no_row_of_the_table_holds(self, status: StatusHolder) -> None:
        with pytest.raises(StatusException, match="cells"):
            status.new2d("map", (5000, 5000))

    @pytest.mark.parametrize(
        "value",
        [
            256,
            -1,
            [[256, 0]],
            [[-1, 0]],
            [[1.0, 0]],
            [[True, 0]],
            [["1", 0]],
            [[0]],
            [[0, 0], [0, 0]],
            [0, 0],
            "ab",
            None,
        ],
    )
    def test_a_value_that_does_not_fit(self, status: StatusHolder, value: Any) -> None:
        grid = status.new2d("map", (1, 2), [[1, 2]])
        with pytest.raises(StatusException, match="'map' takes"):
            grid.set_value(value)
        assert grid.get_value() == [[1, 2]]

    @pytest.mark.parametrize(("cell", "number"), [((0, 2), 1), ((1, 0), 1), ((-1, 0), 1), ((0, 0), 256), ((0, 0), "1")])
    def test_a_cell_that_does_not_fit(self, status: StatusHolder, cell: tuple[int, int], number: Any) -> None:
        grid = status.new2d("map", (1, 2), [[1, 2]])
        with pytest.raises(StatusException, match="'map'"):
            grid.set_value(cell, number)
        assert grid.get_value() == [[1, 2]]

    def test_a_change_of_one_cell_is_a_change(self, status: StatusHolder) -> None:
        changed = threading.Event()
        grid = status.new2d("map", (1, 2))
        grid.add_event_on_change(changed)
        grid[0, 0] = 0
        assert not changed.is_set()
        grid[0, 0] = 1
        assert changed.is_set()


class TestUsedDirectly:
    """The module can be used without the façade: what is set is told to whoever wants it."""

    def test_what_is_reported(self) -> None:
        reported: list[Any] = []
        element = StatusElement(
            "x", expire_time=2.5, report=lambda *given: reported.append(given), now=lambda: 1_000_000
        )
        element.set_value("a")
        element.set_value("a")
        element.set_value("a", force_update=True)
        element.set_value("b", timestamp=5.25)
        element.set_value(None)
        assert reported == [
            ("x", "a", 1_000_000, 3_500_000),
            ("x", "a", 1_000_000, 3_500_000),
            ("x", "b", 5_250_000, 7_750_000),
            ("x", None, 1_000_000, 3_500_000),
        ]


class TestWrongArguments:
    """What cannot work is refused by the call itself, and not where a value is set later."""

    def test_a_callback_or_event_that_is_none_is_refused(self, status: StatusHolder) -> None:
        wrong: Any
        for wrong in (None, "x", 5):
            for refused in (
                lambda wrong=wrong: status["n"].add_callback(wrong),
                lambda wrong=wrong: status["n"].add_event_on_change(wrong),
                lambda wrong=wrong: status["n"].add_event_on_value(1, wrong),
                lambda wrong=wrong: status.add_reporter(wrong),
            ):
                with pytest.raises(StatusException, match=r"None|of the type (str|int)"):
                    refused()
        status["n"] = 1
        assert status["n"] == 1

    def test_a_name_that_is_not_text_is_called_so(self, status: StatusHolder) -> None:
        wrong: Any
        for wrong, kind in ((5, "of the type int"), (None, "None"), (b"x", "of the type bytes")):
            with pytest.raises(StatusException, match=f"a name is text, not {kind}"):
                status.new(wrong)

    def test_the_wrong_step_is_blamed_not_the_element(self, status: StatusHolder) -> None:
        status["n"] = 1
        wrong: Any
        for wrong in ("x", None, [1]):
            for count in (status["n"].inc, status["n"].dec):
                with pytest.raises(StatusException, match="'n' is counted by a number, not by one"):
                    count(wrong)
        assert status["n"] == 1

    def test_a_number_that_is_too_long_for_a_text(self, status: StatusHolder) -> None:
        with pytest.raises(StatusException, match="the value of 'big', of the type int, cannot be written as text"):
            status["big"] = 10**5000
        assert status["big"].get_value() is None
