"""A status value with two dimensions: small pictures of what is going on, such as a map of tiles done."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from NexusCore.errors import StatusException
from NexusCore.status.element import Report, StatusElement, nobody, system_now

Grid = list[list[int]]
Cell = tuple[int, int]

LARGEST = 1_000_000
"""Cells that a grid may have: each change is stored whole."""


class Status2DElement(StatusElement):
    """Whole numbers from 0 to 255 in a grid (003-46).

    The whole value is a list of rows, each a list of `size[0]` numbers; a single cell is named ``(x, y)``, x along the
    row. Stored as JSON.

    Parameters
    ----------
    name
        Its name in the channel.
    size
        Columns and rows, both above 0 (003-38); at most a million cells.
    initial_value
        One number for all cells, or a whole value.
    expire_time, report, now
        As for `StatusElement`.
    """

    __slots__ = ("size",)

    def __init__(
        self,
        name: str,
        size: Cell,
        initial_value: int | Sequence[Sequence[int]] | None = None,
        expire_time: float | None = None,
        report: Report = nobody,
        now: Callable[[], int] = system_now,
    ) -> None:
        super().__init__(name, report, now, expire_time)
        if (
            not isinstance(size, (tuple, list))
            or len(size) != 2
            or not all(type(one) is int and one > 0 for one in size)
        ):
            raise StatusException(reason=f"the size of '{name}' is {size!r}; it takes two whole numbers above 0")
        columns, rows = size
        if columns * rows > LARGEST:
            raise StatusException(reason=f"'{name}' would have {columns * rows} cells; {LARGEST} can be stored")
        self.size = (columns, rows)
        if isinstance(initial_value, int):
            initial_value = [[initial_value] * columns for _ in range(rows)]
        self._value = (
            self._checked(initial_value) if initial_value is not None else [[0] * columns for _ in range(rows)]
        )

    def get_value(self, cell: Cell | None = None) -> Any:
        """Return the whole value, or that of one cell."""
        if cell is None:
            return [list(row) for row in self._value]
        x, y = self._inside(cell)
        return self._value[y][x]

    def set_value(self, value: Any, *rest: Any, **options: Any) -> None:
        """Change the whole value, ``set_value(rows, ...)``, or one cell, ``set_value((x, y), number, ...)``.

        What follows is `force_update` and `timestamp`, as for `StatusElement.set_value`.

        Raises
        ------
        StatusException
            If a number is not from 0 to 255, or the shape is not that of the element.
        """
        with self._lock:
            if isinstance(value, tuple) and len(value) == 2 and all(isinstance(one, int) for one in value):
                if not rest:
                    raise StatusException(reason=f"the cell {value} of '{self.name}' was given no number")
                grid = self.get_value()
                x, y = self._inside(value)
                grid[y][x], rest = rest[0], rest[1:]
            else:
                grid = value
            changed = self._set(self._checked(grid), *rest, **options)
        self._tell(changed)

    def __getitem__(self, cell: Cell) -> int:
        return int(self.get_value(cell))

    def __setitem__(self, cell: Cell, number: int) -> None:
        self.set_value(cell, number)

    def _text(self, value: Any) -> str:
        return json.dumps(value, separators=(",", ":"))

    def _inside(self, cell: Cell) -> Cell:
        x, y = cell
        if not (0 <= x < self.size[0] and 0 <= y < self.size[1]):
            raise StatusException(reason=f"'{self.name}' has no cell {cell}; its size is {self.size}")
        return x, y

    def _checked(self, grid: Sequence[Sequence[int]]) -> Grid:
        columns, rows = self.size
        shaped = isinstance(grid, (list, tuple)) and len(grid) == rows
        if not shaped or any(not isinstance(row, (list, tuple)) or len(row) != columns for row in grid):
            raise StatusException(reason=f"'{self.name}' takes {rows} rows of {columns} numbers")
        wrong = [n for row in grid for n in row if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= 255]
        if wrong:
            raise StatusException(reason=f"'{self.name}' takes whole numbers from 0 to 255, not {wrong[0]!r}")
        return [list(row) for row in grid]
