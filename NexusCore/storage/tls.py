"""TLS to a MySQL or MariaDB server: options of the driver, checks that it omits, and why a connection failed.

mysql-connector knows no ``ssl_mode``. Seen with 9.7 and its C extension: ``ssl_ca`` alone verifies nothing and does
not even open the file; with ``ssl_verify_cert`` the chain is verified, but a server without TLS is taken in clear text;
only ``ssl_verify_identity`` insists on TLS. So for ``required`` and ``verify-ca`` the server's greeting is read first,
which says whether it offers TLS, and the driver's connection is looked at before it is used. A failed handshake is
repeated with Python's own TLS, since the extension says of all faults "certificate verify failed".
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

from NexusCore.database_url import VERIFY_IDENTITY, DatabaseURL
from NexusCore.errors import DatabaseNotSecure

if TYPE_CHECKING:
    import ssl

TLS_FAILED = (2026, 2055, -1, None)
"""Numbers of the driver's errors: of its C extension; of the pure Python one for a bad certificate, and a bad file."""
CUT_OFF = (2012, 2013, 2055)
"""Numbers of those for a connection that the server closed while the client logged in."""

_OFFERS_TLS = 0x0800
_REQUEST_FLAGS = 0x0200 | _OFFERS_TLS | 0x8000
"""Capabilities CLIENT_PROTOCOL_41, CLIENT_SSL, CLIENT_SECURE_CONNECTION (MySQL's client/server protocol)."""
_UTF8MB4 = 45
_LONGEST_GREETING = 1024
_EXPIRED, _NOT_YET, _OTHER_NAME = (10,), (9,), (62, 64)
"""OpenSSL's X509_V_ERR_* (x509_vfy.h): time, host name, IP address."""


def driver_options(url: DatabaseURL) -> dict[str, Any]:
    """Return the driver's options for what a URL says of TLS.

    Raises
    ------
    DatabaseNotSecure
        If a file that it names cannot be read: the driver would connect without it.
    """
    tls = url.tls
    if tls.mode == "disabled":
        return {"ssl_disabled": True}
    for name, path in (("ssl_ca", tls.ca), ("ssl_cert", tls.cert), ("ssl_key", tls.key)):
        if path is not None:
            try:
                with open(path, "rb"):  # noqa: PTH123  a name of the URL
                    pass
            except OSError as error:
                raise DatabaseNotSecure(where=url, reason=f"{name} {path} cannot be read ({error.strerror})") from None
    options: dict[str, Any] = {}
    if tls.cert is not None:
        options.update(ssl_cert=tls.cert, ssl_key=tls.key)
    if tls.ca is not None:
        options.update(ssl_ca=tls.ca, ssl_verify_cert=True)
    if tls.mode == VERIFY_IDENTITY:
        options.update(ssl_verify_identity=True)
    return options


def insist(url: DatabaseURL, seconds: float) -> None:
    """Make sure that a server offers TLS, if the driver itself would connect without.

    Raises
    ------
    DatabaseNotSecure
        If it offers none; the driver reports a server that does not answer.
    """
    tls = url.tls
    if not tls.mandatory or tls.mode == VERIFY_IDENTITY:
        return
    try:
        with socket.create_connection((url.host, url.port), seconds) as plain:
            offers = _offers_tls(plain)
    except OSError:
        return
    if not offers:
        raise _no_tls(url)


def check(url: DatabaseURL, raw: Any) -> None:
    """Make sure that an open connection is encrypted if the URL demands it: an attacker may have removed TLS.

    Raises
    ------
    DatabaseNotSecure
        If it is in clear text; the connection is closed unused.
    """
    extension = getattr(raw, "_cmysql", None)
    encrypted = extension.get_ssl_cipher() if extension is not None else getattr(raw, "_ssl_active", False)
    if url.tls.mandatory and not encrypted:
        raw.close()
        raise _no_tls(url)


