"""Changes of the configuration from the shell: what is wished, and what is told of it, with the way back."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Mapping, Sequence

from NexusCore.config.parameter import FOLDER, cast, datatype_of, guess
from NexusCore.config.past import State, state_at, state_now, way_back
from NexusCore.config.store import REMOVE, Change, Edit, near_miss
from NexusCore.errors import EXIT_OK, ConfigException, NoSuchParameterException, ValueRefused
from Tools.configuration import Configuration, is_below, open_configuration
from Tools.parameters import is_secret, on_a_line, shown
from Tools.terminal import Screen

TOOL = "ConfigTool"


def assigned(word: str, before: Mapping[str, Change]) -> Edit:
    """Return the change that ``PATH=VALUE`` asks for; a new parameter takes the type that its value looks like."""
    path, _, text = word.partition("=")
    return Edit(path, value=text if path in before else guess(text))


def typed(path: str, text: str, datatype: str | None, comment: str | None) -> Edit:
    """Return the change that sets a parameter to a value and a type; without one, to what the value looks like."""
    value = cast(path, text, datatype) if datatype else guess(text)
    return Edit(path, value=value, datatype=datatype or datatype_of(path, value), comment=comment)


def added(path: str, text: str | None, datatype: str | None, comment: str | None, before: Mapping[str, Change]) -> Edit:
    """Return the change that adds a parameter or folder."""
    if any(is_below(one, path) for one in before):
        raise ConfigException(reason=f"'{path}' already exists; PATH=VALUE changes a parameter")
    if datatype == FOLDER and text is None:
        return Edit(path, datatype=FOLDER, comment=comment, if_revision=0)
    if text is None:
        raise ConfigException(reason=f"'{path}' needs a value, or --type folder")
    edit = typed(path, text, datatype, comment)
    return Edit(path, value=edit.value, datatype=edit.datatype, comment=comment, if_revision=0)


def removed(path: str, configuration: Configuration) -> list[Edit]:
    """Return the changes that remove a parameter, or a folder with all in it."""
    found = configuration.below(path)
    if not found:
        hint = configuration.near_miss(path)
        raise NoSuchParameterException(path=path, version=configuration.version, hint=hint)
    return [Edit(one.path, REMOVE) for one in found]


def rolled_back(revision: int, paths: Sequence[str], configuration: Configuration) -> list[Edit]:
    """Return the changes that make parameters and folders what they were at a revision."""
    newest = configuration.store.revision()
    if revision > newest:
        raise ConfigException(reason=f"there is no revision {revision} yet; the newest is {newest}")
    now: State = {}
    then: State = {}
    for path in paths:
        now |= state_now(configuration.store, configuration.version_id, path)
        then |= state_at(configuration.store, configuration.version_id, revision, path)
    if not now and not then:
        raise NoSuchParameterException(path=paths[0], version=configuration.version, hint="")
    return way_back(now, then)


class Changer:
    """Makes changes and tells what came of them.

    Parameters
    ----------
    arguments
        The tool's: ``version``, ``reason`` and ``json`` are used.
    screen
        Where to tell it.
    """

    def __init__(self, arguments: Namespace, screen: Screen) -> None:
        self.configuration = open_configuration(arguments.version)
        self.before = self.configuration.everything()
        self._arguments = arguments
        self._screen = screen

    def make(self, edits: Sequence[Edit], undo: Sequence[str] = (), why: str | None = None) -> int:
        """Make changes, all or none, and tell: old and new, the revision, and the command that undoes it.

        Parameters
        ----------
        edits
            What to change.
        undo
            Paths that the way back names; those of the changes if not given.
        why
            Reason for the history, where the user gives none.
        """
        for edit in edits:
            self._check_place(edit)
        configuration = self.configuration
        revisions = configuration.apply(edits, TOOL, self._arguments.reason or why)
        made = configuration.changes(revisions)
        for edit in edits:
            if edit.path not in made:
                self._screen.say(f"{edit.path} is {on_a_line(self.before.get(edit.path))} already: nothing to change.")
        for path, change in made.items():
            self._tell(path, self.before.get(path), change)
        if revisions and not self._arguments.json:
            self._tell_way_back(revisions, undo or list(made))
        return EXIT_OK

    def _check_place(self, edit: Edit) -> None:
        """Refuse a parameter where a folder is, and one below a parameter: nothing could show both."""
        if edit.action == REMOVE or edit.path in self.before or edit.datatype == FOLDER:
            return
        if any(is_below(one, edit.path) for one in self.before):
            raise ValueRefused(path=edit.path, value=repr(edit.value), reason="it is a folder, without a value")
        parts = edit.path.split(".")
        for end in range(1, len(parts)):
            above = self.before.get(".".join(parts[:end]))
            if above is not None and above.datatype != FOLDER:
                reason = f"'{above.path}' is a parameter, so there can be nothing below it"
                raise ValueRefused(path=edit.path, value=repr(edit.value), reason=reason)

    def _tell(self, path: str, old: Change | None, new: Change | None) -> None:
        screen = self._screen
        if self._arguments.json:
            screen.show_json(
                path=path, version=self.configuration.version, old=None if old is None else shown(old),
                new=None if new is None else shown(new), old_datatype=old and old.datatype,
                datatype=new and new.datatype, revision=new and new.revision,
            )  # fmt: skip
            return
        was = f"was {on_a_line(old)}" if old is not None and old.datatype != FOLDER else ""
        if new is None:
            screen.show(f"{screen.paint(path, 'bold')} removed  ({was or 'was a folder'})")
            return
        if old is None:
            was = "new"
            self._hint(path)
        elif old.datatype != new.datatype:
            was += f" ({old.datatype})"
        if old is not None and shown(old) == shown(new) and old.datatype == new.datatype and not is_secret(new):
            was = "its comment is new"
        value = "" if new.datatype == FOLDER else f" = {screen.paint(on_a_line(new), 'cyan')}"
        screen.show(f"{screen.paint(path, 'bold')}{value}  ({new.datatype}, {was})")

    def _hint(self, path: str) -> None:
        """Point at a parameter that may have been meant instead of a new one."""
        close = near_miss(path, self.before)
        if close:
            self._screen.say(f"{path} is a new parameter.{close}")

    def _tell_way_back(self, revisions: Sequence[int], paths: Sequence[str]) -> None:
        version = ["-v", self._arguments.version] if self._arguments.version else []
        command = shlex.join([TOOL, *version, "rollback", str(revisions[0] - 1), *paths])
        label = "Revision" if len(revisions) == 1 else "Revisions"
        numbers = f"{revisions[0]}" if len(revisions) == 1 else f"{revisions[0]} to {revisions[-1]}"
        self._screen.show(f"{label} {numbers}. Undo with: {command}")
