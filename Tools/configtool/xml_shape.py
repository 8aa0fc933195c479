"""The configuration as XML, in the shape of CryoCore's defaultConfiguration.xml.

Below ``<configuration>`` an element with others in it is a folder and one with a text is a parameter; their names are
the elements'. CryoCore writes no more than that, and a parameter takes the type that its text looks like. Understood
is, beyond it: the attributes ``name`` (for what is no name of an element), ``type``, ``value`` and ``comment`` of any
element, and the same as elements inside one called ``parameter``:

    <configuration>
      <Camera>
        <mode>fast</mode>
        <gain type="integer" comment="Electrons per count.">3</gain>
        <parameter><name>exposure</name><type>double</type><value>0.5</value><comment>Seconds.</comment></parameter>
      </Camera>
    </configuration>

An element with nothing in it and no type is nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from xml.etree.ElementTree import Element

from NexusCore.config.parameter import BOOLEAN, DOUBLE, FOLDER, INTEGER, STRING, cast, guess
from NexusCore.config.store import Change, Edit
from NexusCore.errors import ConfigException

XML_ROOT = "configuration"
XML_TYPES = {
    **dict.fromkeys(("string", "str", "text"), STRING),
    **dict.fromkeys(("integer", "int", "long"), INTEGER),
    **dict.fromkeys(("double", "float", "real", "number"), DOUBLE),
    **dict.fromkeys(("boolean", "bool"), BOOLEAN),
    "folder": FOLDER,
}
PARTS = frozenset({"name", "type", "value", "comment"})


class XmlEntry(NamedTuple):
    """A parameter or folder in the file."""

    path: str
    text: str
    datatype: str | None
    """None where the file says nothing."""
    comment: str | None


def edits(root: Element, before: Mapping[str, Change]) -> list[Edit]:
    """Return the changes that make a configuration hold what a document says.

    Parameters
    ----------
    root
        The document's outermost element.
    before
        The parameters that are there; where the file says no type, they keep theirs.

    Raises
    ------
    ConfigException
        If the document is of another shape; the sentence says where.
    """
    return [_edit(entry, before) for entry in _found(root)]


def _edit(entry: XmlEntry, before: Mapping[str, Change]) -> Edit:
    if entry.datatype == FOLDER:
        return Edit(entry.path, datatype=FOLDER, comment=entry.comment)
    if entry.datatype is not None:
        value = cast(entry.path, entry.text, entry.datatype)
        return Edit(entry.path, value=value, datatype=entry.datatype, comment=entry.comment)
    return Edit(entry.path, value=entry.text if entry.path in before else guess(entry.text), comment=entry.comment)


def _found(root: Element) -> Iterator[XmlEntry]:
    top = next((element for element in root.iter() if _tag(element) == XML_ROOT), None)
    if top is None:
        raise ConfigException(reason=f"the XML has no element <{XML_ROOT}>")
    waiting = [(child, "") for child in reversed(top)]
    while waiting:  # not by recursion: a file may be nested deeper than Python likes
        element, folder = waiting.pop()
        parts = _parts(element)
        path = folder + (parts.get("name") or _tag(element))
        below = [] if _is_written_out(element) else list(element)
        text = parts.get("value", "")
        if below and text:
            raise ConfigException(reason=f"'{path}' has both a value and something below it in the XML")
        datatype = _datatype(path, parts.get("type"))
        if below:
            waiting += [(child, f"{path}.") for child in reversed(below)]
        if text or datatype is not None:
            yield XmlEntry(path, text, datatype, parts.get("comment"))


def _parts(element: Element) -> dict[str, str]:
    """Return what is said of a parameter, in attributes, elements or its text."""
    said = {name: text for name, text in element.attrib.items() if name in PARTS}
    if _is_written_out(element):
        said.update({_tag(child): child.text or "" for child in element})
    text = "".join([element.text or "", *(child.tail or "" for child in element)])
    return {name: value.strip() for name, value in {**({"value": text} if text.strip() else {}), **said}.items()}


def _is_written_out(element: Element) -> bool:
    return _tag(element) == "parameter" and len(element) > 0 and {_tag(child) for child in element} <= PARTS


def _datatype(path: str, name: str | None) -> str | None:
    if name is None:
        return None
    if name.lower() not in XML_TYPES:
        raise ConfigException(reason=f"'{path}' has the type '{name}' in the XML; known are {', '.join(XML_TYPES)}")
    return XML_TYPES[name.lower()]


def _tag(element: Element) -> str:
    """Return an element's name without its namespace; empty for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
