"""How long a text may be: what is longer is cut with a mark, or refused in a sentence; the documents say the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from NexusCore import sizes
from NexusCore.errors import TooLong, ValueRefused
from NexusCore.storage.transaction import BYTES_PER_STATEMENT, ROWS_PER_STATEMENT, portions
from tests.processes import PROJECT


class TestCutting:
    @given(st.text(), st.integers(sizes.CUT_MARK_SIZE, 200))
    def test_whatever_the_text(self, text: str, most: int) -> None:
        cut = sizes.truncate(text, most)
        assert sizes.size(cut) <= most
        if sizes.size(text) <= most:
            assert cut == text
        else:
            found = re.fullmatch(r"(.*)… \[([\d,]+) bytes cut\]", cut, re.S)
            assert found
            assert text.startswith(found[1])
            assert sizes.size(found[1]) + int(found[2].replace(",", "")) == sizes.size(text)

    def test_half_a_character(self) -> None:
        """As in file names of unknown encoding."""
        assert sizes.truncate("\udc80" * 100, 100).endswith("bytes cut]")
        assert sizes.size("\udc80") == 3

    def test_the_refusal_names_size_and_limit(self) -> None:
        sizes.check_size("The note", "é" * 5, 10)
        sizes.check_length("The name", "é" * 5, 5)
        with pytest.raises(TooLong, match=r"^The note has 1,400 bytes; at most 1,024 can be stored\.$"):
            sizes.check_size("The note", "é" * 700, 1024)
        with pytest.raises(TooLong, match=r"^The name has 700 characters; at most 128 can be stored\.$"):
            sizes.check_length("The name", "é" * 700, 128)

    def test_a_sentence_does_not_repeat_a_long_value(self) -> None:
        error = ValueRefused(path="x", value=repr("v" * 100_000), reason="it is an integer")
        assert len(str(error)) < 300
        assert str(error).endswith("v…: it is an integer.")


class TestPortions:
    """Rows with long texts are sent in statements that a server takes."""

    def test_each_is_small_and_none_is_missing(self) -> None:
        rows = [(number, "x" * (number * 99_991 % 300_000), None) for number in range(50)]
        found = list(portions(rows))
        assert [row for some in found for row in some] == rows
        assert len(found) > 5
        assert all(sum(len(row[1]) for row in some) <= BYTES_PER_STATEMENT for some in found)

    def test_a_row_that_is_longer_goes_alone(self) -> None:
        long = ("x" * (BYTES_PER_STATEMENT + 1),)
        assert [len(some) for some in portions([("a",), long, ("b",)])] == [1, 1, 1]

    def test_short_rows_are_split_by_their_number(self) -> None:
        assert list(portions([])) == []
        assert [len(some) for some in portions([("a",)] * (ROWS_PER_STATEMENT + 1))] == [ROWS_PER_STATEMENT, 1]


class TestTheDocuments:
    def test_they_say_the_same(self) -> None:
        rows = re.findall(r"^\| (.*?) \| ([\d,]+) (\w+) \|", (PROJECT / "docs/limits.md").read_text("utf-8"), re.M)
        reported = {what: int(number.replace(",", "")) for what, number, _ in rows}
        for what, size in {
            "value of a configuration": sizes.CONFIG_VALUE, "comment": sizes.CONFIG_COMMENT,
            "reason": sizes.CONFIG_WHY, "status value": sizes.STATUS_VALUE, "note": sizes.EVENT_DETAIL,
            "error of a session": sizes.LAST_ERROR, "log message": sizes.LOG_TEXT, "traceback": sizes.LOG_TEXT,
            "name of a parameter": sizes.NAME, "name of a logger": sizes.NAME, "path": sizes.PATH,
            "identifier": sizes.IDENTIFIER, "password": sizes.PASSWORD,
        }.items():  # fmt: skip
            assert [number for name, number in reported.items() if name.startswith(what)] == [size], what
        assert len(reported) == 13
