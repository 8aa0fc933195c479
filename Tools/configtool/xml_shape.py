"""The configuration as XML, in the format of CryoCore's defaultConfiguration.xml.

Below ``<configuration>``, an element with child elements is a folder, and an element with text is a parameter, of the
type that the text looks like; the names are those of the elements. CryoCore writes no more than that. In addition, any
element may have the attributes ``name`` (if the name is not valid for an element), ``type``, ``value`` and ``comment``;
an element ``parameter`` may have them as child elements:

    <configuration>
      <Camera>
        <mode>fast</mode>
        <gain type="integer" comment="Electrons per count.">3</gain>
        <parameter><name>exposure</name><type>double</type><value>0.5</value><comment>Seconds.</comment></parameter>
      </Camera>
    </configuration>

Empty elements without a type are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from xml.etree.ElementTree import Element

from NexusCore.config.store import Change, Edit
from NexusCore.config.values import BOOLEAN, DOUBLE, FOLDER, INTEGER, STRING, cast, guess
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
    """None if the file has none."""
    comment: str | None


def edits(root: Element, before: Mapping[str, Change]) -> list[Edit]:
    """Return the changes that set the parameters of a document.

    Parameters
    ----------
    root
        The document's outermost element.
    before
        The existing parameters; without a type in the file, they keep theirs.

    Raises
    ------
    ConfigException
        If the document has another structure.
    """
    return [_edit(entry, before) for entry in _entries(root)]


def _edit(entry: XmlEntry, before: Mapping[str, Change]) -> Edit:
    if entry.datatype == FOLDER:
        return Edit(entry.path, datatype=FOLDER, comment=entry.comment)
    if entry.datatype is not None:
        value = cast(entry.path, entry.text, entry.datatype)
        return Edit(entry.path, value=value, datatype=entry.datatype, comment=entry.comment)
    return Edit(entry.path, value=entry.text if entry.path in before else guess(entry.text), comment=entry.comment)


def _entries(root: Element) -> Iterator[XmlEntry]:
    top = next((element for element in root.iter() if _tag(element) == XML_ROOT), None)
    if top is None:
        raise ConfigException(reason=f"the XML has no element <{XML_ROOT}>")
    stack = [(child, "") for child in reversed(top)]
    while stack:  # no recursion: a file may be nested deeper than Python's limit
        element, folder = stack.pop()
        parts = _parts(element)
        path = folder + (parts.get("name") or _tag(element))
        below = [] if _has_part_elements(element) else list(element)
        text = parts.get("value", "")
        if below and text:
            raise ConfigException(reason=f"'{path}' has both a value and something below it in the XML")
        datatype = _datatype(path, parts.get("type"))
        if below:
            stack += [(child, f"{path}.") for child in reversed(below)]
        if text or datatype is not None:
            yield XmlEntry(path, text, datatype, parts.get("comment"))


def _parts(element: Element) -> dict[str, str]:
    """Return name, type, value and comment of a parameter, from attributes, child elements or its text."""
    parts = {name: text for name, text in element.attrib.items() if name in PARTS}
    if _has_part_elements(element):
        parts.update({_tag(child): child.text or "" for child in element})
    text = "".join([element.text or "", *(child.tail or "" for child in element)])
    return {name: value.strip() for name, value in {**({"value": text} if text.strip() else {}), **parts}.items()}


def _has_part_elements(element: Element) -> bool:
    return _tag(element) == "parameter" and len(element) > 0 and {_tag(child) for child in element} <= PARTS


def _datatype(path: str, name: str | None) -> str | None:
    if name is None:
        return None
    if name.lower() not in XML_TYPES:
        raise ConfigException(
            reason=f"'{path}' has the unknown type '{name}' in the XML; use one of {', '.join(XML_TYPES)}"
        )
    return XML_TYPES[name.lower()]


def _tag(element: Element) -> str:
    """Return an element's name without its namespace; empty for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
