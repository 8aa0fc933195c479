"""Files are there whole or not at all, and below a folder no link is followed, whoever may write there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from NexusCore.files import (
    UNFINISHED,
    Folder,
    InTheWay,
    open_file_below,
    remove_below,
    replace_file,
    status_below,
    write_below,
)

ROUNDS = 1500
SWAP = """
import ctypes, os, sys
folder, aside, victim = sys.argv[1:]
exchange = ctypes.CDLL(None, use_errno=True).renameat2
names = -100, os.fsencode(folder), -100, os.fsencode(aside), 2  # relative to here; each takes the other's place
print("ready", flush=True)
while True:
    if exchange(*names):  # one of them was removed
        for make in (lambda: os.mkdir(folder), lambda: os.symlink(victim, aside)):
            try:
                make()
            except FileExistsError:
                pass
"""


@contextmanager
def swapping(folder: Path, victim: Path) -> Iterator[None]:
    """Have another process put a link to another folder in place of a folder, and the folder back, without end."""
    aside = folder.with_name("aside")
    aside.symlink_to(victim)
    command = [sys.executable, "-c", SWAP, str(folder), str(aside), str(victim)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "ready\n"
            yield
            assert other.poll() is None
        finally:
            other.kill()
    if aside.is_dir() and not aside.is_symlink():
        folder.unlink(missing_ok=True)
        aside.rename(folder)
    aside.unlink(missing_ok=True)


def make_link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "victim/secret")


def make_hard_link(path: Path) -> None:
    path.hardlink_to(path.parent.parent / "victim/secret")


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


OBSTACLES: list[tuple[Callable[[Path], None], str]] = [
    (make_link, "a symbolic link"),
    (make_hard_link, "a file with 2 names (hard links)"),
    (os.mkfifo, "a named pipe"),
    (make_socket, "a socket"),
    (os.mkdir, "a folder"),
]
NAMES = [kind.partition(" (")[0] for _, kind in OBSTACLES]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Have a folder of somebody else's, to which links lead."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


@pytest.fixture
def root(tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Lend a folder; afterwards, what is beside it must be as it was."""
    folder = tmp_path / "root"
    folder.mkdir()
    monkeypatch.chdir(folder)  # the names of sockets are short
    yield folder
    assert {path.name: path.read_text() for path in victim.iterdir()} == {"secret": "secret"}


