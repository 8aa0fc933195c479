"""Where the databases are: files, variables, refusals (`NexusCore.settings`)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from NexusCore import settings
from NexusCore.errors import BadDatabaseURL, NexusError, NoHomeFolder, SettingsRefused, SettingsUnreadable
from NexusCore.settings import DatabaseURL, Settings, load
from tests.processes import LIMIT, start

SECRET = "hunter2"


def file(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


class TestPrecedence:
    """Each file overrides the one before, a variable overrides them all, key by key."""

    def test_files_then_variables(self, tmp_path: Path) -> None:
        """001-10: one variable says where the database is."""
        first = file(tmp_path / "1", 'NEXUSCORE_DATABASE = "sqlite:////1"\nNEXUSCORE_DATABASE_LOG = "sqlite:////1log"')
        second = file(tmp_path / "2", 'NEXUSCORE_DATABASE = "sqlite:////2"\nNEXUSCORE_HOME = "/2home"')
        found = load({"NEXUSCORE_HOME": "/variable"}, (first, second))
        assert (found.main.name, found.log.name, found.status.name) == ("/2", "/1log", "/2")
        assert found.home == Path("/variable")
        assert load({"NEXUSCORE_DATABASE": "sqlite:////3"}, (first, second)).main.name == "/3"

    def test_a_user_without_a_home_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As in a container that runs under a number without a name: what is named is used, or it says so."""
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("os.path.expanduser", lambda path: path)
        environment = {"NEXUSCORE_DATABASE": "sqlite:////1", "NEXUSCORE_ETC": str(tmp_path)}
        assert settings.usual_files(environment) == (tmp_path / "nexuscore.toml",)
        assert load({**environment, "NEXUSCORE_HOME": "/named"}).home == Path("/named")
        with pytest.raises(NoHomeFolder, match=r"^The user has no home folder, and HOME is not set\. Set it, or name"):
            load(environment)

    def test_the_usual_places(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        etc, user, named = tmp_path / "etc", tmp_path / "user", tmp_path / "named.toml"
        monkeypatch.setenv("XDG_CONFIG_HOME", str(user))
        environment = {"NEXUSCORE_ETC": str(etc)}
        file(etc / "nexuscore.toml", 'NEXUSCORE_DATABASE = "sqlite:////etc"\nNEXUSCORE_HOME = "/etc-home"')
        assert load(environment).main.name == "/etc"
        file(user / "nexuscore/nexuscore.toml", 'NEXUSCORE_DATABASE = "sqlite:////user"')
        assert load(environment).main.name == "/user"
        file(named, 'NEXUSCORE_DATABASE = "sqlite:////named"')
        environment["NEXUSCORE_SETTINGS"] = str(named)
        assert load(environment).main.name == "/named"
        assert load(environment).home == Path("/etc-home")
        assert load({**environment, "NEXUSCORE_DATABASE": "sqlite:////v"}).main.name == "/v"

    def test_an_empty_variable_is_none(self, tmp_path: Path) -> None:
        one = file(tmp_path / "1", 'NEXUSCORE_DATABASE = "sqlite:////1"')
        assert load({"NEXUSCORE_DATABASE": ""}, (one,)).main.name == "/1"

    def test_nothing_at_all(self, tmp_path: Path) -> None:
        """The embedded default, in the home folder."""
        found = load({"NEXUSCORE_HOME": str(tmp_path)}, ())
        assert found.main == DatabaseURL("sqlite", str(tmp_path / "nexus.db"), embedded=True)
        assert found.databases == (found.main,)
        assert settings.default_home().name == "nexuscore"

    def test_services_may_have_databases_of_their_own(self) -> None:
        """003-02."""
        found = load(
            {
                "NEXUSCORE_DATABASE": "mysql://u@h/main",
                "NEXUSCORE_DATABASE_CONFIG": "sqlite:////config",
                "NEXUSCORE_DATABASE_STATUS": "mysql://u@h/main",
            },
            (),
        )
        assert [str(one) for one in (found.config, found.status, found.log)] == [
            "sqlite:////config", "mysql://u@h:3306/main", "mysql://u@h:3306/main",
        ]  # fmt: skip
        assert len(found.databases) == 2

    def test_a_relative_home_is_refused(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SettingsUnreadable, match=f"absolute path, such as {tmp_path}/here"):
            load({"NEXUSCORE_HOME": "here"}, ())
        beside = file(tmp_path / "there/nexuscore.toml", 'NEXUSCORE_HOME = "data"')
        assert load({}, (beside,)).home == tmp_path / "there/data"
        assert load({"NEXUSCORE_HOME": "~/there"}, ()).home == Path.home() / "there"

    @pytest.mark.parametrize(("text", "size"), [("", 512), ("1", 1), ("2000", 2000)])
    def test_the_size_of_a_journal(self, text: str, size: int) -> None:
        assert load({"NEXUSCORE_JOURNAL_SIZE": text}, ()).journal_size == size * 1024 * 1024

    @pytest.mark.parametrize("text", ["0", "-1", "1.5", "much"])
    def test_a_size_that_is_none(self, text: str) -> None:
        with pytest.raises(SettingsUnreadable, match="variable NEXUSCORE_JOURNAL_SIZE"):
            load({"NEXUSCORE_JOURNAL_SIZE": text}, ())

    @pytest.mark.parametrize(("text", "sync"), [("", False), ("no", False), ("yes", True), ("YES", True)])
    def test_whether_a_journal_is_synced(self, text: str, sync: bool) -> None:
        assert load({"NEXUSCORE_JOURNAL_SYNC": text}, ()).journal_sync is sync

    def test_neither_yes_nor_no(self) -> None:
        with pytest.raises(SettingsUnreadable, match="NEXUSCORE_JOURNAL_SYNC is 'maybe'; it takes yes or no"):
            load({"NEXUSCORE_JOURNAL_SYNC": "maybe"}, ())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
class TestAPasswordThatOthersCanRead:
    """A file with a password that is open to others is refused, with the sentence that says how to close it."""

    TEXT = f'NEXUSCORE_DATABASE = "mysql://nx:{SECRET}@h/nexus"'

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o666])
    def test_it_is_refused(self, tmp_path: Path, mode: int) -> None:
        path = file(tmp_path / "open.toml", self.TEXT, mode)
        with pytest.raises(SettingsRefused) as caught:
            load({}, (path,))
        assert str(caught.value) == (
            f"The settings file {path} holds a password and other users can read it (mode 0{mode:o}). "
            f"Close it with: chmod 600 {path}"
        )
        assert caught.value.exit_code == 4

    @pytest.mark.parametrize("mode", [0o600, 0o400])
    def test_a_closed_one_is_not(self, tmp_path: Path, mode: int) -> None:
        assert load({}, (file(tmp_path / "closed.toml", self.TEXT, mode),)).main.password == SECRET

    def test_nor_one_without_a_password(self, tmp_path: Path) -> None:
        text = 'NEXUSCORE_DATABASE = "mysql://nx@h/nexus"\nNEXUSCORE_DATABASE_LOG = "sqlite:////a.db"'
        assert load({}, (file(tmp_path / "open.toml", text, 0o644),)).main.user == "nx"

    def test_a_program_ends_with_4(self, tmp_path: Path) -> None:
        program = f"""
import os, sys
from pathlib import Path
del os.environ["NEXUSCORE_DATABASE"]
path = Path(os.environ["NEXUSCORE_ETC"]) / "nexuscore.toml"
path.parent.mkdir()
path.write_text('{self.TEXT}')
path.chmod(0o644)
from NexusCore.storage.migrate import main
sys.exit(main([]))
"""
        process = start(program, main="x", home=tmp_path)
        out, err = process.communicate(timeout=LIMIT)
        assert (process.returncode, out) == (4, b"")
        assert err.decode().startswith("The settings file ")
        assert SECRET not in err.decode()


