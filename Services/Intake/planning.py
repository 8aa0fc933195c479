"""What is to be done with the files of an inbox: a pure function of files and rules, for dry run and deed alike.

Promises
--------
* No two files get the same name, and no file gets one that is taken.
* Of several files that would get the same name, none is chosen by chance: what happens is the rule's to say.
* The order of the files does not matter, and whatever cannot be filed has a sentence that says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from NexusCore.text import one_line
from Services.Intake.rules.names import as_folder_name, fault_of, numbered, target_fault
from Services.Intake.rules.rule import RULES, Conflict, FilingRule
from Services.Intake.scanning import Found

Parts = tuple[str, ...]
"""Names of a path below a root."""
MATCH_SECONDS = 0.2
"""How long the expression of a rule may take for one name; most take microseconds."""
PATIENCE_SECONDS = 2.0
"""Seconds of such names in one plan, after which each further one gets `IMPATIENT_SECONDS`."""
IMPATIENT_SECONDS = 0.01
NOTE_IN_THE_WAY = "what has its name is no file"
_UNKNOWN_USER = "no session or reservation of {} covers the time when it was written"


class Outcome(StrEnum):
    """What becomes of a file."""

    FILE = "file"
    SAME = "same"
    """Its target has the same content: the source is removed."""
    WAITS = "waits"
    """It is not complete yet."""
    REFUSED = "refused"
    UNMATCHED = "unmatched"
    """No rule takes it."""
    IN_PLACE = "in place"
    """It is where its rule files it."""


@dataclass(frozen=True, slots=True)
class Note:
    """A small file that a rule writes beside the files that it files."""

    parts: Parts
    text: str
    fault: str = ""
    """Why it cannot be written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, and what becomes of it."""

    found: Found
    outcome: Outcome
    rule: FilingRule | None = None
    root: Path = Path()
    parts: Parts = ()
    """Target below the root."""
    reason: str = ""
    collision: bool = False
    """Whether its target is taken, or wanted by several."""
    note: Note | None = None

    @property
    def target(self) -> Path:
        """Absolute path of the target."""
        return self.root.joinpath(*self.parts)


@dataclass(frozen=True, slots=True)
class Existing:
    """What is at a path already."""

    is_folder: bool
    size: int = 0
    is_file: bool = False


class TargetView(Protocol):
    """What is at the targets now."""

    def at(self, root: Path, parts: Parts) -> Existing | None:
        """Return what is at a path; None if it is free."""
        ...

    def same_content(self, found: Found, root: Path, parts: Parts) -> bool:
        """Return whether a file has the content of what is at a path."""
        ...

    def same_files(self, one: Found, other: Found) -> bool:
        """Return whether two files of the inbox have the same content."""
        ...


@dataclass(frozen=True, slots=True)
class InboxFacts:
    """What a plan needs to know about an inbox."""

    name: str
    path: Path
    """Absolute."""
    data_root: Path
    instrument: str = ""
    zone: tzinfo | None = None
    """Of the instrument; None for this machine's."""
    user_at: Callable[[int], str | None] = field(default=lambda ts: None)
    """Returns who was at the instrument at a time in microseconds since the epoch."""


def no_reason(found: Found, rule: FilingRule) -> str | None:
    """Return None: every file is complete."""
    return None


def plan(
    files: Iterable[Found],
    rules: Sequence[FilingRule],
    inbox: InboxFacts,
    view: TargetView,
    waits: Callable[[Found, FilingRule], str | None] = no_reason,
    go_on: Callable[[], None] = lambda: None,
) -> list[Entry]:
    """Return what becomes of each file, in order of path.

    Parameters
    ----------
    files
        The files of the inbox.
    rules
        The first one that takes a file decides.
    inbox
        Where they are.
    view
        What is at the targets.
    waits
        Returns why a file is not complete yet; None if it is.
    go_on
        Called for each file; what it raises ends the planning, which takes long for very many files.
    """
    ordered = sorted(files, key=lambda found: (found.folder, found.name))
    matcher = _Matcher()
    proposals = []
    for found in ordered:
        go_on()
        proposals.append(_proposal(found, rules, inbox, waits, matcher))
    entries = []
    for entry in _resolved(proposals, view):
        go_on()
        entries.append(entry)
    return entries


