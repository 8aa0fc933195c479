"""Logs: what a log call leaves in the database, and how it is found again (003-54..60), on both databases."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.log import LogRecord, in_session
from NexusCore.log.store import LogFilter, loggers, modules, newest
from NexusCore.sizes import LOG_TEXT, truncate
from NexusCore.storage import open_database
from tests.processes import LIMIT, app_on, rows

THIS = Path(__file__).stem


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[App]:
    app = app_on(database_url, tmp_path / "home")
    yield app
    app.shutdown(LIMIT)


@pytest.fixture
def stored(app: App, database_url: str) -> Callable[..., list[LogRecord]]:
    """Deliver what was logged; return it, without what the core logged itself."""

    def stored(wanted: LogFilter | None = None, count: int = 1000) -> list[LogRecord]:
        report = app.shutdown(LIMIT)
        assert (report.left, report.dropped) == (0, 0)
        return newest(open_database(database_url), wanted or LogFilter(), count)

    return stored


Stored = Callable[..., list[LogRecord]]


class TestWhatIsCollected:
    """Time, level, logger, file, line, function, host, process, thread, session (003-10, 56, 59)."""

    def test_all_of_it(self, app: App, stored: Stored) -> None:
        """003-12: the time is that of this machine's clock."""
        log = app.get_log("MyModule")
        before = app.clock.now()
        log.warning("low on %s: %d %%", "helium", 5)
        line = _line() - 1
        (record,) = stored()
        assert before - 1000 <= record.ts <= app.clock.now()
        assert (record.level, record.logger, record.message) == (logging.WARNING, "MyModule", "low on helium: 5 %")
        assert (record.module, record.line, record.function) == (THIS, line, "test_all_of_it")
        assert (record.host, record.pid) == (socket.gethostname(), os.getpid())
        assert (record.thread, record.traceback, record.session) == ("MainThread", None, None)

    def test_each_level_is_stored_as_its_number(self, app: App, stored: Stored) -> None:
        """003-54."""
        log = app.get_log("MyModule")
        for level in ("debug", "info", "warning", "error", "fatal"):
            getattr(log, level)(level)
        assert [record.level for record in stored()] == [10, 20, 30, 40, 50]

    def test_the_trace_of_an_exception(self, app: App, stored: Stored) -> None:
        """003-55: without passing the exception."""
        try:
            raise LookupError("no ünicorn") from ValueError("the cause")
        except LookupError:
            app.get_log("MyModule").exception("It failed")
        (record,) = stored()
        assert (record.message, record.level) == ("It failed", logging.ERROR)
        assert record.traceback is not None
        assert record.traceback.endswith("LookupError: no ünicorn")
        assert "ValueError: the cause" in record.traceback
        assert f'{Path(__file__).name}", line' in record.traceback

    def test_a_requested_stack_is_stored(self, app: App, stored: Stored) -> None:
        app.get_log("MyModule").info("where", stack_info=True)
        (record,) = stored()
        assert record.traceback is not None
        assert "test_a_requested_stack_is_stored" in record.traceback

    def test_the_level_of_the_stack(self, app: App, stored: Stored) -> None:
        """A wrapper of the program's own can name its caller."""
        log = app.get_log("MyModule")

        def wrapper() -> None:
            log.info("wrapped", stacklevel=2)

        wrapper()
        line = _line() - 1
        (record,) = stored()
        assert (record.line, record.function) == (line, "test_the_level_of_the_stack")

    def test_the_session_is_that_of_the_thread(self, app: App, stored: Stored) -> None:
        log = app.get_log("Builder")
        with in_session("s-1"):
            log.info("inside")
            thread = threading.Thread(target=log.info, args=("another thread",), name="helper")
            thread.start()
            thread.join()
        log.info("outside")
        records = stored()
        assert [(r.message, r.session) for r in records] == [
            ("inside", "s-1"), ("another thread", None), ("outside", None),
        ]  # fmt: skip
        assert records[1].thread == "helper"

    def test_records_of_libraries(self, app: App, stored: Stored) -> None:
        app.logs.route("some_library", logging.INFO)
        logging.getLogger("some_library.part").info("from a library")
        logging.getLogger("another_library").error("not ours")
        assert [record.logger for record in stored()] == ["some_library.part"]

    def test_nothing_global_is_changed(self, app: App) -> None:
        app.get_log("MyModule").info("x")
        assert logging.getLoggerClass() is logging.Logger
        assert "MyModule" not in logging.Logger.manager.loggerDict


