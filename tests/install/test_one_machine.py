"""One machine without a database server: services by init script, and the operators who watch and set them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.install.machines import PLACE, RealMachine, Unsuitable, minimal_debian, own_namespace

WHOLE = "NEXUSCORE_TEST_DEBIAN"
"""Variable that has the test run on a fresh Debian as well: it takes minutes, and needs a mirror and PyPI."""
INSTALLER, OPERATOR, OUTSIDER = "nxada", "nxolav", "nxeve"
SERVICES = ("builder", "harvester", "uploader")
DATABASE = "/var/lib/nexuscore/database"
OLD = f"/home/{INSTALLER}/.local/share/nexuscore/nexus.db"
SECRET = "a-token-that-only-operators-read"
PYTHON = f"{PLACE}/.venv/bin/python"


@dataclass(frozen=True)
class Facility:
    """A machine with users, on which nothing of ours runs yet."""

    machine: RealMachine
    sudo: str
    """What comes before a command that needs root."""

    def tool(self, command: str, user: str = OPERATOR, *, entered: str = "") -> str:
        """Run a tool as a user."""
        name, _, arguments = command.partition(" ")
        return self.machine.done(f"{PYTHON} -m Tools.{name} {arguments}", user, entered=entered)

    def shows(self, command: str, text: str) -> str:
        """Wait until a tool shows an operator a text."""
        name, _, arguments = command.partition(" ")
        return self.machine.eventually(f"{PYTHON} -m Tools.{name} {arguments}", OPERATOR, text)


def on_this_machine(folder: Path) -> Facility:
    machine = own_namespace(folder)
    return Facility(machine, f"SUDO_USER={INSTALLER}")


def on_a_fresh_debian(folder: Path) -> Facility:
    if not os.environ.get(WHOLE):
        raise Unsuitable(f"it takes minutes, a mirror of Debian and PyPI; to run it, set {WHOLE}=1")
    return Facility(minimal_debian(folder), "sudo")


@pytest.fixture(params=[on_this_machine, on_a_fresh_debian], ids=["this machine", "fresh Debian"])
def facility(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Facility]:
    begin: Callable[[Path], Facility] = request.param
    try:
        facility = begin(tmp_path)
    except Unsuitable as reason:
        pytest.skip(str(reason))
    try:
        for user in (INSTALLER, OPERATOR, OUTSIDER):
            facility.machine.done(f"useradd -m -s /bin/bash {user}")
        yield facility
    finally:
        facility.machine.close()


def install(facility: Facility) -> None:
    """Install as the README says, and use the database of the installing user a little."""
    if facility.sudo == "sudo":
        facility.machine.done(f"echo '{INSTALLER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{INSTALLER}")
        facility.machine.done(f"chown -R {INSTALLER}: .")
        assert "NexusCore is ready" in facility.machine.done("./install.sh", INSTALLER, limit=1500)
    else:
        facility.machine.done(f"{PYTHON} -m NexusCore.storage.migrate && {PYTHON} -m NexusCore.declare", INSTALLER)
    facility.tool("ConfigTool Facility.data_root=/srv/nexus Instruments.Own-TEM.filestore_path=./Own", INSTALLER)


def set_up_services(facility: Facility, options: str) -> str:
    user = INSTALLER if facility.sudo == "sudo" else "root"
    words = f"{facility.sudo} ./install.sh service {' '.join(SERVICES)} {options}"
    return facility.machine.done(words, user, limit=240)


@pytest.mark.timeout(2400)
def test_operators_see_and_set_what_the_services_use(facility: Facility) -> None:
    """001-01: from the set-up to a finished session, by four users: who installs, services, operator, outsider."""
    install(facility)
    said = set_up_services(facility, "--start --take-over")
    assert f"The old file is now {OLD}.taken-over" in said
    assert f"Making {INSTALLER} an operator" in said
    facility.machine.done(f"usermod -aG nexuscore {OPERATOR}")

    # The operator's tools show the services, and set what they use.
    status = facility.shows(
        "TailStatus --all", r"(?s)Builder +state +idle.*Harvester +state +idle.*Uploader +state +idle"
    )
    assert "sqlite" not in status
    assert "/srv/nexus" in facility.tool("ConfigTool get Facility.data_root"), "taken over"
    for service in ("Builder", "Uploader"):
        facility.tool(f"ConfigTool Services.{service}.interval=0.5")
    facility.shows("TailLog --logger Builder", "Services.Builder.interval is now '0.5'")

    # A session, from its start to the end of its upload.
    facility.machine.done("mkdir -p /srv/nexus/Titan /srv/nexus/Titan2 && chmod -R 777 /srv/nexus")
    facility.tool("ConfigTool Instruments.Some-TEM.filestore_path=./Titan")
    facility.tool("SessionTool start Some-TEM")
    facility.machine.done("sleep 1; echo one >/srv/nexus/Titan/one.txt; sleep 1", OPERATOR)
    facility.tool("SessionTool end Some-TEM")
    facility.shows("SessionTool list", "Some-TEM .*COMPLETED")
    facility.shows("TailLog", "The session is complete")
    assert re.search(r"records_built +1 ", facility.tool("TailStatus Builder"))
    record = facility.machine.done("cat /var/lib/nexuscore/.local/share/nexuscore/records/*.xml", OPERATOR)
    assert "one.txt" in record

    # A path that is changed while the Builder runs.
    facility.tool("ConfigTool Instruments.Some-TEM.filestore_path=./Titan2")
    facility.shows("TailLog --logger Builder", r"Some-TEM.filestore_path is now '\./Titan2'")

    # All of the group can write, whoever made the files.
    modes = facility.machine.done(f"stat -c '%a %G %n' {DATABASE} {DATABASE}/*")
    assert f"2770 nexuscore {DATABASE}\n" in modes
    files = [line for line in modes.splitlines() if "nexus.db" in line]
    assert len(files) >= 3, "with the log of the database and its index"
    assert {line.split()[0] for line in files} == {"660"}
    assert {line.split()[1] for line in files} == {"nexuscore"}
    facility.tool("ConfigTool set Services.Uploader.cdcs.token --secret --from-file -", entered=SECRET)

    assert "are up to date" in facility.machine.done(f"{PYTHON} -m NexusCore.storage.migrate", OPERATOR)

    # Doctor finds nothing that an operator would have to mend.
    doctor = facility.machine.run(f"{PYTHON} -m Tools.Doctor", OPERATOR).stdout
    assert "The Builder is running" in doctor
    assert "This user may not" not in doctor
    assert f"{DATABASE}/nexus.db answers" in doctor

    # An outsider is refused in a sentence, and reads no secret anywhere.
    for tool in (
        "TailStatus",
        "TailLog",
        "SessionTool list",
        "ConfigTool list",
        "ConfigTool Services.Builder.interval=9",
    ):
        name, _, arguments = tool.partition(" ")
        refused = facility.machine.run(f"{PYTHON} -m Tools.{name} {arguments}", OUTSIDER)
        assert (refused.returncode, refused.stdout) == (4, ""), refused.stdout
        assert f"To add {OUTSIDER} to that group: sudo usermod -aG nexuscore {OUTSIDER}" in refused.stderr
    places = f"/var/lib/nexuscore /var/log/nexuscore /etc/nexuscore /home/{OPERATOR}"
    assert facility.machine.run(f"grep -rla {SECRET} {places}", OUTSIDER).stdout == ""
    assert "nexus.db" in facility.machine.run(f"grep -rla {SECRET} {places}").stdout, (
        "the search finds what root may read"
    )

    # One who may only read sees everything while a service runs, and changes nothing.
    facility.machine.done(f"chmod o+rx /var/lib/nexuscore {DATABASE} && chmod o+r {DATABASE}/*")
    assert "Builder" in facility.tool("TailStatus Builder:state", OUTSIDER)
    assert "tools can change nothing" in facility.machine.run(f"{PYTHON} -m Tools.Doctor", OUTSIDER).stdout
    refused = facility.machine.run(f"{PYTHON} -m Tools.ConfigTool Services.Builder.interval=9", OUTSIDER)
    assert refused.returncode == 4
    assert "This user may not write the database" in refused.stderr
    facility.machine.done(f"chmod o-rwx /var/lib/nexuscore {DATABASE} {DATABASE}/*")

    # Set up again: nothing is lost, and nothing is taken over into a database that is in use.
    assert "are up to date" in set_up_services(facility, "")
    words = f"SUDO_USER={INSTALLER} ./install.sh service builder --take-over={OLD}.taken-over"
    refused = facility.machine.run(words)
    assert refused.returncode == 1
    assert "already has sessions (1)" in refused.stderr
    assert facility.machine.run(f"test -e {OLD}.taken-over").returncode == 0

    # The init scripts stop them; the tools say so.
    for service in SERVICES:
        facility.machine.done(f"/etc/init.d/nexuscore-{service} stop")
    assert "stopped" in facility.tool("TailStatus Builder:state")
    assert facility.machine.run("/etc/init.d/nexuscore-builder status").returncode == 3


def test_services_keep_the_database_that_no_tool_showed(tmp_path: Path) -> None:
    """Those of older releases, without settings for the whole machine, had one in their own home."""
    try:
        machine = own_namespace(tmp_path)
    except Unsuitable as reason:
        pytest.skip(str(reason))
    try:
        machine.done("./install.sh service builder")
        old = "/var/lib/nexuscore/.local/share/nexuscore"
        machine.done(f"mkdir -p {old} && mv {DATABASE}/nexus.db {old} && rm -r {DATABASE} /etc/nexuscore")
        machine.done(f"chown -R nexuscore: {old}")
        change = f"NEXUSCORE_DATABASE=sqlite:///{old}/nexus.db {PYTHON} -m Tools.ConfigTool Facility.data_root=/srv/old"
        machine.done(change)
        said = machine.done("./install.sh service builder")
        assert f"Taking over {old}/nexus.db, of the user nexuscore" in said
        assert "/srv/old" in machine.done(f"{PYTHON} -m Tools.ConfigTool get Facility.data_root")
    finally:
        machine.close()