class TestAFileThatCannotBeUsed:
    """One sentence says which file it is and why; exit code 2."""

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("NEXUSCORE_DATABASE", "it is not TOML"),
            ('NEXUSCORE_DATABSE = "x"', "unknown key 'NEXUSCORE_DATABSE'"),
            ("NEXUSCORE_DATABASE = 5", "must be text in quotes"),
            ('[database]\nurl = "x"', "unknown key 'database'"),
            ('NEXUSCORE_DATABASE = "\udce9"', "UTF-8"),
        ],
    )
    def test_wrong_content_is_refused_with_the_reason(self, tmp_path: Path, text: str, reason: str) -> None:
        path = tmp_path / "bad.toml"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        path.chmod(0o600)
        with pytest.raises(SettingsUnreadable, match=reason) as caught:
            load({}, (path,))
        assert str(path) in str(caught.value)
        assert caught.value.exit_code == 2

    def test_one_that_was_named_but_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsUnreadable, match="NEXUSCORE_SETTINGS names it"):
            load({"NEXUSCORE_SETTINGS": str(tmp_path / "missing.toml")})

    def test_a_folder_in_its_place(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsUnreadable, match=str(tmp_path)):
            load({}, (tmp_path,))

    def test_one_below_a_file(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsUnreadable, match="Not a directory"):
            load({}, (file(tmp_path / "file", "") / "nexuscore.toml",))

    def test_one_that_this_user_may_not_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Going on with the embedded database would show an empty facility."""
        path = file(tmp_path / "closed.toml", 'NEXUSCORE_DATABASE = "sqlite:////x"')

        def denied(self: Path, *arguments: object) -> str:
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "read_text", denied)
        with pytest.raises(SettingsUnreadable, match="may not read it"):
            load({}, (path,))
        assert load({"NEXUSCORE_DATABASE": "sqlite:////mine"}, (path,)).main.name == "/mine"


class TestURLs:
    """A URL is taken apart as written; parts are percent-encoded where they need it."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("mysql://nx:pw@db.example:3307/nexus", ("nx", "pw", "db.example", 3307, "nexus")),
            ("mariadb://nx@h/nexus", ("nx", "", "h", 3306, "nexus")),
            ("mysql://nx:p%40s%2Fs%3A%25%20%C3%A9@h/nexus%20core", ("nx", "p@s/s:% é", "h", 3306, "nexus core")),
            ("mysql://n%40x:p@h/n", ("n@x", "p", "h", 3306, "n")),
            ("mysql:///n", ("", "", "localhost", 3306, "n")),
            ("mysql://u:p@[::1]:3308/n", ("u", "p", "::1", 3308, "n")),
        ],
    )
    def test_of_a_server(self, text: str, expected: tuple[str, str, str, int, str]) -> None:
        url = DatabaseURL.parse(text)
        assert (url.user, url.password, url.host, url.port, url.name) == expected

    def test_options_are_decoded(self) -> None:
        url = DatabaseURL.parse("mysql://u:p@h/n?unix_socket=%2Frun%2Fm.sock&ssl_disabled=true")
        assert dict(url.options) == {"unix_socket": "/run/m.sock", "ssl_disabled": "true"}
        assert str(url) == "mysql://u@/run/m.sock/n"

    def test_of_a_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for text, path in (
            ("sqlite:////abs/n.db", "/abs/n.db"),
            ("sqlite:///rel.db", f"{tmp_path}/rel.db"),
            ("sqlite:///~/n.db", f"{Path.home()}/n.db"),
            ("sqlite:////a%20b/%C3%A9.db", "/a b/é.db"),
        ):
            assert DatabaseURL.parse(text) == DatabaseURL("sqlite", path)

    def test_users_of_one_database_share_a_place(self) -> None:
        """Two users of one database share what is in it, journals too."""
        one, two = DatabaseURL.parse("mysql://a:x@h/n"), DatabaseURL.parse("mysql://b@h:3306/n")
        assert one.place == two.place
        assert one.place != DatabaseURL.parse("mysql://a:x@h/other").place


