"""A folder of the configuration, drawn as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from NexusCore.config.store import Change
from NexusCore.config.values import FOLDER
from NexusCore.text import one_line
from Tools.common.cells import cut
from Tools.common.parameters import on_a_line, remark
from Tools.common.terminal import Screen

TREE_LINES = ("├── ", "└── ", "│   ", "    ")
PLAIN_LINES = ("|-- ", "`-- ", "|   ", "    ")
"""For an output limited to ASCII."""


@dataclass(slots=True)
class Node:
    """A parameter or folder, and its children."""

    name: str
    change: Change | None = None
    children: dict[str, Node] = field(default_factory=dict)

    def size(self) -> int:
        """Return the number of parameters below."""
        return sum(child.size() if child.children else not _is_folder(child) for child in self.children.values())


def drawn(parameters: Sequence[Change], root: str, depth: int | None, screen: Screen) -> Iterator[str]:
    """Yield the lines of a tree.

    Parameters
    ----------
    parameters
        The parameters, in order.
    root
        Path of their folder; empty for the root.
    depth
        Levels to draw; None for all.
    screen
        The output.
    """
    top = Node(root or ".")
    if len(parameters) == 1 and parameters[0].path == root:
        top.change = parameters[0]
    for change in parameters:
        node = top
        for name in change.path[len(root) :].lstrip(".").split(".") if change.path != root else ():
            below = node.children.get(name)
            if below is None:
                below = node.children[name] = Node(name)
            node = below
        node.change = change
    yield from _lines(top, "", "", depth, screen, _strokes(screen))


def _lines(
    node: Node, before: str, below: str, depth: int | None, screen: Screen, strokes: Sequence[str]
) -> Iterator[str]:
    yield _line(node, before, screen, closed=depth == 0)
    if depth == 0:
        return
    fork, end, through, nothing = strokes
    names = list(node.children)
    for name, child in node.children.items():
        last = name == names[-1]
        further = None if depth is None else depth - 1
        corner, side = (end, nothing) if last else (fork, through)
        yield from _lines(child, below + corner, below + side, further, screen, strokes)


def _line(node: Node, before: str, screen: Screen, *, closed: bool) -> str:
    name = one_line(node.name)
    if node.children or _is_folder(node):
        size = node.size() if closed and node.children else 0
        count = f"  ({size} parameter{'s' if size != 1 else ''})" if size else ""
        return f"{screen.paint(before, 'dim')}{screen.paint(name, 'bold')}{screen.paint(count, 'dim')}"
    change = node.change
    assert change is not None, "a node without a change is a folder"  # noqa: S101
    if not change.revision:
        left = f"{before}{name}  (not set)"
        return screen.paint(left, "dim") + remark(change, len(left), screen)
    value = on_a_line(change)
    if screen.columns is not None:
        value = cut(value, max(1, screen.columns - len(f"{before}{name} = ")))
    comment = remark(change, len(f"{before}{name} = {value}"), screen)
    return f"{screen.paint(before, 'dim')}{name} = {screen.paint(value, 'cyan')}{comment}"


def _is_folder(node: Node) -> bool:
    return node.change is None or node.change.datatype == FOLDER


def _strokes(screen: Screen) -> Sequence[str]:
    try:
        "".join(TREE_LINES).encode(getattr(screen.out, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return PLAIN_LINES
    return TREE_LINES
