"""`GET /metrics`: what it shows, and to whom."""

from __future__ import annotations

import re
from pathlib import Path

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.facility.records import Records
from NexusCore.facility.sessions import Client, Sessions, State
from NexusCore.facility.tokens import TokenKind
from NexusCore.storage import open_database
from tests.gateway.gateways import RunningGateway, configure, kind_of
from tests.processes import eventually, execute

LINE = re.compile(r'([a-z_]+)(?:\{([a-z]+)="([A-Za-z0-9_]+)"\})? (-?[0-9.e+]+)')


def figures(text: str) -> dict[tuple[str, str], float]:
    """Return the figures by name and label; each line has the form that Prometheus reads."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.match(r"# (HELP [a-z_]+ \S.*|TYPE [a-z_]+ (gauge|counter))$", line), line
            continue
        match = LINE.fullmatch(line)
        assert match, line
        found[match[1], match[3] or ""] = float(match[4])
    return found


class TestFigures:
    """Sessions by state, both queues with the age of the oldest, heartbeats and journals."""

    def test_of_a_facility(self, gateway: RunningGateway, tmp_path: Path) -> None:
        database = open_database(gateway.main)
        sessions, client = Sessions(database, SYSTEM_CLOCK), Client("ada", "pc")
        now = SYSTEM_CLOCK.now()
        built = sessions.start("Figures-A", client, ts=now - 9_000_000_000)
        sessions.end(built.identifier, client, ts=now - 8_000_000_000)
        claimed = sessions.claim(Client("Builder", "server"), "b1", 60)
        assert claimed is not None
        writer = Records(database, SYSTEM_CLOCK).writer(
            built.id,
            path="/r.xml",
            title="Gold",
            sha256="0" * 64,
            config_revision=1,
            software="x",
            files=1,
            activities=1,
        )
        assert sessions.finish(claimed, "b1", State.BUILT, also=writer)
        waiting = sessions.start("Figures-A", client, ts=now - 7_000_000_000)
        sessions.end(waiting.identifier, client, ts=now - 3_600_000_000)
        sessions.start("Figures-A", client)
        database.close()
        heartbeat = "nexuscore_service_heartbeat_age_seconds", "Gateway"
        eventually(lambda: heartbeat in figures(gateway.get("/metrics").text))
        found = figures(gateway.get("/metrics").text)
        assert found["nexuscore_sessions", "WAITING_FOR_END"] == 1
        assert found["nexuscore_sessions", "TO_BE_BUILT"] == found["nexuscore_build_queue", ""] == 1
        assert found["nexuscore_sessions", "BUILT"] == found["nexuscore_upload_queue", ""] == 1
        assert 3600 <= found["nexuscore_build_queue_oldest_seconds", ""] < 3700
        assert 0 <= found["nexuscore_upload_queue_oldest_seconds", ""] < 100
        assert found["nexuscore_journal_bytes", "log"] > 0
        assert found["nexuscore_gateway_answers_total", "2xx"] >= 0

    def test_labels_are_bounded(self, embedded_gateway: RunningGateway) -> None:
        """Neither a state that somebody wrote by hand nor any other text makes a new series."""
        before = figures(embedded_gateway.get("/metrics").text)
        session = embedded_gateway.pc().start()
        sql = "UPDATE session SET state = :state WHERE identifier = :identifier"
        execute(embedded_gateway.main, sql, state='evil"} 1\n', identifier=session.identifier)
        after = figures(embedded_gateway.get("/metrics").text)
        assert after.keys() == before.keys()
        assert after["nexuscore_sessions", "UNKNOWN"] == before["nexuscore_sessions", "UNKNOWN"] + 1


class TestWhoMayReadThem:
    """Programs on this machine, or who has a token for them."""

    def test_with_a_token(self, embedded_gateway: RunningGateway) -> None:
        reader, pc = embedded_gateway.pc(kind=TokenKind.METRICS), embedded_gateway.pc()
        configure(embedded_gateway.main, metrics="token")
        eventually(lambda: embedded_gateway.get("/metrics").status_code == 401)
        assert kind_of(embedded_gateway.get("/metrics", headers=pc.headers)) == "forbidden"
        assert "nexuscore_build_queue" in embedded_gateway.get("/metrics", headers=reader.headers).text
        configure(embedded_gateway.main, metrics="loopback")
        eventually(lambda: embedded_gateway.get("/metrics").status_code == 200)
