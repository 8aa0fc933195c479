"""ConfigTool watch: changes as they come, whoever makes them, also after the database was away."""

from __future__ import annotations

import json
import re

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import REMOVE, ConfigStore, Edit
from NexusCore.config.values import Limits
from NexusCore.storage import Database, open_database
from tests.mariadb import MariaDB
from tests.tools.configured import tool
from tests.tools.conftest import configure
from tests.tools.programs import Follower, Terminal, bash, command


def plain(line: str) -> str:
    return re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", "", line)


@pytest.fixture
def camera(database: Database) -> Database:
    configure(database, Edit("Camera.gain", value=3), Edit("Stage.x", value=1))
    return database


class TestWatch:
    """One line for each change: when, what, what it was, who, where, with what and why."""

    def test_changes_of_every_kind(self, camera: Database) -> None:
        revision = ConfigStore(camera, SYSTEM_CLOCK).revision()
        with Follower("ConfigTool", "watch", "--after", str(revision - 1)) as following:
            assert plain(following.until("Stage")) == "Stage.x = 1  jane@desk, test: to begin with"
            configure(camera, Edit("Camera.gain", value=4), Edit("Camera.gain", comment="c", keep_value=True))
            assert plain(following.until("gain")) == "Camera.gain = 4  (was 3)  jane@desk, test: to begin with"
            assert plain(following.until("gain")) == "Camera.gain = 4  jane@desk, test: to begin with"
            configure(
                camera,
                Edit("Camera.gain", REMOVE),
                Edit("Camera.note", value="two\nlines\x1b[31m"),
                Edit("Camera.password", value="hunter2", limits=Limits(secret=True)),
            )
            configure(camera, Edit("Camera.password", REMOVE))
            assert plain(following.until("gain")).startswith("Camera.gain removed  (was 4)  jane@desk")
            assert plain(following.until("note")).startswith(r"Camera.note = two\nlines\x1b[31m  jane")
            assert plain(following.until("password")).startswith("Camera.password = *****  jane")
            assert plain(following.until("password")).startswith("Camera.password removed  (was *****)  jane")
            assert tool("Camera.gain=9", "-m", "too dark").code == 0
            assert following.until("gain").endswith(", ConfigTool: too dark")
            assert following.interrupt() == 130
        assert following.messages == []

    def test_what_is_wanted(self, camera: Database) -> None:
        """Folders and parameters can be named; other versions keep quiet."""
        store = ConfigStore(camera, SYSTEM_CLOCK)
        revision = store.revision()
        tool("copy", "default", "night")
        tool("-v", "night", "Camera.gain=4")
        tool("CameraX.gain=4", "Stage.x=2", "Stage.y.z=3", "Camera.gain=5")
        with Follower("ConfigTool", "watch", "Camera", "Stage.y", "--after", str(revision), "--json") as following:
            following.until("Camera.gain")
            assert [(one["path"], one["old"], one["new"], one["tool"]) for one in map(json.loads, following.lines)] == [
                ("Stage.y.z", None, 3, "ConfigTool"), ("Camera.gain", 3, 5, "ConfigTool"),
            ]  # fmt: skip
        with Follower("ConfigTool", "-v", "night", "watch", "--after", str(revision)) as following:
            following.until(r"Camera\.gain = 4")

    def test_a_missing_name_is_reported(self, camera: Database) -> None:
        """It may come yet, or be mistyped."""
        with Follower("ConfigTool", "watch", "Camera.gian", "Stage", "New") as following:
            following.until_message("Parameter 'Camera.gian' does not exist .* Did you mean 'Camera.gain'")
            following.until_message("Parameter 'New' does not exist")
            configure(camera, Edit("New.x", value=1))
            following.until(r"New\.x")
            assert following.interrupt() == 130
        assert len(following.messages) == 2

    def test_it_ends_with_its_reader(self, camera: Database) -> None:
        done = bash("ConfigTool watch --after 0 | head -1; echo ${PIPESTATUS[0]}")
        assert (done.lines[1], done.err) == ("0", "")

    def test_on_a_terminal(self, camera: Database) -> None:
        with Terminal(command("ConfigTool", "watch", "--after", "0")) as terminal:
            terminal.until("Stage")
            terminal.type("\x03")
            assert terminal.end() == 130
        assert "\x1b[" in terminal.text
        assert "Traceback" not in terminal.text


class TestTheDatabaseIsAway:
    """One sentence, then it goes on, and nothing is missed."""

    def test_no_change_is_missed(self, private_mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch) -> None:
        from NexusCore.storage.migrate import migrate

        url = private_mariadb.create_database("watched")
        migrate(url)
        monkeypatch.setenv("NEXUSCORE_DATABASE", url)
        database = open_database(url)
        with Follower("ConfigTool", "watch", "--after", "1") as following:
            configure(database, Edit("A", value=1))
            following.until("A = 1")
            private_mariadb.kill()
            assert "does not answer" in following.until_message("Going on when it is back")
            private_mariadb.start()
            database.close()
            configure(database, Edit("A", value=2), Edit("A", value=3))
            following.until_message("The database is back")
            assert "A = 2" in following.until("A = ")
            assert "A = 3" in following.until("A = ")
            assert following.interrupt() == 130
        assert len(following.messages) == 2
        database.close()

    def test_from_the_beginning(self) -> None:
        """Somebody who mistyped the address wants to know at once."""
        done = bash("NEXUSCORE_DATABASE=mysql://nobody@127.0.0.1:1/nexus ConfigTool watch")
        assert (done.code, done.err.count("\n")) == (3, 1)
