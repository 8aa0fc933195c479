"""What a check comes to, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from Tools.doctor.checks.context import Case


class Grade(StrEnum):
    """How something is doing."""

    OK = "ok"
    NOTE = "note"
    """It may be meant so."""
    PROBLEM = "problem"
    """Somebody has to do something."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that was looked at."""

    grade: Grade
    sentence: str
    remedy: str | None = None
    """What to do about it, with the command where there is one."""
    unreachable: bool = False
    """A database does not answer."""


def ok(sentence: str) -> CheckResult:
    """Return what is as it should be."""
    return CheckResult(Grade.OK, sentence)


def note(sentence: str, remedy: str | None = None) -> CheckResult:
    """Return what may be meant so."""
    return CheckResult(Grade.NOTE, sentence, remedy)


def problem(sentence: str, remedy: str | None = None) -> CheckResult:
    """Return what somebody has to do something about."""
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
    """Something to look at."""

    group: str
    """The heading under which its outcomes stand."""
    look: Callable[[Case], Iterable[CheckResult]]
    """Looks; yields each outcome as soon as it is known, so that what hangs later costs only what comes later."""
    at_once: bool = False
    """It needs neither a database nor a foreign disk, and is told before anything else is begun."""
