"""The settings `Services.Intake.*`: rules, mirrors, silences; those of inboxes are in `NexusCore.facility.inboxes`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from NexusCore.clock import to_ts
from NexusCore.config import NamedConfiguration
from NexusCore.config.readonly import ReadOnlyConfiguration
from NexusCore.errors import ConfigException, DatabaseDenied, NexusError
from NexusCore.facility.inboxes import INBOXES_FOLDER, Inbox, inbox_names, inbox_settings
from NexusCore.facility.transfer_settings import IGNORED, StoreSettings, store_settings
from NexusCore.text import suggest
from Services.Intake.places import inbox_fault, loops, mirror_fault
from Services.Intake.rules.rule import RULES, Conflict, FilingRule, Ready, RuleRefused, check
from Services.Intake.rules.shipped import SHIPPED

FOLDER = "Services.Intake"
INTERVAL = 5.0
"""Seconds between two looks into the drop folders, where the configuration says nothing else."""
COPIED_TO = "copied_to"
"""Name of a mirror's parameter that holds the place in which its copies were made."""
ACCEPTED = "accepted"
"""Name of a rule's parameter that holds the checksum of the settings that were accepted."""
_COMMENTS = {
    "names": "Patterns of file names, with semicolons.",
    "suffixes": "Suffixes with the dot, with semicolons; empty for any.",
    "folders": "Patterns of the folder below the inbox, with semicolons; empty for any.",
    "min_size": "Bytes that a file must have.",
    "max_size": "Bytes that a file may have; 0 for any number.",
    "parse": "Regular expression with named groups that the whole name has to match; empty for none.",
    "target": "Root of the target, relative to Facility.data_root; empty for the inbox itself.",
    "path": "Path below the target, with {fields}.",
    "divert": "field=value: folder, with semicolons; such files go to this folder below the target.",
    "conflict": "What happens to a file whose target is taken.",
    "ready": "How it is known that a file is complete.",
    "ready_name": "Name of the marker or lock beside a file, such as {name}.done.",
    "note_path": "Path of a small file written beside the files unless it exists; empty for none.",
    "note": "Its content.",
    "unknown_user": "Folder instead of {user} where nobody was at the instrument; empty: such files stay.",
    "mount": "Path on which a file system has to be mounted before anything is filed; empty for none.",
}
_LIMITS: dict[str, dict[str, Any]] = {
    "min_size": {"minimum": 0},
    "max_size": {"minimum": 0},
    "conflict": {"choices": tuple(kind.value for kind in Conflict)},
    "ready": {"choices": tuple(kind.value for kind in Ready)},
}
_INBOX: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "on": (True, "Whether files are filed from it.", {}),
    "rules": ("overwatch", "Names of its rules, with semicolons; the first one that takes a file decides.", {}),
    "instrument": ("", "Pid of the instrument that its files are from; empty for none.", {}),
    "subfolders": (False, "Whether files in its subfolders are filed, too.", {}),
    "ignore": ("; ".join(IGNORED), "Patterns of names that are left out, with semicolons.", {}),
    "stable_seconds": (10.0, "Seconds that a file must not have changed.", {"minimum": 0.0}),
    "silent_minutes": (0.0, "Minutes without a file after which an alert is given; 0 for never.", {"minimum": 0.0}),
    "oldest_minutes": (60.0, "Minutes that a file may lie in it before an alert is given.", {"minimum": 0.0}),
}
MIRROR_KINDS = ("directory", "rsync", "google", "s3")
BUCKETS = ("google", "s3")
"""Those that are buckets."""
_MIRROR: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "on": (True, "Whether copies are made and looked at.", {}),
    "kind": ("directory", "How it is reached.", {"choices": MIRROR_KINDS}),
    "inboxes": ("", "Names of the inboxes whose files are copied, with semicolons; empty for all.", {}),
    "mount": ("", "Path on which a file system has to be mounted; empty for none.", {}),
    "verify_hours": (24.0, "Hours after which a copy is read again.", {"minimum": 0.01}),
}
SILENCES = f"{FOLDER}.silences"
_INBOX_ALERTS = ("silent", "old", "disk")
_RULE_ALERT = "rule"
BUCKET_PARAMETERS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "bucket": ("", "Name of the bucket.", {}),
    "prefix": ("", "What the names of all objects begin with.", {}),
    "endpoint": ("", "URL of the server; empty for that of Google or Amazon.", {}),
    "region": ("", "Region of the bucket; only for S3.", {}),
    "credentials": ("", "Path of the file with the key, on Intake's machine.", {}),
}


