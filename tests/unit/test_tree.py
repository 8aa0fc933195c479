"""The tree of a configuration: whatever is asked of it and in whichever order, it holds what was stored."""

from __future__ import annotations

import threading
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.store import REMOVE, SET, Change
from NexusCore.config.tree import Tree
from NexusCore.config.values import FOLDER, INTEGER, Limits

PATHS = st.lists(st.sampled_from(["a", "b", "a-b", "a/", "a0", "ä", ""]), min_size=1, max_size=3).map(".".join)
"""Some characters come before the dot, some behind it; with an SQL client, somebody may leave out a name."""
STORED = st.dictionaries(PATHS, st.integers(0, 3), max_size=6)
STEPS = st.lists(
    st.tuples(st.just("set"), PATHS, st.integers(0, 3))
    | st.tuples(st.sampled_from(["remove", "look", "children"]), PATHS)
    | st.tuples(st.just("replace"), STORED),
    max_size=12,
)


class Nobody:
    """Stores nothing."""

    def set_value(self, *arguments: Any) -> None:
        raise AssertionError

    def set_comment(self, *arguments: Any) -> None:
        raise AssertionError


def change(path: str, value: int, revision: int, action: str = SET) -> Change:
    limits = Limits(minimum=0).to_json() if value else None
    return Change(revision, 1, path, action, str(value), INTEGER, f"comment {value}", limits, revision * 10)


def loaded(stored: dict[str, int], *, rows: bool) -> Tree:
    tree = Tree(Nobody(), "default", 1)
    changes = [change(path, value, number) for number, (path, value) in enumerate(stored.items(), 1)]
    if rows:
        tree.load_rows([(c.path, c.value, c.datatype, c.comment, c.limits, c.revision, c.ts) for c in changes])
    else:
        tree.load(changes)
    return tree


def dumped(tree: Tree) -> dict[str, Change]:
    found: list[Change] = []
    counts: list[int] = []

    def take(count: int, changes: Any) -> None:
        counts.append(count)
        found.extend(changes)

    tree.dump(take)
    assert counts == [len(found)]
    return {one.path: one for one in found}


def names(stored: dict[str, int], folder: str) -> list[str]:
    prefix = f"{folder}." if folder else ""
    found = {path.removeprefix(prefix).split(".")[0] for path in stored if path.startswith(prefix)}
    return sorted(found if folder else found - {""})


@given(STORED, st.booleans(), STEPS)
def test_it_holds_what_was_stored(stored: dict[str, int], rows: bool, steps: list[tuple[Any, ...]]) -> None:
    tree, stored, revision = loaded(stored, rows=rows), dict(stored), 100
    held: dict[str, ConfigParameter] = {}
    for what, *details in steps:
        revision += 1
        if what == "replace":
            (after,) = details
            changed = tree.replace([change(path, value, revision) for path, value in after.items()])
            differing = {path for path in stored.keys() | after.keys() if stored.get(path) != after.get(path)}
            assert {one.path for one in changed} == differing
            stored = dict(after)
            continue
        path = details[0]
        if what == "set":
            reported = tree.apply(change(path, details[1], revision))
            stored[path] = details[1]
            assert reported is tree.node(path)
            assert tree.apply(change(path, 7, revision - 1)) is None, "it is older than what is known"
        elif what == "remove":
            tree.apply(change(path, 0, revision, REMOVE))
            stored.pop(path, None)
        elif what == "look":
            node = tree.node(path)
            if node is not None:
                assert held.setdefault(path, node) is node, "a program may hold on to it"
        else:
            assert [one.name for one in tree.children(path)] == names(stored, path)
    folders = {path.rsplit(".", depth)[0] for path in stored for depth in range(path.count(".") + 1)}
    assert tree.paths() - {""} == folders - {""}
    assert {path: int(one.value or 0) for path, one in dumped(tree).items()} == stored
    for path in folders | held.keys():
        found, parameter = tree.node(path), tree.parameter(path)
        assert (found is not None) == (path in folders or not path)
        if found is not None:
            assert held.get(path, found) is found
            assert (found.value, found.datatype) == ((stored[path], INTEGER) if path in stored else (None, FOLDER))
        assert (parameter.value if parameter else None) == stored.get(path)
    in_order = sorted((path for path in stored if path.split(".")[0]), key=lambda path: path.split("."))
    assert [one.path for one in tree.below("") if one.revision] == in_order
    assert dumped(loaded_again(tree)) == dumped(tree)


def loaded_again(tree: Tree) -> Tree:
    again = Tree(Nobody(), "default", 1)
    again.load(dumped(tree).values())
    return again


def test_who_asks_first_while_it_changes() -> None:
    """Readers in other threads get the parameter itself, not one that nobody updates any more."""
    paths = [f"a.b{number}" for number in range(2000)]
    tree = loaded(dict.fromkeys(paths, 1), rows=True)
    begin = threading.Barrier(3)
    found: list[dict[str, ConfigParameter | None]] = [{}, {}]

    def read(mine: dict[str, ConfigParameter | None], order: list[str]) -> None:
        begin.wait(10)
        for path in order:
            mine[path] = tree.parameter(path)

    readers = [threading.Thread(target=read, args=(found[0], paths)),
               threading.Thread(target=read, args=(found[1], paths[::-1]))]  # fmt: skip
    for one in readers:
        one.start()
    begin.wait(10)
    for number, path in enumerate(paths):
        tree.apply(change(path, 2, 5000 + number))
    for one in readers:
        one.join(10)
    for path in paths:
        node = tree.node(path)
        assert node is not None
        assert node.value == 2
        assert found[0][path] is found[1][path] is node
