"""docs/api.md: its examples run, and it names everything that is public."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from NexusCore import API
from NexusCore.config.group import Group
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.view import NamedConfiguration
from NexusCore.delivery import Report
from NexusCore.status.element import StatusElement
from NexusCore.status.holder import StatusHolder
from tests.processes import LIMIT, PROJECT, messages, start

DOCUMENT = (PROJECT / "docs/api.md").read_text()
CALLED_BY_THE_CORE_ONLY = {"attach", "forked", "update", "modified_ts", "withheld"}
PUBLIC: dict[object, set[str]] = {
    API: {name for name in vars(API) if getattr(getattr(API, name), "__module__", "") == "NexusCore.API"},
    **{
        one: {name for name in dir(one) if not name.startswith("_")}
        for one in (NamedConfiguration, ConfigParameter, Group, StatusHolder, StatusElement, Report)
    },
}
UNNAMED = {"StopEvent"}
"""What is reached by another name: `api_stop_event` is one."""


@pytest.mark.parametrize("owner", PUBLIC, ids=lambda owner: str(owner.__name__))
def test_every_public_name_is_in_it(owner: object) -> None:
    named = set(re.findall(r"\w+", DOCUMENT))
    expected = PUBLIC[owner] - CALLED_BY_THE_CORE_ONLY - UNNAMED
    assert {name for name in expected if not name.startswith("_")} - named == set()


def test_its_examples_run_one_after_the_other(sqlite_url: str, tmp_path: Path) -> None:
    program = "\n".join(re.findall(r"```python\n(.*?)```", DOCUMENT, re.S))
    for _ in range(2):  # readers of the page run them more than once
        process = start(program, main=sqlite_url, home=tmp_path)
        out, err = process.communicate(timeout=LIMIT)
        assert (process.returncode, out, err) == (0, b"", b"")
    assert messages(sqlite_url, "Camera")[:3] == ["Exposing for 0.5 s", "The shutter needed 120 ms", "No exposure"]
