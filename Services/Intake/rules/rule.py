"""A rule: which files it takes, what it reads from their names, and where they go."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from NexusCore.errors import EXIT_USAGE, NexusError
from Services.Intake.rules.template import FIELDS, BadTemplate, Template, path_template, text_of

if TYPE_CHECKING:
    import regex

RULES = "Services.Intake.rules"
DATES = frozenset({"date", "year", "month", "day"})
_DIVERT = re.compile(r"\s*(?P<field>\w+)\s*=\s*(?P<value>[^:;]*?)\s*:\s*(?P<folder>[^/:;\\]+?)\s*")


class RuleRefused(NexusError):
    """The rule '{rule}' cannot be used: {reason}."""

    exit_code = EXIT_USAGE


class Conflict(StrEnum):
    """What happens to a file whose target exists, or that shares its target with another one."""

    REFUSE = "refuse"
    """It stays where it is."""
    KEEP_BOTH = "keep_both"
    """It gets a number: ``a (2).dm4``."""
    SAME_IS_DONE = "same_is_done"
    """With the same content, it is removed, since its target has it; else it stays where it is."""


class Ready(StrEnum):
    """How a rule knows that a file is complete."""

    QUIET = "quiet"
    """It has not changed for a while, by the clock of who looks, and no program has it open for writing."""
    MARKER = "marker"
    """There is a further file that says so: ``{name}.done``."""
    LOCK = "lock"
    """There is none that says otherwise: ``{name}.lock``; and it has not changed for a while."""
    RENAME = "rename"
    """It gets its final name when it is complete; until then, its name matches no rule or is left out."""


@dataclass(frozen=True)
class FilingRule:
    """A rule as the configuration states it; the names are those of the parameters."""

    name: str
    names: str = "*"
    """Patterns of file names, with semicolons."""
    suffixes: str = ""
    """Suffixes with the dot, with semicolons; empty for any."""
    folders: str = ""
    """Patterns of the folder below the inbox, with semicolons; empty for any."""
    min_size: int = 0
    """Bytes."""
    max_size: int = 0
    """Bytes; 0 for any."""
    parse: str = ""
    """Regular expression with named groups that the whole name has to match; empty for none."""
    target: str = ""
    """Root of the target; relative to `Facility.data_root`; empty for the inbox itself."""
    path: str = "{folder}/{name}"
    """Template of the path below the target."""
    divert: str = ""
    """``mode=E: ReplayData``: with that value of a field, in a folder of this name below the target."""
    conflict: str = Conflict.REFUSE
    ready: str = Ready.QUIET
    ready_name: str = ""
    """Template of the name of the marker, or of the lock."""
    note_path: str = ""
    """Template of a small file that is written beside the files, unless it exists; empty for none."""
    note: str = ""
    """Template of its content."""
    unknown_user: str = ""
    """Folder for files that no session or reservation covers; empty: they stay where they are."""
    mount: str = ""
    """Path on which a file system has to be mounted before anything is filed; empty for none."""

    @cached_property
    def sha256(self) -> str:
        """Of the settings: a change of any makes another rule."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @cached_property
    def expression(self) -> regex.Pattern[str]:
        """What names have to match; some expressions take for ever for some names, so that each gets a time limit."""
        import regex  # here: ConfigTool reads what a rule can have where no service is installed

        try:
            return regex.compile(self.parse or ".*", regex.DOTALL)
        except regex.error as error:
            raise _refused(self, "parse", f"this is not a regular expression ({error})") from None

    @cached_property
    def template(self) -> Template:
        """Path below the target."""
        return path_template(self.path, self.expression.groupindex)

    @cached_property
    def note_template(self) -> Template | None:
        """Path of the note below the target."""
        return path_template(self.note_path, self.expression.groupindex) if self.note_path else None

    @cached_property
    def diversions(self) -> tuple[tuple[str, str, str], ...]:
        """Field, value and folder of each diversion."""
        matches = [_DIVERT.fullmatch(part) for part in _parts(self.divert)]
        return tuple((match["field"], match["value"], match["folder"]) for match in matches if match)

    @cached_property
    def _wanted(self) -> re.Pattern[str]:
        return _either(_parts(self.names) or ("*",))

    @cached_property
    def _wanted_folders(self) -> re.Pattern[str] | None:
        return _either(_parts(self.folders)) if _parts(self.folders) else None

    @cached_property
    def _suffixes(self) -> tuple[str, ...]:
        return tuple(suffix.lower() for suffix in _parts(self.suffixes))

    @cached_property
    def uses_people(self) -> bool:
        """Whether it asks who was at the instrument."""
        return "user" in self.template.fields

    @cached_property
    def uses_dates(self) -> bool:
        """Whether it asks for the day of a file."""
        others = self.note_template.fields if self.note_template is not None else set[str]()
        texts = {name for name in DATES if f"{{{name}" in self.note}
        return not DATES.isdisjoint(self.template.fields | others | texts)

    def selects(self, folder: str, name: str, size: int) -> bool:
        """Return whether a file is one of this rule's, by all but its expression.

        Parameters
        ----------
        folder
            Its folder below the inbox, with slashes; empty for the inbox itself.
        name, size
            Of the file; bytes.
        """
        if not self._wanted.fullmatch(name):
            return False
        if self._suffixes and not name.lower().endswith(self._suffixes):
            return False
        if self._wanted_folders is not None and not self._wanted_folders.fullmatch(folder):
            return False
        return size >= self.min_size and (not self.max_size or size <= self.max_size)

    def note_text(self, values: Mapping[str, str]) -> str:
        """Return the content of the note."""
        return text_of(self.note, values, self.expression.groupindex)

    def ready_file(self, name: str) -> str:
        """Return the name of a file's marker or lock."""
        return text_of(self.ready_name, {"name": name, "stem": name.rpartition(".")[0] or name}, ())

    def root(self, inbox: Path, data_root: Path) -> Path:
        """Return the absolute root of the target."""
        return inbox if not self.target else data_root / Path(self.target).expanduser()


