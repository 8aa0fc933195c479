"""Set up NexusCore's database on a MariaDB or MySQL server; ``./install.sh mysql`` runs this.

Creates the database, its tables and two users with generated passwords, and writes a settings file for each user. Run
again, it brings the tables up to date and keeps every password that works. A password stands in the settings files and
nowhere else: not on a command line, and not in the server's logs. Users who come from other machines must use TLS; a
server on this machine that has no certificate gets one.
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
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import server_tls
from set_defaults import set_defaults

from NexusCore import settings
from NexusCore.errors import DatabaseUnreachable, NexusError, SettingsRefused, SettingsUnreadable
from NexusCore.resources import reported, sentence_of
from NexusCore.settings import DatabaseURL
from NexusCore.storage.driver import open_connection
from NexusCore.storage.migrate import migrate

DATABASE = "nexuscore"
SERVICES_ACCOUNT = "nexuscore"
LOGGERS = "nexuslogger"
GRANTS = Path(__file__).with_name("grants.sql")
SOCKET = "NEXUSCORE_MYSQL_SOCKET"
ADMINISTRATOR = "NEXUSCORE_MYSQL_ADMIN"
SERVER_CONNECT_SECONDS = 10
ACCESS_DENIED = (1044, 1045, 1698)
"""Numbers of the server's errors: no right to a database, wrong password, no login without the right process."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
ANYWHERE = "%"
"""What the server calls all hosts."""


class AdministratorRefused(NexusError):
    """The database server at {where} does not accept its administrator ({reason}). Write a file that only you can read,
    with the lines [client], user=..., password=... and host=... or socket=..., and name it in NEXUSCORE_MYSQL_ADMIN.
    """  # noqa: D205  an error's docstring is one sentence or two, as the user reads them


class NoTLS(NexusError):
    """The database server at {where} offers no TLS, which users who come from other machines need. Set it up on the
    server, as docs/databases.md says, and run this again.
    """  # noqa: D205


class SettingsTaken(NexusError):
    """The settings file {path} already names another database ({found}). Move the file away and run this again."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the database server, and the settings file that holds its password."""

    url: DatabaseURL
    hosts: tuple[str, ...]
    """From where the user may log in, as the server writes it."""
    file: Path
    changed: bool
    """The password is new."""

    def demands_tls(self, host: str) -> bool:
        """Return whether the user must use TLS when it comes from a host: it does from any but this machine."""
        return host == ANYWHERE

    @property
    def names(self) -> str:
        """The user at each of its hosts, as a GRANT statement lists them."""
        return ", ".join(f"'{self.url.user}'@'{host}'" for host in self.hosts)


# -- the server ----------------------------------------------------------------------------------------------------


def administrator(environment: Mapping[str, str]) -> DatabaseURL:
    """Return how to log in as the server's administrator: the file named in the environment, or root at a socket."""
    found: dict[str, str] = {}
    name = environment.get(ADMINISTRATOR)
    if name:
        path = Path(name)
        parser = ConfigParser(interpolation=None, allow_no_value=True, strict=False)
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            parser.read_string(path.read_text("utf-8"))
            found = {key: (value or "").strip("'\"") for key, value in parser["client"].items()}
        except (OSError, ConfigParserError, KeyError) as error:
            raise SettingsUnreadable(path=path, reason=f"it is no defaults file of MySQL's ({error})") from None
        if mode & 0o077:
            raise SettingsRefused(path=path, mode=f"{mode:04o}")
    place = environment.get(SOCKET) or found.get("socket")
    options = {name: found.get(name.replace("_", "-"), found.get(name, "")) for name in settings.FILE_OPTIONS}
    options["unix_socket"] = place or ""
    return DatabaseURL(
        kind="mysql",
        name=DATABASE,
        host=found.get("host", "localhost"),
        port=int(found.get("port", 3306)),
        user=found.get("user", "root"),
        password=found.get("password", ""),
        options=tuple(sorted((name, value) for name, value in options.items() if value)),
    )


@contextmanager
def connected(url: DatabaseURL, *, database: bool = True) -> Iterator[Any]:
    """Open a connection and lend its cursor; every statement commits by itself."""
    name = {"database": url.name} if database else {}
    connection = open_connection(url, seconds=SERVER_CONNECT_SECONDS, **name)
    with closing(connection), connection.cursor() as cursor:
        yield cursor


def works(url: DatabaseURL) -> bool:
    """Tell whether a user can log in with its password."""
    import mysql.connector

    try:
        with connected(url, database=False):
            return True
    except (mysql.connector.Error, NexusError):
        return False


