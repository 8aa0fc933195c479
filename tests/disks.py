"""Small file systems of a test's own, where this user may mount some."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    """Lend a disk of a size such as ``256k``; the test is skipped where none can be mounted."""
    with _mounted(place, ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]):
        yield place


@contextmanager
def overlaid(place: Path) -> Iterator[Path]:
    """Lend a folder that lies over another one, as those of containers do."""
    parts = {name: place.with_name(f"{place.name}-{name}") for name in ("lowerdir", "upperdir", "workdir")}
    for one in parts.values():
        one.mkdir()
    options = ",".join(f"{name}={one}" for name, one in parts.items())
    with _mounted(place, ["mount", "-t", "overlay", "-o", options, "overlay", str(place)]):
        yield place


@contextmanager
def by_a_program(place: Path, behind: Path) -> Iterator[Path]:
    """Lend a folder that a program serves (FUSE), from another folder; a network's are served in the same way."""
    with _mounted(place, ["bindfs", str(behind), str(place)]):
        yield place


@contextmanager
def read_only(place: Path, behind: Path) -> Iterator[Path]:
    """Lend a folder in which nothing can be written."""
    with _mounted(place, ["mount", "--bind", str(behind), str(place)]):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield place


@contextmanager
def _mounted(place: Path, command: list[str]) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    program, umount = shutil.which(command[0]), shutil.which("umount")
    if os.geteuid() or umount is None:
        pytest.skip("only root can mount a file system")
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"it cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run([umount, "-l", place], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on a disk; return the file that takes it."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler
