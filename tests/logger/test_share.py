r"""000-23..26, 34, 36, 40, 61..65: the file share, on a Windows whose commands answer as the real ones do."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import PureWindowsPath

import pytest

from Logger.share import FileShare, ShareError, _run
from Logger.states import Ended, Running
from tests.logger.facility import Facility, until

HEAD = (
    "New connections will be remembered.\n\n\nStatus       Local     Remote                    Network\n\n" + "-" * 79
)


class Windows:
    """A computer with `ping` and `net`; texts as on an English, or a German, one."""

    def __init__(self, *mapped: tuple[str, str], address: str = "192.0.2.20", disks: str = "CD") -> None:
        self.mapped = dict(mapped)
        self.address = address
        self.disks = disks
        self.shares = {rf"\\{address or 'files'}\data"}
        self.said: list[list[str]] = []
        self.readable = True
        self.refuses_to_unmap = False

    def command(self, arguments: Sequence[str], seconds: float) -> tuple[int, str]:
        assert 0 < seconds <= 30
        program, *rest = arguments
        assert PureWindowsPath(program).is_absolute()
        self.said.append([PureWindowsPath(program).stem.lower(), *rest])
        if self.said[-1][0] == "ping":
            return self._ping(rest)
        return self._net(rest)

    def _ping(self, rest: Sequence[str]) -> tuple[int, str]:
        if not self.address:
            return 1, f"Ping request could not find host {rest[0]}. Please check the name and try again."
        head = f"Ping wird ausgeführt für {rest[0]} [{self.address}] mit 32 Bytes Daten:"
        return 0, f"\n{head}\nAntwort von {self.address}: Zeit<1ms"

    def _net(self, rest: Sequence[str]) -> tuple[int, str]:
        if rest == ["use"]:
            lines = [
                f"OK           {drive}        {place:<25} Microsoft Windows Network"
                for drive, place in self.mapped.items()
            ]
            return 0, "\n".join([HEAD, *lines, "The command completed successfully."])
        if rest[2:] == ["/del", "/y"]:
            if self.refuses_to_unmap:
                return 2, "There are open files"
            del self.mapped[rest[1]]
            return 0, "H: was deleted successfully."
        if rest[2] not in self.shares:
            return 2, "System error 53 has occurred.\n\nThe network path was not found."
        assert rest[1] not in self.mapped and rest[1][0] not in self.disks
        self.mapped[rest[1]] = rest[2]
        return 0, "The command completed successfully."

    def share(self, path: str = r"\\files\data\raw") -> FileShare:
        return FileShare(path, self.command, lambda: set(self.disks), lambda _: self.readable)


class TestMapping:
    """The server's address is looked up, a free letter is taken, and all is as before afterwards."""

    def test_the_commands(self) -> None:
        windows = Windows()
        assert windows.share().check() == "H:"
        assert windows.said == [
            ["ping", "files", "-n", "1"],
            ["net", "use"],
            ["net", "use", "H:", r"\\192.0.2.20\data"],
            ["net", "use", "H:", "/del", "/y"],
        ]
        assert windows.mapped == {}

    @pytest.mark.parametrize("place", [r"\\files\data", r"\\FILES\Data", r"\\192.0.2.20\data"])
    def test_one_that_is_there_is_used_and_kept(self, place: str) -> None:
        windows = Windows(("M:", place))
        assert windows.share().check() == "M:"
        assert windows.mapped == {"M:": place}
        assert windows.said[-1] == ["net", "use"]

    def test_another_share_is_none(self) -> None:
        windows = Windows(("M:", r"\\files\database"), ("N:", r"\\others\data"), ("O:", r"\\files\other data"))
        assert windows.share().check() == "H:"
        assert len(windows.mapped) == 3

    def test_letters_in_use_are_left_alone(self) -> None:
        """A mapping that is not connected is listed, but is no drive at the moment."""
        windows = Windows(("I:", r"\\old\gone"), disks="CDH")
        assert windows.share().check() == "J:"

    def test_no_letter_left(self) -> None:
        windows = Windows(disks="ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        with pytest.raises(ShareError, match="all drive letters"):
            windows.share().check()

    def test_a_name_that_is_not_resolved(self) -> None:
        """Windows may know it by other means."""
        windows = Windows(address="")
        assert windows.share().check() == "H:"
        assert windows.said[2][3] == r"\\files\data"

    @pytest.mark.parametrize("said", ["999.1.1.1 then 192.0.2.9", "v1.2.3.4.5 192.0.2.9"])
    def test_what_is_no_address(self, said: str) -> None:
        windows = Windows(address="192.0.2.9")
        windows._ping = lambda _: (0, said)  # type: ignore[method-assign]
        windows.share().check()
        assert windows.said[2][3] == r"\\192.0.2.9\data"


class TestFaults:
    """Each is a sentence, and what was mapped is removed."""

    def test_the_server_is_away(self) -> None:
        windows = Windows()
        windows.shares.clear()
        with pytest.raises(ShareError, match="cannot be reached") as error:
            windows.share().check()
        assert "System error 53" in error.value.detail

    def test_its_folder_cannot_be_read(self) -> None:
        windows = Windows()
        windows.readable = False
        with pytest.raises(ShareError, match="cannot be read") as error:
            windows.share().check()
        assert (error.value.detail, windows.mapped) == (r"H:\raw", {})

    def test_it_cannot_be_unmapped(self) -> None:
        """Somebody has a file open there: no reason to say that the share is bad."""
        windows = Windows()
        windows.refuses_to_unmap = True
        assert windows.share().check() == "H:"

    @pytest.mark.parametrize(
        "path",
        ["", "files", r"\\files", r"C:\data", "//files/data", r"\\-n\data", '\\\\files\\da"ta', "\\\\files\\a\nb"],
    )
    def test_a_path_that_is_no_share(self, path: str) -> None:
        with pytest.raises(ShareError, match="write it as"):
            FileShare(path)


class TestInASession:
    """000-34, 36, 40: it is looked at when a session starts and when it ends, and delays neither."""

    def test_at_start_and_end(self, small_facility: Facility) -> None:
        windows = Windows()
        course = small_facility.course(share=windows.share())
        course.begin(Running)
        until(lambda: len(windows.said) == 4 and not windows.mapped, "the share was looked at")
        course.end(Ended)
        until(lambda: len(windows.said) == 8 and not windows.mapped, "it was looked at again")

    def test_the_user_is_told_if_it_is_away(self, small_facility: Facility) -> None:
        windows = Windows()
        windows.shares.clear()
        course = small_facility.course(share=windows.share())
        course.begin(Running)
        course.shown(lambda state: isinstance(state, Running) and state.notice == "The file share cannot be reached.")
        course.end(Ended)
        assert small_facility.events() == ["START", "END"]


class TestCommands:
    """How they are run here."""

    def test_one_that_does_not_end(self) -> None:
        code, said = _run([sys.executable, "-c", "import time; time.sleep(60)"], 0.3)
        assert (code, said) == (-1, "no answer within 0.3 s")

    def test_one_that_is_missing(self) -> None:
        code, said = _run(["/no/such/program"], 1)
        assert code == -1 and "No such file" in said

    def test_what_it_says(self) -> None:
        code, said = _run([sys.executable, "-c", "import sys; print('a'); sys.exit('b')"], 20)
        assert (code, sorted(said.split())) == (1, ["a", "b"])
