"""The command that changes a folder in the user's editor."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from NexusCore.config.history import state_at
from NexusCore.config.store import Change, Edit
from NexusCore.config.values import FOLDER, Limits
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, EXIT_REFUSED, EXIT_USAGE, NexusError
from NexusCore.text import odd_character, one_line, shell_quote
from Tools.common import declared, files, undoing
from Tools.common.changes import Changer, assigned
from Tools.common.parameters import is_readable, is_secret, on_a_line
from Tools.common.terminal import Screen

EDITORS = ("VISUAL", "EDITOR")
_HEAD = """\
# {folder}: one parameter on a line; save and close to make the changes, all or none.
# A line that you delete changes nothing. A line that begins with '#' and a name is not set.
# Texts with line ends or blanks around them stand as in JSON: "two\\nlines".
# These are the values of revision {revision}.
"""
_REVISION = re.compile(r"^# These are the values of revision (\d+)\.$", re.MULTILINE)


class EditorFailed(NexusError):
    """The editor '{editor}' {reason}; nothing was changed. The variable EDITOR names another one, such as nano."""

    exit_code: ClassVar[int] = EXIT_FAILURE


class TextGone(NexusError):
    """The editor removed the file; nothing was changed."""

    exit_code: ClassVar[int] = EXIT_FAILURE


class LineNotUnderstood(NexusError):
    """Line {number} is '{line}', which is not of the form name = value; nothing was changed."""

    exit_code: ClassVar[int] = EXIT_USAGE


class EditedMeanwhile(NexusError):
    """'{path}' was changed meanwhile {how} by {who} (revision {revision}); nothing was changed."""

    exit_code: ClassVar[int] = EXIT_REFUSED


def edit(arguments: Namespace, screen: Screen) -> int:
    """Have a folder edited as text, and make the changes; a text that was refused is kept."""
    changer = Changer(arguments, screen)
    folder = arguments.path.rstrip(".")
    stored = [change for change in changer.configuration.below(folder) if change.datatype != FOLDER]
    unset = declared.not_set(folder, changer.before)
    if not stored and not unset:
        raise changer.configuration.missing(folder)
    if [change.path for change in stored] == [folder]:
        folder = folder.rpartition(".")[0]  # a single parameter
    prefix = f"{folder}." if folder else ""
    if arguments.kept_text is None:
        revision = max([changer.revision, *(change.revision for change in stored)])
        head = _HEAD.format(folder=folder or "Everything", revision=revision)
        text, shown = head + "".join(_lines(stored, unset, prefix)), {change.path: change for change in stored}
    else:
        text = files.read_text(arguments.kept_text)
        shown = _shown_in(text, changer, folder)
    file = _file(text)
    places: dict[str, int] = {}
    try:
        _run(file)
        edits = list(_edits(_saved(file), prefix, shown, changer.before, places))
        if not edits:
            screen.say("Nothing to change: " + _why_nothing(file, shown, prefix))
            file.unlink()
            return EXIT_OK
        code = _made(edits, changer, f"edit of {folder}" if folder else "edit")
    except (NexusError, UnicodeDecodeError) as error:
        place = places.get(str(error.facts.get("path"))) if isinstance(error, NexusError) else None
        if place is not None:
            screen.say(f"Line {place} of the text was refused.")
        if file.exists():
            words = (undoing.CONFIG_TOOL, "edit", arguments.path, "--from", str(file))
            screen.say(f"Your text is kept in {file}. To go on with it: {' '.join(map(shell_quote, words))}")
        raise
    file.unlink()
    return code


def _made(edits: list[Edit], changer: Changer, why: str) -> int:
    """Make the changes, unless somebody has changed one of the parameters since they were read.

    Raises
    ------
    EditedMeanwhile
        If somebody has.
    """
    read = {edit.path: changer.before[edit.path].revision if edit.path in changer.before else 0 for edit in edits}
    try:
        return changer.make([replace(edit, if_revision=read[edit.path]) for edit in edits], why, hint=True)
    except NexusError:
        store, version_id = changer.configuration.store, changer.configuration.version_id
        for path, revision in read.items():
            newest = next(iter(store.history(version_id, path)), None)
            if newest is not None and newest.revision > max(revision, changer.revision):
                now = changer.configuration.find(path)
                how = "and removed" if now is None else f"to {on_a_line(now)}"
                raise EditedMeanwhile(path=path, how=how, who=newest.who, revision=newest.revision) from None
        raise


def _shown_in(text: str, changer: Changer, folder: str) -> dict[str, Change]:
    """Return the parameters as they were when a kept text was written: what others changed since is not undone."""
    revision = _REVISION.search(text)
    if revision is None:
        return {change.path: change for change in changer.configuration.below(folder)}
    return state_at(changer.configuration.store, changer.configuration.version_id, int(revision[1]), folder)


def _saved(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        raise TextGone from None


def _why_nothing(file: Path, shown: Mapping[str, Change], prefix: str) -> str:
    text = file.read_text("utf-8")
    lines = {line.partition("=")[0].strip() for line in text.splitlines()}
    names = [path[len(prefix) :] for path, change in shown.items() if change.datatype != FOLDER]
    if all(name in lines or f"\n# {one_line(name)} is not shown here" in text for name in names):
        return "the text is the same."
    return f"a line that you delete changes nothing. To remove a parameter: {undoing.CONFIG_TOOL} remove PATH"


def _lines(stored: list[Change], unset: list[Change], prefix: str) -> Iterator[str]:
    texts = {change.path: f"{change.path[len(prefix) :]} = {_text(change)}" for change in stored}
    changes = {change.path: change for change in [*unset, *stored]}
    for path in sorted(changes, key=lambda path: path.replace(".", "\0")):
        change = changes[path]
        if is_secret(change) or change.withheld or not is_readable(change) or odd_character(path) is not None:
            yield f"\n# {one_line(path[len(prefix) :])} is not shown here: ConfigTool set {one_line(path)}\n"
            continue
        limits = Limits.readable(change.limits)
        facts = [change.datatype, limits.described(), ", ".join(str(choice) for choice in limits.choices if choice)]
        comment = one_line(change.comment or "")
        yield f"\n# ({'; '.join(filter(None, facts))}) {comment}".rstrip() + "\n"
        yield texts.get(path, f"#{path[len(prefix) :]} = {_text(change)}") + "\n"


def _text(change: Change) -> str:
    value = change.value or ""
    plain = value == value.strip() and odd_character(value) is None and not value.startswith('"')
    return value if plain else json.dumps(value, ensure_ascii=False)


def _edits(
    text: str, prefix: str, shown: Mapping[str, Change], around: Mapping[str, Change], places: dict[str, int]
) -> Iterator[Edit]:
    """Yield the changes that the edited text makes to what was shown; note the line of each in `places`."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, sign, value = line.partition("=")
        value = value.strip()
        if value.startswith('"'):
            try:
                value = json.loads(value)
            except ValueError:
                sign = ""
        if not sign or not name.strip() or not isinstance(value, str):
            raise LineNotUnderstood(number=number, line=one_line(line)[:60])
        path = prefix + name.strip()
        places[path] = number
        known = shown.get(path)
        if known is None or value != (known.value or ""):
            yield assigned(f"{path}={value}", around)


def _file(text: str) -> Path:
    handle, name = tempfile.mkstemp(prefix="ConfigTool-", suffix=".conf")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(name)


def _run(file: Path) -> None:
    editor = next(filter(None, map(os.environ.get, EDITORS)), "vi")
    try:
        done = subprocess.run([*shlex.split(editor), str(file)], check=False)  # noqa: S603  the user's own choice
    except (OSError, ValueError) as error:
        reason = f"cannot be run ({getattr(error, 'strerror', error)})"
        raise EditorFailed(editor=editor, reason=reason) from None
    if done.returncode:
        raise EditorFailed(editor=editor, reason=f"ended with code {done.returncode}")
