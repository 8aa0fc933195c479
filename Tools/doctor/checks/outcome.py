"""The results of checks, as sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from Tools.doctor.checks.context import Case


class Grade(StrEnum):
    """Severity of a result."""

    OK = "ok"
    NOTE = "note"
    """It may be intended."""
    PROBLEM = "problem"
    """It needs attention."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of checking one thing."""

    grade: Grade
    sentence: str
    remedy: str | None = None
    """What to do, with the command where there is one."""
    unreachable: bool = False
    """A database does not answer."""


def ok(sentence: str) -> CheckResult:
    """Return a result that needs no attention."""
    return CheckResult(Grade.OK, sentence)


def note(sentence: str, remedy: str | None = None) -> CheckResult:
    """Return a result that may be intended."""
    return CheckResult(Grade.NOTE, sentence, remedy)


def problem(sentence: str, remedy: str | None = None) -> CheckResult:
    """Return a result that needs attention."""
    return CheckResult(Grade.PROBLEM, sentence, remedy)


def described(group: str, outcome: CheckResult) -> dict[str, object]:
    """Return an outcome as the fields of a JSON object."""
    return {
        "group": group,
        "grade": outcome.grade.value,
        "sentence": outcome.sentence,
        "remedy": outcome.remedy,
    }


class Check(NamedTuple):
    """A check."""

    group: str
    """Heading of its outcomes."""
    run: Callable[[Case], Iterable[CheckResult]]
    """Yields each outcome as soon as it is known: those before a hang are reported."""
    at_once: bool = False
    """Whether it needs neither a database nor a network disk, and is reported before the others start."""