@dataclass(frozen=True, slots=True)
class MirrorSettings:
    """A place for copies; the names are those of the parameters."""

    name: str
    path: str
    """Of a directory; for rsync host:/folder or rsync://host/module/folder; empty for a bucket."""
    kind: str = "directory"
    inboxes: tuple[str, ...] = ()
    """Only files of these; all, if empty."""
    mount: str = ""
    verify_hours: float = 24.0
    bucket: StoreSettings | None = None
    """Of the kinds that are buckets."""

    @property
    def place(self) -> str:
        """Where it is: another place has no copies yet."""
        if self.bucket is None:
            return f"{self.kind} {self.path.rstrip('/')}"
        return f"{self.kind} {self.bucket.endpoint} {self.bucket.bucket}/{self.bucket.prefix}"

    def takes(self, inbox: str) -> bool:
        """Return whether files of an inbox are copied to it."""
        return not self.inboxes or inbox in self.inboxes


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """Present values, and what is wrong with the others."""

    data_root: Path
    inboxes: tuple[Inbox, ...]
    """Those that are on."""
    rules: dict[str, FilingRule]
    """By name; those that can be used."""
    accepted: dict[str, str]
    """By name of the rule: checksum of the settings that were accepted."""
    mirrors: tuple[MirrorSettings, ...]
    faults: dict[str, str]
    """What cannot be used, by its path in the configuration, with a sentence."""
    data_root_is_set: bool = True
    silent_until: dict[str, int] = field(default_factory=dict)
    """By the beginning of the names of alerts: until when they are silenced; microseconds since the epoch, UTC."""
    lease: float = 30.0
    nearly_full: float = 5.0
    """Percent of a disk below which an alert is given."""
    remind_hours: float = 24.0

    def rules_of(self, inbox: Inbox) -> list[FilingRule]:
        """Return the rules of an inbox that can be used, in its order."""
        return [self.rules[name] for name in inbox.rules if name in self.rules]

    def loops(self, *, certain: bool) -> list[tuple[str, ...]]:
        """Return the names of inboxes whose files come back to them; if not certain, also those that only may."""
        targets = {
            inbox.name: [rule.root(inbox.path, self.data_root) for rule in self.rules_of(inbox)]
            for inbox in self.inboxes
        }
        return loops(self.inboxes, targets, certain=certain)

    def folders(self) -> list[Path]:
        """Return where files are received or filed, where no mirror may be."""
        return _folders(self.inboxes, self.rules, self.data_root, self.data_root_is_set)

    def roots(self) -> list[Path]:
        """Return all drop folders and targets."""
        roots = [inbox.path for inbox in self.inboxes]
        for inbox in self.inboxes:
            roots += [rule.root(inbox.path, self.data_root) for rule in self.rules_of(inbox)]
        return list(dict.fromkeys(roots))


def set_defaults(config: NamedConfiguration) -> None:
    """Declare the settings, those of the shipped rules, and of the inboxes and mirrors that have a path.

    Parameters
    ----------
    config
        The folder `Services.Intake`.
    """
    with suppress(DatabaseDenied):
        default = config.set_default
        default("lease", 30.0, comment="Seconds after which what a silent Intake was moving is settled.", minimum=1.0)
        default("nearly_full", 5.0, comment="Percent of a disk below which an alert is given.", minimum=0.0)
        default("remind_hours", 24.0, comment="Hours after which an alert that still holds is repeated.", minimum=0.1)
        for rule in SHIPPED:
            declare_rule(config, rule)
        for kind, parameters in (("inboxes", _INBOX), ("mirrors", _MIRROR)):
            for name in config.keys(kind):
                more = BUCKET_PARAMETERS if kind == "mirrors" and config[f"{kind}.{name}.kind"] in BUCKETS else {}
                for parameter, (value, comment, limits) in {**parameters, **more}.items():
                    with suppress(NexusError):  # what is wrong with one is said when it is read
                        default(f"{kind}.{name}.{parameter}", value, comment=comment, **limits)
        for name in config.keys("rules"):
            with suppress(NexusError):
                declare_rule(config, FilingRule(name))


