"""The instruments: whether the folders with their files are there, and their settings make sense."""

from __future__ import annotations

import functools
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from NexusCore.errors import ConfigException
from NexusCore.facility.instruments import Instrument, Instruments
from NexusCore.resources import filesystem_of, room_of
from NexusCore.text import shell_quote
from Tools.common.quantities import bytes_text
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.disks import is_nearly_full
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem
from Tools.doctor.checks.timeouts import all_within


def instruments(case: Case) -> Iterator[CheckResult]:
    """Look at each instrument of the configuration."""
    config = case.configuration()
    known = Instruments(config)
    found = known.all()
    if not found:
        yield note(
            "There is no instrument in the configuration yet.",
            "Add one: ConfigTool Instruments.<pid>.filestore_path=<folder>",
        )
        return
    yield from _names(found)
    yield from _zones(found)
    yield from _root(found, str(config["Facility.data_root"] or ""))
    folders = {}
    for instrument in found:
        try:
            folders[instrument.pid] = known.folder(instrument)
        except ConfigException:
            yield problem(
                f"{instrument.pid} has no filestore_path, so no record of its sessions can be made.",
                f"Say where its files are: ConfigTool {_parameter(instrument.pid, 'filestore_path')}=<folder>",
            )
    yield from _folders(case, folders)


def _names(found: Sequence[Instrument]) -> Iterator[CheckResult]:
    by_name = defaultdict(list)
    for instrument in found:
        by_name[instrument.computer_name.partition(".")[0].lower()].append(instrument)
    for name, several in by_name.items():
        if name and len(several) > 1:
            first, pids = several[0], " and ".join(instrument.pid for instrument in several)
            yield problem(
                f"The computer {first.computer_name} is assigned to {pids}: its sessions all go to {first.pid}.",
                f"Give each its own: ConfigTool {_parameter(several[1].pid, 'computer_name')}=<name>",
            )


def _zones(found: Sequence[Instrument]) -> Iterator[CheckResult]:
    for instrument in found:
        try:
            _ = instrument.zone
        except ConfigException as error:
            yield problem(
                f"{error.facts['reason']}.",
                f"Correct it: ConfigTool {_parameter(instrument.pid, 'timezone')}=Europe/Oslo",
            )


def _root(found: Sequence[Instrument], root: str) -> Iterator[CheckResult]:
    relative = [
        instrument.pid
        for instrument in found
        if instrument.filestore_path and not Path(instrument.filestore_path).expanduser().is_absolute()
    ]
    if relative and not Path(root).expanduser().is_absolute():
        yield problem(
            f"The filestore_path of {', '.join(relative)} is relative, and Facility.data_root says not to what: it "
            "depends on where a program is started.",
            "Say to what: ConfigTool Facility.data_root=<folder>",
        )


def _folders(case: Case, folders: dict[str, Path]) -> Iterator[CheckResult]:
    # All at once: those on one share that hangs are then waited for together.
    found = all_within(case.left, {pid: functools.partial(_folder, pid, path) for pid, path in folders.items()})
    for pid, path in folders.items():
        if pid in found:
            yield found[pid].result()
        else:
            yield problem(f"{pid}: {path} does not answer.", "Is it a share whose server is away? See: mount, dmesg")


def _folder(pid: str, path: Path) -> CheckResult:
    mount = filesystem_of(path)
    where = f" ({mount.source} on {mount.point}, {mount.kind})" if mount is not None else ""
    try:
        if not path.exists():
            return problem(f"{pid}: there is no folder {path}{where}.", "Is the share mounted? Is the name right?")
        if not path.is_dir():
            return problem(
                f"{pid}: {path} is no folder.",
                f"Correct it: ConfigTool {_parameter(pid, 'filestore_path')}=<folder>",
            )
        if not os.access(path, os.R_OK | os.X_OK):
            return problem(f"{pid}: this user may not read {path}{where}.", "The Builder's user must be able to.")
        with os.scandir(path) as inside:
            empty = next(inside, None) is None
        room = room_of(path)
    except OSError as error:
        return problem(f"{pid}: {path}{where} cannot be read: {error.strerror}.", "Is the share's server there?")
    if empty:
        return note(f"{pid}: {path} is empty{where}.", "Is the share mounted?")
    free = f"{bytes_text(room.free)} of {bytes_text(room.total)} free"
    if is_nearly_full(room):
        return note(f"{pid}: {path} is nearly full, {free}{where}.", "Make room before the instrument cannot save.")
    return ok(f"{pid}: {path} can be read, {free}{where}.")


def _parameter(pid: str, name: str) -> str:
    """Return the path of an instrument's parameter as it is typed in a shell."""
    return shell_quote(f"Instruments.{pid}.{name}")
