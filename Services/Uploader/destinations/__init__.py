"""Kinds of destination: every folder here is one, the modules beside them are what the kinds share.

A kind's ``__init__.py`` has ``make(config, home) -> Destination``, which declares its settings (``config`` is the
folder `Services.Uploader.<kind>` of the configuration, ``home`` is `NEXUSCORE_HOME`) and returns the destination as
they are now; it imports nothing heavy. Adding one touches no other file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Protocol

from NexusCore import plugins
from NexusCore.config import NamedConfiguration
from NexusCore.config.store import near_miss
from NexusCore.errors import EXIT_REFUSED, NexusError
from NexusCore.facility import Record
from NexusCore.files import open_file_below


class NotTaken(NexusError):
    """{destination} did not take the record '{title}': {reason}."""


class RecordRefused(NexusError):
    """{destination} refuses the record '{title}': {reason}. It is sent again when it is rebuilt, or with:
    SessionTool requeue {session} --upload
    """  # noqa: D205, D400  the message

    exit_code = EXIT_REFUSED


class DestinationAway(NexusError):
    """{destination} cannot be used now: {reason}."""


class NoSuchDestination(NexusError):
    """Services.Uploader.destinations names '{name}', which is not a kind of destination; known are: {known}.{hint}"""  # noqa: D400

    exit_code = EXIT_REFUSED


@dataclass(frozen=True, slots=True)
class Receipt:
    """A destination's confirmation that it has a record."""

    destination: str
    remote_id: str
    """Its identifier of the record; at most 255 characters."""
    url: str | None = None
    remark: str | None = None
    """A sentence for the log: what was special about it."""
    sha256: str | None = None
    """SHA-256 of what was sent, where its links were made to lead to where the destination has the files; None where
    it is the record's own."""
    pid: str | None = None
    """The persistent identifier that the destination gave the record; at most 255 characters."""


class Destination(Protocol):
    """Where finished records go. `put` is idempotent: the same record twice leaves one copy."""

    @property
    def name(self) -> str:
        """The kind, as in `Services.Uploader.destinations`."""
        ...

    def check(self) -> list[str]:
        """Return what prevents sending any record, in sentences; changes nothing."""
        ...

    def put(self, record: Record) -> Receipt:
        """Store a record and what belongs to it; an older version of the same session's record is replaced.

        It may be broken off at any point, and is then called again; so it is some time after that, to find and put
        right what a server did late.

        Raises
        ------
        Refused
            If sending the same again is of no use.
        DestinationAway
            If no other record could be sent now either.
        NexusError
            With a sentence, if it isn't there afterwards.
        """
        ...

    def fetch(self, receipt: Receipt) -> bytes:
        """Return the record's XML as the destination has it."""
        ...


class Nowhere:
    """Keeps nothing but the last record's content; for tests of the uploader itself."""

    name = "nowhere"

    def __init__(self) -> None:
        self._content = b""

    def check(self) -> list[str]:
        """Return no obstacle."""
        return []

    def put(self, record: Record) -> Receipt:
        """Pretend to store a record."""
        self._content = content_of(Path(record.path))
        return Receipt(destination=self.name, remote_id=record.sha256)

    def fetch(self, receipt: Receipt) -> bytes:
        """Return the content of the last record put."""
        return self._content


MakeDestination = Callable[[NamedConfiguration, Path], Destination]


def kinds() -> Mapping[str, MakeDestination]:
    """Return what makes each kind of destination."""
    return {name: module.make for name, module in plugins.kinds(plugins.DESTINATIONS).items()}


def make_of(name: str) -> MakeDestination:
    """Return what makes the destination of a name.

    Raises
    ------
    NoSuchDestination
        If no kind has this name.
    """
    known = kinds()
    if name not in known:
        raise NoSuchDestination(name=name, known=", ".join(known), hint=near_miss(name, known))
    return known[name]


def obstacle(error: NexusError) -> str:
    """Return an error's message without the destination's name, for use after that name."""
    return str(error).removeprefix(f"{error.facts.get('destination')} cannot be used now: ").rstrip(".")


def files_of(xml: Path) -> Path:
    """Return the folder beside a record's XML that holds its previews and metadata; it need not exist.

    The XML names them relative to its own folder, so a copy keeps their places.
    """
    return xml.with_suffix(".files")


def open_of(xml: Path, file: Path) -> BufferedReader:
    """Open a record, or a file that belongs to it, for reading: it must not have become a link, hard or symbolic."""
    return open_file_below(xml.parent, file)


def content_of(xml: Path) -> bytes:
    """Return a record's XML."""
    with open_of(xml, xml) as file:
        return file.read()


def digest(file: BufferedReader) -> str:
    """Return the SHA-256 of the rest of an open file."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(xml: Path, file: Path) -> str:
    """Return the SHA-256 of a record, or of a file that belongs to it."""
    with open_of(xml, file) as opened:
        return digest(opened)
