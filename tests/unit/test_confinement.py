"""A process gives up files, network and programs for good (`NexusCore.confinement`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from NexusCore.confinement import landlock_version
from tests.processes import PROJECT

landlock = pytest.mark.skipif(not landlock_version(), reason="the kernel has no Landlock")

CONFINED = """
import os, socket, subprocess, sys
from pathlib import Path
from NexusCore.call_filter import refuse_calls
from NexusCore.confinement import confine
folder = Path(sys.argv[1])
assert confine([Path(sys.prefix), Path(sys.base_prefix), Path("/usr/lib"), Path("/lib"), folder / "shown"],
               [folder], [folder / "scratch"]) is True
refuse_calls()
def attempt(what, how):
    try:
        how()
    except OSError as error:
        print(what, type(error).__name__)
    else:
        print(what, "done")
attempt("read", lambda: (folder / "shown/a").read_text())
attempt("read other", lambda: (folder / "secret").read_text())
attempt("read by link", lambda: (folder / "shown/link").read_text())
attempt("list", lambda: os.listdir(folder))
attempt("write", lambda: (folder / "scratch/new").write_text("x"))
attempt("write other", lambda: (folder / "shown/a").write_text("x"))
attempt("move", lambda: (folder / "scratch/new").rename(folder / "scratch/moved"))
attempt("run", lambda: subprocess.run(["/bin/true"]))
attempt("tcp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("unix", lambda: socket.socket(socket.AF_UNIX))
attempt("pair", lambda: socket.socketpair())
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)


@landlock
def test_only_what_is_named_is_left(tmp_path: Path) -> None:
    for name in ("shown", "scratch"):
        (tmp_path / name).mkdir()
    (tmp_path / "shown/a").write_text("a")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "shown/link").symlink_to(tmp_path / "secret")
    done = python(CONFINED, str(tmp_path))
    assert done.stdout.splitlines() == [
        "read done", "read other PermissionError", "read by link PermissionError", "list done", "write done",
        "write other PermissionError", "move done", "run PermissionError", "tcp PermissionError", "udp PermissionError",
        "unix PermissionError", "pair done",
    ], done.stderr  # fmt: skip


def test_a_kernel_without_landlock_is_no_error() -> None:
    code = (
        "from NexusCore import confinement\n"
        "confinement.landlock_version = lambda: 0\n"
        "print(confinement.confine([], [], []), open('/dev/null').readable())"
    )
    done = python(code)
    assert done.stdout == "False True\n", done.stderr
