"""Commands that export and import the configuration."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from NexusCore.config import exchange
from NexusCore.config.store import Edit
from NexusCore.errors import EXIT_OK, ConfigException
from Tools.common import files
from Tools.common.arguments import WrongUse
from Tools.common.changes import Changer
from Tools.common.configuration import open_configuration, view
from Tools.common.terminal import Screen
from Tools.configtool import xml_shape


def serialize(arguments: Namespace, screen: Screen) -> int:
    """Write a folder, or everything, as JSON."""
    if arguments.json:
        raise WrongUse(mistake="Leave out --json: it writes JSON anyway.", tool=f"{screen.name} serialize")
    path = (arguments.path or "").rstrip(".")
    configuration = open_configuration(arguments.version)
    if path and not configuration.below(path):
        raise configuration.missing(path)
    screen.show(view(configuration).serialize(path or None))
    return EXIT_OK


def deserialize(arguments: Namespace, screen: Screen) -> int:
    """Import the JSON of `serialize` below a folder, all or nothing."""
    return _import(edits_of(arguments.file, arguments.root), Changer(arguments, screen), arguments)


def import_(arguments: Namespace, screen: Screen) -> int:
    """Import an XML file in the format of CryoCore's defaultConfiguration.xml, all or nothing."""
    changer = Changer(arguments, screen)
    return _import(xml_shape.edits(files.read_xml(arguments.file), changer.before), changer, arguments)


def _import(edits: Sequence[Edit], changer: Changer, arguments: Namespace) -> int:
    why = "from the standard input" if arguments.file == files.STDIN else f"from {arguments.file}"
    if not edits:
        raise ConfigException(reason=f"{arguments.file} contains no parameters")
    return changer.make(edits if arguments.overwrite else changer.only_new(edits), why)


def edits_of(file: str, root: str) -> list[Edit]:
    """Return the changes of a JSON file, below the folder `root`; ``.`` is the root of the configuration."""
    text, folder = files.read_text(file), root.strip(".")
    try:
        # `serialize X` names what it wrote by the last part of X; `deserialize X` puts it back in the same place.
        above, _, name = folder.rpartition(".")
        edits = exchange.deserialize(text, folder)
        own = f"{folder}.{name}"
        if folder and edits and all(edit.path == own or edit.path.startswith(f"{own}.") for edit in edits):
            edits = exchange.deserialize(text, above)
        return edits
    except RecursionError:
        raise ConfigException(reason=f"{file} is nested too deeply") from None
