"""A process gives up calls that change files it may only read, or reach others (`NexusCore.call_filter`)."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from NexusCore import call_filter
from tests.processes import PROJECT

known = pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="the filter knows no such machine")

ATTEMPTS = """
import ctypes, errno, fcntl, os, resource, signal, sys, threading
from NexusCore import call_filter
column = call_filter._COLUMN[os.uname().machine]
libc = ctypes.CDLL(None, use_errno=True)
path, other = sys.argv[1], os.getppid()
def call(number, *arguments):
    ctypes.set_errno(0)
    libc.syscall(*map(ctypes.c_long, (number, *arguments, *[0] * (6 - len(arguments)))))
    return errno.errorcode.get(ctypes.get_errno(), "done")
def attempt(what, how):
    try:
        how()
    except OSError as error:
        print(what, errno.errorcode[error.errno])
    else:
        print(what, "done")
file = open(path)
assert call_filter.refuse_calls() is True
for name, numbers in call_filter._REFUSED.items():
    if numbers[column] is not None:
        print("call", name, call(numbers[column]))
attempt("chmod", lambda: os.chmod(path, 0o777))
attempt("fchmod", lambda: os.fchmod(file.fileno(), 0o777))
attempt("chown", lambda: os.chown(path, os.getuid(), os.getgid()))
attempt("utime", lambda: os.utime(path, (1, 1)))
attempt("futimens", lambda: os.utime(file.fileno(), (1, 1)))
attempt("setxattr", lambda: os.setxattr(path, "user.a", b"x"))
attempt("flags", lambda: fcntl.ioctl(file, 0x40086602, bytes(8)))
attempt("program", lambda: os.execv("/bin/true", ["true"]))
attempt("signal", lambda: os.kill(other, 0))
attempt("signal by file", lambda: fcntl.fcntl(file, fcntl.F_SETOWN, other))
attempt("signal number", lambda: fcntl.fcntl(file, fcntl.F_SETSIG, 9))
attempt("limits", lambda: resource.prlimit(other, resource.RLIMIT_CORE))
print("namespace", call((56, 220)[column], 0x10000011))
attempt("own limits", lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
attempt("own signal", lambda: os.kill(os.getpid(), 0))
attempt("descriptor flags", lambda: fcntl.fcntl(file, fcntl.F_SETFD, 1))
threads = [threading.Thread(target=os.getpid) for _ in range(3)]
[one.start() for one in threads]
[one.join() for one in threads]
print("threads done")
child = os.fork()
if not child:
    os._exit(7)
print("fork", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@known
def test_files_processes_and_the_kernel_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("a")
    path.chmod(0o640)
    before = path.stat()
    command = [sys.executable, "-c", ATTEMPTS, str(path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
    lines = done.stdout.splitlines()
    calls = [line.split()[1:] for line in lines if line.startswith("call ")]
    assert len(calls) > 80 and {answer for _name, answer in calls} == {"EACCES"}, calls
    refused = (
        *("chmod", "fchmod", "chown", "utime", "futimens", "setxattr", "flags", "program", "signal"),
        *("signal by file", "signal number", "limits", "namespace"),
    )
    assert lines[len(calls) :] == [
        *(f"{one} EACCES" for one in refused),
        *("own limits done", "own signal done", "descriptor flags done", "threads done", "fork 7"),
    ], done.stderr
    after = path.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_mode, before.st_mtime_ns, before.st_ctime_ns
    )  # fmt: skip


def test_each_jump_of_the_filter_ends_inside_it() -> None:
    for machine in call_filter._ARCHITECTURES:
        steps = list(call_filter._program(machine, 1))
        for at, (code, yes, no, _operand) in enumerate(steps):
            assert yes < 256 and no < 256 and at + 1 + max(yes, no) < len(steps) + (code == call_filter._GIVE), at


def test_no_number_stands_for_two_calls() -> None:
    for column in (0, 1):
        numbers = [one[column] for one in call_filter._REFUSED.values() if one[column] is not None]
        assert len(numbers) == len(set(numbers))
