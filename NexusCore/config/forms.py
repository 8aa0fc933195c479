"""Forms of texts in the configuration: what an address, a path or a time zone must look like to be of use."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import PureWindowsPath
from urllib.parse import urlsplit

from NexusCore.text import suggest

URL, PATH, LOCATION, ZONE, IP, NETWORKS, PC_PATH, MOMENT, LOG_FILE = (
    "url", "path", "location", "zone", "ip", "networks", "pc_path", "moment", "log_file",
)  # fmt: skip
_HOST = re.compile(r"[^\s/?#@]+")
_MOST_PORT = 65_535


def violation(form: str, text: str) -> str | None:
    """Return what is wrong with a text that must have a form; None if nothing is. An empty text has every form.

    Parameters
    ----------
    form
        A key of `FORMS`.
    text
        The value.
    """
    return FORMS[form](text) if text.strip() else None


def nearest(text: str, known: Iterable[object]) -> str:
    """Return " (did you mean ...?)" with what is most like a text, in any case, for the end of a reason; or nothing."""
    by_small = {str(choice).lower(): str(choice) for choice in known}
    suggestion = suggest(text.lower(), by_small)
    match = re.search("'(.*)'", suggestion)
    return f" (did you mean '{by_small[match[1]]}'?)" if match else ""


def _url(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "it is not a URL such as https://example.org"
    if parts.scheme.lower() not in ("http", "https"):
        return "it must be a URL that begins with https:// or http://"
    if not parts.hostname or not _HOST.fullmatch(parts.hostname) or re.search(r"\s", text.strip()):
        return "it is a URL without a valid host"
    return "the port of a URL is 1 to 65535" if port is not None and not 0 < port <= _MOST_PORT else None


def _path(text: str) -> str | None:
    if text.startswith(("/", "~")) or PureWindowsPath(text).is_absolute():
        return None
    return "it must be an absolute path; services run in other folders than you"


def _log_file(text: str) -> str | None:
    wrong = next((part for part in re.findall(r"\{[^{}]*\}", text) if part != "{program}"), None)
    return _path(text) if wrong is None else f"a log file has no {wrong} in its name; did you mean {{program}}?"


def _location(text: str) -> str | None:
    scheme, separator, rest = text.partition("://")
    if not separator:
        if _path(text) is None:
            return None
        host = text.partition("/")[0]
        # A name such as calendar.csv is as likely a file: only what has a path after its host is taken for a URL.
        hint = f"; did you mean https://{text}?" if "/" in text and "." in host.strip(".") else ""
        return f"it must be a URL (https://...) or the absolute path of a file{hint}"
    if scheme.lower() == "file":
        return None if rest.startswith("/") else "a URL of a file is file:///path"
    return _url(text)


def _zone(text: str) -> str | None:
    from zoneinfo import ZoneInfo, available_timezones

    with suppress(OSError, ValueError, KeyError):  # a folder of zones, an impossible name, an unknown one
        ZoneInfo(text)
        return None
    return f"it is not a time zone such as Europe/Oslo{nearest(text, available_timezones())}"


def _ip(text: str) -> str | None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return "it is not an IP address"
    return None


def _networks(text: str) -> str | None:
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            ipaddress.ip_network(part)
        except ValueError:
            return f"'{part}' is neither an IP address nor a network"
    return None


def _pc_path(text: str) -> str | None:
    if PureWindowsPath(text).drive or text.startswith(("/", "\\", "~")):
        return None
    return "it must be an absolute path on the PC, such as D:/Data"


def _moment(text: str) -> str | None:
    from datetime import datetime

    try:
        datetime.fromisoformat(text)
    except ValueError:
        return "it is not a time such as 2026-12-01T08:00"
    return None


FORMS: dict[str, Callable[[str], str | None]] = {
    URL: _url, PATH: _path, LOCATION: _location, ZONE: _zone, IP: _ip, NETWORKS: _networks, PC_PATH: _pc_path,
    MOMENT: _moment, LOG_FILE: _log_file,
}  # fmt: skip
"""What checks each form."""
WORDS: dict[str, str] = {
    URL: "a URL with http or https",
    PATH: "an absolute path",
    LOCATION: "a URL, or the absolute path of a file",
    ZONE: "a time zone such as Europe/Oslo",
    IP: "an IP address",
    NETWORKS: "IP addresses or networks, with commas",
    PC_PATH: "an absolute path on the PC",
    MOMENT: "a time such as 2026-12-01T08:00",
    LOG_FILE: "an absolute path, in which {program} stands for the program",
}
"""Each form in words, for people who choose a value."""
