"""Records as they come out of a journal, in MessagePack: many decoded at once, into the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound=tuple[Any, ...])

_ARRAY_MARK = b"\xdd"
"""MessagePack's mark of an array, before how many elements follow in four bytes."""


class Payloads(Generic[T]):
    """Decodes records of one kind.

    Parameters
    ----------
    kind
        The tuple that each is, with the types of its fields and their lengths.
    """

    def __init__(self, kind: Any) -> None:
        import msgspec  # here, since a program that only reads does not need it

        self._errors = msgspec.DecodeError
        self._together = msgspec.msgpack.Decoder(list[kind]).decode
        self.decode = msgspec.msgpack.Decoder(tuple).decode
        """Decodes one record of any form."""

    def rows(self, payloads: Sequence[bytes]) -> list[T] | None:
        """Return all records, or None if any is not of that kind; one call, since it is done while others log."""
        try:
            return self._together(b"".join((_ARRAY_MARK, len(payloads).to_bytes(4, "big"), *payloads)))
        except self._errors:
            return None
