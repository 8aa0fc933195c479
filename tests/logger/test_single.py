"""One copy of the logger per computer."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid

import pytest

from Logger.single import Only, raise_other
from tests.conftest import PROJECT
from tests.logger.facility import LIMIT

HOLD = """
import os, sys
from Logger.single import Only
if len(sys.argv) > 2:
    os.setuid(int(sys.argv[2]))
only = Only.claim(sys.argv[1])
print(only is not None, flush=True)
sys.stdin.readline()
print(only is not None and only.raised(), flush=True)
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
            assert Only.claim(host) is None
        finally:
            process.kill()
            process.communicate(timeout=LIMIT)
        assert Only.claim(host) is not None

    def test_case_and_domain_of_the_computer_s_name_do_not_matter(self, host: str) -> None:
        assert Only.claim(host) is not None
        assert Only.claim(f"{host.upper()}.example.org") is None
        assert Only.claim(f"other-{host}") is not None

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process as another user")
    def test_another_user_is_refused_too(self, host: str) -> None:
        process = hold(host, STRANGER)
        try:
            assert answer(process) == "True"
            assert Only.claim(host) is None
        finally:
            process.communicate(timeout=LIMIT)


class TestASecondLaunch:
    """It makes the window of the first come forward, which asks now and then whether that happened."""

    def test_the_first_hears_of_it(self, host: str) -> None:
        process = hold(host)
        assert answer(process) == "True"
        raise_other(host)
        raise_other(host.upper())
        assert process.communicate("say\n", timeout=LIMIT)[0].strip() == "True"

    def test_without_one_it_hears_nothing(self, host: str) -> None:
        process = hold(host)
        assert answer(process) == "True"
        assert process.communicate("say\n", timeout=LIMIT)[0].strip() == "False"

    def test_nobody_is_there_to_come_forward(self, host: str) -> None:
        raise_other(host)
        only = Only.claim(host)
        assert only is not None
        assert not only.raised()
