"""What the core and the session logger read from the configuration; see `NexusCore.config.catalogue`.

What one service reads of an instrument is declared in that service's room.
"""

from __future__ import annotations

from NexusCore.config.catalogue import Collected
from NexusCore.config.changes import DEFAULT, NAMES_VERSION
from NexusCore.config.forms import LOCATION, LOG_FILE, PATH, URL, ZONE
from NexusCore.facility.file_times import PC, SERVER
from NexusCore.facility.instruments import INSTRUMENTS_FOLDER, MICROSCOPES

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""Levels of the log, as the configuration names them."""


def declare(config: Collected) -> None:
    """Declare what belongs to no single service."""
    config.may_have(NAMES_VERSION, DEFAULT, comment="Version of the configuration that is used where none is named.")
    config.set_default(
        "Facility.data_root", "", form=PATH,
        comment="Root folder of relative filestore paths of instruments; empty: the working directory of a service.",
    )  # fmt: skip
    for name, what in (("log_days", "log records"), ("status_days", "earlier values of the status")):
        comment = f"Days after which a service deletes {what}; 0 keeps them for ever."
        config.set_default(f"Facility.{name}", 0, minimum=0, maximum=36_500, comment=comment)
    _logger(config.at("Logger"))
    _log(config.at("Log"))
    _instrument(config.at(f"{INSTRUMENTS_FOLDER}.*"))


def _logger(config: Collected) -> None:
    default = config.set_default
    default(
        "close_delay", 3.0, minimum=0, maximum=60,
        comment="Seconds that the session logger stays open after the end of a session.",
    )  # fmt: skip
    default("support_address", "", comment="E-mail address that the session logger shows after an error.")
    default("ask_user", False, comment="Ask who works, on accounts that several people share.")
    default(
        "reminder_minutes", 0.0, minimum=0, maximum=1440,
        comment="Minutes without input and new files after which the logger asks whether the work is done; 0: never.",
    )  # fmt: skip


def _log(config: Collected) -> None:
    default = config.set_default
    default("stdout", False, comment="Write the log to the standard output too.")
    default("stdout_level", "INFO", comment="Least level for the standard output.", choices=LEVELS)
    default(
        "file", "", form=LOG_FILE, comment="Log file besides the database, with {program} in its name; empty for none."
    )
    default("file_level", "DEBUG", comment="Least level for the log file.", choices=LEVELS)
    default("file_size", 5_000_000, comment="Size in bytes at which the log file is rotated.", minimum=10_000)
    default("file_count", 10, comment="Number of rotated files to keep.", minimum=0)
    default("mail_host", "", comment="Mail server, host or host:port; empty for no mail.")
    default("mail_from", "", comment="Sender of the mail; empty: its first receiver.")
    default("mail_to", "", comment="Receivers of mail about errors, separated by commas.")
    default("mail_subject", "NexusCore needs attention", comment="Subject of the mail.")
    default("mail_level", "WARNING", comment="Least level for mail.", choices=LEVELS)
    default(
        "mail_per_hour", 20, comment="Most mails per hour; the next mail reports the number of suppressed ones.",
        minimum=1,
    )  # fmt: skip


def _instrument(config: Collected) -> None:
    field = config.may_have
    field("name", "", comment="What people call it; empty: its pid.")
    field("schema_name", "", comment="What records call it; empty: its name.")
    field("location", "", comment="Where it stands.")
    field("property_tag", "", comment="Number in the facility's inventory.")
    field(
        "filestore_path", "",
        comment="Folder below which it leaves its files; a relative one lies in Facility.data_root.",
    )  # fmt: skip
    field("computer_name", "", comment="Host name of the PC that its users sit at.")
    field("computer_ip", "", comment="IP address of that PC.")
    field("computer_mount", "", comment="Where that PC has the file store, for example M:/.")
    field("calendar_name", "", comment="Its name in the calendar.")
    only = "Of a calendar that several instruments share, only events"
    more = "are its own; several with commas."
    field("calendar_location", "", comment=f"{only} at this location {more}")
    field("calendar_resource", "", comment=f"{only} that book this room or resource, by name or address, {more}")
    field("calendar_words", "", comment=f"{only} with one of these in title, description or categories {more}")
    field("calendar_url", "", comment="Where people see its reservations.", form=URL)
    field("api_url", "", form=LOCATION, comment="Where programs read its reservations: URL, or path of a file.")
    field(
        "microscope", "", choices=("", *MICROSCOPES),
        comment="Which it is, for spectra that do not say it: TEM, STEM, SEM; empty: as its names say.",
    )  # fmt: skip
    field("timezone", "", form=ZONE, comment="Time zone of its PC and its calendar; empty: that of this machine.")
    field("file_times", SERVER, comment="Whose clock dates its files.", choices=(SERVER, PC))
