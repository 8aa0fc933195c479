"""Where the log goes besides the database, by configuration (003-57, 004-14..19)."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.config import NamedConfiguration
from NexusCore.log import destinations as destinations_module
from tests.clocks import HandClock
from tests.mail import Mailbox, mail_server, silent_server
from tests.processes import LIMIT, app_on, ended, eventually, messages, rows, start

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (\w+): (.*) \[in test_log_destinations:\d+\]")
WHO = "facility@example.org"


@pytest.fixture
def cfg(app: App) -> NamedConfiguration:
    return app.get_config("Log")


def follow(app: App) -> None:
    """Wait until the callbacks of all changes so far have run."""
    called = threading.Event()
    cfg = app.get_config()
    cfg.add_callback("barrier", lambda parameter: called.set())
    cfg["barrier"] = (cfg["barrier"] or 0) + 1  # type: ignore[operator]
    assert called.wait(LIMIT)


def handlers(app: App) -> list[str]:
    return [type(one).__name__ for one in app.logs.root.handlers]


class TestStandardOutput:
    """004-14, 004-15: from a level on, in the format of Overwatch."""

    def test_while_the_program_runs(
        self, app: App, cfg: NamedConfiguration, capsys: pytest.CaptureFixture[str]
    ) -> None:
        log = app.get_log("MyModule")
        log.info("before")
        cfg["stdout"] = True
        follow(app)
        log.debug("not this")
        log.info("it is %d %%", 5)
        cfg["stdout_level"] = "DEBUG"
        follow(app)
        log.debug("this")
        cfg["stdout"] = False
        follow(app)
        log.error("after")
        lines = [LINE.fullmatch(line) for line in capsys.readouterr().out.splitlines()]
        assert [line and line.groups() for line in lines] == [("INFO", "it is 5 %"), ("DEBUG", "this")]

    def test_from_the_beginning(
        self, app: App, cfg: NamedConfiguration, other: App, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cfg["stdout"] = True
        other.get_config()
        other.get_log("MyModule").info("x")
        assert len(capsys.readouterr().out.splitlines()) == 1

    def test_setting_it_twice_doubles_no_line(
        self, app: App, cfg: NamedConfiguration, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for _ in range(3):
            cfg["stdout"] = True
            cfg.set("stdout_level", "INFO", comment="again", create=True)
            cfg.get("stdout_level").set_comment("changed")
            app.get_config("Log")
        follow(app)
        app.get_log("MyModule").info("x")
        assert len(capsys.readouterr().out.splitlines()) == 1

    def test_the_database_has_it_all_the_same(self, app: App, cfg: NamedConfiguration, database_url: str) -> None:
        cfg["stdout"] = True
        app.get_log("MyModule").info("x")
        app.shutdown(LIMIT)
        assert messages(database_url, "MyModule") == ["x"]

    def test_a_change_told_of_at_the_end_opens_none(self, app: App, cfg: NamedConfiguration) -> None:
        before = list(logging.getLogger("NexusCore").handlers)
        root = app.get_config()
        app.get_log("MyModule")
        root.add_callback("barrier", lambda parameter: app.stop_event.wait(LIMIT))
        root["barrier"] = 1
        cfg["stdout"] = True
        logs = app.logs
        app.shutdown(LIMIT)
        assert logs.root.handlers == [logs.handler]
        assert [one for one in logging.getLogger("NexusCore").handlers if one not in before] == []


class TestAFile:
    """004-16: a rotating file, 5 MB and ten of them unless told otherwise."""

    def test_in_a_folder_that_is_made(self, app: App, cfg: NamedConfiguration, tmp_path: Path) -> None:
        cfg["file"] = str(tmp_path / "exec/logs/{program}.log")
        follow(app)
        app.get_log("MyModule").debug("Größe \U0001f52c")
        (line,) = (tmp_path / "exec/logs/test.log").read_text("utf-8").splitlines()
        found = LINE.fullmatch(line)
        assert found is not None
        assert found.groups() == ("DEBUG", "Größe \U0001f52c")
        (handler,) = (one for one in app.logs.root.handlers if isinstance(one, logging.FileHandler))
        assert (handler.maxBytes, handler.backupCount) == (5_000_000, 10)  # type: ignore[attr-defined]

    def test_it_is_put_aside(self, app: App, cfg: NamedConfiguration, tmp_path: Path) -> None:
        with app.get_config().together() as group:
            group["Log.file"] = str(tmp_path / "n.log")
            group["Log.file_size"] = 10_000
            group["Log.file_count"] = 2
        follow(app)
        log = app.get_log("MyModule")
        for number in range(500):
            log.info("%d %s", number, "x" * 100)
        files = sorted(path.name for path in tmp_path.glob("n.log*"))
        assert files == ["n.log", "n.log.1", "n.log.2"]
        assert all(path.stat().st_size <= 10_000 for path in tmp_path.glob("n.log*"))

    def test_no_line_is_missed_or_doubled_while_settings_change(
        self, app: App, cfg: NamedConfiguration, tmp_path: Path
    ) -> None:
        cfg["file"] = str(tmp_path / "n.log")
        follow(app)
        done = threading.Event()

        def change() -> None:
            for number in range(30):
                cfg["file_count"] = number
                follow(app)
            done.set()

        changing = threading.Thread(target=change)
        changing.start()
        log, count = app.get_log("MyModule"), 0
        while not done.is_set():
            log.info("%d.", count)
            count += 1
        changing.join()
        lines = [LINE.fullmatch(line) for line in (tmp_path / "n.log").read_text("utf-8").splitlines()]
        assert [line and line[2] for line in lines] == [f"{number}." for number in range(count)]

    def test_one_that_cannot_be_made_stops_no_other(
        self, app: App, cfg: NamedConfiguration, tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").write_text("no folder")
        cfg["stdout"] = True
        cfg["file"] = str(tmp_path / "file/n.log")
        follow(app)
        app.get_log("MyModule").info("x")
        app.shutdown(LIMIT)
        assert messages(database_url, "MyModule") == ["x"]
        warnings = messages(database_url, "NexusCore.log")
        assert warnings
        assert all("A destination of the log cannot be used: Log.file, " in one for one in warnings)
        assert all("name another file: ConfigTool Log.file=" in one for one in warnings)
        assert "x [in" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("name", "value"),
        [("file_level", "LOUD"), ("stdout_level", "LOUD"), ("mail_level", "LOUD"), ("mail_host", "here:x")],
    )
    def test_settings_that_cannot_be_used_stop_no_other(
        self, app: App, cfg: NamedConfiguration, tmp_path: Path, database_url: str, name: str, value: str
    ) -> None:
        """004-21: each goes by settings of its own. No choices stand in the way of someone who sets them by hand."""
        with app.get_config().together() as group:
            group["Log.stdout"] = True
            group["Log.file"] = str(tmp_path / "n.log")
            group["Log.mail_host"] = "127.0.0.1:1"
            group["Log.mail_to"] = WHO
            group[f"Log.{name}"] = value
        follow(app)
        kinds = {"file": "LogFile", "stdo": "StreamHandler", "mail": "_Waiting"}
        assert set(handlers(app)) == {"JournalHandler", *kinds.values()} - {kinds[name[:4]]}
        app.shutdown(LIMIT)
        assert any("cannot be used" in one for one in messages(database_url, "NexusCore.log"))
        assert not [thread for thread in threading.enumerate() if thread.name == "log-mail"]


@pytest.fixture
def mail() -> Iterator[tuple[str, Mailbox]]:
    with mail_server() as found:
        yield found


def set_mail(app: App, host: str, **more: str | int) -> None:
    with app.get_config().together() as group:
        group["Log.mail_host"] = host
        group["Log.mail_to"] = WHO
        for name, value in more.items():
            group[f"Log.{name}"] = value
    follow(app)


class TestMail:
    """004-17..19: from WARNING on, if it is configured; a mail says where the message is from."""

    def test_what_it_says(self, app: App, mail: tuple[str, Mailbox]) -> None:
        """004-18."""
        host, mailbox = mail
        set_mail(app, host, mail_to="a@example.org, b@example.org", mail_from="core@example.org", mail_subject="Ärger")
        log = app.get_log("MyModule")
        log.info("not this")
        log.warning("the %s is low", "Größe")
        (sent,) = eventually(lambda: mailbox.mails)
        assert (sent["From"], sent["Subject"]) == ("core@example.org", "Ärger")
        assert mailbox.receivers == [["a@example.org", "b@example.org"]]
        text = sent.get_content().splitlines()
        assert text[0] == "Message type: WARNING"
        assert re.fullmatch(rf"Location: {re.escape(__file__)}:\d+", text[1])
        assert text[2:4] == ["Module: test_log_destinations", "Function: test_what_it_says"]
        assert re.match(r"Time: \d{4}-", text[4])
        assert text[5:] == ["", "the Größe is low"]

    def test_the_trace_of_an_exception(self, app: App, mail: tuple[str, Mailbox]) -> None:
        host, mailbox = mail
        set_mail(app, host)
        try:
            raise LookupError("no unicorn")
        except LookupError:
            app.get_log("MyModule").exception("It failed")
        (text,) = eventually(mailbox.texts)
        assert "It failed\nTraceback" in text.replace("\r", "")
        assert "LookupError: no unicorn" in text

    def test_not_without_server_and_receiver(self, app: App, mail: tuple[str, Mailbox]) -> None:
        """004-19."""
        set_mail(app, mail[0], mail_to="")
        assert "_Waiting" not in handlers(app)
        set_mail(app, "")
        assert "_Waiting" not in handlers(app)

    def test_what_the_core_and_libraries_say(self, app: App, mail: tuple[str, Mailbox]) -> None:
        """That the database is away is news that only mail can bring."""
        host, mailbox = mail
        set_mail(app, host)
        app.logs.route("some_library", logging.INFO)
        logging.getLogger("NexusCore.delivery").warning("the database is away")
        logging.getLogger("some_library.part").error("from a library")
        logging.getLogger("another_library").error("not ours")
        eventually(lambda: len(mailbox.mails) == 2)
        app.shutdown(LIMIT)
        found = [text.split("\n\n")[1].strip() for text in (one.replace("\r", "") for one in mailbox.texts())]
        assert found == ["the database is away", "from a library"]

    def test_only_so_many_an_hour(
        self, database_url: str, tmp_path: Path, clock: HandClock, mail: tuple[str, Mailbox]
    ) -> None:
        """What is held back is counted in the next one."""
        host, mailbox = mail
        app = app_on(database_url, tmp_path / "home", clock)
        set_mail(app, host, mail_per_hour=3, mail_subject="S")
        log = app.get_log("MyModule")
        for number in range(10):
            log.error("%d", number)
        eventually(lambda: len(mailbox.mails) == 3)
        waiting = next(one for one in app.logs.root.handlers if type(one).__name__ == "_Waiting")
        eventually(lambda: waiting.queue.empty())  # type: ignore[attr-defined]
        clock.advance(3601)
        log.error("later")
        eventually(lambda: len(mailbox.mails) == 4)
        app.shutdown(LIMIT)
        assert [text.split()[-1] for text in mailbox.texts()] == ["0", "1", "2", "later"]
        assert [mail["Subject"] for mail in mailbox.mails] == ["S"] * 3 + ["S (and 7 messages that were held back)"]

    def test_the_last_words_of_a_program_arrive(
        self, database_url: str, tmp_path: Path, mail: tuple[str, Mailbox]
    ) -> None:
        """What a program logs right before it ends is what one wants to be told of."""
        host, mailbox = mail
        program = """