class TestAPrefix:
    """A text, or what a function returns, goes before each message, whatever is in it."""

    def test_a_percent_sign(self, app: App, stored: Stored) -> None:
        log = app.get_log("MyModule", "[100 %s] ")
        log.info("no arguments: 5 %")
        log.info("one: %s", "a")
        log.info("by name: %(x)d", {"x": 5})
        expected = ["no arguments: 5 %", "one: a", "by name: 5"]
        assert [record.message for record in stored()] == [f"[100 %s] {text}" for text in expected]

    def test_a_function_is_called_for_each_message(self, app: App, stored: Stored) -> None:
        names = iter("ab")
        log = app.get_log("MyModule", lambda: f"[{next(names)}] ")
        for _ in range(3):
            log.info("x")
        records = stored()
        assert [record.message for record in records] == ["[a] x", "[b] x", "x"]
        assert records[2].traceback is not None
        assert "StopIteration" in records[2].traceback
        assert {record.function for record in records} == {"test_a_function_is_called_for_each_message"}

    def test_level_and_handlers_are_those_of_the_name(self, app: App, stored: Stored) -> None:
        """003-57: a file of the program's own gets what goes through the prefixed logger, too."""
        plain, prefixed = app.get_log("MyModule"), app.get_log("MyModule", "> ")
        seen: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
        plain.addHandler(handler)
        prefixed.debug("one")
        plain.setLevel(logging.INFO)
        prefixed.debug("not this")
        prefixed.info("two")
        assert seen == ["> one", "> two"]
        assert [record.message for record in stored()] == ["> one", "> two"]


class Unprintable:
    """What it is cannot be said."""

    def __str__(self) -> str:
        raise LookupError("no text")

    __repr__ = __str__


