r"""The settings of this computer: the Gateway and the token, and where the outbox is.

They are in an INI file, for Python 3.8 reads no TOML: the path in ``NEXUSCORE_LOGGER_SETTINGS``, else
``C:\ProgramData\NexusCore\logger.ini`` on Windows and ``/etc/nexuscore/logger.ini`` elsewhere::

    [gateway]
    url = https://nexus.example.org:8470
    token = (what SessionTool token make printed)
    certificates = C:\ProgramData\NexusCore\facility-ca.pem

    [share]
    path = \\files.example.org\data
"""

from __future__ import annotations

import configparser
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping
from urllib.parse import urlsplit

VARIABLE = "NEXUSCORE_LOGGER_SETTINGS"
HOME_VARIABLE = "NEXUSCORE_LOGGER_HOME"
_KNOWN = {"gateway": {"url", "token", "certificates"}, "logger": {"home"}, "share": {"path"}}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class WrongSettings(Exception):
    """The settings of this computer cannot be used; the text is a sentence with the file and what to do."""


@dataclass(frozen=True)
class PCSettings:
    """What is set on this computer."""

    home: Path
    """Folder of the outbox, shared by the users of this computer."""
    path: Path
    """Where these settings are, or can be put."""
    url: str = ""
    """Address of the Gateway; empty: the database is reached from here, see `Logger.database_facility`."""
    token: str = ""
    certificates: str = ""
    """Path of the certificates to trust; empty: the usual ones."""
    share: str = ""
    """Path of the file share to look at when a session starts and ends; empty: none."""

    def __repr__(self) -> str:
        """Return the settings without the token."""
        return f"PCSettings(home={str(self.home)!r}, url={self.url!r}, certificates={self.certificates!r})"


def load(environment: Mapping[str, str] = os.environ) -> PCSettings:
    """Return the settings of this computer.

    Raises
    ------
    WrongSettings
        If the file cannot be read or has a mistake.
    """
    folder = _folder(environment)
    path = Path(environment.get(VARIABLE) or folder / "logger.ini")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        found = parser.read(str(path), "utf-8-sig")
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        raise WrongSettings(f"The settings {path} cannot be read: {error}") from error
    if not found and environment.get(VARIABLE):
        raise WrongSettings(f"The settings {path}, named in {VARIABLE}, do not exist.")
    _check_names(parser, path)
    home = Path(environment.get(HOME_VARIABLE) or parser.get("logger", "home", fallback="") or _home(environment))
    share = parser.get("share", "path", fallback="").strip()
    if not parser.has_section("gateway"):
        return PCSettings(home, path, share=share)
    settings = PCSettings(
        home,
        path,
        parser.get("gateway", "url", fallback="").strip(),
        parser.get("gateway", "token", fallback="").strip(),
        parser.get("gateway", "certificates", fallback="").strip(),
        share,
    )
    _check(settings, path)
    return settings


class PresentToken:
    """Returns the token of this computer as the settings have it now: a revoked one is replaced while a logger runs.

    Parameters
    ----------
    settings
        As they were read; while the file cannot be read, or has a mistake, their token counts.
    """

    def __init__(self, settings: PCSettings) -> None:
        self._settings = settings
        self._seen = _changed(settings.path)

    def __call__(self) -> str:
        """Return it; the file is read only if it has changed."""
        seen = _changed(self._settings.path)
        if seen != self._seen:
            self._seen = seen
            try:
                self._settings = load({**os.environ, VARIABLE: str(self._settings.path)})
            except WrongSettings:
                self._seen = None  # perhaps it is being written
        return self._settings.token


def _changed(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def check_complete(settings: PCSettings) -> None:
    """Check that the facility can be reached with these settings.

    Raises
    ------
    WrongSettings
        If there is neither a Gateway in them nor NexusCore on this computer, which could reach the database.
    """
    if settings.url and importlib.util.find_spec("requests") is None:
        raise WrongSettings("The Python of this computer lacks the package requests: pip install requests")
    if not settings.url and importlib.util.find_spec("NexusCore") is None:
        raise WrongSettings(
            f"This computer does not know the facility's Gateway. Write into {settings.path}: [gateway], and below it "
            "url = https://host:8470 and token = (what SessionTool token make prints on the server)."
        )


def _check_names(parser: configparser.ConfigParser, path: Path) -> None:
    for section in parser.sections():
        if section not in _KNOWN:
            raise WrongSettings(f"{path} has a section [{section}]; the logger knows {_listed(_KNOWN)}.")
        for name in parser[section]:
            if name not in _KNOWN[section]:
                known = ", ".join(sorted(_KNOWN[section]))
                raise WrongSettings(f"{path} sets '{name}' in [{section}]; known there: {known}.")


def _check(settings: PCSettings, path: Path) -> None:
    parts = urlsplit(settings.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise WrongSettings(f"url in {path} is '{settings.url}'; write it as https://host:8470.")
    if parts.path.strip("/") or parts.query:
        raise WrongSettings(f"url in {path} is '{settings.url}'; leave out what follows the port.")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise WrongSettings(
            f"url in {path} is '{settings.url}': without https the token could be read in the network. Use https."
        )
    if not settings.token:
        raise WrongSettings(f"token is missing in {path}; on the server, make one with SessionTool token make.")
    if settings.certificates and not Path(settings.certificates).is_file():
        raise WrongSettings(f"certificates in {path} names the file {settings.certificates}, which does not exist.")


def _listed(sections: Mapping[str, object]) -> str:
    return " and ".join(f"[{name}]" for name in sections)


def _folder(environment: Mapping[str, str]) -> Path:
    if sys.platform == "win32":
        return Path(environment.get("PROGRAMDATA", "C:\\ProgramData")) / "NexusCore"
    return Path("/etc/nexuscore")


def _home(environment: Mapping[str, str]) -> Path:
    if sys.platform == "win32":
        return _folder(environment) / "logger"
    shared = Path("/var/lib/nexuscore-logger")
    if shared.is_dir() and os.access(str(shared), os.W_OK):
        return shared
    # Not shared with other users, but better than none.
    return Path(environment.get("XDG_DATA_HOME") or Path(environment.get("HOME", "/tmp")) / ".local/share") / (  # noqa: S108
        "nexuscore-logger"
    )
