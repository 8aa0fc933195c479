"""Values of secret parameters stand in `config_secret` alone, and only who may read that table gets them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.API import App
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config import NamedConfiguration, snapshot
from NexusCore.config.store import ConfigStore
from NexusCore.config.values import MASK
from NexusCore.errors import SecretWithheld
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database, open_database
from NexusCore.storage.migrate import migrate
from tests.mariadb import MariaDB
from tests.processes import LIMIT, app_on, eventually, rows

TABLES = ("config_parameter", "config_change")
SECRETS = ("opensesame", "hunter2", "swordfish")


def found_in(url: str, *tables: str) -> set[tuple[str, str]]:
    """Return which secrets stand in which tables."""
    texts = {table: repr(rows(url, f"SELECT * FROM `{table}`")) for table in tables}
    return {(table, secret) for table, text in texts.items() for secret in SECRETS if secret in text}


def kept(url: str) -> list[tuple[object, ...]]:
    return rows(url, "SELECT `path`, `value` FROM `config_secret` ORDER BY `revision`")


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[App]:
    app = app_on(database_url, tmp_path / "home")
    yield app
    app.shutdown(LIMIT)


@pytest.fixture
def cfg(app: App) -> NamedConfiguration:
    cfg = app.get_config("Mail")
    cfg.set_default("password", "opensesame", comment="For the server.", secret=True)
    cfg["host"] = "localhost"
    return cfg


class TestNowhereElse:
    """The other tables never hold a secret, whatever is done with it."""

    def test_set_and_changed(self, cfg: NamedConfiguration, database_url: str) -> None:
        cfg["password"] = "hunter2"
        cfg.get("password").set_comment("For the new server.")
        cfg.set("password", "hunter2", maximum=None, pattern=".*2")
        assert found_in(database_url, *TABLES) == set()
        assert kept(database_url) == [("Mail.password", value) for value in ("opensesame", *["hunter2"] * 3)]
        stored = rows(database_url, "SELECT `value` FROM `config_parameter` WHERE `path` = 'Mail.password'")
        assert stored == [(MASK,)], "someone with an SQL client sees that there is one"

    def test_a_number_and_an_empty_one(self, cfg: NamedConfiguration, database_url: str, tmp_path: Path) -> None:
        cfg.set_default("pin", 4711, secret=True)
        cfg.set_default("token", "", secret=True)
        other = app_on(database_url, tmp_path / "other")
        assert (other.get_config("Mail")["pin"], other.get_config("Mail")["token"]) == (4711, "")
        other.shutdown(LIMIT)
        assert kept(database_url) == [("Mail.password", "opensesame"), ("Mail.pin", "4711")]

    def test_what_was_plain_before(self, cfg: NamedConfiguration, database_url: str) -> None:
        """Its past moves too, that of a parameter of the same name that was removed before included."""
        cfg["token"] = "swordfish"
        cfg.remove("token")
        cfg["token"] = "hunter2"
        assert found_in(database_url, "config_change") == {("config_change", "swordfish"), ("config_change", "hunter2")}
        cfg.set_default("token", "", secret=True)
        assert found_in(database_url, *TABLES) == set()
        assert cfg["token"] == "hunter2"

    def test_several_at_once(self, cfg: NamedConfiguration, app: App, database_url: str) -> None:
        """In one transaction: first as plain text, then as a secret."""
        text = {"datatype": "string", "value": "swordfish"}
        app.get_config().deserialize(json.dumps({"New": {"a": text | {"secret": True}, "b": text | {"secret": True}}}))
        assert found_in(database_url, *TABLES) == set()
        assert app.get_config("New")["a"] == "swordfish"

    def test_copies_and_versions_that_are_deleted(self, cfg: NamedConfiguration, app: App, database_url: str) -> None:
        cfg.copy_configuration("default", "night")
        night = app.get_config("Mail", "night")
        night["password"] = "hunter2"
        assert (night["password"], cfg["password"]) == ("hunter2", "opensesame")
        cfg.delete_version("night")
        assert found_in(database_url, *TABLES) == set()
        assert cfg["password"] == "opensesame"

    def test_a_mask_that_was_typed_is_a_text(self, cfg: NamedConfiguration) -> None:
        cfg["stars"] = MASK
        cfg.set("password", MASK)
        assert (cfg["stars"], cfg.get("stars").limits.secret, cfg["password"]) == (MASK, False, MASK)


class TestAsBefore:
    """Whoever may read the table notices nothing of it."""

    def test_another_process_sees_the_value(self, cfg: NamedConfiguration, database_url: str, tmp_path: Path) -> None:
        other = app_on(database_url, tmp_path / "other")
        theirs = other.get_config("Mail")
        assert theirs["password"] == "opensesame"
        cfg["password"] = "hunter2"
        eventually(lambda: theirs["password"] == "hunter2")
        other.shutdown(LIMIT)

    def test_setting_what_it_is(self, cfg: NamedConfiguration) -> None:
        before = cfg.get("password").revision
        cfg["password"] = "opensesame"
        assert cfg.get("password").revision == before

    def test_removal_and_the_way_back(self, cfg: NamedConfiguration, database_url: str) -> None:
        then = cfg.get("host").revision
        cfg.remove("password")
        assert "password" not in cfg
        cfg.rollback(then)
        assert (cfg["password"], cfg.get("password").limits.secret) == ("opensesame", True)
        assert found_in(database_url, *TABLES) == set()

    def test_a_state_from_before_it_was_one(self, cfg: NamedConfiguration, app: App, database_url: str) -> None:
        """It comes back as a secret: here, and in another version."""
        cfg["token"] = "swordfish"
        then = cfg.get("token").revision
        cfg.set("token", "hunter2", secret=True)
        cfg.rollback(then)
        assert (cfg["token"], cfg.get("token").limits.secret) == ("swordfish", True)
        assert cfg.rollback(then) == 0, "there is nothing left to change"
        assert found_in(database_url, *TABLES) == set()

    def test_a_file_for_others_may_not_reveal_one(self, cfg: NamedConfiguration, app: App, database_url: str) -> None:
        app.get_config().deserialize('{"Mail": {"password": {"datatype": "string", "value": "hunter2"}}}')
        assert (cfg["password"], cfg.get("password").limits.secret) == ("hunter2", True)
        assert found_in(database_url, *TABLES) == set()

    def test_only_a_clear_word_ends_it(self, cfg: NamedConfiguration, database_url: str) -> None:
        cfg["password"] = "hunter2"
        cfg.set("password", "anyone", maximum=None)
        assert cfg.get("password").limits.secret
        cfg.set("password", "for all", secret=False)
        assert (cfg["password"], cfg.get("password").shown) == ("for all", "for all")
        assert found_in(database_url, *TABLES) == set(), "what it was before stays hidden"
        cfg["password"] = "still for all"
        cfg.set("password", "swordfish", secret=True)
        assert found_in(database_url, *TABLES) == set()

    def test_what_is_kept_on_disk(self, cfg: NamedConfiguration, app: App, tmp_path: Path) -> None:
        """A process that starts while the database is away has its secrets, too."""
        cfg["password"] = "hunter2"
        app.shutdown(LIMIT)
        (file,) = (tmp_path / "home/snapshot").iterdir()
        found = snapshot.load(file)
        assert found is not None
        assert "hunter2" in [one.value for one in found.versions["default"][1]]


class TestWithoutTheRight:
    """An account that may not read `config_secret` gets all else, and a sentence where it asks for a secret."""

    @pytest.fixture
    def limited(self, mariadb: MariaDB, mariadb_url: str) -> Iterator[str]:
        name = mariadb_url.rpartition("/")[2]
        tables = [str(table) for (table,) in mariadb.execute(f"SHOW TABLES FROM {name}")]
        mariadb.execute("CREATE USER 'reader'@'%' IDENTIFIED BY 'reader'")
        for table in tables:
            if table != "config_secret":
                mariadb.execute(f"GRANT ALL ON {name}.{table} TO 'reader'@'%'")
        yield mariadb.url(name, user="reader", password="reader")
        mariadb.execute("DROP USER 'reader'@'%'")

    @pytest.fixture
    def services(self, mariadb_url: str, tmp_path: Path) -> Iterator[NamedConfiguration]:
        app = app_on(mariadb_url, tmp_path / "services")
        cfg = app.get_config("Mail")
        cfg.set_default("password", "opensesame", secret=True)
        cfg.set_default("pin", 4711, secret=True)
        cfg.set_default("host", "localhost")
        yield cfg
        app.shutdown(LIMIT)

    def test_what_it_reads(self, services: NamedConfiguration, limited: str, tmp_path: Path) -> None:
        app = app_on(limited, tmp_path / "limited")
        cfg = app.get_config("Mail")
        assert cfg["host"] == "localhost"
        assert [cfg.get(name).shown for name in ("password", "pin")] == [MASK, MASK]
        assert sorted(cfg.keys()) == ["host", "password", "pin"]
        for asked in (lambda: cfg["password"], lambda: cfg["pin"], lambda: cfg.get("pin").get_value()):
            with pytest.raises(SecretWithheld, match=r"'Mail\.p.*' is a secret, and the database account"):
                asked()
        services["host"], services["password"] = "elsewhere", "hunter2"
        eventually(lambda: cfg["host"] == "elsewhere")
        assert cfg.get("password").value is None
        assert [one.new_value for one in cfg.history("password")] == [MASK, MASK]
        app.shutdown(LIMIT)
        (file,) = (tmp_path / "limited/snapshot").iterdir()
        assert b"hunter2" not in file.read_bytes()

    def test_what_it_changes(self, services: NamedConfiguration, limited: str, tmp_path: Path) -> None:
        app = app_on(limited, tmp_path / "limited")
        cfg = app.get_config("Mail")
        cfg["host"] = "by the reader"
        with pytest.raises(SecretWithheld):
            cfg.get("password").set_comment("For the server.")
        with pytest.raises(SecretWithheld):
            cfg.copy_configuration("default", "night")
        eventually(lambda: services["host"] == "by the reader")
        assert services["password"] == "opensesame"
        app.shutdown(LIMIT)

    def test_reading_it_alone(self, services: NamedConfiguration, limited: str) -> None:
        store = ConfigStore(open_database(limited), SYSTEM_CLOCK)
        found = store.find(1, "Mail.pin")
        assert found is not None
        assert (found.value, found.withheld) == (None, True)
        store.database.close()


class TestOlderTables:
    """Secrets that were in the other tables are moved out of them; a migration that was cut off goes on."""

    HIDDEN = '{"secret": true}'
    CHANGES = (
        # revision, path, action, old, new, limits
        (2, "Mail.token", "set", None, "swordfish", None),
        (3, "Mail.token", "set", "swordfish", "hunter2", HIDDEN),
        (4, "Mail.token", "set", "hunter2", "hunter2", HIDDEN),
        (5, "Mail.host", "set", None, "localhost", None),
        (6, "Mail.password", "set", None, "opensesame", HIDDEN),
        (7, "Mail.password", "remove", "opensesame", None, None),
        (8, "Mail.pin", "set", None, "opensesame", HIDDEN),
        (9, "Mail.pin", "set", "opensesame", "for all", None),
        (10, "Mail.pin", "set", "for all", "for everyone", None),
        (11, "Mail.empty", "set", None, "", HIDDEN),
    )
    CURRENT = (
        (4, "Mail.token", "hunter2", HIDDEN),
        (5, "Mail.host", "localhost", None),
        (10, "Mail.pin", "for everyone", None),
        (11, "Mail.empty", "", HIDDEN),
    )
    MOVED = (
        (2, "Mail.token", "swordfish"),
        (3, "Mail.token", "hunter2"),
        (4, "Mail.token", "hunter2"),
        (6, "Mail.password", "opensesame"),
        (8, "Mail.pin", "opensesame"),
    )

    @pytest.fixture(params=["sqlite", "mariadb", "mysql"])
    def older(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
        """Lend a database whose tables are of the revision before, with secrets in them."""
        name = "older_secrets"
        server = None if request.param == "sqlite" else request.getfixturevalue(request.param)
        url = f"sqlite:///{tmp_path}/older.db" if server is None else server.create_database(name)
        migrate(url, "0003")
        database = Database(DatabaseURL.parse(url), check_schema=False)
        with database.transaction() as transaction:
            transaction.insert_many(
                "config_change",
                ("revision", "path", "action", "old_value", "new_value", "limits", "version_id", "version", "datatype",
                 "who", "host", "tool", "ts"),
                [(*row, 1, "default", "string", "jane", "desk", "test", row[0]) for row in self.CHANGES],
            )  # fmt: skip
            transaction.insert_many(
                "config_parameter",
                ("revision", "path", "value", "limits", "version_id", "name", "datatype", "last_modified"),
                [(*row, 1, row[1].rpartition(".")[2], "string", row[0]) for row in self.CURRENT],
            )
            transaction.run("UPDATE `config_revision` SET `revision` = 11")
        database.close()
        yield url
        if server is not None:
            server.drop_database(name)

    def check(self, url: str, folder: Path) -> None:
        assert rows(url, "SELECT `revision`, `path`, `value` FROM `config_secret` ORDER BY 1") == list(self.MOVED)
        assert found_in(url, *TABLES) == set()
        app = app_on(url, folder)
        cfg = app.get_config("Mail")
        assert {name: cfg[name] for name in cfg.keys()} == {  # noqa: SIM118  it is no dict
            "token": "hunter2", "host": "localhost", "pin": "for everyone", "empty": "",
        }  # fmt: skip
        assert [cfg.get(name).limits.secret for name in ("token", "host", "pin")] == [True, False, False]
        cfg.rollback(6)
        assert (cfg["password"], cfg["token"], "pin" in cfg) == ("opensesame", "hunter2", False)
        app.shutdown(LIMIT)

    def test_they_are_moved(self, older: str, tmp_path: Path) -> None:
        migrate(older)
        self.check(older, tmp_path / "home")

    def test_what_was_begun_is_finished(self, older: str, tmp_path: Path) -> None:
        """The table was there, some values moved, and some of them masked, when the migration was killed."""
        url = DatabaseURL.parse(older)
        database = Database(url, check_schema=False)
        with database.transaction() as transaction:
            transaction.run(
                "CREATE TABLE `config_secret` (`revision` BIGINT NOT NULL PRIMARY KEY, `version_id` BIGINT NOT NULL, "
                "`path` VARCHAR(512) NOT NULL, `value` MEDIUMTEXT NOT NULL)"
            )
            transaction.insert_many("config_secret", ("revision", "path", "value", "version_id"), [
                (*row, 1) for row in self.MOVED[:4]
            ])  # fmt: skip
            transaction.run("UPDATE `config_change` SET `new_value` = :mask WHERE `revision` IN (2, 6)", mask=MASK)
        database.close()
        migrate(older)
        self.check(older, tmp_path / "home")
