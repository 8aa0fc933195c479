"""A certificate for a database server without one, so that accounts from other machines can be forced to use TLS.

Its CA is created for this certificate only, and the key of the CA is not kept: it can never issue another certificate.
"""

from __future__ import annotations

import ipaddress
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from NexusCore.errors import NexusError

CA, CERTIFICATE, KEY = "nexuscore-ca.pem", "nexuscore-server.pem", "nexuscore-server-key.pem"
CONFIGURATION = "60-nexuscore-tls.cnf"
"""File name that the server reads after its own files, in the order of their names."""
DAYS = 3650
RESTART_SECONDS = 60.0
CHECK_INTERVAL_SECONDS = 0.2


class NoRestart(NexusError):
    """The database server has a certificate now, in {folder}, but could not be restarted ({reason}). See its log;
    the new configuration is in {configuration}.
    """  # noqa: D205  the docstring of an error is the message


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """The files of a server's certificate."""

    folder: Path

    @property
    def settings(self) -> dict[str, Path]:
        """The files by their options in the server's configuration."""
        return {"ssl_ca": self.folder / CA, "ssl_cert": self.folder / CERTIFICATE, "ssl_key": self.folder / KEY}

    @property
    def complete(self) -> bool:
        """Whether all files exist."""
        return all(path.exists() for path in self.settings.values())

    @property
    def configuration(self) -> str:
        """The lines for the server's configuration."""
        return "[mysqld]\n" + "".join(f"{name} = {path}\n" for name, path in self.settings.items())


def offers_tls(cursor: Any) -> bool:
    """Return whether a server has a certificate and so accepts TLS."""
    cursor.execute("SHOW GLOBAL VARIABLES LIKE 'have_ssl'")
    row = cursor.fetchall()
    if row:
        return bool(row[0][1] == "YES")
    # MySQL has no such variable any more, but a status variable.
    cursor.execute("SHOW GLOBAL STATUS LIKE 'Current_tls_cert'")
    return any(value for _, value in cursor.fetchall())


def make_certificate(folder: Path, names: Iterable[str]) -> ServerFiles:
    """Create a CA and a certificate for a server with these names and addresses; return the files.

    Only its owner can read the key.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    unique = list(dict.fromkeys(names))
    now = datetime.now(UTC)

    def builder(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # In the past, for clients with slow clocks.
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=DAYS))
        )

    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"NexusCore's database at {unique[0]}"[:64])])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, unique[0][:64])])
    authority = (
        builder(ca_name, ca_name, ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .add_extension(_may_only_issue(x509), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    certificate = (
        builder(name, ca_name, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([_name(host, x509) for host in unique]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    _write(folder / CA, authority.public_bytes(pem), 0o644)
    _write(folder / CERTIFICATE, certificate.public_bytes(pem), 0o644)
    _write(folder / KEY, private, 0o600)
    return ServerFiles(folder)


def configure(files: ServerFiles, folder: Path, owner: str) -> Path:
    """Give the key to the server's user, and write a configuration file with the certificate; return its path."""
    if os.geteuid() == 0:
        shutil.chown(files.folder / KEY, owner, pwd.getpwnam(owner).pw_gid)
    path = folder / CONFIGURATION
    _write(path, f"# Written by ./install.sh mysql.\n{files.configuration}".encode(), 0o644)
    return path


def restart(command: Sequence[str], files: ServerFiles, configuration: Path, answers: Any) -> None:
    """Restart the server, and wait until it answers again.

    Raises
    ------
    NoRestart
        If it does not; the configuration file is renamed, so that the server starts without it.
    """
    done = subprocess.run(command, capture_output=True, text=True, timeout=RESTART_SECONDS, check=False)  # noqa: S603  of install.sh
    deadline = time.monotonic() + RESTART_SECONDS
    while done.returncode == 0 and time.monotonic() < deadline:
        if answers():
            return
        time.sleep(CHECK_INTERVAL_SECONDS)
    reason = (done.stderr or done.stdout).strip().partition("\n")[0] or "it does not answer"
    disabled = configuration.with_suffix(".failed")
    configuration.replace(disabled)
    subprocess.run(command, capture_output=True, timeout=RESTART_SECONDS, check=False)  # noqa: S603
    raise NoRestart(folder=files.folder, reason=reason, configuration=disabled)


def _may_only_issue(x509: Any) -> Any:
    """Return the allowed uses of the CA's key, which strict clients check."""
    no = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"),
        False,
    )  # fmt: skip
    return x509.KeyUsage(key_cert_sign=True, crl_sign=True, **no)


def _name(text: str, x509: Any) -> Any:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file atomically; other users cannot read it at any time."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, mode)
        file.write(content)
    new.replace(path)
