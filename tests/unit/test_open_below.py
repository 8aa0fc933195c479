"""Files are opened below a folder without following links (`NexusCore.files`)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from NexusCore.files import open_below


@pytest.fixture
def top(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "top/a/b").mkdir(parents=True)
    (tmp_path / "top/a/b/c").write_text("found")
    (tmp_path / "secret").write_text("secret")
    descriptor = os.open(tmp_path / "top", os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


class TestWhatIsOpened:
    """Regular files and folders, by names that lead downwards."""

    def test_a_file_some_folders_down(self, top: int) -> None:
        with open(open_below(top, ("a", "b", "c"))) as file:  # noqa: PTH123
            assert file.read() == "found"

    def test_a_pipe_without_waiting(self, top: int, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "top/pipe")
        os.close(open_below(top, ("pipe",)))

    @pytest.mark.parametrize("parts", [(), ("",), ("..", "secret"), ("a", "..", "..", "secret"), ("a/b", "c"), (".",)])
    def test_names_that_lead_elsewhere(self, top: int, parts: tuple[str, ...]) -> None:
        with pytest.raises(ValueError, match="does not name a file below a folder"):
            open_below(top, parts)

    def test_no_descriptor_is_left(self, top: int) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for parts in (("a", "b", "c"), ("a", "b", "missing"), ("missing", "b")):
            with suppress(FileNotFoundError):
                os.close(open_below(top, parts))
        assert len(list(Path("/proc/self/fd").iterdir())) == before


class TestLinksAreNotFollowed:
    """Neither at the end nor on the way, wherever they lead."""

    def test_at_the_end(self, top: int, tmp_path: Path) -> None:
        (tmp_path / "top/link").symlink_to(tmp_path / "secret")
        with pytest.raises(OSError) as raised:
            open_below(top, ("link",))
        assert raised.value.errno == errno.ELOOP

    @pytest.mark.parametrize("target", ["a", "/"])
    def test_on_the_way(self, top: int, tmp_path: Path, target: str) -> None:
        (tmp_path / "top/link").symlink_to(target)
        with pytest.raises(OSError) as raised:
            open_below(top, ("link", "b", "c"))
        assert raised.value.errno == errno.ENOTDIR
