"""How long the supervisor of a service waits before it starts it again."""

from __future__ import annotations

from Install.supervisor import LASTING_SECONDS, BackOff


class TestBackOff:
    """A service that dies at once is not started a thousand times a minute; one that ran for long is, soon."""

    def test_it_doubles_up_to_a_limit(self) -> None:
        back_off = BackOff(5, 300)
        assert [back_off.seconds(0.5) for _ in range(8)] == [5, 10, 20, 40, 80, 160, 300, 300]
        assert [back_off.seconds(0.5) for _ in range(2000)][-1] == 300

    def test_a_long_run_begins_with_the_first_again(self) -> None:
        back_off = BackOff(5, 300)
        waits = [back_off.seconds(ran) for ran in (1, 1, 1, LASTING_SECONDS, 1)]
        assert waits == [5, 10, 20, 5, 10]
