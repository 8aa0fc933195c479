"""The Gateway's own certificate and its key: what is wrong with them, in words.

The `ssl` module names no file, asks for a passphrase at the terminal, and takes a certificate that has expired.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from NexusCore.errors import EXIT_FAILURE, NexusError

SOON_DAYS = 14
"""Days before its end from which a certificate is to be renewed."""


class WrongCertificate(NexusError):
    """The Gateway's certificate cannot be used: {reason}."""

    exit_code = EXIT_FAILURE


@dataclass(frozen=True, slots=True)
class ValidTime:
    """When a certificate is valid."""

    path: str
    begin: datetime
    end: datetime

    def complaint(self, now: datetime) -> str:
        """Return a sentence about a certificate that is not valid, or not for long; empty if it is."""
        if now < self.begin:
            return f"{self.path} is not valid before {_day(self.begin)}; is the clock of this machine right?"
        if now > self.end:
            return f"{self.path} expired on {_day(self.end)}: session loggers refuse it. Renew it"
        days = (self.end - now).days
        return f"{self.path} expires on {_day(self.end)}, in {days} days. Renew it" if days < SOON_DAYS else ""

    def is_valid(self, now: datetime) -> bool:
        """Return whether it is valid at a time."""
        return self.begin <= now <= self.end


def checked(certificate: str, key: str) -> ValidTime:
    """Check a certificate and its key; return when it is valid.

    Parameters
    ----------
    certificate, key
        Paths of PEM files; the first may have more certificates, its chain.

    Raises
    ------
    WrongCertificate
        If they cannot be used together.
    """
    try:
        own = x509.load_pem_x509_certificates(_content(certificate))[0]
    except ValueError as error:
        raise WrongCertificate(reason=f"{certificate} has no certificate in PEM form") from error
    try:
        private = load_pem_private_key(_content(key), None)
    except TypeError as error:
        raise WrongCertificate(
            reason=f"the key {key} has a passphrase, which a service cannot type; store it without, readable for the"
            " services' user only"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise WrongCertificate(reason=f"{key} has no private key in PEM form") from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != own.public_key().public_bytes(*form):
        raise WrongCertificate(reason=f"the key {key} belongs to another certificate than {certificate}")
    return ValidTime(certificate, own.not_valid_before_utc, own.not_valid_after_utc)


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise WrongCertificate(reason=f"{path} cannot be read ({error.strerror})") from error


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
