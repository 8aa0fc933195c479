"""Every example of the text that the core is built to runs as it is written there, with the import renamed.

Both loops of the text lack a `not`; here they have it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import (
    PROJECT,
    app_on,
    ended,
    environment_of,
    eventually,
    line_of,
    messages,
    rows,
    run,
    samples,
    start,
)

NUTSHELL = """
import NexusCore
from NexusCore import API
try:
    cfg = API.get_config("MyModule")
    log = API.get_log("MyModule")
    status = API.get_status("MyModule")
    log.info("My module version %s starting" % cfg["version"])
    status["state"] = "Initializing"
    status["processed"] = 0
finally:
    NexusCore.API.shutdown()
"""

CONFIGURATION = """
import sys
import NexusCore

class Camera:
    def set_shutter_speed(self, speed):
        print("shutter", speed, flush=True)
        if speed == 250:
            NexusCore.API.shutdown()

somecamobj = Camera()

cfg = NexusCore.get_config("Instruments.Camera")

# Set 'enabled' to true as default. If already set, this is ignored
cfg.set_default("enabled", True)

# We require the parameter 'shutter_speed', but do not create it.
# If possible, rather use a good default value.
cfg.require(["shutter_speed"])

# Define a callback function for configuration changes
def onShutterSpeedChange(param):
    somecamobj.set_shutter_speed(param.get_value())

# Register the callback function
cfg.add_callback("shutter_speed", onShutterSpeedChange)
print("ready", flush=True)

seen = set()
while not NexusCore.API.api_stop_event.isSet():
    if cfg["enabled"]:
        seen.add("something")
    else:
        if "something else" not in seen:
            print("not enabled", flush=True)
        seen.add("something else")
    NexusCore.API.api_stop_event.wait(0.001)
print(sorted(seen))
"""

VERSIONS = """
import NexusCore
source_version, target_version = "default", "night"
for root, version in (("A", "default"), (None, "default"), ("A", None)):
    cfg = NexusCore.API.get_config(root, version) # if root is not provided, it's the root
# of the config.
cfg["parameter"] = 5
everything = NexusCore.API.get_config()
assert everything["default_version"] == "default"
assert everything["A.parameter"] == 5

# Get parameters
configParameter = cfg.get("parameter") # Throws NoSuchParameterException if not found
value = cfg["parameter"] # Returns None if not found,
assert (configParameter.get_value(), value, cfg["not found"]) == (5, 5, None)
from NexusCore.config import NoSuchParameterException
try:
    cfg.get("not found")
except NoSuchParameterException as error:
    print(error)

# List sub-parameters (both parameters and folders)
a_list = cfg.keys()
assert a_list == ["parameter"]
assert everything.keys() == ["A", "default_version"]

# Versions
versions = cfg.list_versions()
assert versions == ["default"]

# Copy a configuration from source_version to target_version - fails if parameters exist
# and overwrite is False
cfg.copy_configuration(source_version, target_version, overwrite=False)
assert cfg.list_versions() == ["default", "night"]
from NexusCore.config import ConfigException
try:
    cfg.copy_configuration(source_version, target_version, overwrite=False)
except ConfigException as error:
    print(error)
cfg.copy_configuration(source_version, target_version, overwrite=True)

# Config Parameter objects have some methods too
configParam = configParameter
fullname = configParam.get_full_path()
assert fullname == "A.parameter"
configParam.set_value(6, datatype=None, check=True, commit=True)
assert (cfg["parameter"], NexusCore.get_config("A", "night")["parameter"]) == (6, 5)
NexusCore.shutdown()
"""

STATUS = """
import NexusCore

MAX_BLOCKS_PROCESSED = 3
status = NexusCore.API.get_status("MyModule")
status["state"] = "Initializing"
status["processed_blocks"] = 0
while not NexusCore.API.api_stop_event.is_set():
    status["state"] = "processing" # Only has an effect if changed
    # Process a block
    status["processed_blocks"].inc()
    if status["processed_blocks"].get_value() > MAX_BLOCKS_PROCESSED:
        break # Should not process more blocks now
status["state"] = "idle"

# Create status item
# Implicit creation:
value = 1
status["item"] = value

