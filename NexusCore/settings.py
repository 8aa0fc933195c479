"""Where the databases are and where this process may write: the few things that cannot come from a database.

Read from TOML files (`/etc/nexuscore/nexuscore.toml`, or in the folder that `NEXUSCORE_ETC` names; the user's
configuration folder; the file named by `NEXUSCORE_SETTINGS`), each overriding the one before, and from environment
variables of the same names, which override the files.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from NexusCore.database_url import FILE_OPTIONS, DatabaseURL
from NexusCore.errors import BadDatabaseURL, NoHomeFolder, SettingsRefused, SettingsUnreadable

__all__ = ["FILE_OPTIONS", "BadDatabaseURL", "DatabaseURL", "Settings", "default_home", "load", "usual_files"]

KEYS = (
    "NEXUSCORE_DATABASE",
    "NEXUSCORE_DATABASE_CONFIG",
    "NEXUSCORE_DATABASE_STATUS",
    "NEXUSCORE_DATABASE_LOG",
    "NEXUSCORE_HOME",
    "NEXUSCORE_JOURNAL_SIZE",
    "NEXUSCORE_JOURNAL_SYNC",
)
JOURNAL_SIZE = 512
"""Mebibytes that the journal for one database may take while that is away, where nothing else is said."""
SETTINGS_FILE = "NEXUSCORE_SETTINGS"


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
    journal_sync: bool = False
    """Journals are written through to the disk itself before they are delivered."""

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
    values: dict[str, tuple[str, str]] = {}
    unreadable: Path | None = None
    named = environment.get(SETTINGS_FILE)
    for path in usual_files(environment) if files is None else files:
        try:
            values.update({key: (value, str(path)) for key, value in _read(path).items()})
        except FileNotFoundError:
            if named and path == Path(named):
                raise SettingsUnreadable(path=path, reason=f"{SETTINGS_FILE} names it, but it is not there") from None
        except PermissionError:
            unreadable = path
        except OSError as error:
            raise SettingsUnreadable(path=path, reason=error.strerror) from None
    values.update({key: (environment[key], f"the variable {key}") for key in KEYS if environment.get(key)})
    if unreadable and "NEXUSCORE_DATABASE" not in values:
        # The embedded database would show an operator an empty facility.
        raise SettingsUnreadable(path=unreadable, reason="this user may not read it, and nothing else names a database")
    home = _home(*values["NEXUSCORE_HOME"]) if "NEXUSCORE_HOME" in values else default_home()
    if "NEXUSCORE_DATABASE" in values:
        main = _url(*values["NEXUSCORE_DATABASE"])
    else:
        main = DatabaseURL(kind="sqlite", name=str(home / "nexus.db"), embedded=True)
    config, status, log = (
        _url(*values[key]) if (key := f"NEXUSCORE_DATABASE_{role}") in values else main
        for role in ("CONFIG", "STATUS", "LOG")
    )
    size = _journal_size(*values.get("NEXUSCORE_JOURNAL_SIZE", ("", "")))
    sync = _journal_sync(*values.get("NEXUSCORE_JOURNAL_SYNC", ("", "")))
    return Settings(config, status, log, main, home, size, sync)


def _url(text: str, where: str) -> DatabaseURL:
    # Paths in a file are relative to that file; paths in a variable must be absolute.
    return DatabaseURL.parse(text, where, Path(where).parent if not where.startswith("the variable ") else None)


def _home(text: str, where: str) -> Path:
    path = Path(text).expanduser()
    if path.is_absolute():
        return path
    if where.startswith("the variable "):  # each program would have the folder that it is started in
        reason = f"NEXUSCORE_HOME is '{text}', but must be an absolute path, such as {path.absolute()}"
        raise SettingsUnreadable(path=where, reason=reason)
    return (Path(where).parent / path).absolute()


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


def _journal_sync(text: str, where: str) -> bool:
    if text.lower() not in ("", "yes", "no"):
        raise SettingsUnreadable(path=where, reason=f"NEXUSCORE_JOURNAL_SYNC is '{text}'; it takes yes or no")
    return text.lower() == "yes"


def default_home() -> Path:
    """Return the platform's folder for a user's data of this program.

    Raises
    ------
    NoHomeFolder
        If this user has no home folder, as in a container that runs under a number without a name.
    """
    import platformdirs

    try:
        return Path(platformdirs.user_data_dir("nexuscore", appauthor=False))
    except RuntimeError as error:
        raise NoHomeFolder from error


def usual_files(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the paths of settings files, from weakest to strongest; they need not exist."""
    import platformdirs

    named = environment.get(SETTINGS_FILE)
    places = [
        Path(environment.get("NEXUSCORE_ETC") or "/etc/nexuscore") / "nexuscore.toml",
    ]
    with suppress(RuntimeError):  # this user has no home folder
        places.append(Path(platformdirs.user_config_dir("nexuscore", appauthor=False)) / "nexuscore.toml")
    return (*places, Path(named)) if named else tuple(places)


def _read(path: Path) -> dict[str, str]:
    """Return the keys of one settings file; refuse one whose password others can read."""
    mode = stat.S_IMODE(path.stat().st_mode)
    import tomllib  # imported only when there is a file

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
            raise SettingsUnreadable(path=path, reason=f"the value of {key} must be text in quotes")
    if sys.platform != "win32" and mode & 0o077 and any(_has_password(value) for value in values.values()):
        raise SettingsRefused(path=path, mode=f"{mode:04o}")
    return values


def _has_password(value: str) -> bool:
    """Return whether a URL contains a password, even if the URL cannot be parsed."""
    authority = value.partition("://")[2].rpartition("@")[0]
    return ":" in authority
