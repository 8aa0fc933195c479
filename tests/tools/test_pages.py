"""The documentation for people: every command line of a tool in it is one that the tool understands."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from tests.tools.programs import PROJECT

TOOLS = ("ConfigTool", "ConfigUI", "Doctor", "SessionTool", "TailLog", "TailStatus")
LINE = re.compile(rf"^    (?:\$ )?({'|'.join(TOOLS)})((?: .*)?)$", re.M)
COMMANDS = [
    pytest.param(tool, words, id=f"{page.name}: {tool}{words}")
    for page in sorted([PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")])
    for tool, line in LINE.findall(page.read_text("utf-8"))
    for words in re.split(r"\s{2,}| > ", line)[:1]
    if "$(" not in words  # known to the shell alone
]


@pytest.mark.parametrize(("tool", "words"), COMMANDS)
def test_every_command_is_understood(tool: str, words: str) -> None:
    import_module(f"Tools.{tool}").parser().parse_args(shlex.split(words))


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_has_a_page_with_its_exit_codes(tool: str) -> None:
    page = Path(PROJECT, "docs", f"{tool.lower()}.md").read_text("utf-8")
    assert page.startswith(f"# {tool}\n")
    assert re.search("exit codes?", page, re.IGNORECASE)