import sys
from NexusCore import API
with API.get_config("Log").together() as group:
    group["mail_host"], group["mail_to"] = sys.argv[1], "a@example.org"
API.app()._redirect(API.get_config())
log = API.get_log("dying")
for number in range(5):
    log.error("%d", number)
if sys.argv[2] == "shutdown":
    API.shutdown()
"""
        for how in ("shutdown", "return"):
            ended(start(program, host, how, main=database_url, home=tmp_path / "home"))
        assert [text.split()[-1] for text in mailbox.texts()] == [str(n) for n in range(5)] * 2


class TestAMailServerThatIsDown:
    """It never holds up a log call, other destinations or the end of the program."""

    def test_an_outage_is_reported_once(self, app: App, database_url: str, capfd: pytest.CaptureFixture[str]) -> None:
        set_mail(app, "127.0.0.1:1")
        log = app.get_log("MyModule")
        for number in range(10):
            log.error("%d", number)
        eventually(lambda: "mail cannot be sent" in capfd.readouterr().err)
        app.shutdown(LIMIT)
        assert messages(database_url, "MyModule") == [str(n) for n in range(10)]
        assert "mail cannot be sent" not in capfd.readouterr().err, "once is enough"

    def test_one_that_never_answers(self, app: App, database_url: str) -> None:
        with silent_server() as host:
            set_mail(app, host)
            log = app.get_log("MyModule")
            count = 3 * destinations_module.WAITING_MAILS
            for number in range(count):
                log.error("%d", number)
            cfg = app.get_config("Log")
            cfg["mail_subject"] = "changed while mail waits"
            follow(app)
            log.error("last")
            assert app.shutdown(2).dropped == 0
        found = messages(database_url, "MyModule")
        assert found == [*(str(n) for n in range(count)), "last"][: len(found)]
        with app.database().reading() as reading:
            assert reading.one("SELECT COUNT(*) FROM log_record WHERE message LIKE '%callback%failed%'") == (0,)

    def test_a_program_ends(self, database_url: str, tmp_path: Path) -> None:
        program = """