# Explicit creation
status.new("name", initial_value=None, expire_time=None)
status.new2d("name 2d", (2, 3), initial_value=None, expire_time=None)

# Set a value
status["item"] = value
status["item"].set_value(value, force_update=False, timestamp=None)
status["item"].set_value(value, force_update=True)
your_timestamp = 1470131063
status["item"].set_value(2, timestamp=your_timestamp)
NexusCore.API.shutdown()
"""

EVENTS = """
import threading
import NexusCore
status = NexusCore.API.get_status("MyModule")
status["state"] = "initializing"
said, lock = [], threading.Semaphore(0)
ready = threading.Barrier(3)

def second():
    # Typically in another thread
    eventC = threading.Event()
    status["state"].add_event_on_change(eventC, once=True)
    ready.wait()
    eventC.wait(5.0) # Wait for up to 5 seconds for the event to trigger
    if eventC.isSet():
        said.append("State changed") # It changed once, will not be triggered any more
        lock.release()

def third():
    # In a third thread
    eventV = threading.Event()
    status["state"].add_event_on_value("idle", eventV)
    ready.wait()
    while not NexusCore.API.api_stop_event.isSet():
        while not eventV.isSet() and not NexusCore.API.api_stop_event.isSet():
            eventV.wait(1)
        if eventV.isSet():
            said.append("Idling")
            eventV.clear() # Prepare for another
            lock.release()

threads = [threading.Thread(target=one) for one in (second, third)]
for thread in threads:
    thread.start()
ready.wait()
# In the main thread (or any thread really)
status["state"] = "working" # Will trigger eventC, "State changed" is printed
lock.acquire()
status["state"] = "idle" # Will trigger eventV, "Idling" is printed
lock.acquire()
status["state"] = "working" # Triggers nothing
status["state"] = "idle" # Will trigger eventV, "Idling" is printed
lock.acquire()
print(said)
NexusCore.API.shutdown()
for thread in threads:
    thread.join()
"""

LOGS = """
import NexusCore

log = NexusCore.API.get_log("MyModule")
log.debug("a debug message")
log.info("Information message")
log.warning("Something slightly bad happened")
log.error("Something very bad happened")
log.fatal("Something incredibly bad, like, insanely bad, occurred")
try:
    1 / 0
except Exception:
    log.exception("I got an exception")
