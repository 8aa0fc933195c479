"""Changes of the configuration from the shell: making them, and reporting them with the command that undoes them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

from NexusCore.config.changes import NAMES_VERSION, not_a_name
from NexusCore.config.history import ConfigState, state_at, state_now, way_back
from NexusCore.config.store import REMOVE, SET, Change, Edit
from NexusCore.config.values import FOLDER, cast, datatype_of, guess
from NexusCore.errors import EXIT_OK, EXIT_REFUSED, ConfigException, NexusError, NoSuchParameterException
from NexusCore.text import one_line, shell_quote
from Tools.common import completion, declared, undoing
from Tools.common.configuration import StoredConfiguration, is_below, open_configuration
from Tools.common.parameters import is_secret, on_a_line, plain_value
from Tools.common.suggestions import near_name
from Tools.common.terminal import Screen

UNASKED = 20
"""Most existing parameters that are changed together without a question."""
NAMED = 4
"""Most parameters that are named one by one; of more, only the number is reported."""


def assigned(word: str, before: Mapping[str, Change]) -> Edit:
    """Return the change for ``PATH=VALUE``; a new parameter gets its declared type, else what its value looks like."""
    path, _, text = word.partition("=")
    return Edit(path, value=text if path in before or declared.catalogue().find(path) is not None else guess(text))


def typed(path: str, text: str, datatype: str | None, comment: str | None) -> Edit:
    """Return the change that sets value and type of a parameter; by default the type that the value looks like."""
    item = declared.catalogue().find(path)
    datatype = datatype if item is None else item.datatype
    value = cast(path, text, datatype) if datatype else guess(text)
    return Edit(path, value=value, datatype=datatype or datatype_of(path, value), comment=comment)


def added(path: str, text: str | None, datatype: str | None, comment: str | None, before: Mapping[str, Change]) -> Edit:
    """Return the change that adds a parameter or folder."""
    if any(is_below(other, path) for other in before):
        raise ConfigException(reason=f"'{path}' already exists; PATH=VALUE changes a parameter")
    if datatype == FOLDER and text is None:
        return Edit(path, datatype=FOLDER, comment=comment, if_revision=0)
    if text is None:
        raise ConfigException(reason=f"'{path}' needs a value, or --type folder")
    return replace(typed(path, text, datatype, comment), if_revision=0)


def removed(path: str, configuration: StoredConfiguration) -> list[Edit]:
    """Return the changes that remove a parameter, or a folder with its contents."""
    if not path:  # everything is below it
        raise not_a_name(path)
    parameters = configuration.below(path)
    if not parameters:
        raise configuration.missing(path)
    return [Edit(change.path, REMOVE) for change in parameters]


def copied(source: str, target: str, configuration: StoredConfiguration) -> list[Edit]:
    """Return the changes that give another folder or parameter the content of one.

    Raises
    ------
    ConfigException
        If one of them is inside the other.
    """
    if not source or not target:
        raise not_a_name(source or target)
    if is_below(target, source) or is_below(source, target):
        raise ConfigException(reason=f"'{target}' and '{source}' are not apart from each other")
    parameters = configuration.below(source)
    if not parameters:
        raise configuration.missing(source)
    return [replace(change.again(), path=target + change.path[len(source) :], check=True) for change in parameters]


def rolled_back(revision: int, paths: Sequence[str], configuration: StoredConfiguration) -> list[Edit]:
    """Return the changes that restore parameters and folders, or the whole version, to a revision."""
    newest = configuration.store.revision()
    if revision > newest:
        raise ConfigException(reason=f"revision {revision} does not exist yet; the newest is {newest}")
    now: ConfigState = {}
    then: ConfigState = {}
    for path in paths or [""]:
        now |= state_now(configuration.store, configuration.version_id, path)
        then |= state_at(configuration.store, configuration.version_id, revision, path)
    if not now and not then:
        raise NoSuchParameterException(path=paths[0] if paths else "", version=configuration.version, hint="")
    return way_back(now, then)


class NotConfirmed(NexusError):
    """{question} Nothing was changed; --yes goes on without a question."""

    exit_code: ClassVar[int] = EXIT_REFUSED


class Changer:
    """Makes changes, or only shows them, and reports the result.

    Parameters
    ----------
    arguments
        The tool's: ``version``, ``reason``, ``if_revision``, ``dry_run`` and ``json`` are used.
    screen
        Where to report.
    paths
        What will be changed, if known: then only the folders around it are read.
    """

    def __init__(self, arguments: Namespace, screen: Screen, paths: Iterable[str] | None = None) -> None:
        self.configuration = open_configuration(
            arguments.version, dry_run=arguments.dry_run, create=not arguments.dry_run
        )
        # Asked before they are read, so that what others change from now on can be told.
        self.revision = self.configuration.store.revision()
        self.before = self.configuration.everything() if paths is None else self.configuration.around(paths)
        self._arguments = arguments
        self._screen = screen

    def make(self, edits: Sequence[Edit], why: str | None = None, *, hint: bool = False, removing: bool = False) -> int:
        """Make changes, all or none, and report old and new values, the revision, and the command that undoes it.

        Parameters
        ----------
        edits
            What to change.
        why
            Default reason for the history.
        hint
            Suggest an existing parameter where a new one has a similar name.
        removing
            The changes remove; what is needed gets its default instead.
        """
        arguments = self._arguments
        edits = declared.completed(edits, self.before, known_names=hint)
        self._ask(edits)
        made = self.configuration.apply(self._guarded(edits), arguments.reason or why)
        version = self.configuration.version
        undo = undoing.words(made, version, named=arguments.version is not None) if made else []
        report = ChangeReport(version, self._replaced(made), arguments, self._screen, undo)
        changed = {change.path for change in made}
        same = list(dict.fromkeys(edit.path for edit in edits if edit.path not in changed))
        if removing and same and not made:
            needed = "programs need this parameter, and it has its default."
            if len(same) > 1:
                needed = f"programs need these {len(same)} parameters; all have their defaults."
            self._screen.say(f"Nothing to remove: {needed}")
        else:
            report.unchanged(same)
        for change in made:
            report.change(change)
            if hint and change.path not in self.before and len(made) <= NAMED:
                self._hint(change.path)
        if made:
            report.end(made)
        return EXIT_OK

    def _replaced(self, made: Sequence[Change]) -> dict[str, Change]:
        """Return the parameters as the changes found them: others may have changed some since they were read."""
        store, version_id = self.configuration.store, self.configuration.version_id
        before = dict(self.before)
        for change in store.changes_since(self.revision):
            if made and change.revision >= made[0].revision:
                break
            if change.version_id != version_id:
                continue
            if change.action == REMOVE:
                before.pop(change.path, None)
            else:
                before[change.path] = change
        return before

    def _ask(self, edits: Sequence[Edit]) -> None:
        """Show what many changes do, and ask whether to make them.

        Raises
        ------
        NotConfirmed
            If nobody says yes.
        """
        arguments, screen = self._arguments, self._screen
        if len(edits) <= UNASKED or arguments.dry_run or getattr(arguments, "yes", False):
            return
        preview = open_configuration(self.configuration.version, dry_run=True).apply(edits, None)
        changed = [change for change in preview if change.path in self.before]
        if len(changed) <= UNASKED:
            return
        report = ChangeReport(self.configuration.version, self.before, Namespace(dry_run=True, json=False), screen, ())
        with suppress(BrokenPipeError):  # nobody reads what would be changed, so nobody agrees to it either
            for change in preview:
                report.change(change)
        removed = sum(change.action == REMOVE for change in changed)
        question = f"This changes {len(changed) - removed} parameters and removes {removed}."
        if not screen.confirm(question):
            raise NotConfirmed(question=question)

    def only_new(self, edits: Sequence[Edit]) -> list[Edit]:
        """Return the changes, made to fail where they would replace anything, even if it is added meanwhile.

        Raises
        ------
        ConfigException
            If a parameter exists already, with another value.
        """
        preview = open_configuration(self.configuration.version, dry_run=True).apply(edits, None)
        replaced = sorted({change.path for change in preview if change.path in self.before})
        if replaced:
            reason = f"'{replaced[0]}' exists already and is different"
            if len(replaced) > 1:
                reason = f"{len(replaced)} parameters exist already and are different, such as '{replaced[0]}'"
            raise ConfigException(reason=f"{reason}; use --overwrite to replace them")
        return [
            replace(edit, only_new=True) if edit.path in self.before else replace(edit, if_revision=0) for edit in edits
        ]

    def _hint(self, path: str) -> None:
        suggestion = near_name(path, self.before)
        if suggestion:
            self._screen.say(one_line(f"{path} is a new parameter.{suggestion}"))

    def _guarded(self, edits: Sequence[Edit]) -> Sequence[Edit]:
        sets = [edit for edit in edits if edit.path == NAMES_VERSION and edit.action == SET and not edit.keep_value]
        there = self.configuration.store.versions() if sets else []
        for name in (str(edit.value) for edit in sets):
            if name not in there:
                # Programs would use it, empty, and the whole facility would lose its configuration.
                reason = f"{NAMES_VERSION} must name an existing version, not '{name}' (versions: {', '.join(there)})"
                raise ConfigException(reason=f"{reason}; to add it: ConfigTool add-version {name}")
        revision = getattr(self._arguments, "if_revision", None)
        if revision is None:
            return edits
        if len(edits) != 1:
            reason = f"--if-revision works with 1 parameter, not with {len(edits)}"
            raise ConfigException(reason=reason)
        return [replace(edits[0], if_revision=revision)]


class ChangeReport:
    """Reports changes of a version.

    Parameters
    ----------
    version
        Name of the version.
    before
        Its parameters before the changes.
    arguments
        The tool's: ``dry_run`` and ``json`` are used.
    screen
        Where to report.
    undo
        The command that undoes them, word by word.
    """

    def __init__(
        self, version: str, before: Mapping[str, Change], arguments: Namespace, screen: Screen, undo: Sequence[str]
    ) -> None:
        self._version = version
        self._before = before
        self._dry_run = arguments.dry_run
        self._json = arguments.json
        self._screen = screen
        self._undo = list(undo) if undo and not arguments.dry_run else None

    def unchanged(self, paths: Sequence[str]) -> None:
        """Report parameters that had the wanted value already."""
        if len(paths) > NAMED:
            self._screen.say(f"{len(paths)} parameters already have this value.")
            return
        for path in paths:
            self._screen.say(f"{one_line(path)} is already {on_a_line(self._before.get(path))}: nothing to change.")

    def change(self, made: Change) -> None:
        """Report the old and new value of a parameter."""
        old, screen = self._before.get(made.path), self._screen
        new = None if made.action == REMOVE else made
        if self._json:
            screen.show_json(
                path=made.path, version=self._version, old=plain_value(_hidden(old, new)), new=plain_value(new),
                old_datatype=old and old.datatype, datatype=new and new.datatype,
                revision=None if self._dry_run else made.revision, dry_run=self._dry_run, undo=self._undo,
            )  # fmt: skip
            return
        name = screen.paint(one_line(made.path), "bold")
        if new is None:
            screen.show(f"{name} removed  ({_was(old) or 'was a folder'})")
            return
        value = "" if new.datatype == FOLDER else f" = {screen.paint(on_a_line(new), 'cyan')}"
        screen.show(f"{name}{value}  ({one_line(new.datatype)}, {_difference(old, new)})")

    def version(self, text: str) -> None:
        """Report a change of the version itself."""
        if self._json:
            self._screen.show_json(version=self._version, done=text, dry_run=self._dry_run, undo=self._undo)
        else:
            self._screen.show(one_line(text))

    def end(self, made: Sequence[Change]) -> None:
        """Report the revisions, and the command that undoes them."""
        completion.forget()
        if self._dry_run:
            self._screen.say("Dry run: nothing was changed.")
        elif not self._json:
            sentences = []
            if made:
                first, last = made[0].revision, made[-1].revision
                sentences.append(f"Revision {first}." if first == last else f"Revisions {first} to {last}.")
            if self._undo:
                sentences.append(f"Undo with: {' '.join(map(shell_quote, self._undo))}")
            if sentences:
                self._screen.show(" ".join(sentences))


def _difference(old: Change | None, new: Change) -> str:
    if old is None:
        return "new"
    was = _was(_hidden(old, new))
    if old.datatype != new.datatype:
        kind = one_line(old.datatype)
        return f"{was} ({kind})" if was else f"was a {kind}"
    if old.value != new.value:
        return was
    return "new comment" if old.comment != new.comment else "new limits"


def _hidden(old: Change | None, new: Change | None) -> Change | None:
    """Return the old parameter, masked if it is a secret from now on."""
    return old._replace(limits=new.limits) if old is not None and new is not None and is_secret(new) else old


def _was(old: Change | None) -> str:
    return f"was {on_a_line(old)}" if old is not None and old.datatype != FOLDER else ""
