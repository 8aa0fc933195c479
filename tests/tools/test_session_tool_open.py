"""``SessionTool open``: the page of a record, in the browser where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.facility.sessions import Session, Sessions, State
from NexusCore.storage import Database
from tests.tools.facility import built, furnished, tool


@pytest.fixture
def sessions(embedded: Database, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return Sessions(furnished(embedded), SYSTEM_CLOCK)


@pytest.fixture
def session(sessions: Sessions, embedded: Database, tmp_path: Path) -> Session:
    return built(sessions, embedded, State.BUILT, path=tmp_path / "titan.xml")


def test_without_a_browser_its_path_is_printed(session: Session, tmp_path: Path) -> None:
    page = tmp_path / "titan.html"
    page.write_text("<p>")
    done = tool("open", session.identifier[:8])
    assert (done.code, done.lines) == (0, [str(page)])
    (found,) = tool("open", session.identifier, "--json").objects
    assert found == {"session": session.identifier, "page": str(page), "opened": False}


def test_the_browser_gets_its_address(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "titan.html").write_text("<p>")
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >"{tmp_path}/asked"\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    assert tool("open", session.identifier, "--print").code == 0
    assert not (tmp_path / "asked").exists()
    (found,) = tool("open", session.identifier, "--json").objects
    assert found["opened"] is True
    assert (tmp_path / "asked").read_text().strip() == (tmp_path / "titan.html").as_uri()


def test_a_record_without_a_page(session: Session, tmp_path: Path) -> None:
    done = tool("open", session.identifier)
    assert done.code == 4
    assert f"has no page at {tmp_path}/titan.html" in done.err
    assert f"SessionTool requeue {session.identifier}" in done.err


def test_a_session_without_a_record(sessions: Sessions) -> None:
    tool("start", "FEI-Titan-TEM")
    done = tool("open", "FEI-Titan-TEM")
    assert done.code == 4
    assert "has no record" in done.err
