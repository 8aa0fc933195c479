"""Write into ``docs/requirements.md`` which tests show each requirement: ``./install.sh requirements``.

A test names the requirements that it shows in its docstring, or its class or module does: 003-25, a range as in
000-21..23, or a list as in 001-20, 21. The texts and decisions stand in the page alone and are left as they are.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs/requirements.md"

MARKER = re.compile(r"\b(?P<group>00\d)-(?P<items>\d+\b(?:(?:\.\.(?:(?P=group)-)?|, )\d+\b(?!-))*)")
"""One number of a requirement and the range or list that it begins."""
ENTRY = re.compile(r"- \*\*(?P<number>00\d-\d+)\*\* (?P<text>.+)")
"""First line of a requirement in the page."""
MADE = re.compile(r"  - (\[tests/|Open\b)")
"""A line below a requirement that this module writes."""
CONTINUED = re.compile(r"  (?!- )(.+)")
"""A further line of a requirement's text."""
OPEN_HEADING = "## Open"
WIDTH = 120

Node = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class WrongMarkers(Exception):
    """The page and the tests do not agree on which requirements there are; one line for each mistake."""


@dataclass(frozen=True)
class Marker:
    """A test, class or module, and a requirement that its docstring names."""

    test: str
    """The node id, as pytest takes it."""
    number: str


def numbers(text: str) -> list[str]:
    """Return the numbers of requirements in a text, ranges written out."""
    found = []
    for match in MARKER.finditer(text):
        group = match["group"]
        for part in match["items"].split(", "):
            first, _, last = part.replace(f"{group}-", "").partition("..")
            if not last:
                found.append(f"{group}-{first}")
            else:
                found.extend(f"{group}-{item:02}" for item in range(int(first), int(last) + 1))
    return list(dict.fromkeys(found))


def markers(tests: Path) -> list[Marker]:
    """Return what the test modules below a folder say they show, by path and then in their own order."""
    return [
        marker
        for path in sorted(tests.rglob("test_*.py"))
        for marker in _markers_of(ast.parse(path.read_text("utf-8")), path.relative_to(tests.parent).as_posix())
    ]


def _markers_of(node: Node, name: str) -> Iterator[Marker]:
    # The narrowest test that names a requirement is what a reader wants to run: whatever is around it is not listed.
    inner = [marker for child in node.body if _is_test(child) for marker in _markers_of(child, f"{name}::{child.name}")]
    narrower = {marker.number for marker in inner}
    for number in numbers(ast.get_docstring(node) or ""):
        if number not in narrower:
            yield Marker(name, number)
    yield from inner


def _is_test(node: ast.stmt) -> bool:
    match node:
        case ast.ClassDef():
            return node.name.startswith("Test")
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return node.name.startswith("test_")
    return False


def rewritten(page: str, found: Iterable[Marker]) -> str:
    """Return the page with the tests below each requirement, and the list of those that no test shows.

    Raises
    ------
    WrongMarkers
        If a requirement stands twice in the page, or a test names one that is not there.
    """
    lines = page.partition(f"\n{OPEN_HEADING}\n")[0].rstrip().splitlines()
    lines = [line for line in lines if not MADE.match(line)]
    texts = list(_texts(lines))
    found = list(found)
    _check([number for number, _ in texts], found)

    tests: dict[str, list[str]] = {number: [] for number, _ in texts}
    for marker in found:
        tests[marker.number].append(marker.test)
    missing = [f"{number} {text}" for number, text in texts if not tests[number]]
    body = "\n".join(_with_tests(lines, tests))
    return f"{body}\n\n{OPEN_HEADING}\n\n{_open(missing, len(texts))}"


def _texts(lines: list[str]) -> Iterator[tuple[str, str]]:
    for place, line in enumerate(lines):
        if entry := ENTRY.fullmatch(line):
            more = takewhile(bool, (CONTINUED.fullmatch(each) for each in lines[place + 1 :]))
            yield entry["number"], " ".join([entry["text"], *(match[1] for match in more if match)])


def _check(numbers_in_page: list[str], found: list[Marker]) -> None:
    mistakes = [
        f"{number} stands {count} times in the page." for number, count in Counter(numbers_in_page).items() if count > 1
    ]
    known = set(numbers_in_page)
    mistakes += [
        f"{one.test} names {one.number}, which is not in the page." for one in found if one.number not in known
    ]
    if mistakes:
        raise WrongMarkers("\n".join(mistakes))


def _with_tests(lines: list[str], tests: Mapping[str, list[str]]) -> Iterator[str]:
    number = ""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        yield line
        if match := ENTRY.fullmatch(line):
            number = match["number"]
        # What belongs to a requirement is indented; its tests come after that.
        if number and not following.startswith("  "):
            yield from _lines_of(tests[number])
            number = ""


def _lines_of(tests: list[str]) -> list[str]:
    if not tests:
        return ["  - Open: no test shows it."]
    return [f"  - [{test}](../{test.partition('::')[0]})" for test in tests]


def _open(missing: list[str], count: int) -> str:
    if not missing:
        return f"Each of the {count} requirements is shown by a test.\n"
    listed = "".join(
        textwrap.fill(f"- {text}", WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) + "\n"
        for text in missing
    )
    return f"No test shows {len(missing)} of the {count} requirements:\n\n{listed}"


def main() -> int:
    """Write the page again; return 1, with the reasons, if that cannot be done."""
    try:
        page = rewritten(PAGE.read_text("utf-8"), markers(PROJECT / "tests"))
    except WrongMarkers as error:
        print(error, file=sys.stderr)
        return 1
    PAGE.write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