NexusCore.API.shutdown()
"""


class TestInANutshell:
    """003-04."""

    def test_the_nutshell_program_leaves_log_and_status(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path / "other")
        app.get_config("MyModule")["version"] = "1.2"
        app.shutdown()
        assert run(NUTSHELL, main=database_url, home=tmp_path / "home") == ""
        assert messages(database_url, "MyModule") == ["My module version 1.2 starting"]
        assert samples(database_url, "MyModule") == [("state", "Initializing"), ("processed", "0")]


class TestConfiguration:
    """003-06, 003-08, 003-15..27."""

    def test_the_camera_program_follows_each_change(self, database_url: str, tmp_path: Path) -> None:
        app = app_on(database_url, tmp_path / "other")
        camera = app.get_config("Instruments.Camera")
        camera["shutter_speed"] = 60
        process = start(CONFIGURATION, main=database_url, home=tmp_path / "home")
        assert line_of(process) == "ready"
        assert eventually(lambda: camera["enabled"]) is True
        camera["shutter_speed"] = 125
        assert line_of(process) == "shutter 125"
        camera["enabled"] = False
        assert line_of(process) == "not enabled"
        camera["shutter_speed"] = 250
        assert ended(process).splitlines() == ["shutter 250", "['something', 'something else']"]
        app.shutdown()

    def test_what_is_required(self, database_url: str, tmp_path: Path) -> None:
        process = start(CONFIGURATION, main=database_url, home=tmp_path / "home")
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "NoSuchParameterException: Parameter 'Instruments.Camera.shutter_speed' does not exist" in err.decode()
        stored = {path for (path,) in rows(database_url, "SELECT path FROM config_parameter")}
        assert stored == {"default_version", "Instruments.Camera.enabled"}

    def test_missing_and_taken_names_raise_errors(self, database_url: str, tmp_path: Path) -> None:
        missing, taken = run(VERSIONS, main=database_url, home=tmp_path / "home").splitlines()
        assert missing.startswith("Parameter 'A.not found' does not exist")
        assert "already has" in taken

    def test_the_commands_of_the_tool_work(self, database_url: str, tmp_path: Path) -> None:
        """003-30..34."""

        def tool(*arguments: str) -> str:
            done = subprocess.run(
                [sys.executable, "Tools/ConfigTool.py", *arguments],
                cwd=PROJECT,
                env=environment_of(database_url, tmp_path / "home"),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == (4 if "=True" in arguments[-1] else 0), done.stderr
            return done.stdout

        tool("System.SystemControl.default_user=root")
        tool("System.SystemControl.retries=3")
        file = tmp_path / "somefile.json"
        file.write_text(tool("serialize", "System.SystemControl"))
        assert set(json.loads(file.read_text())) == {"SystemControl"}
        tool("deserialize", "SomeRoot", str(file))
        assert tool("get", "SomeRoot.SystemControl.default_user").strip() == "root"
        tool("SomeRoot.SystemControl.retries=True")
        assert tool("get", "SomeRoot.SystemControl.retries").strip() == "3"
        assert "default_user" in tool("default_us")


class TestStatus:
    """003-36..50."""

    def test_the_loop_and_the_items(self, database_url: str, tmp_path: Path) -> None:
        run(STATUS, main=database_url, home=tmp_path / "home")
        assert samples(database_url, "MyModule") == [
            ("state", "Initializing"), ("processed_blocks", "0"), ("state", "processing"), ("processed_blocks", "1"),
            ("processed_blocks", "2"), ("processed_blocks", "3"), ("processed_blocks", "4"), ("state", "idle"),
            ("item", "1"), ("item", "1"), ("item", "2"),
        ]  # fmt: skip
        assert rows(database_url, "SELECT MIN(ts) FROM status_sample") == [(1470131063 * 1_000_000,)]

    def test_events_are_set_in_order(self, sqlite_url: str, tmp_path: Path) -> None:
        """003-48..51."""
        printed = run(EVENTS, main=sqlite_url, home=tmp_path / "home")
        assert printed.strip() == "['State changed', 'Idling', 'Idling']"

    def test_one_full_name_shows_only_that(self, database_url: str, tmp_path: Path) -> None:
        """003-52, 003-53: one full name shows only that."""
        run(STATUS, main=database_url, home=tmp_path / "home")
        _, line = _tool("TailStatus.py", "MyModule:item", main=database_url, home=tmp_path / "home").splitlines()
        assert line.split()[:3] == ["MyModule", "item", "2"]


class TestLogs:
    """003-54..60."""

    def test_every_level_and_the_exception_are_stored(self, database_url: str, tmp_path: Path) -> None:
        run(LOGS, main=database_url, home=tmp_path / "home")
        found = rows(database_url, "SELECT level, message, traceback FROM log_record ORDER BY id")
        assert [level for level, _, _ in found] == [10, 20, 30, 40, 50, 40]
        assert found[-1][1] == "I got an exception"
        assert "ZeroDivisionError" in found[-1][2]

    @pytest.mark.parametrize(
        ("arguments", "count"),
        [((), 6), (("--logger", "MyModule"), 6), (("--logger", "None"), 0), (("bad", "very"), 1)],
    )
    def test_the_tail_selects_and_formats_lines(
        self, database_url: str, tmp_path: Path, arguments: tuple[str, ...], count: int
    ) -> None:
        run(LOGS, main=database_url, home=tmp_path / "home")
        printed = _tool("TailLog.py", *arguments, main=database_url, home=tmp_path / "home", fails=not count)
        line = r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} \[[ A-Z]{5,}\]\[.+\( *\d+\)\]\[MyModule\].+"
        assert sum(bool(re.fullmatch(line, one)) for one in printed.splitlines()) == count


def _tool(name: str, *arguments: str, main: str, home: Path, fails: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, f"Tools/{name}", *arguments],
        cwd=PROJECT,
        env=environment_of(main, home),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode == 1) == fails, done.stderr
    return done.stdout
