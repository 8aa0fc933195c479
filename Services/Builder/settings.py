"""The Builder's settings: `Services.Builder.*`, with defaults, and those of single instruments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol

from NexusCore.config.forms import PATH
from NexusCore.config.values import Limits, Value, cast, datatype_of
from NexusCore.errors import EXIT_USAGE, NexusError
from NexusCore.facility.file_walk import DEFAULT_IGNORE

EXCLUSIVE, INCLUSIVE = "exclusive", "inclusive"
STRATEGIES = (EXCLUSIVE, INCLUSIVE)


class NoSuchStrategy(NexusError):
    """{path} is '{value}', which is not a strategy of finding files; use 'exclusive' or 'inclusive'. To correct it:
    ConfigTool {path}=exclusive
    """  # noqa: D205, D400  the docstring is the message

    exit_code: ClassVar[int] = EXIT_USAGE


class ReadableConfiguration(Protocol):
    """A configuration from its absolute root."""

    def __getitem__(self, name: str) -> Value:
        """Return a parameter's value, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as the configuration shows it."""

    default: Value
    comment: str
    limits: Mapping[str, Any] = field(default_factory=dict)


def _at_least(minimum: float, maximum: float | None = None) -> dict[str, Any]:
    return {"minimum": minimum} | ({} if maximum is None else {"maximum": maximum})


_ABSOLUTE = {"form": PATH}

PARAMETERS: Mapping[str, Parameter] = {
    "records_path": Parameter(
        "", "Folder for records; empty for 'records' in the service's NEXUSCORE_HOME.", _ABSOLUTE
    ),
    "schema_path": Parameter("", "The facility's own XML schema for records; empty for the built-in one.", _ABSOLUTE),
    "profiles_path": Parameter(
        "",
        "Folder with corrections for the files of instruments, <pid>.toml, where Instruments.<pid>.profile has none.",
        _ABSOLUTE,
    ),
    "workers": Parameter(2, "Processes that read files at the same time.", _at_least(1, 64)),
    "seconds_per_file": Parameter(60.0, "Seconds after which reading one file is given up.", _at_least(1.0)),
    "hash_seconds": Parameter(
        3600.0,
        "Seconds that the SHA-256 of one dataset may take, besides those for reading it; records say if it is too "
        "large.",
        _at_least(1.0),
    ),
    "session_time": Parameter(
        14_400.0,
        "Seconds that reading all files of a session may take; records name the files that were not read.",
        _at_least(1.0),
    ),
    "memory_per_worker": Parameter(4096, "MiB of memory that reading one file may take.", _at_least(256)),
    "memory": Parameter(4096, "MiB of memory that all processes that read files may take together.", _at_least(256)),
    "dask_scheduler": Parameter(
        "", "Address of a Dask scheduler whose workers read the files (tcp://host:8786); empty for processes here."
    ),
    "strategy": Parameter(
        INCLUSIVE,
        "Files that become datasets: 'exclusive' those of known formats, 'inclusive' all. "
        "Instruments.<pid>.strategy overrides it.",
        {"choices": STRATEGIES},
    ),
    "settle": Parameter(1.0, "Seconds that a file must have been left alone before it is read.", _at_least(0.0)),
    "late_margin": Parameter(
        60.0,
        "Seconds after its end up to which a file belongs to a session, on a file system that does not say when a file "
        "was made; another one's start ends it.",
        _at_least(0.0, 86_400.0),
    ),
    "growing_wait": Parameter(
        3600.0,
        "Seconds after its end that a session waits for files that were begun in it and are still being written.",
        _at_least(0.0),
    ),
    "file_delay": Parameter(
        0.0, "Seconds after its end that a session without files waits for them to arrive.", _at_least(0.0)
    ),
    "intake_wait": Parameter(
        900.0,
        "Seconds after its end that a session waits for files in its instrument's drop folders to be filed.",
        _at_least(0.0),
    ),
    "search_limit": Parameter(600.0, "Seconds that searching an instrument's files may take.", _at_least(1.0)),
    "ignore": Parameter(", ".join(DEFAULT_IGNORE), "Patterns of file names to leave out, with commas."),
    "files_url": Parameter(
        "",
        "Address below which people can get the files in Facility.data_root (https://files.example.org/em), for links "
        "in records; empty for no links.",
    ),
    "sensitivity": Parameter(1.0, "Above 1: more, shorter activities; below: fewer, longer ones.", _at_least(0.01)),
    "transfer_cache": Parameter(
        "",
        "Folder for files that are fetched from a bucket; empty for 'cache/transfers' in the service's NEXUSCORE_HOME.",
        _ABSOLUTE,
    ),
    "transfer_cache_gib": Parameter(
        100.0, "GiB that this folder may have; sessions that were not built for longest make room.", _at_least(0.001)
    ),
    "require_consent": Parameter(False, "Make records only of sessions whose user agreed to it."),
    "lease": Parameter(300.0, "Seconds after which a Builder that fell silent loses its session.", _at_least(10.0)),
    "retry_first": Parameter(60.0, "Seconds before a session that failed is tried again.", _at_least(1.0)),
    "retry_longest": Parameter(3600.0, "The longest such wait; each is twice the last.", _at_least(1.0)),
    "forgotten_hours": Parameter(
        24.0,
        "Hours without a sign of life after which an open session counts as forgotten; 0: never. "
        "Instruments.<pid>.forgotten_hours overrides it.",
        _at_least(0.0, 87_600.0),
    ),
    "forgotten_grace_hours": Parameter(
        4.0, "Hours from when a forgotten session is first shown until it is ended.", _at_least(0.0, 87_600.0)
    ),
    "cache_days": Parameter(
        30.0, "Days that what was read from a session's files is kept for building it again.", _at_least(0.0)
    ),
}
"""Every parameter in the folder `Services.Builder`, besides those that each service has."""


