"""The instruments: whether their folders can be read, and their settings are valid."""

from __future__ import annotations

import functools
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from NexusCore.errors import ConfigException
from NexusCore.facility.instruments import Instrument, Instruments
from NexusCore.resources import filesystem_of, room_of
from NexusCore.text import listed, shell_quote
from Tools.common.quantities import bytes_text
from Tools.doctor.checks.context import Case
from Tools.doctor.checks.disks import is_nearly_full
from Tools.doctor.checks.outcome import CheckResult, note, ok, problem
from Tools.doctor.checks.timeouts import all_within


def instruments(case: Case) -> Iterator[CheckResult]:
    """Check each instrument of the configuration."""
    config = case.configuration()
    known = Instruments(config)
    known_instruments = known.all()
    if not known_instruments:
        root = "" if _is_absolute(config["Facility.data_root"]) else "Facility.data_root=/srv/microscopes "
        yield note(
            "The configuration has no instrument yet.",
            "Add one, with its name and the folder of its files: "
            f"ConfigTool {root}Instruments.FEI-Titan-TEM.filestore_path=./FEI-Titan-TEM",
        )
        return
    yield from _names(known_instruments)
    yield from _zones(known_instruments)
    homeless = [] if _is_absolute(config["Facility.data_root"]) else _relative(known_instruments)
    if homeless:
        yield problem(
            f"The filestore_path of {', '.join(homeless)} is relative, but Facility.data_root is not absolute: the "
            "folder depends on where a program is started.",
            "Set the root: ConfigTool Facility.data_root=/srv/microscopes",
        )
    folders = {}
    for instrument in known_instruments:
        if instrument.pid in homeless:
            continue  # where Doctor is started is not where the Builder is
        try:
            folders[instrument.pid] = known.folder(instrument)
        except ConfigException:
            yield problem(
                f"{instrument.pid} has no filestore_path, so records of its sessions cannot be built.",
                f"Set the folder of its files: ConfigUI {_parameter(instrument.pid, 'filestore_path')}",
            )
    yield from _folders(case, folders)


def _names(known_instruments: Sequence[Instrument]) -> Iterator[CheckResult]:
    by_name = defaultdict(list)
    for instrument in known_instruments:
        by_name[instrument.computer_name.partition(".")[0].lower()].append(instrument)
    for name, several in by_name.items():
        if name and len(several) > 1:
            first, pids = several[0], listed([instrument.pid for instrument in several])
            yield problem(
                f"The computer {first.computer_name} is assigned to {pids}: all its sessions go to {first.pid}.",
                f"Give each its own: ConfigUI {_parameter(several[1].pid, 'computer_name')}",
            )


def _zones(known_instruments: Sequence[Instrument]) -> Iterator[CheckResult]:
    for instrument in known_instruments:
        try:
            _ = instrument.zone
        except ConfigException as error:
            yield problem(
                f"{error.facts['reason']}.",
                f"Correct it: ConfigTool {_parameter(instrument.pid, 'timezone')}=Europe/Oslo",
            )


def _relative(known_instruments: Sequence[Instrument]) -> list[str]:
    """Return the pids of the instruments whose folders are relative to `Facility.data_root`."""
    return [
        instrument.pid
        for instrument in known_instruments
        if instrument.filestore_path and not _is_absolute(instrument.filestore_path)
    ]


def _is_absolute(folder: object) -> bool:
    return Path(str(folder or "")).expanduser().is_absolute()


def _folders(case: Case, folders: dict[str, Path]) -> Iterator[CheckResult]:
    # At the same time: several folders on the same hanging share cost only one wait.
    finished = all_within(
        case.left_to_answer, {pid: functools.partial(_folder, pid, path) for pid, path in folders.items()}
    )
    for pid, path in folders.items():
        if pid in finished:
            yield finished[pid].result()
        else:
            yield problem(
                f"{pid}: {path} does not answer.", "Is it a network share whose server is down? See: mount, dmesg"
            )


def _folder(pid: str, path: Path) -> CheckResult:
    mount = filesystem_of(path)
    where = f" ({mount.source} on {mount.point}, {mount.kind})" if mount is not None else ""
    try:
        if not path.exists():
            return problem(
                f"{pid}: the folder {path} does not exist{where}.", "Is the share mounted? Is the name right?"
            )
        if not path.is_dir():
            return problem(
                f"{pid}: {path} is not a folder.",
                f"Correct it: ConfigUI {_parameter(pid, 'filestore_path')}",
            )
        if not os.access(path, os.R_OK | os.X_OK):
            return problem(
                f"{pid}: this user may not read {path}{where}.", "The Builder's user must be able to read it."
            )
        with os.scandir(path) as inside:
            empty = next(inside, None) is None
        room = room_of(path)
    except OSError as error:
        return problem(f"{pid}: {path}{where} cannot be read: {error.strerror}.", "Is the share's server up?")
    if empty:
        return note(f"{pid}: {path} is empty{where}.", "Is the share mounted?")
    free = f"{bytes_text(room.free)} of {bytes_text(room.total)} free"
    if is_nearly_full(room):
        return note(f"{pid}: {path} is nearly full, {free}{where}.", "Free space before the instrument cannot save.")
    return ok(f"{pid}: {path} can be read, {free}{where}.")


def _parameter(pid: str, name: str) -> str:
    """Return the path of an instrument's parameter as it is typed in a shell."""
    return shell_quote(f"Instruments.{pid}.{name}")
