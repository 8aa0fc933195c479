"""Going through the checks: all at once, told in order, each for a limited time.

Promises
--------
* A check that fails, or does not end, costs only itself: what it found before is told, and so are all others.
* However many checks wait for one that is silent, they wait together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future

from NexusCore.errors import EXIT_UNREACHABLE, NexusError
from Tools.doctor.checks.context import Case, NotLookedAt
from Tools.doctor.checks.outcome import Check, CheckResult, Grade, note, problem
from Tools.doctor.checks.timeouts import begun


class Looking:
    """A check under way."""

    def __init__(self, check: Check, case: Case) -> None:
        self.group = check.group
        self._check = check
        self._case = case
        self._found: list[CheckResult] = []
        self._end: Future[None] = begun(self._look)

    def outcomes(self) -> Iterator[CheckResult]:
        """Wait for the check; yield what it found, and what became of it if it did not end well."""
        failure: CheckResult | None = None
        try:
            self._end.result(self._case.left)
        except Exception as error:  # noqa: BLE001  the edge of a check: its failure is told, the others go on
            failure = self._failure(error)
        yield from list(self._found)
        if failure is not None:
            yield failure

    def _look(self) -> None:
        for outcome in self._check.look(self._case):
            self._found.append(outcome)  # one by one: what is known is there when the rest hangs

    def _failure(self, error: Exception) -> CheckResult:
        if isinstance(error, TimeoutError) and not self._end.done():
            return problem(
                f"This did not come to an end within {self._case.limit:g} s.",
                "Something that it asks is silent; what is said above and below may tell what.",
            )
        if isinstance(error, NotLookedAt):
            return note(str(error))
        if isinstance(error, NexusError):
            return CheckResult(Grade.PROBLEM, str(error), unreachable=error.exit_code == EXIT_UNREACHABLE)
        return problem(f"Looking failed ({type(error).__name__}: {error}).")


def examine(case: Case, checks: Iterable[Check]) -> Iterator[tuple[str, CheckResult]]:
    """Make all checks; yield the group and the outcome of each, in order.

    Those that are made at once come first. If they find the settings unusable, there is nothing that others could ask.
    """
    later: list[Looking] = []
    reported: set[tuple[str, CheckResult]] = set()
    usable = True
    for check in checks:
        if not check.at_once:
            usable = usable and _has_settings(case)
            if not usable:
                return
        looking = Looking(check, case)
        if check.at_once:
            yield from _news(looking, reported)
        else:
            later.append(looking)
    for looking in later:
        yield from _news(looking, reported)


def _news(looking: Looking, reported: set[tuple[str, CheckResult]]) -> Iterator[tuple[str, CheckResult]]:
    """Yield the outcomes of a check, besides those that another check of its group had, too."""
    for outcome in looking.outcomes():
        if (looking.group, outcome) not in reported:
            reported.add((looking.group, outcome))
            yield looking.group, outcome


def _has_settings(case: Case) -> bool:
    try:
        _ = case.settings
    except NexusError:
        return False
    return True
