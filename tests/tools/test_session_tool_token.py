"""SessionTool token: tokens of PCs are made, listed and revoked."""

from __future__ import annotations

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.facility.tokens import AccessTokens
from NexusCore.storage import Database
from tests.processes import rows
from tests.tools.conftest import configure
from tests.tools.facility import furnished, tool


@pytest.fixture
def facility(database: Database) -> Database:
    """Lend a database with two instruments; one has a PC."""
    configure(furnished(database), Edit("Instruments.FEI-Titan-TEM.computer_name", value="TITAN-PC"))
    return database


@pytest.fixture
def tokens(facility: Database) -> AccessTokens:
    return AccessTokens(facility, SYSTEM_CLOCK)


class TestMake:
    """A token is printed once, alone on the standard output; the database has its digest only."""

    def test_for_the_instruments_of_a_pc(self, tokens: AccessTokens, facility: Database) -> None:
        done = tool("token", "make", "titan-pc.example.org")
        assert done.code == 0, done.err
        (secret,) = done.lines
        assert len(secret) == 43
        assert "for FEI-Titan-TEM; it is shown only now" in done.err
        token = tokens.of(secret)
        assert token is not None
        assert (token.name, token.instruments) == ("titan-pc.example.org", ("FEI-Titan-TEM",))
        assert secret not in str(rows(facility, "SELECT * FROM token"))
        assert tokens.of(secret[:-1]) is None

    def test_for_named_instruments(self, tokens: AccessTokens) -> None:
        done = tool("token", "make", "DESK", "JEOL-JEM-TEM", "FEI-Titan-TEM", "--until", "2099-01-01", "--json")
        (made,) = done.objects
        assert made["instruments"] == ["JEOL-JEM-TEM", "FEI-Titan-TEM"]
        assert made["until"].startswith("2099-01-01T00:00:00")
        assert tokens.of(made["token"]) is not None

    def test_a_pc_has_one_token(self, tokens: AccessTokens) -> None:
        assert tool("token", "make", "TITAN-PC").code == 0
        done = tool("token", "make", "TITAN-PC")
        assert (done.code, done.out) == (4, "")
        assert "TITAN-PC already has a token. Revoke it first with: SessionTool token revoke TITAN-PC" in done.err

    @pytest.mark.parametrize(
        ("words", "code", "sentence"),
        [
            (("TITAN-PC", "FEI-Titan"), 1, "Instrument 'FEI-Titan' does not exist"),
            (("OTHER-PC",), 1, "No instrument is assigned to this computer, whose name is 'OTHER-PC'"),
            (("TITAN-PC", "--until", "2020-01-01"), 4, "is in the past"),
            (("a\x1bb", "FEI-Titan-TEM"), 4, "the name of the computer contains U+001B"),
            (("x" * 129, "FEI-Titan-TEM"), 4, "has 129 characters; at most 128"),
            (("prometheus", "FEI-Titan-TEM", "--metrics"), 4, "a token for the metrics is for no instrument"),
        ],
    )
    def test_what_is_refused(self, tokens: AccessTokens, words: tuple[str, ...], code: int, sentence: str) -> None:
        done = tool("token", "make", *words)
        assert (done.code, done.out, sentence in done.err) == (code, "", True), done
        assert tokens.all() == []


class TestListAndRevoke:
    """What tokens there are, without their secrets; a revoked one is useless at once."""

    def test_list_shows_no_secret(self, tokens: AccessTokens) -> None:
        assert tool("token", "list").code == 1
        secret = tool("token", "make", "TITAN-PC").lines[0]
        tool("token", "make", "prometheus", "--metrics")
        done = tool("token", "list")
        assert [line.split()[:4] for line in done.lines[1:]] == [
            ["1", "TITAN-PC", "FEI-Titan-TEM", "valid"],
            ["2", "prometheus", "metrics", "valid"],
        ]
        assert secret not in done.out + tool("token", "list", "--json").out

    @pytest.mark.parametrize("which", ["TITAN-PC", "1"])
    def test_revoke_by_name_or_number(self, tokens: AccessTokens, which: str) -> None:
        secret = tool("token", "make", "TITAN-PC").lines[0]
        done = tool("token", "revoke", which)
        assert (done.code, done.out) == (
            0,
            "Token 1 of TITAN-PC is revoked; the Gateway refuses it from now on.\n",
        )
        assert tokens.of(secret) is None
        assert tool("token", "list").code == 1
        assert "revoked" in tool("token", "list", "--all").out
        assert tool("token", "make", "TITAN-PC").code == 0

    def test_one_that_is_not_there(self, tokens: AccessTokens) -> None:
        tool("token", "make", "TITAN-PC")
        done = tool("token", "revoke", "TITAN")
        assert (done.code, "Did you mean 'TITAN-PC'?" in done.err) == (1, True)
        assert tool("token").code == 2
