"""Set up NexusCore's database on a MariaDB or MySQL server; ``./install.sh mysql`` runs this.

Creates the database, its tables and three users with generated passwords, and writes a settings file for each user. Run
again, it updates the tables and keeps working passwords. The user that microscope PCs had in older releases is removed:
they report their sessions to the Gateway. Passwords are only in the settings files, not on command lines
or in the server's logs. Users from other machines must use TLS; a server on this machine without a certificate gets
one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pwd
import re
import secrets
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import server_tls

from NexusCore import settings
from NexusCore.declare import declare_all
from NexusCore.errors import DatabaseUnreachable, NexusError, SettingsRefused, SettingsUnreadable
from NexusCore.resources import reported, sentence_of
from NexusCore.settings import DatabaseURL
from NexusCore.storage.driver import open_connection
from NexusCore.storage.migrate import migrate

DATABASE = "nexuscore"
SERVICES_ACCOUNT = "nexuscore"
GATEWAY_ACCOUNT = "nexusgateway"
REPORTS_ACCOUNT = "nexusreport"
OLD_ACCOUNT = "nexuslogger"
"""Of microscope PCs in older releases: it could rewrite any session and read the configuration."""
GRANTS = Path(__file__).with_name("grants.sql")
SOCKET = "NEXUSCORE_MYSQL_SOCKET"
ADMINISTRATOR = "NEXUSCORE_MYSQL_ADMIN"
SERVER_CONNECT_SECONDS = 10
ACCESS_DENIED = (1044, 1045, 1698)
"""Error numbers of the server: no right to a database, wrong password, login by a wrong process."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ANYWHERE = "%"
"""The server's name for all hosts."""


class AdministratorRefused(NexusError):
    """The database server at {where} refuses its administrator ({reason}). Write a file that only you can read, with
    the lines [client], user=..., password=... and host=... or socket=..., and set NEXUSCORE_MYSQL_ADMIN to its path.
    """  # noqa: D205  the docstring of an error is the message


class NoTLS(NexusError):
    """The database server at {where} offers no TLS, which users from other machines must use. Set TLS up on the
    server (docs/databases.md), and run this again.
    """  # noqa: D205


class SettingsTaken(NexusError):
    """The settings file {path} already has another database ({found}). Move the file away, and run this again."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the database server, and the settings file that holds its password."""

    url: DatabaseURL
    hosts: tuple[str, ...]
    """The hosts from which the user may log in, as the server names them."""
    file: Path
    changed: bool
    """Whether the password is new."""

    def demands_tls(self, host: str) -> bool:
        """Return whether the user must use TLS from a host: from all hosts except this machine."""
        return host == ANYWHERE

    @property
    def names(self) -> str:
        """The user at each of its hosts, for a GRANT statement."""
        return ", ".join(f"'{self.url.user}'@'{host}'" for host in self.hosts)


# -- the server ----------------------------------------------------------------------------------------------------


def administrator(environment: Mapping[str, str]) -> DatabaseURL:
    """Return the login of the server's administrator: from the file named in the environment, or root at a socket."""
    client: dict[str, str] = {}
    name = environment.get(ADMINISTRATOR)
    if name:
        path = Path(name)
        parser = ConfigParser(interpolation=None, allow_no_value=True, strict=False)
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            parser.read_string(path.read_text("utf-8"))
            client = {key: (value or "").strip("'\"") for key, value in parser["client"].items()}
        except (OSError, ConfigParserError, KeyError) as error:
            raise SettingsUnreadable(path=path, reason=f"it is not a MySQL option file ({error})") from None
        if mode & 0o077:
            raise SettingsRefused(path=path, mode=f"{mode:04o}")
    place = environment.get(SOCKET) or client.get("socket")
    options = {name: client.get(name.replace("_", "-"), client.get(name, "")) for name in settings.FILE_OPTIONS}
    options["unix_socket"] = place or ""
    return DatabaseURL(
        kind="mysql",
        name=DATABASE,
        host=client.get("host", "localhost"),
        port=int(client.get("port", 3306)),
        user=client.get("user", "root"),
        password=client.get("password", ""),
        options=tuple(sorted((name, value) for name, value in options.items() if value)),
    )


@contextmanager
def connected(url: DatabaseURL, *, database: bool = True) -> Iterator[Any]:
    """Open a connection and yield its cursor; every statement commits by itself."""
    name = {"database": url.name} if database else {}
    connection = open_connection(url, seconds=SERVER_CONNECT_SECONDS, **name)
    with closing(connection), connection.cursor() as cursor:
        yield cursor


