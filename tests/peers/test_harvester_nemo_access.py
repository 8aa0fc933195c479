"""How a real NEMO is asked: settings, tokens and pages.

None of it depends on the kind of database that the answers go to; `test_harvester_nemo` tests the rest on each kind.
"""

from __future__ import annotations

import pytest

from NexusCore.service import Pass
from Services.Harvester.service import Harvester
from tests.peers import test_harvester_nemo
from tests.peers.servers import PeerServer
from tests.peers.test_harvester_nemo import HERE, TOOLS, fill, has_nemo, of
from tests.services import harvesting
from tests.services.harvesting import Facility, status_of

facility = harvesting.embedded_facility
titan = test_harvester_nemo.titan


class TestSettingsThatDoNotFit:
    """The server refuses them, or they name what it has not: it costs its own instruments, and the status says why."""

    @pytest.mark.parametrize(
        ("token", "says"),
        [
            ("0" * 40, "it does not accept the token (401)."),
            ("c" * 40, "it answered 403 Forbidden; the token's user has no right to view this."),
            ("", "Services.Harvester.nemo.instances.main.token is not set."),
            ("ab\ncdé", "the token for it has a character that is not printable ASCII, perhaps a line break."),
        ],
    )
    def test_a_token_that_does_not_fit(self, titan: Facility, token: str, says: str) -> None:
        titan.config[f"{HERE}.main.token"] = token
        harvester = Harvester(titan.app)
        assert harvester.once() == Pass(failed=4)
        assert status_of(harvester, "source Titan") == f"The calendar at 127.0.0.1 cannot be read: {says}"

    def test_a_tool_that_it_has_not(self, titan: Facility) -> None:
        """It costs only the instrument that asks for it."""
        titan.config["Instruments.Titan.api_url"] = str(titan.config["Instruments.Titan.api_url"]).replace("=1", "=99")
        harvester = Harvester(titan.app)
        assert harvester.once() == Pass(done=3, failed=1)
        assert "it has no tool with the id 99" in str(status_of(harvester, "source Titan"))

    def test_a_tool_by_name(self, titan: Facility, nemo: PeerServer) -> None:
        titan.config["Instruments.Titan.api_url"] = f"{nemo.url}/api/"
        titan.config["Instruments.Titan.name"] = "FEI Titan TEM"
        Harvester(titan.app).once()
        assert sorted(of(nemo, titan.found())) == [1, 2, 9]

    def test_an_address_of_no_instance(self, titan: Facility) -> None:
        titan.config["Instruments.Titan.api_url"] = "http://localhost:1/api/tools/?id=1"
        harvester = Harvester(titan.app)
        assert harvester.once() == Pass(done=3, failed=1)
        assert "no instance in Services.Harvester.nemo.instances has a url" in str(status_of(harvester, "source Titan"))


class TestTokens:
    """Each instance has its own, and it is shown to no other server."""

    def test_each_instance_uses_its_own_token(self, titan: Facility, nemo: PeerServer) -> None:
        """The same server under two names is two instances; one of them does not let us in."""
        other = PeerServer(
            "nemo", nemo.url.replace("127.0.0.1", "localhost"), nemo.pid, {"x": nemo.tokens["noperm"]}, {}, nemo.log
        )
        has_nemo(titan, other, "other", "Other-", "x")
        harvester = Harvester(titan.app)
        assert harvester.once() == Pass(done=4, failed=4)
        assert status_of(harvester, "source Titan") == "ok"
        assert "at localhost cannot be read: it answered 403" in str(status_of(harvester, "source Other-Titan"))

    @pytest.mark.parametrize("name", ["NEXUSCORE_NEMO_MAIN_TOKEN", "NEXUSCORE_NEMO_TOKEN"])
    def test_from_the_environment(
        self, titan: Facility, nemo: PeerServer, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """001-07: it goes before the one in the settings."""
        titan.config[f"{HERE}.main.token"] = "0" * 40
        monkeypatch.setenv(name, nemo.tokens["harvester"])
        assert Harvester(titan.app).once() == Pass(done=4)

    def test_none_but_a_user(self, titan: Facility, monkeypatch: pytest.MonkeyPatch) -> None:
        """001-07: the environment's user and password are tried; this server knows tokens alone, and says so."""
        titan.config[f"{HERE}.main.token"] = ""
        monkeypatch.setenv("nexusLIMS_user", "harvester")
        monkeypatch.setenv("nexusLIMS_pass", "s3cret")
        harvester = Harvester(titan.app)
        assert harvester.once() == Pass(failed=4)
        assert "it refuses the user 'harvester' (401)" in str(status_of(harvester, "source Titan"))


class TestPages:
    """A list comes in pages, and no more of it than the settings allow."""

    def test_all_pages_are_read_up_to_the_limit(self, titan: Facility, nemo: PeerServer) -> None:
        fill(nemo, 95)
        titan.config["Services.Harvester.nemo.page_size"] = 10
        Harvester(titan.app).once()
        assert sum(len(of(nemo, titan.found(pid))) for pid in TOOLS) == 95 + 7
        titan.config["Services.Harvester.nemo.most_rows"] = 50
        harvester = Harvester(titan.app)
        assert harvester.once() == Pass(failed=4)
        assert "it has more than 50 reservations in the time asked for" in str(status_of(harvester, "source Titan"))