@dataclass(frozen=True, slots=True)
class BuilderSettings:
    """The parameters, as they are at one moment."""

    records: Path
    """Folder of records, absolute."""
    schema: Path | None
    """The facility's own schema; None for the built-in one."""
    profiles: Path | None
    """Folder of the facility's instrument profiles."""
    workers: int
    seconds_per_file: float
    hash_seconds: float
    session_time: float
    """Seconds."""
    memory_mb: int
    """Per process."""
    memory_budget_mb: int
    """Of all processes together."""
    dask_scheduler: str
    strategy: str
    settle: timedelta
    late_margin: float
    """Seconds."""
    growing_wait: float
    """Seconds."""
    file_delay: float
    """Seconds."""
    intake_wait: float
    """Seconds."""
    search_limit: timedelta
    ignore: Sequence[str]
    files_url: str
    sensitivity: float
    require_consent: bool
    lease: float
    """Seconds."""
    retry_first: float
    """Seconds."""
    retry_longest: float
    """Seconds."""
    cache_days: float
    forgotten_hours: float
    forgotten_grace_hours: float
    transfer_cache: Path
    """Absolute."""
    transfer_cache_gib: float

    @classmethod
    def read(cls, config: ReadableConfiguration, home: Path) -> BuilderSettings:
        """Return them from a configuration's absolute root.

        Parameters
        ----------
        config
            A parameter that it does not have counts as its default.
        home
            Folder that records lie in where nothing else is set.
        """

        def text(name: str) -> str:
            return str(_value(config, name) or "").strip()

        def number(name: str) -> float:
            value = _value(config, name)
            assert isinstance(value, (int, float)), f"the default of {name} is a number"  # noqa: S101
            return value

        records, schema, profiles = text("records_path"), text("schema_path"), text("profiles_path")
        transferred = text("transfer_cache")
        return cls(
            records=Path(records).expanduser().absolute() if records else home / "records",
            schema=Path(schema).expanduser() if schema else None,
            profiles=Path(profiles).expanduser() if profiles else None,
            workers=int(number("workers")),
            seconds_per_file=number("seconds_per_file"),
            hash_seconds=number("hash_seconds"),
            session_time=number("session_time"),
            memory_mb=int(number("memory_per_worker")),
            memory_budget_mb=int(number("memory")),
            dask_scheduler=text("dask_scheduler"),
            strategy=text("strategy"),
            settle=timedelta(seconds=number("settle")),
            late_margin=number("late_margin"),
            growing_wait=number("growing_wait"),
            file_delay=number("file_delay"),
            intake_wait=number("intake_wait"),
            search_limit=timedelta(seconds=number("search_limit")),
            ignore=[pattern.strip() for pattern in text("ignore").split(",") if pattern.strip()],
            files_url=text("files_url"),
            sensitivity=number("sensitivity"),
            require_consent=bool(_value(config, "require_consent")),
            lease=number("lease"),
            retry_first=number("retry_first"),
            retry_longest=number("retry_longest"),
            cache_days=number("cache_days"),
            forgotten_hours=number("forgotten_hours"),
            forgotten_grace_hours=number("forgotten_grace_hours"),
            transfer_cache=Path(transferred).expanduser().absolute() if transferred else home / "cache" / "transfers",
            transfer_cache_gib=number("transfer_cache_gib"),
        )

    def backoff(self, attempts: int) -> float:
        """Return the seconds to wait before the next attempt: twice as many each time."""
        return float(min(self.retry_first * 2.0 ** min(max(attempts, 1) - 1, 60), self.retry_longest))


def strategy_of(config: ReadableConfiguration, pid: str, settings: BuilderSettings) -> str:
    """Return the strategy of finding an instrument's files: its own, else the Builder's.

    Raises
    ------
    NoSuchStrategy
        If the instrument's is neither of `STRATEGIES`.
    """
    path = f"Instruments.{pid}.strategy"
    own = str(config[path] or "").strip()
    if own and own not in STRATEGIES:
        raise NoSuchStrategy(path=path, value=own)
    return own or settings.strategy


def forgotten_hours_of(config: ReadableConfiguration, pid: str, settings: BuilderSettings) -> float:
    """Return after how many hours a session of an instrument is forgotten: its own limit, else the Builder's.

    Raises
    ------
    ConfigException
        If the instrument's is not a number, or too small or large.
    """
    path = f"Instruments.{pid}.forgotten_hours"
    own = config[path]
    if own is None or own == "":
        return settings.forgotten_hours
    parameter = PARAMETERS["forgotten_hours"]
    value = cast(path, own, datatype_of(path, parameter.default))
    Limits.of(dict(parameter.limits)).check(path, value)
    assert isinstance(value, (int, float))  # noqa: S101  it was cast to a number
    return value


def _value(config: ReadableConfiguration, name: str) -> Value:
    """Return a parameter's value: it may have been set before it was declared."""
    path, parameter = f"Services.Builder.{name}", PARAMETERS[name]
    value = config[path]
    if value is None:
        return parameter.default
    value = cast(path, value, datatype_of(path, parameter.default))
    Limits.of(dict(parameter.limits)).check(path, value)
    return value