def exists(cursor: Any, user: str) -> bool:
    """Tell whether the server has a user of a name."""
    cursor.execute("SELECT COUNT(*) FROM `mysql`.`user` WHERE `user` = %s", (user,))
    return bool(cursor.fetchone()[0])


def create_account(cursor: Any, account: Account) -> None:
    """Create a user at each of its hosts, with its password."""
    cursor.execute("SELECT VERSION()")
    if "MariaDB" in cursor.fetchone()[0]:
        # MariaDB writes statements to its logs as they come, passwords and all, so it gets the hash it would make.
        digest = hashlib.sha1(hashlib.sha1(account.url.password.encode()).digest()).hexdigest()  # noqa: S324  its own scheme
        how, secret = "IDENTIFIED BY PASSWORD", f"*{digest.upper()}"
    else:
        how, secret = "IDENTIFIED BY", account.url.password
    for host in account.hosts:
        # Both, since CREATE leaves the password of a user that exists as it was.
        for verb in ("CREATE USER IF NOT EXISTS", "ALTER USER"):
            cursor.execute(f"{verb} %s@%s {how} %s", (account.url.user, host, secret))
        need = "SSL" if account.demands_tls(host) else "NONE"
        cursor.execute(f"ALTER USER %s@%s REQUIRE {need}", (account.url.user, host))


def grants(services: Account, loggers: Account) -> list[str]:
    """Return the statements of grants.sql for two accounts."""
    text = re.sub(r"--[^\n]*", "", GRANTS.read_text("utf-8"))
    text = text.replace("@SERVICES@", services.names).replace("@LOGGERS@", loggers.names)
    return [statement.strip() for statement in text.split(";") if statement.strip()]


def listens_here_only(cursor: Any) -> bool:
    """Tell whether the server hears this machine alone."""
    cursor.execute("SHOW GLOBAL VARIABLES WHERE `variable_name` IN ('bind_address', 'skip_networking')")
    values = dict(cursor.fetchall())
    return values.get("bind_address") in LOOPBACK or values.get("skip_networking") == "ON"


# -- the settings files --------------------------------------------------------------------------------------------


def account(
    default: DatabaseURL, hosts: tuple[str, ...], file: Path, *, new_password: bool, door: DatabaseURL
) -> Account:
    """Return a user with the password in its settings file, if that works, or with a new one.

    What else the file says of the address is kept: someone may have written the name by which others reach the server.
    `door` is how this machine reaches the server to try the password.
    """
    url = default
    if file.exists():
        found = settings.load({}, (file,)).main
        if not found.embedded:
            if (found.kind, found.user, found.name) != (default.kind, default.user, default.name):
                raise SettingsTaken(path=file, found=found)
            url = found
    tried = replace(door, user=url.user, password=url.password)
    changed = new_password or not url.password or not works(tried)
    if changed:
        # Passwords of this length need no rules, but a server may have some: a capital, a digit, a sign.
        url = replace(url, password=f"{secrets.token_urlsafe(24)}-A1a")
    return Account(url=url, hosts=hosts, file=file, changed=changed)


def address(url: DatabaseURL, folder: Path) -> str:
    """Return a URL as a settings file in a folder holds it, with the password; files beside it without their folder."""
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
        # Complete and closed to others before it has its name.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        Path(name).write_text(new, "utf-8")
        Path(name).replace(path)
    path.chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(path, owner, pwd.getpwnam(owner).pw_gid)
    return new != old


# -- the whole -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServerConfiguration:
    """How the server's own configuration can be added to; known of the system's own server alone."""

    folder: Path
    """Of files that the server reads."""
    restart: tuple[str, ...]
    """Command that restarts it."""
    user: str
    """Whom it runs as."""


def set_up(
    admin: DatabaseURL,
    folder: Path,
    owner: str,
    *,
    new_passwords: bool = False,
    configuration: ServerConfiguration | None = None,
) -> None:
    """Bring database, tables, users and settings files about, saying each step."""
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
    # A user at '%' does not count for connections from the server's own machine where an anonymous user exists.
    loggers = account(
        replace(admin, user=LOGGERS, password="", host=here if local else admin.host, options=()),
        tuple(dict.fromkeys((ANYWHERE, "localhost", *own_hosts))),
        folder / "nexuscore-logger.toml",
        new_password=new_passwords,
        door=admin,
    )
    loggers = replace(loggers, url=_with_tls(admin, loggers.url, folder, configuration))
    step(f"Creating the database {DATABASE} and its users {SERVICES_ACCOUNT} and {LOGGERS}, where they are missing")
    with connected(admin, database=False) as cursor:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{DATABASE}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        replaced = [login.url.user for login in (services, loggers) if login.changed and exists(cursor, login.url.user)]
        for login in (services, loggers):
            create_account(cursor, login)
    step("Creating the tables, or bringing them up to date")
    migrate(admin)
    set_defaults(admin)
    step("Granting each user what it needs")
    with connected(admin) as cursor:
        for statement in grants(services, loggers):
            cursor.execute(statement)
        closed = listens_here_only(cursor)
    for login in (services, loggers):
        changed = write_settings(login.file, login.url, owner)
        step(
            f"{'Writing' if changed else 'Keeping'} {login.file}: the address and password of the user {login.url.user}"
        )
        with connected(replace(admin, user=login.url.user, password=login.url.password)) as cursor:
            cursor.execute("SELECT `version_num` FROM `alembic_version`")
            cursor.fetchall()
    say(f"\nThe tools and services on this machine now use this database, for users who can read {services.file}.")
    say(f"For each microscope PC, copy {loggers.file} to it as nexuscore.toml; it may only write sessions.")
    authority = loggers.url.tls.ca
    if authority is not None and Path(authority).parent == folder.absolute():
        say(f"Copy {authority} beside it: that is what it knows this server by.")
    for user in replaced:
        say(f"The password of {user} is new: what has the old one (running services, files copied elsewhere) needs it.")
    if local and closed:
        say("The server hears this machine only. To let the microscope PCs in, set bind-address in its configuration")
        say("(on Debian: /etc/mysql/mariadb.conf.d/50-server.cnf) and restart it.")


def _own_hosts(admin: DatabaseURL) -> tuple[str, ...]:
    """Return what the server calls this machine, if it can be reached without leaving it; any host otherwise."""
    if admin.unix_socket:
        return ("localhost",)
    if admin.host not in LOOPBACK:
        return (ANYWHERE,)
    with connected(admin, database=False) as cursor:
        # 127.0.0.1, unless the server is in a container or at the end of a tunnel.
        cursor.execute("SELECT SUBSTRING_INDEX(USER(), '@', -1)")
        return tuple(dict.fromkeys(("localhost", str(cursor.fetchone()[0]))))


def _with_tls(
    admin: DatabaseURL, loggers: DatabaseURL, folder: Path, configuration: ServerConfiguration | None
) -> DatabaseURL:
    """See to it that the server offers TLS; return the microscope PCs' address with what they need to insist on it."""
    with connected(admin, database=False) as cursor:
        offered = server_tls.offers_tls(cursor)
    authority = folder.absolute() / server_tls.CA
    if not offered and not admin.unix_socket:
        if admin.host not in LOOPBACK:
            raise NoTLS(where=admin)
        say("The server offers no TLS, so only this machine can log in: docs/databases.md says how it is set up.")
        return loggers
    if not offered:
        names = [loggers.host, socket.getfqdn(), socket.gethostname(), *LOOPBACK[::-1]]
        files = server_tls.ServerFiles(folder.absolute() / "tls" if configuration is None else configuration.folder)
        if not files.complete or not authority.exists():
            step(
                f"Making a certificate for the server, in {files.folder}: it has none, and other machines must use TLS"
            )
            server_tls.make_certificate(files.folder, names)
            shutil.copy(files.folder / server_tls.CA, authority)
        if configuration is None:
            say("The server does not use its certificate yet, and other machines cannot log in before it does. Let the")
            say(f"server's user read {files.folder / server_tls.KEY}, add this to its configuration, and restart it:")
            say(f"\n{files.configuration}")
        else:
            written = server_tls.configure(files, configuration.folder, configuration.user)
            step(f"Restarting the server, which reads {written}")
            server_tls.restart(configuration.restart, files, written, lambda: works(admin))
    known = dict(loggers.options)
    if authority.exists() and "ssl_ca" not in known:
        known["ssl_ca"] = str(authority)
    elif not known:
        known["ssl_mode"] = "required"
    return replace(loggers, options=tuple(sorted(known.items())))


def say(text: str) -> None:
    """Print a line."""
    print(text, flush=True)


def step(text: str) -> None:
    """Print what is about to be done."""
    say(f"==> {text}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the set-up."""
    import mysql.connector

    parser = argparse.ArgumentParser(prog="./install.sh mysql", description="Set up NexusCore's database on a server.")
    parser.add_argument("--folder", type=Path, required=True, help="where the settings files are written")
    parser.add_argument("--owner", required=True, help="the user who shall own them")
    parser.add_argument("--new-passwords", action="store_true", help="replace passwords that work, too")
    parser.add_argument("--server-folder", type=Path, help="a folder of files that the server reads its settings from")
    parser.add_argument("--server-restart", default="", help="command that restarts it, with commas for spaces")
    parser.add_argument("--server-user", default="mysql", help="the user that the server runs as")
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
