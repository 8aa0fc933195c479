"""Connections are encrypted and verified as their URL says, or refused with a sentence; never a little less."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from NexusCore.errors import BadDatabaseURL, DatabaseDenied, DatabaseNotSecure, DatabaseUnreachable
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database
from NexusCore.storage.migrate import migrate
from tests.certificates import Authority, Certificate
from tests.clocks import SetClock
from tests.mariadb import MariaDB
from tests.processes import LIMIT

_CIPHER = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def other(authority: Authority) -> Authority:
    return Authority(authority.folder, "other")


def with_tls(certificate: Certificate, authority: Authority) -> MariaDB:
    files = {"ssl-cert": certificate.cert, "ssl-key": certificate.key, "ssl-ca": authority.file}
    return MariaDB([f"--{name}={file}" for name, file in files.items()])


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[MariaDB]:
    """Lend a server with a certificate for 127.0.0.1."""
    with with_tls(authority.issue("server", addresses=["127.0.0.1"]), authority) as server:
        yield server


@pytest.fixture(scope="module")
def plain() -> Iterator[MariaDB]:
    """Lend a server without TLS."""
    with MariaDB(["--skip-ssl"]) as server:
        yield server


def url(server: MariaDB, options: str) -> str:
    return f"{server.url('mysql')}?{options}"


def cipher(text: str) -> str:
    """Connect, and return the name of the cipher, empty for clear text."""
    database = Database(DatabaseURL.parse(text), check_schema=False)
    with closing(database), database.reading() as reading:
        row = reading.one(_CIPHER)
    assert row is not None
    return str(row[1])


def refusal(text: str) -> str:
    with pytest.raises(DatabaseNotSecure) as caught:
        cipher(text)
    sentence = str(caught.value)
    assert sentence.startswith("The connection to the database at mysql://")
    assert "tester:tester" not in sentence
    return sentence


class TestModes:
    """What each `ssl_mode` does on a server with TLS and on one without."""

    @pytest.mark.parametrize("mode", ["", "ssl_mode=preferred", "ssl_mode=required", "ssl_mode=REQUIRED"])
    def test_connections_are_encrypted_unless_disabled(self, secure: MariaDB, mode: str) -> None:
        assert cipher(url(secure, mode))

    @pytest.mark.parametrize("mode", ["ssl_mode=disabled", "ssl_disabled=true"])
    def test_tls_can_be_disabled(self, secure: MariaDB, mode: str) -> None:
        assert cipher(url(secure, mode)) == ""

    @pytest.mark.parametrize("mode", ["", "ssl_mode=preferred", "ssl_mode=disabled", "ssl_disabled=false"])
    def test_clear_text_where_that_is_allowed(self, plain: MariaDB, mode: str) -> None:
        assert cipher(url(plain, mode)) == ""

    @pytest.mark.parametrize("mode", ["ssl_mode=required", "ssl_mode=verify-ca&ssl_ca={ca}", "ssl_ca={ca}"])
    def test_never_clear_text(self, plain: MariaDB, authority: Authority, mode: str) -> None:
        before = plain.execute("SHOW GLOBAL STATUS LIKE 'Com_select'")
        sentence = refusal(url(plain, mode.format(ca=authority.file)))
        assert "the server offers no TLS" in sentence
        assert "set up TLS on the server" in sentence
        assert plain.execute("SHOW GLOBAL STATUS LIKE 'Com_select'") == before

    def test_a_socket_needs_none(self, plain: MariaDB, authority: Authority) -> None:
        for mode in ("required", "verify-identity&ssl_ca=/nowhere"):
            assert cipher(f"{plain.url('mysql', user='root', password='', through_socket=True)}&ssl_mode={mode}") == ""


class TestACAIsVerified:
    """A named CA means: the certificate is its own, and for this host."""

    @pytest.mark.parametrize("mode", ["", "&ssl_mode=verify-identity", "&ssl_mode=VERIFY_CA", "&ssl_mode=preferred"])
    def test_the_right_one(self, secure: MariaDB, authority: Authority, mode: str) -> None:
        assert cipher(url(secure, f"ssl_ca={authority.file}{mode}"))

    @pytest.mark.parametrize("mode", ["", "&ssl_mode=verify-ca", "&ssl_mode=required", "&ssl_mode=preferred"])
    def test_a_certificate_of_another_ca_is_refused(self, secure: MariaDB, other: Authority, mode: str) -> None:
        sentence = refusal(url(secure, f"ssl_ca={other.file}{mode}"))
        assert f"not from the CA in {other.file}" in sentence
        assert "make ssl_ca the certificate of the CA" in sentence

    def test_a_certificate_for_another_host_is_refused(self, authority: Authority) -> None:
        with with_tls(authority.issue("elsewhere", dns=["db.example.org"]), authority) as server:
            sentence = refusal(url(server, f"ssl_ca={authority.file}"))
            assert "not for '127.0.0.1'" in sentence
            assert "name the host in the URL as the certificate does" in sentence
            assert cipher(url(server, f"ssl_ca={authority.file}&ssl_mode=verify-ca"))

    @pytest.mark.parametrize(
        ("valid", "reason"), [((-9, -2), "has expired; renew it"), ((2, 9), "not valid yet; compare the clocks")]
    )
    def test_certificate_dates_are_checked(self, authority: Authority, valid: tuple[int, int], reason: str) -> None:
        certificate = authority.issue(f"at{valid[0]}", addresses=["127.0.0.1"], valid=valid)
        with with_tls(certificate, authority) as server:
            for mode in ("verify-ca", "verify-identity"):
                assert reason in refusal(url(server, f"ssl_ca={authority.file}&ssl_mode={mode}"))

    def test_without_the_c_extension(
        self, secure: MariaDB, plain: MariaDB, authority: Authority, other: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The driver's pure Python half differs in what it verifies by itself, and in its errors."""
        monkeypatch.setattr("mysql.connector.pooling.CMySQLConnection", None)
        for mode in ("ssl_mode=required", f"ssl_ca={authority.file}", f"ssl_ca={authority.file}&ssl_mode=verify-ca"):
            assert cipher(url(secure, mode))
            sentence = refusal(url(plain, mode))
            assert "offers no TLS" in sentence
            assert ("take ssl_ca out" in sentence) == ("ssl_ca" in mode)
        for mode in (f"ssl_ca={other.file}", f"ssl_ca={other.file}&ssl_mode=verify-ca"):
            assert "not from the CA" in refusal(url(secure, mode))