def collisions(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries whose targets are taken, or wanted by several files."""
    return [entry for entry in entries if entry.collision and entry.outcome is Outcome.REFUSED]


# -- one file ----------------------------------------------------------------------------------------------------------


class _Matcher:
    """Matches names with the expressions of rules; what takes too long is given up, so that the other files go on."""

    def __init__(self) -> None:
        self._patience = PATIENCE_SECONDS

    def groups(self, rule: FilingRule, name: str) -> dict[str, str] | None:
        """Return the groups of a name; None if it does not match; raises TimeoutError."""
        if not rule.parse:
            return {}
        seconds = MATCH_SECONDS if self._patience > 0 else IMPATIENT_SECONDS
        try:
            # Concurrent: the other threads of this process, and its signals, go on meanwhile.
            match = rule.expression.fullmatch(name, timeout=seconds, concurrent=True)
        except TimeoutError:
            self._patience -= seconds
            raise
        return None if match is None else match.groupdict(default="")


def _proposal(
    found: Found,
    rules: Sequence[FilingRule],
    inbox: InboxFacts,
    waits: Callable[[Found, FilingRule], str | None],
    matcher: _Matcher,
) -> Entry:
    """Return what would become of a file if it were the only one."""
    if found.fault is not None:
        return Entry(found, Outcome.REFUSED, reason=found.fault)
    for name in (*found.folder, found.name):
        fault = fault_of(name)
        if fault is not None:
            return Entry(found, Outcome.REFUSED, reason=f"its name cannot be used: {fault}")
    folder = "/".join(found.folder)
    for rule in rules:
        if rule.selects(folder, found.name, found.size):
            try:
                groups = matcher.groups(rule, found.name)
            except TimeoutError:
                slow = f"the expression of its rule takes too long for this name; simplify {RULES}.{rule.name}.parse"
                return Entry(found, Outcome.REFUSED, rule, reason=slow)
            if groups is not None:
                break
    else:
        return Entry(found, Outcome.UNMATCHED, reason="no rule takes it")
    reason = waits(found, rule)
    if reason is not None:
        return Entry(found, Outcome.WAITS, rule, reason=reason)
    return _aimed(found, rule, groups, inbox)


def _aimed(found: Found, rule: FilingRule, groups: Mapping[str, str], inbox: InboxFacts) -> Entry:
    """Return where a rule files a file."""
    root = rule.root(inbox.path, inbox.data_root)
    values = _values(found, inbox)
    if rule.uses_dates:
        values |= _dates(found, inbox)
    values |= groups
    if rule.uses_people:
        user = inbox.user_at(found.modified_ts)
        if user is None and not rule.unknown_user:
            whom = inbox.instrument or "any instrument (the inbox names none)"
            return Entry(found, Outcome.REFUSED, rule, reason=_UNKNOWN_USER.format(whom))
        values["user"] = as_folder_name(user if user is not None else rule.unknown_user)
    if rule.uses_dates and "date" not in values:
        return Entry(found, Outcome.REFUSED, rule, reason="its time of modification is outside the calendar")
    diverted = next((folder for name, value, folder in rule.diversions if groups.get(name) == value), None)
    before = (diverted,) if diverted is not None else ()
    parts = (*before, *rule.template.path(values, found.folder))
    if (root, parts) == (inbox.path, (*found.folder, found.name)):
        return Entry(found, Outcome.IN_PLACE, rule, root, parts)
    fault = target_fault(parts)
    if fault is not None:
        reason = f"its target would be {one_line('/'.join(parts))}: {fault}"
        return Entry(found, Outcome.REFUSED, rule, reason=reason)
    note = None
    if rule.note_template is not None:
        place = (*before, *rule.note_template.path(values, found.folder))
        if target_fault(place) is None:
            note = Note(place, rule.note_text(values))
    return Entry(found, Outcome.FILE, rule, root, parts, note=note)


def _values(found: Found, inbox: InboxFacts) -> dict[str, str]:
    stem, dot, suffix = found.name.rpartition(".")
    return {
        "name": found.name,
        "stem": stem if dot and stem else found.name,
        "suffix": f".{suffix}" if dot and stem else "",
        "folder": "/".join(found.folder),
        "instrument": inbox.instrument,
        "inbox": inbox.name,
        "user": "",
    }


def _dates(found: Found, inbox: InboxFacts) -> dict[str, str]:
    """Return the day of a file; nothing if its time is outside the calendar."""
    try:
        moment = datetime.fromtimestamp(found.modified_ns // 10**9, UTC).astimezone(inbox.zone)
    except (ValueError, OverflowError, OSError):
        return {}
    year, month, day = f"{moment.year:04}", f"{moment.month:02}", f"{moment.day:02}"
    return {"date": f"{year}-{month}-{day}", "year": year, "month": month, "day": day}


# -- all files together ------------------------------------------------------------------------------------------------


def _resolved(proposals: Sequence[Entry], view: TargetView) -> Iterator[Entry]:
    """Yield what becomes of each file beside all others."""
    wanted = Counter((entry.root, entry.parts) for entry in proposals if entry.outcome is Outcome.FILE)
    taken = _Taken(view, set(wanted))
    for entry in proposals:
        if entry.outcome is not Outcome.FILE:
            yield entry
            continue
        decided = _decided(entry, wanted, taken, view)
        if decided.collision and taken.has_intruder(entry.root, entry.parts):
            # Anybody who may write there can make a link; it keeps its own files from being filed, not the rule.
            decided = replace(decided, collision=False)
        elif decided.note is not None:
            decided = replace(decided, note=taken.note_of(decided))
        yield decided


class _Taken:
    """Which names are taken: by what is there, and by what this plan gives to others."""

    def __init__(self, view: TargetView, wanted: set[tuple[Path, Parts]]) -> None:
        self._view = view
        self._wanted = wanted
        """Names that some file asks for: no other one gets them as a second choice."""
        self.given: dict[tuple[Path, Parts], Found] = {}
        self._folders: set[tuple[Path, Parts]] = set()
        self._next: dict[tuple[Path, Parts], int] = {}

    def way_fault(self, root: Path, parts: Parts) -> str | None:
        """Return why the folders on the way to a path cannot be had."""
        for end in range(1, len(parts)):
            above = parts[:end]
            if (root, above) in self._folders:
                continue
            existing = self._view.at(root, above)
            if (root, above) in self.given or (existing is not None and not existing.is_folder):
                return f"{'/'.join(above)} is not a folder"
        return None

    def has_intruder(self, root: Path, parts: Parts) -> bool:
        """Return whether at a path, or on the way to it, is what is never filed: a link, a pipe, a device."""
        for end in range(1, len(parts) + 1):
            existing = self._view.at(root, parts[:end])
            if existing is None or not existing.is_folder:
                return existing is not None and not existing.is_file
        return False

    def note_of(self, entry: Entry) -> Note | None:
        """Return the note that is to be written for a file; None if it is there."""
        note = entry.note
        existing = None if note is None else self._view.at(entry.root, note.parts)
        if note is None or existing is None:
            return note
        return None if existing.is_file else replace(note, fault=NOTE_IN_THE_WAY)

    def by_what(self, root: Path, parts: Parts) -> str | None:
        """Return what has a name already; None if it is free."""
        if (root, parts) in self._folders:
            return "a folder of that name is needed for other files"
        existing = self._view.at(root, parts)
        if existing is None:
            return None
        return "a folder has that name" if existing.is_folder else "a file of that name is there"

    def give(self, root: Path, parts: Parts, found: Found) -> None:
        self.given[root, parts] = found
        for end in range(len(parts) - 1, 0, -1):
            if (root, parts[:end]) in self._folders:
                break
            self._folders.add((root, parts[:end]))

    def free_number(self, root: Path, parts: Parts) -> Parts:
        """Return the first name with a number that is free."""
        number = self._next.get((root, parts), 2)
        while True:
            place = (*parts[:-1], numbered(parts[-1], number))
            number += 1
            unwanted = (root, place) not in self._wanted and (root, place) not in self.given
            if unwanted and self.by_what(root, place) is None:
                self._next[root, parts] = number
                return place


def _decided(entry: Entry, wanted: Mapping[tuple[Path, Parts], int], taken: _Taken, view: TargetView) -> Entry:
    root, parts, rule = entry.root, entry.parts, entry.rule
    assert rule is not None  # noqa: S101  only a rule proposes a target
    fault = taken.way_fault(root, parts)
    if fault is not None:
        return _collided(entry, f"its target is {'/'.join(parts)}, but {fault}")
    first, what = taken.given.get((root, parts)), taken.by_what(root, parts)
    several = wanted[root, parts] > 1
    if rule.conflict == Conflict.REFUSE and (several or what is not None):
        others = f"{wanted[root, parts]} files have the same target" if several else what
        return _collided(entry, f"its target is {'/'.join(parts)}, but {others}")
    if first is None and what is None:
        taken.give(root, parts, entry.found)
        return entry
    if rule.conflict == Conflict.KEEP_BOTH:
        place = taken.free_number(root, parts)
        if target_fault(place) is not None:
            return _collided(entry, f"its target is {'/'.join(parts)}, which is taken, and too long for a number")
        taken.give(root, place, entry.found)
        return replace(entry, parts=place)
    same = view.same_files(entry.found, first) if first is not None else view.same_content(entry.found, root, parts)
    if same:
        return replace(entry, outcome=Outcome.SAME, note=None)
    other = "another file of this name has a different content" if first is not None else f"{what}, with other content"
    return _collided(entry, f"its target is {'/'.join(parts)}, but {other}")


def _collided(entry: Entry, reason: str) -> Entry:
    return replace(entry, outcome=Outcome.REFUSED, reason=reason, collision=True, note=None)