def works(url: DatabaseURL) -> bool:
    """Return whether a user can log in with its password."""
    import mysql.connector

    try:
        with connected(url, database=False):
            return True
    except (mysql.connector.Error, NexusError):
        return False


def exists(cursor: Any, user: str) -> bool:
    """Return whether the server has a user of this name."""
    cursor.execute("SELECT COUNT(*) FROM `mysql`.`user` WHERE `user` = %s", (user,))
    return bool(cursor.fetchone()[0])


def create_account(cursor: Any, account: Account) -> None:
    """Create a user at each of its hosts, with its password."""
    cursor.execute("SELECT VERSION()")
    if "MariaDB" in cursor.fetchone()[0]:
        # MariaDB logs statements with their passwords, so it gets the hash that it would compute.
        digest = hashlib.sha1(hashlib.sha1(account.url.password.encode()).digest()).hexdigest()  # noqa: S324  MariaDB's own scheme
        how, secret = "IDENTIFIED BY PASSWORD", f"*{digest.upper()}"
    else:
        how, secret = "IDENTIFIED BY", account.url.password
    for host in account.hosts:
        # Both, because CREATE does not change the password of an existing user.
        for verb in ("CREATE USER IF NOT EXISTS", "ALTER USER"):
            cursor.execute(f"{verb} %s@%s {how} %s", (account.url.user, host, secret))
        need = "SSL" if account.demands_tls(host) else "NONE"
        cursor.execute(f"ALTER USER %s@%s REQUIRE {need}", (account.url.user, host))


def grants(services: Account, gateway: Account, reports: Account) -> list[str]:
    """Return the statements of grants.sql for the accounts."""
    text = re.sub(r"--[^\n]*", "", GRANTS.read_text("utf-8"))
    for mark, login in (("@SERVICES@", services), ("@GATEWAY@", gateway), ("@REPORTS@", reports)):
        text = text.replace(mark, login.names)
    return [statement.strip() for statement in text.split(";") if statement.strip()]


def remove_account(cursor: Any, user: str) -> bool:
    """Remove a user from all hosts, and end its connections; return whether there was one."""
    import mysql.connector

    cursor.execute("SELECT `host` FROM `mysql`.`user` WHERE `user` = %s", (user,))
    hosts = [host for (host,) in cursor.fetchall()]
    for host in hosts:
        cursor.execute("DROP USER IF EXISTS %s@%s", (user, host))
    # What is connected would keep its rights.
    cursor.execute("SELECT `id` FROM `information_schema`.`processlist` WHERE `user` = %s", (user,))
    for (number,) in cursor.fetchall():
        with suppress(mysql.connector.Error):  # it has just gone by itself
            cursor.execute(f"KILL {int(number)}")
    return bool(hosts)


def listens_here_only(cursor: Any) -> bool:
    """Return whether the server accepts connections only from this machine."""
    cursor.execute("SHOW GLOBAL VARIABLES WHERE `variable_name` IN ('bind_address', 'skip_networking')")
    values = dict(cursor.fetchall())
    return values.get("bind_address") in LOOPBACK or values.get("skip_networking") == "ON"


# -- the settings files --------------------------------------------------------------------------------------------


def account(
    default: DatabaseURL, hosts: tuple[str, ...], file: Path, *, new_password: bool, door: DatabaseURL
) -> Account:
    """Return a user with the password of its settings file if that works, else with a new password.

    Other parts of the address in the file are kept, such as the server's name for other machines. The password is tried
    at `door`, the address of the server from this machine.
    """
    url = default
    if file.exists():
        existing = settings.load({}, (file,)).main
        if not existing.embedded:
            if (existing.kind, existing.user, existing.name) != (default.kind, default.user, default.name):
                raise SettingsTaken(path=file, found=existing)
            url = existing
    login = replace(door, user=url.user, password=url.password)
    changed = new_password or not url.password or not works(login)
    if changed:
        # The end satisfies servers with rules for passwords: a capital, a digit, a special character.
        url = replace(url, password=f"{secrets.token_urlsafe(24)}-A1a")
    return Account(url=url, hosts=hosts, file=file, changed=changed)


def address(url: DatabaseURL, folder: Path) -> str:
    """Return a URL for a settings file in a folder, with the password; paths of files in this folder become names."""
    options = "&".join(f"{key}={quote(_beside(key, value, folder), safe='/')}" for key, value in url.options)
    account = f"{quote(url.user, safe='')}:{quote(url.password, safe='')}"
    return f"mysql://{account}@{','.join(url.addresses)}/{url.name}" + (f"?{options}" if options else "")


def _beside(name: str, value: str, folder: Path) -> str:
    path = Path(value)
    return path.name if name in settings.FILE_OPTIONS and path.parent == folder.absolute() else value


