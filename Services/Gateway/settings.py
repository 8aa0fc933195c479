"""The settings `Services.Gateway.*`: what they are, and their present values."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from NexusCore.config import NamedConfiguration
from NexusCore.config.catalogue import Collected
from NexusCore.config.forms import IP, NETWORKS, PATH
from NexusCore.errors import ConfigException
from NexusCore.facility.file_times import CLOCK_TOLERANCE

FOLDER = "Services.Gateway"
LOOPBACK_ONLY, WITH_TOKEN = "loopback", "token"
"""Who may read the figures of `GET /metrics`: programs on this machine, or who has a token for them."""

CHUNK_UNIT = 256 * 1024
"""Google Cloud Storage takes multiples of so many bytes."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Present values; the names are those of the parameters."""

    address: str = "0.0.0.0"  # noqa: S104  only with a certificate, or if `plain_http` allows it
    port: int = 8470
    tls_certificate: str = ""
    tls_key: str = ""
    plain_http: bool = False
    trusted_proxies: str = ""
    request_seconds: float = 20.0
    header_seconds: float = 10.0
    idle_seconds: float = 60.0
    max_body: int = 256 * 1024
    max_header: int = 16 * 1024
    max_connections: int = 500
    connections_per_address: int = 100
    requests_per_minute: int = 240
    transfer_requests_per_minute: int = 6000
    failures_per_minute: int = 30
    keep_answers_days: float = 30.0
    oldest_event_days: float = 60.0
    clock_tolerance: float = CLOCK_TOLERANCE
    oldest_client: str = ""
    logger_builds: str = ""
    download_seconds: float = 900.0
    metrics: str = LOOPBACK_ONLY
    chunk_size: int = 8 * 1024 * 1024
    chunk_seconds: float = 120.0
    verify_hours: float = 24.0
    verify_megabytes: int = 1024

    @property
    def has_tls(self) -> bool:
        """Whether it has a certificate of its own."""
        return bool(self.tls_certificate)

    @property
    def host(self) -> str:
        """The address to listen on: without TLS that of this machine only, unless `plain_http` allows another."""
        if self.has_tls or self.plain_http or _is_loopback(self.address):
            return self.address
        return "::1" if ":" in self.address else "127.0.0.1"

    @property
    def kept_here(self) -> bool:
        """Whether it listens on this machine only because it has no certificate."""
        return self.host != self.address

    @property
    def proxies(self) -> list[str]:
        """Addresses and networks of the proxies whose forwarded headers are believed."""
        return [part.strip() for part in self.trusted_proxies.split(",") if part.strip()]

    def limits_connections_of(self, address: str) -> bool:
        """Return whether an address may have so many connections only; not this machine, nor a trusted proxy."""
        try:
            sender = ipaddress.ip_address(address)
        except ValueError:
            return True
        if sender.is_loopback:
            return False
        return not any(sender in ipaddress.ip_network(proxy) for proxy in self.proxies)

    def check(self) -> None:
        """Check what a type and limits cannot.

        Raises
        ------
        ConfigException
            With a sentence that names the parameter.
        """
        try:
            ipaddress.ip_address(self.address)
        except ValueError:
            raise ConfigException(
                reason=f"{FOLDER}.address is '{self.address}', which is not an IP address such as 0.0.0.0"
            ) from None
        for proxy in self.proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError:
                raise ConfigException(
                    reason=f"{FOLDER}.trusted_proxies has '{proxy}', which is neither an IP address nor a network"
                ) from None
        if self.oldest_client and not re.fullmatch(r"\d{1,9}(\.\d{1,9}){0,3}", self.oldest_client):
            raise ConfigException(
                reason=f"{FOLDER}.oldest_client is '{self.oldest_client}', which is not a version such as 1.2.0"
            )
        if self.logger_builds and not Path(self.logger_builds).is_dir():
            raise ConfigException(reason=f"{FOLDER}.logger_builds is '{self.logger_builds}', which is not a folder")
        if self.chunk_size % CHUNK_UNIT:
            raise ConfigException(
                reason=f"{FOLDER}.chunk_size is {self.chunk_size}, which is not a multiple of {CHUNK_UNIT}"
            )
        if self.has_tls != bool(self.tls_key):
            raise ConfigException(reason=f"{FOLDER}.tls_certificate and {FOLDER}.tls_key have to be set together")
        for name in ("tls_certificate", "tls_key"):
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise ConfigException(reason=f"{FOLDER}.{name} is '{path}', which is not a file")


