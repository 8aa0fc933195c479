"""Versions with many parameters are overwritten and deleted only after a question, as other things are."""

from __future__ import annotations

import pytest

from NexusCore.config.store import Edit
from NexusCore.storage import Database
from tests.tools.conftest import configure
from tests.tools.programs import Done, in_process


def tool(*words: str) -> Done:
    return in_process("ConfigTool", *words)


@pytest.fixture
def two(embedded: Database) -> Database:
    """Make two versions that differ in 30 parameters."""
    names = [f"p{number}" for number in range(30)]
    configure(embedded, *(Edit(f"Bulk.{name}", value=1) for name in names))
    assert tool("copy", "default", "other").code == 0
    configure(embedded, *(Edit(f"Bulk.{name}", value=2) for name in names))
    return embedded


def value(version: str) -> str:
    return tool("--version", version, "get", "Bulk.p7").out.strip()


class TestAQuestionComesFirst:
    """003-25: what many would regret is asked about; without a terminal, the answer is no."""

    def test_before_many_are_overwritten(self, two: Database) -> None:
        done = tool("copy", "default", "other", "--overwrite")
        assert done.code == 4
        assert "This replaces 30 parameters of the version 'other'. Nothing was changed; --yes" in done.err
        assert value("other") == "1"
        assert tool("copy", "default", "other", "--overwrite", "--dry-run").code == 0
        assert value("other") == "1"
        assert tool("copy", "default", "other", "--overwrite", "--yes").code == 0
        assert value("other") == "2"

    def test_not_where_few_differ(self, two: Database) -> None:
        assert tool("copy", "default", "other", "--overwrite", "--yes").code == 0
        configure(two, *(Edit(f"Bulk.p{number}", value=3) for number in range(5, 10)))
        assert tool("copy", "default", "other", "--overwrite").code == 0
        assert value("other") == "3"

    def test_before_a_large_version_is_deleted(self, two: Database) -> None:
        done = tool("delete", "version", "other")
        assert done.code == 4
        assert "This deletes the version 'other' with 3" in done.err
        assert value("other") == "1"
        assert tool("delete", "version", "other", "--yes").code == 0
        assert tool("--version", "other", "get", "Bulk.p7").code != 0

    def test_not_before_a_small_one_is(self, embedded: Database) -> None:
        configure(embedded, Edit("A.b", value=1))
        assert tool("copy", "default", "other").code == 0
        assert tool("delete", "version", "other").code == 0
