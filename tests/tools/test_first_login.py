"""The first login of an account of MySQL without TLS: one sentence that says what to do, the same from every tool."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from NexusCore.errors import EXIT_REFUSED, LoginNeedsTLS
from tests.mysql import MySQL
from tests.processes import rows
from tests.tools.programs import run

SENTENCE = (
    "The database at {where} accepts the first login of this account over TLS only (Authentication plugin "
    "'caching_sha2_password' reported error: Authentication requires secure connection). Use TLS: put "
    "ssl_mode=required into the database's URL, in place of any other ssl_mode and of ssl_disabled. Or log in once "
    "over TLS or through the server's socket: the server then knows the account until it is restarted."
)


@pytest.fixture
def account_url(mysql: MySQL, mysql_url: str) -> Iterator[str]:
    """Return the URL of an account that has never logged in."""
    mysql.execute("CREATE USER 'newcomer'@'127.0.0.1' IDENTIFIED BY 'secret'")
    mysql.execute("GRANT ALL ON *.* TO 'newcomer'@'127.0.0.1'")
    yield mysql.url(mysql_url.rpartition("/")[2], user="newcomer", password="secret")
    mysql.execute("DROP USER 'newcomer'@'127.0.0.1'")


class TestTheFirstLogin:
    """MySQL sends no password in clear text, and knows an account's from its first login over TLS on."""

    def test_it_is_refused_without_tls(self, account_url: str) -> None:
        with pytest.raises(LoginNeedsTLS) as raised:
            rows(f"{account_url}?ssl_disabled=true", "SELECT 1")
        where = account_url.replace(":secret", "")
        assert str(raised.value) == SENTENCE.format(where=where)
        assert rows(account_url, "SELECT 1") == [(1,)], "TLS is the usual way"
        assert rows(f"{account_url}?ssl_disabled=true", "SELECT 1") == [(1,)], "the server knows the account now"

    @pytest.mark.parametrize(
        "words",
        [("ConfigTool", "Services"), ("TailLog",), ("TailStatus",), ("SessionTool", "list"), ("Doctor",)],
        ids=lambda words: words[0],
    )
    def test_every_tool_says_it(self, account_url: str, words: tuple[str, ...]) -> None:
        done = run(*words, NEXUSCORE_DATABASE=f"{account_url}?ssl_disabled=true")
        sentence = SENTENCE.format(where=account_url.replace(":secret", ""))
        assert sentence in " ".join((done.out + done.err).split())
        assert done.code == (1 if words[0] == "Doctor" else EXIT_REFUSED)
        assert "Traceback" not in done.err
