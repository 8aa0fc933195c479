"""Commands that carry the configuration in and out of files."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from NexusCore.config import exchange
from NexusCore.config.store import Edit
from NexusCore.errors import EXIT_OK, ConfigException
from Tools.common import files
from Tools.common.changes import Changer
from Tools.common.configuration import open_configuration, view
from Tools.common.terminal import Screen
from Tools.configtool import xml_shape


def serialize(arguments: Namespace, screen: Screen) -> int:
    """Write a folder, or everything, as JSON."""
    path = (arguments.path or "").rstrip(".")
    configuration = open_configuration(arguments.version)
    if path and not configuration.below(path):
        raise configuration.missing(path)
    screen.show(view(configuration).serialize(path or None))
    return EXIT_OK


def deserialize(arguments: Namespace, screen: Screen) -> int:
    """Take over what `serialize` wrote, below a folder, all or nothing."""
    return _take_over(edits_of(arguments.file, arguments.root), Changer(arguments, screen), arguments)


def import_(arguments: Namespace, screen: Screen) -> int:
    """Take over an XML file in the shape of CryoCore's defaultConfiguration.xml, all or nothing."""
    changer = Changer(arguments, screen)
    return _take_over(xml_shape.edits(files.read_xml(arguments.file), changer.before), changer, arguments)


def _take_over(edits: Sequence[Edit], changer: Changer, arguments: Namespace) -> int:
    why = "from the standard input" if arguments.file == files.STDIN else f"from {arguments.file}"
    if not edits:
        raise ConfigException(reason=f"{arguments.file} names no parameter")
    return changer.make(edits if arguments.overwrite else changer.only_new(edits), why)


def edits_of(file: str, root: str) -> list[Edit]:
    """Return the changes that a JSON file asks for, below the folder `root`; everything is below ``.``."""
    text = files.read_text(file)
    try:
        return exchange.deserialize(text, root.strip("."))
    except RecursionError:
        raise ConfigException(reason=f"{file} is nested too deeply") from None
