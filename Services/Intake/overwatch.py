"""Overwatch's functions under their own names: organizing file structure, merging histograms, and transferring data.

Programs that were written for Overwatch's base utilities find them here, with the same arguments and results. They
prepare a merge (which files a run has, and the time that they span) and a transfer (files in the folders of their
runs); neither is done here. Where Overwatch loses or overwrites data, they refuse with a sentence: `docs/overwatch.md`.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar

from NexusCore import API
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import NexusError, WrongArgument
from NexusCore.signals import HandlerEvent
from NexusCore.text import kind_of, one_line
from Services.Intake import run_info, run_moves, run_times

if TYPE_CHECKING:
    import numpy as np

    from NexusCore.storage import Database
    from Services.Intake.web_database import DatabaseRoot

_LOG = logging.getLogger(__name__)


class NoRunFiles(NexusError, IndexError):
    """{folder} has no files of a run: names with .root, without combined, timeSlice and a leading dot."""


# -- the files of a run -------------------------------------------------------------------------------------------


def createFileDictionary(currentDir: str, runDir: str, subsystem: str) -> list[Any]:
    """Return the files of a subsystem in a run, and the time that they span.

    Parameters
    ----------
    currentDir
        Folder with the folders of the runs.
    runDir, subsystem
        Name of the run's folder, and of the subsystem's in it.

    Returns
    -------
    list
        A dictionary from time (seconds since the epoch) to name, such as ``Run123456/SYS/file.root``, and the minutes
        from the first to the last, with one more so that none is cut off.

    Raises
    ------
    NoRunFiles
        If there are none; it is an IndexError, too.
    TimeNotInName
        If a name has no time; it is a ValueError, too.
    FileNotFoundError
        If the folder does not exist.
    """
    folder = Path(currentDir) / runDir / subsystem
    files: dict[int, str] = {}
    for name in _names(folder):
        if run_moves.SUFFIX not in name or "combined" in name or "timeSlice" in name or name.startswith("."):
            continue
        path = str(Path(runDir) / subsystem / name)
        time = extractTimeStampFromFilename(path)
        if time in files:
            _LOG.warning("%s is left out: %s is of the same second", one_line(files[time]), one_line(path))
        files[time] = path
    if not files:
        raise NoRunFiles(folder=folder)
    return [files, (max(files) - min(files) + 60) // 60]


def extractTimeStampFromFilename(filename: str) -> int:
    """Return the time in the name of a file, in seconds since the epoch; for a time slice its length in seconds.

    Parameters
    ----------
    filename
        ``hists.combined.1.1448388552.root``, ``timeSlice.1448388310.1448388552.<id>.root``,
        ``EMChistos_300005_C_2015_11_24_18_05_10.root`` or ``EMChists.2015_11_24_18_05_10.root``. Times of the last two
        forms are local times in Zurich.

    Raises
    ------
    TimeNotInName
        If there is none; it is a ValueError, too.
    """
    return run_times.time_in(filename)


def findCurrentRunDirs(dirPrefix: str = "") -> list[str]:
    """Return the names of the folders with "Run" in their names, ordered as texts.

    Parameters
    ----------
    dirPrefix
        Where they are; empty for the working directory.
    """
    folder = Path(dirPrefix).absolute()
    return [name for name in _names(folder) if "Run" in name and (folder / name).is_dir()]


def retrieveHLTModeFromStoredRunInfo(runDirectory: str) -> Any:
    """Return the HLT mode in a run's ``runInfo.yaml``; "U" if there is no such file.

    Raises
    ------
    RunInfoUnreadable
        If the file has no mode. It is a KeyError, too, or a TypeError if the file is empty or no mapping.
    """
    return run_info.stored_mode(Path(runDirectory))


def writeRunInfoToFile(runDirectory: str, hltMode: str | None, forceWrite: bool = False) -> None:
    """Write the HLT mode to a run's ``runInfo.yaml``; "U" if it is empty or None. The folder is created if missing.

    Parameters
    ----------
    runDirectory, hltMode
        Where, and the mode.
    forceWrite
        Replace a file that exists; otherwise it stays as it is.
    """
    run_info.write_mode(Path(runDirectory), hltMode, overwrite=forceWrite)


# -- received files -----------------------------------------------------------------------------------------------


def enumerateFiles(dirPrefix: str, subsystem: str) -> list[str]:
    """Return the names with a subsystem's name and ".root" in them and without a leading dot, ordered as texts.

    Parameters
    ----------
    dirPrefix
        Where received files are; empty for the working directory.
    subsystem
        Such as ``EMC``; upper and lower case differ.
    """
    names = _names(Path(dirPrefix).absolute())
    return [name for name in names if subsystem in name and run_moves.SUFFIX in name and not name.startswith(".")]


def moveFiles(dirPrefix: str, subsystemDict: Mapping[str, Sequence[str]]) -> run_moves.RunFiles:
    """Move received files into the folders of their runs.

    ``EMChistos_300005_B_2015_11_24_18_05_10.root`` becomes ``Run300005/EMC/EMChists.2015_11_24_18_05_10.root``. Files
    with mode E are replayed data and go to ``ReplayData/Run300005/EMC``. A name with fewer than three parts stays.

    Parameters
    ----------
    dirPrefix
        Where they are; empty for the working directory.
    subsystemDict
        Names of the files of each subsystem.

    Returns
    -------
    dict
        ``{"Run300005": {"EMC": [new names], "hltMode": "B"}}``; the mode of a run is that of the first file moved.

    Raises
    ------
    RunFilesRefused
        If a file would replace another, or belongs to two subsystems, or does not exist. No file is moved then.
    RunMoveFailed
        If a move failed. Those before it were undone, or the sentence names which could not be.
    """
    return run_moves.carry_out(run_moves.plan(Path(dirPrefix), subsystemDict))


def moveRootFiles(dirPrefix: str, subsystemList: Iterable[str]) -> run_moves.RunFiles:
    """Move the received files of subsystems into the folders of their runs; see `moveFiles`.

    Parameters
    ----------
    dirPrefix
        Where they are; empty for the working directory.
    subsystemList
        Names of the subsystems.
    """
    return moveFiles(dirPrefix, {subsystem: enumerateFiles(dirPrefix, subsystem) for subsystem in subsystemList})


# -- log ----------------------------------------------------------------------------------------------------------


def setupLogging(logger: logging.Logger, logLevel: int, debug: bool) -> None:
    """Have a logger write to the standard output, and to the file and by the mail that the configuration asks for.

    Parameters
    ----------
    logger
        A logger of the standard library. One that was set up before is set up anew: no line is doubled.
    logLevel
        Least level of the logger and of the standard output.
    debug
        The standard output alone. Otherwise ``Log.file`` and ``Log.mail_host`` with its siblings hold, too: a file that
        rotates, and mail for warnings and above, which is queued and limited per hour.
    """
    from Services.Intake.logger_outputs import LOG_FOLDER, LoggerOutputs, replace_outputs

    config = API.get_config()
    logger.setLevel(logLevel)
    LOG_FOLDER.mkdir(parents=True, exist_ok=True)
    outputs = LoggerOutputs(logger, config, SYSTEM_CLOCK, logLevel, console_only=debug)
    replace_outputs(logger, outputs)
    outputs.add_standard_output()
    logger.info("Added stdout streaming handler to logging!")
    if outputs.add_others():
        logger.info("Added mailer handler to logging!")


# -- database -----------------------------------------------------------------------------------------------------


def getDB(databaseLocation: str) -> tuple[DatabaseRoot, Database]:
    """Open the project's database; return its root, and a connection, to be closed by ``close()``.

    Parameters
    ----------
    databaseLocation
        Its URL: ``mysql://user:password@host/nexuscore`` or ``sqlite:////path/nexus.db``.

    Returns
    -------
    tuple
        The root is a mapping: ``root["config"]["users"]`` are the password hashes of the web pages' users, by name, and
        ``root["config"]["secretKey"]`` is the key that signs their cookies.

    Raises
    ------
    BadDatabaseURL, DatabaseUnreachable, NoDatabaseFile, SchemaMissing, SchemaMismatch, DatabaseDenied
        If it cannot be opened, with a sentence that says why.
    """
    from Services.Intake.web_database import opened

    return opened(databaseLocation, SYSTEM_CLOCK)


def updateDBSensitiveParameters(db: object, overwriteSecretKey: bool = True) -> None:
    """Store the users and the signing key of the web pages that the configuration names, in one transaction.

    Parameters
    ----------
    db
        The root that `getDB` returned.
    overwriteSecretKey
        Replace a stored key.

    Raises
    ------
    PasswordRefused, ConfigException
        If a password cannot be used. Nothing is stored then.
    """
    from Services.Intake.web_database import WEB, DatabaseRoot, web_parameters

    if not isinstance(db, DatabaseRoot):  # such as the root of an object database
        what = "the root of a database, the first that getDB returns"
        raise WrongArgument(function="updateDBSensitiveParameters", what=what, value=kind_of(db))
    db.update_from(web_parameters(API.get_config(WEB)), overwrite_key=overwriteSecretKey)


# -- arrays and signals -------------------------------------------------------------------------------------------


def removeOldestValueAndInsert(arr: np.ndarray, value: Any) -> np.ndarray:
    """Return an array without its first value (along axis 0), and with another at its end.

    Parameters
    ----------
    arr
        The array, which stays as it is.
    value
        A number, or for an array of several axes what fits into its place.

    Raises
    ------
    IndexError
        If the array is empty.
    """
    import numpy as np  # imported at first use: who moves files does not need it

    return np.append(np.delete(arr, 0, axis=0), [value], axis=0)


class handleSignals:
    """Ends a loop in order: SIGINT (Ctrl-C) and SIGTERM (``kill``, docker) set the event `exit`.

    handler = handleSignals()
    while not handler.exit.is_set():
        ...
        handler.exit.wait(seconds)

    Made in the main thread. The event belongs to the class: all objects share it, and it stays set.
    """

    exit: ClassVar[HandlerEvent] = HandlerEvent()
    """Set by a signal; one that a handler may set at any time, also while it is being waited for."""

    def __init__(self) -> None:
        signal.signal(signal.SIGINT, self.exitGracefully)
        signal.signal(signal.SIGTERM, self.exitGracefully)

    def exitGracefully(self, signum: int, frame: FrameType | None) -> None:
        """Note that a signal was received."""
        self.exit.set()  # first: whatever becomes of the line of log, the loop ends
        _LOG.info("Received signal %d. Passing on to executing function...", signum)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
