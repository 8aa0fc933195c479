"""Commands that change parameters."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from NexusCore.errors import EXIT_FAILURE
from Tools.common import undoing
from Tools.common.arguments import WrongUse
from Tools.common.changes import NAMED, Changer, added, assigned, removed, rolled_back, typed
from Tools.common.terminal import Screen
from Tools.configtool import secret_value


def assign(arguments: Namespace, screen: Screen) -> int:
    """Set parameters, keeping to their types and limits; a new one takes the type its value looks like."""
    words = arguments.assignments
    stray = next((place for place, word in enumerate(words) if word.find("=") < 1), None)
    if stray is not None:
        raise WrongUse(mistake=_stray(words, stray), tool=screen.name)
    changer = Changer(arguments, screen, [word.partition("=")[0] for word in words])
    edits = [assigned(word, changer.before) for word in words]
    for edit in edits:
        if secret_value.is_one(changer.before.get(edit.path)):
            secret_value.warn(edit.path, screen)
    return changer.make(edits, hint=True)


def _stray(words: Sequence[str], place: int) -> str:
    """Return the sentence about a word that is no assignment: most likely it belongs to the one before."""
    if not place:
        return f"'{words[place]}' is no PATH=VALUE."
    end = next((later for later in range(place, len(words)) if words[later].find("=") > 0), len(words))
    import shlex  # only who mistyped pays for it

    whole = shlex.quote(" ".join(words[place - 1 : end]))
    return f"'{words[place]}' is no PATH=VALUE; a value with blanks needs quotes: {undoing.CONFIG_TOOL} {whole}."


def set_(arguments: Namespace, screen: Screen) -> int:
    """Set a parameter, its type too."""
    changer = Changer(arguments, screen, [arguments.path])
    before = changer.before.get(arguments.path)
    text = secret_value.given(arguments, before, screen)
    if text is None:
        raise WrongUse(mistake="VALUE is missing.", tool=f"{screen.name} set")
    with secret_value.unseen(arguments, before):
        edit = typed(arguments.path, text, secret_value.datatype(arguments, before), arguments.comment)
    return changer.make([secret_value.marked(edit, arguments.secret, before)], hint=True)


def add(arguments: Namespace, screen: Screen) -> int:
    """Add a parameter or a folder that isn't there."""
    changer = Changer(arguments, screen, [arguments.path])
    text = secret_value.given(arguments, None, screen)
    with secret_value.unseen(arguments, None):
        edit = added(arguments.path, text, secret_value.datatype(arguments, None), arguments.comment, changer.before)
    return changer.make([secret_value.marked(edit, arguments.secret, None)])


def remove(arguments: Namespace, screen: Screen) -> int:
    """Remove a parameter, or a folder with everything in it."""
    changer = Changer(arguments, screen, [arguments.path])
    return changer.make(removed(arguments.path, changer.configuration))


def rollback(arguments: Namespace, screen: Screen) -> int:
    """Make parameters and folders, or the whole version, what they were at a revision; or undo some revisions."""
    if (arguments.revision is None) == (arguments.only is None):
        mistake = "REVISION is missing." if arguments.only is None else "--only goes without REVISION and PATH."
        raise WrongUse(mistake=mistake, tool=f"{screen.name} rollback")
    changer = Changer(arguments, screen)
    if arguments.only is not None:
        first, last = arguments.only
        return _undo(first, last, changer, screen)
    edits = rolled_back(arguments.revision, arguments.paths, changer.configuration)
    if not edits:
        screen.say(f"All is as it was at revision {arguments.revision}: nothing to change.")
    return changer.make(edits, f"rollback to revision {arguments.revision}")


def _undo(first: int, last: int, changer: Changer, screen: Screen) -> int:
    """Undo the changes of some revisions, but for what was changed again since."""
    edits, left = undoing.undone(first, last, changer.configuration)
    which = f"revision {first}" if first == last else f"revisions {first} to {last}"
    if not edits and not left:
        screen.say(f"What {which} changed is as it was before: nothing to change.")
    code = changer.make(edits, f"undoing {which}")
    for change in left[:NAMED]:
        screen.fail(f"{change.path} was changed again since, at revision {change.revision}: it stays as it is.")
    if len(left) > NAMED:
        screen.fail(f"So do {len(left) - NAMED} more.")
    return EXIT_FAILURE if left else code
