"""The short way of a log call into the journal gives what the full way gives; it is taken where nobody looks on."""

from __future__ import annotations

import contextlib
import functools
import logging
import logging.handlers
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from NexusCore import identity
from NexusCore.log.handler import Logs
from NexusCore.log.logger import Log, PrefixedLog
from NexusCore.log.record import in_session

METHODS = ("debug", "info", "warning", "error", "critical", "exception", "log")


class Rows:
    """The loggers of a process whose journal is a list."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.made: list[logging.LogRecord] = []
        self.logs = Logs(self.payloads.append)
        emit = self.logs.handler.emit

        def note(record: logging.LogRecord) -> None:
            self.made.append(record)
            emit(record)

        self.logs.handler.emit = note  # type: ignore[method-assign]  a look at which way was taken

    def take(self) -> list[tuple[object, ...]]:
        """Return the fields of what was logged, without their times, and forget it."""
        found = [tuple(msgspec.msgpack.decode(payload)[1:]) for payload in self.payloads]
        self.payloads.clear()
        return found

    def short(self) -> bool:
        """Return whether what was logged last went the short way."""
        short = not self.made
        self.made.clear()
        return short


@pytest.fixture
def rows() -> Iterator[Rows]:
    one = Rows()
    yield one
    one.logs.close()


class Awkward:
    """An argument that cannot be shown while it is logged; the test itself can show it."""

    reported = False

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        if self.reported:
            raise RuntimeError("no text either")
        return "Awkward()"


class Text(str):
    """A message of a kind of its own."""

    def __str__(self) -> str:
        return "as it likes"


class Named(Mapping[str, object]):
    """Named arguments that are no dictionary."""

    def __getitem__(self, key: str) -> object:
        return f"value of {key}"

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


texts = st.text(st.characters(categories=None), max_size=20) | st.sampled_from(
    [
        "\ud800",
        "a\0b",
        "\x1b[31m",
        "🔬",
        "",
        "50 %",
        "%",
        "%%",
        "%d",
        "%s and %s",
        "%(a)s",
        "%(a)s %s",
        "%*d",
        "%n",
        "%.3f",
    ]
)
arguments = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    st.binary(max_size=5),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(), max_size=2),
    st.lists(st.integers(), max_size=2),
    st.builds(Awkward),
    st.builds(Named),
)
messages = st.one_of(texts, st.builds(Text, texts), st.integers(), st.builds(Awkward), st.just("x" * 300_000))
levels = st.sampled_from([0, 1, 10, 15, 20, 30, 40, 50, 60, 2**31, 2**70, -5, True])


def failing() -> str:
    raise ValueError("no prefix")


prefixes = st.one_of(
    st.none(), texts, st.just(lambda: "called %: "), st.just(failing), texts.map(lambda one: lambda: one)
)
options = st.fixed_dictionaries(
    {},
    optional={
        "stacklevel": st.integers(1, 5),
        "stack_info": st.just(False),
        "exc_info": st.sampled_from([False, None, True, ValueError("given")]),
        "extra": st.sampled_from([None, {"custom": 1}]),
    },
)


def call(log: Log, method: str, level: int, message: object, args: tuple[object, ...], kwargs: dict[str, Any]) -> None:
    if method == "log":
        log.log(level, message, *args, **kwargs)
    else:
        getattr(log, method)(message, *args, **kwargs)


def through(depth: int, function: Callable[[], None]) -> None:
    """Call from some levels further down, for `stacklevel` to tell apart."""
    if depth:
        through(depth - 1, function)
    else:
        function()


class TestBothWays:
    """Whatever is logged, however, both ways' rows are equal."""

    @settings(max_examples=600, deadline=None)
    @given(
        st.sampled_from(METHODS),
        levels,
        messages,
        st.lists(arguments, max_size=3).map(tuple),
        options,
        prefixes,
        st.integers(0, 2),
        st.booleans(),
    )
    def test_any_call_gives_equal_rows(
        self,
        method: str,
        level: int,
        message: object,
        args: tuple[object, ...],
        kwargs: dict[str, Any],
        prefix: Any,
        depth: int,
        in_handler: bool,
    ) -> None:
        rows = Rows()
        found = []
        for way in ("short", "full"):
            log = rows.logs.get("a.b", prefix)
            if way == "full":
                log.way = None
            with in_session("session-1"), contextlib.suppress(KeyError), pytest.MonkeyPatch.context() as patch:
                patch.setattr(Awkward, "reported", True)
                if in_handler:
                    try:
                        raise KeyError("handled")
                    except KeyError:
                        through(depth, lambda log=log: call(log, method, level, message, args, dict(kwargs)))
                else:
                    through(depth, lambda log=log: call(log, method, level, message, args, dict(kwargs)))
            found.append(rows.take())
        rows.logs.close()
        assert found[0] == found[1]
        assert len(found[0]) == (method != "log" or level >= logging.DEBUG)

    def test_the_caller_is_the_calling_code(self, rows: Rows) -> None:
        log = rows.logs.get("x")
        log.info("here")
        line = sys._getframe().f_lineno - 1
        ((_, name, module, lineno, function, *_),) = rows.take()
        assert (name, module, lineno, function) == ("x", "test_log_ways", line, "test_the_caller_is_the_calling_code")
        assert rows.short()

    def test_an_adapter_is_not_the_caller(self, rows: Rows) -> None:
        log = rows.logs.get("x")
        logging.LoggerAdapter(log, {"user": "someone"}).info("adapted")
        log.info("one frame up", stacklevel=2)
        adapted, above = rows.take()
        assert adapted[2:5:2] == ("test_log_ways", "test_an_adapter_is_not_the_caller")
        assert above[4] != "test_an_adapter_is_not_the_caller"

    def test_callers_that_are_no_code_of_a_program(self, rows: Rows) -> None:
        """An adapter, `warn`, another thread's function, code made at run time, a call that no Python code makes."""
        log = rows.logs.get("x")
        ways: list[Callable[[], object]] = [
            lambda: logging.LoggerAdapter(log, {}).info("adapted"),
            lambda: exec(compile("log.info('made %d', 1)", "<made>", "exec"), {"log": log}),
            lambda: list(map(log.info, ["by map"])),
            lambda: functools.partial(log.warning, "partial")(),
            lambda: run_in_thread(log.info, "thread"),
        ]
        for one in ways:
            found = []
            for way in (log.way, None):
                log.way = way
                one()
                found.append(rows.take())
                log.way = rows.logs.get("x").way
            assert found[0] == found[1]
            assert len(found[0]) == 1


