"""One copy of the logger per computer."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid

import pytest

from Logger.single import acquire_lock
from tests.conftest import PROJECT
from tests.logger.facility import LIMIT

HOLD = """
import os, sys
from Logger.single import acquire_lock
if len(sys.argv) > 2:
    os.setuid(int(sys.argv[2]))
print(acquire_lock(sys.argv[1]), flush=True)
sys.stdin.read()
"""
STRANGER = 65534
"""The account "nobody"."""


@pytest.fixture
def host() -> str:
    return f"pc-{uuid.uuid4().hex[:12]}"


def hold(*arguments: object) -> subprocess.Popen[str]:
    """Start a process that takes the lock of a host and keeps it; as another user, if one is named."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, *map(str, arguments)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class TestTheLock:
    """000-66, 67: held while the process lives, by one of them, whoever is logged on."""

    def test_a_second_one_is_refused_until_the_first_is_gone(self, host: str) -> None:
        """Killed, not ended: nothing is left behind that would hold up the next start."""
        process = hold(host)
        try:
            assert answer(process) == "True"
            assert not acquire_lock(host)
        finally:
            process.kill()
            process.communicate(timeout=LIMIT)
        assert acquire_lock(host)

    def test_case_and_domain_of_the_computer_s_name_do_not_matter(self, host: str) -> None:
        assert acquire_lock(host)
        assert not acquire_lock(f"{host.upper()}.example.org")
        assert acquire_lock(f"other-{host}")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process as another user")
    def test_another_user_is_refused_too(self, host: str) -> None:
        process = hold(host, STRANGER)
        try:
            assert answer(process) == "True"
            assert not acquire_lock(host)
        finally:
            process.communicate(timeout=LIMIT)
