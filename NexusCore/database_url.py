"""The address of a database, taken apart and checked: hosts, account, options.

Nothing is opened or resolved here. Whether the files that TLS options name can be read is seen when a connection is
made, since they may come and go while a service runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from NexusCore.errors import BadDatabaseURL

MYSQL_OPTIONS = frozenset({"unix_socket", "ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "ssl_disabled"})
"""Options that may stand after the ``?`` of a MySQL URL."""
FILE_OPTIONS = ("ssl_ca", "ssl_cert", "ssl_key")
"""Those of them that name files."""
DEFAULT_PORT = 3306

DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY = SSL_MODES = (
    "disabled", "preferred", "required", "verify-ca", "verify-identity",
)  # fmt: skip
"""How a connection is encrypted, from no protection to the best."""
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class TLS:
    """How the connections of one URL are encrypted, and what is verified."""

    mode: str = PREFERRED
    """One of `SSL_MODES`; with a CA it is ``verify-ca`` or ``verify-identity``."""
    ca: str | None = None
    """File with the certificates of the CAs that may sign the server's."""
    cert: str | None = None
    key: str | None = None

    @property
    def verifies(self) -> bool:
        """Whether the server's certificate is verified."""
        return self.mode in (VERIFY_CA, VERIFY_IDENTITY)

    @property
    def mandatory(self) -> bool:
        """Whether a server without TLS is refused."""
        return self.mode == REQUIRED or self.verifies


@dataclass(frozen=True, slots=True)
class DatabaseURL:
    """A database address, taken apart. Its text never shows the password."""

    kind: str
    """``mysql`` or ``sqlite``."""
    name: str
    """Name of the MySQL database, or path of the SQLite file."""
    host: str = ""
    """The first host."""
    port: int = DEFAULT_PORT
    user: str = ""
    password: str = ""
    options: tuple[tuple[str, str], ...] = ()
    embedded: bool = False
    """The default, not chosen by the user: it may be created on first use."""
    others: tuple[tuple[str, int], ...] = ()
    """The hosts after the first one, with their ports: other doors to the same rows."""

    def __str__(self) -> str:
        if self.kind == "sqlite":
            return f"sqlite:///{self.name}"
        return f"mysql://{self.user}@{self.unix_socket or ','.join(self.addresses)}/{self.name}"

    def __repr__(self) -> str:
        return f"<DatabaseURL {self}>"

    @property
    def hosts(self) -> tuple[tuple[str, int], ...]:
        """All hosts with their ports, in the order of the URL."""
        return ((self.host, self.port), *self.others)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All hosts as a URL writes them, with the port."""
        return tuple(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)

    @property
    def each(self) -> tuple[DatabaseURL, ...]:
        """One URL for each host."""
        return tuple(replace(self, host=host, port=port, others=()) for host, port in self.hosts)

    @property
    def unix_socket(self) -> str | None:
        """The socket that is used instead of the hosts, if one is named."""
        return dict(self.options).get("unix_socket")

    @property
    def tls(self) -> TLS:
        """How connections are encrypted. Through a socket none is: it does not leave the machine."""
        return TLS(mode=DISABLED) if self.unix_socket else _tls(dict(self.options), "the URL")

    @property
    def place(self) -> str:
        """The database without user and password: two URLs of one place hold the same rows.

        The order of the hosts makes no difference.
        """
        if self.kind == "sqlite":
            return f"sqlite:{self.name}"
        hosts = ",".join(sorted(f"{host}:{port}" for host, port in self.hosts))
        return f"mysql:{self.unix_socket or hosts}/{self.name}"

    @property
    def fingerprint(self) -> str:
        """A short name of the place, for files that belong to that database alone."""
        import hashlib

        return hashlib.sha256(self.place.encode()).hexdigest()[:12]

    @classmethod
    def parse(cls, text: str, where: str = "the argument", folder: Path | None = None) -> DatabaseURL:
        """Take a URL apart.

        Parameters
        ----------
        text
            ``mysql://user:password@host:3306/database`` (parts percent-encoded where they need it; several hosts
            with commas between them; options ``?unix_socket=``, ``ssl_mode=``, ``ssl_ca=``, ``ssl_cert=``,
            ``ssl_key=``, ``ssl_disabled=``) or ``sqlite:////absolute/path``.
        where
            Where the URL stands, for the error's sentence.
        folder
            What a relative path of a file for TLS begins at: the folder of the settings file. None allows none.

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
            if "://" not in text or "@" in scheme:  # not repeated: it may hold a password
                raise BadDatabaseURL(where=where, reason="it starts neither with mysql:// nor with sqlite:///")
            raise BadDatabaseURL(where=where, reason=f"it starts with {scheme!r}, not with mysql:// or sqlite:///")
        return _server(text, where, folder)