def write_settings(path: Path, url: DatabaseURL, owner: str) -> bool:
    """Write a database's address into a settings file that only `owner` can read; return whether it changed."""
    line = f'NEXUSCORE_DATABASE = "{address(url, path.parent)}"\n'
    old = path.read_text("utf-8") if path.exists() else ""
    pattern = re.compile(r"^NEXUSCORE_DATABASE\s*=.*\n?", re.MULTILINE)
    new = pattern.sub(lambda _: line, old, count=1) if pattern.search(old) else line + old
    if new != old:
        # Atomic; other users cannot read it at any time.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        Path(name).write_text(new, "utf-8")
        Path(name).replace(path)
    path.chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(path, owner, pwd.getpwnam(owner).pw_gid)
    return new != old


# -- set-up --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServerConfiguration:
    """How to extend the server's configuration; known only for the server of this system."""

    folder: Path
    """Folder of files that the server reads."""
    restart: tuple[str, ...]
    """Command that restarts the server."""
    user: str
    """User of the server process."""


def set_up(
    admin: DatabaseURL,
    folder: Path,
    owner: str,
    *,
    new_passwords: bool = False,
    configuration: ServerConfiguration | None = None,
) -> None:
    """Create or update database, tables, users and settings files, and print each step."""
    local = bool(admin.unix_socket)
    own_hosts = _own_hosts(admin)
    services = account(
        replace(admin, user=SERVICES_ACCOUNT, password=""),
        own_hosts,
        folder / "nexuscore.toml",
        new_password=new_passwords,
        door=admin,
    )
    here = next(
        (name for name in (socket.getfqdn(), socket.gethostname()) if not name.startswith("localhost")), "localhost"
    )
    # If an anonymous user exists, a user at '%' cannot log in from the server's own machine.
    everywhere = tuple(dict.fromkeys((ANYWHERE, "localhost", *own_hosts)))
    gateway = account(
        replace(admin, user=GATEWAY_ACCOUNT, password=""),
        everywhere,
        folder / "nexuscore-gateway.toml",
        new_password=new_passwords,
        door=admin,
    )
    reports = account(
        replace(admin, user=REPORTS_ACCOUNT, password="", host=here if local else admin.host, options=()),
        everywhere,
        folder / "nexuscore-report.toml",
        new_password=new_passwords,
        door=admin,
    )
    reports = replace(reports, url=_with_tls(admin, reports.url, folder, configuration))
    logins = (services, gateway, reports)
    replaced = _create(admin, logins)
    step("Creating or updating the tables")
    migrate(admin)
    declare_all(admin)
    step("Granting rights to the users")
    with connected(admin) as cursor:
        for login in (gateway, reports):
            for host in login.hosts:  # rights that another release gave
                cursor.execute("REVOKE ALL PRIVILEGES, GRANT OPTION FROM %s@%s", (login.url.user, host))
        for statement in grants(services, gateway, reports):
            cursor.execute(statement)
        closed = listens_here_only(cursor)
    for login in logins:
        changed = write_settings(login.file, login.url, owner)
        step(
            f"{'Writing' if changed else 'Keeping'} {login.file}: the address and password of the user {login.url.user}"
        )
        with connected(replace(admin, user=login.url.user, password=login.url.password)) as cursor:
            cursor.execute("SELECT `version_num` FROM `alembic_version`")
            cursor.fetchall()
    say(f"\nThe tools and services on this machine now use this database, for users who can read {services.file}.")
    say(f"The Gateway needs only {gateway.file}: NEXUSCORE_SETTINGS names it (docs/gateway.md).")
    say(f"For reports on other machines, copy {reports.file}; it may read everything but secrets.")
    authority = reports.url.tls.ca
    if authority is not None and Path(authority).parent == folder.absolute():
        say(f"Copy {authority} to the same folder: it identifies this server.")
    for user in replaced:
        say(f"The password of {user} is new: restart running services, and replace copies of its settings file.")
    if local and closed:
        say("The server accepts only this machine. For reports on other machines, set bind-address in its")
        say("configuration (on Debian: /etc/mysql/mariadb.conf.d/50-server.cnf) and restart it.")


def _create(admin: DatabaseURL, logins: Sequence[Account]) -> list[str]:
    """Create the database and the users, and remove that of older releases; return the users whose password is new."""
    step(f"Creating the database {DATABASE} and its users {', '.join(login.url.user for login in logins)}, if missing")
    with connected(admin, database=False) as cursor:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{DATABASE}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        replaced = [login.url.user for login in logins if login.changed and exists(cursor, login.url.user)]
        for login in logins:
            create_account(cursor, login)
        if remove_account(cursor, OLD_ACCOUNT):
            step(f"Removing the user {OLD_ACCOUNT}: microscope PCs report their sessions to the Gateway now, without a")
            say("    user of the database (docs/gateway.md). Delete its settings file, nexuscore-logger.toml here and")
            say("    nexuscore.toml on the PCs.")
    return replaced


