"""The rules of the Gateway one by one: how often, when, where, one token for a PC, who imports the web framework."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from NexusCore.clock import SECOND, SYSTEM_CLOCK, to_ts
from NexusCore.errors import ConfigException
from NexusCore.facility.tokens import AccessTokens, TokenTaken
from NexusCore.storage import open_database
from Services.Gateway.api.event_times import event_time
from Services.Gateway.limits import MOST_KNOWN, Allowance
from Services.Gateway.problems import Problem
from Services.Gateway.settings import GatewaySettings
from tests.clocks import SetClock
from tests.gateway.gateways import RunningGateway
from tests.unit.test_imports import imports, modules, name_of

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


class TestAllowance:
    """So many at once, and so many in each minute."""

    def test_it_is_refilled_as_time_passes(self) -> None:
        clock = SetClock()
        allowance = Allowance(clock)
        assert [allowance.take("a", 3) for _ in range(3)] == [0, 0, 0]
        assert allowance.take("a", 3) == pytest.approx(20)
        assert allowance.take("b", 3) == 0
        clock.move(21)
        assert allowance.take("a", 3) == 0
        assert allowance.take("a", 3) > 0

    def test_its_memory_is_bounded(self) -> None:
        allowance = Allowance(SetClock())
        for address in range(2 * MOST_KNOWN):
            allowance.take(address, 1)
        assert len(allowance._left) == MOST_KNOWN


class TestEventTimes:
    """What the PC's clock says is believed about the past, not about the present."""

    @pytest.mark.parametrize("ahead", [-86_400, -3, 3, 86_400])
    def test_a_wrong_clock_is_corrected(self, ahead: int) -> None:
        pc_now = NOON + timedelta(seconds=ahead)
        found = event_time(pc_now - timedelta(hours=1), pc_now, to_ts(NOON), GatewaySettings())
        assert found.ts == to_ts(NOON - timedelta(hours=1))
        assert found.clock_offset == ahead * SECOND

    def test_the_way_of_the_request_is_no_error_of_the_clock(self) -> None:
        at = NOON - timedelta(hours=1)
        found = event_time(at, NOON - timedelta(seconds=0.7), to_ts(NOON), GatewaySettings())
        assert found.ts == to_ts(at)

    @pytest.mark.parametrize(("age", "kind"), [(-10, "in-the-future"), (61 * 86_400, "too-old")])
    def test_what_cannot_be_is_refused(self, age: float, kind: str) -> None:
        with pytest.raises(Problem) as raised:
            event_time(NOON - timedelta(seconds=age), NOON, to_ts(NOON), GatewaySettings())
        assert str(raised.value.content["type"]).endswith(kind)


class TestSettings:
    """Where it listens, and what is refused."""

    @pytest.mark.parametrize(
        ("values", "host"),
        [
            ({}, "127.0.0.1"),
            ({"address": "::"}, "::1"),
            ({"address": "127.0.0.5"}, "127.0.0.5"),
            ({"plain_http": True}, "0.0.0.0"),
            ({"tls_certificate": "c.pem"}, "0.0.0.0"),
        ],
    )
    def test_the_address(self, values: dict[str, Any], host: str) -> None:
        assert GatewaySettings(**values).host == host

    @pytest.mark.parametrize(
        "values",
        [
            {"address": "gateway.example.org"},
            {"trusted_proxies": "x"},
            {"tls_key": "k.pem"},
            {"tls_certificate": "c.pem"},
        ],
    )
    def test_mistakes(self, values: dict[str, Any]) -> None:
        with pytest.raises(ConfigException, match=r"Services\.Gateway\."):
            GatewaySettings(**values).check()


def test_only_the_gateway_imports_the_web_framework() -> None:
    """No tool and no other service waits for it, or needs it to be installed."""
    web = {"fastapi", "starlette", "uvicorn", "pydantic", "h11"}
    found = {
        name_of(path)
        for folder in ("NexusCore", "Services", "Tools", "Logger")
        for path in modules(folder)
        if web & {name.split(".")[0] for name in imports(path)}
    }
    assert found
    assert all(name.startswith("Services.Gateway.") for name in found)


class TestOneTokenForEachComputer:
    """However its name is written: who revokes the token of a stolen PC leaves no other one valid."""

    def test_case_and_domain_do_not_matter(self, embedded_gateway: RunningGateway) -> None:
        pc = embedded_gateway.pc(name="ONCE-PC")
        for name in ("once-pc", "Once-PC.example.org"):
            with pytest.raises(TokenTaken):
                embedded_gateway.pc(name=name)
        database = open_database(embedded_gateway.main)
        AccessTokens(database, SYSTEM_CLOCK).revoke("once-pc.example.org")
        database.close()
        assert pc.get("instruments").status_code == 401

    def test_the_oldest_client_must_be_a_version(self) -> None:
        for text in ("banana", "v1.2.0", "1,2"):
            with pytest.raises(ConfigException, match=f"oldest_client is '{text}', which is not a version"):
                GatewaySettings(oldest_client=text).check()
        GatewaySettings(oldest_client="1.2.0").check()