class TestReplacing:
    """A file takes its name when it is complete; whatever else has the name stays, and is named."""

    def test_a_new_one_and_a_newer_one(self, root: Path) -> None:
        for content in (b"first", b"second"):
            with Folder.open(root) as folder, folder.replacing("a.png") as file:
                file.write(content)
            assert (root / "a.png").read_bytes() == content
            assert names(root) == ["a.png"]

    def test_one_that_is_broken_off(self, root: Path) -> None:
        (root / "a.png").write_text("old")
        with pytest.raises(LookupError), Folder.open(root) as folder, folder.replacing("a.png") as file:
            file.write(b"half")
            raise LookupError
        assert {path.name: path.read_text() for path in root.iterdir()} == {"a.png": "old"}

    def test_one_that_is_read_back_otherwise(self, root: Path) -> None:
        def check(file: object) -> None:
            raise LookupError

        with pytest.raises(LookupError), Folder.open(root) as folder, folder.replacing("a.png", check) as file:
            file.write(b"whole")
        assert names(root) == []

    @pytest.mark.parametrize(("make", "kind"), OBSTACLES, ids=NAMES)
    def test_what_is_in_the_way(self, root: Path, make: Callable[[Path], None], kind: str) -> None:
        make(root / "a.png")
        before = (root / "a.png").lstat()
        with pytest.raises(InTheWay) as caught, Folder.open(root) as folder, folder.replacing("a.png") as file:
            file.write(b"content")
        assert str(caught.value) == (
            f"{root}/a.png is in the way: it is {kind}. Remove it, and check who may write to {root}."
        )
        assert (root / "a.png").lstat() == before
        assert names(root) == ["a.png"]

    def test_a_link_that_comes_meanwhile_is_replaced_itself(
        self, root: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If it comes even after the last look, it is not followed either."""
        with Folder.open(root) as folder, folder.replacing("a.png") as file:
            file.write(b"content")
            monkeypatch.setattr(folder, "check_free", lambda name: (root / name).symlink_to(victim / "secret"))
        assert not (root / "a.png").is_symlink()
        assert (root / "a.png").read_bytes() == b"content"

    def test_its_name_until_then_cannot_be_predicted(self, root: Path) -> None:
        seen = set()
        for _ in range(2):
            with Folder.open(root) as folder, folder.replacing("a.png"):
                (name,) = (name for name in folder.names() if name != "a.png")
                assert name.startswith(UNFINISHED)
                assert len(name) > len(UNFINISHED) + 30
                seen.add(name)
        assert len(seen) == 2

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/etc/passwd"])
    def test_a_name_is_one_step(self, root: Path, name: str) -> None:
        with pytest.raises(ValueError, match="is not a name"), Folder.open(root) as folder, folder.replacing(name):
            pass


class TestBelow:
    """Folders are reached over no link; the first is the operator's, and may be one."""

    def test_folders_are_made(self, root: Path) -> None:
        write_below(root / "new", root / "new/a/b/c.png", b"content")
        assert (root / "new/a/b/c.png").read_bytes() == b"content"
        with open_file_below(root, root / "new/a/b/c.png") as file:
            assert file.read() == b"content"

    def test_the_operators_folder_may_be_a_link(self, root: Path) -> None:
        (root / "real").mkdir()
        (root / "link").symlink_to("real")
        write_below(root / "link", root / "link/a/b.png", b"content")
        assert (root / "real/a/b.png").read_bytes() == b"content"

    @pytest.mark.parametrize("place", ["a/b.png", "a/b/c.png"])
    def test_one_below_it_may_not(self, root: Path, victim: Path, place: str) -> None:
        (root / "a").symlink_to(victim)
        with pytest.raises(InTheWay, match="root/a is in the way: it is a symbolic link"):
            write_below(root, root / place, b"content")
        assert status_below(root, root / "a/secret") is None

    def test_nor_may_a_file_be_one(self, root: Path, victim: Path) -> None:
        (root / "a").symlink_to(victim / "secret")
        with pytest.raises(InTheWay, match="symbolic link"):
            open_file_below(root, root / "a")
        status = status_below(root, root / "a")
        assert status is not None
        assert status == (root / "a").lstat()

    @pytest.mark.parametrize("make", [make for make, kind in OBSTACLES if kind != "a folder"], ids=NAMES[:-1])
    def test_what_is_no_folder(self, root: Path, make: Callable[[Path], None]) -> None:
        make(root / "a")
        with pytest.raises(InTheWay, match=f"^{root}/a is in the way: it is a"):
            write_below(root, root / "a/b.png", b"content")

    def test_a_file_is_no_folder_either(self, root: Path) -> None:
        (root / "a").write_text("ours")
        with pytest.raises(InTheWay, match=f"^{root}/a is in the way: it is a file. "):
            write_below(root, root / "a/b.png", b"content")

    def test_a_pipe_is_not_waited_for(self, root: Path) -> None:
        os.mkfifo(root / "a")
        with Folder.open(root) as folder:
            for use in (folder.open_file, folder.open_for_appending):
                with pytest.raises(InTheWay, match="a named pipe"):
                    use("a")

    def test_what_is_written_at_its_end_has_one_name(self, root: Path, victim: Path) -> None:
        (root / "a").hardlink_to(victim / "secret")
        with Folder.open(root) as folder, pytest.raises(InTheWay, match="2 names"):
            folder.open_for_appending("a")

    def test_what_is_not_there(self, root: Path) -> None:
        with pytest.raises(FileNotFoundError, match=f"{root}/a'"):
            open_file_below(root, root / "a/b")
        assert status_below(root, root / "a/b") is None

    def test_what_is_read_has_one_name(self, root: Path, victim: Path) -> None:
        """A second name shows somebody else's file; where the operator keeps copies by links, one says so."""
        (root / "a").hardlink_to(victim / "secret")
        with pytest.raises(InTheWay, match=r"root/a is in the way: it is a file with 2 names \(hard links\)"):
            open_file_below(root, root / "a")
        with Folder.open(root) as folder, folder.open_file("a") as file:
            assert file.read() == b"secret"

    def test_removal_can_be_repeated_but_follows_no_link(self, root: Path, victim: Path) -> None:
        write_below(root, root / "a/b.png", b"content")
        (root / "link").symlink_to(victim)
        for _ in range(2):
            remove_below(root, root / "a/b.png")
        assert names(root / "a") == []
        with pytest.raises(InTheWay, match="root/link is in the way: it is a symbolic link"):
            remove_below(root, root / "link/secret")

    def test_removing_the_others(self, root: Path, victim: Path) -> None:
        """Of a link, the link itself goes."""
        for name in ("a/b.png", "a/old.png", "gone/deep/old.png"):
            write_below(root, root / name, b"content")
        (root / "a/link").symlink_to(victim)
        (root / "a/file").symlink_to(victim / "secret")
        with Folder.open(root) as folder:
            folder.remove_others({root / "a/b.png"})
        assert sorted(path.relative_to(root).as_posix() for path in root.rglob("*")) == ["a", "a/b.png"]


class TestSwappedMeanwhile:
    """A folder that is swapped for a link between two calls leads nothing astray."""

    def test_a_write_succeeds_or_is_refused(self, root: Path, victim: Path) -> None:
        (root / "a").mkdir()
        written = refused = 0
        with swapping(root / "a", victim):
            for _ in range(ROUNDS):
                try:
                    write_below(root, root / "a/b.png", b"content")
                    written += 1
                except InTheWay:
                    refused += 1
        assert written
        assert refused

    def test_nothing_behind_the_link_is_removed(self, root: Path, victim: Path) -> None:
        (root / "a").mkdir()
        with swapping(root / "a", victim):
            for _ in range(ROUNDS):
                with suppress(InTheWay, FileNotFoundError), Folder.open(root) as folder:
                    folder.remove_others(set())
        assert (victim / "secret").exists()

    def test_only_our_own_file_is_read(self, root: Path, victim: Path) -> None:
        (root / "a").mkdir()
        (root / "a/secret").write_text("ours")
        seen = set()
        with swapping(root / "a", victim):
            for _ in range(ROUNDS):
                with suppress(InTheWay), open_file_below(root, root / "a/secret") as file:
                    seen.add(file.read())
        assert seen == {b"ours"}


class TestPrivateFiles:
    """In folders of its own, a program replaces a file in one step, and only its owner can read it."""

    def test_a_replaced_file_is_private_and_alone(self, root: Path) -> None:
        for content in (b"first", b"second"):
            replace_file(root / "a", content, sync=True)
            assert (root / "a").read_bytes() == content
            assert (root / "a").stat().st_mode & 0o777 == 0o600
            assert names(root) == ["a"]

    def test_one_that_cannot_be(self, root: Path) -> None:
        (root / "a").mkdir()
        with pytest.raises(OSError, match="Is a directory"):
            replace_file(root / "a", b"content")
        assert names(root) == ["a"]
