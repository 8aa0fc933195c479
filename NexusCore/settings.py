"""Where the databases are and where this process may write: the few things that cannot come from a database.

Read from TOML files (`/etc/nexuscore/nexuscore.toml`, or in the folder that `NEXUSCORE_ETC` names instead; the user's
configuration folder; the file named by
`NEXUSCORE_SETTINGS`), each overriding the one before, and from environment variables of the same names, which win.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from NexusCore.errors import BadDatabaseURL, SettingsRefused, SettingsUnreadable

KEYS = (
    "NEXUSCORE_DATABASE",
    "NEXUSCORE_DATABASE_CONFIG",
    "NEXUSCORE_DATABASE_STATUS",
    "NEXUSCORE_DATABASE_LOG",
    "NEXUSCORE_HOME",
    "NEXUSCORE_JOURNAL_SIZE",
)
JOURNAL_SIZE = 512
"""Mebibytes that the journal for one database may take while that is away, where nothing else is said."""
SETTINGS_FILE = "NEXUSCORE_SETTINGS"
MYSQL_OPTIONS = frozenset({"unix_socket", "ssl_ca", "ssl_disabled"})
"""Options of the driver that may stand behind the ``?`` of a MySQL URL."""


@dataclass(frozen=True, slots=True)
class DatabaseURL:
    """A database address, taken apart. Its text never shows the password."""

    kind: str
    """``mysql`` or ``sqlite``."""
    name: str
    """Name of the MySQL database, or path of the SQLite file."""
    host: str = ""
    port: int = 3306
    user: str = ""
    password: str = ""
    options: tuple[tuple[str, str], ...] = ()
    embedded: bool = False
    """The default that nobody chose: it may be created on first use."""

    def __str__(self) -> str:
        if self.kind == "sqlite":
            return f"sqlite:///{self.name}"
        socket = dict(self.options).get("unix_socket")
        return f"mysql://{self.user}@{socket or f'{self.host}:{self.port}'}/{self.name}"

    def __repr__(self) -> str:
        return f"<DatabaseURL {self}>"

    @property
    def place(self) -> str:
        """The database without user and password: two URLs of one place hold the same rows."""
        if self.kind == "sqlite":
            return f"sqlite:{self.name}"
        return f"mysql:{dict(self.options).get('unix_socket') or f'{self.host}:{self.port}'}/{self.name}"

    @property
    def fingerprint(self) -> str:
        """A short name of the place, for files that belong to that database alone."""
        import hashlib

        return hashlib.sha256(self.place.encode()).hexdigest()[:12]

    @classmethod
    def parse(cls, text: str, where: str = "the argument") -> DatabaseURL:
        """Take a URL apart.

        Parameters
        ----------
        text
            ``mysql://user:password@host:3306/database`` (parts percent-encoded where they need it; options
            ``?unix_socket=``, ``ssl_ca=``, ``ssl_disabled=``) or ``sqlite:////absolute/path``.
        where
            Where the URL stands, for the error's sentence.

        Raises
        ------
        BadDatabaseURL
            If it is anything else; the sentence never repeats the password.
        """
        scheme, _, _ = text.partition("://")
        if scheme == "sqlite":
            path = unquote(text.removeprefix("sqlite:///"))
            if not text.startswith("sqlite:///") or not path:
                raise BadDatabaseURL(where=where, reason="after sqlite: come three slashes and the path of a file")
            return cls(kind="sqlite", name=str(Path(path).expanduser().absolute()))
        if scheme not in ("mysql", "mariadb"):
            shown = scheme if "://" in text and "@" not in scheme else "something else"
            raise BadDatabaseURL(where=where, reason=f"it starts with {shown!r}, not with mysql:// or sqlite:///")
        try:
            parts = urlsplit(text)
            port = parts.port or 3306
        except ValueError:
            raise BadDatabaseURL(
                where=where, reason="host or port cannot be read (are special characters of the password %-encoded?)"
            ) from None
        options = tuple(sorted(parse_qsl(parts.query)))
        unknown = {key for key, _ in options} - MYSQL_OPTIONS
        if unknown:
            raise BadDatabaseURL(where=where, reason=f"it has an unknown option {sorted(unknown)[0]!r}")
        path = parts.path.strip("/")
        if not path:
            raise BadDatabaseURL(where=where, reason="it names no database after the host")
        if "/" in path or "@" in path:  # the end of a password, which would then be shown as the database's name
            raise BadDatabaseURL(
                where=where, reason="after the host comes one name (are special characters of the password %-encoded?)"
            )
        return cls(
            kind="mysql",
            name=unquote(path),
            host=parts.hostname or "localhost",
            port=port,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            options=options,
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process needs to know before it has a database."""

    config: DatabaseURL
    status: DatabaseURL
    log: DatabaseURL
    main: DatabaseURL
    """The facility's own tables: sessions, reservations, records."""
    home: Path
    """Folder for the embedded database, journals and snapshots."""
    journal_size: int = JOURNAL_SIZE * 1024 * 1024
    """Bytes that the journal for one database may take while that is away."""

    @property
    def databases(self) -> tuple[DatabaseURL, ...]:
        """The distinct databases, the main one first."""
        return tuple(dict.fromkeys((self.main, self.config, self.status, self.log)))


def load(environment: Mapping[str, str] | None = None, files: tuple[Path, ...] | None = None) -> Settings:
    """Read the settings.

    Parameters
    ----------
    environment
        Variables that override the files; the process's own by default.
    files
        Settings files from weakest to strongest; the usual places by default.

    Raises
    ------
    SettingsRefused, SettingsUnreadable, BadDatabaseURL
        With a sentence that names the file or variable at fault.
    """
    environment = os.environ if environment is None else environment
    found: dict[str, tuple[str, str]] = {}
    unreadable: Path | None = None
    named = environment.get(SETTINGS_FILE)
    for path in usual_files(environment) if files is None else files:
        try:
            found.update({key: (value, str(path)) for key, value in _read(path).items()})
        except FileNotFoundError:
            if named and path == Path(named):
                raise SettingsUnreadable(path=path, reason=f"{SETTINGS_FILE} names it, but it is not there") from None
        except PermissionError:
            unreadable = path
        except OSError as error:
            raise SettingsUnreadable(path=path, reason=error.strerror) from None
    found.update({key: (environment[key], f"the variable {key}") for key in KEYS if environment.get(key)})
    if unreadable and "NEXUSCORE_DATABASE" not in found:
        # Going on with the embedded database would show an operator an empty facility.
        raise SettingsUnreadable(path=unreadable, reason="this user may not read it, and nothing else names a database")
    # Absolute, because the process may go to another folder while its journals stay where they are.
    home = Path(found["NEXUSCORE_HOME"][0]).expanduser().absolute() if "NEXUSCORE_HOME" in found else default_home()
    if "NEXUSCORE_DATABASE" in found:
        main = DatabaseURL.parse(*found["NEXUSCORE_DATABASE"])
    else:
        main = DatabaseURL(kind="sqlite", name=str(home / "nexus.db"), embedded=True)
    config, status, log = (
        DatabaseURL.parse(*found[key]) if (key := f"NEXUSCORE_DATABASE_{role}") in found else main
        for role in ("CONFIG", "STATUS", "LOG")
    )
    return Settings(config, status, log, main, home, _journal_size(*found.get("NEXUSCORE_JOURNAL_SIZE", ("", ""))))


def _journal_size(text: str, where: str) -> int:
    if not text:
        return JOURNAL_SIZE * 1024 * 1024
    try:
        size = int(text)
    except ValueError:
        size = 0
    if size < 1:
        reason = f"NEXUSCORE_JOURNAL_SIZE is '{text}'; it takes a whole number of mebibytes, at least 1"
        raise SettingsUnreadable(path=where, reason=reason)
    return size * 1024 * 1024


def default_home() -> Path:
    """Return the platform's folder for a user's data of this program."""
    import platformdirs

    return Path(platformdirs.user_data_dir("nexuscore", appauthor=False))


def usual_files(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where settings files are looked for, from weakest to strongest; they need not exist."""
    import platformdirs

    named = environment.get(SETTINGS_FILE)
    places = [
        Path(environment.get("NEXUSCORE_ETC") or "/etc/nexuscore") / "nexuscore.toml",
        Path(platformdirs.user_config_dir("nexuscore", appauthor=False)) / "nexuscore.toml",
    ]
    return (*places, Path(named)) if named else tuple(places)


def _read(path: Path) -> dict[str, str]:
    """Return the keys of one settings file; refuse one whose password others can read."""
    mode = stat.S_IMODE(path.stat().st_mode)
    import tomllib  # most often there is no such file

    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except UnicodeDecodeError:
        raise SettingsUnreadable(path=path, reason="it is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsUnreadable(path=path, reason=f"it is not TOML: {error}") from None
    for key, value in values.items():
        if key not in KEYS:
            raise SettingsUnreadable(path=path, reason=f"it has an unknown key {key!r}; known are {', '.join(KEYS)}")
        if not isinstance(value, str):
            raise SettingsUnreadable(path=path, reason=f"the value of {key} is no text in quotes")
    if sys.platform != "win32" and mode & 0o077 and any(_has_password(value) for value in values.values()):
        raise SettingsRefused(path=path, mode=f"{mode:04o}")
    return values


def _has_password(value: str) -> bool:
    """Tell whether a URL holds a password, also when it cannot be parsed."""
    authority = value.partition("://")[2].rpartition("@")[0]
    return ":" in authority