class TestSeveralHosts:
    """A URL may name several doors to the same rows."""

    @pytest.mark.parametrize(
        ("text", "hosts"),
        [
            ("mysql://u:p@h1:3306,h2:3307,h3/n", (("h1", 3306), ("h2", 3307), ("h3", 3306))),
            ("mysql://u:p@[::1],[2001:db8::2]:3307,h/n", (("::1", 3306), ("2001:db8::2", 3307), ("h", 3306))),
            ("mysql://u:a%2Cb@h1,h2/n?ssl_mode=required", (("h1", 3306), ("h2", 3306))),
            ("mysql://u@h1,h1:3306,h2/n", (("h1", 3306), ("h2", 3306))),
            ("mysql://h/n", (("h", 3306),)),
        ],
    )
    def test_are_taken_apart(self, text: str, hosts: tuple[tuple[str, int], ...]) -> None:
        url = DatabaseURL.parse(text)
        assert url.hosts == hosts
        assert tuple((one.host, one.port) for one in url.each) == hosts
        assert all(one.others == () and one.name == "n" and one.password == url.password for one in url.each)

    def test_all_hosts_are_shown_without_the_password(self) -> None:
        url = DatabaseURL.parse(f"mysql://u:{SECRET}@h1,[::1]:3307/n?ssl_mode=required")
        assert str(url) == "mysql://u@h1:3306,[::1]:3307/n"

    def test_their_order_makes_no_difference(self) -> None:
        one, two = DatabaseURL.parse("mysql://a:x@h1,h2:3307/n"), DatabaseURL.parse("mysql://b@h2:3307,h1/n")
        assert (one.place, one.fingerprint) == (two.place, two.fingerprint)
        assert one.place != DatabaseURL.parse("mysql://a:x@h1/n").place

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (f"mysql://u:{SECRET}@h1,,h2/n", "names no host"),
            (f"mysql://u:{SECRET}@,h2/n", "names no host"),
            (f"mysql://u:{SECRET}@h1,h2:port/n", "host or port cannot be read"),
            (f"mysql://u:{SECRET}@h1,h2:99999999/n", "host or port cannot be read"),
            (f"mysql://u:{SECRET}@h1,h2", "names no database"),
            (f"mysql://u:{SECRET}@h1,h2/n?unix_socket=/s", "unix_socket leads to one server"),
        ],
    )
    def test_what_cannot_be_read(self, text: str, reason: str) -> None:
        with pytest.raises(BadDatabaseURL, match=reason) as caught:
            DatabaseURL.parse(text)
        assert SECRET not in str(caught.value)