def declare_rule(config: NamedConfiguration, rule: FilingRule) -> None:
    """Declare the parameters of a rule; existing ones keep their values."""
    for parameter, comment in _COMMENTS.items():
        value = getattr(rule, parameter)
        value = str(value) if isinstance(value, (Conflict, Ready)) else value
        config.set_default(f"rules.{rule.name}.{parameter}", value, comment=comment, **_LIMITS.get(parameter, {}))


def read(config: ReadOnlyConfiguration) -> IntakeSettings:
    """Return the present settings.

    Parameters
    ----------
    config
        The configuration from its absolute root.
    """
    faults: dict[str, str] = {}
    rules: dict[str, FilingRule] = {}
    accepted: dict[str, str] = {}
    for name in dict.fromkeys([*(rule.name for rule in SHIPPED), *config.keys(RULES)]):
        try:
            rules[name] = rule_settings(config, name)
            accepted[name] = str(config[f"{RULES}.{name}.{ACCEPTED}"] or "")
        except NexusError as error:
            faults[f"{RULES}.{name}"] = str(error)
    given_root = Path(str(config["Facility.data_root"] or "")).expanduser()
    known_root = given_root if given_root.is_absolute() else None
    root = given_root.absolute()
    inboxes = list(_inboxes(config, rules, faults, known_root))
    for rule in dict.fromkeys(name for inbox in inboxes for name in inbox.rules):
        if rule in rules and known_root is None and rules[rule].root(Path("/"), Path()).is_absolute() is False:
            faults[f"{RULES}.{rule}"] = _without_data_root(rules.pop(rule))
    mirrors = list(_mirrors(config, faults, _folders(inboxes, rules, root, known_root is not None)))
    numbers = {name: _number(config, f"{FOLDER}.{name}") for name in ("lease", "nearly_full", "remind_hours")}
    given = {name: value for name, value in numbers.items() if value is not None}
    silent_until = _silences(config, faults)
    return IntakeSettings(
        root,
        tuple(inboxes),
        rules,
        accepted,
        tuple(mirrors),
        faults,
        known_root is not None,
        silent_until,
        **given,
    )


def _folders(
    inboxes: Iterable[Inbox], rules: Mapping[str, FilingRule], data_root: Path, data_root_is_set: bool
) -> list[Path]:
    folders = [data_root] if data_root_is_set else []
    for inbox in inboxes:
        folders += [inbox.path, *(rules[name].root(inbox.path, data_root) for name in inbox.rules if name in rules)]
    return list(dict.fromkeys(folders))


def _without_data_root(rule: FilingRule) -> str:
    return (
        f"{RULES}.{rule.name}.target is '{rule.target}', which is below Facility.data_root, and that is not set to an "
        "absolute path: ConfigTool Facility.data_root=/data"
    )


def rule_settings(config: ReadOnlyConfiguration, name: str) -> FilingRule:
    """Return a rule, checked; raises `RuleRefused` or `ConfigException`."""
    shipped = next((rule for rule in SHIPPED if rule.name == name), FilingRule(name))
    values: dict[str, Any] = {"name": name}
    for parameter in fields(FilingRule):
        if parameter.name == "name":
            continue
        value, default = config[f"{RULES}.{name}.{parameter.name}"], getattr(shipped, parameter.name)
        if value is None:
            values[parameter.name] = str(default) if isinstance(default, str) else default
        elif isinstance(default, int):
            values[parameter.name] = int(config.number(f"{RULES}.{name}.{parameter.name}"))
        else:
            values[parameter.name] = str(value)
    rule = FilingRule(**values)
    check(rule)
    return rule


def _silences(config: ReadOnlyConfiguration, faults: dict[str, str]) -> dict[str, int]:
    """Return until when alerts are silent; one that cannot be used leaves the others alone."""
    known = ["all", *_INBOX_ALERTS, _RULE_ALERT]
    known += [f"{kind}-{name}" for kind in _INBOX_ALERTS for name in inbox_names(config)]
    known += [f"{_RULE_ALERT}-{name}" for name in (*(rule.name for rule in SHIPPED), *config.keys(RULES))]
    found = {}
    for name in config.keys(SILENCES):
        path = f"{SILENCES}.{name}"
        text = str(config[path] or "")
        try:
            moment = datetime.fromisoformat(text)
            found[name] = to_ts(moment if moment.tzinfo is not None else moment.astimezone())
        except (ValueError, OverflowError):
            faults[path] = f"{path} is '{text}', which is not a time such as 2026-12-01T08:00."
            continue
        if name not in known:
            faults[path] = f"{path} silences nothing: no alert has such a name.{suggest(name, known)}"
    return found