class TestFiles:
    """A file that a URL names is used, or the reason said why not."""

    @pytest.mark.parametrize("name", ["ssl_ca", "ssl_cert"])
    def test_one_that_is_missing(self, secure: MariaDB, tmp_path: Path, name: str) -> None:
        key = f"&ssl_key={tmp_path}/key.pem" if name == "ssl_cert" else ""
        sentence = refusal(url(secure, f"{name}={tmp_path}/missing.pem{key}"))
        assert f"{name} {tmp_path}/missing.pem cannot be read (No such file or directory)" in sentence

    def test_one_that_is_no_certificate(self, secure: MariaDB, tmp_path: Path) -> None:
        (tmp_path / "empty.pem").write_text("nothing\n")
        assert f"of the files {tmp_path}/empty.pem" in refusal(url(secure, f"ssl_ca={tmp_path}/empty.pem"))

    def test_a_client_certificate(self, secure: MariaDB, authority: Authority) -> None:
        secure.execute("CREATE OR REPLACE USER 'card'@'127.0.0.1' IDENTIFIED BY 'card' REQUIRE X509")
        secure.execute("GRANT SELECT ON mysql.* TO 'card'@'127.0.0.1'")
        text = f"{secure.url('mysql', user='card', password='card')}?ssl_ca={authority.file}"
        mine = authority.issue("mine")
        assert cipher(f"{text}&ssl_cert={mine.cert}&ssl_key={mine.key}")
        with pytest.raises(DatabaseDenied, match="ssl_cert"):
            cipher(text)

    def test_a_client_certificate_of_a_foreign_ca(
        self, secure: MariaDB, authority: Authority, other: Authority
    ) -> None:
        theirs = other.issue("theirs")
        text = f"ssl_ca={authority.file}&ssl_cert={theirs.cert}&ssl_key={theirs.key}"
        assert f"does not trust the client's certificate ({theirs.cert})" in refusal(url(secure, text))

    def test_set_up_uses_the_same_options(self, secure: MariaDB, other: Authority) -> None:
        with pytest.raises(DatabaseNotSecure):
            migrate(url(secure, f"ssl_ca={other.file}"))


