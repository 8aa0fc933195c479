"""The command that changes a folder in the user's editor."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from NexusCore.config.store import Change, Edit
from NexusCore.config.values import FOLDER, Limits
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, EXIT_USAGE, NexusError
from NexusCore.text import odd_character, one_line
from Tools.common import declared
from Tools.common.changes import Changer, assigned
from Tools.common.parameters import is_readable, is_secret
from Tools.common.terminal import Screen

EDITORS = ("VISUAL", "EDITOR")
_HEAD = """\
# {folder}: one parameter on a line; save and close to make the changes, all or none.
# A line that you delete changes nothing. A line that begins with '#' and a name is not set.
# Texts with line ends or blanks around them stand as in JSON: "two\\nlines".
"""


class EditorFailed(NexusError):
    """The editor '{editor}' {reason}; nothing was changed. The variable EDITOR names another one, such as nano."""

    exit_code: ClassVar[int] = EXIT_FAILURE


class LineNotUnderstood(NexusError):
    """Line {number} is '{line}', which is not of the form name = value; nothing was changed."""

    exit_code: ClassVar[int] = EXIT_USAGE


def edit(arguments: Namespace, screen: Screen) -> int:
    """Have a folder edited as text, and make the changes."""
    changer = Changer(arguments, screen)
    folder = arguments.path.rstrip(".")
    stored = [change for change in changer.configuration.below(folder) if change.datatype != FOLDER]
    unset = declared.not_set(folder, changer.before)
    if not stored and not unset:
        raise changer.configuration.missing(folder)
    if [change.path for change in stored] == [folder]:
        folder = folder.rpartition(".")[0]  # a single parameter
    prefix = f"{folder}." if folder else ""
    before = {change.path: change for change in stored}
    text = _HEAD.format(folder=folder or "Everything") + "".join(_lines(stored, unset, prefix))
    file = _file(text)
    _run(file)
    try:
        edits = list(_edits(file.read_text("utf-8"), prefix, before, changer.before))
        if not edits:
            screen.say("Nothing to change: the text is the same.")
            file.unlink()
            return EXIT_OK
        code = changer.make(edits, f"edit of {folder}" if folder else "edit", hint=True)
    except (NexusError, UnicodeDecodeError):
        screen.say(f"Your text is kept in {file}.")
        raise
    file.unlink()
    return code


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


def _edits(text: str, prefix: str, before: Mapping[str, Change], around: Mapping[str, Change]) -> Iterator[Edit]:
    """Yield the changes that the edited text makes."""
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
        known = before.get(path)
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
        file.unlink()
        raise EditorFailed(editor=editor, reason=f"cannot be run ({getattr(error, 'strerror', error)})") from None
    if done.returncode:
        file.unlink()
        raise EditorFailed(editor=editor, reason=f"ended with code {done.returncode}")
