"""The logger's folder keeps to what Python 3.8, the last for Windows 7, knows."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import NexusCore
from Logger.version import VERSION
from tests.conftest import PROJECT

FILES = sorted((PROJECT / "Logger").rglob("*.py"))
NEEDS_MORE = {"database_facility.py": {"NexusCore"}, "gateway_connection.py": {"requests"}, "link.py": {"requests"}}
"""What reaches the database itself runs where NexusCore does; the Gateway is reached with requests."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
class TestEveryFile:
    """000-51."""

    def test_its_syntax_is_that_of_python_3_8(self, file: Path) -> None:
        ast.parse(file.read_text("utf-8"), file.name, feature_version=(3, 8))

    def test_annotations_are_not_evaluated(self, file: Path) -> None:
        """`X | None` and `list[int]` are for the reader then; 3.8 would stumble over them."""
        tree = ast.parse(file.read_text("utf-8"))
        if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(tree)):
            assert "from __future__ import annotations" in file.read_text("utf-8")

    def test_it_needs_nothing_but_the_standard_library(self, file: Path) -> None:
        """000-58, 002-02: what runs on an old PC is Python, Tk and this folder."""
        tree = ast.parse(file.read_text("utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        roots = {name.partition(".")[0] for name in imported} - {"Logger"} - sys.stdlib_module_names
        assert roots <= NEEDS_MORE.get(file.name, set())


def test_its_version_is_that_of_the_project() -> None:
    """A microscope's PC has no NexusCore to ask."""
    assert NexusCore.__version__ == VERSION
