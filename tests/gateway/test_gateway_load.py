"""Fifty loggers at once, and what any client may send: no error."""

from __future__ import annotations

import threading

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.gateway.gateways import RunningGateway
from tests.processes import rows

LOGGERS = 50
EXAMPLES = 20
"""Requests made up for each path."""


class TestManyLoggers:
    """Fifty PCs start, pause, resume and end sessions at the same time."""

    def test_without_an_error(self, gateway: RunningGateway) -> None:
        pcs = [gateway.pc() for _ in range(LOGGERS)]
        faults: list[str] = []
        together = threading.Barrier(LOGGERS)

        def work(number: int) -> None:
            try:
                together.wait()
                session = pcs[number].start()
                for what in ("pause", "resume", "end"):
                    answer = session.post(what)
                    if answer.status_code != 200:
                        faults.append(answer.text)
            except Exception as error:  # noqa: BLE001  a thread's faults are those of the test
                faults.append(repr(error))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(LOGGERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        pids = {pc.pids[0] for pc in pcs}
        sql = "SELECT s.instrument FROM session_event e JOIN session s ON s.id = e.session_id"
        assert sum(pid in pids for (pid,) in rows(gateway.main, sql)) == 4 * LOGGERS


class TestMadeUpRequests:
    """Whatever the description of the API allows, and much that it does not: never a fault (schemathesis)."""

    def test_no_request_makes_a_fault(self, embedded_gateway: RunningGateway) -> None:
        pc = embedded_gateway.pc()
        session = pc.start()
        schema = schemathesis.openapi.from_url(f"{embedded_gateway.url}/v1/openapi.json")
        operations = [found.ok() for found in schema.get_all_operations()]
        assert len(operations) == 26
        headers = {**pc.headers, "NexusCore-Session-Token": session.token}
        counted: dict[int, int] = {}
        for operation in operations:
            valid = operation.as_strategy()
            invalid = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

            @seed(7)
            @settings(
                max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=st.one_of(valid, invalid))
            def ask(case: schemathesis.Case) -> None:
                answer = case.call(base_url=embedded_gateway.url, headers=headers)
                counted[answer.status_code // 100] = counted.get(answer.status_code // 100, 0) + 1
                assert answer.status_code < 500, answer.text

            ask()
        assert counted[2] > 20, counted
        assert counted[4] > 100, counted