_DEFAULTS = GatewaySettings()
_DECLARED: dict[str, dict[str, Any]] = {
    "address": {
        "comment": "IP address to listen on; without a certificate it is this machine's own, 127.0.0.1.", "form": IP,
    },
    "port": {"comment": "Port to listen on; 0: any that is free.", "minimum": 0, "maximum": 65_535},
    "tls_certificate": {"comment": "Path of the certificate, with its chain (PEM); empty: no TLS.", "form": PATH},
    "tls_key": {"comment": "Path of the certificate's key (PEM).", "form": PATH},
    "plain_http": {
        "comment": "Listen at the address without a certificate too: tokens then cross the network unencrypted.",
    },
    "trusted_proxies": {
        "comment": "IP addresses or networks of reverse proxies whose X-Forwarded-For is believed, with commas.",
        "form": NETWORKS,
    },
    "request_seconds": {"comment": "Seconds that a request may take.", "minimum": 1.0, "maximum": 300.0},
    "header_seconds": {
        "comment": "Seconds that a client may take to send the head of a request.", "minimum": 1.0, "maximum": 300.0,
    },
    "idle_seconds": {
        "comment": "Seconds after which a connection without requests is closed.", "minimum": 1.0, "maximum": 3600.0,
    },
    "max_body": {"comment": "Most bytes of a request's body.", "minimum": 70_000, "maximum": 16_777_216},
    "max_header": {"comment": "Most bytes of a request's head.", "minimum": 2048, "maximum": 262_144},
    "max_connections": {"comment": "Most connections at a time.", "minimum": 1, "maximum": 20_000},
    "connections_per_address": {
        "comment": "Most connections at a time from one address; trusted_proxies and this machine have no such limit.",
        "minimum": 1, "maximum": 20_000,
    },
    "requests_per_minute": {"comment": "Most requests with one token in a minute.", "minimum": 1},
    "transfer_requests_per_minute": {
        "comment": "Most requests about files with one token in a minute.", "minimum": 1,
    },
    "failures_per_minute": {
        "comment": "Most requests without a valid token from one address in a minute.", "minimum": 1,
    },
    "keep_answers_days": {
        "comment": "Days for which a request that is sent again gets its first answer.",
        "minimum": 0.01, "maximum": 3650.0,
    },
    "oldest_event_days": {
        "comment": "Days after which an event that a PC delivers late is refused.", "minimum": 0.01, "maximum": 3650.0,
    },
    "clock_tolerance": {
        "comment": "Seconds that a PC's clock may differ before the times of its events are corrected.",
        "minimum": 0.0, "maximum": 60.0,
    },
    "oldest_client": {
        "comment": "Oldest version of the session logger that is accepted, as 1.2.0; empty: any.",
        "pattern": r"(\d{1,9}(\.\d{1,9}){0,3})?",
    },
    "logger_builds": {
        "comment": "Folder with builds of the session logger for PCs, as SessionLogger-1.2.0-windows.zip; empty: none.",
    },
    "download_seconds": {
        "comment": "Seconds that a PC may take to fetch the session logger.", "minimum": 10.0, "maximum": 86_400.0,
    },
    "metrics": {
        "comment": "Who may read /metrics: programs on this machine (loopback), or who has a token for it (token).",
        "choices": (LOOPBACK_ONLY, WITH_TOKEN),
    },
    "chunk_size": {
        "comment": "Bytes of a file that a PC sends at once; 262144 and its doubles.",
        "choices": tuple(CHUNK_UNIT << times for times in range(9)),
    },
    "chunk_seconds": {
        "comment": "Seconds that a request with such bytes may take.", "minimum": 1.0, "maximum": 3600.0,
    },
    "verify_hours": {
        "comment": "Hours after which a stored file is read again; 0: never.", "minimum": 0.0, "maximum": 87_600.0,
    },
    "verify_megabytes": {
        "comment": "Megabytes that are read again in one pass, about.", "minimum": 1, "maximum": 1_000_000,
    },
}  # fmt: skip


def declare(config: Collected) -> None:
    """Declare all of them."""
    for name, declared in _DECLARED.items():
        config.set_default(name, getattr(_DEFAULTS, name), **declared)


def read(config: NamedConfiguration) -> GatewaySettings:
    """Return the present values; what has no value counts as not set.

    Raises
    ------
    ConfigException
        If one of them cannot be used.
    """
    values: dict[str, Any] = {}
    for field in fields(GatewaySettings):
        default = getattr(_DEFAULTS, field.name)
        value = config[field.name]
        if value is None:
            continue
        if isinstance(default, bool):
            values[field.name] = value is True
        elif isinstance(default, (int, float)):
            values[field.name] = type(default)(config.number(field.name))
        else:
            values[field.name] = str(value).strip()
    settings = GatewaySettings(**values)
    settings.check()
    return settings


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
