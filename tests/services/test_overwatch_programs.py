"""Overwatch's functions for programs: log, database, arrays and signals of `Services.Intake.overwatch`."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from NexusCore import API
from NexusCore.config import NamedConfiguration
from NexusCore.errors import BadDatabaseURL, ConfigException, NoDatabaseFile, SchemaMissing, WrongArgument
from NexusCore.facility.web_users import PasswordRefused
from Services.Intake import overwatch
from Services.Intake.logger_outputs import close_all
from tests.mail import Mailbox, mail_server, silent_server
from tests.processes import eventually, line_of, rows, start

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (\w+): (.*) \[in \w+:\d+\]")
STDOUT, MAILER = "Added stdout streaming handler to logging!", "Added mailer handler to logging!"


@pytest.fixture
def url(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Have the process use a database, and a working directory, of its own."""
    monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    API.reset()
    yield sqlite_url
    API.reset()


@pytest.fixture
def config(url: str) -> NamedConfiguration:
    return API.get_config()


class TestSetupLogging:
    """004-14..21: standard output, and by configuration a file that rotates and mail."""

    @pytest.fixture
    def logger(self, request: pytest.FixtureRequest) -> Iterator[logging.Logger]:
        logger = logging.getLogger(f"overwatch.{request.node.name}")
        yield logger
        close_all()

    @pytest.fixture
    def mail(self, config: NamedConfiguration) -> Iterator[Mailbox]:
        with mail_server() as (host, mailbox):
            config["Log.mail_host"] = host
            config["Log.mail_to"] = "a@b, c@d"
            config["Log.mail_from"] = "error@example.org"
            config["Log.mail_subject"] = "OVERWATCH Failed"
            yield mailbox

    def lines(self, capsys: pytest.CaptureFixture[str]) -> list[tuple[str, ...]]:
        found = [LINE.fullmatch(line) for line in capsys.readouterr().out.splitlines()]
        return [match.groups() if match else () for match in found]

    @pytest.mark.parametrize("debug", [True, False])
    def test_the_standard_output(
        self, config: NamedConfiguration, logger: logging.Logger, debug: bool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """004-14..16, 004-20: a level, a format, a folder, and no file by itself."""
        assert overwatch.setupLogging(logger, logging.INFO, debug) is None  # type: ignore[func-returns-value]
        logger.debug("not this")
        logger.warning("it is %d %%", 5)
        assert self.lines(capsys) == [("INFO", STDOUT), ("WARNING", "it is 5 %")]
        assert logger.level == logging.INFO
        assert [(type(one), one.level) for one in logger.handlers] == [(logging.StreamHandler, logging.INFO)]
        assert Path("exec/logs").is_dir()
        assert list(Path("exec/logs").iterdir()) == []

    def test_set_up_twice(
        self, config: NamedConfiguration, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """004-15: no line is doubled; the last level holds; handlers of others stay."""
        own = logging.NullHandler()
        logger.addHandler(own)
        overwatch.setupLogging(logger, logging.INFO, debug=True)
        overwatch.setupLogging(logger, logging.WARNING, debug=True)
        logger.info("not this")
        logger.warning("once")
        assert self.lines(capsys) == [("INFO", STDOUT), ("WARNING", "once")]
        assert own in logger.handlers

    def test_a_file_and_mail(
        self,
        config: NamedConfiguration,
        mail: Mailbox,
        logger: logging.Logger,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """004-16..20: by configuration; mail for warnings and above, and it says where it is from."""
        config["Log.file"] = str(tmp_path / "{program}.log")
        overwatch.setupLogging(logger, logging.INFO, debug=False)
        assert self.lines(capsys) == [("INFO", STDOUT), ("INFO", MAILER)]
        (file,) = (one for one in logger.handlers if isinstance(one, logging.FileHandler))
        assert (file.maxBytes, file.backupCount) == (5_000_000, 10)  # type: ignore[attr-defined]
        logger.info("not by mail")
        logger.warning("low")
        (sent,) = eventually(lambda: mail.mails)
        assert (sent["From"], sent["Subject"]) == ("error@example.org", "OVERWATCH Failed")
        assert mail.receivers == [["a@b", "c@d"]]
        text = sent.get_content().splitlines()
        assert text[0] == "Message type: WARNING"
        assert re.fullmatch(rf"Location: {re.escape(__file__)}:\d+", text[1])
        assert text[2:4] == ["Module: test_overwatch_programs", "Function: test_a_file_and_mail"]
        assert text[5:] == ["", "low"]
        assert "WARNING: low" in (tmp_path / f"{logger.name}.log").read_text()

    def test_debug_is_the_console_alone(
        self, config: NamedConfiguration, mail: Mailbox, logger: logging.Logger, tmp_path: Path
    ) -> None:
        """004-19, 004-21."""
        config["Log.file"] = str(tmp_path / "n.log")
        overwatch.setupLogging(logger, logging.INFO, debug=True)
        logger.error("low")
        assert [type(one) for one in logger.handlers] == [logging.StreamHandler]
        path = tmp_path / "n.log"  # the process's own log may write there
        assert not path.exists() or "low" not in path.read_text()
        assert mail.mails == []

    def test_no_mail_without_receivers(
        self, config: NamedConfiguration, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """004-19."""
        config["Log.mail_host"] = "127.0.0.1:1"
        overwatch.setupLogging(logger, logging.INFO, debug=False)
        assert self.lines(capsys) == [("INFO", STDOUT)]

    def test_a_mail_server_that_never_answers(self, url: str, tmp_path: Path) -> None:
        """004-17: neither the loop nor the end of the program waits for it."""
        program = """
import logging, sys
from NexusCore import API
from Services.Intake import overwatch
with API.get_config("Log").together() as group:
    group["mail_host"], group["mail_to"] = sys.argv[1], "a@example.org"
logger = logging.getLogger("loop")
overwatch.setupLogging(logger, logging.INFO, False)
for number in range(500):
    logger.error("%d", number)
print("the loop has ended", flush=True)
"""
        with silent_server() as host:
            process = start(program, host, main=url, home=tmp_path / "home")
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
        assert out.decode().splitlines()[-1] == "the loop has ended"
        assert out.count(b"ERROR: ") == 500


class TestDatabase:
    """004-37..42: the project's own database, by URL; users and key are in tables of their own."""

    def configure(self, config: NamedConfiguration, key: str = "", **passwords: str) -> None:
        for name, password in passwords.items():
            config.set(f"Web.users.{name}", password, secret=True, create=True)
        if key:
            config.set("Web.signing_key", key, secret=True, create=True)

    def test_users_and_key(
        self, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """004-37..40, 004-42: what was stored is there for whoever opens the database next."""
        monkeypatch.setenv("NEXUSCORE_DATABASE", database_url)
        API.reset()
        self.configure(API.get_config(), "the key", ada="correct horse", ben="battery staple")
        root, connection = overwatch.getDB(database_url)
        assert dict(root) == {}
        with caplog.at_level(logging.INFO, "Services.Intake"):
            assert overwatch.updateDBSensitiveParameters(root) is None  # type: ignore[func-returns-value]
        assert [(record.levelname, record.message) for record in caplog.records] == [
            ("WARNING", "Needed to create the config!"),
            ("INFO", "Created the users dict!"),
            ("INFO", "Adding user ada"),
            ("INFO", "Adding user ben"),
            ("INFO", "Adding secret key to db!"),
        ]
        connection.close()
        again, connection = overwatch.getDB(database_url)
        assert list(again) == ["config"]
        assert again["config"]["secretKey"] == "the key"
        assert set(again["config"]["users"]) == {"ada", "ben"}
        assert again.users.check("ada", "correct horse")
        assert not again.users.check("ada", "battery staple")
        stored = repr(rows(database_url, "SELECT * FROM web_user"))
        assert "correct horse" not in stored + caplog.text
        connection.close()
        API.reset()

    def test_an_existing_user_is_overridden_and_others_stay(
        self, url: str, config: NamedConfiguration, caplog: pytest.LogCaptureFixture
    ) -> None:
        """004-39, 004-40: nothing is created the second time."""
        root, connection = overwatch.getDB(url)
        self.configure(config, ada="correct horse", ben="battery staple")
        overwatch.updateDBSensitiveParameters(root)
        config.remove("Web.users.ben")
        self.configure(config, ada="a new one")
        caplog.clear()
        with caplog.at_level(logging.INFO, "Services.Intake"):
            overwatch.updateDBSensitiveParameters(root)
        assert "create" not in caplog.text.lower()
        assert set(root["config"]["users"]) == {"ada", "ben"}
        assert [root.users.check("ada", one) for one in ("correct horse", "a new one")] == [False, True]
        assert root.users.check("ben", "battery staple")
        connection.close()

    def test_the_key_is_kept_on_demand(self, url: str, config: NamedConfiguration) -> None:
        """004-41."""
        root, connection = overwatch.getDB(url)
        for key, overwrite, stored in (("1", False, "1"), ("2", False, "1"), ("3", True, "3")):
            self.configure(config, key)
            overwatch.updateDBSensitiveParameters(root, overwriteSecretKey=overwrite)
            assert root["config"]["secretKey"] == stored
        connection.close()

    def test_without_a_key_there_is_a_random_one(self, url: str, config: NamedConfiguration) -> None:
        """004-41: which nobody can guess, and the configuration hides one that is set later."""
        root, connection = overwatch.getDB(url)
        keys = set()
        for _ in range(2):
            overwatch.updateDBSensitiveParameters(root)
            keys.add(root["config"]["secretKey"])
        assert len(keys) == 2
        assert all(len(key) == 64 for key in keys)
        config["Web.signing_key"] = "chosen"
        assert "chosen" not in repr(rows(url, "SELECT * FROM config_parameter"))
        connection.close()

    def test_a_password_that_cannot_be_used_changes_nothing(self, url: str, config: NamedConfiguration) -> None:
        """004-42: all or nothing."""
        root, connection = overwatch.getDB(url)
        self.configure(config, ada="correct horse", ben="")
        with pytest.raises(PasswordRefused, match="The password of 'ben' cannot be used: it is empty"):
            overwatch.updateDBSensitiveParameters(root)
        config.set("Web.users.ben", 5, "integer")
        with pytest.raises(ConfigException, match=r"'Web\.users\.ben' must be a text, the password of the user"):
            overwatch.updateDBSensitiveParameters(root)
        assert dict(root) == {}
        connection.close()

    def test_a_password_that_others_can_read(
        self, url: str, config: NamedConfiguration, caplog: pytest.LogCaptureFixture
    ) -> None:
        """004-38: a name may have dots."""
        root, connection = overwatch.getDB(url)
        config["Web.users.ada.lovelace"] = "correct horse"
        overwatch.updateDBSensitiveParameters(root)
        assert "Hide it with: ConfigTool set Web.users.ada.lovelace --secret" in caplog.text
        assert list(root["config"]["users"]) == ["ada.lovelace"]
        connection.close()

    @pytest.mark.parametrize("location", ["nonsense://x", "plain.fs", "memory://", ""])
    def test_what_is_no_url_of_a_database(self, location: str) -> None:
        """004-37."""
        with pytest.raises(BadDatabaseURL, match="The database URL in getDB cannot be used"):
            overwatch.getDB(location)

    def test_a_database_that_cannot_be_opened(self, tmp_path: Path) -> None:
        """004-37: it fails at once, not at the first use; and nothing is created."""
        with pytest.raises(NoDatabaseFile):
            overwatch.getDB(f"sqlite:///{tmp_path}/none.db")
        assert not (tmp_path / "none.db").exists()
        (tmp_path / "empty.db").touch()
        with pytest.raises(SchemaMissing):
            overwatch.getDB(f"sqlite:///{tmp_path}/empty.db")

    def test_the_root_of_another_database(self) -> None:
        """004-38."""
        other: Any = {"config": {}}
        with pytest.raises(WrongArgument, match="takes the root of a database, the first that getDB returns, not"):
            overwatch.updateDBSensitiveParameters(other)


class TestRemoveOldestValueAndInsert:
    """004-43: along the first axis; the array itself stays."""

    @pytest.mark.parametrize(
        ("values", "value", "result"),
        [
            ([1, 2, 3], 4, [2, 3, 4]),
            ([1, 2, 3], 4.5, [2.0, 3.0, 4.5]),
            ([[1, 2], [3, 4]], [5, 6], [[3, 4], [5, 6]]),
            ([1], 2, [2]),
        ],
    )
    def test_the_first_goes_and_one_comes(self, values: list[Any], value: Any, result: list[Any]) -> None:
        array = np.array(values)
        found = overwatch.removeOldestValueAndInsert(array, value)
        assert found.tolist() == result
        assert array.tolist() == values

    def test_an_empty_array(self) -> None:
        with pytest.raises(IndexError, match="out of bounds for axis 0 with size 0"):
            overwatch.removeOldestValueAndInsert(np.array([]), 1)


LOOP = """
import logging, sys
from Services.Intake import overwatch
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
handler, other = overwatch.handleSignals(), overwatch.handleSignals()
print("ready", handler.exit.is_set(), flush=True)
while not handler.exit.is_set():
    handler.exit.wait(3600)
print("left", other.exit.is_set(), handler.exit is other.exit, overwatch.handleSignals().exit.is_set())
"""


class TestHandleSignals:
    """004-44, 004-45: a loop ends in order."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_the_loop_is_left_at_once(self, number: signal.Signals, sqlite_url: str, tmp_path: Path) -> None:
        """Not after the hour that it waits; all objects share the event, and it stays set."""
        process = start(LOOP, main=sqlite_url, home=tmp_path / "home")
        assert line_of(process) == "ready False"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, err.decode()) == (0, "")
        assert out.decode().splitlines() == [
            f"Received signal {int(number)}. Passing on to executing function...", "left True True True",
        ]  # fmt: skip

    def test_a_signal_in_the_middle_of_a_wait(self) -> None:
        """The event is one that a handler can set while its own thread waits for it."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            handler = overwatch.handleSignals()
            assert isinstance(handler.exit, threading.Event)
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
            assert handler.exit.wait(60)
        finally:
            overwatch.handleSignals.exit.clear()
            for number, former in before.items():
                signal.signal(number, former)
