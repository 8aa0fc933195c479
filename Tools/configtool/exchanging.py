"""Commands that carry the configuration in and out of files."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace

from NexusCore.config import exchange
from NexusCore.config.rehearsal import Rehearsal
from NexusCore.config.store import SET, ConfigStore, Edit
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import EXIT_OK, ConfigException
from Tools import files
from Tools.changes import Changer
from Tools.configtool import xml_shape
from Tools.configuration import open_configuration, origin, view
from Tools.terminal import Screen


def serialize(arguments: Namespace, screen: Screen) -> int:
    """Write a folder, or everything, as JSON (003-33)."""
    path = (arguments.path or "").rstrip(".")
    configuration = open_configuration(arguments.version)
    if path and not configuration.below(path):
        raise configuration.missing(path)
    screen.show(view(configuration).serialize(path or None))
    return EXIT_OK


def deserialize(arguments: Namespace, screen: Screen) -> int:
    """Take over what `serialize` wrote, below a folder, all or nothing (003-34)."""
    changer = Changer(arguments, screen)
    return _take_over(edits_of(arguments.file, arguments.root), changer, arguments, screen)


def import_(arguments: Namespace, screen: Screen) -> int:
    """Take over an XML file in the shape of CryoCore's defaultConfiguration.xml, all or nothing."""
    changer = Changer(arguments, screen)
    edits = xml_shape.edits(files.read_xml(arguments.file), changer.before)
    return _take_over(edits, changer, arguments, screen)


def edits_of(file: str, root: str) -> list[Edit]:
    """Return the changes that a JSON file asks for, below the folder `root`; everything is below ``.``."""
    text = files.read_text(file)
    try:
        return exchange.deserialize(text, root.strip("."))
    except RecursionError:
        raise ConfigException(reason=f"{file} is nested too deeply") from None
