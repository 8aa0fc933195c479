"""Certificates for servers of the tests: a CA, and what it vouches for."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


class Authority:
    """A CA that issues certificates into a folder.

    Parameters
    ----------
    folder
        Where the files are made.
    name
        Of the CA, and of its files.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} of the tests")])
        now = datetime.now(UTC)
        usage = x509.BasicConstraints(ca=True, path_length=None)
        certificate = (
            self._builder(self._name, self._key, now - timedelta(days=1), now + timedelta(days=30))
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = self._write(name, certificate, self._key).cert

    def issue(
        self, name: str, *, dns: Sequence[str] = (), addresses: Sequence[str] = (), valid: tuple[int, int] = (-1, 30)
    ) -> Certificate:
        """Issue a certificate for DNS names and IP addresses, valid from and until so many days from now."""
        now = datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names: list[x509.GeneralName] = [x509.DNSName(one) for one in dns]
        names += [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
        builder = self._builder(subject, key, now + timedelta(days=valid[0]), now + timedelta(days=valid[1]))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return self._write(name, builder.sign(self._key, hashes.SHA256()), key)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, since: datetime, until: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(until)
        )

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Certificate:
        files = Certificate(self.folder / f"{name}.pem", self.folder / f"{name}-key.pem")
        files.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files
