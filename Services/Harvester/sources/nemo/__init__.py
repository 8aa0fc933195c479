"""NEMO's API: reservations and usage events, of several instances, each with a token of its own.

`Services.Harvester.nemo.instances.<name>.url` is the address of an instance, ``token`` beside it a token of its own
(``NEXUSCORE_NEMO_<NAME>_TOKEN`` in the environment goes before it; without any, the environment's user logs in).
An instrument belongs to the instance whose address its `api_url` begins with, and to the tool named behind it
(``.../api/tools/?id=2``); where none is, to the tool that is called like its `calendar_name` or `name`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import ClassVar
from urllib.parse import urlsplit

from NexusCore.config import NamedConfiguration
from NexusCore.config.catalogue import Collected
from NexusCore.config.forms import URL
from NexusCore.facility import Instrument
from NexusCore.http import HttpLimits, Login, login_of
from Services.Harvester.sources import Source, SourceFailed
from Services.Harvester.sources.nemo.instances import Instance, Questions
from Services.Harvester.sources.web import Token, Visit, address_of, fetch_limits_of, host_of

_HERE = "Services.Harvester.nemo.instances"
_API = re.compile(r"/api(/.*)?$")


@dataclass(frozen=True, slots=True)
class Nemo:
    """The source ``nemo``."""

    name: ClassVar[str] = "nemo"

    limits: HttpLimits
    page_size: int
    most_rows: int
    instances: tuple[Instance, ...]
    login: Login | None = None
    """For instances that gave no token."""

    def server(self, instrument: Instrument) -> str:
        """Return the address of the instance that an instrument belongs to."""
        return self._instance(instrument).url

    def ask(
        self, instruments: Sequence[Instrument], start: datetime, end: datetime, unfinished: Collection[str]
    ) -> Source:
        """Ask an instance about all its instruments in a handful of requests."""
        from Services.Harvester.sources.nemo.api import Api, query

        instance = self._instance(instruments[0])
        with Visit(self.limits, instance.token or self.login, self.name) as visit:
            api = Api(visit, instance.url, self.page_size, self.most_rows)
            return query(api, instance, instruments, (start, end), unfinished)

    def _instance(self, instrument: Instrument) -> Instance:
        address = address_of(instrument)
        fitting = [
            candidate
            for candidate in self.instances
            if address == candidate.url or address.startswith(f"{candidate.url}/")
        ]
        if not fitting:
            raise SourceFailed(where=host_of(address), reason=f"no instance in {_HERE} has a url that it begins with")
        instance = max(fitting, key=lambda candidate: len(candidate.url))
        if instance.token is None and self.login is None:
            raise SourceFailed(where=host_of(address), reason=f"{_HERE}.{instance.name}.token is not set")
        return instance


def make(config: NamedConfiguration) -> Nemo:
    """Return the source with the settings it has now; those that are missing get their defaults."""
    default = config.set_default
    # 5,000 reservations with the answers to a form of a page are 10 to 30 MB.
    limits = fetch_limits_of(config, megabytes=64.0)
    default("page_size", 2000, comment="Rows that are asked for at a time.", minimum=10, maximum=10_000)
    default("most_rows", 50_000, comment="Rows that an instance may have in the time asked for.", minimum=1)
    for field in fields(Questions):
        default(f"questions.{field.name}", str(field.default), comment=_COMMENTS[field.name])
    default(f"instances.{MAIN}.url", "", comment="Address of a NEMO, as https://nemo.example.org", form=URL)
    instances = [_instance(config, name) for name in config.keys("instances")]
    return Nemo(
        limits,
        int(config.number("page_size")),
        int(config.number("most_rows")),
        tuple(instance for instance in instances if instance.url),
        login_of(Nemo.name),
    )


def declare(config: Collected) -> None:
    """Declare what each instance may have; see `NexusCore.config.catalogue`."""
    config.may_have("instances.*.url", "", comment="Address of a NEMO, as https://nemo.example.org", form=URL)
    for field in fields(Questions):
        config.may_have(f"instances.*.questions.{field.name}", str(field.default), comment=_COMMENTS[field.name])


_COMMENTS = {
    "title": "Name of the question for the title of the experiment.",
    "purpose": "Name of the question why it is done.",
    "project": "Name of the question for the project's identifier; without an answer, it is the project's own.",
    "consent": "Name of the question whether a record may be made.",
    "consent_yes": "The answer to it that agrees; any other one does not.",
    "samples": "Name of the group of questions about samples.",
    "sample_name": "In that group: name of the question for the sample's name.",
    "sample_kind": "In that group: name of the question whether the name is a persistent identifier.",
    "sample_kind_pid": "The answer to it that says so.",
    "sample_details": "In that group: name of the question for details.",
    "sample_elements": "In that group: name of the question for the chemical elements.",
}


MAIN = "main"
"""The instance of a facility that has one."""
_RIGHTS = "Token of a user of that NEMO who may view tools, reservations, usage events, users and projects."


def _instance(config: NamedConfiguration, name: str) -> Instance:
    here = f"instances.{name}"
    config.set_default(f"{here}.token", "", comment=_RIGHTS, secret=True)

    def asked_for(field: str) -> str:
        own = config[f"{here}.questions.{field}"]
        return str(own if own is not None else config[f"questions.{field}"])

    address = _API.sub("", str(config[f"{here}.url"] or "").strip().split("?")[0].rstrip("/"))
    variables = [f"NEXUSCORE_NEMO_{re.sub(r'[^A-Z0-9]', '_', name.upper())}_TOKEN"]
    if name == MAIN:
        variables.append("NEXUSCORE_NEMO_TOKEN")
    # A token read from a file often ends in a line break.
    from_environment = next(filter(None, (os.environ.get(variable, "").strip() for variable in variables)), None)
    token = from_environment or str(config[f"{here}.token"] or "").strip()
    questions = Questions(**{field.name: asked_for(field.name) for field in fields(Questions)})
    usable = address and urlsplit(address).scheme in ("http", "https")
    return Instance(name, address if usable else "", Token(token) if token else None, questions)