def _own_hosts(admin: DatabaseURL) -> tuple[str, ...]:
    """Return the server's names for this machine if it is a local server; any host otherwise."""
    if admin.unix_socket:
        return ("localhost",)
    if admin.host not in LOOPBACK:
        return (ANYWHERE,)
    with connected(admin, database=False) as cursor:
        # 127.0.0.1, unless the server is in a container or at the end of a tunnel.
        cursor.execute("SELECT SUBSTRING_INDEX(USER(), '@', -1)")
        return tuple(dict.fromkeys(("localhost", str(cursor.fetchone()[0]))))


def _with_tls(
    admin: DatabaseURL, remote: DatabaseURL, folder: Path, configuration: ServerConfiguration | None
) -> DatabaseURL:
    """Make the server offer TLS; return the address for other machines, with the options that require TLS."""
    with connected(admin, database=False) as cursor:
        offered = server_tls.offers_tls(cursor)
    authority = folder.absolute() / server_tls.CA
    if not offered and not admin.unix_socket:
        if admin.host not in LOOPBACK:
            raise NoTLS(where=admin)
        say("The server offers no TLS, so only this machine can log in. To set TLS up: docs/databases.md")
        return remote
    if not offered:
        names = [remote.host, socket.getfqdn(), socket.gethostname(), *LOOPBACK[::-1]]
        files = server_tls.ServerFiles(folder.absolute() / "tls" if configuration is None else configuration.folder)
        if not files.complete or not authority.exists():
            step(f"Creating a certificate for the server in {files.folder}, because other machines must use TLS")
            server_tls.make_certificate(files.folder, names)
            shutil.copy(files.folder / server_tls.CA, authority)
        if configuration is None:
            say(
                "The server does not use its certificate yet; other machines cannot log in before it does. Make the key"
            )
            say(f"{files.folder / server_tls.KEY} readable for the server's user, and add this to its configuration:")
            say(f"\n{files.configuration}")
        else:
            written = server_tls.configure(files, configuration.folder, configuration.user)
            step(f"Restarting the server, which reads {written}")
            server_tls.restart(configuration.restart, files, written, lambda: works(admin))
    known = dict(remote.options)
    if authority.exists() and "ssl_ca" not in known:
        known["ssl_ca"] = str(authority)
    elif not known:
        known["ssl_mode"] = "required"
    return replace(remote, options=tuple(sorted(known.items())))


def say(text: str) -> None:
    """Print a line."""
    print(text, flush=True)


def step(text: str) -> None:
    """Print the next step."""
    say(f"==> {text}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the set-up."""
    import mysql.connector

    parser = argparse.ArgumentParser(prog="./install.sh mysql", description="Set up NexusCore's database on a server.")
    parser.add_argument("--folder", type=Path, required=True, help="folder for the settings files")
    parser.add_argument("--owner", required=True, help="owner of the settings files")
    parser.add_argument("--new-passwords", action="store_true", help="replace working passwords too")
    parser.add_argument("--server-folder", type=Path, help="folder of the server's configuration files")
    parser.add_argument("--server-restart", default="", help="command that restarts the server, with commas for spaces")
    parser.add_argument("--server-user", default="mysql", help="user of the server process")
    arguments = parser.parse_args(argv)
    try:
        admin = administrator(os.environ)
        try:
            with connected(admin, database=False) as cursor:
                cursor.execute("SELECT @@port")
                port = int(cursor.fetchone()[0])
        except mysql.connector.Error as error:
            refused = AdministratorRefused if error.errno in ACCESS_DENIED else DatabaseUnreachable
            raise refused(where=admin, reason=error) from None
        if admin.unix_socket:
            admin = replace(admin, port=port)
        configuration = None
        if arguments.server_folder and arguments.server_restart:
            restart = tuple(arguments.server_restart.split(","))
            configuration = ServerConfiguration(arguments.server_folder, restart, arguments.server_user)
        set_up(
            admin,
            arguments.folder,
            arguments.owner,
            new_passwords=arguments.new_passwords,
            configuration=configuration,
        )
    except (NexusError, mysql.connector.Error, OSError) as error:
        print(f"install.sh: {sentence_of(error)}", file=sys.stderr)
        return getattr(error, "exit_code", 1)
    return 0


if __name__ == "__main__":
    sys.exit(reported(main))
