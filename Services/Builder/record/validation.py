"""Validates records against an XML schema, the one shipped with NexusCore or a facility's own.

Documents are parsed without any access beyond themselves: no entity is resolved, no DTD read, no network asked, and
a document with a type declaration of its own is refused, since records do not need one.
"""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from lxml import etree

from NexusCore.errors import EXIT_USAGE, NexusError

SCHEMA = Path(__file__).with_name("schema") / "nexus-experiment.xsd"
"""NexusCore's own schema of a record."""

# A compiled schema keeps the errors of its latest validation, so two threads must not use one at the same time.
_ONE_AT_A_TIME = threading.Lock()


class SchemaUnusable(NexusError):
    """The schema file {path}, against which records are checked, cannot be used: {reason}.

    The configuration parameter Services.Builder.schema_path names it. To name another:
    ConfigTool Services.Builder.schema_path=<file>
    """

    exit_code: ClassVar[int] = EXIT_USAGE


def validate(document: bytes, schema: Path | None = None) -> list[str]:
    """Return what is wrong with a record.

    Parameters
    ----------
    document
        The record's XML.
    schema
        The schema file; None for the one shipped with NexusCore. A file that has changed is read again.

    Returns
    -------
    list of str
        One sentence per fault, each with its line; empty for a valid record.

    Raises
    ------
    SchemaUnusable
        The schema file is missing, unreadable or no XML schema.
    """
    path = (schema or SCHEMA).absolute()
    try:
        state = path.stat()
    except OSError as error:
        raise SchemaUnusable(path=path, reason=error.strerror or error) from error
    parser = _parser()
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        return _sentences(parser.error_log, str(error))  # the error's own log is the whole process's
    if root.getroottree().docinfo.internalDTD is not None:
        return ["A record has no document type declaration and no entities of its own (<!DOCTYPE ...>)."]
    with _ONE_AT_A_TIME:
        rules = _compiled(path, state.st_mtime_ns, state.st_size)
        return [] if rules.validate(root) else _sentences(rules.error_log, "It does not follow the schema")


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


@lru_cache(maxsize=8)
def _compiled(path: Path, mtime_ns: int, size: int) -> etree.XMLSchema:  # time and size: the cache's key
    try:
        return etree.XMLSchema(etree.parse(str(path), _parser()))
    except OSError as error:
        raise SchemaUnusable(path=path, reason=error.strerror or error) from error
    except (etree.XMLSyntaxError, etree.XMLSchemaParseError) as error:
        raise SchemaUnusable(path=path, reason=_plain(str(error)).rstrip(".")) from error


def _sentences(log: etree._BaseErrorLog, otherwise: str) -> list[str]:
    return [f"Line {entry.line}: {_plain(entry.message)}" for entry in log] or [f"Line 1: {_plain(otherwise)}"]


def _plain(message: str) -> str:
    return re.sub(r"\{https?://[^{}]*\}|\[facet '\w+'\] ", "", message).strip()
