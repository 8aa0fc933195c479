"""What is long does not flood a screen: tools show its beginning and its size, and all of it where it is asked for."""

from __future__ import annotations

import re

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.facility.sessions import Client, Sessions, State
from NexusCore.sizes import CONFIG_VALUE, EVENT_DETAIL, LAST_ERROR
from NexusCore.storage import Database
from tests.tools.conftest import configure, log
from tests.tools.programs import run

VALUE = "lorem ipsum\n" * (CONFIG_VALUE // 12)
SHOWN = r"lorem ipsum\nlorem ipsum\nlorem ipsum\nlorem ipsum\nlorem ipsum\n… (65,532 bytes)"


@pytest.fixture
def desk(embedded: Database) -> Database:
    configure(embedded, Edit("Camera.text", value="short"))
    configure(embedded, Edit("Camera.text", value=VALUE), Edit("Camera.gain", value=3))
    return embedded


class TestConfigTool:
    def test_everywhere_its_beginning(self, desk: Database) -> None:
        for words in (
            ("list", "Camera"), ("list", "Camera.text"), ("tree",), ("Camera.text",), ("search", "ipsum"),
            ("history", "Camera.text"), ("diff", "1"), ("set", "Camera.text", "x", "--dry-run"),
        ):  # fmt: skip
            done = run("ConfigTool", *words)
            assert (done.code, SHOWN in done.out) == (0, True), (words, done)
            assert len(done.out) < 2000

    def test_all_of_it(self, desk: Database) -> None:
        assert run("ConfigTool", "get", "Camera.text").out == VALUE + "\n"
        (reported,) = run("ConfigTool", "list", "Camera.text", "--json").objects
        assert reported["value"] == VALUE

    def test_what_is_refused(self, desk: Database) -> None:
        long = "v" * (CONFIG_VALUE + 1)
        done = run("ConfigTool", f"Camera.text={long}")
        assert (done.code, done.out) == (4, "")
        assert done.err.endswith("…: it has 65,537 bytes, and a value has at most 65,536.\n")
        assert len(done.err) < 400
        for words in (("-m", "w" * 5000), ("--comment", "w" * 5000)):
            done = run("ConfigTool", "set", "Camera.gain", "4", *words)
            assert (done.code, "has 5,000 bytes; at most 4,096 can be stored." in done.err) == (4, True)
        assert run("ConfigTool", "get", "Camera.gain").out == "3\n"


class TestTailLog:
    @pytest.fixture
    def long(self, embedded: Database) -> Database:
        log(embedded, "m" * 1_000_000, traceback="t" * 1_000_000)
        return embedded

    def test_a_line_is_cut(self, long: Database) -> None:
        for output in ("short", "iso"):
            done = run("TailLog", "-o", output)
            first, second = done.lines
            assert first.endswith("m… [983,656 bytes cut]")
            assert second.endswith("t… [983,656 bytes cut]")

    def test_all_of_it(self, long: Database) -> None:
        assert run("TailLog", "-o", "cat").out == "m" * 1_000_000 + "\n"
        assert "m" * 1_000_000 in run("TailLog", "-o", "verbose").out
        (reported,) = run("TailLog", "--json").objects
        assert (len(reported["message"]), len(reported["traceback"])) == (1_000_000, 1_000_000)


class TestSessions:
    @pytest.fixture
    def failed(self, embedded: Database) -> Database:
        sessions, client = Sessions(embedded, SYSTEM_CLOCK), Client("jane", "pc")
        sessions.start("Titan", client, "s-1")
        sessions.note("s-1", client, "n" * EVENT_DETAIL)
        sessions.end("s-1", client)
        claimed = sessions.claim(client, "b", 300)
        assert claimed is not None
        sessions.finish(claimed, "b", State.ERROR, "e" * LAST_ERROR, None)
        return embedded

    def test_show_and_trace(self, failed: Database) -> None:
        for command in ("show", "trace"):
            done = run("SessionTool", command, "s-1")
            assert re.search(r"n… \(65,5\d\d bytes\)", done.out)
            assert len(done.out) < 6000
        assert "e… (65,536 bytes)" in run("SessionTool", "show", "s-1").out
        assert "n" * EVENT_DETAIL in run("SessionTool", "show", "s-1", "--json").out

    def test_doctor_shows_the_beginning_and_size(self, failed: Database) -> None:
        done = run("Doctor")
        assert re.search(r"e…\s+\(65,536\s+bytes\)", done.out)
        assert len(done.out) < 20_000

    def test_a_note_that_is_too_long(self, failed: Database) -> None:
        done = run("SessionTool", "note", "s-1", "n" * (EVENT_DETAIL + 1))
        assert (done.code, done.out) == (4, "")
        assert done.err == "SessionTool: The note has 65,537 bytes; at most 65,536 can be stored.\n"
