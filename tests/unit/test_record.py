"""A line of log as a reader sees it (003-58), and what is kept of odd ones."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from NexusCore.log.record import LogRecord, message_of, short_line, traceback_of
from NexusCore.sizes import LOG_TEXT
from NexusCore.storage.patterns import escape_like


@pytest.fixture(autouse=True)
def oslo() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Europe/Oslo")
        time.tzset()
        yield
    time.tzset()


def record(level: int = logging.DEBUG, message: str = "Initializing tables", line: int = 294) -> LogRecord:
    ts = 1_470_130_936_123_456  # 11:42:16 at Oslo on 2 August 2016
    return LogRecord(ts, level, "MySQLStatusReporter", "InternalDB", line, "f", "host", 1, "MainThread", message)


class TestALine:
    """Local time, level, module and line, logger, message, as in the text."""

    def test_the_examples_of_the_text(self) -> None:
        """003-58."""
        assert short_line(record()) == (
            "Tue Aug  2 11:42:16 2016 [DEBUG][InternalDB( 294)][MySQLStatusReporter]Initializing tables"
        )
        info = LogRecord(
            1_470_130_941_000_000, logging.INFO, "UnitTest", "Status", 132, "f", "h", 1, "t", "thread started"
        )
        assert short_line(info) == "Tue Aug  2 11:42:21 2016 [ INFO][ Status( 132)][UnitTest]thread started"

    def test_levels_and_numbers_that_are_wider(self) -> None:
        assert "[CRITICAL][InternalDB(12345)]" in short_line(record(logging.CRITICAL, line=12345))
        assert "[Level 33]" in short_line(record(33))

    def test_no_message_commands_a_terminal(self) -> None:
        """Escape sequences could clear the screen, or type for the reader."""
        shown = short_line(record(message="\x1b[2J\x07\x9b31m\r\x00 a\tb\nc é"))
        assert shown.endswith("\\x1b[2J\\x07\\x9b31m\\x0d\\x00 a\tb\nc é")

    @given(st.text())
    def test_whatever_the_message(self, text: str) -> None:
        assert not set(short_line(record(message=text))) & set(map(chr, [*range(9), *range(11, 32), *range(127, 160)]))

    def test_no_name_does_either(self) -> None:
        odd = LogRecord(0, 20, "a\x1b[2J\nb", "m\u202ex", 1, "f", "h", 1, "t", "x")
        assert "[m\\u202ex(   1)][a\\x1b[2J\\nb]x" in short_line(odd)

    @pytest.mark.parametrize("ts", [10**18, -(10**18), 2**63 - 1, -(2**63)])
    def test_a_time_that_no_calendar_has(self, ts: int) -> None:
        assert short_line(LogRecord(ts, 20, "a", "m", 1, "f", "h", 1, "t", "x")).startswith("unreadable time [ INFO]")


class TestMessages:
    """What is logged becomes a text, cut where it is longer than is kept."""

    @pytest.mark.parametrize(
        ("message", "arguments", "expected"),
        [
            ("%s of %d", ("1", 2), "1 of 2"),
            ("50 %", (), "50 %"),
            ("50 %", (1,), "50 % (arguments (1,) do not fit: incomplete format)"),
            ("%d", ("x",), "%d (arguments ('x',) do not fit: %d format: a real number is required, not str)"),
            (5, (), "5"),
        ],
    )
    def test_each_message_becomes_text(self, message: object, arguments: tuple[object, ...], expected: str) -> None:
        assert message_of(logging.LogRecord("n", 20, "p", 1, message, arguments, None)) == expected

    def test_long_texts_are_cut_and_say_so(self) -> None:
        """Of a message and of a traceback, 1 MiB is kept, and how much is missing is said."""
        whole, longer = "é" * (LOG_TEXT // 2), "é" * (LOG_TEXT // 2 + 7)
        for text in (whole, longer):
            one = logging.LogRecord("n", 20, "p", 1, text, None, None)
            one.exc_text = text
            for kept in (message_of(one), traceback_of(one)):
                assert kept is not None
                assert len(kept.encode()) <= LOG_TEXT
                assert (kept == text) is (text is whole)
                assert re.search(r"é… \[\d\d bytes cut\]$", kept) or text is whole


class TestSearching:
    """What a reader looks for is found as it stands."""

    @pytest.mark.parametrize(("text", "escaped"), [("100%", "100!%"), ("a_b", "a!_b"), ("!", "!!"), ("\\", "\\")])
    def test_wildcards_are_escaped(self, text: str, escaped: str) -> None:
        assert escape_like(text) == escaped
