"""Builds of the session logger that PCs fetch from the Gateway."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.gateways import PC, RunningGateway, configure, kind_of
from tests.processes import eventually


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "builds"
    folder.mkdir()
    for name in (
        "SessionLogger-1.9.0-windows.zip",
        "SessionLogger-1.10.0-windows.zip",
        "SessionLogger-2.0-linux.tar.gz",
    ):
        (folder / name).write_bytes(name.encode() * 100_000)
    (folder / "SessionLogger-9.9-windows.zip.part").write_bytes(b"half")
    (folder / "SessionLogger-9.8-windows.zip").symlink_to("/etc/passwd")
    (folder / "secrets.toml").write_text("key")
    return folder


@pytest.fixture
def pc(sqlite_template: Path, tmp_path: Path, folder: Path) -> Iterator[PC]:
    shutil.copyfile(sqlite_template, tmp_path / "nexus.db")
    gateway = RunningGateway(f"sqlite:///{tmp_path}/nexus.db", tmp_path, logger_builds=str(folder))
    yield gateway.pc()
    gateway.close()


def test_the_newest_and_its_file(pc: PC, folder: Path) -> None:
    """1.10 is newer than 1.9; links and other files are no builds."""
    answer = pc.get("logger").json()
    content = (folder / "SessionLogger-1.10.0-windows.zip").read_bytes()
    assert answer == {
        "version": "1.10.0",
        "file": "SessionLogger-1.10.0-windows.zip",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    fetched = pc.get(f"logger/{answer['file']}")
    assert fetched.content == content and fetched.headers["NexusCore-SHA256"] == answer["sha256"]
    assert pc.get(f"logger/{answer['file']}", params={}).headers["X-Content-Type-Options"] == "nosniff"
    assert pc.get("logger", params={"system": "linux"}).json()["version"] == "2.0"


def test_one_that_was_replaced(pc: PC, folder: Path) -> None:
    before = pc.get("logger").json()["sha256"]
    (folder / "SessionLogger-1.10.0-windows.zip").write_bytes(b"another")
    answer = pc.get("logger").json()
    assert answer["sha256"] == hashlib.sha256(b"another").hexdigest() != before


@pytest.mark.parametrize(
    "name", ["secrets.toml", "SessionLogger-9.8-windows.zip", "..%2Fnexus.db", "%2e%2e", "x" * 300]
)
def test_nothing_else_can_be_fetched(pc: PC, name: str) -> None:
    answer = pc.get(f"logger/{name}")
    assert (answer.status_code, "key" in answer.text, "root:" in answer.text) == (404, False, False)


def test_not_without_a_token(pc: PC) -> None:
    assert pc.gateway.get("/v1/logger").status_code == 401
    assert pc.gateway.get("/v1/logger/SessionLogger-1.10.0-windows.zip").status_code == 401


def test_where_there_is_none(pc: PC) -> None:
    assert kind_of(pc.get("logger", params={"system": "beos"})) == "no-build"
    configure(pc.gateway.main, logger_builds="")
    assert eventually(lambda: pc.get("logger").status_code == 404)