def _server(text: str, where: str, folder: Path | None) -> DatabaseURL:
    first, further = _split_hosts(text)
    try:
        parts = urlsplit(first)
        port = parts.port or DEFAULT_PORT
        others = [(other.hostname or "", other.port or DEFAULT_PORT) for other in map(urlsplit, further)]
    except ValueError:
        raise BadDatabaseURL(
            where=where, reason="host or port cannot be read (are special characters of the password %-encoded?)"
        ) from None
    if further and not all([parts.hostname, *(host for host, _ in others)]):
        raise BadDatabaseURL(where=where, reason="between two commas, or beside one, it names no host")
    options = tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))
    unknown = {key for key, _ in options} - MYSQL_OPTIONS
    if unknown:
        raise BadDatabaseURL(where=where, reason=f"it has an unknown option {sorted(unknown)[0]!r}")
    for (key, _), (following, _) in pairwise(options):
        if key == following:  # which of the two counts is unknown, and one may be the weaker ssl_mode
            raise BadDatabaseURL(where=where, reason=f"it has the option {key} more than once")
    path = parts.path.strip("/")
    if not path:
        raise BadDatabaseURL(where=where, reason="it names no database after the host")
    if "/" in path or "@" in path:  # the end of a password, which would then be shown as the database's name
        raise BadDatabaseURL(
            where=where, reason="after the host comes one name (are special characters of the password %-encoded?)"
        )
    options = tuple((key, _absolute(key, value, folder)) for key, value in options)
    _tls(dict(options), where)
    host = parts.hostname or "localhost"
    # The same host twice would be asked twice.
    unique = tuple(dict.fromkeys([(host, port), *others]))[1:]
    if unique and "unix_socket" in dict(options):
        raise BadDatabaseURL(where=where, reason="unix_socket leads to one server, but it names several hosts")
    return DatabaseURL(
        kind="mysql",
        name=unquote(path),
        host=host,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        options=options,
        others=unique,
    )


def _split_hosts(text: str) -> tuple[str, list[str]]:
    """Return the URL with its first host alone, and one URL for each of the others."""
    scheme, _, rest = text.partition("://")
    end = min((rest.index(mark) for mark in "/?#" if mark in rest), default=len(rest))
    account, at, hosts = rest[:end].rpartition("@")
    first, *others = hosts.split(",")
    return f"{scheme}://{account}{at}{first}{rest[end:]}", [f"{scheme}://{host}" for host in others]


def _tls(options: dict[str, str], where: str) -> TLS:
    """Return what the options say of TLS; they must not contradict each other."""
    ca, cert, key = (_path(options, name, where) for name in FILE_OPTIONS)
    mode = options["ssl_mode"].lower().replace("_", "-") if "ssl_mode" in options else None
    if mode is not None and mode not in SSL_MODES:
        reason = f"ssl_mode is {options['ssl_mode']!r}; it is one of {', '.join(SSL_MODES)}"
        raise BadDatabaseURL(where=where, reason=reason)
    if "ssl_disabled" in options and _is_yes(options["ssl_disabled"], where):
        if mode not in (None, DISABLED):
            raise BadDatabaseURL(where=where, reason=f"ssl_disabled contradicts ssl_mode={mode}")
        mode = DISABLED
    if mode == DISABLED and (ca or cert or key):
        name = "ssl_ca" if ca else "ssl_cert" if cert else "ssl_key"
        raise BadDatabaseURL(where=where, reason=f"it disables TLS, but names a file for it ({name})")
    if key and not cert:
        raise BadDatabaseURL(where=where, reason="it names ssl_key without ssl_cert, the certificate that goes with it")
    if cert and not key:
        reason = "it names ssl_cert without ssl_key, the key that goes with it (which may be in the same file)"
        raise BadDatabaseURL(where=where, reason=reason)
    if mode in (VERIFY_CA, VERIFY_IDENTITY) and not ca:
        reason = f"ssl_mode={mode} needs ssl_ca, the file with the certificate of the CA to trust"
        raise BadDatabaseURL(where=where, reason=reason)
    if ca and mode != VERIFY_CA:
        # A CA is named to be checked; a certificate of that CA for another host proves nothing.
        mode = VERIFY_IDENTITY
    return TLS(mode or PREFERRED, ca, cert, key)


def _absolute(name: str, value: str, folder: Path | None) -> str:
    """Return an option, a path made absolute: beside its settings file a certificate can be copied to any machine."""
    if name not in FILE_OPTIONS or not value:
        return value
    path = Path(value).expanduser()
    return str(path if folder is None else folder.absolute() / path)


def _path(options: dict[str, str], name: str, where: str) -> str | None:
    if name not in options:
        return None
    if not Path(options[name]).is_absolute():  # relative to what depends on who starts the program
        raise BadDatabaseURL(where=where, reason=f"{name} is '{options[name]}', which is not an absolute path")
    return options[name]


def _is_yes(text: str, where: str) -> bool:
    if text.lower() not in (*_YES, *_NO):
        raise BadDatabaseURL(where=where, reason=f"ssl_disabled is {text!r}; it is true or false")
    return text.lower() in _YES