class TestNothingRaisesOutOfALogCall:
    """Whatever is logged, the call returns, something is stored, and its neighbours are too."""

    @pytest.mark.parametrize(
        "call",
        [
            lambda log: log.info("%d %d", 1),
            lambda log: log.info("%d", "text"),
            lambda log: log.info("no placeholder", 1),
            lambda log: log.info("%(x)s", {"y": 1}),
            lambda log: log.info("%s", Unprintable()),
            lambda log: log.info(Unprintable()),
            lambda log: log.info(Unprintable(), 5),
            lambda log: log.info(None),
            lambda log: log.info(b"\xff\x00"),
            lambda log: log.info({"a": [1]}),
            lambda log: log.error("x", exc_info=LookupError(Unprintable())),
            lambda log: log.error("x", exc_info=(1, 2, 3)),
            lambda log: log.exception("no exception"),
            lambda log: log.log(2**70, "level"),
            lambda log: log.log(-(2**70), "not logged") or log.info("x"),
        ],
    )
    def test_odd_calls_are_stored(self, app: App, stored: Stored, call: Callable[[logging.Logger], object]) -> None:
        log = app.get_log("MyModule")
        log.info("before")
        call(log)
        call(app.get_log("MyModule", "> "))
        log.info("after")
        records = stored()
        assert [records[0].message, records[-1].message, len(records)] == ["before", "after", 4]
        assert all(record.message for record in records)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("half \udc80 a character", "half \\udc80 a character"),
            ("\x00 in the middle \x00", "\x00 in the middle \x00"),
            ("\U0001f52c \U0010ffff ŵ ﷽", "\U0001f52c \U0010ffff ŵ ﷽"),
            ('it\'s "quoted" \\ %s %(x)s :name ? -- ;', 'it\'s "quoted" \\ %s %(x)s :name ? -- ;'),
            ("ends in spaces  \n", "ends in spaces  \n"),
            ("", ""),
            ("long " * 400_000, truncate("long " * 400_000, LOG_TEXT)),
            ("\U0001f52c" * (LOG_TEXT // 4), "\U0001f52c" * (LOG_TEXT // 4)),
        ],
        ids=["surrogate", "nul", "4 bytes", "quotes", "spaces", "empty", "2 MB", "4 MB"],
    )
    def test_odd_texts_are_stored_escaped_or_cut(self, app: App, stored: Stored, text: str, expected: str) -> None:
        log = app.get_log("MyModule")
        log.info("before")
        log.info("%s", text)
        log.info("after")
        assert [record.message for record in stored()] == ["before", expected, "after"]

    def test_long_names_are_cut_and_odd_ones_escaped(self, app: App, stored: Stored) -> None:
        with in_session("s" * 1000):
            app.get_log("n" * 1000).info("x")
            app.get_log("\udc80").info("x")
        records = stored()
        assert [(r.logger, r.session) for r in records] == [("n" * 128, "s" * 255), ("\\udc80", "s" * 255)]

    def test_the_newest_python_always_takes_the_handlers_lock(
        self, app: App, stored: Stored, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Since Python 3.13 `logging.Handler.handle` uses the lock without asking whether there is one."""

        def handle(self: logging.Handler, record: logging.LogRecord) -> bool:
            with self.lock:  # type: ignore[union-attr]
                self.emit(record)
            return True

        monkeypatch.setattr(logging.Handler, "handle", handle)
        app.get_log("MyModule").info("x")
        assert len(stored()) == 1


class TestFilters:
    """By logger, module, session, level and free keywords, all as they stand (003-60)."""

    TEXTS = ("plain", "it's 100% sure", "100 percent", "a_b", "aXb", "ÄRGER", "ein Ärger", "50! off", "%", "tail\\")

    @pytest.fixture
    def some(self, app: App, stored: Stored) -> Stored:
        for text in self.TEXTS:
            app.get_log("Words").info("%s", text)
        app.get_log("Other").error("plain")
        with in_session("s'1"):
            app.get_log("Other's").debug("plain")
        return stored

    @pytest.mark.parametrize(
        ("keywords", "expected"),
        [
            ((), TEXTS),
            (("PLAIN",), ("plain",)),
            (("it's",), ("it's 100% sure",)),
            (("100%",), ("it's 100% sure",)),
            (("%",), ("it's 100% sure", "%")),
            (("a_b",), ("a_b",)),
            (("!",), ("50! off",)),
            (("\\",), ("tail\\",)),
            (("100", "sure"), ("it's 100% sure",)),
            (("sure", "plain"), ()),
            (("'; DROP TABLE log_record; --",), ()),
        ],
    )
    def test_keywords_match_as_typed(self, some: Stored, keywords: tuple[str, ...], expected: tuple[str, ...]) -> None:
        found = some(LogFilter(loggers=("Words",), keywords=keywords))
        assert [record.message for record in found] == list(expected)

    def test_keywords_beyond_ascii(self, some: Stored) -> None:
        """Upper and lower case are one there, too."""
        found = some(LogFilter(loggers=("Words",), keywords=("ärger",)))
        assert [record.message for record in found] == ["ÄRGER", "ein Ärger"]

    def test_loggers_modules_sessions_and_levels_select(self, some: Stored, database_url: str) -> None:
        assert [r.logger for r in some(LogFilter(loggers=("Other", "Other's")))] == ["Other", "Other's"]
        assert [r.logger for r in some(LogFilter(session="s'1"))] == ["Other's"]
        assert [r.logger for r in some(LogFilter(level=logging.ERROR))] == ["Other"]
        assert len(some(LogFilter(modules=(THIS,)))) == len(self.TEXTS) + 2
        assert some(LogFilter(modules=("nowhere",))) == []
        assert loggers(open_database(database_url)) == ["Other", "Other's", "Words"]
        assert modules(open_database(database_url)) == [THIS]

    def test_the_filter_comes_before_the_count(self, some: Stored) -> None:
        assert [r.message for r in some(LogFilter(keywords=("100",)), 1)] == ["100 percent"]


class TestTheReadableView:
    """`log_view` shows times to someone with an SQL client."""

    def test_times_are_readable_utc(self, app: App, stored: Stored, database_url: str) -> None:
        app.get_log("MyModule").info("x")
        (record,) = stored()
        ((time,),) = rows(database_url, "SELECT time_utc FROM log_view")
        from NexusCore.clock import to_datetime

        shown = time if isinstance(time, str) else time.isoformat(" ", "microseconds")
        assert shown == to_datetime(record.ts).strftime("%Y-%m-%d %H:%M:%S.%f")


def _line() -> int:
    """Return the line this is called in."""
    import sys

    return sys._getframe(1).f_lineno