class TestURLsThatContradictThemselves:
    """They are refused before anything is connected."""

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ("ssl_mode=", "ssl_mode is ''; it is one of"),
            ("ssl_mode=sometimes", "one of disabled, preferred, required, verify-ca, verify-identity"),
            ("ssl_mode=disabled&ssl_ca=/ca.pem", "disables TLS, but names a file for it .ssl_ca."),
            ("ssl_disabled=true&ssl_ca=/ca.pem", "disables TLS, but names a file for it .ssl_ca."),
            ("ssl_disabled=true&ssl_mode=required", "ssl_disabled contradicts ssl_mode=required"),
            ("ssl_disabled=maybe", "ssl_disabled is 'maybe'; it is true or false"),
            ("ssl_key=/key.pem", "ssl_key without ssl_cert"),
            ("ssl_cert=/cert.pem", "ssl_cert without ssl_key"),
            ("ssl_mode=required&ssl_mode=preferred", "the option ssl_mode more than once"),
            ("ssl_ca=/ca.pem&ssl_mode=verify-ca&ssl_ca=/ca.pem", "the option ssl_ca more than once"),
            ("ssl_mode=verify-ca", "ssl_mode=verify-ca needs ssl_ca"),
            ("ssl_mode=verify-identity", "ssl_mode=verify-identity needs ssl_ca"),
            ("ssl_ca=ca.pem", "ssl_ca is 'ca.pem', which is not an absolute path"),
            ("ssl_ca=", "ssl_ca is '', which is not an absolute path"),
            ("ssl_verify=true", "unknown option 'ssl_verify'"),
        ],
    )
    def test_each_contradiction_is_refused_with_the_reason(self, options: str, reason: str) -> None:
        with pytest.raises(BadDatabaseURL, match=reason) as caught:
            DatabaseURL.parse(f"mysql://u:secret@h/n?{options}")
        assert "secret" not in str(caught.value)


class TestSomeoneOnTheWay:
    """A connection from which TLS was taken out on its way is closed before it is used."""

    @contextmanager
    def stripping_proxy(self, server: MariaDB) -> Iterator[int]:
        """Pass bytes on, and take the offer of TLS out of every greeting but the first."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=self._serve, args=(listener, server.port), daemon=True).start()
            yield int(listener.getsockname()[1])

    def _serve(self, listener: socket.socket, port: int) -> None:
        strip = False
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._connect, args=(client, port, strip), daemon=True).start()
                strip = True

    def _connect(self, client: socket.socket, port: int, strip: bool) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as server, suppress(OSError):
            greeting = bytearray(server.recv(4096))
            if strip:
                greeting[greeting.index(0, 5) + 15] &= 0xF7
            client.sendall(greeting)
            answers = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
            answers.start()
            self._pass_on(client, server)
            answers.join(LIMIT)

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while some := source.recv(65536):
                target.sendall(some)
            target.shutdown(socket.SHUT_WR)

    @pytest.mark.parametrize("mode", ["ssl_mode=required", "ssl_ca={ca}&ssl_mode=verify-ca"])
    def test_it_is_noticed(self, secure: MariaDB, authority: Authority, mode: str) -> None:
        with self.stripping_proxy(secure) as port:
            text = url(secure, mode.format(ca=authority.file)).replace(f":{secure.port}/", f":{port}/")
            assert "offers no TLS" in refusal(text)


class TestWaiting:
    """What is wrong with TLS can be put right while programs run: followers wait for it."""

    def test_it_counts_as_unreachable(self) -> None:
        assert issubclass(DatabaseNotSecure, DatabaseUnreachable)

    def test_the_server_is_not_pestered(self, plain: MariaDB) -> None:
        """Attempts that break off are counted by a server, which blocks this machine in the end."""
        clock = SetClock()
        database = Database(DatabaseURL.parse(url(plain, "ssl_mode=required")), check_schema=False, clock=clock)

        def attempts() -> int:
            with pytest.raises(DatabaseNotSecure), database.reading():
                pass
            return int(plain.execute("SHOW GLOBAL STATUS LIKE 'Aborted_connects'")[0][1])

        first = attempts()
        assert attempts() == first
        clock.move(31)
        assert attempts() == first + 1
