"""Texts that are too long to be stored, or nearly so: on every database the same."""

from __future__ import annotations

import json

import pytest

from NexusCore import sizes
from NexusCore.API import App
from NexusCore.config import ConfigException, NamedConfiguration, ValueRefused
from NexusCore.errors import NexusError, TooLong
from NexusCore.facility.records import Records
from NexusCore.facility.sessions import Client, Sessions, State
from tests.processes import LIMIT, eventually, rows

JANE = Client("jane", "pc")


@pytest.fixture
def cfg(app: App) -> NamedConfiguration:
    return app.get_config("Long")


class TestConfiguration:
    """Refused in a sentence, and nothing is stored."""

    def test_a_value_that_is_too_long_is_refused(self, cfg: NamedConfiguration, other: App) -> None:
        whole = "é" * (sizes.CONFIG_VALUE // 2)
        cfg["x"] = whole
        assert other.get_config("Long")["x"] == whole
        with pytest.raises(ValueRefused) as caught:
            cfg["x"] = whole + "x"
        assert str(caught.value).endswith("…: it has 65,537 bytes, and a value has at most 65,536.")
        assert len(str(caught.value)) < 400
        with pytest.raises(ValueRefused, match="65,537 bytes"):
            cfg.set("x", whole + "x", check=False)
        assert cfg["x"] == whole
        assert cfg.keys() == ["x"]

    def test_a_secret_is_not_in_the_sentence(self, cfg: NamedConfiguration) -> None:
        cfg.set_default("token", "", secret=True)
        with pytest.raises(ValueRefused, match=r"^'Long\.token' cannot be set to \*{5}: it has 70,000 bytes"):
            cfg["token"] = "s" * 70_000

    def test_comment_and_reason(self, cfg: NamedConfiguration) -> None:
        cfg.set("x", 1, comment="c" * sizes.CONFIG_COMMENT, why="w" * sizes.CONFIG_WHY, create=True)
        for refused, sentence in (
            (lambda: cfg.set("x", 2, comment="c" * 5000), r"^The comment of 'Long\.x' has 5,000 bytes; at most 4,096"),
            (lambda: cfg.get("x").set_comment("c" * 5000), r"^The comment of 'Long\.x' has 5,000 bytes; at most 4,096"),
            (lambda: cfg.set("x", 2, why="w" * 5000), r"^The reason for the change has 5,000 bytes; at most 4,096"),
            (lambda: cfg.add("n" * 129), r"path of 134 characters .* is too long"),
        ):
            with pytest.raises((TooLong, ConfigException), match=sentence):
                refused()
        assert (cfg["x"], len(cfg.history("x"))) == (1, 1)

    def test_many_long_ones_at_once(self, cfg: NamedConfiguration, app: App, database_url: str) -> None:
        """More than a server takes in one statement: MariaDB's max_allowed_packet is 16 MiB."""
        for turn in range(2):
            value = str(turn) * 60_000
            parameters = {f"p{number}": {"datatype": "string", "value": value} for number in range(200)}
            parameters["s"] = {"datatype": "string", "value": value, "secret": True}
            assert app.get_config().deserialize(json.dumps({"Long": parameters})) == 201
        assert {cfg[name] for name in cfg.keys()} == {"1" * 60_000}  # noqa: SIM118  it is no dict
        assert rows(database_url, "SELECT COUNT(*) FROM config_change WHERE path LIKE 'Long.p%'") == [(400,)]
        assert rows(database_url, "SELECT COUNT(*) FROM config_secret") == [(2,)]

    def test_many_that_become_secrets(self, cfg: NamedConfiguration, app: App, database_url: str) -> None:
        text = {"datatype": "string", "value": "v" * 60_000}
        for more in ({}, {"secret": True}):
            names = {f"p{number}": text | {"comment": str(more)} | more for number in range(200)}
            app.get_config().deserialize(json.dumps({"Long": names}))
        assert rows(database_url, "SELECT COUNT(*) FROM config_change WHERE new_value LIKE 'v%'") == [(0,)]
        assert rows(database_url, "SELECT COUNT(*) FROM config_secret") == [(400,)]
        assert cfg["p7"] == text["value"]


class TestSessions:
    """A person's note is refused; a service's sentence is cut, with a mark."""

    @pytest.fixture
    def sessions(self, app: App) -> Sessions:
        return Sessions(app.database(), app.clock)

    def test_a_note_that_is_too_long_is_refused(self, sessions: Sessions) -> None:
        session = sessions.start("Titan", JANE)
        sessions.note(session.identifier, JANE, "n" * sizes.EVENT_DETAIL)
        with pytest.raises(TooLong, match=r"^The note has 65,537 bytes; at most 65,536 can be stored\.$"):
            sessions.note(session.identifier, JANE, "n" * (sizes.EVENT_DETAIL + 1))
        assert [len(one.detail or "") for one in sessions.events(session)] == [0, 65_536]

    def test_names_that_are_too_long_are_refused(self, sessions: Sessions) -> None:
        for refused in (
            lambda: sessions.start("Titan", Client("j" * 129, "pc")),
            lambda: sessions.start("Titan", JANE, "i" * 256),
            lambda: sessions.start("T" * 129, JANE),
        ):
            with pytest.raises(TooLong, match=r" has \d+ characters; at most \d+ can be stored\.$"):
                refused()
        assert sessions.newest("Titan") == []

    def test_what_services_say(self, sessions: Sessions, app: App) -> None:
        sentence = "The schema says no: " + "é" * 100_000
        sessions.end(sessions.start("Titan", JANE, "s-1").identifier, JANE)
        claimed = sessions.claim(JANE, "b", 300)
        assert claimed is not None
        assert sessions.finish(claimed, "b", State.ERROR, sentence, also=sessions.remark(claimed, JANE, sentence))
        session = sessions.get("s-1")
        texts = [session.last_error, sessions.events(session)[-1].detail]
        for text in texts:
            assert text is not None
            assert text.startswith("The schema says no: ééé")
            assert text.endswith(" bytes cut]")
            assert len(text.encode()) <= 65_536

    def test_an_upload_that_failed(self, sessions: Sessions, app: App) -> None:
        records = Records(app.database(), app.clock)
        session = sessions.start("Titan", JANE, "s-1")
        writer = records.writer(
            session.id, path="/r.xml", title="r", sha256="0" * 64, config_revision=1, software="test", files=1,
            activities=1,
        )  # fmt: skip
        sessions.note("s-1", JANE, "built", also=writer)
        record = records.of_session(session.id)
        assert record is not None
        records.failed(record, "cdcs", "no: " + "x" * 100_000, 10)
        (upload,) = records.uploads(record)
        assert upload.last_error is not None
        assert upload.last_error.endswith("x… [34,508 bytes cut]")


class TestLog:
    def test_message_and_traceback(self, app: App, database_url: str) -> None:
        """What is kept arrives, with the mark; also where each of its characters takes several bytes."""
        log = app.get_log("long")
        for letter in ("x", "é", "\U0001f52c", "\udc80"):
            try:
                raise NexusError
            except NexusError as error:
                error.add_note(letter * 2_000_000)
                log.exception("%s", letter * 2_000_000)
        eventually(lambda: rows(database_url, "SELECT COUNT(*) FROM log_record WHERE logger = 'long'") == [(4,)])
        for message, traceback in rows(database_url, "SELECT message, traceback FROM log_record WHERE logger = 'long'"):
            for text in (message, traceback):
                assert sizes.LOG_TEXT - 100 < len(text.encode()) <= sizes.LOG_TEXT
                assert text.endswith(" bytes cut]")
        report = app.shutdown(LIMIT)
        assert (report.left, report.dropped) == (0, 0)

    def test_names_are_cut(self, app: App, database_url: str) -> None:
        app.get_log("n" * 200).info("here")
        eventually(lambda: rows(database_url, "SELECT logger FROM log_record WHERE message = 'here'"))
        assert rows(database_url, "SELECT logger FROM log_record WHERE message = 'here'") == [("n" * 128,)]
