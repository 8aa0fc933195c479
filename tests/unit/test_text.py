"""Whatever comes in, what is shown is text: nothing that commands a terminal, turns a line round or cannot be seen."""

from __future__ import annotations

import json
import shlex
import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from NexusCore.text import escape, is_odd, json_text, listed, odd_character, one_line, readable, shell_quote

ODD = (
    "\x00\x07\x08\x0b\x0c\r\x1b\x7f"  # control characters
    "\x80\x85\x9b\x9d\x9f"  # C1: 9b begins a sequence by itself
    "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # direction
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u2028\u2029"  # invisible, and ends of lines
    "\U000e0001\U000e0041\U000e007f"  # tags
    "\u034f\u115f\u1160\u3164\uffa0\u17b4\u180e\ufe0f\U000e0100\u2800"  # invisible whatever their category
    "\ue000\U0010ffff\ufdd0\udc80\ud800"  # private, not assigned, halves of characters
)


class TestShown:
    """What could harm or deceive is shown as a programmer writes it; all else stays as it is."""

    @pytest.mark.parametrize("character", list(ODD), ids=ascii)
    def test_each_odd_one(self, character: str) -> None:
        code = ord(character)
        expected = f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
        assert escape(f"a{character}b") == one_line(f"a{character}b") == f"a{expected}b"

    @pytest.mark.parametrize(
        "text", ["", "plain", "Ärger 20\u00a0µm", "電子顯微鏡", "e\u0301", "20\u202f°C", "👩🔬", "a\\x1b"]
    )
    def test_harmless_text_stays_as_it_is(self, text: str) -> None:
        assert (escape(text), one_line(text)) == (text, text)

    def test_one_line_escapes_tabs_and_line_ends_too(self) -> None:
        assert escape("a\tb\nc\x1b") == "a\tb\nc\\x1b"
        assert one_line("a\tb\nc\x1b") == "a\\tb\\nc\\x1b"

    @given(st.text(st.characters() | st.sampled_from(ODD)))
    def test_whatever_the_text(self, text: str) -> None:
        shown = one_line(text)
        assert all(one.isprintable() or unicodedata.category(one) == "Zs" for one in shown)
        assert not set(shown) & set(ODD)
        assert escape(text).replace("\n", "\\n").replace("\t", "\\t") == shown

    @pytest.mark.parametrize(
        ("value", "text"), [(b"\xffa", "\\xffa"), (bytearray(b"a"), "a"), (7, "7"), (None, "None")]
    )
    def test_what_is_no_text(self, value: object, text: str) -> None:
        assert readable(value) == text


class TestJson:
    """JSON has escapes of its own: what reads it gets the text as it is."""

    # Of two halves that meet, JSON makes a whole character.
    ODD_WHOLE = st.sampled_from([one for one in ODD + 'a"\\\n' if not "\ud800" <= one <= "\udfff"])

    @given(st.dictionaries(st.text(ODD_WHOLE | st.characters()), st.text(ODD_WHOLE)))
    def test_it_comes_back(self, value: dict[str, str]) -> None:
        for indent in (None, 2):
            shown = json_text(value, indent=indent)
            assert json.loads(shown) == value
            assert not set(shown) & set(ODD)

    def test_what_json_has_no_word_for(self) -> None:
        assert json_text({"a": b"\xff", "b": float("inf"), "c": [float("nan"), (1.5,)]}) == (
            '{"a": "\\\\xff", "b": null, "c": [null, [1.5]]}'
        )


class TestNames:
    """A name that cannot be seen as it is, is refused by the character's number and place."""

    def test_the_first_odd_character_is_reported(self) -> None:
        assert odd_character("Instruments.\u202eMET") == "U+202E at position 13"
        assert odd_character("a\nb") == "U+000A at position 2"
        assert odd_character("Ärger 20 µm") is None
        assert is_odd("\u200d")


class TestListed:
    """Words as a sentence lists them."""

    @pytest.mark.parametrize(
        ("words", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
    )
    def test_commas_and_one_and(self, words: list[str], text: str) -> None:
        assert listed(words) == text


class TestShellQuote:
    """A command that is shown can be read, and pasted into bash."""

    @given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
    def test_it_can_be_read(self, text: str) -> None:
        assert not set(shell_quote(text)) & set(ODD)
        if one_line(text) == text:
            assert shell_quote(text) == shlex.quote(text)

    def test_bash_understands_it(self) -> None:
        words = ["a b", "$(touch x)", "a\x1b[2J'b\\c\u202e\n", "it's", "é\u200bé"]
        line = " ".join(map(shell_quote, words))
        done = subprocess.run(
            ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
        )
        assert done.stdout.decode().split("\0")[:-1] == words