class TestThePasswordIsNeverShown:
    """Not in errors about a URL, however it is mistyped, nor in the URL's own text (004: no password in a log line)."""

    @pytest.mark.parametrize(
        "text",
        [
            f"mysql://u:{SECRET}@h",
            f"mysql://u:{SECRET}@h/",
            f"mysql://u:{SECRET}@h:port/n",
            f"mysql://u:{SECRET}@h:99999999/n",
            f"mysql://u:{SECRET}@h/n?colour=red",
            f"mysql://u:1/{SECRET}@h/n",
            f"mysql://u:{SECRET}/1@h/n",
            f"mysql://u:{SECRET}?1@h/n",
            f"mysql://u:{SECRET}#1@h/n",
            f"mysql://u:{SECRET}[1@h/n",
            f"mysql://u:1#{SECRET}@h/n",
            f"mysql:u:{SECRET}@h/n",
            f"u:{SECRET}@h/n",
            f"u:{SECRET}@h://n",
            f"postgres://u:{SECRET}@h/n",
            f"mysql:/u:{SECRET}@h/n",
            f" mysql://u:{SECRET}@h/n",
            f"sqlite://u:{SECRET}@h/n",
            "",
            "mysql://",
            "sqlite:///",
        ],
    )
    def test_errors_about_a_url_hide_it(self, text: str) -> None:
        with pytest.raises(BadDatabaseURL) as caught:
            load({"NEXUSCORE_DATABASE": text or " "}, ())
        assert SECRET not in str(caught.value)
        assert "the variable NEXUSCORE_DATABASE" in str(caught.value)
        assert caught.value.exit_code == 2

    def test_in_its_text(self) -> None:
        found = load({"NEXUSCORE_DATABASE": f"mysql://u:{SECRET}@h/n"}, ())
        assert isinstance(found, Settings)
        for text in (str(found.main), repr(found.main), repr(found), found.main.place):
            assert SECRET not in text

    def test_every_error_is_one_of_the_project(self) -> None:
        assert issubclass(BadDatabaseURL, NexusError)
