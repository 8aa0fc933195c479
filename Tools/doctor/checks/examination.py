"""Running the checks at the same time, and reporting them in order, each for a limited time.

Promises
--------
* A check that fails or hangs does not affect the others; the results that it yielded before are reported.
* All checks that wait for the same silent database wait together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future

from NexusCore.errors import EXIT_UNREACHABLE, NexusError
from NexusCore.threads import start_thread
from Tools.doctor.checks.context import Case, CheckSkipped
from Tools.doctor.checks.outcome import Check, CheckResult, Grade, note, problem


class RunningCheck:
    """A check on its thread."""

    def __init__(self, check: Check, case: Case) -> None:
        self.group = check.group
        self._check = check
        self._case = case
        self._results: list[CheckResult] = []
        self._end: Future[None] = start_thread(self._run)

    def outcomes(self) -> Iterator[CheckResult]:
        """Wait for the check; yield its results, and the reason if it failed or hangs."""
        failure: CheckResult | None = None
        try:
            self._end.result(self._case.left_to_report)
        except Exception as error:  # noqa: BLE001  the edge of a check: its failure is a result, the others go on
            failure = self._failure(error)
        yield from list(self._results)
        if failure is not None:
            yield failure

    def _run(self) -> None:
        for outcome in self._check.run(self._case):
            self._results.append(outcome)  # one by one: these are known even if the rest hangs

    def _failure(self, error: Exception) -> CheckResult:
        if isinstance(error, TimeoutError) and not self._end.done():
            return problem(
                f"This check did not finish within {self._case.limit:g} s.",
                "A server or disk does not answer; the results above and below may show which.",
            )
        if isinstance(error, CheckSkipped):
            return note(str(error))
        if isinstance(error, NexusError):
            return CheckResult(Grade.PROBLEM, str(error), unreachable=error.exit_code == EXIT_UNREACHABLE)
        return problem(f"The check failed ({type(error).__name__}: {error}).")


def examine(case: Case, checks: Iterable[Check]) -> Iterator[tuple[str, CheckResult]]:
    """Run all checks; yield the group and each outcome, in order.

    Checks marked `at_once` run first. If the settings are unusable, the others cannot run.
    """
    later: list[RunningCheck] = []
    reported: set[tuple[str, CheckResult]] = set()
    usable = True
    for check in checks:
        if not check.at_once:
            usable = usable and _has_settings(case)
            if not usable:
                return
        running = RunningCheck(check, case)
        if check.at_once:
            yield from _new_outcomes(running, reported)
        else:
            later.append(running)
    for running in later:
        yield from _new_outcomes(running, reported)


def _new_outcomes(running: RunningCheck, reported: set[tuple[str, CheckResult]]) -> Iterator[tuple[str, CheckResult]]:
    """Yield the outcomes of a check, except those that another check of its group had too."""
    for outcome in running.outcomes():
        if (running.group, outcome) not in reported:
            reported.add((running.group, outcome))
            yield running.group, outcome


def _has_settings(case: Case) -> bool:
    try:
        _ = case.settings
    except NexusError:
        return False
    return True