import sys
from NexusCore import API
with API.get_config("Log").together() as group:
    group["mail_host"], group["mail_to"] = sys.argv[1], "a@example.org"
API.app()._redirect(API.get_config())
log = API.get_log("dying")
for number in range(500):
    log.error("%d", number)
if sys.argv[2] == "shutdown":
    API.shutdown()
"""
        with silent_server() as host:
            for how in ("shutdown", "return"):
                ended(start(program, host, how, main=database_url, home=tmp_path / "home"))
        assert len(messages(database_url, "dying")) == 1000


class TestRouting:
    """Libraries' own loggers can be routed in; each record comes once."""

    def test_one_within_another(self, app: App, database_url: str) -> None:
        app.logs.route("some_library", logging.INFO)
        app.logs.route("some_library.part", logging.DEBUG)
        app.logs.route("some_library")
        logging.getLogger("some_library.part").debug("fine")
        logging.getLogger("some_library").info("coarse")
        app.shutdown(LIMIT)
        assert rows(database_url, "SELECT logger, message FROM log_record ORDER BY id") == [
            ("some_library.part", "fine"), ("some_library", "coarse"),
        ]  # fmt: skip
        logging.getLogger("some_library").setLevel(logging.NOTSET)
        logging.getLogger("some_library.part").setLevel(logging.NOTSET)

    def test_they_are_given_back(self, app: App) -> None:
        before = logging.getLogger("NexusCore").handlers.copy()
        app.logs.route("some_library")
        assert logging.getLogger("NexusCore").handlers != before
        app.shutdown(LIMIT)
        assert logging.getLogger("some_library").handlers == []
        assert logging.getLogger("NexusCore").handlers == before

    def test_what_the_core_says_while_no_logger_was_asked_for(self, database_url: str, tmp_path: Path) -> None:
        """A program reads its configuration first; what the core has to say then is in the log, too."""
        program = """
from NexusCore import API
cfg = API.get_config()
def broken(parameter):
    raise LookupError("broken callback")
cfg.add_callback("x", broken)
cfg["x"] = 1
API.shutdown(60)
"""
        process = start(program, main=database_url, home=tmp_path / "home")
        out, err = process.communicate(timeout=LIMIT)
        assert (process.returncode, out, err) == (0, b"", b"")
        found = rows(database_url, "SELECT logger FROM log_record WHERE traceback LIKE '%broken callback%'")
        assert found == [("NexusCore.callbacks",)]