def _inboxes(
    config: ReadOnlyConfiguration, rules: dict[str, FilingRule], faults: dict[str, str], data_root: Path | None
) -> Iterable[Inbox]:
    usable = list(_separate_inboxes(config, rules, faults))
    for inbox in usable:
        place = f"{INBOXES_FOLDER}.{inbox.name}"
        fault = inbox_fault(inbox, usable, data_root)
        if fault is None:
            yield inbox
        else:
            faults[place] = str(ConfigException(reason=f"{place}.path is {inbox.path}: {fault}"))


def _separate_inboxes(
    config: ReadOnlyConfiguration, rules: dict[str, FilingRule], faults: dict[str, str]
) -> Iterable[Inbox]:
    paths: dict[Path, str] = {}
    for name in inbox_names(config):
        place = f"{INBOXES_FOLDER}.{name}"
        try:
            inbox = inbox_settings(config, name)
        except ConfigException as error:
            faults[place] = str(error)
            continue
        if not inbox.on:
            continue
        if not inbox.rules:
            faults[f"{place}.rules"] = f"{place}.rules names no rule, so nothing is filed from {inbox.path}."
        for rule in inbox.rules:
            if rule not in rules and f"{RULES}.{rule}" not in faults:
                hint = suggest(rule, rules)
                faults[f"{place}.rules"] = f"{place}.rules names the rule '{rule}', which does not exist.{hint}"
        if inbox.path in paths:
            reason = f"{place}.path is {inbox.path}, which is the folder of the inbox '{paths[inbox.path]}'"
            faults[place] = str(ConfigException(reason=reason))
            continue
        paths[inbox.path] = name
        yield inbox


def _mirrors(
    config: ReadOnlyConfiguration, faults: dict[str, str], folders: Sequence[Path]
) -> Iterable[MirrorSettings]:
    for name in config.keys(f"{FOLDER}.mirrors"):
        place = f"{FOLDER}.mirrors.{name}"
        if config[f"{place}.on"] is False:
            continue
        path, kind = str(config[f"{place}.path"] or "").strip(), str(config[f"{place}.kind"] or "directory")
        hours = _number(config, f"{place}.verify_hours")
        bucket = store_settings(config, name, f"{FOLDER}.mirrors") if kind in BUCKETS else None
        if kind not in MIRROR_KINDS:
            faults[place] = f"{place}.kind is '{kind}'; use {', '.join(MIRROR_KINDS[:-1])} or {MIRROR_KINDS[-1]}."
        elif bucket is not None and not bucket.bucket:
            faults[place] = f"{place}.bucket is not set, which a mirror of the kind {kind} needs."
        elif bucket is not None and bucket.endpoint and not bucket.endpoint.startswith(("http://", "https://")):
            faults[place] = f"{place}.endpoint is '{bucket.endpoint}'; use a URL such as https://s3.example.org."
        elif bucket is None and (not path or (kind == "directory" and not path.startswith("/"))):
            faults[place] = f"{place}.path is '{path}'; it has to be the absolute path of a folder."
        elif kind == "rsync" and not _is_elsewhere(path):
            faults[place] = f"{place}.path is '{path}'; use host:/folder or rsync://host/module/folder."
        elif kind == "directory" and (fault := mirror_fault(Path(os.path.normpath(path)), folders)) is not None:
            faults[place] = f"{place}.path is '{path}', {fault}."
        else:
            inboxes = tuple(part.strip() for part in str(config[f"{place}.inboxes"] or "").split(";") if part.strip())
            mount = str(config[f"{place}.mount"] or "")
            yield MirrorSettings(name, path, kind, inboxes, mount, 24.0 if hours is None else hours, bucket)


def _is_elsewhere(address: str) -> bool:
    """Return whether rsync takes an address for that of another host: a slash before the colon makes it a path here."""
    if address.startswith("rsync://"):
        return True
    host, colon, _ = address.partition(":")
    return bool(host and colon) and "/" not in host and not host.startswith("-")


def _number(config: ReadOnlyConfiguration, path: str) -> float | None:
    return None if config[path] is None else float(config.number(path))


__all__ = [
    "ACCEPTED", "COPIED_TO", "FOLDER", "INTERVAL", "IntakeSettings", "MirrorSettings", "RuleRefused", "declare_rule",
    "read", "rule_settings", "set_defaults",
]  # fmt: skip
