"""A service says that it is ready to what started it, and to nothing else."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from NexusCore.readiness import report_ready


def listening(address: str) -> socket.socket:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(address)
    receiver.settimeout(30)
    return receiver


class TestReadiness:
    """001-01: systemd and the init script learn of it in the ways that they have."""

    def test_into_the_file_of_an_init_script(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NEXUSCORE_READY_FILE", str(tmp_path / "ready"))
        report_ready()
        assert (tmp_path / "ready").read_text() == f"{os.getpid()}\n"

    @pytest.mark.parametrize("abstract", [False, True])
    def test_to_systemd(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
        name = f"nexuscore-test-{os.getpid()}" if abstract else str(tmp_path / "s")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else name)
        with listening(f"\0{name}" if abstract else name) as receiver:
            report_ready()
            assert receiver.recv(100) == b"READY=1"

    def test_one_that_does_not_listen_is_no_fault(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
        monkeypatch.setenv("NEXUSCORE_READY_FILE", str(tmp_path / "no/such/folder"))
        report_ready()
        assert not (tmp_path / "none").exists() and not (tmp_path / "no").exists()
