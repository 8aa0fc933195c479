"""``./install.sh mysql`` lets users in from other machines with TLS only, and makes a server a certificate for that."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from NexusCore import settings
from NexusCore.errors import DatabaseDenied, DatabaseNotSecure
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database
from tests.mariadb import MariaDB
from tests.processes import PROJECT

LIMIT = 60.0
SET_UP = PROJECT / "Install/set_up_mysql.py"


@pytest.fixture
def server() -> Iterator[MariaDB]:
    """Lend a server without a certificate."""
    with MariaDB(["--skip-ssl"]) as one:
        yield one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "etc"
    path.mkdir()
    return path


def set_up(server: MariaDB, folder: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    owner = "root" if os.geteuid() == 0 else os.environ["USER"]
    return subprocess.run(
        [sys.executable, SET_UP, "--folder", folder, "--owner", owner, *more],
        env={**os.environ, **(environment or {"NEXUSCORE_MYSQL_SOCKET": str(server.socket)})},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def restart(server: MariaDB, configuration: str) -> None:
    """Start the server again with the lines of a configuration."""
    lines = [line for line in configuration.splitlines() if line.startswith("ssl_")]
    server.options = tuple("--" + line.replace(" ", "").replace("_", "-", 1) for line in lines)
    server.stop()
    server.start()


def reports(server: MariaDB, folder: Path) -> DatabaseURL:
    """Return the address of the server for reports, by its address on this machine."""
    found = settings.load({}, (folder / "nexuscore-report.toml",)).main
    return replace(found, host="127.0.0.1", port=server.port)


def version(url: DatabaseURL) -> object:
    with closing(Database(url)) as database, database.reading() as reading:
        return reading.one("SELECT version_num FROM alembic_version")


def demands(server: MariaDB) -> dict[str, str]:
    query = "SELECT concat(user, '@', host), ssl_type FROM mysql.user WHERE user LIKE 'nexus%'"
    return dict(server.execute(query))


class TestUsersFromOtherMachines:
    """They must use TLS; those of this machine need not."""

    def test_through_the_socket(self, server: MariaDB, folder: Path) -> None:
        done = set_up(server, folder)
        assert done.returncode == 0, done.stderr
        assert demands(server) == {
            "nexuscore@localhost": "", "nexusgateway@%": "ANY", "nexusgateway@localhost": "",
            "nexusreport@%": "ANY", "nexusreport@localhost": "",
        }  # fmt: skip

    def test_over_the_loopback_address(self, server: MariaDB, folder: Path, tmp_path: Path) -> None:
        file = tmp_path / "admin.cnf"
        file.write_text(f"[client]\nuser=tester\npassword=tester\nhost=127.0.0.1\nport={server.port}\n")
        file.chmod(0o600)
        done = set_up(server, folder, NEXUSCORE_MYSQL_ADMIN=str(file))
        assert done.returncode == 0, done.stderr
        assert "only this machine can log in" in done.stdout
        assert demands(server)["nexusreport@%"] == "ANY"
        assert demands(server)["nexuscore@127.0.0.1"] == ""


class TestTheCertificate:
    """A server without one gets it; the settings for reports name the CA, and insist."""

    def test_of_a_server_of_ones_own(self, server: MariaDB, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("NexusCore.storage.hosts.KEPT_OUT_SECONDS", 0.0)
        done = set_up(server, folder)
        assert "other machines cannot log in before it does" in done.stdout
        url = reports(server, folder)
        assert dict(url.options) == {"ssl_ca": str(folder / "nexuscore-ca.pem")}
        with pytest.raises(DatabaseNotSecure, match="offers no TLS"):
            version(url)
        restart(server, done.stdout)
        assert version(url) is not None
        with pytest.raises(DatabaseDenied):
            version(replace(url, options=(("ssl_mode", "disabled"),)))

    def test_the_key_is_closed_to_others(self, server: MariaDB, folder: Path) -> None:
        set_up(server, folder)
        assert (folder / "tls/nexuscore-server-key.pem").stat().st_mode & 0o777 == 0o600

    def test_a_second_run_keeps_it(self, server: MariaDB, folder: Path) -> None:
        first = set_up(server, folder)
        files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        again = set_up(server, folder)
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files
        assert "Creating a certificate" in first.stdout
        assert "Creating a certificate" not in again.stdout
        restart(server, again.stdout)
        third = set_up(server, folder)
        assert "certificate" not in third.stdout
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files

    def test_the_settings_can_be_copied_with_it(self, server: MariaDB, folder: Path, tmp_path: Path) -> None:
        """To any folder of another machine: the certificate is named relative to the settings file."""
        restart(server, set_up(server, folder).stdout)
        pc = tmp_path / "pc"
        pc.mkdir()
        for name, copy in (("nexuscore-report.toml", "nexuscore.toml"), ("nexuscore-ca.pem", "nexuscore-ca.pem")):
            (pc / copy).write_bytes((folder / name).read_bytes())
        (pc / "nexuscore.toml").chmod(0o600)
        url = settings.load({}, (pc / "nexuscore.toml",)).main
        assert dict(url.options) == {"ssl_ca": str(pc / "nexuscore-ca.pem")}
        assert version(replace(url, host="127.0.0.1", port=server.port)) is not None

    def test_of_the_systems_own_server(self, server: MariaDB, folder: Path, tmp_path: Path) -> None:
        """It is configured and restarted."""
        configuration = tmp_path / "conf.d"
        configuration.mkdir()
        script = tmp_path / "restart"
        # The server of the tests is restarted by the test; what install.sh calls only has to succeed, once it is.
        script.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
        script.chmod(0o755)
        user = "root" if os.geteuid() == 0 else os.environ["USER"]
        options = ("--server-folder", str(configuration), f"--server-restart={script}", "--server-user", user)
        done = set_up(server, folder, *options)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "asked").exists()
        written = configuration / "60-nexuscore-tls.cnf"
        assert str(written) in done.stdout
        assert written.read_text().splitlines()[1] == "[mysqld]"
        restart(server, written.read_text())
        assert version(reports(server, folder)) is not None

    def test_a_restart_that_fails(self, server: MariaDB, folder: Path, tmp_path: Path) -> None:
        """The configuration is taken back, so that the server starts as before."""
        user = "root" if os.geteuid() == 0 else os.environ["USER"]
        options = ("--server-folder", str(tmp_path), "--server-restart=/bin/false", "--server-user", user)
        done = set_up(server, folder, *options)
        assert done.returncode == 1
        assert "could not be restarted" in done.stderr
        assert not list(tmp_path.glob("*.cnf"))


class TestRemoteServers:
    """A server that is reached over the network, and offers no TLS, is not set up."""

    def test_a_server_without_tls_is_refused(
        self, server: MariaDB, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.syspath_prepend(str(PROJECT / "Install"))
        import set_up_mysql

        monkeypatch.setattr(set_up_mysql, "LOOPBACK", ())
        admin = DatabaseURL.parse(server.url("nexuscore"))
        with pytest.raises(set_up_mysql.NoTLS, match=r"offers no TLS, which users from other machines must use"):
            set_up_mysql.set_up(admin, folder, "root")
        assert server.execute("SHOW DATABASES LIKE 'nexuscore'") == []