def run_in_thread(function: Callable[..., None], *args: object) -> None:
    thread = threading.Thread(target=function, args=args, name="worker")
    thread.start()
    thread.join(10)


class Subclass(Log):
    """A logger of a program's own."""


class TestOnlyWhereNobodyLooksOn:
    """Whatever else may see or change the record gets it."""

    def test_it_is_short_otherwise(self, rows: Rows) -> None:
        rows.logs.get("x").info("message %d", 1)
        rows.logs.get("a.b.c", "prefix: ").warning("message")
        assert rows.short()

    def test_a_further_handler(self, rows: Rows) -> None:
        for name in ("", "a", "a.b"):
            seen: list[logging.LogRecord] = []
            handler = Seeing(seen)
            holder = rows.logs.get(name) if name else rows.logs.root
            holder.addHandler(handler)
            rows.logs.get("a.b").info("message")
            assert not rows.short()
            assert [record.getMessage() for record in seen] == ["message"]
            holder.removeHandler(handler)
        rows.logs.get("a.b").info("message")
        assert rows.short()

    def test_a_filter_sees_and_changes_the_record(self, rows: Rows) -> None:
        def censor(record: logging.LogRecord) -> bool:
            record.msg = "changed"
            return True

        for holder in (rows.logs.get("x"), rows.logs.handler):
            holder.addFilter(censor)
            rows.logs.get("x").info("message")
            assert not rows.short()
            assert rows.take()[0][8] == "changed"
            holder.removeFilter(censor)

    def test_a_record_factory(self, rows: Rows) -> None:
        def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
            record = logging.LogRecord(*args, **kwargs)
            record.threadName = "named by the factory"
            return record

        logging.setLogRecordFactory(factory)
        try:
            rows.logs.get("x").info("message")
        finally:
            logging.setLogRecordFactory(logging.LogRecord)
        assert rows.take()[0][7] == "named by the factory"

    @pytest.mark.parametrize("switch", ["logThreads", "logProcesses", "_srcfile"])
    def test_settings_of_logging(self, rows: Rows, monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
        monkeypatch.setattr(logging, switch, None)
        rows.logs.get("x").info("message")
        assert not rows.short()

    def test_levels_and_disabling_are_respected(self, rows: Rows) -> None:
        log = rows.logs.get("x")
        rows.logs.handler.setLevel(30)
        log.info("below that of the handler")
        rows.logs.handler.setLevel(0)
        log.setLevel(30)
        log.info("below that of the logger")
        rows.logs.root.manager.disable = 40
        log.warning("disabled")
        rows.logs.root.manager.disable = 0
        log.disabled = True
        log.critical("disabled")
        assert rows.take() == []

    @pytest.mark.parametrize("own_level", [0, 10])
    @pytest.mark.parametrize("prefix", [None, "prefix: "])
    def test_what_the_standard_library_disables(self, rows: Rows, prefix: str | None, own_level: int) -> None:
        """`logging.disable` holds for the program's loggers, whoever made them, and until it is taken back."""
        log = rows.logs.get("x", prefix)
        log.setLevel(own_level)
        log.warning("before")
        logging.disable(logging.WARNING)
        try:
            assert not log.isEnabledFor(logging.WARNING)
            log.warning("disabled")
            log.log(logging.INFO, "disabled", extra={"the": "full way"})
            log.error("above it")
        finally:
            logging.disable(logging.NOTSET)
        log.warning("behind")
        assert [str(row[8]).removeprefix("prefix: ") for row in rows.take()] == ["before", "above it", "behind"]

    def test_a_prefixed_logger_with_a_level_of_its_own(self, rows: Rows) -> None:
        log = rows.logs.get("x", "prefix: ")
        log.setLevel(logging.ERROR)
        log.warning("below it")
        log.setLevel(logging.DEBUG)
        log.debug("above it")
        assert [row[8] for row in rows.take()] == ["prefix: above it"]

    def test_a_logger_that_does_not_propagate(self, rows: Rows) -> None:
        log = rows.logs.get("x")
        log.propagate = False
        log.info("message")
        assert rows.take() == []

    def test_a_subclass_takes_the_full_way(self, rows: Rows) -> None:
        log = Subclass("mine")
        log.parent, log.way = rows.logs.root, rows.logs.get("x").way
        log.info("message")
        assert not rows.short()
        assert rows.take()[0][8] == "message"

    def test_one_made_by_hand(self, rows: Rows) -> None:
        log = Log("by hand")
        log.parent = rows.logs.root
        log.info("message %d", 1)
        assert rows.take()[0][8] == "message 1"

    def test_methods_that_are_not_the_short_ways(self, rows: Rows) -> None:
        log = rows.logs.get("x")
        try:
            raise ValueError("wrong")
        except ValueError:
            log.exception("failed")
        log.info("where", stack_info=True)
        failed, where = rows.take()
        assert "ValueError: wrong" in str(failed[9])
        assert "Stack (most recent call last)" in str(where[9])
        assert failed[4] == where[4] == "test_methods_that_are_not_the_short_ways"
        with pytest.raises(TypeError):
            log.log("INFO", "a level by name")  # type: ignore[arg-type]

    def test_a_record_made_by_hand(self, rows: Rows) -> None:
        rows.logs.get("x").handle(logging.makeLogRecord({"msg": "made", "levelno": 20}))
        assert rows.take() == [(20, "", "", 0, "", identity.host(), os.getpid(), "MainThread", "made", None, None)]

    def test_a_prefix_by_another_thread(self, rows: Rows) -> None:
        log = rows.logs.get("x", "100 %: ")
        assert isinstance(log, PrefixedLog)
        run_in_thread(log.info, "%d of 2", 1)
        assert rows.take()[0][7:9] == ("worker", "100 %: 1 of 2")


class Seeing(logging.Handler):
    """Keeps what it sees."""

    def __init__(self, seen: list[logging.LogRecord]) -> None:
        super().__init__()
        self.seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.seen.append(record)
