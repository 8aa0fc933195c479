"""Who is at work and where, as the histories say it."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys

import pytest

from NexusCore import identity


class TestIdentity:
    """There is always a name, also in a container whose account the system does not know."""

    def test_user_and_host_are_those_of_the_system(self) -> None:
        assert (identity.user(), identity.host()) == (getpass.getuser(), socket.gethostname())

    @pytest.mark.parametrize("error", [OSError, KeyError, ImportError])
    def test_an_account_without_a_name(self, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
        def nobody() -> str:
            raise error

        monkeypatch.setattr(getpass, "getuser", nobody)
        assert identity.user() == str(os.getuid())

    def test_who_does_not_ask_imports_nothing(self) -> None:
        script = "import sys; import NexusCore.identity; print(*sys.modules)"
        loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
        assert not {"socket", "getpass"} & set(loaded.stdout.split())