def explain(url: DatabaseURL, error: Exception, seconds: float) -> DatabaseNotSecure | None:
    """Return why TLS failed, for an error of the driver; None if it did not, or cannot be tried now."""
    tls = url.tls
    if tls.cert is not None and getattr(error, "errno", None) in CUT_OFF:
        reason = (
            f"the server broke it off, as it does where it does not trust the client's certificate ({tls.cert}); "
            f"is that from the CA in the server's ssl_ca? ({error})"
        )
        return DatabaseNotSecure(where=url, reason=reason)
    if not tls.mandatory or getattr(error, "errno", None) not in TLS_FAILED:
        return None
    import ssl

    try:
        context = _context(url)
    except (ssl.SSLError, OSError) as error:
        reason = (
            f"of the files {', '.join(filter(None, (tls.ca, tls.cert, tls.key)))} one holds nothing usable ({error})"
        )
        return DatabaseNotSecure(where=url, reason=reason)
    try:
        with socket.create_connection((url.host, url.port), seconds) as plain:
            if not _offers_tls(plain):
                return _no_tls(url)
            plain.sendall(struct.pack("<I", 32 | 1 << 24) + struct.pack("<IIB23x", _REQUEST_FLAGS, 1 << 24, _UTF8MB4))
            with context.wrap_socket(plain, server_hostname=url.host):
                return None
    except ssl.SSLCertVerificationError as error:
        return DatabaseNotSecure(where=url, reason=_fault(url, error))
    except ssl.SSLError as error:
        return DatabaseNotSecure(where=url, reason=f"TLS failed ({error.reason or error})")
    except OSError:
        return None


def _context(url: DatabaseURL) -> ssl.SSLContext:
    import ssl

    tls = url.tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls.mode == VERIFY_IDENTITY
    context.verify_mode = ssl.CERT_REQUIRED if tls.verifies else ssl.CERT_NONE
    if tls.ca is not None:
        context.load_verify_locations(tls.ca)
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    return context


def _fault(url: DatabaseURL, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _EXPIRED:
        return "the server's certificate has expired; renew it on the server"
    if error.verify_code in _NOT_YET:
        return "the server's certificate is not valid yet; compare the clocks of this machine and the server"
    if error.verify_code in _OTHER_NAME:
        return (
            f"the server's certificate is not for '{url.host}'; name the host in the URL as the certificate does, or"
            " set ssl_mode=verify-ca if the name does not matter"
        )
    return (
        f"the server's certificate is not from the CA in {url.tls.ca} ({error.verify_message}); make ssl_ca the"
        " certificate of the CA that the server's is from"
    )


def _no_tls(url: DatabaseURL) -> DatabaseNotSecure:
    given_up = "take ssl_ca out of the URL" if url.tls.ca else "set ssl_mode=preferred"
    return DatabaseNotSecure(
        where=url,
        reason=f"the server offers no TLS, and ssl_mode is {url.tls.mode}; set up TLS on the server (./install.sh mysql"
        f" does), or {given_up} to allow clear text",
    )


def _offers_tls(plain: socket.socket) -> bool:
    """Read a server's greeting; return whether it offers TLS.

    Layout: length (3 bytes), sequence (1), protocol (1), version ending in a zero, thread (4), salt (8), a zero, the
    lower half of the capabilities (2). An error packet, which begins with 255, is neither an offer nor a refusal.
    """
    with plain.makefile("rb") as stream:
        header = stream.read(4)
        if len(header) < 4:
            raise OSError("the connection was closed before the greeting")
        greeting = stream.read(min(int.from_bytes(header[:3], "little"), _LONGEST_GREETING))
    end = greeting.find(b"\0", 1)
    if not greeting or greeting[0] != 10 or end < 0 or len(greeting) < end + 16:
        raise OSError("no greeting of a MySQL server")
    return bool(int.from_bytes(greeting[end + 14 : end + 16], "little") & _OFFERS_TLS)