def check(rule: FilingRule) -> None:
    """Check a rule.

    Raises
    ------
    RuleRefused
        With the parameter and what is wrong with it.
    """
    for field, kind in (("conflict", Conflict), ("ready", Ready)):
        if getattr(rule, field) not in list(kind):
            raise _refused(rule, field, f"use one of {', '.join(kind)}")
    if rule.max_size and rule.max_size < rule.min_size:
        raise _refused(rule, "max_size", f"it is smaller than min_size, {rule.min_size}")
    groups = rule.expression.groupindex
    _check_templates(rule, groups)
    _check_diversions(rule, groups)
    if rule.ready in (Ready.MARKER, Ready.LOCK):
        _check_ready_name(rule)


def _check_templates(rule: FilingRule, groups: Mapping[str, int]) -> None:
    field = "path"
    try:
        path_template(rule.path, groups)
        if rule.note_path:
            field = "note_path"
            path_template(rule.note_path, groups)
            field = "note"
            text_of(rule.note, dict.fromkeys((*groups, *FIELDS), ""), groups)
    except BadTemplate as bad:
        raise _refused(rule, field, str(bad)) from None


def _check_diversions(rule: FilingRule, groups: Mapping[str, int]) -> None:
    for part in _parts(rule.divert):
        match = _DIVERT.fullmatch(part)
        if match is None:
            raise _refused(rule, "divert", f"'{part}' does not look like mode=E: ReplayData")
        if match["field"] not in groups:
            known = rule.parse or "(none)"
            raise _refused(rule, "divert", f"there is no group '{match['field']}' in the expression {known}")
        if match["folder"].startswith("."):
            raise _refused(rule, "divert", f"the folder '{match['folder']}' would be hidden")


def _check_ready_name(rule: FilingRule) -> None:
    try:
        name = rule.ready_file("a.dm4")
    except (BadTemplate, KeyError):
        raise _refused(rule, "ready_name", "use for example {name}.done or {stem}.done") from None
    if name == "a.dm4" or "/" in name or "a" not in name:
        raise _refused(rule, "ready_name", "it has to name another file beside it, such as {name}.done")


def _refused(rule: FilingRule, field: str, reason: str) -> RuleRefused:
    return RuleRefused(rule=rule.name, reason=f"{RULES}.{rule.name}.{field} is '{getattr(rule, field)}': {reason}")


PARAMETERS = tuple(field.name for field in fields(FilingRule) if field.name != "name")
"""Names of a rule's parameters."""


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _either(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns))
