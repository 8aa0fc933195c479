"""A status value with two dimensions: small images of progress, such as a map of finished tiles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from NexusCore.errors import StatusException
from NexusCore.status.element import Channel, ElementAtChange, StatusElement

Grid = list[list[int]]
Cell = tuple[int, int]

LARGEST_GRID = 1_000_000
"""Most cells of a grid: each change stores the whole grid."""


class Status2DElement(StatusElement):
    """Whole numbers from 0 to 255 in a grid.

    The whole value is a list of `size[0]` columns, each a list of `size[1]` numbers: ``value[x][y]`` is the cell
    ``(x, y)``. Stored as JSON.

    Parameters
    ----------
    name
        Its name in the channel.
    holder
        As for `StatusElement`.
    size
        Columns and rows, both above 0; at most a million cells.
    initial_value
        One number for all cells, or a whole grid; 0 if not given.
    expire_time
        As for `StatusElement`.
    """

    __slots__ = ("size",)

    def __init__(
        self,
        name: str,
        holder: Channel | None,
        size: Cell,
        initial_value: int | Sequence[Sequence[int]] | None = None,
        *,
        expire_time: float | None = None,
    ) -> None:
        super().__init__(name, holder, expire_time=expire_time)
        if (
            not isinstance(size, (tuple, list))
            or len(size) != 2
            or not all(type(count) is int and count > 0 for count in size)
        ):
            raise StatusException(reason=f"the size of '{name}' is {size!r}; it takes two whole numbers above 0")
        columns, rows = size
        if columns * rows > LARGEST_GRID:
            raise StatusException(reason=f"'{name}' would have {columns * rows} cells; {LARGEST_GRID} can be stored")
        self.size = (columns, rows)
        if initial_value is None or isinstance(initial_value, int):
            initial_value = [[initial_value or 0] * rows for _ in range(columns)]
        self._value = self._checked(initial_value)

    def get_value(self, cell: Cell | None = None) -> Any:
        """Return the whole grid, or the value of one cell."""
        if cell is None:
            return [list(column) for column in self._value]
        x, y = self._inside(cell)
        return self._value[x][y]

    def set_value(self, value: Any, *rest: Any, **options: Any) -> None:
        """Change the whole grid, ``set_value(columns, ...)``, or one cell, ``set_value((x, y), number, ...)``.

        Further arguments are `force_update` and `timestamp`, as for `StatusElement.set_value`.

        Raises
        ------
        StatusException
            If a number is not between 0 and 255, or the shape is not that of the element.
        """
        with self._lock:
            if isinstance(value, tuple) and len(value) == 2 and all(isinstance(index, int) for index in value):
                if not rest:
                    raise StatusException(reason=f"the cell {value} of '{self.name}' was given no number")
                grid = self.get_value()
                x, y = self._inside(value)
                grid[x][y], rest = rest[0], rest[1:]
            else:
                grid = value
            changed = self._set(self._checked(grid), *rest, **options)
        if changed:
            self._call_reporters()

    def inc(self, cell: Cell | None = None, by: float = 1) -> None:  # type: ignore[override]  # which cell comes first
        """Increase one cell: ``inc((x, y))``."""
        with self._lock:
            if not isinstance(cell, (tuple, list)):
                raise StatusException(reason=f"'{self.name}' counts by cell: inc((x, y))")
            self.set_value(tuple(cell), self.get_value(cell) + by)

    def dec(self, cell: Cell | None = None, by: float = 1) -> None:  # type: ignore[override]  # which cell comes first
        """Decrease one cell: ``dec((x, y))``."""
        self.inc(cell, -by)

    def become(self, other: Status2DElement, *, with_value: bool) -> None:
        """Take over size and expiry of another element, and its value if `with_value` or if the size differs."""
        with self._lock:
            self._expires = other._expires
            resized, self.size = self.size != other.size, other.size
            changed = self._set(other.get_value(), force_update=True) if with_value or resized else False
        if changed:
            self._call_reporters()

    def __getitem__(self, cell: Cell) -> int:
        return int(self.get_value(cell))

    def __setitem__(self, cell: Cell, number: int) -> None:
        self.set_value(cell, number)

    def _text(self, value: Any) -> str:
        return json.dumps(value, separators=(",", ":"))

    def _as_it_is(self) -> StatusElement:
        then = object.__new__(_PastGrid)
        then.live, then.name, then.size, then._value, then._ts = self, self.name, self.size, self._value, self._ts
        return then

    def _inside(self, cell: Cell) -> Cell:
        try:
            x, y = cell
            fits = 0 <= x < self.size[0] and 0 <= y < self.size[1]
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise StatusException(reason=f"'{self.name}' has no cell {cell}; its size is {self.size}")
        return x, y

    def _checked(self, grid: Sequence[Sequence[int]]) -> Grid:
        columns, rows = self.size
        shaped = isinstance(grid, (list, tuple)) and len(grid) == columns
        if not shaped or any(not isinstance(column, (list, tuple)) or len(column) != rows for column in grid):
            raise StatusException(reason=f"'{self.name}' takes {columns} columns of {rows} numbers")
        wrong = [n for column in grid for n in column if type(n) is not int or not 0 <= n <= 255]
        if wrong:
            raise StatusException(reason=f"'{self.name}' takes whole numbers from 0 to 255, not {wrong[0]!r}")
        return [list(column) for column in grid]


class _PastGrid(ElementAtChange, Status2DElement):
    __slots__ = ("live",)
