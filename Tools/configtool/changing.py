"""Commands that change parameters."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress

from NexusCore.config.store import REMOVE, Edit
from NexusCore.errors import EXIT_FAILURE, NexusError
from NexusCore.text import one_line
from Tools.common import declared, undoing
from Tools.common.arguments import WrongUse
from Tools.common.changes import NAMED, Changer, added, assigned, copied, removed, rolled_back, typed
from Tools.common.configuration import StoredConfiguration, is_below
from Tools.common.quantities import counted
from Tools.common.terminal import Screen
from Tools.configtool import secret_value


def assign(arguments: Namespace, screen: Screen) -> int:
    """Set parameters within their types and limits; a new parameter gets the type that its value looks like."""
    words = arguments.assignments
    stray = next((place for place, word in enumerate(words) if word.find("=") < 1), None)
    if stray is not None:
        raise WrongUse(mistake=_not_an_assignment(words, stray), tool=screen.name)
    paths = [word.partition("=")[0] for word in words]
    twice = next((path for place, path in enumerate(paths) if path in paths[:place]), None)
    if twice is not None:
        raise WrongUse(mistake=f"'{twice}' is given twice.", tool=screen.name)
    changer = Changer(arguments, screen, paths)
    edits = [assigned(word, changer.before) for word in words]
    for edit in edits:
        if secret_value.is_secret_parameter(changer.before.get(edit.path)):
            secret_value.warn(edit.path, screen)
    return changer.make(edits, hint=True)


def _not_an_assignment(words: Sequence[str], place: int) -> str:
    """Return the sentence about a word without ``=``, which probably belongs to the word before it."""
    if not place:
        return f"'{words[place]}' is not of the form PATH=VALUE."
    end = next((later for later in range(place, len(words)) if words[later].find("=") > 0), len(words))
    import shlex  # only needed after a mistake

    whole = shlex.quote(" ".join(words[place - 1 : end]))
    return f"'{words[place]}' is not of the form PATH=VALUE; quote values with blanks: {undoing.CONFIG_TOOL} {whole}."


def set_(arguments: Namespace, screen: Screen) -> int:
    """Set a parameter and its type."""
    changer = Changer(arguments, screen, [arguments.path])
    before = changer.before.get(arguments.path)
    text = secret_value.given(arguments, before, screen)
    if text is None:
        raise WrongUse(mistake="VALUE is missing.", tool=f"{screen.name} set")
    with secret_value.unseen(arguments, before):
        edit = typed(arguments.path, text, secret_value.datatype(arguments, before), arguments.comment)
    return changer.make([secret_value.marked(edit, arguments.secret, before)], hint=True)


def add(arguments: Namespace, screen: Screen) -> int:
    """Add a parameter or a folder."""
    changer = Changer(arguments, screen, [arguments.path])
    text = secret_value.given(arguments, None, screen)
    with secret_value.unseen(arguments, None):
        edit = added(arguments.path, text, secret_value.datatype(arguments, None), arguments.comment, changer.before)
    return changer.make([secret_value.marked(edit, arguments.secret, None)])


def remove(arguments: Namespace, screen: Screen) -> int:
    """Remove a parameter, or a folder with everything in it."""
    changer = Changer(arguments, screen, [arguments.path])
    edits = removed(arguments.path, changer.configuration)
    pids = _without_parameters(edits, changer.configuration) if is_below(arguments.path, "Instruments") else []
    code = changer.make(edits, removing=True)
    for pid in pids:
        _warn_of_session(pid, screen)
    return code


def _without_parameters(edits: Sequence[Edit], configuration: StoredConfiguration) -> list[str]:
    """Return the instruments that have no parameter any more after some changes."""
    removed_paths = {edit.path for edit in edits}
    kept = [change.path for change in configuration.below("Instruments") if change.path not in removed_paths]
    return [
        pid for pid in configuration.instruments() if not any(is_below(path, f"Instruments.{pid}") for path in kept)
    ]


def _warn_of_session(pid: str, screen: Screen) -> None:
    """Warn if an instrument that is removed has an open session: no record could be built of it."""
    from NexusCore import settings
    from NexusCore.clock import SYSTEM_CLOCK
    from NexusCore.facility.sessions import Sessions
    from NexusCore.storage import Database

    with suppress(NexusError):  # the facility's tables may be in another database
        session = Sessions(Database(settings.load().main, create=False), SYSTEM_CLOCK).open_on(pid)
        if session is not None:
            screen.fail(
                f"Warning: {pid} has an open session ({session.identifier}), of which no record can be built without "
                f"the instrument. To end it: SessionTool end {session.identifier}"
            )


def reset(arguments: Namespace, screen: Screen) -> int:
    """Give a parameter, or all below a folder, its declared default."""
    changer = Changer(arguments, screen)
    path = arguments.path.rstrip(".")
    return changer.make(declared.resets(path, changer.configuration), "reset to the default")


def clone(arguments: Namespace, screen: Screen) -> int:
    """Copy a folder or parameter to another place."""
    changer = Changer(arguments, screen)
    source, target = arguments.source.rstrip("."), arguments.target.rstrip(".")
    edits = copied(source, target, changer.configuration)
    code = changer.make(edits if arguments.overwrite else changer.only_new(edits), f"copy of {source}")
    _note_same_pc(target, edits, screen)
    return code


def move(arguments: Namespace, screen: Screen) -> int:
    """Move a folder or parameter to another place, in one transaction."""
    changer = Changer(arguments, screen)
    source, target = arguments.source.rstrip("."), arguments.target.rstrip(".")
    edits = copied(source, target, changer.configuration)
    away = [Edit(change.path, REMOVE) for change in changer.configuration.below(source)]
    new = edits if arguments.overwrite else changer.only_new(edits)
    pids = _without_parameters(away, changer.configuration) if is_below(source, "Instruments") else []
    code = changer.make([*away, *new], f"moved from {source}")
    for pid in pids:
        _warn_of_session(pid, screen)
    return code


def _note_same_pc(target: str, edits: Sequence[Edit], screen: Screen) -> None:
    for edit in edits:
        if edit.path == f"{target}.computer_name" and edit.value:
            screen.say(f"{one_line(edit.path)} is the same as that of the other instrument: change it.")


def rollback(arguments: Namespace, screen: Screen) -> int:
    """Restore parameters and folders, or the whole version, to a revision; or undo some revisions."""
    if (arguments.revision is None) == (arguments.only is None):
        mistake = (
            "REVISION is missing." if arguments.only is None else "--only cannot be combined with REVISION and PATH."
        )
        raise WrongUse(mistake=mistake, tool=f"{screen.name} rollback")
    changer = Changer(arguments, screen)
    if arguments.only is not None:
        first, last = arguments.only
        return _undo(first, last, changer, screen)
    edits = rolled_back(arguments.revision, arguments.paths, changer.configuration)
    if not edits:
        screen.say(f"Nothing to change: all is as at revision {arguments.revision}.")
    return changer.make(edits, f"rollback to revision {arguments.revision}")


def _undo(first: int, last: int, changer: Changer, screen: Screen) -> int:
    """Undo the changes of some revisions, except parameters that were changed again since."""
    edits, left = undoing.undone(first, last, changer.configuration)
    which = f"revision {first}" if first == last else f"revisions {first} to {last}"
    if not edits and not left:
        screen.say(f"Nothing to change: the changes of {which} are undone already.")
    code = changer.make(edits, f"undoing {which}")
    for change in left[:NAMED]:
        screen.fail(f"{change.path} was changed again at revision {change.revision} and stays as it is.")
    if len(left) > NAMED:
        screen.fail(f"{counted(len(left) - NAMED, 'more parameter stays', 'more parameters stay')} as they are.")
    return EXIT_FAILURE if left else code
