"""The configuration as JSON, for files and for exchange between facilities.

A folder is an object of its children; a parameter is an object with the text ``datatype``:

    {"SystemControl": {"default_user": {"datatype": "string", "value": "root", "comment": "Who starts the jobs."}}}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from NexusCore.config.changes import check_text
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.store import Edit
from NexusCore.config.values import DATATYPES, FOLDER, Limits, cast, discreet
from NexusCore.errors import ConfigException
from NexusCore.text import json_text

_LIMITS = frozenset(field.name for field in fields(Limits))


def serialize(node: ConfigParameter) -> str:
    """Return a folder or parameter, and all below it, as JSON text; its own name is the outermost key.

    Values of secrets are left out.
    """
    content = _object(node)
    return json_text({node.name: content} if node.name else content, indent=2)


def _object(node: ConfigParameter) -> dict[str, Any]:
    if node.datatype == FOLDER:
        return {child.name: _object(child) for child in node.children}
    content: dict[str, Any] = {"datatype": node.datatype}
    if not node.limits.secret:
        content["value"] = node.value
    if node.comment:
        content["comment"] = node.comment
    content.update(node.limits.given())
    return content


def deserialize(text: str, root: str = "") -> list[Edit]:
    """Return the edits that store JSON in the configuration.

    Parameters
    ----------
    text
        From `serialize`; plain values (``{"a": {"b": 3}}``) are accepted, too, with their own types.
    root
        Path of the folder to store it in; empty for the absolute root.

    Raises
    ------
    ConfigException
        If it is not JSON of that form; the message says where.
    """
    check_text("the JSON", text)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigException(
            reason=f"this is not JSON: {error.msg}, line {error.lineno}, column {error.colno}"
        ) from None
    if not isinstance(content, dict):
        raise ConfigException(reason="the JSON must be an object whose keys are names of folders and parameters")
    return list(_edits(content, f"{root}." if root else ""))


def _edits(content: dict[str, Any], prefix: str) -> Iterator[Edit]:
    for name, value in content.items():
        path = prefix + name
        if not isinstance(value, dict):
            if isinstance(value, list):
                raise ConfigException(reason=f"'{path}' is a list in the JSON; a parameter holds one value")
            yield Edit(path, value=value)
        elif isinstance(value.get("datatype"), str):
            yield _parameter(path, value)
        else:
            yield from _edits(value, f"{path}.")


def _parameter(path: str, content: dict[str, Any]) -> Edit:
    datatype = content["datatype"]
    if datatype not in DATATYPES:
        raise ConfigException(reason=f"'{path}' has the datatype '{datatype}'; known are {', '.join(DATATYPES)}")
    unknown = content.keys() - _LIMITS - {"datatype", "value", "comment"}
    if unknown:
        raise ConfigException(reason=f"'{path}' has the unknown field '{sorted(unknown)[0]}' in the JSON")
    limits = Limits.of({key: value for key, value in content.items() if key in _LIMITS})
    if not isinstance(content.get("comment", ""), str):
        raise ConfigException(reason=f"the comment of '{path}' in the JSON must be text")
    without_value = limits.secret and "value" not in content
    with discreet(limits):
        value = cast(path, content.get("value"), datatype)
    return Edit(
        path,
        value=value,
        datatype=datatype,
        comment=content.get("comment"),
        limits=limits,
        only_new=without_value,
        reveal=content.get("secret") is False,
    )
